"""The comparison's figures have the right answers where those are known, and its command runs."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.compare_methods import __main__ as command
from benchmarks.compare_methods import detector, measures, methods, pairs, report, run, sheet
from benchmarks.compare_methods.pairs import Case
from ganpaint_engine.segmentation import load_judge

TINY = Path(__file__).parent / "data" / "pairs"


def textured(side: int = 96, seed: int = 0, strength: float = 25) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(60, 190, (6, 6, 3)).astype(np.float32), (side, side))
    picture = coarse + rng.normal(0, strength, (side, side, 3))
    return picture.clip(0, 255).astype(np.uint8)


def disc(side: int = 96) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 4) ** 2


def blurred_under(picture: np.ndarray, stroke: np.ndarray, sigma: float = 3) -> np.ndarray:
    return np.where(stroke[..., None], cv2.GaussianBlur(picture, (0, 0), sigma), picture)


def test_distances_are_zero_for_the_truth_and_grow_with_the_error() -> None:
    truth, stroke, judge = textured(), disc(), load_judge()
    assert measures.l1(truth, truth, stroke) == 0
    assert measures.perceptual(judge, truth, truth, stroke) == 0
    brighter = np.where(stroke[..., None], truth.clip(0, 245) + 10, truth).astype(np.uint8)
    assert measures.l1(brighter, np.minimum(truth, 245), stroke) == pytest.approx(10)
    slightly, wholly = blurred_under(truth, stroke, 0.8), blurred_under(truth, stroke, 8)
    near, far = (measures.perceptual(judge, p, truth, stroke) for p in (slightly, wholly))
    assert 0 < near < far


def test_distances_do_not_see_beyond_the_stroke() -> None:
    truth, stroke = textured(), disc()
    elsewhere = truth.copy()
    elsewhere[:4, :4] = 255
    assert measures.l1(elsewhere, truth, stroke) == 0
    assert measures.outside_db(elsewhere, truth, stroke) > 80
    assert measures.outside_db(elsewhere, truth, ~stroke) < 40


def test_seam_is_one_for_the_truth_more_for_an_edge_and_less_for_a_smear() -> None:
    truth, stroke = textured(strength=8), disc()
    assert measures.seam(truth, truth, stroke) == pytest.approx(1)
    cut = np.where(stroke[..., None], 255 - truth, truth)
    assert measures.seam(cut, truth, stroke) > 2
    assert measures.seam(cv2.GaussianBlur(truth, (0, 0), 4), truth, stroke) < 0.5


def test_a_stroke_at_the_border_has_no_edge_there() -> None:
    stroke = np.zeros((64, 64), bool)
    stroke[:, :32] = True
    band = measures.edge_band(stroke)
    assert band[:, 31:33].all()
    assert not band[:, :28].any()


def crops(changed: float, seeds: range, blur: bool = False) -> list[detector.Pair]:
    found = []
    for seed in seeds:
        untouched, stroke = textured(seed=seed), disc()
        noise = np.random.default_rng(100 + seed).normal(0, 25, untouched.shape) * changed
        edited = blurred_under(untouched, stroke) if blur else untouched + noise
        edited = edited.clip(0, 255).astype(np.uint8)
        found.append(detector.cut(str(seed), edited, untouched, stroke, seed))
    return found


def test_an_obvious_patch_is_detected_and_an_identical_one_is_not() -> None:
    judge = load_judge()
    same = detector.detect(judge, crops(0, range(8)), seeds=2)
    assert same == [0.5, 0.5]
    assert min(detector.detect(judge, crops(0, range(8), blur=True), seeds=2)) > 0.9


def test_another_draw_of_the_same_texture_is_detected_by_chance_only() -> None:
    pairs_ = [
        detector.cut(str(s), textured(seed=s), textured(seed=50 + s), disc(), s) for s in range(16)
    ]
    assert abs(np.mean(detector.detect(load_judge(), pairs_, seeds=4)) - 0.5) < 0.25


def test_auc_counts_ties_half() -> None:
    values = torch.tensor
    assert detector.auc(values([2.0, 3.0]), values([0.0, 1.0])) == 1
    assert detector.auc(values([0.0, 1.0]), values([2.0, 3.0])) == 0
    assert detector.auc(values([1.0, 1.0]), values([1.0])) == 0.5


def test_few_scenes_have_no_detector() -> None:
    assert detector.detect(load_judge(), crops(1, range(3))) == []


def a_case(seed: int, operation: str = "add") -> Case:
    truth = textured(seed=seed)
    return Case(f"{seed}-{operation}", str(seed), "tree", operation,
                blurred_under(truth, disc()), disc(), truth)  # fmt: skip


def a_run(tmp_path: Path, cases: list[Case], made: dict[str, list[np.ndarray]]) -> run.Results:
    results = run.Results(tmp_path / "made")
    for name, pictures in made.items():
        for case, picture in zip(cases, pictures, strict=True):
            results.add(run.Record(case.name, name, 1.0, 30.0, 2.0, 33.0), picture)
    return results


def test_a_better_method_is_named_and_an_equal_one_is_not(tmp_path: Path) -> None:
    cases = [a_case(seed) for seed in range(6)]
    close = [blurred_under(c.truth, c.stroke, 0.6) for c in cases if c.truth is not None]
    results = a_run(
        tmp_path, cases,
        {"ours": [c.picture for c in cases], "same": [c.picture for c in cases], "close": close},
    )  # fmt: skip
    rows = report.measure_all(cases, ("ours", "same", "close"), results, {}, load_judge(), seeds=0)
    said = "\n".join(report.verdicts(rows))
    assert "close is better than ours in L1" in said
    assert "close is better than ours in perceptual distance" in said
    assert "same" not in said
    assert {row.method for row in rows} == {"ours", "same", "close"}
    assert all(len(row.l1) == 6 for row in rows)


def test_a_stopped_run_keeps_what_it_made(tmp_path: Path) -> None:
    cases = [a_case(0)]
    results = a_run(tmp_path, cases, {"ours": [cases[0].picture]})
    with (results.folder / run.RECORDS).open("a", encoding="utf-8") as file:
        file.write('{"case": "1-add", "meth')
    again = run.Results(results.folder)
    assert set(again.records) == {("0-add", "ours")}
    assert np.array_equal(again.picture("0-add", "ours"), cases[0].picture)
    again.add(run.Record("1-add", "ours", 1.0, None, 2.0, 33.0), cases[0].picture)
    assert len(run.Results(results.folder).records) == 2


def test_pairs_hold_the_truth_under_strokes_around_what_differs() -> None:
    cases = pairs.read(TINY)
    assert {case.operation for case in cases} == {"add", "remove"}
    for case in cases:
        assert case.truth is not None
        change = np.abs(case.truth.astype(int) - case.picture).max(2)
        assert change[case.stroke].mean() > 3 * change[~case.stroke].mean(), case.name
        assert pairs.LEAST <= case.stroke.mean() <= pairs.MOST
        assert case.picture[case.view(1.5)].shape[0] == case.picture[case.view(1.5)].shape[1]
    add = {c.name.replace("add", ""): c for c in cases if c.operation == "add"}
    for case in cases:
        twin = add.get(case.name.replace("remove", ""))
        if case.operation == "remove" and twin is not None:
            assert np.array_equal(case.picture, twin.truth)
            assert np.array_equal(case.truth, twin.picture)


def test_the_sheet_has_a_row_for_each_case(tmp_path: Path) -> None:
    cases = [a_case(seed) for seed in range(5)]
    results = a_run(tmp_path, cases, {"ours": [c.picture for c in cases]})
    chosen = sheet.choose(cases, 2)
    drawn = sheet.draw(chosen, ["ours"], results, side=64)
    assert len(chosen) == 2
    assert drawn.size[0] > 3 * 64
    assert drawn.size[1] > 2 * 64


def test_the_command_compares_every_method_on_two_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = [
        str(TINY),
        "--out",
        str(out),
        "--most",
        "1",
        "--seeds",
        "1",
        "--kinds",
        "add tree,remove door",
    ]
    monkeypatch.setattr(sys, "argv", ["compare_methods", *arguments])
    command.main()
    found = json.loads((out / "comparison.json").read_text(encoding="utf-8"))["scenes"]
    by_name = {(row["operation"], row["method"]): row for row in found["rows"]}
    assert {m for o, m in by_name if o == "remove"} >= set(methods.ONLY)
    assert not {m for o, m in by_name if o == "add"} & set(methods.ONLY)
    for (_, method), row in by_name.items():
        assert row["l1"] > 0, method
        assert row["seam"] > 0
        assert row["seconds"] >= 0
    for operation in ("add", "remove"):
        assert by_name[operation, "ours"]["outside_db"] > 25
    assert found["fidelity_db"] > 25
    assert (out / "scenes" / "sheet.png").is_file()
