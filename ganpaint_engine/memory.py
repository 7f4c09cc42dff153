"""What to do when there is not enough memory: a ladder, from what costs least to what always goes.

First a smaller crop of the window, then half precision (bfloat16), then the CPU. Whoever runs out
of memory tries again one rung further down; nothing is lost by it but time, and the person is told.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from ganpaint_engine.errors import OutOfMemory

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Rung:
    """How to compute. margin: cells of the grid kept around the stroke; None keeps all. half: in
    bfloat16 where that is safe. on_cpu: there, whatever the device. told: what the person reads."""

    name: str
    margin: int | None = None
    half: bool = False
    on_cpu: bool = False
    told: str = ""


FULL = Rung("full")
CROP = Rung("crop", margin=1, told="on a smaller crop around the selection")
HALF = Rung("half", margin=1, half=True, told="in half precision")
CPU = Rung("cpu", on_cpu=True, told="on the CPU, which is slower")

LADDER = (FULL, CROP, HALF, CPU)
EDIT_RUNGS = LADDER
WINDOW_RUNGS = (FULL, HALF, CPU)
"""Of taking a window into the model: all of it is needed, so there is no crop."""


def is_cpu(device: torch.device) -> bool:
    """Whether there is no rung below a device's own."""
    return device.type == "cpu"


def is_shortage(error: Exception) -> bool:
    """Whether an exception of torch, numpy or OpenCV means that there was not enough memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # torch's CPU allocator and OpenCV have no class of their own for it.
    return any(words in str(error) for words in ("DefaultCPUAllocator", "Insufficient memory"))


def climb(rungs: Sequence[Rung], work: Callable[[Rung], T]) -> tuple[T, Rung]:
    """What ``work`` gives on the first rung that has the memory, and which that was.

    Raises OutOfMemory where none has; any other exception goes through at once.
    """
    tried = []
    for rung in rungs:
        try:
            return work(rung), rung
        except Exception as error:
            if not is_shortage(error):
                raise
            tried.append(rung.name)
            log.warning("Not enough memory (%s): %s", rung.name, error)
        # Beyond the except clause the failed attempt's tensors are let go of.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    raise OutOfMemory(f"There is not enough memory for this edit (tried: {', '.join(tried)}).")


@contextmanager
def precision(rung: Rung, device: torch.device) -> Iterator[None]:
    """Computes in bfloat16 where a rung says so; masters and sums stay in fp32."""
    if not rung.half:
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        yield


def sentence(rung: Rung) -> list[str]:
    """What the person is told of a rung, if anything."""
    return [f"There was not enough memory: the edit was made {rung.told}."] if rung.told else []
