"""The public Python API, on a small model with random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import errors


@pytest.fixture(scope="module")
def prior(small_model: Path) -> "gp.Prior":
    return gp.load_model(small_model, device="cpu")


@pytest.fixture(scope="module")
def session(prior: "gp.Prior", photo: Image.Image) -> "gp.PhotoSession":
    return prior.open(photo)


def test_public_names() -> None:
    classes = ["Edit", "GanpaintError", "ModelInfo", "PhotoSession", "Prior"]
    assert gp.__all__ == [*classes, "connect", "errors", "list_models", "load_model"]
    for name in gp.__all__:
        assert hasattr(gp, name)


def test_contract_of_the_generator(prior: "gp.Prior") -> None:
    import torch

    z = torch.randn(2, 8)
    r = prior.generator.stem(z)
    y = prior.generator(z)
    assert y.shape == (2, 3, 32, 32)
    assert y.abs().max() <= 1
    assert torch.equal(prior.generator.head(r), y)


def test_an_opened_photo_knows_how_well_it_fits(session: "gp.PhotoSession") -> None:
    assert list(session.psnr) == ["encoder", "refined", "adapted"]
    assert session.psnr["adapted"] > session.psnr["refined"] > session.psnr["encoder"]


def test_a_preview_of_a_new_photo_is_answered_from_e_alone(
    prior: "gp.Prior", photo: Image.Image, stroke: Image.Image
) -> None:
    session, stages = prior.open(photo), []
    place = session.place(stroke)
    first = session.edit(
        stroke, add="tree", quality="preview", on_step=lambda _, stage: stages.append(stage)
    )
    assert first.report["stage"] == "encoder"
    assert first.report["psnr"].keys() == {"encoder", "outside"}
    assert "refine" not in stages
    assert not session.has(place)
    session.inverted(place)
    assert session.has(place)
    second = session.edit(stroke, add="tree", quality="preview")
    assert second.report["stage"] == "adapted"
    assert not np.array_equal(first.image, second.image)


def test_an_inversion_that_was_stopped_goes_on_after_its_last_stage(
    prior: "gp.Prior", photo: Image.Image
) -> None:
    def stop(fraction: float, stage: str) -> None:
        if stage == "adapt to photo":
            raise errors.Cancelled

    session, undisturbed, stages = prior.open(photo), prior.open(photo), []
    place = session.place(np.ones((150, 200)))
    with pytest.raises(errors.Cancelled):
        session.inverted(place, stop)
    one = session.inverted(place, lambda _, stage: stages.append(stage))
    assert "refine" not in stages
    two = undisturbed.inverted(place)
    assert all((one.deltas[i] == two.deltas[i]).all() for i in two.deltas)
    assert one.psnr == two.psnr


def test_warnings_come_before_the_wait(
    small_model: Path, photo: Image.Image, stroke: Image.Image
) -> None:
    prior = gp.load_model(small_model, device="cpu")
    told: list[object] = []

    def edited(quality: str) -> "gp.Edit":
        told.clear()
        return prior.open(photo).edit(
            stroke,
            add="tree",
            quality=quality,
            on_warnings=told.append,
            on_step=lambda _, stage: told.append(stage),
        )

    assert edited("final").report["warnings"] == []
    assert prior.open(photo).inspect(stroke).unfamiliarity is None, "it was never measured"
    prior.info.card["familiar"] = {"entropy": 0.0}
    for quality in ("preview", "final"):
        done = edited(quality)
        assert "unlike" in done.report["warnings"][0]
        assert told[0] == done.report["warnings"], "first of all"
    seen = prior.open(photo).inspect(stroke, context="selection")
    assert seen.window.side < prior.open(photo).inspect(stroke).window.side
    assert seen.warnings
    assert seen.unfamiliarity > seen.limit == 0
    assert seen.psnr > 0
    prior.info.card["familiar"] = {"entropy": 10.0}
    assert prior.open(photo).inspect().warnings == []


def test_context_grow_and_feather_are_heeded_and_told(
    session: "gp.PhotoSession", stroke: Image.Image
) -> None:
    plain = session.edit(stroke, add="tree", quality="preview")
    assert {k: plain.report[k] for k in ("context", "grow", "feather")} == {
        **{"context": "auto", "grow": 0, "feather": 0}
    }
    close = session.edit(stroke, add="tree", quality="preview", context="selection")
    assert close.report["window"][2] < plain.report["window"][2]
    grown = session.edit(stroke, add="tree", quality="preview", grow=10, feather=2)
    assert grown.report["grow"] == 10
    assert grown.patch.width > plain.patch.width
    again = {k: grown.report[k] for k in ("context", "grow", "feather", "seed", "quality")}
    assert np.array_equal(session.edit(stroke, add="tree", **again).patch, grown.patch)


@pytest.mark.parametrize("quality", ["preview", "final"])
@pytest.mark.parametrize("wish", [{"add": "tree"}, {"remove": "dome"}])
def test_edit(
    session: "gp.PhotoSession",
    photo: Image.Image,
    stroke: Image.Image,
    quality: str,
    wish: dict[str, str],
) -> None:
    steps = []
    edit = session.edit(
        stroke, **wish, quality=quality, on_step=lambda f, stage: steps.append((f, stage))
    )
    (operation, concept), *_ = wish.items()
    assert edit.name == f"{operation.capitalize()} {concept}"
    assert edit.image.size == photo.size
    assert edit.image.mode == "RGB"
    assert edit.patch.mode == "RGBA"
    before, after = np.asarray(photo), np.asarray(edit.image)
    x, y = edit.offset
    outside = np.ones(before.shape[:2], bool)
    outside[y : y + edit.patch.height, x : x + edit.patch.width] = False
    assert outside.mean() > 0.5
    assert np.array_equal(before[outside], after[outside])
    assert (before != after).any()
    assert edit.report["operation"] == operation
    assert json.loads(json.dumps(edit.report)) == edit.report
    fractions = [f for f, _ in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_variant_by_name(session: "gp.PhotoSession", stroke: Image.Image) -> None:
    named = session.edit(stroke, add="tree", variant="autumn", quality="preview")
    assert named.name == "Add tree (autumn)"
    assert named.report["variant"] == "autumn"
    mean = session.edit(stroke, add="tree", quality="preview")
    assert not np.array_equal(named.image, mean.image)


def test_restyle_and_like_a_region(
    session: "gp.PhotoSession", photo: Image.Image, stroke: Image.Image
) -> None:
    edit = session.edit(stroke, restyle="tree", variant="bare", quality="preview")
    assert edit.name == "Restyle tree (bare)"
    assert edit.report["operation"] == "restyle"
    corner = np.zeros((150, 200), np.uint8)
    corner[100:, 150:] = 255
    there = session.edit(stroke, restyle="tree", like=corner, quality="preview")
    assert there.report["like"] is True
    assert not np.array_equal(there.image, edit.image)
    flipped = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elsewhere = session.edit(
        stroke, restyle="tree", like=corner, like_image=flipped, quality="preview"
    )
    assert not np.array_equal(elsewhere.image, there.image)


def test_named_strengths(session: "gp.PhotoSession", stroke: Image.Image) -> None:
    edit = session.edit(stroke, add="tree", strength="high", quality="preview")
    assert edit.report["strength"] == "high"


def test_each_adaptation_makes_its_own_picture(
    session: "gp.PhotoSession", stroke: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    from ganpaint_engine import adaptation

    short = partial(adaptation.fit_as_paper, steps=80)
    monkeypatch.setattr(adaptation, "fit_as_paper", short)
    made = {a: session.edit(stroke, add="tree", adaptation=a) for a in adaptation.ADAPTATIONS}
    for name, edit in made.items():
        assert edit.report["adaptation"] == name
    pictures = [np.asarray(edit.image) for edit in made.values()]
    for i, one in enumerate(pictures):
        assert not any(np.array_equal(one, other) for other in pictures[:i])
    outside = {name: edit.report["psnr"]["outside"] for name, edit in made.items()}
    assert min(outside, key=lambda name: outside[name]) == "none", "G itself fits worst"


def test_the_layer_over_the_photo_is_the_image(
    session: "gp.PhotoSession", photo: Image.Image, stroke: Image.Image
) -> None:
    edit = session.edit(stroke, add="tree")
    layered = photo.convert("RGBA")
    layered.alpha_composite(edit.patch, edit.offset)
    difference = np.abs(
        np.asarray(layered.convert("RGB")).astype(int) - np.asarray(edit.image).astype(int)
    )
    assert difference.max() <= 1, "editors and engine agree but for rounding"


def test_same_wish_same_pixels_other_seed_other_pixels(
    session: "gp.PhotoSession", stroke: Image.Image
) -> None:
    one, two, three = (session.edit(stroke, add="tree", seed=s) for s in (0, 0, 2))
    assert np.array_equal(one.image, two.image)
    assert not np.array_equal(one.image, three.image)


def test_array_and_image_masks_agree(session: "gp.PhotoSession", stroke: Image.Image) -> None:
    one = session.edit(stroke, add="tree", quality="preview")
    two = session.edit(np.asarray(stroke) / 255.0, add="tree", quality="preview")
    assert np.array_equal(one.image, two.image)


def test_transparent_photo_keeps_its_alpha(
    prior: "gp.Prior", photo: Image.Image, stroke: Image.Image
) -> None:
    see_through = photo.convert("RGBA")
    see_through.putalpha(Image.new("L", photo.size, 100))
    edit = prior.open(see_through).edit(stroke, add="tree")
    assert edit.image.mode == "RGBA"
    alpha = np.asarray(edit.image)[..., 3]
    assert alpha[0, 0] == 100
    assert alpha[80, 100] == 255


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"add": "unicorn"}, errors.UnknownConcept),
        ({"remove": ""}, errors.UnknownConcept),
        ({}, errors.BadRequest),
        ({"add": "tree", "remove": "tree"}, errors.BadRequest),
        ({"add": "tree", "strength": 0}, errors.BadRequest),
        ({"add": "tree", "strength": float("nan")}, errors.BadRequest),
        ({"add": "tree", "seed": -1}, errors.BadRequest),
        ({"add": "tree", "quality": "best"}, errors.BadRequest),
        ({"add": "tree", "adaptation": "prayer"}, errors.BadRequest),
        ({"add": "tree", "strength": "fierce"}, errors.BadRequest),
        ({"add": "tree", "variant": "unheard of"}, errors.UnknownVariant),
        ({"remove": "tree", "variant": "autumn"}, errors.BadRequest),
        ({"add": "tree", "context": "wide"}, errors.BadRequest),
        ({"add": "tree", "grow": 501}, errors.BadRequest),
        ({"add": "tree", "grow": -100}, errors.EmptyMask),
        ({"add": "tree", "feather": -1.0}, errors.BadRequest),
        ({"restyle": "tree"}, errors.BadRequest),
        ({"restyle": "unicorn", "variant": "autumn"}, errors.UnknownConcept),
        ({"add": "tree", "like_image": Image.new("RGB", (99, 99))}, errors.BadRequest),
        ({"add": "tree", "like": np.ones((9, 9), np.uint8)}, errors.MaskSizeMismatch),
        ({"add": "tree", "like": np.zeros((150, 200), np.uint8)}, errors.EmptyMask),
        (
            {"add": "tree", "variant": "autumn", "like": np.ones((150, 200), np.uint8)},
            errors.BadRequest,
        ),
    ],
)
def test_bad_wishes(
    session: "gp.PhotoSession",
    stroke: Image.Image,
    options: dict[str, object],
    error: type[errors.GanpaintError],
) -> None:
    with pytest.raises(error):
        session.edit(stroke, **options)
    session.edit(stroke, add="tree", quality="preview")


def test_bad_masks(session: "gp.PhotoSession", photo: Image.Image) -> None:
    with pytest.raises(errors.EmptyMask):
        session.edit(Image.new("L", photo.size), add="tree")
    with pytest.raises(errors.MaskSizeMismatch):
        session.edit(Image.new("L", (10, 10), 255), add="tree")


def test_cancel_stops_and_the_session_goes_on(
    session: "gp.PhotoSession", stroke: Image.Image
) -> None:
    seen = []

    def stop(fraction: float, stage: str) -> None:
        seen.append(stage)
        if stage == "adapt to edit":
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        session.edit(stroke, add="tree", on_step=stop)
    assert seen[-1] == "adapt to edit"
    assert seen.count("adapt to edit") == 1
    session.edit(stroke, add="tree", quality="preview")


def test_a_large_photo_is_edited_at_its_own_resolution(prior: "gp.Prior") -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    mask = np.zeros((1500, 2000), np.uint8)
    mask[700:900, 300:500] = 255
    session = prior.open(rgb)
    edit = session.edit(mask, add="tree")
    assert edit.image.size == (2000, 1500)
    assert edit.report["window"][2] == 500, "the window is around the stroke, not the whole photo"
    changed = (np.asarray(edit.image) != rgb).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows[0] > 600
    assert rows[-1] < 1000
    assert columns[0] > 200
    assert columns[-1] < 600


def test_16_bits_stay_16_bits(prior: "gp.Prior") -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (300, 400, 3), np.uint16)
    mask = np.zeros((300, 400), np.uint8)
    mask[100:160, 150:220] = 255
    edit = prior.open(deep).edit(mask, add="tree", quality="preview")
    assert edit.array.dtype == edit.layer.dtype == np.uint16
    x, y = edit.offset
    height, width, _ = edit.layer.shape
    untouched = np.ones((300, 400), bool)
    untouched[y : y + height, x : x + width] = edit.layer[..., 3] == 0
    assert untouched.mean() > 0.5
    assert np.array_equal(edit.array[untouched], deep[untouched])
    assert (edit.array[120:140, 170:200] != deep[120:140, 170:200]).any()
    assert len(np.unique(edit.layer[..., :3] % 257)) > 200, "new pixels are no stretched 8 bits"
    assert edit.image.mode == "RGB"
    assert edit.patch.size == (width, height)
    rounded = np.round(edit.layer / 257).astype(np.uint8)
    assert np.array_equal(edit.patch, rounded)
    see_through = np.dstack([deep, np.full((300, 400), 30000, np.uint16)])
    kept = prior.open(see_through).edit(mask, add="tree", quality="preview").array
    assert kept.shape == (300, 400, 4)
    assert kept[0, 0, 3] == 30000
    assert kept[130, 180, 3] == 65535


@pytest.mark.parametrize("context", ["auto", "whole"])
def test_40_megapixels_are_bit_identical_beyond_the_patch(prior: "gp.Prior", context: str) -> None:
    rng = np.random.default_rng(0)
    rgb = np.tile(rng.integers(0, 256, (500, 400, 3), np.uint8), (10, 20, 1))  # 8000×5000
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[4300:5000, 6900:8000] = 255  # in the corner
    edit = prior.open(rgb).edit(mask, add="tree", quality="preview", context=context)
    x, y = edit.offset
    height, width, _ = edit.layer.shape
    assert (x + width, y + height) == (8000, 5000)
    assert width < 1600
    changed = (edit.array != rgb).any(2)
    assert not changed[:, :x].any()
    assert not changed[:y].any()
    assert not changed[y:, x:][edit.layer[..., 3] == 0].any()
    assert changed[4500:4900, 7200:7800].mean() > 0.5


def test_second_edit_of_a_window_does_not_invert_again(
    session: "gp.PhotoSession", stroke: Image.Image
) -> None:
    session.edit(stroke, add="tree")
    stages: list[str] = []
    session.edit(stroke, remove="dome", on_step=lambda _, s: stages.append(s))
    assert "refine" not in stages
