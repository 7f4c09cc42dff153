"""GIMP documents of every kind: right colours in the right place, and nothing else changed.

The engine is the stub, whose edit is known to the pixel: the negative of the photo, under the
selection.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import Stage

pytestmark = pytest.mark.editors

# What shows the edit alone, or a negative of what is seen; rounding to 8 bits, twice.
ROUNDING = 1.01
PLAIN = [
    "u8",
    "u16",
    "u16_linear",
    "u32_linear",
    "half_linear",
    "float",
    "float_linear",
    "adobe_u8",
    "adobe_u16",
    "gray_u8",
    "gray_u16_linear",
    "offset",
    "small_layer",
    "layer_mask",
    "locks",
    "effect",
]
NESTED = ["group", "locked_group"]
TRANSPARENT = ["alpha", "text"]
ALL = [*PLAIN, *NESTED, *TRANSPARENT, "indexed"]


class Seen(NamedTuple):
    """What a document showed, H×W×4 float, and where the edit was wanted, H×W in [0, 1]."""

    before: np.ndarray
    after: np.ndarray
    alpha: np.ndarray  # of the edited layer alone, 0..255
    mask: np.ndarray
    report: dict[str, Any]


@pytest.fixture(scope="module")
def documents(stub_stage: Stage) -> dict[str, Seen]:
    variables = {"REPORT": "gimp-documents.json"}
    stage = stub_stage
    with stage.start_gimp("gimp-console", "gimp_documents.py", **variables) as gimp:
        assert gimp.wait(600) == 0, (stage.folder / "gimp_documents.log").read_text()[-3000:]
    reports = stage.report("gimp-documents.json")
    return {name: _seen(stage, name, report) for name, report in reports.items()}


def _seen(stage: Stage, name: str, report: dict[str, Any]) -> Seen:
    assert "error" not in report, f"{name}: {report}"
    width, height = report["size"]

    def picture(kind: str, channels: int) -> np.ndarray:
        flat = np.fromfile(stage.folder / f"{name}.{kind}", np.uint8)
        return flat.reshape(height, width, channels).astype(float)

    left, top, across, down = report["layer"]
    on_layer = np.zeros((height, width))
    on_layer[max(top, 0) : max(top + down, 0), max(left, 0) : max(left + across, 0)] = 1
    mask = picture("mask", 1)[..., 0] / 255 * on_layer
    alpha = picture("layer", 4)[..., 3]
    return Seen(picture("before", 4), picture("after", 4), alpha, mask, report)


def edited(seen: Seen) -> np.ndarray:
    """The colours that the edit should give, H×W×3."""
    part = seen.mask[..., None]
    return seen.before[..., :3] * (1 - part) + (255 - seen.before[..., :3]) * part


def test_every_document_was_tried(documents: dict[str, Seen]) -> None:
    assert sorted(documents) == sorted(ALL)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_changed_elsewhere(documents: dict[str, Seen], name: str) -> None:
    seen = documents[name]
    assert (seen.mask > 0.9).sum() > 1000
    elsewhere = (seen.mask == 0) | (seen.alpha == 0)
    np.testing.assert_array_equal(seen.after[elsewhere], seen.before[elsewhere])
    assert seen.report["untouched"]
    # As transparent as before, everywhere: the edit never fills what is see-through.
    np.testing.assert_array_equal(seen.after[..., 3], seen.before[..., 3])


@pytest.mark.parametrize("name", [*PLAIN, *NESTED])
def test_colours_are_right_where_it_is_opaque(documents: dict[str, Seen], name: str) -> None:
    seen = documents[name]
    opaque = (seen.alpha == 255) & (seen.mask > 0)
    assert opaque.sum() > 1000
    error = np.abs(seen.after[..., :3] - edited(seen)).max(2)
    if name.startswith("adobe"):
        # Soft edges are blended in the gamma of the image's profile, which is not quite sRGB's.
        assert error[opaque & (seen.mask < 1)].max() <= 10
        opaque &= seen.mask == 1
    assert error[opaque].max() <= ROUNDING + name.startswith("adobe")


@pytest.mark.parametrize("name", TRANSPARENT)
def test_colours_are_right_where_it_is_see_through(documents: dict[str, Seen], name: str) -> None:
    seen = documents[name]
    chosen = (seen.alpha == 255) & (seen.mask == 1)
    if name == "alpha":
        chosen |= (seen.alpha > 0) & (seen.mask == 1)
        assert ((seen.alpha == 128) & chosen).any()
    assert chosen.sum() > 300
    assert np.abs(seen.after[..., :3] - edited(seen))[chosen].max() <= 2


def test_indexed_images_get_the_nearest_of_their_colours(documents: dict[str, Seen]) -> None:
    seen = documents["indexed"]
    inside = seen.mask == 1
    palette = np.unique(seen.before[..., :3].reshape(-1, 3), axis=0)
    wanted, got = edited(seen)[inside], seen.after[..., :3][inside]
    away = np.abs(got[:, None] - palette[None]).sum(2).min(1)
    assert away.max() == 0  # no colour that was not there
    nearest = np.sqrt(((wanted[:, None] - palette[None]) ** 2).sum(2)).min(1)
    error = np.sqrt(((wanted - got) ** 2).sum(1))
    assert (error - nearest).mean() <= 3  # GIMP measures nearness in its own way


@pytest.mark.parametrize("name", ALL)
def test_layer_is_as_large_as_the_change_and_above(documents: dict[str, Seen], name: str) -> None:
    seen = documents[name]
    rows, columns = np.flatnonzero(seen.mask.any(1)), np.flatnonzero(seen.mask.any(0))
    left, top, width, height = seen.report["box"]
    # Of the part on the canvas; the layer, and so the change, may go on beyond it.
    assert max(left, 0) == columns[0]
    assert max(top, 0) == rows[0]
    assert left + width == columns[-1] + 1
    assert top + height == rows[-1] + 1
    assert seen.report["masked"]
    assert seen.report["above"]
    new_parent, parent = seen.report["parents"]
    assert new_parent == parent == ("inner" if name in NESTED else None)
