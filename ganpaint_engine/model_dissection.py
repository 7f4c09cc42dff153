"""Dissect a whole model: pictures → r and label maps → concepts, looks, measurements, thumbnails.

What ``ganpaint dissect`` runs. Every fifth picture is kept apart: only the judge sees it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganpaint_engine import appearance, appraisal, dissection, pictures, window
from ganpaint_engine import concepts as concept_edits
from ganpaint_engine.appearance import Look
from ganpaint_engine.appraisal import Bench, Effect
from ganpaint_engine.concepts import Concept
from ganpaint_engine.errors import BadRequest, GanpaintError, NothingFound
from ganpaint_engine.prior import Prior
from ganpaint_engine.segmentation import Segmenter

OnStep = Callable[[float, str], None]

FEWEST_PICTURES = 20
HELD_OUT_EVERY = 5
THUMBNAIL_PX = 96

_OF_LOOKS = ("restyle", "variants")  # an entry's keys that tell of looks


@dataclass
class Dissected:
    """What was found in a model.

    entries: of the card, by concept. rankings: their units with IoU and threshold.
    thumbnails: WebP files by name. left_out: a line about each operation that failed.
    outliers: units that no concept may have.
    """

    concepts: dict[str, Concept] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    rankings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    outliers: list[int] = field(default_factory=list)


def read_folder(folder: Path, side: int, most: int) -> tuple[Tensor, list[str]]:
    """Up to ``most`` pictures of a folder, spread over it, and a line about each file left out.

    N×3×side×side uint8: the middle square of each. Raises BadRequest if it is no folder.
    """
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}.")
    known = Image.registered_extensions()
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in known)
    every = max(len(files) / most, 1.0)
    files = [files[int(i * every)] for i in range(int(len(files) / every))]
    squares, problems = [], []
    for path in files:
        try:
            rgb, _ = window.as_photo(pictures.read_photo(path))
        except GanpaintError as error:
            problems.append(f"{path.name}: {error.message}")
            continue
        square = window.crop(rgb, window.whole_window(rgb.shape[1], rgb.shape[0]))
        squares.append(torch.from_numpy(window.resize(square, side)).permute(2, 0, 1))
    return (torch.stack(squares) if squares else torch.zeros(0, 3, side, side)), problems


@torch.no_grad()
def samples(prior: Prior, count: int, seed: int = 0) -> Tensor:
    """``count`` of the model's own pictures G(z): N×3×R×R uint8."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(count, prior.generator.z_channels, generator=rng)
    drawn = [prior.generator(part.to(prior.device)).cpu() for part in z.split(8)]
    return ((torch.cat(drawn) + 1) * 127.5).round().to(torch.uint8)


@torch.no_grad()
def encoded(prior: Prior, x: Tensor, on_step: OnStep) -> Tensor:
    """r = E(x) of N×3×R×R uint8: N×C×8×8."""
    found = []
    for i in range(0, len(x), 16):
        on_step(i / len(x), "encode")
        found.append(prior.encoder(to_float(x[i : i + 16]).to(prior.device)).cpu())
    return torch.cat(found)


def to_float(x: Tensor) -> Tensor:
    """uint8 to [-1, 1]."""
    return x.float() / 127.5 - 1


def run(
    prior: Prior,
    segmenter: Segmenter,
    judge: Segmenter,
    x: Tensor,
    names: Sequence[str] = (),
    on_step: OnStep = lambda fraction, stage: None,
    kept: Mapping[str, Concept] | None = None,
) -> Dissected:
    """Dissect a model on pictures x (N×3×R×R uint8).

    names: which of the segmenter's classes to make concepts of; all unless told. kept: concepts
    whose units, rivals and mean stay, and whose adding and removing is not measured again. Raises
    BadRequest (too few pictures, unknown classes), NothingFound.
    """
    unknown = [n for n in names if n not in segmenter.classes]
    if unknown:
        raise BadRequest(
            f"The segmenter has no class {', '.join(unknown)}. It has: "
            f"{', '.join(segmenter.classes)}."
        )
    if len(x) < FEWEST_PICTURES:
        raise BadRequest(f"{len(x)} usable pictures are too few; {FEWEST_PICTURES} are the least.")
    device = prior.device
    for net in (segmenter.net, judge.net):
        net.to(device)
    r = encoded(prior, x, lambda f, stage: on_step(0.3 * f, stage))
    labels = _labels(segmenter, x, prior, lambda f: on_step(0.3 + 0.15 * f, "segment"))
    held = torch.arange(len(x)) % HELD_OUT_EVERY == 0
    on_step(0.45, "rank units")
    ours = r[~held], labels[~held], x[~held]
    found = _concepts(*ours, segmenter.classes, list(names or segmenter.classes), kept or {})
    result = Dissected(outliers=found.outliers)
    held_labels = _labels(judge, x[held], prior, lambda f: on_step(0.6 + 0.1 * f, "judge"))
    bench = Bench(
        prior.generator, judge, r[held].to(device), held_labels.to(device), prior.exemplars
    )
    for i, (name, concept) in enumerate(found.concepts.items()):
        on_step(0.7 + 0.3 * i / len(found.concepts), f"measure {name}")
        _measure(result, bench, concept.to(device), found, name)
        if name in result.entries:
            where = ours[1] == segmenter.classes.index(name)
            result.thumbnails |= thumbnails(
                prior, concept.to(device), found.looks[name], ours[0], where
            )
    if not result.concepts:
        raise NothingFound(
            "No concept passes its measurement, so the model is left as it is: "
            + ("; ".join(result.left_out) or "the pictures hold none of the segmenter's classes")
        )
    return result


