"""A page about a model's concepts: one HTML file with all its pictures inside.

For each concept: its units with the pictures in which they are most active, what removing and
inserting it does, and its looks. Where a concept is, is told by its own units, so that learned
concepts are shown like dissected ones. All edits are G's own pictures, without δ and paste-back.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import concepts as concept_edits
from ganpaint_engine import exemplars, model_change
from ganpaint_engine import model_dissection as whole
from ganpaint_engine.appraisal import inserted, on_grid
from ganpaint_engine.concepts import Concept
from ganpaint_engine.pictures import formats
from ganpaint_engine.prior import Prior

OnStep = Callable[[float, str], None]

UNITS_SHOWN = 4
PICTURES_SHOWN = 6
EXAMPLES = 3
SHOWN_PX = 160
SURE = 0.9
"""Presence of a concept from which on a place counts as holding it."""

FEWEST_PICTURES = 2
NAME = "concepts.html"

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 1160px; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin: 1.6rem 0 .4rem; }
h2 { border-top: 1px solid #ccc; padding-top: 1.2rem; }
h3 { font-size: 1rem; }
figure { display: inline-block; margin: 0 .5rem .6rem 0; vertical-align: top; }
figcaption { font-size: .8rem; color: #555; }
img { display: inline-block; width: 160px; height: 160px; margin-right: 2px; background: #eee; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: left; }
nav a { margin-right: .8rem; } .note { color: #555; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; }
  figcaption, .note { color: #aaa; } a { color: #8bf; } h2 { border-color: #444; } }
"""


