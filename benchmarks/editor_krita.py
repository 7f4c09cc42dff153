"""The Krita half of ``benchmarks.editors``.

The engine is not running at first, and the photo is new to it. Time runs from the press of Apply,
inside the editor; the longest frozen moment is the longest pause of a timer that beats every 10 ms
in the editor's own thread.
"""

from __future__ import annotations

import json
import os
import statistics
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ImageCms

from benchmarks.kill_gimp import hosts

WIDTH, HEIGHT = 6000, 4000
_PLAY_S = 900


def large_photo(photo: np.ndarray) -> np.ndarray:
    """``photo`` (H×W×3 u8) at 6000×4000, u16, with noise below a step of u8 as a camera has."""
    big = cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    return (np.clip(big + noise, 0, 255) * 257).astype(np.uint16)


def write_png(path: Path, photo: np.ndarray) -> None:
    """``photo`` (H×W×3 u16, sRGB) as a PNG that says so: Krita asks about one that does not."""
    done, encoded = cv2.imencode(".png", photo[..., ::-1])
    assert done
    data = encoded.tobytes()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    body = b"iCCP" + b"sRGB\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    head = 8 + 25  # the signature and IHDR
    path.write_bytes(data[:head] + chunk + data[head:])


def krita(chroot: Path, folder: Path) -> dict[str, Any]:
    """What inside/krita/driver/large.py measured; see there."""
    tests = hosts()
    stage = tests.prepared(chroot, folder, tests.example_scene())
    sys.path.insert(0, str(Path(str(tests.__file__)).parent))
    sys.modules.setdefault("conftest", tests)
    krita_stage = __import__("krita_stage")
    krita_stage.prepare(stage)
    write_png(folder / "large.png", large_photo(stage.scene.photo))
    done = threading.Event()
    starter = threading.Thread(target=_start_engine, args=(stage, done))
    starter.start()
    report: Path = folder / "krita.json"
    try:
        with tests.on_display(stage) as display:
            variables = {
                "DISPLAY": display.name,
                "GANPAINT_PLAYS": "large",
                "GANPAINT_ENGINE": f"touch {folder}/ask-engine",
            }
            process = stage.start("krita", "--nosplash", log="krita.log", **variables)
            tests.wait_for("Krita", lambda: report.exists() or process.poll() is not None, _PLAY_S)
            process.terminate()
    finally:
        done.set()
        starter.join()
    act: dict[str, Any] = json.loads(report.read_text())
    if "failure" in act:
        raise RuntimeError(act["failure"])
    large: dict[str, Any] = act["large"]
    return large


def _start_engine(stage: Any, done: threading.Event) -> None:
    """Starts the engine when Krita asks for it: it cannot itself, from inside the chroot."""
    environment = {**os.environ, "GANPAINT_HOME": str(stage.engine_home)}
    engine: subprocess.Popen[bytes] | None = None
    while not done.wait(0.01):
        if engine is None and (stage.folder / "ask-engine").exists():
            command = [sys.executable, "-m", "ganpaint_engine", "serve"]
            with (stage.folder / "engine.log").open("wb") as log:
                engine = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    if engine is not None:
        engine.terminate()
        engine.wait(30)


def table(chroot: Path, folder: Path) -> str:
    """The figures as a table for docs/using.md."""
    act = krita(chroot, folder)
    cold, warm = act["cold"], act["warm"]
    longest = max(cold["longest_s"], warm["longest_s"], act["slider_longest_s"])
    rows = [
        ("Apply to first progress, engine not running", f"{cold['first_progress_s']:.1f} s"),
        ("Apply to layer, engine not running, photo new", f"{cold['layer_s']:.1f} s"),
        ("Apply to layer, again on this photo", f"{warm['layer_s']:.1f} s"),
        ("Slider to preview (median of 5)", f"{statistics.median(act['slider_s']):.2f} s"),
        ("Longest frozen moment", f"{1000 * longest:.0f} ms"),
    ]
    lines = ["| 24 megapixels, 16 bits | Krita |", "|---|---|"]
    return "\n".join(lines + [f"| {what} | {value} |" for what, value in rows])
