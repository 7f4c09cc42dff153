"""A change of look in the photo's own pixels: leaves, blades and clouds stay, their colours move.

What the head draws of another look is soft and reaches beyond the thing, and of pictures that it
does not know it draws stains. So a look whose colour is known is given to the photo itself:

    new content = X + M · (shifted(X) - X)

M, the matte, says which pixels are the thing's: E tells it of the grid's cells, and of the pixels
within them the colours do, by how much commoner each is under the stroke than right beside it.
``shifted`` moves colours in CIELAB: the mean of the thing's to the look's, in the photo's light.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine.appearance import to_lab, to_rgb

BINS = 32
"""Of each colour channel, in which colours are counted."""
SPREAD = 1.2
"""σ of what a colour counts for its neighbours, in bins."""
SELDOM = 2e-6
"""Share of the pixels that is added to all colours: what is seen nowhere says nothing."""
BESIDE, FARTHER = 0.06, 0.02
"""σ, in widths of the window, within which what is beside the stroke tells what is not the thing;
and what the rest of the window counts for that, to what touches the stroke."""
COMMON, MOST_COMMON = 0.9, 2.5
"""b is what p(c | under) / p(c | beside) is at most for so many of the pixels beside the stroke,
and at most the second."""
LEAST_OWN, MOST_OWN = 0.1, 0.8
"""Share of a colour's pixels that must be the thing's for some of it to count, and for all."""
LEAST_WORD, MOST_WORD = 0.2, 0.8
"""The same of how much of the thing E sees in a cell."""
UNSEEN = 0.8
"""How much of what only the thing's colour tells is believed, where E sees nothing of it."""
SMOOTHED, GRAIN = 3, 12.0
"""How far the photo's pixels are smoothed in the matte, and standard deviation of what is no edge
there, in levels of 255."""
FEW = 0.2
"""What E sees of the thing is enlarged to 1 under the stroke, but not from less than that: what a
person selected is likely there."""
OWN = 0.6
"""How much of a hue that is not the thing's a pixel keeps."""
MOST_SHARE = 2.0
"""Most that a pixel's colour can be of the thing's mean colour."""
PALE = 10.0
"""Chroma, in CIELAB, below which a thing's mean has hardly a hue."""
USUAL_LIGHT = 60.0
"""Mean CIELAB lightness of the scenes that looks were measured in."""
LEAST_REST = 0.1
"""Share of the window that must be left around a thing to tell the light by."""
BRIGHTER = 0.4, 2.5
"""Least and most that lightness is multiplied with."""


class Tint(NamedTuple):
    """The look that is wished: its mean colour, three levels of 255, sRGB; and those of the looks
    that the thing may have now, N×3. Of none, the colour is meant as it is, else for the light that
    pictures have on average."""

    colour: np.ndarray
    known: np.ndarray


class Recolouring(NamedTuple):
    """What is to be changed: to which look; how much of the thing the window's pixels hold by E,
    R×R in [0, 1]; how far the colour goes, 1: to the look's; and how much it weighs, R×R in
    [0, 1]."""

    tint: Tint
    there: np.ndarray
    far: float
    weight: np.ndarray


