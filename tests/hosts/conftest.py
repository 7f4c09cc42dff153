"""The stage for the tests in real editors: a chroot with GIMP and Krita, a display, an engine.

The engine runs outside the chroot and the editors inside; the network is shared, and so is the
stage's folder, under the same path. Nothing here is ever skipped: an editor that is missing, or an
engine that does not start, fails the tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganpaint_engine import plugins
from ganpaint_engine.client import Client, JobEvent
from ganpaint_engine.paths import bundled_models_dir

HERE = Path(__file__).parent
INSIDE = HERE / "inside"
SETUP_S = 1800
PATIENCE_S = 150
# Folders of its configuration, and the version that its settings are to be of: with an older one it
# begins with a window of welcome.
GIMP_VERSIONS = {"3.0": "3.0.4", "3.2": "3.2.6"}


def wait_for(what: str, ready: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """The first true value of ``ready()``; fails the test when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = ready()
        if value:
            return value
        time.sleep(0.1)
    pytest.fail(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(frozen=True)
class Scene:
    """The photo of the tests, and the box (left, top, width, height) selected in it."""

    photo: np.ndarray
    box: tuple[int, int, int, int]

    @property
    def mask(self) -> np.ndarray:
        mask = np.zeros(self.photo.shape[:2], np.uint8)
        left, top, width, height = self.box
        mask[top : top + height, left : left + width] = 255
        return mask


@dataclass(frozen=True)
class Stage:
    """A folder seen by engine and editors under the same path, and the way into the chroot."""

    chroot: Path
    folder: Path
    scene: Scene
    engine_folder: str = "engine"

    @property
    def home(self) -> Path:
        """HOME of the editors."""
        return self.folder / "home"

    @property
    def engine_home(self) -> Path:
        """GANPAINT_HOME of the engine and of the plug-ins."""
        return self.folder / self.engine_folder

    def with_engine(self, folder: str) -> Stage:
        """The same stage for another engine."""
        return dataclasses.replace(self, engine_folder=folder)

    def start(self, *command: str, log: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a command in the chroot; what it prints goes to the stage's ``log``."""
        inside = {
            "HOME": str(self.home),
            "GANPAINT_HOME": str(self.engine_home),
            "GANPAINT_STAGE": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                [HERE / "editors", "run", self.chroot]
                + [f"{name}={value}" for name, value in inside.items()]
                + list(command),
                env={**os.environ, "SHARE": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, *command: str, log: str, **variables: str) -> int:
        """Run a command in the chroot to its end; its exit status."""
        with self.start(*command, log=log, **variables) as process:
            try:
                return process.wait(PATIENCE_S * 2)
            finally:
                process.kill()

    def start_gimp(self, program: str, script: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start GIMP (``program``) with a script of ``inside/`` as its batch code."""
        code = f"exec(compile(open('{self.folder}/inside/{script}').read(), '{script}', 'exec'))"
        options = ["--quit", "--batch-interpreter=python-fu-eval", "-b", code]
        console = ["-i"] if "console" in program else ["--no-splash"]
        log = script.replace(".py", ".log")
        return self.start(program, *console, *options, log=log, **variables)

    def report(self, name: str) -> dict[str, Any]:
        """What a script inside the editor wrote down, once it is there."""
        path = self.folder / name
        wait_for(f"{name} (logs in {self.folder})", path.exists)
        return json.loads(path.read_text())

    def pixels(self, name: str) -> np.ndarray:
        """A picture that an editor wrote, HxWx4 u8."""
        return np.asarray(Image.open(self.folder / name).convert("RGBA"))

    def engine(self) -> Client:
        """A Python client of the engine that the editors use."""
        return Client.connect(self.engine_home / "runtime/runtime.json", name="tests")

    def working(self) -> bool:
        """Whether the engine has any job, waiting or running."""
        with self.engine() as client:
            status = client.status()
        return bool(status["active"] or status["waiting"])


@dataclass(frozen=True)
class Display:
    """An X display inside the chroot, with a window manager, and hands on its keyboard."""

    stage: Stage
    name: str

    def do(self, *command: str) -> str:
        """Run a small X program (xdotool, import); what it prints, "" when it fails."""
        log = self.stage.folder / "x.out"
        log.unlink(missing_ok=True)
        code = self.stage.run(*command, log="x.out", DISPLAY=self.name)
        return log.read_text().strip() if code == 0 else ""

    def window(self, title: str) -> str:
        """The id of the visible window with this in its title, once there is one."""
        search = ("xdotool", "search", "--onlyvisible", "--name", title)
        found = wait_for(f"a window '{title}'", lambda: self.do(*search))
        return found.split()[0]

    def gone(self, window: str) -> bool:
        """Whether the window has been closed."""
        return not self.do("xdotool", "getwindowname", window)

    def press(self, window: str, *keys: str) -> None:
        """Press keys in a window, as a person would."""
        self.do("xdotool", "windowactivate", "--sync", window)
        self.do("xdotool", "key", "--delay", "60", *keys)

    def photograph(self, name: str) -> Path:
        """A picture of the whole screen."""
        path = self.stage.folder / name
        self.do("import", "-window", "root", str(path))
        return self.keep(path)

    @staticmethod
    def keep(picture: Path) -> Path:
        """Copy a screenshot to GANPAINT_SCREENSHOTS, if that is set."""
        kept = os.environ.get("GANPAINT_SCREENSHOTS")
        if kept:
            Path(kept).mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, kept)
        return picture


def chroot_folder() -> Path:
    """Where the chroot is, or will be."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    release = os.environ.get("EDITORS_RELEASE")
    name = f"ganpaint-test-editors-{release}" if release else "ganpaint-test-editors"
    return Path(os.environ.get("GANPAINT_TEST_EDITORS") or default / name)


@pytest.fixture(scope="session")
def chroot() -> Path:
    """The folder of the chroot, set up if need be."""
    folder = chroot_folder()
    done = subprocess.run([HERE / "editors", "setup", folder], timeout=SETUP_S, check=False)
    if done.returncode:
        pytest.fail("the chroot with GIMP and Krita could not be set up (see above)")
    return folder


def example_scene() -> Scene:
    """The bundled model's example of adding a tree, with the box around its stroke."""
    folder = bundled_models_dir() / "churches" / "examples"
    wishes = json.loads((folder / "examples.json").read_text())
    wish = next(w for w in wishes if (w["operation"], w["concept"]) == ("add", "tree"))
    photo = np.asarray(Image.open(folder / wish["photo"]).convert("RGB"))
    left, top, right, bottom = Image.open(folder / wish["mask"]).convert("L").getbbox()
    return Scene(photo, (left, top, right - left, bottom - top))


def prepared(chroot: Path, folder: Path, scene: Scene) -> Stage:
    """A stage with plug-ins installed, as `ganpaint plugin install` does, and no engine."""
    stage = Stage(chroot, folder, scene)
    shutil.copytree(INSIDE, stage.folder / "inside")
    Image.fromarray(scene.photo).save(stage.folder / "photo.png")
    (stage.folder / "box.json").write_text(json.dumps(scene.box))
    for folder_name, version in GIMP_VERSIONS.items():
        config = stage.home / ".config/GIMP" / folder_name
        plugins.install("gimp", config)
        shutil.copy(INSIDE / "shortcutsrc", config)
        settings = (INSIDE / "gimprc").read_text()
        (config / "gimprc").write_text(settings.replace("VERSION", version))
    plugins.install("krita", stage.home / ".local/share/krita")
    return stage


@pytest.fixture(scope="session")
def scene() -> Scene:
    """What the photo shows."""
    return example_scene()


@pytest.fixture(scope="session")
def stage(chroot: Path, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage with plug-ins and an engine."""
    stage = prepared(chroot, tmp_path_factory.mktemp("editors"), scene)
    environment = {**os.environ, "GANPAINT_HOME": str(stage.engine_home)}
    with (stage.folder / "engine.log").open("wb") as log:
        command = [sys.executable, "-m", "ganpaint_engine", "serve"]
        engine = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for("the engine", (stage.engine_home / "runtime/runtime.json").exists)
        yield stage
    finally:
        engine.terminate()
        engine.wait(30)


@pytest.fixture(scope="session")
def stub_stage(stage: Stage) -> Iterator[Stage]:
    """The same stage with the stub engine, whose edits are known to the pixel."""
    stub = stage.with_engine("stub-engine")
    environment = {**os.environ, "GANPAINT_HOME": str(stub.engine_home)}
    with (stage.folder / "stub-engine.log").open("wb") as log:
        command = [sys.executable, "-m", "ganpaint_engine", "serve", "--stub"]
        engine = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for("the stub engine", (stub.engine_home / "runtime/runtime.json").exists)
        yield stub
    finally:
        engine.terminate()
        engine.wait(30)


class Engines:
    """Starts an engine outside whenever a plug-in inside asks for one, by running ``command``.

    serve: what ``python -m`` runs.
    """

    def __init__(self, stage: Stage, *serve: str) -> None:
        self._wanted = stage.folder / f"{stage.engine_folder}-wanted"
        self.command = stage.folder / f"start-{stage.engine_folder}"
        self.command.write_text(f"#!/bin/sh\ntouch {self._wanted}\n")
        self.command.chmod(0o755)
        self._serve = [sys.executable, "-m", *serve]
        self._environment = {**os.environ, "GANPAINT_HOME": str(stage.engine_home)}
        self._running: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            if self._wanted.exists():
                self._wanted.unlink()
                self._running.append(subprocess.Popen(self._serve, env=self._environment))

    @property
    def started(self) -> int:
        """How many were started so far."""
        return len(self._running)

    def kill(self) -> None:
        """Kill the newest one, as a crash would."""
        self._running[-1].send_signal(signal.SIGKILL)
        self._running[-1].wait(30)

    def close(self) -> None:
        """End them all."""
        self._over.set()
        self._thread.join()
        for engine in self._running:
            engine.terminate()
            engine.wait(30)


def ask_engine(stage: Stage, mask: np.ndarray) -> JobEvent:
    """What the engine makes of "add tree" under ``mask``, asked by the Python client: a preview.

    After a final edit, which has the photo refined: before that a preview is answered from the
    encoder alone, and the same one looks different a moment later.
    """
    with stage.engine() as client:
        for quality in ("final", "preview"):
            job = client.submit(
                stage.scene.photo, mask, concept="tree", operation="add", quality=quality
            )
            result = list(client.events(job, timeout=PATIENCE_S))[-1]
        assert result.report["stage"] == "adapted"
        return result


@pytest.fixture(scope="session")
def expected(stage: Stage) -> JobEvent:
    """What the editors' new layers must be like."""
    return ask_engine(stage, stage.scene.mask)


@contextlib.contextmanager
def on_display(stage: Stage) -> Iterator[Display]:
    """An X display with a window manager, for as long as it is wanted."""
    number_file = stage.folder / "display"
    screen = f"exec Xvfb -displayfd 3 -screen 0 1280x860x24 -nolisten tcp 3>{number_file}"
    server = stage.start("sh", "-c", screen, log="xvfb.log")
    number = wait_for("Xvfb", lambda: _text(number_file).strip())
    display = Display(stage, f":{number}")
    # The number is there a moment before the server answers.
    wait_for("the display", lambda: display.do("xdotool", "getdisplaygeometry"))
    config = f"{stage.folder}/inside/openbox.xml"
    manager = stage.start(
        "openbox", "--config-file", config, log="openbox.log", DISPLAY=display.name
    )
    try:
        yield display
    finally:
        for process in (manager, server):
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def display(stage: Stage) -> Iterator[Display]:
    """One X display for all tests."""
    with on_display(stage) as display:
        yield display


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
