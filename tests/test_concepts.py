import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganpaint_engine import concepts
from ganpaint_engine.concepts import Concept

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
