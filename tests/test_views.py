"""Views: whole things in large scenes, cut out for a package's exemplars."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganpaint_engine import cutouts
from ganpaint_engine.segmentation import CLASSES
from training import views

SIDE = 256


def scene(folder: Path) -> Path:
    """A wall with a blue door, a tree cut off by the border and one that is whole."""
    picture = np.full((SIDE, SIDE, 3), 150, np.uint8)
    labels = np.full((SIDE, SIDE), CLASSES.index("wall"), np.uint8)
    for name, colour, (y0, y1, x0, x1) in (
        ("door", (20, 30, 200), (100, 180, 60, 100)),
        ("tree", (10, 120, 20), (60, 140, 0, 40)),
    ):
        picture[y0:y1, x0:x1], labels[y0:y1, x0:x1] = colour, CLASSES.index(name)
    y, x = np.mgrid[:SIDE, :SIDE]
    crown = np.abs(y - 110) / 60.0 + np.abs(x - 180) / 30.0 < 1
    picture[crown], labels[crown] = (10, 120, 20), CLASSES.index("tree")
    for kind, image in (("pictures", picture), ("labels", labels)):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(image).save(folder / kind / "000000.png")
    return folder


class Pooled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 8)


def test_whole_things_are_found_and_cut_out(tmp_path: Path) -> None:
    found = views.choose([scene(tmp_path)], ("tree", "door"), 5, 64)
    assert [view.name for view in found] == ["tree", "door"], "no tree that is cut off"
    tree, door = found
    for view in found:
        x0, y0, x1, y1 = view.cutout.box
        assert min(x0, y0) >= 0
        assert max(x1, y1) <= 1
        assert views.FILLS[0] * 0.9 <= max(x1 - x0, y1 - y0) <= views.FILLS[1] * 1.3
        assert np.abs(view.cutout.around - (150, 150, 150)).max() < 40
    assert tree.cutout.rgba[0, 0, 3] == 0, "slanted"
    assert (tree.cutout.rgba[..., :3][tree.cutout.rgba[..., 3] > 250] == (10, 120, 20)).all()
    # A door comes with its frame, which the labels count as wall.
    blue = (door.cutout.rgba[..., 2] > 180).mean()
    assert 0.5 < blue < 0.95
    assert (door.cutout.rgba[-1, door.cutout.rgba.shape[1] // 2, :3] == (20, 30, 200)).all()


def test_a_library_says_where_each_thing_is(tmp_path: Path) -> None:
    names = ("tree", "door")
    found = views.choose([scene(tmp_path)], names, 5, 64)
    library = views.library(found, Pooled(), names)  # type: ignore[arg-type]
    assert library.r.shape == (2, 3, 8, 8)
    assert library.shares.shape == (2, 2, 8, 8)
    assert library.cutouts is not None
    library.cutouts.check(2)
    assert library.cutouts.kinds.tolist() == [0, 1]
    for n, view in enumerate(found):
        again = library.cutouts.cutout(n)
        assert again.rgba.shape == view.cutout.rgba.shape
        drawn = cutouts.drawn(again, 64, (0, 0, 64, 64))[..., 3]
        assert abs(float(library.cutouts.held[n].mean()) - drawn.mean()) < 0.02
