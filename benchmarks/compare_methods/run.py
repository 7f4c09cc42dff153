"""Making all edits by all methods, kept on disk: a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.compare_methods import methods
from benchmarks.compare_methods.methods import Method, Opened
from benchmarks.compare_methods.pairs import Case
from ganpaint_engine.prior import Prior

RECORDS = "records.jsonl"


@dataclass(frozen=True)
class Record:
    """What is known of an edit besides its picture. ``opening``: seconds, before the edit."""

    case: str
    method: str
    seconds: float
    outside_db: float | None
    opening: float
    adapted_db: float


class Results:
    """The edits in a folder: ``<case>/<method>.png`` and a line in records.jsonl for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.records: dict[tuple[str, str], Record] = {}
        path = folder / RECORDS
        if path.exists():
            # A line that a stopped run left unfinished has no line break; that edit is made anew.
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            path.write_text(whole, encoding="utf-8")
            for line in whole.splitlines():
                self._keep(Record(**json.loads(line)))

    def _keep(self, record: Record) -> None:
        self.records[record.case, record.method] = record

    def _file(self, case: str, method: str) -> Path:
        return self.folder / case / f"{method.replace(' ', '-')}.png"

    def add(self, record: Record, image: np.ndarray) -> None:
        path = self._file(record.case, record.method)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
        with (self.folder / RECORDS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        self._keep(record)

    def picture(self, case: str, method: str) -> np.ndarray:
        """H×W×3 uint8."""
        return np.asarray(Image.open(self._file(case, method)))


def applies(method: str, case: Case, only: Mapping[str, str]) -> bool:
    """Whether a method can make a case: some are for one operation alone."""
    return only.get(method, case.operation) == case.operation


def make_all(
    prior: Prior,
    cases: Sequence[Case],
    wanted: Mapping[str, Method],
    results: Results,
    only: Mapping[str, str],
    on_case: Callable[[int], None] = lambda done: None,
) -> None:
    """Make what the results lack. only: method to the one operation that it is for."""
    for done, case in enumerate(cases):
        missing = [
            name
            for name in wanted
            if applies(name, case, only) and (case.name, name) not in results.records
        ]
        if missing:
            _make(prior, case, {name: wanted[name] for name in missing}, results)
        on_case(done + 1)


def _make(prior: Prior, case: Case, wanted: Mapping[str, Method], results: Results) -> None:
    opened = Opened(prior, case)
    for name, method in wanted.items():
        made = methods.make(method, opened)
        record = Record(
            case.name,
            name,
            round(made.seconds, 4),
            made.output.outside_db,
            round(opened.seconds, 3),
            opened.psnr["adapted"],
        )
        results.add(record, made.output.image)
