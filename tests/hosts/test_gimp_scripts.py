"""GIMP's procedures from Script-Fu, and the plug-in's answers when the image changes meanwhile."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from conftest import PATIENCE_S, Stage

pytestmark = pytest.mark.editors


def test_script_fu_gets_the_new_layer(stub_stage: Stage) -> None:
    stage = stub_stage
    script = (stage.folder / "inside/gimp_script.scm").read_text()
    code = script.replace("FOLDER", str(stage.folder))
    options = ["-i", "--quit", "--batch-interpreter=plug-in-script-fu-eval", "-b", code]
    assert stage.run("gimp-console", *options, log="script-fu.log") == 0
    name, size, layers = (stage.folder / "script-fu.txt").read_text().splitlines()
    assert name == "GANPaint: add tree: autumn (0.8, seed 3)"
    assert size == "60 70"
    assert layers == "2"


@pytest.fixture(scope="module")
def meanwhile(stub_stage: Stage) -> dict[str, Any]:
    stage = stub_stage
    variables = {"REPORT": "gimp-meanwhile.json"}
    process: subprocess.Popen[bytes]
    with stage.start_gimp("gimp-console", "gimp_meanwhile.py", **variables) as process:
        log = stage.folder / "gimp_meanwhile.log"
        assert process.wait(2 * PATIENCE_S) == 0, log.read_text()[-3000:]
    return stage.report("gimp-meanwhile.json")


@pytest.mark.parametrize(
    ("change", "word"),
    [("closed", "closed"), ("deleted", "deleted"), ("moved", "moved"), ("resized", "resized")],
)
def test_nothing_is_pasted_where_it_no_longer_fits(
    meanwhile: dict[str, Any], change: str, word: str
) -> None:
    (code, text), more = meanwhile[change]
    assert (code, more) == ("bad_request", 0)
    assert word in text


def test_painting_meanwhile_does_no_harm(meanwhile: dict[str, Any]) -> None:
    assert meanwhile["painted"] == [["done", ""], 1]


def test_previews_are_changed_in_place(meanwhile: dict[str, Any]) -> None:
    first, second, larger = meanwhile["previews"]
    assert first == second
    assert first[1:] == [60, True]  # nobody can paint on it
    assert larger[1] == 80
    assert meanwhile["after_previews"] == ["Background"]


def test_only_the_surroundings_of_a_large_photo_are_sent(meanwhile: dict[str, Any]) -> None:
    around, whole = meanwhile["large"]["regions"]
    assert whole == [0, 0, 3000, 2400]
    assert around[2] * around[3] < 3000 * 2400 / 4
    assert meanwhile["large"]["same"]


def test_a_preview_left_behind_is_taken_away(meanwhile: dict[str, Any]) -> None:
    assert meanwhile["leftover"] == [2, 1]
