"""The table of published weights: names, addresses, mirrors, sizes, hashes, terms."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganpaint_engine.errors import UnknownModel

TABLE = Path(__file__).with_name("catalogue.toml")

MODELS, FEATURES = "models", "features"
"""What is published: generators, and networks whose features a loss compares."""


@dataclass(frozen=True)
class Published:
    """One published weight file.

    sha256: as many hexadecimal digits of the hash as are published. bytes: the exact size, or none
    if it is not known. addresses: where it can be had, the first one preferred.
    """

    name: str
    title: str
    file: str
    format: str
    sha256: str
    bytes: int | None
    max_bytes: int
    terms: str
    terms_url: str
    terms_text: str
    addresses: tuple[str, ...]

    def agrees(self, digest: str) -> bool:
        """Whether a file of this SHA-256 is the published one, as far as its hash is published."""
        return digest.startswith(self.sha256)


def read(kind: str = MODELS) -> dict[str, Published]:
    """All that is published of a kind by name, in the table's order."""
    content = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        name: _entry(name, row, content["sets"][row["set"]]) for name, row in content[kind].items()
    }


def _entry(name: str, row: dict[str, Any], group: dict[str, Any]) -> Published:
    size = row.get("bytes")
    return Published(
        name=name,
        title=group["title"],
        file=row["file"],
        format=group["format"],
        sha256=row["sha256"].lower(),
        bytes=size,
        max_bytes=size or group["max_bytes"],
        terms=group["terms"],
        terms_url=group["terms_url"],
        terms_text=group["terms_text"].strip(),
        addresses=tuple(a.format(file=row["file"]) for a in group["addresses"]),
    )


def find(name: str, kind: str = MODELS) -> Published:
    """What is published as ``name``. Raises UnknownModel."""
    known = read(kind)
    if name not in known:
        what = "generator is" if kind == MODELS else "features are"
        raise UnknownModel(
            f"No published {what} called {name!r}. There are: {', '.join(known)}.", model=name
        )
    return known[name]
