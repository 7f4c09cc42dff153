import math

import pytest
import torch
from torch.nn import functional as F

from ganpaint_engine.generator import EDIT_LAYER, Generator, pixel_norm


def make(*channels: int) -> Generator:
    torch.manual_seed(0)
    return Generator(list(channels))


def reference(state: dict[str, torch.Tensor], z: torch.Tensor, depth: int) -> torch.Tensor:
    """ProGAN written out from its description, with nothing of the module."""
    x = z[:, :, None, None]
    for i in range(1, depth + 1):
        x = x / (x.pow(2).mean(1, keepdim=True) + 1e-8).sqrt()
        if i >= 3 and i % 2 == 1:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        w = state[f"layer{i}.conv.weight"]
        k = w.shape[-1]
        x = F.conv2d(x, w, padding=3 if i == 1 else 1) * (math.sqrt(2) / k / math.sqrt(w.shape[1]))
        x = F.leaky_relu(x + state[f"layer{i}.wscale.b"][None, :, None, None], 0.2)
    name = f"output_{x.shape[-1]}x{x.shape[-1]}"
    w = state[f"{name}.conv.weight"]
    x = x / (x.pow(2).mean(1, keepdim=True) + 1e-8).sqrt()
    y = F.conv2d(x, w) / math.sqrt(w.shape[1]) + state[f"{name}.wscale.b"][None, :, None, None]
    return y.clamp(-1, 1)


@pytest.mark.parametrize("depth", [6, 8, 10])
def test_equals_progan_written_out(depth: int) -> None:
    g = make(*([6] * 5), *([5] * (depth - 4))).double()
    with torch.no_grad():
        for p in g.parameters():
            p.add_(0.1 * torch.randn_like(p))
    z = torch.randn(2, 6, dtype=torch.double)
    assert torch.allclose(g(z), reference(g.state_dict(), z, depth), atol=1e-9)
    assert g.resolution == 4 * 2 ** (depth // 2 - 1) == g(z).shape[-1]


def test_head_after_stem_is_the_whole() -> None:
    g = make(4, 6, 6, 6, 7, 5, 5, 4, 4)
    z = torch.randn(3, 4)
    r = g.stem(z)
    assert r.shape == (3, 7, 8, 8)
    assert torch.equal(g.head(r), g(z))


def test_sizes_are_read_from_the_tensors() -> None:
    g = make(3, 6, 7, 8, 9, 5, 4)
    again = Generator.from_state_dict(g.state_dict())
    z = torch.randn(2, 3)
    assert again.channels == [3, 6, 7, 8, 9, 5, 4]
    assert torch.equal(again(z), g(z))


def test_missing_layers_are_an_error() -> None:
    state = {k: v for k, v in make(3, 4, 4, 4, 4, 4, 4).state_dict().items() if "layer5" not in k}
    with pytest.raises(KeyError):
        Generator.from_state_dict(state)
    with pytest.raises(KeyError):
        Generator.from_state_dict({})


def test_zero_deltas_change_nothing_and_others_do() -> None:
    g = make(4, 6, 6, 6, 6, 5, 5, 4, 4)
    r = g.stem(torch.randn(1, 4))
    zero = {6: torch.zeros(1, 5, 16, 16)}
    assert torch.equal(g.head(r, zero), g.head(r))
    assert not torch.equal(g.head(r, {6: zero[6] + 0.5}), g.head(r))


def test_one_cell_reaches_two_cells_around_itself_and_no_further() -> None:
    g = make(4, 6, 6, 6, 6, *([5] * 6)).double()
    r = torch.randn(1, 6, 8, 8, dtype=torch.double)
    changed = r.clone()
    changed[:, :, 1, 1] += 3
    difference = (g.linear_head(changed) - g.linear_head(r)).abs().sum(1)[0]
    cell = g.resolution // 8
    assert difference[cell : 2 * cell, cell : 2 * cell].min() > 0
    assert difference[4 * cell :].max() == 0
    assert difference[:, 4 * cell :].max() == 0


def test_pixel_norm_gives_unit_rms() -> None:
    x = pixel_norm(torch.randn(2, 9, 4, 4) * 30)
    assert torch.allclose(x.square().mean(1), torch.ones(2, 4, 4), atol=1e-5)


def test_edit_layer_is_before_the_norm() -> None:
    g = make(4, 6, 6, 6, 6, 5, 5)
    r = g.stem(torch.randn(1, 4))
    assert EDIT_LAYER == 4
    assert (r < 0).any(), "LeakyReLU's output, negative values kept"
    assert not torch.allclose(r.square().mean(1), torch.ones(1, 8, 8), atol=1e-2)
