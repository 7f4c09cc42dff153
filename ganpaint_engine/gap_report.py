"""``ganpaint models measure``: a model on a folder of photographs, as table, JSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from ganpaint_engine import gap, inversion, pictures, segmentation, window
from ganpaint_engine.editing import Edit
from ganpaint_engine.photo_folder import PhotoFolder, Problem
from ganpaint_engine.prior import OnStep, Prior

TILE = 192
_GAP, _LINE = 6, 18
SHOWN = 3
"""Edits shown for each photo in the sheet; all are measured."""

Row = list[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Report:
    """What was measured, and where the pictures are."""

    model: str
    measured: list[gap.Measured]
    problems: list[Problem]
    sheet: Path
    data: Path

    def tables(self) -> list[Table]:
        """Reconstruction and edits, means over the photos."""
        means = gap.summary(self.measured)
        title = f"{self.model} on {means['photos']} photographs"
        stages = Table("stage", "L1, of 255", "PSNR, dB", "SSIM", title=title, box=None)
        for stage, name in gap.STAGES.items():
            row = means["stages"][stage]
            stages.add_row(name, f"{row['l1']:.1f}", f"{row['psnr']:.1f}", f"{row['ssim']:.2f}")
        edits = Table(
            "edit", "photos", "before", "after", "outside, dB",
            title="Share of the concept under the stroke, finished picture, by the judge", box=None,
        )  # fmt: skip
        for row in means["edits"]:
            shares = ("–" if row[k] is None else f"{row[k]:.2f}" for k in ("before", "after"))
            outside = "–" if row["outside_db"] is None else f"{row['outside_db']:.1f}"
            name = f"{row['operation']} {row['concept']}"
            edits.add_row(name, str(row["photos"]), *shares, outside)
        return [stages, edits]


def measure(
    prior: Prior,
    folder: Path,
    out: Path,
    on_step: OnStep,
    quality: str = "final",
    concepts: Sequence[str] = (),
) -> Report:
    """Measure ``prior`` on the photos of ``folder``; pictures and JSON go to ``out``.

    concepts: whose edits are tried; all of the model's where none is named. Raises TooFewPhotos if
    no photo can be used, BadRequest (no such folder, not writable), UnknownConcept.
    """
    for concept in concepts:
        prior.concept(concept)
    photos = PhotoFolder.open(folder)
    judge = gap.Judge(segmentation.load_judge(), segmentation.SIDE, prior.device)
    measured, rows = [], []
    for i, (path, image) in enumerate(photos):

        def step(fraction: float, stage: str, i: int = i) -> None:
            on_step((i + fraction) / len(photos), stage)

        one, row = _one(
            prior, str(path.relative_to(folder)), image, judge, step, (quality, concepts)
        )
        heat = out / "maps" / f"{path.stem}.png"
        pictures.write_picture(Image.fromarray(row[-1 - len(one.trials)][1]), heat)
        measured.append(one)
        rows.append(row)
    photos.require(len(measured), 1)
    report = Report(
        prior.name, measured, photos.problems, out / "sheet.png",
        out / "measured.json",
    )  # fmt: skip
    pictures.write_picture(sheet(rows), report.sheet)
    means = {"model": prior.name, "version": prior.version, **gap.summary(measured)}
    listed = [p._asdict() for p in photos.problems]
    content = {**means, "left_out": listed, "each": gap.as_json(measured)}
    report.data.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return report


def _one(
    prior: Prior,
    name: str,
    image: Image.Image,
    judge: gap.Judge,
    on_step: OnStep,
    edits: tuple[str, Sequence[str]],
) -> tuple[gap.Measured, Row]:
    """One photo, and its row of pictures: photo, stages, invertibility map, edits."""
    rgb = np.asarray(image)
    photo = prior.open(image)
    whole = window.whole_window(*photo.size)
    inverted = photo.inverted(whole, lambda f, stage: on_step(0.3 * f, stage))
    r = inversion.encode(prior.encoder, inverted.x)
    stages = gap.stage_pictures(prior, inverted, r)
    cells = gap.cell_errors(stages["refined"], inverted.x)
    one = gap.Measured(
        name,
        photo.size,
        {k: gap.quality(y, inverted.x) for k, y in stages.items()},
        [[round(float(v), 1) for v in line] for line in cells],
        prior.unfamiliarity(inverted.x),
        photo.warnings,
    )
    row: Row = [(name[:28], rgb)]
    for stage, y in stages.items():
        shown = np.clip(np.rint(window.to_array(y, TILE)), 0, 255).astype(np.uint8)
        row.append(
            (
                f"{gap.STAGES[stage].replace('δ', 'delta')}  {one.stages[stage]['psnr']:.1f} dB",
                shown,
            )
        )
    row.append(("invertibility", gap.heat_map(rgb, cells)))
    for trial, stroke, edit in gap.try_edits(
        photo, rgb, judge, lambda f, stage: on_step(0.3 + 0.7 * f, stage), *edits
    ):
        one.trials.append(trial)
        row.append((_told(trial), _outlined(edit, stroke)))
    return one, row


def _told(trial: gap.Trial) -> str:
    shares = ("?" if v is None else f"{v:.2f}" for v in (trial.before, trial.after))
    return f"{trial.operation} {trial.concept} " + " to ".join(shares)


def _outlined(edit: Edit, stroke: np.ndarray) -> np.ndarray:
    """The edited photo with a thin line around the stroke."""
    out = np.asarray(edit.image.convert("RGB")).copy()
    lines, _ = cv2.findContours(stroke, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(out, lines, -1, (255, 40, 90), max(min(out.shape[:2]) // 160, 1))
    return out


def sheet(rows: list[Row]) -> Image.Image:
    """One row for each photo; every picture with a line of text over it."""
    columns = min(max(len(row) for row in rows), 5 + SHOWN)
    size = (columns * (TILE + _GAP) + _GAP, len(rows) * (TILE + _LINE + _GAP) + _GAP)
    page = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for j, row in enumerate(rows):
        for i, (text, picture) in enumerate(row[:columns]):
            x, y = _GAP + i * (TILE + _GAP), _GAP + j * (TILE + _LINE + _GAP)
            draw.text((x, y), text, "black", font)
            small = Image.fromarray(picture)
            small.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
            page.paste(small, (x, y + _LINE))
    return page
