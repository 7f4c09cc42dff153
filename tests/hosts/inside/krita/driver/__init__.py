"""Runs inside the real Krita: presses the GANPaint docker and menu, and writes what came of it.

A play is a generator: it yields conditions, each waited for by a timer while Krita goes on. Which
plays are run is in the environment: GANPAINT_PLAYS, names of modules here.
"""

import faulthandler
import importlib
import json
import os
import time
import traceback

from krita import Extension, Krita

from . import scene
from .qt import QtCore
from .scene import REPORT, Docker, path_of, pause

PATIENCE_S = 150
STUB = ("edits", "life", "documents")


class Driver(Extension):
    """Starts the plays once Krita's window stands."""

    def setup(self):
        pass

    def createActions(self, _window):
        QtCore.QTimer.singleShot(1500, self.start)

    def start(self):
        # Where Krita was when it crashed; kept open.
        self.crash = open(path_of("krita-crash.log"), "w")  # noqa: SIM115
        faulthandler.enable(self.crash)
        Krita.instance().activeWindow().qwindow().showMaximized()
        docker = Docker()
        self.play = self.plays(docker)
        self.condition = pause(0.5)
        self.deadline = time.monotonic() + PATIENCE_S
        self.timer = QtCore.QTimer()
        self.timer.setInterval(50)
        self.timer.timeout.connect(self.step)
        self.timer.start()

    def plays(self, docker):
        for name in os.environ["GANPAINT_PLAYS"].split(","):
            scene.use_stub() if name in STUB else scene.use_real()
            for play in importlib.import_module("driver." + name).PLAYS:
                began = time.monotonic()
                self.name = play.__name__
                print("play", self.name, file=self.crash, flush=True)
                yield from play(docker)
                REPORT.setdefault("seconds", {})[self.name] = time.monotonic() - began

    def step(self):
        try:
            if self.condition():
                self.condition = next(self.play)
                self.deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > self.deadline:
                raise TimeoutError("waited in vain; the docker says: " + Docker().status())
        except StopIteration:
            self.end()
        except Exception:
            says = f"\nIn {self.name}. The docker says: {Docker().status()}"
            REPORT["failure"] = traceback.format_exc() + says
            self.end()

    def end(self):
        self.timer.stop()
        with open(path_of("krita.part"), "w") as file:
            json.dump(REPORT, file)
        os.rename(path_of("krita.part"), path_of("krita.json"))
        # Not a closing of the window: documents left open by a failure would ask to be saved.
        QtCore.QTimer.singleShot(200, lambda: os._exit(0))


Krita.instance().addExtension(Driver(Krita.instance()))