class Gallery:
    """Pictures to show concepts on. x: N×3×R×R uint8; r: N×C×8×8; y: G(r), N×3×R×R."""

    def __init__(self, prior: Prior, x: Tensor, on_step: OnStep) -> None:
        self.prior, self.x = prior, x
        self.r = whole.encoded(prior, x, on_step).to(prior.device)

    @torch.no_grad()
    def draw(self, r: Tensor) -> Image.Image:
        """G's picture of one r (1×C×8×8)."""
        return whole.to_image(self.prior.generator.head(r))

    def presence(self, concept: Concept) -> Tensor:
        """Where each picture holds the concept, by its units: N×R×R in [0, 1]."""
        return self._enlarged(concept_edits.presence(self.r, concept))

    def active(self, unit: int, threshold: float) -> Tensor:
        """Where a unit is above its threshold: N×R×R bools."""
        return self._enlarged(self.r[:, unit : unit + 1]) > threshold

    def _enlarged(self, grid: Tensor) -> Tensor:
        size = (self.prior.resolution,) * 2
        return F.interpolate(grid, size=size, mode="bilinear", align_corners=False)[:, 0]

    def picture(self, i: int, lit: Tensor | None = None) -> Image.Image:
        """A picture as it is; what is not ``lit`` (R×R) is darkened."""
        image = whole.to_image(whole.to_float(self.x[i : i + 1]))
        if lit is None:
            return image
        mask = Image.fromarray((lit.float() * 255).byte().cpu().numpy())
        return Image.composite(image, image.point(lambda v: v // 4), mask)


def write(
    prior: Prior, x: Tensor, folder: Path, on_step: OnStep = lambda fraction, stage: None
) -> Path:
    """Write the page into ``folder``, shown on pictures x (N×3×R×R uint8); its path.

    Raises BadRequest where the folder cannot be written.
    """
    gallery = Gallery(prior, x, lambda f, stage: on_step(0.4 * f, stage))
    rankings = model_change.read_rankings(prior.info)
    sections = []
    for i, entry in enumerate(prior.info.card["concepts"]):
        on_step(0.4 + 0.6 * i / len(prior.concepts), f"show {entry['name']}")
        concept = prior.concept(str(entry["name"]))
        sections += list(_section(gallery, concept, entry, rankings.get(concept.name, [])))
    text = "\n".join(["<!DOCTYPE html>", *_head(prior, len(x)), *sections, "</body></html>", ""])
    return model_change.write_text(folder / NAME, text)


def _head(prior: Prior, count: int) -> Iterable[str]:
    info, card = prior.info, prior.info.card
    title = f"{escape(info.name)} {escape(info.version)}: concepts"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
    yield f"<p>{info.resolution} px window, {card['edit_layer']['units']} units. Shown on {count} "
    yield "pictures; edits are G's own, without adaptation to the picture.</p>"
    found = card.get("dissection")
    if found:
        judge = "another segmenter" if found["independent_judge"] else "the segmenter that ranked"
        outliers = ", ".join(map(str, found["outlier_units"])) or "none"
        source = f"{found['pictures']} pictures ({escape(found['source'])})"
        yield f"<p class=note>Dissected on {source}; measured by {judge}; "
        yield f"outlier units left out: {outliers}.</p>"
    anchors = (f'<a href="#{_anchor(n)}">{escape(n)}</a>' for n in info.concepts)
    yield f"<nav>{''.join(anchors)}</nav>"
    missed = "".join(f"<li>{escape(str(line))}</li>" for line in card.get("left_out", ()))
    if missed:
        yield f"<details><summary>Not offered: what failed its measurement</summary><ul>{missed}"
        yield "</ul></details>"


def _anchor(name: str) -> str:
    return escape(name.replace(" ", "-"))


def _section(
    gallery: Gallery, concept: Concept, entry: dict[str, Any], ranking: list[dict[str, Any]]
) -> Iterable[str]:
    operations = ", ".join(gallery.prior.operations(concept.name)) or "nothing"
    yield f'<h2 id="{_anchor(concept.name)}">{escape(concept.name)}</h2><p>Offered: {operations}.'
    if entry.get("learned"):
        yield f"Learned from {entry['learned']['painted_pictures']} painted pictures, not measured."
    yield "</p>"
    yield from _figures(entry)
    yield from _looks(gallery.prior, entry)
    where = gallery.presence(concept)
    yield from _removals(gallery, concept, where)
    yield from _insertions(gallery, concept, where)
    yield from _units(gallery, concept, ranking)


def _figures(entry: dict[str, Any]) -> Iterable[str]:
    """What the judge measured."""
    rows = [
        f"<tr><td>{name}</td><td>{e['share_before']:.2f}</td><td>{e['share_after']:.2f}</td>"
        f"<td>{_number(e.get('moved'))}</td><td>{int(e['scenes'])}</td></tr>"
        for name in ("add", "remove", "restyle")
        if (e := entry.get(name))
    ]
    if rows:
        yield "<table><tr><th>operation</th><th>share under the stroke before</th><th>after</th>"
        yield f"<th>way to the look</th><th>pictures</th></tr>{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _looks(prior: Prior, entry: dict[str, Any]) -> Iterable[str]:
    # Only files that the card hashes: a path elsewhere is not followed.
    shown = [v for v in entry.get("variants", ()) if v.get("thumbnail") in prior.info.card["files"]]
    if not shown:
        return
    yield "<h3>Looks</h3>"
    for look in shown:
        with Image.open(prior.info.path / look["thumbnail"], formats=formats()) as image:
            text = f"{look['name']}, {100 * look['share']:.0f} % of the pictures"
            yield _figure([image.convert("RGB")], text)


def _removals(gallery: Gallery, concept: Concept, where: Tensor) -> Iterable[str]:
    """Pictures that hold most of it (but not only it), with and without."""
    yield "<h3>Removed: the model's picture, the stroke, without it</h3>"
    share = (where > SURE).float().mean((1, 2))
    best = torch.where(share < 0.6, share, torch.zeros_like(share)).topk(min(EXAMPLES, len(where)))
    for i in best.indices[best.values > 0].tolist():
        stroke, r = (where[i : i + 1] > SURE).float(), gallery.r[i : i + 1]
        r_e = exemplars.take_out(r, on_grid(stroke), concept, gallery.prior.exemplars)
        yield _example(gallery, r, stroke, r_e)


def _insertions(gallery: Gallery, concept: Concept, where: Tensor) -> Iterable[str]:
    """Pictures that hold least of it, with it where others have it."""
    yield "<h3>Inserted where another picture has it</h3>"
    share = (where > SURE).float().mean((1, 2))
    usual = (share - share[share > 0].median()).abs() if (share > 0).any() else share
    places = usual.argsort()[:EXAMPLES].tolist()
    for i, place in zip(share.argsort()[:EXAMPLES].tolist(), places, strict=True):
        stroke, r = (where[place : place + 1] > SURE).float(), gallery.r[i : i + 1]
        if stroke.any():
            r_e = inserted(r, stroke, concept, gallery.prior.exemplars)
            yield _example(gallery, r, stroke, r_e)


def _example(gallery: Gallery, r: Tensor, stroke: Tensor, r_e: Tensor) -> str:
    before = gallery.draw(r)
    mask = Image.fromarray((stroke[0] * 130).byte().cpu().numpy())
    marked = before.copy()
    marked.paste((255, 40, 90), mask=mask)
    return _figure([before, marked, gallery.draw(r_e)])


def _units(gallery: Gallery, concept: Concept, ranking: list[dict[str, Any]]) -> Iterable[str]:
    """The best units, each in the pictures where it peaks, lit where it is above its threshold."""
    own = concept.units.tolist()
    known = {row["unit"]: row for row in ranking}
    numbers = ", ".join(str(u) for u in own)
    yield f"<h3>Units {numbers}, where they are most active</h3>"
    for unit in own[:UNITS_SHOWN]:
        peaks = gallery.r[:, unit].flatten(1).amax(1)
        threshold = known.get(unit, {}).get("threshold", 0.5 * float(peaks.max()))
        lit = gallery.active(unit, threshold)
        top = peaks.topk(min(PICTURES_SHOWN, len(peaks))).indices.tolist()
        iou = f", IoU {known[unit]['iou']:.2f}" if unit in known else ""
        text = f"unit {unit}{iou}, above {threshold:.2f}"
        yield _figure([gallery.picture(i, lit[i]) for i in top], text) + "<br>"


def _figure(images: Iterable[Image.Image], caption: str = "") -> str:
    """Pictures side by side."""
    tags = []
    for image in images:
        shown = image.resize((SHOWN_PX,) * 2, Image.Resampling.BICUBIC)
        data = base64.b64encode(whole.webp(shown)).decode()
        tags.append(f'<img alt="{escape(caption)}" src="data:image/webp;base64,{data}">')
    return f"<figure>{''.join(tags)}<figcaption>{escape(caption)}</figcaption></figure>"
