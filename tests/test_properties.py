"""What holds for every edit, on small generators: the method's properties."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import adaptation, concepts, errors, exemplars
from ganpaint_engine.concepts import Concept
from ganpaint_engine.exemplars import Exemplars
from ganpaint_engine.generator import Generator

C = 6
CELLS = st.integers(0, 7)


def concept() -> Concept:
    p = torch.linspace(1, 2, C)
    return Concept("tree", torch.tensor([0, 1]), torch.tensor([4]), p, torch.stack([p * 2, p * 3]))


def featuremap(seed: int) -> torch.Tensor:
    return torch.randn(1, C, 8, 8, generator=torch.Generator().manual_seed(seed))


def stroke(y: int, x: int, height: int = 1, width: int = 1) -> torch.Tensor:
    u = torch.zeros(1, 1, 8, 8)
    u[..., y : y + height, x : x + width] = 1
    return u


def library() -> Exemplars:
    draw = torch.Generator().manual_seed(9)
    shares = torch.rand(5, 2, 8, 8, generator=draw).round()
    return Exemplars(torch.randn(5, C, 8, 8, generator=draw), shares, ("tree", "dome"))


Operation = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
OPERATIONS: dict[str, Operation] = {
    "add": lambda r, u, s: concepts.add(r, u, concept(), s),
    "remove": lambda r, u, s: concepts.remove(r, u, concept(), s),
    "restyle": lambda r, u, s: concepts.restyle(r, u, concept(), concept().variants[0], s),
    "insert": lambda r, u, s: exemplars.insert(r, u, u, concept(), library(), s),
    "take out": lambda r, u, s: exemplars.take_out(r, u, concept(), library(), s),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), y=CELLS, x=CELLS, s=st.floats(0, 2))
def test_strength_0_is_the_identity_and_only_the_stroke_changes(
    operation: str, seed: int, y: int, x: int, s: float
) -> None:
    r, u, edit = featuremap(seed), stroke(y, x, 2, 2), OPERATIONS[operation]
    assert torch.equal(edit(r, u, 0.0), r)
    if operation in ("add", "remove", "restyle"):  # exemplars are asked for strokes alone
        assert torch.equal(edit(r, torch.zeros_like(u), s), r)
    away = (u == 0).expand_as(r)
    out = edit(r, u, s)
    assert out.isfinite().all()
    assert torch.equal(out[away], r[away])
    assert torch.equal(edit(r, u, s), out), "the same wish gives the same r_e"


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), y=CELLS, x=CELLS)
def test_what_was_removed_can_be_removed_again(seed: int, y: int, x: int) -> None:
    u = stroke(y, x, 2, 2)
    once = concepts.remove(featuremap(seed), u, concept())
    assert torch.allclose(concepts.remove(once, u, concept()), once, atol=1e-6)
    once = exemplars.take_out(featuremap(seed), u, concept(), library())
    assert torch.equal(exemplars.take_out(once, u, concept(), library()), once)


@pytest.fixture(scope="module")
def g() -> Generator:
    torch.manual_seed(0)
    return Generator([8, 16, 16, 16, 16, 16, 16, 8, 8]).requires_grad_(False)


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 99), y=CELLS, x=CELLS)
def test_a_cell_changes_two_cells_around_it_at_most(
    g: Generator, seed: int, y: int, x: int
) -> None:
    r = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(seed))
    changed = r.clone()
    changed[..., y, x] = 10 * torch.randn(16, generator=torch.Generator().manual_seed(seed + 1))
    difference = (g.linear_head(changed) - g.linear_head(r)).abs().amax(1)[0]
    rows = torch.nonzero(difference.amax(1)).flatten() // 4
    columns = torch.nonzero(difference.amax(0)).flatten() // 4
    assert rows.min() >= y - 2
    assert rows.max() <= y + 2
    assert columns.min() >= x - 2
    assert columns.max() <= x + 2


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 99))
def test_delta_0_gives_g_and_a_whole_mask_takes_all_delta(g: Generator, seed: int) -> None:
    r = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(seed))
    zero = adaptation.zero_deltas(g, r)
    some = {i: d + 0.3 for i, d in zero.items()}
    whole = adaptation.mask_deltas(some, torch.ones(1, 1, 32, 32))
    for additive in (False, True):
        assert torch.equal(g.head(r, zero, additive), g.head(r))
        assert torch.equal(g.head(r, whole, additive), g.head(r))
        assert not torch.equal(g.head(r, some, additive), g.head(r))


# -- in a session: any stroke --------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(small_model: Path, photo: Image.Image) -> "gp.PhotoSession":
    return gp.load_model(small_model, device="cpu").open(photo)


def mask(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    out = np.zeros((150, 200), np.uint8)
    out[y0:y1, x0:x1] = 255
    return out


STROKES = {
    "one pixel": mask(70, 71, 90, 91),
    "a corner's pixel": mask(0, 1, 0, 1),
    "the last pixel": mask(149, 150, 199, 200),
    "the left border": mask(30, 90, 0, 20),
    "the lower border": mask(140, 150, 60, 120),
    "a whole row": mask(75, 76, 0, 200),
    "everything": mask(0, 150, 0, 200),
    "all but a pixel": 255 - mask(70, 71, 90, 91),
}


@pytest.mark.parametrize("name", STROKES)
@pytest.mark.parametrize("wish", [{"add": "tree"}, {"remove": "dome"}], ids=["add", "remove"])
def test_any_stroke_is_edited_and_the_rest_is_bit_identical(
    session: "gp.PhotoSession", photo: Image.Image, name: str, wish: dict[str, str]
) -> None:
    edit = session.edit(STROKES[name], **wish, quality="preview")
    before, after = np.asarray(photo), edit.array
    opaque = np.zeros(before.shape[:2], np.uint8)
    (x, y), (height, width) = edit.offset, edit.layer.shape[:2]
    assert min(x, y) >= 0
    assert x + width <= 200
    assert y + height <= 150
    opaque[y : y + height, x : x + width] = edit.layer[..., 3]
    assert np.array_equal(before[opaque == 0], after[opaque == 0])
    reach = edit.report["window"][2] // 8 + 2
    ys, xs = np.nonzero(STROKES[name])
    far = np.ones(opaque.shape, bool)
    far[
        max(ys.min() - reach, 0) : ys.max() + reach + 1,
        max(xs.min() - reach, 0) : xs.max() + reach + 1,
    ] = False
    assert not opaque[far].any(), "nothing changes beyond the edit's reach"
    assert opaque[STROKES[name] > 0].any()
    again = session.edit(STROKES[name], **wish, quality="preview")
    assert np.array_equal(again.array, after)


@pytest.mark.parametrize("composite", ["alpha", "color_transfer", "poisson", "laplacian"])
@pytest.mark.parametrize("name", ["a corner's pixel", "the left border", "everything"])
def test_every_blend_takes_any_stroke(
    session: "gp.PhotoSession", photo: Image.Image, name: str, composite: str
) -> None:
    edit = session.edit(STROKES[name], add="tree", quality="preview", composite=composite)
    x, y = edit.offset
    height, width = edit.layer.shape[:2]
    inside = np.zeros((150, 200), bool)
    inside[y : y + height, x : x + width] = True
    assert np.array_equal(np.asarray(photo)[~inside], edit.array[~inside])
    assert edit.layer[..., 3].any()


def test_a_mask_of_things_that_are_no_numbers(session: "gp.PhotoSession") -> None:
    soft = STROKES["the left border"] / 255.0
    odd = soft.copy()
    odd[0, 100], odd[1, 100], odd[2, 100], odd[3, 100] = np.nan, -np.inf, -5.0, 0.0
    clean = session.edit(soft, add="tree", quality="preview")
    assert np.array_equal(session.edit(odd, add="tree", quality="preview").array, clean.array)
    with pytest.raises(errors.EmptyMask):
        session.edit(np.full((150, 200), np.nan), add="tree")


@pytest.mark.parametrize(
    "strength", [0, -1, 2.01, float("nan"), float("inf"), -float("inf"), "", "LOW"]
)
def test_strengths_out_of_range(session: "gp.PhotoSession", strength: float | str) -> None:
    with pytest.raises(errors.BadRequest, match=r"[Ss]trength"):
        session.edit(STROKES["everything"], add="tree", strength=strength)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((80, 80, 3), np.nan),
        np.zeros((80, 80, 3), np.float32),
        np.zeros((80, 80), np.uint8),
        np.zeros((80, 80, 2), np.uint8),
        np.zeros((1, 80, 80, 3), np.uint8),
        np.zeros(80, np.uint8),
        np.zeros((), np.uint8),
        np.zeros((80, 80, 3), np.int64),
    ],
)
def test_photos_that_are_none(session: "gp.PhotoSession", pixels: np.ndarray) -> None:
    with pytest.raises(errors.BadRequest):
        session.prior.open(pixels)


@pytest.mark.parametrize("value", [0, 255])
def test_photos_of_one_colour(session: "gp.PhotoSession", value: int) -> None:
    flat = session.prior.open(np.full((64, 64, 3), value, np.uint8))
    for composite in ("residual", "color_transfer", "poisson", "laplacian"):
        edit = flat.edit(
            np.ones((64, 64), bool), add="tree", quality="preview", composite=composite
        )
        assert edit.array.shape == (64, 64, 3)
