"""A new concept from a few painted pictures: what dissection does, with a person as the segmenter.

Each painted picture is seen through the window that an edit there would have, and mirrored. Units
are ranked by how well they agree with the strokes (IoU above chance); p_c is the mean activation
of the painted cells. There is nobody to judge the edits, so the card says that they were not
measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganpaint_engine import appearance, dissection, window
from ganpaint_engine import model_dissection as whole
from ganpaint_engine.concepts import Concept
from ganpaint_engine.errors import BadRequest, ConceptTaken, StrokesUnusable
from ganpaint_engine.prior import Prior
from ganpaint_engine.strokes import Painted

OnStep = Callable[[float, str], None]

LOOKS_FROM = 12
"""Painted pictures from which on looks are told apart."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9 -]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Learned:
    """A learned concept, its entry in the card, its ranking, and its thumbnails (WebP by name)."""

    concept: Concept
    entry: dict[str, Any]
    ranking: list[dict[str, Any]]
    thumbnails: dict[str, bytes]


def check_name(name: str, taken: Sequence[str]) -> str:
    """The name, if a new concept can have it. Raises BadRequest, ConceptTaken."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a concept: it has 1 to 32 lower-case letters a-z, digits, "
            "spaces and hyphens, and begins and ends with a letter or digit."
        )
    if name in taken:
        raise ConceptTaken(
            f"The model has a concept {name} already: take another name, or remove it first.",
            concept=name,
        )
    return name


def windows(painted: Sequence[Painted], side: int) -> tuple[Tensor, Tensor]:
    """Pictures N×3×side×side uint8 and where the thing is N×side×side bools, each also mirrored."""
    pictures, masks = [], []
    for one in painted:
        height, width = one.mask.shape
        box = window.bounds(one.mask >= 128)
        place = window.window_for(box, width, height, side)
        pictures.append(window.resize(window.crop(one.rgb, place), side))
        soft = window.crop(one.mask.astype(np.float32), place, fill="zero")
        masks.append(window.resize(np.ascontiguousarray(soft), side) >= 128)
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    where = torch.from_numpy(np.stack(masks))
    return torch.cat([x, x.flip(3)]), torch.cat([where, where.flip(2)])


def learn(
    prior: Prior,
    name: str,
    painted: Sequence[Painted],
    on_step: OnStep = lambda fraction, stage: None,
) -> Learned:
    """A concept called ``name`` from painted pictures.

    Raises BadRequest and ConceptTaken (the name), StrokesUnusable (no unit follows the strokes).
    """
    check_name(name, prior.concepts)
    x, where = windows(painted, prior.resolution)
    where = where & (where.flatten(1).any(1))[:, None, None]
    r = whole.encoded(prior, x, lambda f, stage: on_step(0.8 * f, stage))
    on_step(0.8, "rank units")
    maps = torch.stack([~where, where], dim=1)
    measured = dissection.agreement(r, maps)
    classes = ("everything else", name)
    found, iou = dissection.dissect(r, where.long(), [name], classes, measured=measured)
    if name not in found:
        raise StrokesUnusable(
            f"No unit of {prior.name} follows what was painted: it cannot tell this thing from "
            "what is around it. Paint more exactly, or on more pictures."
        )
    others = [prior.concept(other).units for other in prior.concepts]
    rivals = torch.cat([found[name].rivals, *(u.cpu() for u in others)]).unique()
    rivals = rivals[~torch.isin(rivals, found[name].units)]
    colours = appearance.mean_colours(whole.to_float(x), where)
    cells = dissection.filled_cells(where)
    looks = appearance.looks(name, r, cells, colours) if len(painted) >= LOOKS_FROM else []
    concept = whole.with_looks(replace(found[name], rivals=rivals), looks)
    thumbnails = whole.thumbnails(prior, concept.to(prior.device), looks, r, where)
    return Learned(
        concept, _entry(concept, iou[name], looks, painted),
        whole.ranking(concept, measured, 1), thumbnails,
    )  # fmt: skip


def _entry(
    concept: Concept, iou: float, looks: Sequence[appearance.Look], painted: Sequence[Painted]
) -> dict[str, Any]:
    return {
        "name": concept.name,
        "units": len(concept.units),
        "unit_iou": round(iou, 3),
        "operations": ["add", "remove"] + ["restyle"] * (len(looks) > 1),
        "measured": False,
        "learned": {"painted_pictures": len(painted)},
        "variants": [whole.look_entry(concept.name, look, None) for look in looks],
    }
