"""What stands where a thing was: taken from around the stroke."""

import torch

import ganpaint_engine as gp
from ganpaint_engine import removal
from ganpaint_engine.window import to_array


class Pooled(torch.nn.Module):
    """An encoder whose r is the mean colour of each cell: what it saw can be read off."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 8)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A grey picture with a red square, and the stroke over it: 1×3×64×64, 1×1×64×64."""
    x, mask = torch.full((1, 3, 64, 64), 0.2), torch.zeros(1, 1, 64, 64)
    x[:, :, 24:40, 24:40] = torch.tensor([0.9, -0.9, -0.9]).view(1, 3, 1, 1)
    mask[:, :, 24:40, 24:40] = 1
    return x, mask


def test_the_hole_is_filled_from_around_it() -> None:
    x, mask = scene()
    seen = removal.from_around(Pooled(), x, mask)  # type: ignore[arg-type]
    assert seen is not None
    assert torch.allclose(seen, torch.full((1, 3, 8, 8), 0.2), atol=0.02)


def test_too_large_a_hole_is_not_filled() -> None:
    x, _ = scene()
    assert removal.from_around(Pooled(), x, torch.ones(1, 1, 64, 64)) is None  # type: ignore[arg-type]


def test_a_removal_is_nearer_to_its_surroundings_than_another_seed() -> None:
    prior = gp.load_model("churches", device="cpu")
    photo = to_array(scene()[0], 128).clip(0, 255).astype("uint8")
    mask = to_array(scene()[1].expand(1, 3, -1, -1) * 2 - 1, 128)[..., 0].clip(0, 255)
    session, stroke = prior.open(photo), mask.astype("uint8")
    around = photo[4:20, 4:20].mean((0, 1))

    def off(seed: int) -> float:
        edit = session.edit(stroke, remove="dome", seed=seed, quality="preview")
        return float(abs(edit.array[stroke > 127].mean(0) - around).mean())

    assert off(0) < 0.5 * min(off(1), off(2))
