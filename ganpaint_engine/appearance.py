"""The looks of a concept: clusters of its conditional activations, named by their colour.

An instance is what one picture shows of a concept: the mean activation of the cells it fills. The
instances are clustered (k-means), each cluster is named after its mean colour (summer, autumn and
blossom trees; copper, gold and stone domes; …), and clusters of one name become one look: light and
shade come from the scene, not from the look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

CLUSTERS = 12
"""Clusters before those of one name are put together: rare looks need one of their own."""

FEWEST = 3
"""Instances that a look must have."""

# Where a look's name lies, sRGB. Compared in CIELAB with lightness at half weight. Paler than the
# things are by themselves: a mean over their pixels holds light, shade and what shows through.
NAMED_LOOKS: dict[str, dict[str, tuple[int, int, int]]] = {
    "tree": {"summer": (80, 100, 55), "autumn": (150, 90, 45), "blossom": (195, 150, 145)},
    "bush": {"green": (80, 100, 55), "autumn": (150, 90, 45), "blossom": (195, 150, 145)},
    "grass": {"fresh": (120, 140, 70), "dry": (180, 150, 100), "snow": (232, 235, 240)},
    "dome": {
        "copper": (150, 178, 162), "gold": (212, 182, 125), "stone": (200, 197, 190),
        "slate": (115, 130, 145), "tile": (200, 150, 128),
    },
    "sky": {
        "clear": (130, 160, 195), "clouded": (165, 168, 172), "sunset": (220, 170, 135),
        "night": (30, 36, 56),
    },
}  # fmt: skip
COLOURS = {
    "white": (235, 233, 228), "grey": (150, 150, 150), "dark": (50, 48, 46),
    "beige": (205, 185, 155), "brown": (125, 90, 60), "red": (175, 75, 60),
    "orange": (215, 140, 75), "yellow": (225, 200, 95), "green": (105, 135, 80),
    "blue": (105, 140, 190), "violet": (130, 95, 150), "pink": (225, 170, 165),
}  # fmt: skip


class Look(NamedTuple):
    """One look of a concept.

    p: C values, mean activation. share: of the instances, 0 to 1. rgb: mean colour, sRGB 0..255.
    """

    name: str
    p: Tensor
    share: float
    rgb: tuple[int, int, int]


def means(r: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """The instances: M×C mean activations over each picture's cells, and their pictures' numbers.

    r: N×C×8×8. where: N×8×8 bools, the cells that hold the concept.
    """
    weight = where[:, None].to(r.dtype)
    total = weight.sum((1, 2, 3))
    index = torch.nonzero(total > 0).flatten()
    return ((r * weight).sum((2, 3))[index] / total[index, None]), index


def clusters(instances: Tensor, count: int) -> tuple[Tensor, np.ndarray]:
    """Centres of ``count`` clusters of M×C instances, the most common first, and M labels."""
    count = min(count, len(instances))
    data = instances.cpu().numpy().astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    cv2.setRNGSeed(0)
    _, labels, centres = cv2.kmeans(data, count, None, criteria, 5, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    order = np.argsort(-np.bincount(labels.ravel(), minlength=count), kind="stable")
    return torch.from_numpy(centres[order]).to(instances), np.argsort(order)[labels.ravel()]


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """…×3 sRGB values in [0, 255] to CIELAB."""
    flat = np.asarray(rgb, np.float32).reshape(1, -1, 3) / 255
    return cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(np.shape(rgb))


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """…×3 CIELAB values to sRGB in [0, 255]; colours that sRGB lacks are clipped."""
    flat = np.asarray(lab, np.float32).reshape(1, -1, 3)
    return np.clip(cv2.cvtColor(flat, cv2.COLOR_LAB2RGB), 0, 1).reshape(np.shape(lab)) * 255


def name_of(concept: str, rgb: np.ndarray) -> str:
    """What a concept of that mean colour (3 sRGB values) is called: ``autumn``, ``copper``…"""
    known = NAMED_LOOKS.get(concept, COLOURS)
    weight = np.array([0.5, 1, 1], np.float32)
    places = to_lab(np.array(list(known.values()))) * weight
    distance = np.linalg.norm(places - to_lab(rgb) * weight, axis=1)
    return list(known)[int(distance.argmin())]


def meant(concept: str, name: str, rgb: Sequence[int]) -> np.ndarray:
    """The colour that a look should have, 3 sRGB values: halfway from what was measured to what its
    name says, for a mean over a thing's cells is paled by what shows through, and has its scenes'
    light."""
    said = NAMED_LOOKS.get(concept, COLOURS).get(name)
    places = [to_lab(np.array(one)) for one in ((rgb,) if said is None else (rgb, said))]
    return to_rgb(np.mean(places, axis=0))


def mean_colours(pictures: Tensor, present: Tensor) -> np.ndarray:
    """The mean colour under a concept in each picture: N×3, sRGB 0..255; 0 where it is absent.

    pictures: N×3×S×S in [-1, 1]. present: N×S×S in {0, 1}.
    """
    size = pictures.shape[-2:]
    weight = F.interpolate(present[:, None].float(), size=size, mode="nearest")
    total = weight.sum((2, 3)).clamp(min=1)
    return (((pictures + 1) * 127.5 * weight).sum((2, 3)) / total).cpu().numpy()


def looks(
    concept: str, r: Tensor, where: Tensor, colours: np.ndarray, count: int = CLUSTERS
) -> list[Look]:
    """The looks of a concept, the most common first; none where it is seen too seldom.

    r: N×C×8×8. where: N×8×8 bools, its cells. colours: N×3, its mean colour in each picture.
    """
    instances, index = means(r, where)
    if len(instances) < 2 * FEWEST:
        return []
    _, labels = clusters(instances, count)
    rgb = colours[index.cpu().numpy()]
    groups: dict[str, list[int]] = {}
    for k in np.unique(labels):
        members = np.flatnonzero(labels == k)
        groups.setdefault(name_of(concept, rgb[members].mean(0)), []).extend(members.tolist())
    found = []
    for name, members_of in groups.items():
        if len(members_of) >= FEWEST:
            red, green, blue = (round(float(v)) for v in rgb[members_of].mean(0))
            share = len(members_of) / len(instances)
            found.append(Look(name, instances[members_of].mean(0), share, (red, green, blue)))
    return sorted(found, key=lambda look: -look.share)
