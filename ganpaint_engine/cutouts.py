"""Cutouts: what exemplars look like in pixels, beyond what the head can draw of them.

G(r) draws a picture softly; what it misses is the residual X - G(r). Where an edit leaves the photo
alone, ``paste`` carries the photo's own residual over. A new thing has none there, but the exemplar
that it follows has: so a package may keep each exemplar's thing, cut out of its picture, and

    new content = M · (X_ex + tone) + (1 - M) · X,    tone = smooth part of (y_e - X_ex) under M

with M the thing's opacity. G' says in which light the thing is (the tone), its picture what it is
made of, and between its leaves the photo itself shows. Everything is laid out in the window: boxes
are (x0, y0, x1, y1) in shares of its side, and may reach beyond it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine.encoder import GRID
from ganpaint_engine.errors import DamagedModel

LARGEST_PX = 512
"""Longest side of a cutout that a package may hold."""
SCALED = 0.6, 1.6
"""How much smaller or larger than in its own picture a thing may be drawn."""
STRETCHED = 1.25
"""How much more it may be stretched along one side than along the other."""
SMOOTH = 0.06
"""σ of the tone, as a share of the window's side."""
INSIDE = 0.02
"""σ of what decides what is inside a thing, likewise."""
MOST_TONE = 12.0
"""Most that it changes a colour, in levels of 255: a head that draws a door pale is not right."""
FAINT = 0.05
"""Share of inside around a place at which the tone is halved."""
WARMEST = 1.6
"""Most that a thing is brightened, or darkened, to the photo's light."""

WARPED = 0.9
"""Smallest scale at which a cutout's pixels are warped as they are."""
BESIDE_PX = 4
"""Rows beside those that are seen which a pixel can depend on."""

Frame = tuple[float, float, float, float]


class Cutout(NamedTuple):
    """A thing: h×w×4 uint8 sRGB, straight alpha; its box in the window; and the mean colour of
    what was around it in its picture, three levels of 255."""

    rgba: np.ndarray
    box: Frame
    around: np.ndarray


@dataclass(frozen=True)
class Cutouts:
    """The cutouts of a library, compressed: only those that are used are ever decoded.

    data: bytes, one WebP picture after another (uint8). ends: where each ends, N. boxes: N×4.
    around: N×3. held: N×8×8, the share of each cell that the thing fills. kinds: N, the number of
    the concept that each exemplar was chosen for.
    """

    data: Tensor
    ends: Tensor
    boxes: Tensor
    around: Tensor
    held: Tensor
    kinds: Tensor

    NAMES = ("data", "ends", "boxes", "around", "held", "kinds")

    def tensors(self) -> dict[str, Tensor]:
        """As a package's file has them."""
        return {name: getattr(self, name) for name in self.NAMES}

    def check(self, count: int) -> None:
        """Raises ValueError unless all of it is there for ``count`` exemplars, and sound."""
        shapes = {
            "data": (len(self.data.flatten()),),
            "ends": (count,),
            "boxes": (count, 4),
            "around": (count, 3),
            "held": (count, GRID, GRID),
            "kinds": (count,),
        }
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"cutouts: {name} should be {shape}")
        ends = [0, *self.ends.tolist()]
        wide = (self.boxes[:, 2:] - self.boxes[:, :2]).amin() if count else torch.ones(())
        if ends != sorted(ends) or ends[-1] > len(self.data) or not bool(wide > 1e-3):
            raise ValueError("cutouts: places that cannot be")
        if self.data.dtype != torch.uint8 or not all(
            bool(getattr(self, name).isfinite().all()) for name in ("boxes", "around", "held")
        ):
            raise ValueError("cutouts: numbers that cannot be")

    def to(self, device: torch.device) -> Cutouts:
        """``held`` and ``kinds`` on ``device``, where exemplars are chosen by them."""
        moved = {"held": self.held.to(device), "kinds": self.kinds.to(device)}
        return Cutouts(**{**self.tensors(), **moved})

    def cutout(self, number: int, shift: tuple[int, int] = (0, 0)) -> Cutout:
        """The thing of one exemplar, moved by (rows, columns) of the grid. Raises DamagedModel."""
        start = int(self.ends[number - 1]) if number else 0
        data = self.data[start : int(self.ends[number])].numpy().tobytes()
        try:
            with Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
                if max(picture.size) > LARGEST_PX:
                    raise ValueError(f"{picture.size} px")
                rgba = np.asarray(picture.convert("RGBA"))
        except (OSError, ValueError, SyntaxError) as error:
            raise DamagedModel(f"Cutout {number} cannot be read: {error}.") from error
        dy, dx = shift[0] / GRID, shift[1] / GRID
        x0, y0, x1, y1 = (float(v) for v in self.boxes[number])
        return Cutout(rgba, (x0 + dx, y0 + dy, x1 + dx, y1 + dy), self.around[number].numpy())


def pack(cutouts: Sequence[Cutout], held: Tensor, kinds: Sequence[int], quality: int) -> Cutouts:
    """A library's cutouts. held, kinds: as in ``Cutouts``."""
    files = []
    for one in cutouts:
        out = io.BytesIO()
        Image.fromarray(one.rgba).save(out, "WEBP", quality=quality, method=6, alpha_quality=80)
        files.append(np.frombuffer(out.getvalue(), np.uint8))
    return Cutouts(
        torch.from_numpy(np.concatenate(files)),
        torch.tensor(np.cumsum([len(file) for file in files]), dtype=torch.int32),
        torch.tensor([one.box for one in cutouts], dtype=torch.float32),
        torch.tensor(np.array([one.around for one in cutouts]), dtype=torch.float32),
        held,
        torch.tensor(list(kinds), dtype=torch.int32),
    )


