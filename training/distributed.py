"""Several processes, on one machine or more, as ``torchrun`` starts them; one is the plain case.

    torchrun --nproc-per-node 2 -m training.train scenes.npz …

Each process draws its own batches; gradients and statistics are averaged before they are used, so
that all networks stay alike.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Workers:
    """This process among ``count``: its number ``rank``, and the device it computes on."""

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes files."""
        return self.rank == 0


def start(device: str = "auto") -> Workers:
    """Join the group that ``torchrun`` describes in the environment, if there is one."""
    rank, count, local = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    )
    if device == "auto":
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    if count > 1:
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Workers(rank, count, torch.device(device))


def meet(workers: Workers) -> None:
    """Wait until every process is here: none must leave while the leader still writes, since
    ``torchrun`` ends them all when one ends badly."""
    if workers.count > 1:
        distributed.barrier()


def finish(workers: Workers) -> None:
    """Leave the group."""
    if workers.count > 1:
        distributed.destroy_process_group()


def end() -> None:
    """End a process that ``torchrun`` started and that is done, without Python's own tidying up.

    What Gloo's threads still hold can abort an interpreter that is shutting down (PyTorch's pull
    request 179291). One of our processes was once seen to abort, when or why is not known; whatever
    happens here, the leader has written everything by now.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def average_gradients(workers: Workers, parameters: Iterable[nn.Parameter]) -> None:
    """Make each gradient the mean over all processes, in one message."""
    if workers.count == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= workers.count
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def average(workers: Workers, value: Tensor) -> Tensor:
    """The mean of ``value`` over all processes."""
    if workers.count > 1:
        distributed.all_reduce(value)
        value = value / workers.count
    return value


def spread(workers: Workers, module: nn.Module) -> None:
    """Give every process the leader's parameters and buffers."""
    if workers.count > 1:
        for tensor in module.state_dict().values():
            distributed.broadcast(tensor, 0)
