"""A model on disk: a card (``model.json``), safetensors, and the hash of every file.

A package is a folder. Its card says name, version, terms, architecture, resolution, edit layer,
channels, concepts, training data and time, measured figures, and under ``files`` the SHA-256 of
each file. A generator that was only imported says ``"prepared": false`` and has no encoder and no
concepts yet. Nothing in a package is executed. Reading cards does not need torch.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganpaint_engine import model_card, paths
from ganpaint_engine.errors import BadRequest, DamagedModel, DiskFull, ModelExists, UnknownModel

if TYPE_CHECKING:
    from torch import Tensor

    from ganpaint_engine.concepts import Concept
    from ganpaint_engine.exemplars import Exemplars
    from ganpaint_engine.generator import SplitGenerator

FORMAT = 1
CARD = "model.json"
GENERATOR, ENCODER, CONCEPTS, EXEMPLARS, CUTOUTS, SEGMENTER = (
    "generator.safetensors",
    "encoder.safetensors",
    "concepts.safetensors",
    "exemplars.safetensors",
    "cutouts.safetensors",
    "segmenter.safetensors",
)
_TENSORS = ("units", "rivals", "p", "variants")
_LATER_TENSORS = ("ranking", "levels")  # packages made before these have none


@dataclass(frozen=True)
class ModelInfo:
    """A model package whose card could be read: its folder and its card."""

    path: Path
    card: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def version(self) -> str:
        return str(self.card["version"])

    @property
    def resolution(self) -> int:
        """Side of the model's window, px."""
        return int(self.card["resolution"])

    @property
    def concepts(self) -> list[str]:
        return [str(c["name"]) for c in self.card["concepts"]]

    @property
    def variants(self) -> dict[str, list[str]]:
        """The names of each concept's looks, for concepts that have any."""
        return {
            str(c["name"]): [str(v["name"]) for v in c["variants"]]
            for c in self.card["concepts"]
            if c.get("variants")
        }

    def colours(self, concept: str) -> dict[str, tuple[int, ...]]:
        """The mean colours of a concept's named looks, three sRGB values, as far as known."""
        entries = {e["name"]: e for e in self.card["concepts"]}
        known = entries.get(concept, {}).get("variants") or []
        told = {str(look["name"]): str(look.get("colour")) for look in known}
        return {
            name: tuple(bytes.fromhex(colour[1:]))
            for name, colour in told.items()
            if re.fullmatch("#[0-9a-fA-F]{6}", colour)
        }

    def detail(self, concept: str) -> float:
        """Contrast of a concept's finest octave, levels of 255; 0 where it is not known."""
        entries = {e["name"]: e for e in self.card["concepts"]}
        return float(entries.get(concept, {}).get("detail", 0.0))

    def operations(self, concept: str) -> list[str]:
        """Which of ``add``, ``remove`` and ``restyle`` are offered for a concept.

        What was measured and failed is left out. A card that does not say offers the first two,
        and the third for concepts of at least two looks.
        """
        entries = {e["name"]: e for e in self.card["concepts"]}
        entry = entries.get(concept, {})
        default = ["add", "remove"] + ["restyle"] * (len(entry.get("variants", ())) > 1)
        return list(entry.get("operations", default))

    @property
    def prepared(self) -> bool:
        """Whether photos can be edited with it; if not, it can sample."""
        return bool(self.card.get("prepared", True))

    @property
    def can_be_prepared(self) -> bool:
        """Whether layers follow the edit layer. A generator of 8 px has no head to edit."""
        return self.resolution > 8

    @property
    def lacks(self) -> list[str]:
        """What it would need for photos, in words; nothing once it is prepared."""
        if self.prepared:
            return []
        head = [] if self.can_be_prepared else ["a head (nothing follows the 8×8 edit layer)"]
        return [*head, "an encoder", "concepts"]

    @property
    def architecture(self) -> str:
        """``proggan`` or ``stylegan2``."""
        return str(self.card.get("architecture", "proggan"))


def read_card(folder: Path) -> ModelInfo:
    """The package in ``folder``. Raises DamagedModel if its card cannot be understood."""
    try:
        card = model_card.read(folder / CARD)
    except (OSError, ValueError) as error:
        raise DamagedModel(f"The model card {folder / CARD} cannot be read: {error}.") from error
    if card["format"] != FORMAT:
        raise DamagedModel(
            f"{folder} is a model package of format {card['format']}; this engine reads {FORMAT}."
        )
    return ModelInfo(folder, card)


