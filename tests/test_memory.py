"""Out of memory is a ladder: a smaller crop, half precision, the CPU; and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import errors, memory
from ganpaint_engine.prior import Prior

FULL_PX = 32


@pytest.fixture
def prior(small_model: Path) -> Prior:
    return gp.load_model(small_model, device="cpu")


@pytest.fixture
def short(prior: Prior, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes the generator's head run out of memory as long as ``enough`` says no."""

    def arrange(
        enough: Callable[[torch.Tensor], bool], error: Exception | None = None
    ) -> list[str]:
        head, tried = prior.generator.linear_head, []

        def linear_head(r: torch.Tensor, *more: Any, **options: Any) -> torch.Tensor:
            half = torch.is_autocast_enabled("cpu")
            tried.append(f"{tuple(r.shape[-2:])} x{len(r)}{' half' if half else ''}")
            if not enough(r):
                raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return head(r, *more, **options)

        monkeypatch.setattr(prior.generator, "linear_head", linear_head)
        return tried

    return arrange


@pytest.fixture
def small() -> np.ndarray:
    """A stroke over about a cell of the grid."""
    mask = np.zeros((150, 200), np.uint8)
    mask[60:80, 90:110] = 255
    return mask


def is_crop(r: torch.Tensor) -> bool:
    return r.shape[-1] < 8


@pytest.mark.parametrize("quality", ["preview", "final"])
def test_first_a_smaller_crop(
    prior: Prior, short: Any, photo: Image.Image, small: np.ndarray, quality: str
) -> None:
    session = prior.open(photo)
    place = session.place(small)
    session.inverted(place)
    usual = session.edit(small, add="tree", quality=quality)
    tried = short(is_crop)
    edit = session.edit(small, add="tree", quality=quality)
    assert any("(8, 8) x1" not in one and "half" not in one for one in tried)
    assert edit.report["memory"] == "crop"
    assert "smaller crop" in edit.report["warnings"][-1]
    assert edit.report["device"] == "cpu"
    if quality == "preview":
        far = np.abs(np.asarray(edit.image).astype(int) - np.asarray(usual.image))
        assert far.mean() < 3, "about the same picture"


def test_then_half_precision(
    prior: Prior, short: Any, photo: Image.Image, small: np.ndarray
) -> None:
    session = prior.open(photo)
    short(lambda r: torch.is_autocast_enabled("cpu"))
    edit = session.edit(small, add="tree")
    assert edit.report["memory"] == "half"
    assert "half precision" in edit.report["warnings"][-1]
    assert session.has(session.place(small))
    assert np.isfinite(edit.report["psnr"]["adapted"])


def test_then_the_cpu(
    prior: Prior, short: Any, photo: Image.Image, small: np.ndarray, small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = gp.load_model(small_model, device="cpu")
    monkeypatch.setattr(Prior, "on_cpu", other)
    monkeypatch.setattr(memory, "is_cpu", lambda device: False)
    tried = short(lambda r: False)
    edit = prior.open(photo).edit(small, add="tree")
    assert any("half" in one for one in tried)
    assert edit.report["memory"] == "cpu"
    assert edit.report["device"] == "cpu"
    assert "on the CPU" in edit.report["warnings"][-1]
    expected = other.open(photo).edit(small, add="tree")
    assert np.array_equal(edit.array, expected.array)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate"),
    ],
)
def test_then_an_error_with_a_code_and_nothing_is_lost(
    prior: Prior, short: Any, photo: Image.Image, small: np.ndarray, error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    session = prior.open(photo)
    before = session.edit(small, add="tree")
    short(lambda r: False, error)
    with pytest.raises(errors.OutOfMemory, match="full, crop, half"):
        session.edit(small, add="tree")
    monkeypatch.undo()
    again = session.edit(small, add="tree")
    assert again.report["memory"] == "full"
    assert again.report["warnings"] == []
    assert np.array_equal(again.array, before.array)


def test_other_errors_go_through_at_once(
    prior: Prior, short: Any, photo: Image.Image, small: np.ndarray
) -> None:
    tried = short(lambda r: False, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        prior.open(photo).edit(small, add="tree")
    assert len(tried) == 1


def test_a_real_allocation_that_is_too_large_counts() -> None:
    def work(rung: memory.Rung) -> int:
        if rung is memory.FULL:
            torch.empty(1 << 60, dtype=torch.uint8)
        return 7

    assert memory.climb(memory.LADDER, work) == (7, memory.CROP)
