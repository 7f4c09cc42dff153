"""Exemplars: the map p_c is the one whose shape and surroundings fit the stroke."""

from pathlib import Path

import pytest
import torch

from ganpaint_engine import exemplars, model_package
from ganpaint_engine.concepts import Concept
from ganpaint_engine.exemplars import Exemplars

C = 6


def tree() -> Concept:
    p = torch.full((C,), 9.0)
    return Concept("tree", torch.tensor([0]), torch.tensor([1]), p, p[None])


def library() -> Exemplars:
    """Exemplar n is filled with n + 1. 0: a tree at the left, 1: one at the right, 2: none."""
    r = torch.stack([torch.full((C, 8, 8), n + 1.0) for n in range(3)])
    shares = torch.zeros(3, 1, 8, 8)
    shares[0, 0, 2:6, 0:2] = 1
    shares[1, 0, 4:6, 5:8] = 1
    return Exemplars(r, shares, ("tree",))


def cover(y0: int, y1: int, x0: int, x1: int, value: float = 1.0) -> torch.Tensor:
    out = torch.zeros(1, 1, 8, 8)
    out[..., y0:y1, x0:x1] = value
    return out


@pytest.mark.parametrize(
    ("stroke", "n"),
    [((2, 6, 0, 2), 0), ((2, 6, 5, 7), 0), ((4, 6, 5, 8), 1), ((1, 3, 0, 3), 1)],
)
def test_the_exemplar_of_the_strokes_shape_is_taken_wherever_it_is(
    stroke: tuple[int, int, int, int], n: int
) -> None:
    u = cover(*stroke)
    r_e = exemplars.insert(torch.zeros(1, C, 8, 8), u, u, tree(), library())
    assert torch.equal(r_e, u * (n + 1.0) * torch.ones(1, C, 1, 1))


def test_of_equal_shapes_the_one_with_like_surroundings_is_taken() -> None:
    shares = torch.zeros(2, 1, 8, 8)
    shares[:, 0, 3:5, 3:5] = 1
    r = torch.stack([torch.full((C, 8, 8), v) for v in (5.0, -5.0)])
    both = Exemplars(r, shares, ("tree",))
    u = cover(3, 5, 3, 5)
    for value in (5.0, -5.0):
        photo = torch.full((1, C, 8, 8), value)
        assert torch.equal(exemplars.insert(photo, u, u, tree(), both), photo)
        other = exemplars.insert(photo, u, u, tree(), both, seed=1)
        assert torch.equal(other[0, :, 3, 3], -photo[0, :, 3, 3])


def test_a_look_prefers_exemplars_that_have_it() -> None:
    shares = torch.zeros(2, 1, 8, 8)
    shares[:, 0, 3:5, 3:5] = 1
    r = torch.stack([torch.full((C, 8, 8), v) for v in (1.0, 3.0)])
    both = Exemplars(r, shares, ("tree",))
    u, photo = cover(3, 5, 3, 5), torch.full((1, C, 8, 8), 2.0)
    for value in (1.0, 3.0):
        found = both.find(photo, u, tree(), look=torch.full((C,), value))
        assert found is not None
        assert found[0][0, 0, 3, 3] == value


def test_cells_that_the_exemplar_leaves_empty_take_the_mean_or_stay() -> None:
    u = cover(2, 6, 0, 3)
    u[..., 2] = 0.2  # hardly touched: the photo's own cells stay
    photo = torch.zeros(1, C, 8, 8)
    r_e = exemplars.insert(photo, (u > 0).float(), u, tree(), library())
    assert (r_e[..., 2:6, 0:2] == 1).all()
    assert (r_e[..., 2] == 0).all()


def test_without_an_exemplar_the_concepts_mean_is_put() -> None:
    u = cover(2, 6, 0, 2)
    photo = torch.zeros(1, C, 8, 8)
    none = Exemplars(library().r, torch.zeros(3, 1, 8, 8), ("tree",))
    for lib in (None, none, Exemplars(library().r, library().shares, ("dome",))):
        r_e = exemplars.insert(photo, u, u, tree(), lib)
        assert r_e[0, 0, 3, 0] == 9
        assert r_e[0, 5, 3, 0] == 0  # neither its own unit nor a rival


