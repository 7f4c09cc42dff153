"""How unlike a picture is to those a prior knows: worth knowing before an edit disappoints.

The reconstruction's PSNR does not say it: photographs are inverted about as well as the rendered
scenes that the bundled prior was trained on. What does is how unsure a segmenter of such scenes is
(mean entropy of its answer); docs/photographs.md has the figures for this and for other measures.
A package keeps the limit under which its own pictures stay: in the card, ``familiar.entropy``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

OWN = 0.95
"""Share of a model's own pictures that its limit calls familiar."""


ROUTES: dict[str, str] = {}
"""The final blend that measured best on photographs, by operation, where it is not the engine's
own (``python -m benchmarks.narrow``; docs/photographs.md has the table). None, since things and
fillings have pixels of their own."""

_DOING = {"add": "add something to", "remove": "remove something from"}


def unlike(model: str, value: float, limit: float) -> str:
    """What a person is told of a picture whose unfamiliarity ``value`` is above ``limit``."""
    return (
        f"This picture is unlike those that {model} knows (unfamiliarity {value:.2f}; its own stay "
        f"under {limit:.2f}): expect new content to be coarse and not to match it well."
    )


def advice(operation: str | None = None, composite: str | None = None) -> list[str]:
    """Sentences that offer the route for such pictures; none to whoever takes it already.

    operation: the one that is wished; all that have a route if none is.
    """
    return [
        f'To {_DOING[wished]} such a picture, the final blend "{route}" measured best: try it '
        f"(--composite {route})."
        for wished, route in ROUTES.items()
        if operation in (None, wished) and composite != route
    ]


@torch.no_grad()
def entropy(segmenter: nn.Module, x: Tensor) -> Tensor:
    """Mean entropy of the segmenter's answer over each picture, N values in nats.

    x: N×3×R×R in [-1, 1]. A picture wholly understood has 0, one of which nothing is, log K.
    """
    log_shares = segmenter(x).log_softmax(1)
    return -(log_shares.exp() * log_shares).sum(1).mean((1, 2))


def limit(segmenter: nn.Module, pictures: Sequence[Tensor]) -> float:
    """The entropy under which OWN of ``pictures`` (1×3×R×R each) stay: for a package's card.

    Each counts twice: whole, and its middle at twice the size, as a window in a photo shows it.
    """
    values = []
    for x in pictures:
        side = x.shape[-1]
        middle = x[..., side // 4 : -(side // 4), side // 4 : -(side // 4)]
        zoomed = nn.functional.interpolate(middle, size=side, mode="bilinear")
        values += entropy(segmenter, torch.cat([x, zoomed])).tolist()
    return round(float(np.quantile(values, OWN)), 3)
