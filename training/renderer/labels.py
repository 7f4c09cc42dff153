"""The classes of the label maps, and what can be toggled in a scene."""

from __future__ import annotations

# The first eleven are ``ganpaint_engine.segmentation.CLASSES``, in the same order.
LABELS = (
    "sky", "grass", "tree", "wall", "roof", "dome", "door", "window", "path", "hill", "bush",
    "cloud", "stairs",
)  # fmt: skip

# sRGB, for sheets to look at.
COLOURS = (
    (140, 190, 235), (110, 170, 60), (30, 100, 40), (205, 185, 150), (165, 70, 50),
    (220, 170, 40), (110, 60, 150), (50, 70, 160), (170, 170, 170), (120, 140, 110),
    (150, 200, 90), (245, 245, 255), (225, 120, 190),
)  # fmt: skip

# Elements that a scene can be given or denied, all else equal.
ELEMENTS = (
    "trees", "bushes", "dome", "door", "windows", "stairs", "chimney", "path", "hill",
    "neighbours", "clouds", "blades",
)  # fmt: skip