def fitted(cutout: Cutout, stroke: np.ndarray) -> Cutout:
    """The cutout in the box of a stroke (R×R in [0, 1]): standing on its lower edge, in its middle,
    as large as fits, hardly stretched, and not much larger or smaller than it was."""
    on = stroke >= 0.5 * stroke.max()
    rows, columns = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
    side, (x0, y0, x1, y1) = len(stroke), cutout.box
    width, height = (columns[-1] + 1 - columns[0]) / side, (rows[-1] + 1 - rows[0]) / side
    wide, high = (float(np.clip(s, *SCALED)) for s in (width / (x1 - x0), height / (y1 - y0)))
    least = min(wide, high)
    wide, high = min(wide, least * STRETCHED) * (x1 - x0), min(high, least * STRETCHED) * (y1 - y0)
    middle, bottom = (columns[0] + columns[-1] + 1) / 2 / side, (rows[-1] + 1) / side
    return cutout._replace(box=(middle - wide / 2, bottom - high, middle + wide / 2, bottom))


def lit(cutout: Cutout, around: np.ndarray, share: float) -> Cutout:
    """The cutout in the light of the photo: as much brighter, and of another cast, as what is
    around it is (three levels of 255), by ``share`` of that."""
    gain = (np.maximum(around, 4) / np.maximum(cutout.around, 4)) ** share
    gain = np.clip(gain, 1 / WARMEST, WARMEST)
    rgba = cutout.rgba.copy()
    rgba[..., :3] = np.clip(np.rint(rgba[..., :3] * gain), 0, 255)
    return cutout._replace(rgba=rgba)


def drawn(cutout: Cutout, side: int, part: tuple[int, int, int, int]) -> np.ndarray:
    """A rectangle (x0, y0, x1, y1 in px) of a window of ``side`` px with the cutout in it: h×w×4
    float32, colours in levels of 255, not weighed by the opacity, which is in [0, 1]."""
    height, width = cutout.rgba.shape[:2]
    x0, y0, x1, y1 = (v * side for v in cutout.box)
    across, down = (x1 - x0) / width, (y1 - y0) / height
    shrink, rgba = max(across, down), cutout.rgba
    if shrink >= WARPED:  # the rows alone that are seen: windows are drawn strip by strip
        first = int(np.clip((part[1] - y0) // down - BESIDE_PX, 0, height))
        last = int(np.clip((part[3] - y0) // down + BESIDE_PX + 1, 0, height))
        if first >= last:
            return np.zeros((part[3] - part[1], part[2] - part[0], 4), np.float32)
        rgba, y0 = rgba[first:last], y0 + first * down
    opacity = rgba[..., 3:].astype(np.float32) / 255
    source: np.ndarray = np.concatenate([rgba[..., :3] * opacity, opacity], axis=2)
    if shrink < WARPED:  # averaged first: warping samples
        size = max(round(width * across), 1), max(round(height * down), 1)
        source = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA))
        across, down = (x1 - x0) / size[0], (y1 - y0) / size[1]
    # The middles of pixels agree, not their corners.
    moved = np.array(
        [
            [across, 0, x0 - part[0] + across / 2 - 0.5],
            [0, down, y0 - part[1] + down / 2 - 0.5],
        ]
    )
    size = part[2] - part[0], part[3] - part[1]
    out = cv2.warpAffine(source.astype(np.float32), moved, size, flags=cv2.INTER_CUBIC)
    alpha = np.clip(out[..., 3:], 0, 1)
    out[..., :3] = np.clip(out[..., :3] / np.maximum(out[..., 3:], 1e-3), 0, 255)
    return np.concatenate([out[..., :3], alpha], axis=2)


def tone(cutout: Cutout, y_e: np.ndarray) -> np.ndarray:
    """What to add to the cutout for it to have the smooth colours of y_e (R×R×3, levels of 255):
    R×R×3."""
    side = len(y_e)
    picture = drawn(cutout, side, (0, 0, side, side))
    # The inside alone: where leaves are few, what the head drew is half what was behind them.
    inside = cv2.GaussianBlur(picture[..., 3], (0, 0), INSIDE * side)
    weight = np.clip(2 * inside - 1, 0, 1) * picture[..., 3] + 1e-4
    sigma = SMOOTH * side
    gap = cv2.GaussianBlur((y_e - picture[..., :3]) * weight[..., None], (0, 0), sigma)
    gap = gap / (cv2.GaussianBlur(weight, (0, 0), sigma) + FAINT)[..., None]
    return np.clip(gap, -MOST_TONE, MOST_TONE)


def contrast(cutout: Cutout) -> float:
    """Contrast of its finest octave where it is opaque, a standard deviation in levels of 255."""
    grey = cutout.rgba[..., :3].astype(np.float32).mean(2)
    height, width = grey.shape
    half = cv2.resize(grey, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
    band = grey - cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
    opaque = cv2.erode((cutout.rgba[..., 3] > 230).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return float(band[opaque].std()) if opaque.any() else 0.0


def pixels_across(cutout: Cutout) -> int:
    """How many px a window would have whose px are as large as the cutout's."""
    x0, _, x1, _ = cutout.box
    return max(round(cutout.rgba.shape[1] / (x1 - x0)), 1)