def list_models() -> list[ModelInfo]:
    """All readable packages: the person's own first, then the bundled ones; one of each name."""
    found: dict[str, ModelInfo] = {}
    for root in (paths.user_models_dir(), paths.bundled_models_dir()):
        for card in sorted(root.glob(f"*/{CARD}")) if root.is_dir() else []:
            try:
                info = read_card(card.parent)
            except DamagedModel:
                continue
            found.setdefault(info.name, info)
    return list(found.values())


def find_model(name: str | Path) -> ModelInfo:
    """The package of that name, or in that folder. Raises UnknownModel, DamagedModel."""
    text = str(name)
    bare = text not in ("", ".", "..") and not any(c in text for c in "/\\\0")
    if bare:
        for root in (paths.user_models_dir(), paths.bundled_models_dir()):
            if (root / text / CARD).is_file():
                return read_card(root / text)
        for info in list_models():
            if info.name == text:
                return info
    if text and "\0" not in text and (Path(text) / CARD).is_file():
        return read_card(Path(text))
    known = ", ".join(m.name for m in list_models()) or "none"
    raise UnknownModel(
        f"There is no model {text!r}, and no model folder there. Installed models: {known}.",
        model=text,
    )


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(info: ModelInfo) -> None:
    """Compare every file with its hash. Raises DamagedModel naming the first that differs."""
    files: dict[str, str] = info.card["files"]
    needed = (GENERATOR, ENCODER, CONCEPTS) if info.prepared else (GENERATOR,)
    for name in needed:
        if name not in files:
            raise DamagedModel(f"The card of model {info.name} has no hash of {name}.", file=name)
    for name, digest in files.items():
        path = info.path / Path(name).name
        try:
            found = sha256(path) if path.is_file() else None
        except (OSError, ValueError) as error:  # a name that no file can have, for one
            raise DamagedModel(f"{path} cannot be read: {error}.", file=name) from error
        if found is None:
            raise DamagedModel(f"The model {info.name} lacks its file {name}.", file=name)
        if found != digest:
            raise DamagedModel(
                f"The file {name} of model {info.name} is damaged or only half downloaded "
                "(its hash differs from the card's). Install the model again.",
                file=name,
            )


def load_tensors(info: ModelInfo, name: str) -> dict[str, Tensor]:
    """The tensors of one file, as float32 (integers kept). Raises DamagedModel."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(info.path / name)
    except (OSError, SafetensorError) as error:
        raise DamagedModel(f"{info.path / name} cannot be read: {error}.", file=name) from error
    return {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}


def load_concepts(info: ModelInfo) -> dict[str, Concept]:
    """The concepts of a package, by name, in the card's order. Raises DamagedModel."""
    from ganpaint_engine.concepts import Concept

    tensors = load_tensors(info, CONCEPTS)
    looks = info.variants
    try:
        return {
            name: Concept(
                name,
                **{k: tensors[f"{name}.{k}"] for k in _TENSORS},
                looks=tuple(looks.get(name, ())),
                **{k: t for k in _LATER_TENSORS if (t := tensors.get(f"{name}.{k}")) is not None},
            )
            for name in info.concepts
        }
    except KeyError as error:
        raise DamagedModel(f"Model {info.name} lacks the tensor {error}.", file=CONCEPTS) from error


def load_exemplars(info: ModelInfo) -> Exemplars | None:
    """The exemplars of a package, if it has any. Raises DamagedModel."""
    from ganpaint_engine.cutouts import Cutouts
    from ganpaint_engine.exemplars import Exemplars

    if EXEMPLARS not in info.card["files"]:
        return None
    tensors = load_tensors(info, EXEMPLARS)
    try:
        names = tuple(str(n) for n in info.card["exemplars"]["concepts"])
        pixels = None
        if CUTOUTS in info.card["files"]:
            kept = load_tensors(info, CUTOUTS)
            pixels = Cutouts(**{name: kept[name] for name in Cutouts.NAMES})
            pixels.check(len(tensors["r"]))
        return Exemplars(tensors["r"], tensors["shares"], names, pixels)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedModel(f"Model {info.name} lacks {error}.", file=EXEMPLARS) from error


def concept_tensors(concepts: dict[str, Concept]) -> dict[str, Tensor]:
    """What CONCEPTS holds: each concept's tensors as ``NAME.KIND``."""
    return {
        f"{c.name}.{k}": getattr(c, k)
        for c in concepts.values()
        for k in _TENSORS + _LATER_TENSORS
        if k in _TENSORS or len(getattr(c, k))
    }


