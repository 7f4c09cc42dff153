#!/usr/bin/env python3
"""Asks GIMP something small all the time and writes down how long each answer took.

GIMP answers from its main loop, the one that also draws its windows and takes the mouse: the
longest wait is the longest moment in which GIMP was frozen. One line an answer: when, how long (s).
"""

import os
import sys
import time

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

_PAUSE_S = 0.005


class Heartbeat(Gimp.PlugIn):
    def do_query_procedures(self):
        return ["ganpaint-test-heartbeat"]

    def do_set_i18n(self, _name):
        return False

    def do_create_procedure(self, name):
        kind = Gimp.PDBProcType.PERSISTENT
        procedure = Gimp.Procedure.new(self, name, kind, _run, None)
        procedure.set_attribution("GANPaint", "GANPaint", "2025")
        procedure.set_documentation("Test", "Test", name)
        return procedure


def _run(procedure, _config, _data):
    procedure.persistent_ready()
    with open(os.path.join(os.environ["GANPAINT_STAGE"], "heartbeat.txt"), "w", 1) as file:
        while True:
            began = time.monotonic()
            Gimp.get_images()
            file.write(f"{began:f} {time.monotonic() - began:f}\n")
            time.sleep(_PAUSE_S)


Gimp.main(Heartbeat.__gtype__, sys.argv)
