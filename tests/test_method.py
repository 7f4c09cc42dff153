"""Inversion and adaptation, on a small generator with random weights."""

import pytest
import torch
from torch.nn import functional as F

from ganpaint_engine import adaptation, inversion
from ganpaint_engine.encoder import Encoder
from ganpaint_engine.errors import Cancelled
from ganpaint_engine.generator import Generator


@pytest.fixture
def g() -> Generator:
    torch.manual_seed(0)
    return Generator([8, 16, 16, 16, 16, 16, 16, 8, 8]).requires_grad_(False)


@pytest.fixture
def x(g: Generator) -> torch.Tensor:
    return g(torch.randn(1, 8, generator=torch.Generator().manual_seed(5)))


def test_psnr_of_known_difference() -> None:
    a = torch.zeros(1, 3, 4, 4)
    assert inversion.psnr(a, a + 20 / 127.5) == pytest.approx(22.11, abs=0.3)


def test_encoder_gives_a_featuremap_and_heeds_the_mask() -> None:
    e = Encoder([8, 16], 16)
    x = torch.randn(2, 3, 32, 32)
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., 10:20, 10:20] = 1
    assert e(x).shape == (2, 16, 8, 8)
    changed = x + mask * 5
    assert torch.equal(e(x, mask), e(changed, mask)), "pixels under the mask do not count"
    assert not torch.equal(e(x), e(changed))
    again = Encoder.from_state_dict(e.state_dict())
    assert torch.equal(again(x), e(x))


def test_refinement_comes_closer_and_stays_where_told(g: Generator, x: torch.Tensor) -> None:
    start = g.stem(torch.randn(1, 8))
    start = start / start.square().mean(1, keepdim=True).sqrt()
    better = inversion.refine(g, x, start, steps=30, stay=0)
    assert inversion.psnr(g.head(better), x) > inversion.psnr(g.head(start), x) + 1
    held = inversion.refine(g, x, start, steps=30, stay=100)
    assert (held - start).abs().mean() < (better - start).abs().mean()


def test_adaptation_fits_the_photo(g: Generator, x: torch.Tensor) -> None:
    r = g.stem(torch.randn(1, 8))
    deltas = adaptation.fit(g, r, x, adaptation.zero_deltas(g, r), steps=40)
    assert set(deltas) == {6, 8}
    assert inversion.psnr(g.head(r, deltas), x) > inversion.psnr(g.head(r), x) + 3


def test_adaptation_does_not_look_under_the_mask(g: Generator, x: torch.Tensor) -> None:
    r = g.stem(torch.randn(1, 8))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    zero = adaptation.zero_deltas(g, r)
    one = adaptation.fit(g, r, x, zero, mask, steps=5)
    two = adaptation.fit(g, r, x * (1 - mask) + mask, zero, mask, steps=5)
    for i in one:
        assert torch.equal(one[i], two[i])


