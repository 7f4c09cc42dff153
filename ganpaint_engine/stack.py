"""Edits one upon the other: each changes the r that those before it made.

    r_e = (1 - α₂) ⊙ ((1 - α₁) ⊙ r + α₁ ⊙ p₁) + α₂ ⊙ p₂

so r keeps the weight (1 - α₁)(1 - α₂), and α = 1 - (1 - α₁)(1 - α₂) of it is new. Selections
compose in the same way. One G' and one patch serve the whole stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ganpaint_engine import selection, wishes
from ganpaint_engine.errors import BadRequest
from ganpaint_engine.selection import Selection
from ganpaint_engine.window import Box
from ganpaint_engine.wishes import Wish

if TYPE_CHECKING:
    from ganpaint_engine.prior import Prior

KEYS = (
    "mask", *wishes.OPERATIONS, "variant", "like", "like_image", "strength", "seed", "grow",
    "feather",
)  # fmt: skip
"""What can be said of one edit of a stack; as the arguments of ``PhotoSession.edit``."""


@dataclass(frozen=True)
class Part:
    """One edit of a stack: what is wished, and where. grow, feather: as the person gave them."""

    wish: Wish
    selection: Selection
    grow: int
    feather: float

    def report(self) -> dict[str, Any]:
        """How this edit was asked for: plain values."""
        wish = self.wish
        return {
            "concept": wish.concept.name,
            "operation": wish.operation,
            "variant": wish.variant,
            "strength": wish.asked_strength,
            "seed": wish.seed,
            "like": wish.like,
            "grow": self.grow,
            "feather": float(self.feather),
        }


Stack = tuple[Part, ...]
"""The first edit first."""


def read(
    prior: Prior, size: tuple[int, int], asked: Mapping[str, Any], how: Mapping[str, str]
) -> Part:
    """One edit of a photo of that width and height, checked; no region is looked at yet.

    asked: what is said of it, by KEYS. how: quality, composite and adaptation. Raises BadRequest,
    EmptyMask, MaskSizeMismatch, UnknownConcept, UnknownVariant, UnsupportedOperation.
    """
    unknown = [str(key) for key in asked if key not in KEYS]
    if unknown:
        raise BadRequest(f"An edit knows no {', '.join(unknown)}; it knows {', '.join(KEYS)}.")
    said = {key: value for key, value in asked.items() if value is not None}
    if "mask" not in said:
        raise BadRequest("An edit needs a mask.")
    if "like_image" in said and "like" not in said:
        raise BadRequest("A picture to be like needs a mask of the region to be like.")
    wish = wishes.check(
        prior,
        {operation: said.get(operation) for operation in wishes.OPERATIONS},
        said.get("strength", 1.0),
        said.get("seed", 0),
        how["quality"],
        said.get("variant"),
        "like" in said,
        how["composite"],
        how["adaptation"],
    )
    grow, feather = said.get("grow", 0), said.get("feather", 0.0)
    return Part(wish, selection.read(said["mask"], *size, grow, feather), grow, feather)


def selected(stack: Stack) -> Selection:
    """Where a stack edits: 1 - (1 - a)(1 - b)… of its selections."""
    if len(stack) == 1:
        return stack[0].selection
    boxes = np.array([part.selection.box for part in stack])
    box = Box(*(int(v) for v in (*boxes[:, :2].min(0), *boxes[:, 2:].max(0))))
    left = np.ones((box.y1 - box.y0, box.x1 - box.x0), np.float32)
    for part in stack:
        left *= 1 - part.selection.within(*box)
    return Selection(1 - left, box, stack[0].selection.size)


def name(stack: Stack) -> str:
    """What to call the layer: ``Add tree, remove dome``."""
    first, *others = (part.wish.name for part in stack)
    return ", ".join([first, *(one[0].lower() + one[1:] for one in others)])
