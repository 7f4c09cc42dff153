"""The stages of inversion and the features of their loss, on a small generator."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import errors, features, inversion, paths
from ganpaint_engine.generator import Generator, SplitGenerator
from ganpaint_engine.inversion import INVERSIONS
from ganpaint_engine.stylegan2 import StyleGAN2


@pytest.fixture(params=["proggan", "stylegan2"])
def g(request: pytest.FixtureRequest) -> SplitGenerator:
    torch.manual_seed(0)
    if request.param == "proggan":
        made: SplitGenerator = Generator([8, 16, 16, 16, 16, 16, 16, 8, 8])
    else:
        made = StyleGAN2([12] * 8, [8, 12])
    return made.requires_grad_(False)


@pytest.fixture
def z(g: SplitGenerator) -> torch.Tensor:
    return torch.randn(2, g.z_channels, generator=torch.Generator().manual_seed(5))


def near(g: SplitGenerator, r: torch.Tensor, x: torch.Tensor) -> float:
    return float((g.head(r) - x).abs().mean())


def test_z_of_a_featuremap_is_found_again(g: SplitGenerator, z: torch.Tensor) -> None:
    r = g.stem(z)
    found = inversion.estimate_z(g, r, samples=256)
    assert found.shape == z.shape
    alike = torch.cosine_similarity(found, z)
    assert alike.min() > 0.6, "of eight numbers, so by chance it would be about 0"
    alone = inversion.estimate_z(g, r[1:], samples=256)
    assert torch.allclose(alone, found[1:], atol=1e-4)


def test_every_stage_comes_closer(g: SplitGenerator, z: torch.Tensor) -> None:
    other = torch.randn(2, g.z_channels, generator=torch.Generator().manual_seed(6))
    x = g.head(g.stem(z) + 0.3 * torch.randn(1, *g.stem(z).shape[1:]))
    z1 = inversion.fit_z(g, x, other, None, steps=40)
    r1 = inversion.fit_layers(g, x, z1, None, steps=40)
    r2 = inversion.refine(g, x, r1, steps=40, stay=0)
    errors_ = [near(g, r, x) for r in (g.stem(other), g.stem(z1), r1, r2)]
    assert errors_ == sorted(errors_, reverse=True)
    assert errors_[-1] < 0.8 * errors_[0]


def test_residuals_belong_to_layers_before_the_edit_layer(
    g: SplitGenerator, z: torch.Tensor
) -> None:
    zero = {i: torch.zeros(2, g.channels[i], g.side(i), g.side(i)) for i in range(1, g.edit_layer)}
    assert torch.equal(g.stem(z, zero), g.stem(z))
    for i, none in zero.items():
        assert not torch.equal(g.stem(z, {**zero, i: none + 1}), g.stem(z))


def test_large_residuals_cost(
    g: SplitGenerator, z: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = -g.head(g.stem(z))

    def moved(weight: float) -> float:
        monkeypatch.setattr(inversion, "LAMBDA_RESIDUALS", weight)
        return float((inversion.fit_layers(g, x, z, None, steps=20) - g.stem(z)).abs().mean())

    assert moved(0) > moved(1000)


# -- features ------------------------------------------------------------------------------------


def test_bundled_features_are_part_of_the_loss() -> None:
    bundled = features.load("bundled")
    assert bundled is not None
    assert bundled.name == "bundled"
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    assert features.loss_to(x, bundled)(x).item() == 0
    y = x.flip(3)
    plain = features.loss_to(x, None)(y).item()
    assert plain == pytest.approx(float((x - y).abs().mean()))
    parts = sum(
        float((a - b).abs().mean())
        for a, b in zip(bundled.maps(x), bundled.maps(y), strict=True)
    )  # fmt: skip
    whole = features.loss_to(x, bundled)(y).item()
    assert whole == pytest.approx(plain + features.LAMBDA_BUNDLED * parts, rel=1e-5)
    assert features.load("none") is None


def test_features_pull_the_result_towards_them() -> None:
    torch.manual_seed(0)
    g = Generator([8, 16, 16, 16, 16, 16, 16, 8, 8]).requires_grad_(False)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    r = g.stem(torch.randn(1, 8))
    bundled = features.load("bundled")
    assert bundled is not None

    def far(kind: features.Features | None) -> float:
        y = g.head(inversion.refine(g, x, r, steps=30, stay=0, features=kind))
        pairs = zip(bundled.maps(y), bundled.maps(x), strict=True)
        return float(sum((a - b).abs().mean() for a, b in pairs))

    assert far(bundled._replace(weight=1.0)) < 0.96 * far(None)


def vgg16_weights() -> dict[str, torch.Tensor]:
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    return {f"features.{k}": v for k, v in make_layers(cfgs["D"]).state_dict().items()}


def test_vgg16_is_used_when_it_is_here_and_only_then(home: Path) -> None:
    with pytest.raises(errors.FeaturesMissing, match="ganpaint features pull vgg16"):
        features.load("vgg16")
    usual = features.load("auto")
    assert usual is not None
    assert usual.name == "bundled"
    path = features.vgg16_file()
    assert path == home / "features" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    weights = vgg16_weights()
    torch.save({k: v.half() for k, v in weights.items()}, path)
    found = features.load("auto")
    assert found is not None
    assert found.name == "vgg16"
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    (maps,) = found.maps(x)
    assert maps.shape == (1, 512, 8, 8), "relu4_2, an eighth of the size"
    assert maps.min() >= 0
    assert features.loss_to(x, found)(x.flip(3)).isfinite()
    torch.save({"features.0.weight": weights["features.0.weight"]}, path)
    with pytest.raises(errors.FeaturesMissing, match="does not hold"):
        features.load("vgg16")
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(errors.DamagedWeights):
        features.load("vgg16")


def test_unknown_features() -> None:
    with pytest.raises(errors.BadRequest, match="bundled"):
        features.load("clip")


# -- in a session --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prior(small_model: Path) -> "gp.Prior":
    return gp.load_model(small_model, device="cpu")


@pytest.mark.parametrize("name", list(INVERSIONS))
def test_every_inversion_can_be_asked_for(
    prior: "gp.Prior",
    photo: Image.Image,
    stroke: Image.Image,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for function, steps in (("fit_z", 12), ("fit_layers", 12)):
        real = getattr(inversion, function)
        monkeypatch.setattr(
            inversion, function, lambda *a, f=real, n=steps, **k: f(*a, **k, steps=n)
        )
    session = prior.open(photo, inversion=name, features="bundled")
    seen: list[tuple[float, str]] = []
    edit = session.edit(stroke, add="tree", on_step=lambda f, s: seen.append((f, s)))
    stages = list(INVERSIONS[name])
    assert list(edit.report["psnr"]) == ["encoder", *stages, "adapted", "outside"]
    assert (edit.report["inversion"], edit.report["features"]) == (name, "bundled")
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions)
    told = {"refined": "refine", "z": "seek z", "layers": "seek residuals"}
    assert {told[s] for s in stages} == {s for _, s in seen} & set(told.values())
    usual = prior.open(photo).edit(stroke, add="tree")
    assert np.array_equal(usual.image, edit.image) == (name == "r")


def test_a_store_keeps_the_default_inversion_only(prior: "gp.Prior", photo: Image.Image) -> None:
    class Kept(dict):  # type: ignore[type-arg]
        def put(self, place: object, computed: object) -> None:
            self[place] = computed

    from ganpaint_engine.window import whole_window

    kept = Kept()
    place = whole_window(*photo.size)
    prior.open(photo, kept, features="none").inverted(place)  # type: ignore[arg-type]
    assert not kept
    prior.open(photo, kept).inverted(place)  # type: ignore[arg-type]
    assert list(kept) == [place]


@pytest.mark.parametrize("options", [{"inversion": "guess"}, {"features": "clip"}])
def test_unknown_choices(prior: "gp.Prior", photo: Image.Image, options: dict[str, str]) -> None:
    with pytest.raises(errors.BadRequest):
        prior.open(photo, **options)  # type: ignore[arg-type]


def test_where_features_are_fetched_to_is_in_the_home(home: Path) -> None:
    assert paths.features_dir() == home / "features"
