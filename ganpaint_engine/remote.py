"""An edit done by a running engine, here or on another machine. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ganpaint_engine.client import Client
from ganpaint_engine.errors import EngineUnreachable, InternalError
from ganpaint_engine.layers import Patch, lay_over

SILENCE = 60.0
"""Seconds without news of a job after which the engine counts as lost; it speaks every second."""


@dataclass(frozen=True)
class RemoteEdit:
    """As session.Edit: the photo with the edit, the patch (RGBA) and its offset, name, report."""

    name: str
    image: Image.Image
    patch: Image.Image
    offset: tuple[int, int]
    report: dict[str, Any]


def edit(
    client: Client,
    picture: Image.Image,
    mask: Image.Image,
    on_step: Callable[[float, str], None],
    on_warnings: Callable[[Sequence[str]], None] = lambda sentences: None,
    **wish: Any,
) -> RemoteEdit:
    """Have ``picture`` (RGB or RGBA, sRGB) edited under ``mask`` ("L").

    ``wish``: concept, operation, strength, seed, quality, model… as Client.submit takes them.
    Raises what Client.submit and Client.events raise.
    """
    pixels = np.asarray(picture)
    job = client.submit(pixels, np.asarray(mask), **wish)
    for event in client.events(job, timeout=SILENCE):
        if event.type == "queued":
            on_step(0.0, "queued" if event.position == 0 else f"{event.position} ahead")
        elif event.type == "progress":
            on_step(event.fraction, event.stage)
            if event.warnings:
                on_warnings(event.warnings)
        elif event.type == "result" and event.patch is not None:
            alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
            patch = _checked(Patch(event.patch, *event.offset), picture.size)
            image = Image.fromarray(lay_over(pixels[..., :3], alpha, patch))
            return RemoteEdit(
                event.name, image, Image.fromarray(event.patch), event.offset, event.report
            )
    raise EngineUnreachable("The engine sent no result.")


def _checked(patch: Patch, size: tuple[int, int]) -> Patch:
    """Raises InternalError for a patch that does not lie inside a photo of ``size`` px."""
    height, width = patch.rgba.shape[:2]
    if min(patch.x, patch.y) < 0 or patch.x + width > size[0] or patch.y + height > size[1]:
        raise InternalError("The engine's patch does not lie inside the photo.")
    return patch
