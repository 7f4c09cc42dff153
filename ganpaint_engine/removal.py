"""What stands where a thing was: what E sees there once the hole is filled from around it.

The hole is filled in the window's picture by a classical inpainting, which is smooth and smears;
E takes that for something it knows, and the head draws it anew. On rendered scenes whose truth is
known this is less than half as far from it as cells of another picture (docs/comparison.md).

Telea, *An Image Inpainting Technique Based on the Fast Marching Method* (2004).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from ganpaint_engine.encoder import Encoder

TOUCHED = 0.02
"""Share of a window pixel that the stroke must cover for it to be part of the hole."""
LARGEST = 0.5
"""Share of the window that can be filled from around; beyond it little is around."""
RADIUS_PX = 3


@torch.no_grad()
def from_around(encoder: Encoder, x: Tensor, mask: Tensor) -> Tensor | None:
    """r of the window's picture with the stroke filled from around it: 1×C×8×8.

    x: 1×3×R×R in [-1, 1]. mask: the stroke, 1×1×R×R in [0, 1]. None where the stroke covers more
    than LARGEST of the window.
    """
    hole = (mask[0, 0] > TOUCHED).cpu().numpy().astype(np.uint8)
    # The pixels beside the stroke still have something of what is to go.
    hole = cv2.dilate(hole, np.ones((3, 3), np.uint8)).astype(np.uint8)
    if hole.mean() > LARGEST:
        return None
    levels = ((x[0].permute(1, 2, 0).float().cpu().numpy() + 1) * 127.5).round().clip(0, 255)
    picture = np.ascontiguousarray(levels.astype(np.uint8))
    filled = cv2.inpaint(picture, hole, RADIUS_PX, cv2.INPAINT_TELEA).astype(np.float32)
    seen = torch.from_numpy(filled).permute(2, 0, 1)[None].to(x) / 127.5 - 1
    return encoder(seen)
