"""Speed and memory of edits, as ratios in one run.

    python -m benchmarks.performance [--rounds 9] [--paper-steps 1000] [--out table.md]

The unit is one pass of the head, forward, or forward and backward, measured in turns with what is
compared with it: a machine that is busy with other things slows both. Medians. With a GPU times
are taken by CUDA events after warm-up. Peak memory is that of a process of its own that loads the
bundled model and edits a photo of 24 megapixels (VmHWM, Linux).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.bundled_model import HERE, load_scenes
from ganpaint_engine import (
    adaptation,
    editing,
    model_package,
    paste,
    recolour,
    removal,
    selection,
    window,
    wishes,
)
from ganpaint_engine.adaptation import Deltas
from ganpaint_engine.concepts import Concept
from ganpaint_engine.encoder import GRID
from ganpaint_engine.prior import Inversion, Prior, load_model, silent
from ganpaint_engine.session import PhotoSession
from training.networks import SIZES
from training.networks import Prior as Untrained

CONCEPT, LOOK = "tree", ("grass", "dry")
LARGE = (4000, 6000)  # height, width: 24 megapixels


class Row(NamedTuple):
    """A line of the table: what, what was found, what is to be reached."""

    what: str
    found: str
    goal: str


class Clock:
    """Times work in ms: by CUDA events on a GPU, else by the wall clock."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"

    def __call__(self, work: Callable[[], object]) -> float:
        if not self._cuda:
            started = time.perf_counter()
            work()
            return 1000 * (time.perf_counter() - started)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end))


