"""Where additions are measured, what a model must reach, and how far samples are from scenes."""

import numpy as np
import pytest
import torch

from benchmarks import kid
from benchmarks.measure import Effect
from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter
from training import gates, package, places

SKY, GRASS, WALL, ROOF, DOME, DOOR = (
    CLASSES.index(n) for n in ("sky", "grass", "wall", "roof", "dome", "door")
)


def scene() -> np.ndarray:
    """A house under the sky: wall over grass, a roof upon it."""
    labels = np.full((64, 64), SKY, np.uint8)
    labels[48:] = GRASS
    labels[24:48, 16:48] = WALL
    labels[16:24, 16:48] = ROOF
    return labels


def with_thing(k: int, height: int, width: int) -> np.ndarray:
    labels = scene()
    labels[20 : 20 + height, 20 : 20 + width] = k
    return labels


def test_a_door_goes_into_the_wall_above_the_ground() -> None:
    shape = places.cut_out(with_thing(DOOR, 12, 8), "door")
    assert shape is not None
    stroke = places.plausible(scene(), shape, "door")
    assert stroke is not None
    rows, columns = np.nonzero(stroke[0, 0].numpy())
    assert rows.max() in (46, 47, 48)
    assert columns.min() >= 14
    assert columns.max() <= 49


def test_a_dome_goes_upon_the_roof_against_the_sky() -> None:
    shape = places.cut_out(with_thing(DOME, 8, 16), "dome")
    assert shape is not None
    stroke = places.plausible(scene(), shape, "dome")
    assert stroke is not None
    rows, _ = np.nonzero(stroke[0, 0].numpy())
    assert rows.min() < 16
    assert 13 <= rows.max() <= 24


def test_no_place_is_better_than_a_wrong_one() -> None:
    shape = places.cut_out(with_thing(DOOR, 12, 8), "door")
    assert shape is not None
    meadow = np.full((64, 64), GRASS, np.uint8)
    assert places.plausible(meadow, shape, "door") is None
    assert places.cut_out(with_thing(DOOR, 1, 1), "door") is None
    assert places.cut_out(meadow, "grass") is None


def test_strokes_do_not_lie_where_the_concept_is_already() -> None:
    labels = [with_thing(DOOR, 12, 8), scene(), np.full((64, 64), GRASS, np.uint8)]
    found = places.strokes_for(labels, "door", 5)
    assert {i for i, _ in found} <= {0, 1}
    for i, stroke in found:
        here = labels[i] == DOOR
        assert (stroke[0, 0].numpy() * here).sum() < 0.1 * stroke.sum()


@pytest.mark.parametrize(
    ("effect", "gain", "offered"),
    [
        (Effect("tree", "remove", 3, 0.8, 0.2), 0.75, True),
        (Effect("dome", "remove", 3, 0.8, 0.6), 0.25, False),
        (Effect("tree", "add", 3, 0.1, 0.5), 0.4, True),
        (Effect("door", "add", 3, 0.1, 0.3), 0.2, False),
    ],
)
def test_gates_for_operations(effect: Effect, gain: float, offered: bool) -> None:
    assert gates.gain(effect) == pytest.approx(gain)
    assert gates.offered(effect) == offered


def test_the_table_of_gates_says_what_is_missed() -> None:
    effects = [Effect("tree", "remove", 3, 0.8, 0.2), Effect("tree", "add", 3, 0.1, 0.5)]
    rows = gates.table(effects, 0.98, {"encoder": 22.0, "refined": 23.0, "adapted": 30.0})
    assert {r["gate"]: r["reached"] for r in rows} == {
        "remove tree": True,
        "add tree": False,
        "outside unchanged": True,
        "psnr encoder": True,
        "psnr refined": False,
    }


def test_kid_is_nothing_within_one_distribution_and_grows_with_distance() -> None:
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(400, 16, generator=rng)
    same, near, far = (torch.randn(400, 16, generator=rng) + d for d in (0.0, 0.5, 2.0))
    assert abs(kid.kid(same, real)) < 0.02
    assert abs(kid.kid(same, real)) < kid.kid(near, real) < kid.kid(far, real)


def test_kid_features_tell_pictures_apart() -> None:
    judge = DilatedSegmenter(width=8).eval()
    dark, bright = torch.full((2, 3, 64, 64), -1.0), torch.full((2, 3, 128, 128), 1.0)
    a, b = kid.features(judge, dark), kid.features(judge, bright)
    assert a.shape == b.shape == (2, 64)
    assert torch.allclose(a[0], a[1], atol=1e-5)
    assert not torch.allclose(a, b, atol=1e-2)


def test_measured_again_a_card_says_what_is_offered_now() -> None:
    entry = {
        "name": "dome",
        "units": 8,
        "operations": ["add", "restyle"],
        "remove": {"scenes": 40, "share_before": 0.8, "share_after": 0.7},
        "add_finished": {"scenes": 8, "share_before": 0.0, "share_after": 0.9},
    }
    raw = [Effect("dome", "remove", 20, 0.8, 0.1), Effect("dome", "add", 20, 0.0, 0.1)]
    finished = [Effect("dome", "remove", 4, 0.8, 0.05), Effect("tree", "add", 4, 0.0, 0.9)]
    package.put_figures(entry, raw, finished, None)
    assert entry["operations"] == ["remove", "restyle"]
    assert entry["remove"] == {"scenes": 20, "share_before": 0.8, "share_after": 0.1}
    assert entry["remove_finished"] == {"scenes": 4, "share_before": 0.8, "share_after": 0.05}
    assert entry["units"] == 8