def _labels(
    segmenter: Segmenter, x: Tensor, prior: Prior, on_step: Callable[[float], None]
) -> Tensor:
    found = []
    for i in range(0, len(x), 16):
        on_step(i / len(x))
        found.append(segmenter.labels(to_float(x[i : i + 16]).to(prior.device)).cpu())
    return torch.cat(found)


@dataclass
class _Found:
    """Concepts before they are measured, with their agreement and looks."""

    concepts: dict[str, Concept]
    iou: dict[str, float]
    rankings: dict[str, list[dict[str, Any]]]
    looks: dict[str, list[Look]]
    outliers: list[int]
    kept: set[str]


def _concepts(
    r: Tensor,
    labels: Tensor,
    x: Tensor,
    classes: Sequence[str],
    names: Sequence[str],
    kept: Mapping[str, Concept],
) -> _Found:
    """Units, p_c, levels and looks, from the pictures that are not kept apart."""
    held = [c for k, c in enumerate(classes) if (labels == k).any()]
    maps = torch.stack([labels == classes.index(c) for c in held], dim=1)
    measured = dissection.agreement(r, maps)
    concepts, iou = dissection.dissect(r, labels, names, classes, measured=measured)
    found = _Found({}, iou, {}, {}, dissection.outliers(r).nonzero().flatten().tolist(), set(kept))
    shown = to_float(x)
    for name, concept in concepts.items():
        if name in kept:
            own = kept[name].to(torch.device("cpu"))
            concept = replace(own, ranking=concept.ranking, levels=concept.levels)
        where = maps[:, held.index(name)]
        colours = appearance.mean_colours(shown, where)
        looks = appearance.looks(name, r, dissection.filled_cells(where), colours)
        found.concepts[name], found.looks[name] = with_looks(concept, looks), looks
        found.rankings[name] = ranking(concept, measured, held.index(name))
    return found


def _measure(result: Dissected, bench: Bench, concept: Concept, found: _Found, name: str) -> None:
    """What the judge says of a concept, entered into the result; failures are named."""
    known: list[Effect] = []
    changes: dict[str, Effect] = {}
    judged = name in bench.judge.classes
    if judged:
        if name not in found.kept:
            known = [e for e in (bench.addition(concept), bench.removal(concept)) if e is not None]
        concept, changes = _kept_looks(result, bench, concept, found, name)
        changed = appraisal.change_of_looks(list(changes.values()))
        known += [changed] if changed is not None else []
    result.left_out += [_miss(name, e) for e in known if not e.passes]
    operations = [e.operation for e in known if e.passes] if judged else ["add", "remove"]
    if "restyle" not in operations and not changes and len(found.looks[name]) > 1:
        operations.append("restyle")  # nothing to measure it on, but looks to choose from
    if not operations and name not in found.kept:
        return
    result.concepts[name] = concept.to(torch.device("cpu"))
    result.rankings[name] = found.rankings[name]
    result.entries[name] = {
        "name": name,
        "units": len(concept.units),
        "unit_iou": round(found.iou[name], 3),
        "operations": operations,
        **({} if judged else {"measured": False}),
        **{e.operation: e.plain() for e in known},
        "variants": [look_entry(name, look, changes.get(look.name)) for look in found.looks[name]],
    }


def _kept_looks(
    result: Dissected, bench: Bench, concept: Concept, found: _Found, name: str
) -> tuple[Concept, dict[str, Effect]]:
    """The concept with the looks that edits reach, and what was measured of each of these."""
    looks = found.looks[name]
    if len(looks) < 2:
        return concept, {}
    tried = {k.name: bench.change(concept, k._replace(p=k.p.to(concept.p))) for k in looks}
    missed = {look: e for look, e in tried.items() if e is not None and not e.passes}
    result.left_out += [_miss(f"{name} to {look}", e) for look, e in missed.items()]
    found.looks[name] = [look for look in looks if look.name not in missed]
    effects = {look: e for look, e in tried.items() if e is not None and look not in missed}
    return with_looks(concept, found.looks[name]), effects