def in_turns(clock: Clock, rounds: int, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median ms of each; each is done once beforehand, and then all in turns."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            spent[name].append(clock(work))
    return {name: statistics.median(values) for name, values in spent.items()}


def forward(prior: Prior, inverted: Inversion) -> None:
    """One pass of the head."""
    with torch.no_grad():
        prior.generator.head(inverted.r, inverted.deltas)


def forward_and_backward(prior: Prior, inverted: Inversion, deltas: Deltas) -> None:
    """One pass of the head with the gradients of δ."""
    y = prior.generator.linear_head(inverted.r, deltas)
    torch.autograd.grad((y - inverted.x).abs().mean(), list(deltas.values()))


def strokes(rounds: int, side: int) -> list[np.ndarray]:
    """Ellipses of a few sizes at ever new places, in one window: a stroke that goes on."""
    masks = []
    for i in range(rounds + 2):
        mask = np.zeros((side, side), np.uint8)
        middle = (side // 2 + i * side // 200, side // 2 + i % 3)
        cv2.ellipse(mask, middle, (side // 6, side // 5), 0, 0, 360, 255, -1)
        masks.append(mask)
    return masks


def previews(prior: Prior, photo: np.ndarray, rounds: int, clock: Clock) -> list[Row]:
    """Previews after every change of the stroke, against passes of the head."""
    session = prior.open(photo)
    wishes: dict[str, dict[str, Any]]
    wishes = {"addition": {"add": CONCEPT}, "removal": {"remove": CONCEPT}}
    masks = {kind: iter(2 * strokes(rounds, len(photo))) for kind in wishes}
    if LOOK[0] in prior.concepts:
        wishes["another look"] = {"restyle": LOOK[0], "variant": LOOK[1]}
        down = len(photo) // 3  # where there is some
        masks["another look"] = iter([np.roll(m, down, 0) for m in 2 * strokes(rounds, len(photo))])
    last = next(masks["addition"])
    inverted = session.inverted(session.place(last, context="whole"))
    strengths = iter(np.linspace(0.5, 0.9, 2 * rounds + 9))
    session.edit(last, remove=CONCEPT, quality="preview", context="whole")

    def preview(kind: str, mask: np.ndarray | None = None, strength: float = 1.0) -> None:
        mask = next(masks[kind]) if mask is None else mask
        wish = {**wishes[kind], "strength": strength}
        session.edit(mask, quality="preview", context="whole", **wish)

    ms = in_turns(clock, rounds, {
        "head": lambda: forward(prior, inverted),
        **{kind: partial(preview, kind) for kind in wishes},
        "of the same stroke": lambda: preview("removal", last, float(next(strengths))),
        "E": lambda: prior.encode(inverted.x),
        "unfamiliar": lambda: prior.unfamiliarity(inverted.x),
    })  # fmt: skip
    what = f"{prior.resolution} px, head {ms['head']:.1f} ms"
    rows = []
    for kind in wishes:
        beyond = ms[kind] - 2 * ms["head"]
        rows.append(
            Row(f"{kind}, preview of a new stroke ({what}): ms", f"{ms[kind]:.0f}", "200 at 256 px")
        )
        rows.append(Row("… beyond 2 passes of the head: ms", f"{beyond:.0f}", "30"))
    return [
        *rows,
        Row("removal, another strength: ms", f"{ms['of the same stroke']:.0f}", ""),
        Row(f"E ({what}), in passes of the head", f"{ms['E'] / ms['head']:.1f}", ""),
        Row("unfamiliarity, once for each window: ms", f"{ms['unfamiliar']:.0f}", ""),
    ]


def finals(prior: Prior, rounds: int, paper_steps: int, clock: Clock) -> list[Row]:
    """A final edit in a window that is at hand, against passes and the paper's 1000 steps."""
    scene = load_scenes(HERE / "scenes")[0]
    session = prior.open(scene.picture)
    side = min(scene.picture.shape[:2])
    mask = np.zeros(scene.picture.shape[:2], np.uint8)
    cv2.circle(mask, (side // 2, side // 2), side // 12, 255, -1)
    inverted = session.inverted(session.place(mask, context="whole"))
    leaves = {i: d.clone().requires_grad_(True) for i, d in inverted.deltas.items()}
    found: dict[str, object] = {}

    def final() -> None:
        found["ours"] = session.edit(mask, add=CONCEPT, context="whole").report["psnr"]["outside"]

    ms = in_turns(clock, max(rounds // 3, 2), {
        "pass": lambda: forward_and_backward(prior, inverted, leaves), "final": final,
    })  # fmt: skip
    passes = ms["final"] / ms["pass"]
    rows = [
        Row("final edit, in passes forward and backward", f"{passes:.0f}", "60"),
        Row("final edit: ms", f"{ms['final']:.0f}", "500 on a large GPU"),
    ]
    if paper_steps:
        paper = clock(lambda: found.update(paper=as_paper(session, mask, paper_steps)))
        share = ms["final"] / (paper * 1000 / paper_steps)
        rows += [
            Row("final edit, of the paper's 1000 steps", f"1/{1 / share:.0f}", "1/20"),
            Row("PSNR outside, raw, ours and 1000 steps: dB",
                f"{found['ours']} and {found['paper']}", "equal or better"),
        ]  # fmt: skip
    return rows


def as_paper(session: PhotoSession, mask: np.ndarray, steps: int) -> float | None:
    """PSNR outside of the form with the paper's settings; fewer steps tell the time alone."""
    prior, place = session.prior, session.place(mask, context="whole")
    inverted = session.inverted(place)
    small = selection.read(mask, *session.size).seen(place, prior.resolution)
    seen = torch.from_numpy(small)[None, None].to(prior.device)
    usual = adaptation.fit_as_paper
    wish = wishes.check(prior, {"add": CONCEPT}, 1.0, 0, "final", None, False, adaptation="paper")
    adaptation.fit_as_paper = lambda *a, **k: usual(*a, **{**k, "steps": steps})  # type: ignore
    try:
        y_e = editing.apply(prior, inverted, [(wish, seen)], silent).y_e
    finally:
        adaptation.fit_as_paper = usual
    return editing.outside_psnr(prior, inverted, seen, y_e)


def openings(prior: Prior, photo: np.ndarray, rounds: int, clock: Clock) -> list[Row]:
    """The first preview of a photo, against taking it wholly into the model."""
    mask = strokes(0, len(photo))[0]

    def first() -> None:
        prior.open(photo).edit(mask, add=CONCEPT, quality="preview", context="whole")

    def whole() -> None:
        session = prior.open(photo)
        session.inverted(session.place(mask, context="whole"))

    ms = in_turns(clock, max(rounds // 3, 2), {"first": first, "whole": whole})
    return [
        Row("first preview of a new photo (from E alone): ms", f"{ms['first']:.0f}", ""),
        Row("… of the time of taking it in wholly", f"1/{ms['whole'] / ms['first']:.0f}", ""),
    ]


def untrained(side: int) -> Prior:
    """The trainer's networks of a size, with random weights, as a prior: for timing alone."""
    nets = Untrained(SIZES[side])
    channels = nets.generator.edit_channels
    looks = torch.rand(3, channels)
    concept = Concept(CONCEPT, torch.arange(4), torch.arange(4, 8), looks[0], looks)
    info = model_package.find_model("churches")
    return Prior(info, nets.generator, nets.encoder, {CONCEPT: concept}, torch.device("cpu"))


def large_photo() -> np.ndarray:
    """24 megapixels: a scene, enlarged, with grain."""
    scene = load_scenes(HERE / "scenes")[0].picture
    rng = np.random.default_rng(0)
    photo = cv2.resize(scene, LARGE[::-1], interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(0, 8, (500, LARGE[1], 1), np.uint8)
    for start in range(0, LARGE[0], 500):
        cv2.add(photo[start : start + 500], np.repeat(grain, 3, 2), photo[start : start + 500])
    return photo


def paste_back(rounds: int, clock: Clock) -> list[Row]:
    """Paste-back alone into all of a 24-megapixel photo, the stroke 40 % as wide as its window."""
    prior, photo = load_model("churches", "cpu"), large_photo()
    height, width = LARGE
    mask = np.zeros(LARGE, np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (800, 800), 0, 0, 360, 255, -1)
    stroke = selection.read(mask, width, height)
    place = window.window_for(stroke.box, width, height, prior.resolution, "whole")
    x = window.to_tensor(window.crop(photo, place), prior.resolution)
    y = prior.encode(x)
    with torch.no_grad():
        before = prior.generator.head(y.r)
    after = before.roll(20, 3)
    work: dict[str, Callable[[], object]]
    work = {"paste": lambda: paste.paste(photo, stroke, place, before, after, 0, detail=8.0, x=x)}
    inside = torch.from_numpy(stroke.seen(place, prior.resolution))[None, None]
    nowhere = torch.zeros(1, 1, GRID, GRID, dtype=torch.bool)
    found = removal.Place(x, inside, nowhere).fill(1)[0]

    def filled() -> None:
        picture = removal.filling(window.crop(photo, place), found)
        weight = inside[0, 0].numpy()
        plain = np.zeros((*weight.shape, 3), np.float32)
        things = [paste.Thing(picture, plain, weight, grained=True)]
        paste.paste(photo, stroke, place, before, before, 0, x=x, things=things)

    autumn = recolour.Tint(np.array([150, 90, 45]), np.zeros((0, 3)))
    seen = torch.ones(1, 1, GRID, GRID)

    def recoloured() -> None:
        things = [recolour.asked(autumn, seen, inside, 1.0)]
        paste.paste(photo, stroke, place, before, before, 0, x=x, things=things)

    work |= {"fill": filled, "recolour": recoloured}
    patch = paste.paste(photo, stroke, place, before, after, 0, detail=8.0, x=x)
    work["lay over"] = lambda: paste.lay_over(photo, None, patch)
    ms = in_turns(clock, max(rounds // 3, 2), work)
    return [
        Row("24 megapixels: paste-back, s", f"{ms['paste'] / 1000:.2f}", "1"),
        Row("… of a filled place, s", f"{ms['fill'] / 1000:.2f}", "1"),
        Row("… of another look, s", f"{ms['recolour'] / 1000:.2f}", "1"),
        Row("… and the whole photo with it, s", f"{ms['lay over'] / 1000:.2f}", ""),
    ]


def edit_large(kind: str) -> None:
    """In a process of its own: a final edit of 24 megapixels; prints the peak memory in MiB."""
    photo, mask = large_photo(), np.zeros(LARGE, np.uint8)
    cv2.ellipse(mask, (3000, 2000), (800, 800), 0, 0, 360, 255, -1)
    wish: dict[str, Any] = {kind: CONCEPT}
    edit = load_model("churches", "cpu").open(photo).edit(mask, context="whole", **wish)
    assert edit.array.shape == photo.shape
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(line.split()[1]) // 1024)


def peak() -> list[Row]:
    """Peak memory of ``edit_large``."""
    rows = []
    for kind, name in (("add", "an addition"), ("remove", "a removal")):
        command = [sys.executable, "-m", "benchmarks.performance", "--edit-large", kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        found = f"{int(done.stdout.split()[-1]) / 1024:.2f}"
        what = f"24 megapixels: peak memory of the process, {name}, GiB"
        rows.append(Row(what, found, "1.5 GB"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--paper-steps", type=int, default=1000, help="fewer: the time alone")
    parser.add_argument("--only", nargs="+", default=["preview", "256", "final", "open", "large"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="Also write the table there.")
    parser.add_argument("--edit-large", choices=("add", "remove"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.edit_large:
        edit_large(options.edit_large)
        return
    prior = load_model("churches", options.device)
    clock, photo = Clock(prior.device), load_scenes(HERE / "scenes")[0].picture
    side = min(photo.shape[:2])
    photo = np.ascontiguousarray(photo[:side, :side])
    parts: dict[str, Callable[[], list[Row]]] = {
        "preview": lambda: previews(prior, photo, options.rounds, clock),
        "256": lambda: previews(
            untrained(256),
            cv2.resize(photo, (256, 256)),
            options.rounds,
            Clock(torch.device("cpu")),
        ),
        "final": lambda: finals(prior, options.rounds, options.paper_steps, clock),
        "open": lambda: openings(prior, photo, options.rounds, clock),
        "large": lambda: paste_back(options.rounds, Clock(torch.device("cpu"))) + peak(),
    }
    rows = [row for name in options.only for row in parts[name]()]
    where = f"{prior.device}, {torch.get_num_threads()} threads"
    text = f"| {where} | measured | to reach |\n|---|---|---|\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