def asked(tint: Tint, presence: Tensor, mask: Tensor, strength: float) -> Recolouring:
    """A change of what is under a stroke.

    presence: of the thing by E, 1×1×8×8 in [0, 1]. mask: the stroke, 1×1×R×R in [0, 1]. strength:
    up to 1, how much of the change is seen; beyond it, how far past the look's colour it goes.
    """
    stroke = mask[0, 0].float().cpu().numpy()
    under = presence * (F.adaptive_max_pool2d(mask, presence.shape[-1]) > 0)
    there = (presence / under.max().clamp(min=FEW)).clamp(max=1)[0, 0].float().cpu().numpy()
    there = cv2.resize(there, stroke.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return Recolouring(tint, np.asarray(there), max(strength, 1.0), stroke * min(strength, 1.0))


class Change(NamedTuple):
    """How pixels change, as learned from the window. own: BINS³ in [0, 1], by red, green, blue: how
    much of a colour is the thing's. word: E's of the pixels, R×R in [0, 1]. weight: R×R in [0, 1].
    mean: the thing's, CIELAB. lighter: what its lightness is multiplied with. chroma: its a* and
    b* then."""

    own: Tensor
    word: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    lighter: float
    chroma: np.ndarray


def learned(seen: np.ndarray, wish: Recolouring) -> Change | None:
    """What is to be changed, and how; None where nothing of the thing is under the stroke.

    seen: what the window shows, R×R×3 levels of 255.
    """
    word = _ramp(wish.there, LEAST_WORD, MOST_WORD)
    own = _own(seen, wish, word)
    weight = np.clip(wish.weight, 0, 1) * _joined(word, _looked_up(own, seen))
    if weight.sum() < 1:
        return None
    lab = to_lab(seen)
    mean = (lab * weight[..., None]).sum((0, 1)) / weight.sum()
    rest = 1 - weight
    around = float((lab[..., 0] * rest).sum() / rest.sum()) if rest.mean() > LEAST_REST else None
    return Change(own, word, wish.weight, mean, *_shift(mean, around, wish.tint, wish.far))


def _own(seen: np.ndarray, wish: Recolouring, word: np.ndarray) -> Tensor:
    """How much of each colour c under the stroke is the thing's, BINS³ in [0, 1], by Bayes

        1 - b · p(c | beside) / p(c | under),

    b the share, under the stroke, of what is beside it too: that of the colours which the two have
    in common, or more, where what is farther away makes them look rarer beside it than they are.
    """
    stroke = np.clip(wish.weight / max(float(wish.weight.max()), 1e-6), 0, 1)
    near = cv2.GaussianBlur(stroke, (0, 0), BESIDE * len(stroke))
    near = (near / max(float(near.max()), 1e-6) + FARTHER) * (1 - stroke) * (1 - word)
    under = _counted(seen, wish.weight * wish.there) + SELDOM
    beside = _counted(seen, near) + SELDOM
    ratio = under / beside
    if near.sum() < 1:
        b = 0.0
    else:
        found = _looked_up(torch.from_numpy(ratio), seen).ravel()
        order = np.argsort(found)
        total = np.cumsum(near.ravel()[order])
        last = min(int(np.searchsorted(total, COMMON * total[-1])), len(order) - 1)
        b = min(float(found[order[last]]), MOST_COMMON)
    return torch.from_numpy(_ramp(1 - b / ratio, LEAST_OWN, MOST_OWN))


def belonging(seen: np.ndarray, there: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How likely a pixel's colour is the thing's, S×S in [0, 1]: the share of the window's pixels
    of that colour which are where E sees the thing. seen: S×S×3 levels of 255. there: S×S in
    [0, 1]. known: S×S in {0, 1}, the pixels that are counted."""
    inside, outside = there * known, (1 - there) * known
    share = float(inside.sum()) / max(float(known.sum()), 1.0)
    own, others = share * _counted(seen, inside), (1 - share) * _counted(seen, outside)
    return _looked_up(torch.from_numpy((own / (own + others + SELDOM)).astype(np.float32)), seen)


def _joined(word: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Whether pixels are the thing's, in [0, 1], by E's word and by their colour."""
    return np.asarray(own * (word + (1 - word) * UNSEEN * own**2))


def matte(change: Change, pixels: np.ndarray, word: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """M of some pixels, h×w in [0, 1]. pixels: h×w×3 levels of 255. word, weight: the change's,
    there, h×w. What lies within 2·SMOOTHED of a pixel counts too."""
    own = _smoothed(_looked_up(change.own, pixels), pixels.mean(2))
    return np.asarray(np.clip(weight, 0, 1) * _joined(np.clip(word, 0, 1), own))


def _smoothed(values: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Values in [0, 1] without specks, but with the edges of a guide: h×w, levels of 255 (the
    guided filter of He et al.). Neighbours of one colour and its grain are one thing."""
    size = (2 * SMOOTHED + 1,) * 2
    means = {
        name: cv2.boxFilter(picture, -1, size, borderType=cv2.BORDER_REFLECT)
        for name, picture in {
            "guide": guide, "values": values, "both": guide * values, "square": guide * guide
        }.items()
    }  # fmt: skip
    slope = means["both"] - means["guide"] * means["values"]
    slope /= means["square"] - means["guide"] ** 2 + GRAIN**2
    rest = means["values"] - slope * means["guide"]
    slope, rest = (cv2.boxFilter(p, -1, size, borderType=cv2.BORDER_REFLECT) for p in (slope, rest))
    return np.asarray(np.clip(slope * guide + rest, 0, 1))


def shifted(change: Change, pixels: np.ndarray) -> np.ndarray:
    """Pixels of the thing, h×w×3 levels of 255, in their new colours.

    A pixel's a* and b* are taken as so much of the thing's mean, and the rest; of these the first
    becomes as much of the look's. What is grey between green leaves stays grey.
    """
    lab, mean = to_lab(np.clip(pixels, 0, 255)), change.mean[1:]
    own = lab[..., 1:]
    share = (own @ mean + PALE**2) / (mean @ mean + PALE**2)
    share = np.clip(share, 0, MOST_SHARE)[..., None]
    lab[..., 1:] = OWN * (own - share * mean) + share * change.chroma
    lab[..., 0] = np.clip(lab[..., 0] * change.lighter, 0, 100)
    return to_rgb(lab)


def _shift(
    mean: np.ndarray, around: float | None, tint: Tint, far: float
) -> tuple[float, np.ndarray]:
    """What lightness is to be multiplied with, and the mean a* and b* then.

    In a dark picture all looks are dark. How dark it is, the thing tells, by its lightness and that
    of the look which it seems to have, and the lightness of what is around it (None: nothing is):
    their geometric mean. Colours are as strong as goes with the lightness.
    """
    colour = to_lab(tint.colour)
    light = 1.0
    if len(tint.known):
        looks = to_lab(tint.known)
        apart = np.linalg.norm((looks - mean) * np.array([0.5, 1, 1], np.float32), axis=1)
        by_thing = mean[0] / max(looks[int(apart.argmin()), 0], 1.0)
        light = by_thing if around is None else math.sqrt(by_thing * around / USUAL_LIGHT)
    lighter = float(np.clip(light * colour[0] / max(mean[0], 1.0), *BRIGHTER)) ** far
    lit = min(lighter * mean[0] / max(colour[0], 1.0), 1.0)
    return lighter, mean[1:] + far * (colour[1:] * lit - mean[1:])


def _counted(seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How common each colour is, BINS³ that sum to 1; R×R weights say how much a pixel counts."""
    bins = np.rint(np.clip(seen, 0, 255) * ((BINS - 1) / 255)).astype(np.int64).reshape(-1, 3)
    number = (bins[:, 0] * BINS + bins[:, 1]) * BINS + bins[:, 2]
    counts = np.bincount(number, weight.ravel(), BINS**3).reshape(BINS, BINS, BINS)
    away = np.arange(BINS)[:, None] - np.arange(BINS)
    blur = np.exp(-0.5 * (away / SPREAD) ** 2)
    counts = np.einsum("ai,bj,ck,ijk->abc", *3 * [blur], counts, optimize=True)
    return counts.astype(np.float32) / max(float(counts.sum()), 1e-9)


def _looked_up(table: Tensor, pixels: np.ndarray) -> np.ndarray:
    """The values of a table of colours (BINS³) for pixels, h×w×3 levels of 255: h×w."""
    colours = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1], np.float32))
    found = F.grid_sample(
        *(table[None, None], colours[None, None] / 127.5 - 1),
        padding_mode="border",
        align_corners=True,
    )
    return found[0, 0, 0].numpy()


def _ramp(x: np.ndarray, least: float, most: float) -> np.ndarray:
    """From 0, up to ``least``, smoothly to 1, from ``most`` on."""
    t = np.clip((x - least) / (most - least), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
