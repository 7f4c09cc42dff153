"""Change a model package: a whole new copy beside it, then one swap. Nothing half-written is seen.

A model that came with the product is never changed unless told: its copy goes to the person's own
models folder, which is looked at first.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ganpaint_engine import model_package, paths
from ganpaint_engine.errors import BadRequest, ModelBusy
from ganpaint_engine.model_package import CARD, CONCEPTS, ModelInfo

if TYPE_CHECKING:
    from ganpaint_engine.concepts import Concept

RANKINGS = "units.json"


def target_of(info: ModelInfo, out: Path | None = None, in_place: bool = False) -> Path:
    """The folder that a changed copy of a package goes to.

    ``out`` where given, which must not exist; else the package's own folder, or for one that came
    with the product a folder of its name among the person's own. Raises BadRequest.
    """
    if out is not None:
        if in_place or out.exists():
            raise BadRequest(
                "Say either --out or --in-place." if in_place else f"{out} exists already."
            )
        return out
    bundled = paths.bundled_models_dir().resolve() in info.path.resolve().parents
    if in_place or not bundled:
        return info.path
    target = paths.user_models_dir() / info.name
    if target.exists():
        raise BadRequest(
            f"Your own models already hold a {info.name} ({target}): name that one, or say "
            "--out or --in-place."
        )
    return target


@contextmanager
def changing(target: Path) -> Iterator[None]:
    """One command at a time changes a package. Raises ModelBusy, BadRequest."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise ModelBusy(f"Another command is changing {target}. Wait for its end.") from error
    except PermissionError as error:
        raise BadRequest(f"{target} cannot be written: {error}.") from error


def write(
    info: ModelInfo,
    target: Path,
    concepts: Mapping[str, Concept],
    entries: list[dict[str, Any]],
    more: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    rankings: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """A copy of ``info`` in ``target``, with other concepts; what is there is replaced in one swap.

    entries: the card's concepts. more: other keys of the card. files: added to the package.
    rankings: by concept, its units with IoU and threshold; those that are known stay.
    Thumbnails that no entry names any more are left out. Raises BadRequest where the folder cannot
    be written, as on a full disk; the old package is then as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            shutil.copytree(info.path, staging, dirs_exist_ok=True)
            added = dict(files or {})
            known = {**read_rankings(info), **(rankings or {})}
            added[RANKINGS] = _json({n: known[n] for n in concepts if n in known})
            _fill(staging, info, dict(concepts), entries, dict(more or {}), added)
            _swap(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise BadRequest(f"{target} cannot be written: {error}.") from error
    return model_package.read_card(target)


def read_rankings(info: ModelInfo) -> dict[str, list[dict[str, Any]]]:
    """By concept, its ranked units: ``unit``, ``iou``, ``threshold``. Empty for older packages."""
    path = info.path / RANKINGS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all. Raises BadRequest."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error}.") from error
    return path


def _json(values: Mapping[str, Any]) -> bytes:
    """JSON with one line for each entry."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _fill(
    folder: Path,
    info: ModelInfo,
    concepts: dict[str, Concept],
    entries: list[dict[str, Any]],
    more: dict[str, Any],
    files: dict[str, bytes],
) -> None:
    card = {**info.card, **more, "concepts": entries}
    model_package.save_tensors(folder / CONCEPTS, model_package.concept_tensors(concepts))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    named = {v["thumbnail"] for e in entries for v in e.get("variants", ()) if "thumbnail" in v}
    known = [Path(n).name for n in info.card["files"]]  # never a file elsewhere
    kept = [n for n in known if not n.startswith("look-") or n in named]
    for name in set(known) - set(kept):
        (folder / name).unlink(missing_ok=True)
    card["files"] = {n: model_package.sha256(folder / n) for n in dict.fromkeys([*kept, *files])}
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    folder.chmod(0o755)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o644)


def _swap(staging: Path, target: Path) -> None:
    """Put ``staging`` where ``target`` is. Two renames: between them the old one is beside it."""
    if not target.exists():
        staging.rename(target)
        return
    old = staging.with_name(staging.name + ".old")
    target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
