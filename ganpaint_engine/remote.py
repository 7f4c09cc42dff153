"""An edit done by a running engine, here or on another machine. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ganpaint_engine.client import Client
from ganpaint_engine.errors import EngineUnreachable, InternalError
from ganpaint_engine.layers import Patch, eight_bits

SILENCE = 60.0
"""Seconds without news of a job after which the engine counts as lost; it speaks every second."""


@dataclass(frozen=True)
class RemoteEdit:
    """As editing.Edit: the new pixels (h×w×4 uint8) and their offset, name, report."""

    name: str
    layer: np.ndarray
    offset: tuple[int, int]
    report: dict[str, Any]


def edit(
    client: Client,
    picture: np.ndarray,
    mask: Image.Image,
    on_step: Callable[[float, str], None],
    on_warnings: Callable[[Sequence[str]], None] = lambda sentences: None,
    **wish: Any,
) -> RemoteEdit:
    """Have ``picture`` (H×W×3|4 uint8 or uint16, sRGB) edited under ``mask`` ("L"), at 8 bits.

    ``wish``: concept, operation, strength, seed, quality, model… as Client.submit takes them.
    Raises what Client.submit and Client.events raise.
    """
    pixels = eight_bits(picture)
    job = client.submit(pixels, np.asarray(mask), **wish)
    for event in client.events(job, timeout=SILENCE):
        if event.type == "queued":
            on_step(0.0, "queued" if event.position == 0 else f"{event.position} ahead")
        elif event.type == "progress":
            on_step(event.fraction, event.stage)
            if event.warnings:
                on_warnings(event.warnings)
        elif event.type == "result" and event.patch is not None:
            patch = _checked(Patch(event.patch, *event.offset), pixels.shape[1::-1])
            return RemoteEdit(event.name, patch.rgba, event.offset, event.report)
    raise EngineUnreachable("The engine sent no result.")


def _checked(patch: Patch, size: tuple[int, ...]) -> Patch:
    """Raises InternalError for a patch that does not lie inside a photo of ``size`` px."""
    height, width = patch.rgba.shape[:2]
    if min(patch.x, patch.y) < 0 or patch.x + width > size[0] or patch.y + height > size[1]:
        raise InternalError("The engine's patch does not lie inside the photo.")
    return patch