def test_strength_weighs_the_edit_and_then_drives_its_units() -> None:
    u, photo = cover(2, 6, 0, 2), torch.zeros(1, C, 8, 8)
    assert (exemplars.insert(photo, u, u, tree(), library(), 0.5)[..., 2:6, 0:2] == 0.5).all()
    driven = exemplars.insert(photo, u, u, tree(), library(), 1.5)[0, :, 3, 0]
    assert driven.tolist() == [1.5, 1, 1, 1, 1, 1]


def test_what_is_taken_out_becomes_what_is_there_in_a_like_picture_without_it() -> None:
    shares = torch.zeros(3, 1, 8, 8)
    shares[0, 0, 3:5, 3:5] = 1  # the likest picture, but it has the tree there, wherever it moves
    shares[0, 0] = 1
    r = torch.stack([torch.full((C, 8, 8), v) for v in (5.0, 4.5, -5.0)])
    three = Exemplars(r, shares, ("tree",))
    photo, u = torch.full((1, C, 8, 8), 5.0), cover(3, 5, 3, 5)
    r_e = exemplars.take_out(photo, u, tree(), three)
    assert (r_e[..., 3:5, 3:5] == 4.5).all()
    assert (r_e * (1 - u) == photo * (1 - u)).all()
    half = exemplars.take_out(photo, u, tree(), three, 0.5)
    assert (half[..., 3:5, 3:5] == 4.75).all()


def test_what_the_library_does_not_know_is_filled_from_the_nearest_cells() -> None:
    photo = torch.arange(8.0).view(1, 1, 8, 1).repeat(1, C, 1, 8)  # rows differ
    photo[:, 0] = 0  # the tree's own unit
    u = cover(2, 6, 3, 6)
    r_e = exemplars.take_out(photo, u, tree(), Exemplars(library().r, library().shares, ("dome",)))
    assert torch.equal(r_e, photo)
    everywhere = torch.ones(1, 1, 8, 8)
    filled = exemplars.take_out(photo, everywhere, tree(), Exemplars(photo, photo[:, :1], ("x",)))
    assert torch.isfinite(filled).all()


def test_a_library_shows_every_concept_in_several_sizes() -> None:
    shares = torch.zeros(40, 2, 8, 8)
    for n in range(20):
        shares[n, 0, : 1 + n // 4, :4] = 1
        shares[20 + n, 1, : 1 + n // 4, :2] = 1
    lib = exemplars.choose(torch.randn(40, C, 8, 8), shares, ("tree", "dome"), 10)
    assert len(lib.r) == 10
    sizes = lib.shares[:, 0].sum((1, 2))
    assert len(set(sizes[sizes > 0].tolist())) >= 4
    assert (lib.shares[:, 1].sum((1, 2)) > 0).sum() == 5


def test_exemplars_are_kept_in_a_package(tmp_path: Path, small_model: Path) -> None:
    info = model_package.read_card(small_model)
    assert model_package.load_exemplars(info) is None
    card = {k: v for k, v in info.card.items() if k != "files"}
    weights = (model_package.load_tensors(info, f) for f in ("generator.safetensors",) * 2)
    saved = model_package.save(tmp_path / "m", card, *weights, {}, exemplars=library())
    assert saved.card["files"].keys() >= {"exemplars.safetensors"}
    loaded = model_package.load_exemplars(saved)
    assert loaded is not None
    assert loaded.names == ("tree",)
    assert torch.equal(loaded.shares, library().shares)


def test_a_named_strength_is_the_least_that_its_units_reach() -> None:
    u = cover(2, 6, 0, 2)
    least = torch.full((C,), 4.0)
    r_e = exemplars.insert(torch.zeros(1, C, 8, 8), u, u, tree(), library(), least=least)
    assert r_e[0, :, 3, 0].tolist() == [4, 1, 1, 1, 1, 1], "the concept's own unit alone"
