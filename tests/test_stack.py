"""Edits stacked upon each other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import concepts, editing, errors, selection, stack


@pytest.fixture(scope="module")
def prior(small_model: Path) -> "gp.Prior":
    return gp.load_model(small_model, device="cpu")


@pytest.fixture(scope="module")
def session(prior: "gp.Prior", photo: Image.Image) -> "gp.PhotoSession":
    return prior.open(photo)


def box(x0: int, y0: int, x1: int, y1: int, value: int = 255) -> np.ndarray:
    mask = np.zeros((150, 200), np.uint8)
    mask[y0:y1, x0:x1] = value
    return mask


LEFT, RIGHT = box(40, 50, 80, 90), box(120, 60, 160, 100)
OVER = box(60, 60, 130, 80)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_the_formula_of_two_edits(a: float, b: float, r: float, p: float, q: float) -> None:
    r_, p_, q_, a_, b_ = (torch.tensor(v, dtype=torch.double) for v in (r, p, q, a, b))
    one = concepts.edit(concepts.edit(r_, a_, p_), b_, q_)
    alpha = concepts.compose(a_, b_)
    assert float(one) == pytest.approx(
        float((1 - alpha) * r_ + (1 - b_) * a_ * p_ + b_ * q_), abs=1e-9
    )


def test_both_edits_are_in_the_second(session: "gp.PhotoSession", photo: Image.Image) -> None:
    one = session.edit(LEFT, add="tree", quality="preview")
    both = session.edit(RIGHT, remove="dome", quality="preview", after=one)
    assert both.name == "Add tree, remove dome"
    before, after = np.asarray(photo), np.asarray(both.image)
    changed = (before != after).any(2)
    assert changed[60:80, 50:70].any()
    assert changed[70:90, 130:150].any()
    assert not (np.asarray(one.image) != before)[:, 120:].any(), "the first one is as it was"
    records = [*both.report["after"], both.report]
    asked = [(r["operation"], r["concept"], r["seed"], r["grow"]) for r in records]
    assert asked == [("add", "tree", 0, 0), ("remove", "dome", 0, 0)]
    assert json.loads(json.dumps(both.report)) == both.report


@pytest.mark.parametrize("quality", ["preview", "final"])
def test_all_at_once_is_one_after_the_other(session: "gp.PhotoSession", quality: str) -> None:
    one = session.edit(LEFT, add="tree", seed=2, quality="preview")
    two = session.edit(OVER, restyle="tree", variant="bare", after=one, quality="preview")
    three = session.edit(RIGHT, add="dome", strength=0.5, grow=3, after=two, quality=quality)
    asked = [
        {"mask": LEFT, "add": "tree", "seed": 2},
        {"mask": OVER, "restyle": "tree", "variant": "bare"},
        {"mask": RIGHT, "add": "dome", "strength": 0.5, "grow": 3},
    ]
    at_once = session.edits(asked, quality=quality)
    assert np.array_equal(at_once.array, three.array)
    assert at_once.report["after"] == three.report["after"]
    again = session.edits(asked, quality=quality)
    assert np.array_equal(again.array, three.array), "the same wishes, the same pixels"


def test_one_of_them_can_be_taken_back(session: "gp.PhotoSession") -> None:
    one = session.edit(LEFT, add="tree", quality="preview")
    two = session.edit(OVER, add="dome", after=one, quality="preview", composite="alpha")
    first = session.without(two, 1)
    assert np.array_equal(
        first.array, session.edit(LEFT, add="tree", quality="preview", composite="alpha").array
    )
    second = session.without(two, 0)
    assert np.array_equal(
        second.array, session.edit(OVER, add="dome", quality="preview", composite="alpha").array
    )
    assert second.report["after"] == []
    for numbers in ((0, 1), (2,), (-1,)):
        with pytest.raises(errors.BadRequest):
            session.without(two, *numbers)


def test_the_later_edit_has_the_last_word_where_they_overlap(prior: "gp.Prior") -> None:
    inverted = prior.encode(torch.rand(1, 3, 32, 32) * 2 - 1)
    how = {"quality": "preview", "composite": "residual", "adaptation": "none"}
    mask = np.full((32, 32), 255, np.uint8)

    def made(*wishes: dict[str, object]) -> torch.Tensor:
        parts = [stack.read(prior, (32, 32), {"mask": mask, **w}, how) for w in wishes]
        pairs = [(part.wish, torch.ones(1, 1, 32, 32)) for part in parts]
        return editing.apply(prior, inverted, pairs, lambda f, s: None).y_e

    tree, dome = {"add": "tree"}, {"add": "dome"}
    assert not torch.equal(made(tree, dome), made(dome, tree))
    assert torch.allclose(made(dome, dome), made(dome), atol=1e-5), "full twice is full once"
    half = {"add": "tree", "strength": 0.5}
    three_quarters = {"add": "tree", "strength": 0.75}
    assert torch.allclose(made(half, half), made(three_quarters), atol=1e-4)


def test_an_edit_of_another_photo_is_refused(
    prior: "gp.Prior", session: "gp.PhotoSession", photo: Image.Image
) -> None:
    other = prior.open(photo.rotate(180)).edit(LEFT, add="tree", quality="preview")
    with pytest.raises(errors.BadRequest, match="same opened photo"):
        session.edit(RIGHT, add="tree", after=other)
    with pytest.raises(errors.BadRequest):
        session.without(other, 0)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ([], errors.BadRequest),
        ([{"add": "tree"}], errors.BadRequest),
        ([{"mask": LEFT, "add": "tree", "colour": "red"}], errors.BadRequest),
        ([{"mask": LEFT, "add": "tree"}, {"mask": RIGHT}], errors.BadRequest),
        ([{"mask": LEFT, "add": "tree"}, {"mask": 0 * LEFT, "add": "tree"}], errors.EmptyMask),
        ([{"mask": LEFT, "add": "tree", "like_image": LEFT}], errors.BadRequest),
    ],
)
def test_bad_stacks(
    session: "gp.PhotoSession", asked: list[dict[str, object]], error: type[errors.GanpaintError]
) -> None:
    with pytest.raises(error):
        session.edits(asked, quality="preview")


def test_selections_compose() -> None:
    half = selection.read(box(0, 0, 100, 150, 128), 200, 150)
    other = selection.read(box(50, 0, 150, 150, 128), 200, 150)
    parts = tuple(stack.Part(None, s, 0, 0.0) for s in (half, other))  # type: ignore[arg-type]
    both = stack.selected(parts).within(0, 0, 200, 150)
    a = 128 / 255
    assert both[5, [10, 70, 120, 180]].tolist() == pytest.approx([a, 1 - (1 - a) ** 2, a, 0])


# -- on the command line --------------------------------------------------------------------------


def run(*arguments: object) -> int:
    from ganpaint_engine import cli

    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def test_a_stack_from_a_file(
    small_model: Path, session: "gp.PhotoSession", photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "photo.png")
    Image.fromarray(LEFT).save(tmp_path / "left.png")
    Image.fromarray(RIGHT).save(tmp_path / "right.png")
    asked = [{"mask": "left.png", "add": "tree", "seed": 2}, {"mask": "right.png", "add": "dome"}]
    edits, out = tmp_path / "edits.json", tmp_path / "out.png"
    edits.write_text(json.dumps(asked))
    options = ("--model", small_model, "--quality", "preview", "--device", "cpu")
    assert run("stack", tmp_path / "photo.png", edits, "-o", out, *options) == 0
    masks = {"left.png": LEFT, "right.png": RIGHT}
    same = session.edits([one | {"mask": masks[one["mask"]]} for one in asked], quality="preview")
    # The session of these tests may know more of the photo than E alone; where it does not, they
    # are equal, and the changed places are the same in any case.
    changed = (np.asarray(Image.open(out)) != np.asarray(photo)).any(2)
    expected = (np.asarray(same.image) != np.asarray(photo)).any(2)
    assert (changed == expected).mean() > 0.95
    assert changed[60:80, 50:70].any()
    assert changed[70:90, 130:150].any()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[]", '[{"mask": "gone.png", "add": "tree"}]', '[{"add": "tree"}]']
)
def test_files_that_are_no_stack(
    small_model: Path,
    photo: Image.Image,
    tmp_path: Path,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo.save(tmp_path / "photo.png")
    edits, out = tmp_path / "edits.json", tmp_path / "out.png"
    edits.write_text(text)
    assert run("stack", tmp_path / "photo.png", edits, "-o", out, "--model", small_model) == 2
    assert "bad_request" in capsys.readouterr().err
    assert not out.exists()
