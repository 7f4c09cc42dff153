"""``ganpaint models import``: a published weight file becomes one of the person's models."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import torch

from ganpaint_engine import model_card, model_package, paths, stylegan2
from ganpaint_engine.errors import BadRequest, DamagedWeights, DiskFull, HashMismatch
from ganpaint_engine.generator import Generator, SplitGenerator
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.published import catalogue, layouts, weight_files
from ganpaint_engine.published.catalogue import Published
from ganpaint_engine.published.layouts import Weights

UNKNOWN_TERMS = "not known: ask where the file came from"


def name_for(path: Path) -> str:
    """The file's stem as a model's name. Raises BadRequest if nothing is left of it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64]
    if not name:
        raise BadRequest(f"{path.name} gives no name for the model: choose one (--name).")
    return name


def import_file(
    path: Path,
    wanted: str = "auto",
    name: str | None = None,
    terms: str | None = None,
    replace: bool = False,
    edit_layer: int | None = None,
    source: dict[str, Any] | None = None,
) -> ModelInfo:
    """Read a weight file and put the generator among the person's models, not prepared.

    wanted: ``auto``, ``proggan`` or ``stylegan2``. name: the file's stem unless given. terms: the
    licence, for the card. edit_layer: which 8×8 layer of StyleGAN2 is edited. source: more for the
    card's ``source``. The weights keep the file's own precision; a published file is known by its
    hash, and brings its terms. Raises BadRequest, ModelExists, UnknownWeights, UnsafeWeights,
    DamagedWeights, HashMismatch, DiskFull.
    """
    name = name if name is not None else name_for(path)
    model_package.check_free(name, replace)
    weights = layouts.recognise(weight_files.read(path), wanted)
    digest = model_package.sha256(path)
    published = _published(path, digest)
    generator = _built(weights, edit_layer)
    _check_sample(generator)
    origin = {"file": path.name, "bytes": path.stat().st_size, "sha256": digest, **(source or {})}
    if published is not None:
        origin |= {"published": published.name, "title": published.title}
    terms = terms or (published.terms if published else UNKNOWN_TERMS)
    card = _card(name, weights, generator, terms, origin)
    with model_package.new_package(name, replace) as folder:
        _check_room(folder, weights)
        model_package.save(folder, card, weights.state, None, None, half=False)
    return model_package.read_card(paths.user_models_dir() / name)


def _published(path: Path, digest: str) -> Published | None:
    """The published generator that a file is. Raises HashMismatch if it has but its name."""
    for published in catalogue.read().values():
        if published.agrees(digest):
            return published
        if published.file == path.name:
            raise HashMismatch(
                f"{path.name} is not the published file of that name: its SHA-256 begins with "
                f"{digest[:8]}, not {published.sha256}. Fetch it again, or import it under "
                "another file name if it is meant to differ.",
                file=path.name,
            )
    return None


def _built(weights: Weights, edit_layer: int | None) -> SplitGenerator:
    floats = {name: t.float() for name, t in weights.state.items()}
    if weights.architecture == layouts.STYLEGAN2:
        layer = stylegan2.EDIT_LAYER if edit_layer is None else edit_layer
        if layer not in stylegan2.EDIT_LAYERS:
            allowed = " or ".join(map(str, stylegan2.EDIT_LAYERS))
            raise BadRequest(f"The edit layer of a StyleGAN2 is {allowed}, not {layer}.")
        return stylegan2.StyleGAN2.from_state_dict(floats, layer)
    generator = Generator.from_state_dict(floats)
    if edit_layer not in (None, generator.edit_layer):
        raise BadRequest(f"The edit layer of a ProGAN is {generator.edit_layer}.")
    return generator


def _check_sample(generator: SplitGenerator) -> None:
    """Draw one picture: weights may be numbers one by one and still make none together."""
    z = torch.randn(1, generator.z_channels, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = generator.head(generator.stem(z))
    if not bool(torch.isfinite(y).all()):
        raise DamagedWeights("G(z) is not finite: these weights are damaged.")


def _card(
    name: str, weights: Weights, generator: SplitGenerator, terms: str, source: dict[str, Any]
) -> dict[str, Any]:
    return model_card.draft(name, generator, terms) | {
        "architecture": weights.architecture,
        "prepared": False,
        "source": source,
        "notes": weights.notes,
    }


def _check_room(folder: Path, weights: Weights) -> None:
    needed = sum(t.numel() * t.element_size() for t in weights.state.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"The model needs {needed / 1e6:.0f} MB in {paths.user_models_dir()}; "
            f"{free / 1e6:.0f} MB are free."
        )
