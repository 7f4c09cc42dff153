"""A model's card: what every one begins with, and whether one that is read is of the right make.

Whoever works with a card that was read need not ask again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganpaint_engine.generator import SplitGenerator

MAX_BYTES = 4 << 20
"""A card is text with a few figures; this much is a mistake, or worse."""

_TYPES: dict[str, type] = {
    "format": int,
    "name": str,
    "version": str,
    "resolution": int,
    "concepts": list,
    "files": dict,
}
_REQUIRED = (*_TYPES, "terms")
_MAX_SIDE = 1 << 14  # px


def draft(
    name: str, generator: SplitGenerator, terms: str, version: str = "1.0.0"
) -> dict[str, Any]:
    """The beginning of a card for a generator that has no concepts yet."""
    return {
        "name": name,
        "version": version,
        "terms": terms,
        "resolution": generator.resolution,
        "edit_layer": {
            "number": generator.edit_layer,
            "grid": 8,
            "units": generator.edit_channels,
        },
        "channels": generator.channels,
        "concepts": [],
    }


def read(file: Path) -> dict[str, Any]:
    """The card in ``file``. Raises OSError, or ValueError that says what is wrong with it."""
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB")
    try:
        card = json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(card, dict):
        raise ValueError("it is no JSON object")
    missing = [key for key in _REQUIRED if key not in card]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    _check(card)
    return card


def _check(card: dict[str, Any]) -> None:
    """Raises ValueError naming the first key whose value is of another kind than it should be."""
    for key, kind in _TYPES.items():
        _want(type(card[key]) is kind, key)
    _want(0 < card["resolution"] <= _MAX_SIDE, "resolution")
    _want(all(isinstance(digest, str) for digest in card["files"].values()), "files")
    for concept in card["concepts"]:
        _want(isinstance(concept, dict) and isinstance(concept.get("name"), str), "concepts")
        _want(_strings(concept.get("operations", [])), "concepts.operations")
        variants = concept.get("variants", [])
        _want(isinstance(variants, list), "concepts.variants")
        names = [v.get("name") if isinstance(v, dict) else None for v in variants]
        _want(_strings(names), "concepts.variants")


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _want(right: bool, key: str) -> None:
    if not right:
        raise ValueError(f"its {key!r} is not what it should be")
