"""Train a segmenter on the scenes' labels.

python -m training.train_segmenter scenes128.npz --kind unet --minutes 5 --out unet.pt
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganpaint_engine.segmentation import CLASSES, DilatedSegmenter, UNetSegmenter
from training.data import Scenes

KINDS: dict[str, type[nn.Module]] = {"unet": UNetSegmenter, "judge": DilatedSegmenter}


@torch.no_grad()
def class_iou(net: nn.Module, scenes: Scenes, batch: int = 64) -> Tensor:
    """Intersection over union of each class over ``scenes``, K values in [0, 1]."""
    inter, union = torch.zeros(len(CLASSES)), torch.zeros(len(CLASSES))
    for i in range(0, len(scenes), batch):
        guess = net(scenes.pictures[i : i + batch].float() / 127.5 - 1).argmax(1)
        truth = scenes.labels[i : i + batch].long()
        for k in range(len(CLASSES)):
            a, b = guess == k, truth == k
            inter[k] += (a & b).sum()
            union[k] += (a | b).sum()
    return inter / union.clamp(min=1)


def train(
    scenes: Scenes,
    kind: str,
    minutes: float,
    seed: int,
    batch: int = 32,
    most_steps: int | None = None,
) -> nn.Module:
    """A segmenter of ``kind``, trained for ``minutes`` or ``most_steps``; in eval mode."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    net = KINDS[kind]().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    # Doors, windows and domes are a hundredth of the pixels: weigh classes by a root of rarity.
    share = torch.bincount(scenes.labels.flatten().int(), minlength=len(CLASSES)).float()
    weight = (share.sum() / share).sqrt()
    weight = weight / weight.mean()
    start, step = time.monotonic(), 0
    while step != most_steps and (elapsed := (time.monotonic() - start) / 60) < minutes:
        done = max(elapsed / minutes, step / most_steps if most_steps else 0)
        optimizer.param_groups[0]["lr"] = 2e-3 * max(1 - done, 0.01)
        x, y = scenes.batch(batch, rng)
        x = x + 0.06 * torch.randn_like(x) * torch.rand(len(x), 1, 1, 1)
        loss = F.cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"{elapsed:5.1f} min  step {step}  loss {loss.item():.3f}", flush=True)
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    net = train(
        Scenes.load(args.scenes, args.resolution, False), args.kind, args.minutes, args.seed
    )
    iou = class_iou(net, Scenes.load(args.scenes, args.resolution, True))
    for name, value in zip(CLASSES, iou.tolist(), strict=True):
        print(f"{name:8s} IoU {value:.2f}")
    torch.save({"kind": args.kind, "state": net.state_dict()}, args.out)


if __name__ == "__main__":
    main()