def load_generator(info: ModelInfo) -> SplitGenerator:
    """G of a package. Raises DamagedModel."""
    from ganpaint_engine.generator import Generator
    from ganpaint_engine.stylegan2 import StyleGAN2

    state = load_tensors(info, GENERATOR)
    try:
        if info.architecture == "proggan":
            return Generator.from_state_dict(state)
        if info.architecture == "stylegan2":
            return StyleGAN2.from_state_dict(state, int(info.card["edit_layer"]["number"]))
    except (KeyError, IndexError, RuntimeError) as error:
        raise DamagedModel(f"The weights of model {info.name} do not fit: {error}.") from error
    raise DamagedModel(f"This engine does not know the architecture {info.architecture!r}.")


def checked_name(name: str) -> str:
    """``name`` if a model can have it. Raises BadRequest."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise BadRequest(
            f"A model's name has letters, digits, '.', '_' and '-', 64 at most; not {name!r}."
        )
    return name


def check_free(name: str, replace: bool = False) -> None:
    """Raise BadRequest for a name that no model can have, ModelExists for one that is taken.

    ``replace`` allows the name of one of the person's own models, never that of a bundled one.
    """
    target = paths.user_models_dir() / checked_name(name)
    bundled = (paths.bundled_models_dir() / name / CARD).is_file()
    if bundled or (target.exists() and not replace):
        way = "Choose another name" if bundled else "Choose another name, or replace it (--replace)"
        raise ModelExists(f"There is a model {name} already. {way}.", model=name)


@contextlib.contextmanager
def new_package(name: str, replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill: it becomes the person's model ``name`` if the block ends well.

    Until then nothing of it is listed, and a model that it replaces stays as it is. Raises what
    check_free raises, and DiskFull.
    """
    check_free(name, replace)
    target = paths.user_models_dir() / name
    staging = paths.user_models_dir() / ".staging"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        _forget_abandoned(staging)
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=staging) as place:
            folder = Path(place) / "new"
            folder.mkdir()
            yield folder
            if target.exists():
                target.rename(Path(place) / "old")
            try:
                folder.rename(target)
            except OSError:
                if (Path(place) / "old").exists():
                    (Path(place) / "old").rename(target)
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk of {staging.parent} is full: {name} is not kept.") from error
        raise BadRequest(f"{target} cannot be written: {error}.") from error


def remove(name: str) -> Path:
    """Delete one of the person's models; the folder it was in. Raises UnknownModel, BadRequest."""
    info = find_model(checked_name(name))
    if info.path.parent != paths.user_models_dir():
        raise BadRequest(f"{name} is a bundled model: it stays.")
    shutil.rmtree(info.path)
    return info.path


def _forget_abandoned(staging: Path) -> None:
    """Remove what a killed process left behind a day ago or earlier."""
    for left in staging.iterdir():
        if time.time() - left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)


def save_tensors(path: Path, tensors: dict[str, Tensor], half: bool = True) -> None:
    """Write one file of tensors: floats as fp16, or as they are; integers as int32.

    Raises DiskFull.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    def stored(t: Tensor) -> Tensor:
        t = t.detach().cpu()
        if not t.is_floating_point() and t.dtype != torch.uint8:
            t = t.to(torch.int32)
        # A copy: safetensors refuses tensors that share memory.
        return (t.half() if half and t.is_floating_point() else t).clone().contiguous()

    try:
        save_file({k: stored(v) for k, v in tensors.items()}, path)
    except SafetensorError as error:
        raise DiskFull(f"{path} cannot be written: {error}.") from error


def save(
    folder: Path,
    card: dict[str, Any],
    generator: dict[str, Tensor],
    encoder: dict[str, Tensor] | None,
    concepts: dict[str, Concept] | None,
    half: bool = True,
    exemplars: Exemplars | None = None,
) -> ModelInfo:
    """Write a package: its weights, then the card with their hashes.

    encoder, concepts: none for a generator that is not prepared. half: the generator's weights as
    fp16; an imported one keeps the numbers it came with. exemplars: what additions
    follow, where it has them. Raises DiskFull.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {GENERATOR: generator}
    if encoder is not None:
        contents[ENCODER] = encoder
    if concepts is not None:
        contents[CONCEPTS] = concept_tensors(concepts)
    if exemplars is not None:
        contents[EXEMPLARS] = {"r": exemplars.r, "shares": exemplars.shares}
        if exemplars.cutouts is not None:
            contents[CUTOUTS] = exemplars.cutouts.tensors()
        card = {**card, "exemplars": {"count": len(exemplars.r), "concepts": [*exemplars.names]}}
    for name, content in contents.items():
        save_tensors(folder / name, content, half or name != GENERATOR)
    card = {"format": FORMAT, **card, "files": {n: sha256(folder / n) for n in contents}}
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return read_card(folder)
