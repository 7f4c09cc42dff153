"""G(z) against each layout's formulas, written out independently in ``written_out``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import written_out
from hypothesis import given, settings
from hypothesis import strategies as st

from ganpaint_engine.errors import BadRequest, DamagedWeights, UnknownWeights
from ganpaint_engine.generator import Generator, SplitGenerator
from ganpaint_engine.published import layouts
from ganpaint_engine.stylegan2 import StyleGAN2

TOLERANCE = 1e-5
SIDES = [8, 16, 32, 64]


def layers(side: int) -> int:
    """How many layers ProGAN has for a size."""
    return 2 * (side.bit_length() - 2)


def load(content: dict[str, Any], wanted: str = "auto", **options: Any) -> SplitGenerator:
    weights = layouts.recognise(content, wanted)
    cls = Generator if weights.architecture == "proggan" else StyleGAN2
    return cls.from_state_dict(weights.state, **options)


@torch.no_grad()
def assert_equal(generator: SplitGenerator, z: torch.Tensor, expected: torch.Tensor) -> None:
    """In float32, or in float64 where ``generator`` is."""
    y = generator(z.to(next(generator.parameters()).dtype))
    assert (y.double() - expected.clamp(-1, 1)).abs().max() < TOLERANCE


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_proggan_in_both_layouts(data: st.DataObject) -> None:
    depth = layers(data.draw(st.sampled_from(SIDES)))
    channels = data.draw(st.lists(st.integers(1, 9), min_size=depth + 1, max_size=depth + 1))
    state = written_out.proggan(channels, data.draw(st.integers(0, 2**31)))
    older = written_out.as_older(state)
    z = torch.randn(2, channels[0], generator=torch.Generator().manual_seed(1))
    # Norms over few channels come near zero, and dividing by them makes any rounding large: float32
    # is compared with the same formulas in float32, and the formulas themselves in float64.
    single = written_out.proggan_of_z(older, z, dtype=torch.float32)
    double = written_out.proggan_of_z(older, z)
    for content in (state, older, {"state_dict": state}, {"state_dict": older, "epoch": 3}):
        generator = load(content)
        assert (generator.channels, generator.resolution) == (channels, double.shape[-1])
        assert_equal(generator, z, single)
    assert_equal(generator.double(), z, double)


def test_older_files_may_store_their_scales() -> None:
    older = written_out.as_older(written_out.proggan([5, 4, 6, 5, 4, 3, 4]))
    scales = written_out.older_scales(older)
    weights = layouts.recognise({**older, **scales})
    z = torch.randn(2, 5)
    expected = written_out.proggan_of_z(older, z, scales)
    assert (expected - written_out.proggan_of_z(older, z)).abs().max() > 0.01
    assert_equal(Generator.from_state_dict(weights.state), z, expected)
    assert any("scales" in note for note in weights.notes)


@settings(max_examples=5, deadline=None)
@given(st.data())
def test_stylegan2(data: st.DataObject) -> None:
    depth = layers(data.draw(st.sampled_from(SIDES))) - 1
    # A style of few channels may be nearly zero, and demodulation divides by it: see above.
    narrow = data.draw(st.booleans())
    width = st.integers(1, 5) if narrow else st.integers(4, 12)
    channels = data.draw(st.lists(width, min_size=depth + 1, max_size=depth + 1))
    mapping = data.draw(st.lists(st.integers(2, 8), min_size=2, max_size=5))
    state = written_out.stylegan2(channels, mapping, data.draw(st.integers(0, 2**31)))
    z = torch.randn(2, mapping[0], generator=torch.Generator().manual_seed(1))
    expected = written_out.stylegan2_of_z(state, z)
    flat = {f"g_ema.{k}": v for k, v in state.items()}
    for content in ({"g_ema": state, "latent_avg": torch.zeros(mapping[-1])}, state, flat):
        generator = load(content)
        assert_equal(generator.double() if narrow else generator, z, expected)


@pytest.mark.parametrize("side", [128, 256, 512, 1024])
@pytest.mark.parametrize("layout", ["proggan", "stylegan2"])
def test_large_pictures(layout: str, side: int) -> None:
    """Narrow ones, so that it is quick; no two neighbouring layers are of one width."""
    widths = [(6, 4, 5, 7)[i % 4] for i in range(layers(side) + 1)]
    z = torch.randn(1, widths[0], generator=torch.Generator().manual_seed(side))
    if layout == "proggan":
        state = written_out.proggan(widths, seed=side)
        expected = written_out.proggan_of_z(written_out.as_older(state), z, dtype=torch.float32)
    else:
        state = written_out.stylegan2(widths[:-1], [widths[0], 5, 6], seed=side)
        expected = written_out.stylegan2_of_z(state, z)
    assert expected.shape == (1, 3, side, side)
    assert_equal(load(state), z, expected)


@pytest.mark.parametrize("edit_layer", [2, 3])
def test_stylegan2s_head_runs_with_the_mean_style(edit_layer: int) -> None:
    state = written_out.stylegan2([3, 4, 5, 6, 5, 4, 3, 3], [4, 5, 5])
    average = 0.1 * torch.randn(5)
    generator = load({"g_ema": state, "latent_avg": average}, edit_layer=edit_layer)
    assert isinstance(generator, StyleGAN2)
    expected = written_out.stylegan2_of_w(state, average[None].double())
    with torch.no_grad():
        r, _ = generator._stem(average[None])
        assert r.shape == (1, generator.edit_channels, 8, 8)
        y = generator.linear_head(r.expand(2, -1, -1, -1))
        assert (y.double() - expected).abs().max() < TOLERANCE
        # A z's own featuremap comes from its own style; the head is the same for all.
        a, b = generator.stem(torch.randn(2, 4)).split(1)
        assert not torch.allclose(a, b)
        assert torch.equal(generator.linear_head(a), generator.linear_head(a))
        zeros = {i: torch.zeros(1, 1, 1, 1) for i in generator.adapted_layers}
        assert torch.equal(generator.linear_head(a, zeros), generator.linear_head(a))
        assert not torch.equal(generator.linear_head(a, {4: zeros[5] + 0.5}), generator.head(a))


def test_mean_style_is_estimated_where_the_file_has_none() -> None:
    state = written_out.stylegan2([3, 3, 3, 3, 3, 3], [4, 6])
    weights = layouts.recognise({"g_ema": state})
    many = written_out.mean_style(state, torch.randn(20_000, 4)).mean(0)
    assert (weights.state["latent_avg"] - many).abs().max() < 0.1
    assert any("mean style" in note for note in weights.notes)


def test_missing_noise_buffers_are_drawn_and_that_is_said() -> None:
    state = written_out.stylegan2([3, 3, 3, 3, 3, 3], [4, 6])
    bare = {k: v for k, v in state.items() if not k.startswith("noises.") and "kernel" not in k}
    first, again = layouts.recognise(bare), layouts.recognise(bare)
    assert any("seed 0" in note for note in first.notes)
    assert all(torch.equal(first.state[k], again.state[k]) for k in first.state)
    noises = {k: v for k, v in first.state.items() if k.startswith("noises.")}
    z = torch.randn(1, 4)
    assert_equal(
        StyleGAN2.from_state_dict(first.state),
        z,
        written_out.stylegan2_of_z({**state, **noises}, z),
    )


def test_a_generator_of_8_px_samples_but_has_no_head() -> None:
    for content in (
        written_out.proggan([3, 4, 4, 5, 4]),
        written_out.stylegan2([3, 4, 4, 5], [4, 4]),
    ):
        generator = load(content)
        assert generator.resolution == 8
        assert not generator.has_head
        assert generator.adapted_layers == []
        assert generator(torch.randn(1, generator.z_channels)).shape == (1, 3, 8, 8)


# -- almost, but not quite -----------------------------------------------------------------------

PROGGAN = written_out.proggan([3, 4, 5, 6, 5, 4, 3])
OLDER = written_out.as_older(PROGGAN)
STYLEGAN2 = written_out.stylegan2([3, 4, 5, 6, 5, 4], [4, 5, 5])


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    assert name in state
    return {k: v for k, v in state.items() if k != name}


def test_every_missing_name_is_refused() -> None:
    for state in (PROGGAN, OLDER, STYLEGAN2):
        for name in state:
            if not name.endswith("kernel"):
                with pytest.raises(UnknownWeights):
                    layouts.recognise(without(state, name))


def test_every_wrong_shape_is_refused() -> None:
    for state in (PROGGAN, OLDER, STYLEGAN2):
        for name, tensor in state.items():
            for wrong in (torch.cat([tensor, tensor]), tensor[None], torch.zeros(0)):
                with pytest.raises(UnknownWeights):
                    layouts.recognise({**state, name: wrong})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "no weights"),
        ({"a": torch.zeros(1)}, "a"),
        ({"state_dict": {"a": 3}}, "not the name of a tensor"),
        ({"g_ema": {}}, "no weights"),
        ({**PROGGAN, "layer7.conv.weight": torch.zeros(3, 3, 3, 3)}, "even number"),
        ({**PROGGAN, "layer3.norm.weight": torch.zeros(3)}, r"layer3\.norm\.weight"),
        (without(PROGGAN, "layer3.wscale.b"), r"lacks layer3\.wscale\.b"),
        (without(PROGGAN, "output_16x16.conv.weight"), "lacks output_16x16"),
        ({**PROGGAN, "layer3.conv.weight": torch.zeros(6, 4, 3, 3)}, "6×4×3×3 where 6×5×3×3 fits"),
        ({**PROGGAN, **OLDER}, "two layouts"),
        (written_out.proggan([3, 4, 4]), "4 px"),
        (written_out.proggan([1] * 21), "2048 px"),
        (without(STYLEGAN2, "convs.1.noise.weight"), r"lacks convs\.1\.noise\.weight"),
        (without(STYLEGAN2, "convs.3.conv.weight"), "even number"),
        ({**STYLEGAN2, "const": torch.zeros(1)}, "unknown const"),
        ({**STYLEGAN2, "latent_avg": torch.zeros(4)}, "latent_avg"),
        ({**PROGGAN, "layer1.wscale.b": torch.zeros(4, dtype=torch.int64)}, "int64"),
        ({**PROGGAN, "layer1.conv.weight": torch.zeros(1).expand(2**20, 2**20)}, "larger"),
    ],
)
def test_almost_known(content: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownWeights, match=says):
        layouts.recognise(content)


def test_another_format_than_asked_for() -> None:
    assert layouts.recognise(PROGGAN, "proggan").architecture == "proggan"
    assert layouts.recognise(STYLEGAN2, "stylegan2").architecture == "stylegan2"
    for content, wanted in ((PROGGAN, "stylegan2"), (STYLEGAN2, "proggan")):
        with pytest.raises(UnknownWeights, match=wanted):
            layouts.recognise(content, wanted)
    with pytest.raises(BadRequest, match="biggan"):
        layouts.recognise(PROGGAN, "biggan")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers(value: float) -> None:
    for state, name in ((PROGGAN, "layer2.wscale.b"), (STYLEGAN2, "noises.noise_1")):
        broken = state[name].clone()
        broken.view(-1)[-1] = value
        with pytest.raises(DamagedWeights, match=name):
            layouts.recognise({**state, name: broken})
