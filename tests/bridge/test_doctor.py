"""The editors' Doctor: with an engine and without, and what its report leaves out."""

import getpass
import json
import platform
import shlex
import sys
import time

import pytest
from bridges import end_engine
from engines import PATIENCE
from ganpaint_bridge import words
from ganpaint_bridge.doctor import Doctor, without_private

from ganpaint_engine import __version__, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle

STUB = shlex.join([sys.executable, "-m", "ganpaint_engine.service.stub"])


@pytest.fixture(autouse=True)
def english():
    words.use("en")
    yield
    words.use()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GANPAINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANPAINT_ENGINE", STUB)
    yield tmp_path
    end_engine()


@pytest.fixture
def doctor(home):
    (home / "install.json").write_text(json.dumps({"version": "9.9"}))
    doctor = Doctor("gimp 3.0.4", str(home))
    yield doctor
    doctor.close()


def wait_for(doctor, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition({line.title: line for line in doctor.lines()}):
        assert time.monotonic() < deadline, doctor.lines()
        doctor.pump(0.05)
    return {line.title: line for line in doctor.lines()}


def test_without_an_engine_it_says_so_and_starts_none(doctor):
    lines = wait_for(doctor, lambda lines: "not running" in lines["Engine"].value)
    for _ in range(5):
        doctor.pump(0.05)
    assert lifecycle.running() is None
    assert lines["Editor"].value == "gimp 3.0.4"
    assert lines["Plug-in"].value == "9.9"
    assert lines["Starts with"].ok
    assert "Model" not in lines


def test_start_restart_and_stop(doctor):
    doctor.start()
    lines = wait_for(doctor, lambda lines: "Memory" in lines and "Process" in lines)
    assert lines["Engine"].ok
    assert lines["Engine's version"].value == f"{__version__}, protocol 1.1"
    assert lines["Device"].value == "stub"
    assert lines["Model"].value == "stub 1"
    first = lifecycle.running().pid
    assert lines["Process"].value.startswith(f"{first},")
    doctor.restart()
    wait_for(doctor, lambda lines: "Process" not in lines)
    wait_for(doctor, lambda lines: "Process" in lines)
    assert lifecycle.running().pid != first
    doctor.stop()
    wait_for(doctor, lambda lines: "not running" in lines["Engine"].value)
    assert lifecycle.running() is None


def test_an_engine_that_is_ended_elsewhere_is_gone_from_the_window(doctor):
    doctor.start()
    wait_for(doctor, lambda lines: "Process" in lines)
    with Client.connect() as client:
        client.shutdown()
    wait_for(doctor, lambda lines: "not running" in lines["Engine"].value)


def test_an_engine_that_is_not_there_is_named(doctor, monkeypatch):
    monkeypatch.setenv("GANPAINT_ENGINE", "/nowhere/python -m ganpaint_engine")
    (line,) = (one for one in doctor.lines() if one.title == "Starts with")
    assert line.ok is False
    assert "/nowhere/python" in line.value
    doctor.start()
    lines = wait_for(doctor, lambda lines: lines["Engine"].ok is False)
    assert "/nowhere/python" in lines["Engine"].value


def test_the_report_has_the_log_and_nothing_private(doctor, home):
    doctor.start()
    wait_for(doctor, lambda lines: "Process" in lines)
    log = paths.runtime_dir() / "engine.log"
    with log.open("a") as out:
        out.write(f"ERROR {home}/photos/anna.png /home/bert/x C:\\Users\\carla\\y {'ab' * 32}\n")
        out.write("Listening at tcp://10.1.2.3:7000\n")
    text = doctor.report_text()
    assert "Listening at tcp://<address>" in text
    assert "~/photos/anna.png ~/x ~\\y <key>" in text
    for private in (
        str(home),
        "bert",
        "carla",
        "10.1.2.3",
        paths.runtime_file().read_text()[50:90],
    ):
        assert private not in text
    assert "gimp 3.0.4" in text


def test_names_of_person_and_machine_are_left_out(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "daria")
    monkeypatch.setattr(platform, "node", lambda: "darias-laptop")
    text = without_private("started by daria on darias-laptop; dariax stays, daria: no")
    assert text == "started by <user> on <machine>; dariax stays, <user>: no"