def test_what_fits_already_is_left_alone(g: Generator) -> None:
    r = torch.randn(1, g.edit_channels, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x = g.linear_head(r)
    fitted = adaptation.fit(g, r, x, adaptation.zero_deltas(g, r), steps=10)
    assert all(not delta.any() for delta in fitted.values())


def test_masked_deltas_vanish_under_the_mask_only(g: Generator) -> None:
    r = torch.randn(1, 16, 8, 8)
    ones = {i: d + 1 for i, d in adaptation.zero_deltas(g, r).items()}
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1
    for delta in adaptation.mask_deltas(ones, mask).values():
        side = delta.shape[-1]
        assert delta[..., side // 4 : side // 2, side // 4 : side // 2].abs().max() == 0
        assert delta[..., : side // 4, :].min() == 1


def test_softened_mask_covers_the_stroke_and_fades() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 14:18, 14:18] = 1
    soft = adaptation.soften(mask, 2)
    assert (soft >= mask).all()
    assert soft.max() <= 1 + 1e-6
    assert 0 < float(soft[0, 0, 12, 16]) <= 1
    assert soft[..., :6, :].max() == 0


def test_cancel_stops_at_the_step(g: Generator, x: torch.Tensor) -> None:
    seen = []

    def stop(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        inversion.refine(g, x, torch.randn(1, 16, 8, 8), steps=50, on_step=stop)
    assert len(seen) == 3


def test_additive_deltas_are_added(g: Generator, x: torch.Tensor) -> None:
    r = g.stem(torch.randn(1, 8))
    zero = adaptation.zero_deltas(g, r)
    assert torch.equal(g.head(r, zero, additive=True), g.head(r))
    deltas = adaptation.fit(g, r, x, zero, steps=40, additive=True)
    assert inversion.psnr(g.head(r, deltas, additive=True), x) > inversion.psnr(g.head(r), x) + 3
    silent = {8: -torch.ones_like(zero[8])}
    assert not torch.equal(g.head(r, silent, additive=True), g.head(r, silent))


def test_the_papers_form_goes_on_where_ours_stops(g: Generator, x: torch.Tensor) -> None:
    r = g.stem(torch.randn(1, 8))
    zero = adaptation.zero_deltas(g, r)
    seen: list[float] = []
    fitted = adaptation.fit_as_paper(g, r, x, zero, on_step=seen.append)
    assert len(seen) == 1000
    ours = adaptation.fit(g, r, x, zero, steps=40)
    y, y_ours = g.head(r, fitted), g.head(r, ours)
    assert (y - x).abs().mean() < (y_ours - x).abs().mean()


def test_regularisation_is_of_the_mean_and_keeps_deltas_small(
    g: Generator, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    r = g.stem(torch.randn(1, 8))
    zero = adaptation.zero_deltas(g, r)

    def size(weight: float) -> float:
        monkeypatch.setattr(adaptation, "LAMBDA_REG", weight)
        deltas = adaptation.fit(g, r, x, zero, steps=30, tolerance=0)
        return float(sum(d.square().mean() for d in deltas.values()))

    assert size(0) > size(0.1) > size(10) > 0


def test_fitted_weights_are_a_copy_that_fits_outside_the_stroke(
    g: Generator, x: torch.Tensor
) -> None:
    r = g.stem(torch.randn(1, 8))
    before = {k: v.clone() for k, v in g.state_dict().items()}
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    fitted = adaptation.fit_weights(g, r, x, mask, steps=40)
    assert all(torch.equal(v, before[k]) for k, v in g.state_dict().items()), "shared by all photos"
    assert not any(weight.requires_grad for weight in fitted.parameters())
    outside = (mask == 0).expand_as(x)

    def error(y: torch.Tensor) -> torch.Tensor:
        return (y - x)[outside].abs().mean()

    assert error(fitted.head(r)) < 0.7 * error(g.head(r))
    changed = {k for k, v in fitted.state_dict().items() if not torch.equal(v, before[k])}
    expected = {f"layer{i}.conv.weight" for i in range(5, 9)} | {"output_32x32.conv.weight"}
    assert changed == expected, "the head's convolutions and nothing else"
    other = adaptation.fit_weights(g, r, x * (1 - mask) + mask, mask, steps=2)
    same = adaptation.fit_weights(g, r, x, mask, steps=2)
    assert torch.equal(other.head(r), same.head(r)), "what is under the stroke does not count"


def test_every_head_has_weights_to_fit() -> None:
    from ganpaint_engine.stylegan2 import StyleGAN2

    g = StyleGAN2([8] * 8, [8, 8]).requires_grad_(False)
    assert g.resolution == 32
    assert [tuple(w.shape[:2]) for w in g.head_weights] == [(8, 8)] * 4 + [(3, 8)] * 2
    r = torch.randn(1, 8, 8, 8)
    x = torch.zeros(1, 3, 32, 32)
    fitted = adaptation.fit_weights(g, r, x, torch.zeros(1, 1, 32, 32), steps=3)
    assert not torch.equal(fitted.head(r), g.head(r))
    deltas = {i: torch.ones(1, 8, g.side(i), g.side(i)) for i in g.adapted_layers}
    assert not torch.equal(g.head(r, deltas, additive=True), g.head(r, deltas))


def test_the_softened_mask_is_that_of_its_definition() -> None:
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, 0, 30:33, 30:32] = 1
    mask[1, 0, :9, 50:] = 0.4
    grown = F.max_pool2d(mask, 17, 1, 8)
    for _ in range(2):
        grown = F.avg_pool2d(F.pad(grown, (8,) * 4, mode="replicate"), 17, 1)
    softened = adaptation.soften(mask, grow=8)
    assert torch.allclose(softened, torch.maximum(grown, mask), atol=2e-6)
    assert (softened[0, 0, 50] > 0).any()
    assert not softened[0, 0, 57].any(), "nothing at all beyond three times as far"
