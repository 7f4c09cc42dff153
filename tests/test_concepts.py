import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganpaint_engine import concepts
from ganpaint_engine.concepts import Concept
from ganpaint_engine.errors import UnknownVariant

C = 6


def concept() -> Concept:
    p = torch.arange(C, dtype=torch.float) + 1
    return Concept("tree", torch.tensor([0, 1]), torch.tensor([4]), p, torch.stack([p * 2, p * 3]))


def stroke(*cells: tuple[int, int], value: float = 1.0) -> torch.Tensor:
    u = torch.zeros(1, 1, 8, 8)
    for y, x in cells:
        u[0, 0, y, x] = value
    return u


def test_add_follows_the_formula() -> None:
    r = torch.randn(1, C, 8, 8)
    out = concepts.add(r, stroke((2, 3), value=0.25), concept())
    for u in (0, 1, 4):
        want = 0.75 * r[0, u, 2, 3] + 0.25 * concept().p[u]
        assert out[0, u, 2, 3] == pytest.approx(float(want), abs=1e-6)
    untouched = out != r
    untouched[0, [0, 1, 4], 2, 3] = False
    assert not untouched.any(), "other units and other cells are left alone"


def test_strength_weighs_up_to_one_and_drives_beyond() -> None:
    r, u, c = torch.zeros(1, C, 8, 8), stroke((0, 0)), concept()
    assert concepts.add(r, u, c, 0.5)[0, 1, 0, 0] == pytest.approx(0.5 * 2)
    assert concepts.add(r, u, c, 1.5)[0, 1, 0, 0] == pytest.approx(1.5 * 2)


def test_seed_picks_a_variant_and_zero_is_the_mean() -> None:
    c = concept()
    assert torch.equal(c.appearance(0), c.p)
    assert torch.equal(c.appearance(1), c.variants[0])
    assert torch.equal(c.appearance(4), c.variants[1])


def test_named_looks_are_the_seeds_in_order() -> None:
    c = dataclasses.replace(concept(), looks=("summer", "autumn"))
    assert torch.equal(c.look("autumn"), c.appearance(2))
    assert concept().variant_names == ("1", "2")
    with pytest.raises(UnknownVariant):
        c.look("winter")


def test_an_added_look_replaces_the_mean() -> None:
    out = concepts.add(torch.zeros(1, C, 8, 8), stroke((0, 0)), concept(), look=torch.full((C,), 7))
    assert out[0, [0, 1, 4], 0, 0].tolist() == [7, 7, 7]


def test_named_strengths_take_more_units_to_higher_quantiles() -> None:
    c = dataclasses.replace(
        concept(), ranking=torch.tensor([0, 1, 3, 2, 4]), levels=torch.arange(3.0 * C).view(3, C)
    )
    low, high = c.at("low"), c.at("high")
    assert low.units.tolist() == [0, 1, 3, 2]
    assert low.rivals.tolist() == [4]
    assert high.units.tolist() == [0, 1, 3, 2, 4]
    assert high.rivals.tolist() == [], "a unit is not both"
    assert torch.equal(high.p, c.levels[2])
    assert concept().at("high").units.tolist() == [0, 1], "packages without levels still answer"


def test_restyle_moves_the_look_and_keeps_what_differs_from_cell_to_cell() -> None:
    r = torch.zeros(1, C, 8, 8)
    r[0, :2, 2:4, 2:4] = concept().p[:2].view(2, 1, 1)
    r[0, 5, 2:4, 2:4] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    look = torch.arange(C, dtype=torch.float) * 10
    out = concepts.restyle(r, torch.ones(1, 1, 8, 8), concept(), look)
    here = out[0, :, 2:4, 2:4]
    assert torch.allclose(here.mean((1, 2)), look, atol=1e-4)
    assert torch.allclose(here[5] - here[5].mean(), r[0, 5, 2:4, 2:4] - 2.5, atol=1e-4)
    out[0, :, 2:4, 2:4] = r[0, :, 2:4, 2:4]
    assert torch.equal(out, r), "cells without the concept are left alone, stroke or not"


def test_restyle_to_the_look_it_has_changes_nothing() -> None:
    r = torch.rand(1, C, 8, 8) + 1
    c = concept()
    whole = torch.ones(1, 1, 8, 8)
    here = concepts.mean_over(r, whole * concepts.presence(r, c)).flatten()
    assert torch.allclose(concepts.restyle(r, whole, c, here), r, atol=1e-5)


def test_remove_silences_the_units_and_takes_the_rest_from_around() -> None:
    r = torch.full((1, C, 8, 8), 5.0)
    r[:, :, 4, 4] = -9
    out = concepts.remove(r, stroke((4, 4)), concept())
    assert out[0, :2, 4, 4].abs().max() == 0
    assert torch.allclose(out[0, 2:, 4, 4], torch.tensor(5.0))
    assert torch.equal(out[0, :, 0, 0], r[0, :, 0, 0])


def test_context_is_harmonic_between_two_sides() -> None:
    ramp = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    hole = torch.zeros(1, 1, 8, 8)
    hole[..., 3:5] = 1
    filled = concepts.context(ramp * (1 - hole) + 100 * hole, hole, iterations=60)
    assert torch.allclose(filled, ramp, atol=0.02)


def test_context_of_a_stroke_over_everything_is_the_mean() -> None:
    r = torch.randn(1, 3, 8, 8)
    filled = concepts.context(r, torch.ones(1, 1, 8, 8))
    assert torch.allclose(filled, r.mean((2, 3), keepdim=True).expand_as(r), atol=1e-5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_two_edits_compose(a: float, b: float) -> None:
    both = float(concepts.compose(torch.tensor(a), torch.tensor(b)))
    assert max(a, b) - 1e-6 <= both <= 1 + 1e-6
    assert both == pytest.approx(float(concepts.compose(torch.tensor(b), torch.tensor(a))))


def test_units_of_one_edit_do_not_depend_on_their_order() -> None:
    i_c = concepts.indicator(torch.tensor([4, 0]), C)
    assert i_c.tolist() == [1, 0, 0, 0, 1, 0]