def _miss(what: str, e: Effect) -> str:
    """A line about an operation that failed."""
    line = f"{e.operation} {what}: {e.share_before:.2f} of the stroke before, "
    way = "" if e.moved is None else f", {e.moved:.2f} of the way to the look"
    return f"{line}{e.share_after:.2f} after{way}"


def with_looks(concept: Concept, looks: Sequence[Look]) -> Concept:
    """The concept with these variants; its mean is the only one where there are none."""
    if not looks:
        return replace(concept, variants=concept.p[None], looks=())
    variants = torch.stack([look.p for look in looks]).to(concept.p)
    return replace(concept, variants=variants, looks=tuple(look.name for look in looks))


def look_entry(concept: str, look: Look, change: Effect | None) -> dict[str, Any]:
    """The card's entry of a look."""
    entry: dict[str, Any] = {
        "name": look.name,
        "share": round(look.share, 3),
        "colour": "#{:02x}{:02x}{:02x}".format(*look.rgb),
        "thumbnail": thumbnail_name(concept, look.name),
    }
    return entry if change is None else {**entry, "restyle": change.plain()}


def ranking(concept: Concept, measured: dissection.Agreement, row: int) -> list[dict[str, Any]]:
    """The concept's ranked units: IoU with it, and the threshold at which that is."""
    return [
        {
            "unit": u,
            "iou": round(float(measured.iou[row, u]), 3),
            "threshold": round(float(measured.threshold[row, u]), 3),
        }
        for u in concept.ranking.tolist()
    ]


def merged(
    card: Mapping[str, Any], result: Dissected, kept: set[str]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The card's new entries by concept, and its lines about what is not offered.

    Learned concepts stay as they were. Of those in ``kept`` only the looks and their change are
    new: what was measured of adding and removing them stays.
    """
    old = {str(e["name"]): e for e in card["concepts"]}
    entries = {n: e for n, e in old.items() if e.get("learned") or n in kept}
    lines = [str(line) for line in card.get("left_out", ())] if kept else []
    for name, entry in result.entries.items():
        if old.get(name, {}).get("learned"):
            continue
        if name in kept:
            before = [o for o in old[name].get("operations", ("add", "remove")) if o != "restyle"]
            stays = {k: v for k, v in old[name].items() if k not in _OF_LOOKS}
            looks = {k: v for k, v in entry.items() if k in _OF_LOOKS}
            changed = [o for o in entry["operations"] if o == "restyle"]
            entry = {**stays, **looks, "operations": before + changed}
        entries[name] = entry
    return entries, [ln for ln in lines if not ln.startswith("restyle ")] + result.left_out


def thumbnail_name(concept: str, look: str) -> str:
    """The file of a look's thumbnail in the package."""
    return f"look-{concept}-{look}.webp".replace(" ", "_")


@torch.no_grad()
def thumbnails(
    prior: Prior, concept: Concept, looks: Sequence[Look], r: Tensor, where: Tensor
) -> dict[str, bytes]:
    """One picture that shows the concept well, in each of its looks, as the model draws it.

    r: N×C×8×8. where: N×R×R bools, the concept. WebP files by their names in the package.
    """
    if not looks:
        return {}
    full = where.float().mean((1, 2))
    best = int(torch.where(full < 0.5, full, -full).argmax())
    here = r[best : best + 1].to(prior.device)
    u = appraisal.on_grid(where[best : best + 1].float().to(prior.device))
    box = around(where[best].numpy())
    made = {}
    for look in looks:
        y = prior.generator.head(concept_edits.restyle(here, u, concept, look.p.to(here)))
        image = to_image(y).crop(box).resize((THUMBNAIL_PX,) * 2, Image.Resampling.BICUBIC)
        made[thumbnail_name(concept.name, look.name)] = webp(image)
    return made


def around(where: np.ndarray) -> tuple[int, int, int, int]:
    """A square box (left, top, right, bottom) around what is True in an R×R map, inside it."""
    box, side = window.bounds(where), where.shape[0]
    size = min(max(box.x1 - box.x0, box.y1 - box.y0) + side // 8, side)
    x = min(max((box.x0 + box.x1 - size) // 2, 0), side - size)
    y = min(max((box.y0 + box.y1 - size) // 2, 0), side - size)
    return x, y, x + size, y + size


def to_image(y: Tensor) -> Image.Image:
    """The first of N×3×R×R in [-1, 1] as a picture."""
    return Image.fromarray(
        np.clip(np.rint(window.to_array(y[:1], y.shape[-1])), 0, 255).astype("uint8")
    )


def webp(image: Image.Image) -> bytes:
    """A small file of a picture."""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=80, method=6)
    return out.getvalue()
