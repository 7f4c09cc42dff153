"""The benchmark of changes of look: its figures say what they should."""

import numpy as np
import pytest

from benchmarks import looks
from benchmarks.bundled_model import HERE, load_scenes
from ganpaint_engine import wishes
from ganpaint_engine.prior import Prior, load_model
from ganpaint_engine.segmentation import load_judge


@pytest.fixture(scope="module")
def prior() -> Prior:
    return load_model("churches", device="cpu")


@pytest.fixture(scope="module")
def case(prior: Prior) -> looks.Case:
    return next(looks.cases(prior, load_scenes(HERE / "scenes"), 1))


def test_every_case_is_far_from_its_look(prior: Prior) -> None:
    found = list(looks.cases(prior, load_scenes(HERE / "scenes")[:8], 1))
    assert len(found) > 3
    for case in found:
        mean = looks.mean_lab(case.scene.picture, case.thing)
        wished = looks.mean_lab(case.colour[None, None], np.ones((1, 1), bool))
        assert np.linalg.norm((mean - wished)[1:]) > looks.FAR


def test_nothing_done_goes_no_way_and_the_looks_colour_all_of_it(case: looks.Case) -> None:
    judge, before = load_judge(), case.scene.picture
    found = looks.measured(judge, case, before, 1.0)
    assert (found.way, found.beside, found.around) == (0, 0, 0)
    painted = np.where(case.thing[..., None], np.rint(case.colour), before).astype(np.uint8)
    assert looks.measured(judge, case, painted, 1.0).way == pytest.approx(1, abs=0.05)
    spilled = np.where(looks.grown(case.thing)[..., None], np.uint8(9), before)
    found = looks.measured(judge, case, spilled.astype(np.uint8), 1.0)
    assert found.beside > 10
    assert found.around == 0


def test_both_ways_are_tried_and_the_engine_is_left_as_it_was(
    prior: Prior, case: looks.Case
) -> None:
    usual = wishes._tint
    (ways,) = looks.run(prior, [case]).values()
    ours, drawn = ways["ours"][0], ways["drawn"][0]
    assert ours.way > 0.3
    assert ours != drawn
    assert wishes._tint is usual
    assert looks.table({"tree, autumn": ways}).row_count == 2
