"""Runs plays (inside/krita/driver) in real Krita, beside a stub engine that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import INSIDE, Display, Stage, wait_for
from PIL import Image

from ganpaint_engine import plugin_packages
from ganpaint_engine.client import Client
from ganpaint_engine.errors import GanpaintError

PLAYS_S = 900
PICTURES = ("krita-docker.png", "krita-layers.png", "krita-doctor.png", "krita-settings.png")
# For screenshots on a photograph: its path, and what to do in it as JSON (box, operation, concept).
SHOT_PHOTO, SHOT_WISH = "GANPAINT_SCREENSHOT_PHOTO", "GANPAINT_SCREENSHOT_WISH"


class StubEngine:
    """`ganpaint serve --stub` in a home of its own; does what the plays ask for by files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "stub"
        self.home.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        command = [sys.executable, "-m", "ganpaint_engine", "serve", "--stub"]
        environment = {**os.environ, "GANPAINT_HOME": str(self.home)}
        with (self.folder / "stub.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def idle(self) -> bool:
        """Whether it has no job, neither waiting nor running."""
        with contextlib.suppress(GanpaintError):
            with Client.connect(self.home / "runtime/runtime.json", name="tests") as client:
                status = client.status()
            return not status["active"] and not status["waiting"]
        return False

    def __enter__(self) -> StubEngine:
        self.start()
        wait_for("the stub engine", (self.home / "runtime/runtime.json").exists)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join(30)
        self.kill()

    def _serve(self) -> None:
        acts = {"kill": self.kill, "engine": self.start, "idle": lambda: None}
        while not self._leave.wait(0.05):
            if self._process is not None:
                self._process.poll()  # one that has ended is then no process any more
            for name, act in acts.items():
                asked = self.folder / f"ask-{name}"
                if asked.exists() and (name != "idle" or self.idle()):
                    act()
                    asked.unlink()
                    (self.folder / f"did-{name}").touch()


def prepare(stage: Stage) -> None:
    """The driver beside the installed plug-in, and the pictures that its plays open."""
    target = stage.home / ".local/share/krita/pykrita"
    shutil.copytree(INSIDE / "krita", target, dirs_exist_ok=True)
    kritarc = stage.home / ".config/kritarc"
    if "enable_driver" not in kritarc.read_text():
        kritarc.write_text(kritarc.read_text() + "enable_driver=true\n")
    if os.environ.get(SHOT_PHOTO):
        Image.open(os.environ[SHOT_PHOTO]).convert("RGB").save(stage.folder / "shot.png")
        (stage.folder / "shot.json").write_text(os.environ[SHOT_WISH])
    plugin_packages.make_zip("krita", stage.folder / "ganpaint.zip")
    muted = (stage.scene.photo // 4 + 96).astype(np.uint8)  # colours that any space holds, and
    Image.fromarray(muted).save(stage.folder / "muted.png")  # whose inverse it holds too


class HostCrash(Exception):
    """Krita itself crashed: no line of Python was being run."""


def play(stage: Stage, display: Display, names: str) -> dict[str, Any]:
    """The report of these modules of plays, by play.

    Krita 5.2 crashes by itself now and then when documents are opened and closed by a script. That
    is told as a warning, and the plays begin anew, once; a crash with Python in it fails at once.
    """
    try:
        return _play(stage, display, names)
    except HostCrash as crash:
        warnings.warn(f"Krita crashed by itself: {crash}", stacklevel=2)
    _clear(stage.folder)
    try:
        return _play(stage, display, names)
    except HostCrash as crash:
        pytest.fail(f"Krita crashed twice:\n{crash}")


def _clear(folder: Path) -> None:
    """Away with what plays leave that others would stumble over."""
    for left in (*folder.glob("ask-*"), *folder.glob("did-*")):
        left.unlink()
    shutil.rmtree(folder / "imported", ignore_errors=True)


def _play(stage: Stage, display: Display, names: str) -> dict[str, Any]:
    variables = {
        "DISPLAY": display.name,
        "GANPAINT_PLAYS": names,
        "GANPAINT_ENGINE": f"touch {stage.folder}/ask-engine",
    }
    if names == "shots":
        variables["GANPAINT_ENGINE"] = "ganpaint serve --detached"  # as a person's Doctor shows it
    prepare(stage)
    report = stage.folder / "krita.json"
    krita = stage.start("krita", "--nosplash", log="krita.log", **variables)
    with StubEngine(stage.folder), krita as process:
        try:
            ended = lambda: report.exists() or process.poll() is not None  # noqa: E731
            wait_for(f"{report} (logs beside it)", ended, PLAYS_S)
            if not report.exists():
                told = (stage.folder / "krita-crash.log").read_text()
                if "<no Python frame>" in told:
                    raise HostCrash(told)
                pytest.fail("Krita crashed:\n" + told)
            acts = json.loads(report.read_text())
            report.rename(stage.folder / f"krita-{names}.json")
        finally:
            # How it ended, beside the logs, for whoever looks into a failure.
            display.do("import", "-window", "root", str(stage.folder / "krita-end.png"))
            process.terminate()
    for name in PICTURES:
        if (stage.folder / name).exists():
            display.keep(stage.folder / name)
    if "failure" in acts:
        pytest.fail(acts["failure"])
    return acts
