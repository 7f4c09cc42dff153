"""One window's edits against the stub engine, in a process of its own."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from bridges import end_engine
from engines import PATIENCE
from ganpaint_bridge import BridgeError, host, life
from ganpaint_bridge.life import Ending
from ganpaint_bridge.locate import find_engine

from ganpaint_engine import paths
from ganpaint_engine.service import lifecycle, security, stub

STUB = f"{shlex.join([sys.executable, '-m', 'ganpaint_engine.service.stub'])} --step-ms 4"
TREE = host.EditRequest("tree", "add", 0.8, 3)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GANPAINT_HOME", str(tmp_path))
    monkeypatch.setenv("GANPAINT_ENGINE", STUB)
    yield tmp_path
    end_engine()


@pytest.fixture
def editing(home):
    editing = host.Editing("test")
    yield editing
    editing.close()


def picture(width=80, height=70):
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[20:40, 10:50] = 255
    return host.Picture(pixels.tobytes(), width, height, 3, mask.tobytes())


def pump_until(editing, *kinds, state=None):
    """All updates until one of these kinds, and engine state, has come."""
    updates = []
    deadline = time.monotonic() + PATIENCE
    while not any(one.kind in kinds and state in (None, one.state) for one in updates):
        assert time.monotonic() < deadline, updates
        updates += editing.pump(0.02)
    return updates


def running(editing):
    """Wait until the engine works on the edit."""
    while not any(one.fraction > 0 for one in pump_until(editing, "progress")):
        pass


def only(updates, kind):
    return [one for one in updates if one.kind == kind]


def test_from_start_to_a_patch(editing):
    request = TREE._replace(variant="autumn", context="whole", grow=2, feather=1.5)
    editing.start(request, picture())
    assert editing.busy
    updates = pump_until(editing, "done")
    assert not editing.busy
    assert [one.state for one in only(updates, "engine")] == ["starting", "ready"]
    (done,) = only(updates, "done")
    assert done.request == request
    patch = done.patch
    assert patch.name == "GANPaint: add tree: autumn (0.8, seed 3)"
    assert (patch.x, patch.y, patch.width, patch.height) == (10, 20, 40, 20)
    assert host.read_recipe(patch.recipe) == request._replace(model="stub")
    assert done.text == "Add tree: autumn: done."


def test_the_offer_comes_with_thumbnails(editing):
    editing.connect()
    updates = []
    while not editing.offer.looks:
        updates += pump_until(editing, "offer")
    offer = editing.offer
    assert offer.model == "stub"
    assert offer.concepts_for("restyle") == ("tree", "dome")
    assert set(offer.looks) == {("tree", "summer"), ("tree", "autumn"), ("dome", "copper")}
    look = offer.looks["tree", "autumn"]
    assert look.rgb == bytes(stub.LOOK_COLOURS["autumn"]) * look.width * look.height
    assert [bool(one.offer.looks) for one in only(updates, "offer")] == [False, True]
    editing.use_model("gone")
    assert pump_until(editing, "offer")[-1].offer.concepts == ()


def test_a_warning_comes_before_the_patch(editing):
    editing.start(TREE._replace(concept="unlike"), picture())
    kinds = [one.kind for one in pump_until(editing, "done")]
    assert kinds.count("warning") == 1
    assert kinds.index("warning") < kinds.index("done")


def test_of_a_sliders_previews_the_first_and_the_last_are_made(editing):
    editing.connect()
    pump_until(editing, "engine", state="ready")
    slow = TREE._replace(concept="slow")
    strengths = [0.1 * step for step in range(1, 9)]
    for strength in strengths:
        editing.preview(slow._replace(strength=strength), picture())
    assert editing.request.strength == strengths[-1]
    first = pump_until(editing, "done")
    assert only(first, "done")[0].request.strength == strengths[0]
    assert editing.busy
    last = pump_until(editing, "done")
    assert only(last, "done")[0].request.strength == strengths[-1]
    assert not editing.busy
    assert not only(first + last, "cancelled")


def test_apply_takes_the_place_of_a_preview(editing):
    editing.preview(TREE._replace(concept="slow"), picture())
    running(editing)
    editing.preview(TREE._replace(seed=9), picture())  # waits, and is never made
    editing.start(TREE, picture())
    updates = pump_until(editing, "done")
    assert only(updates, "done")[0].request == TREE
    assert editing.pump(0.3) == []


def test_a_new_edit_takes_the_place_of_one_that_runs(editing):
    editing.start(TREE._replace(concept="slow"), picture())
    running(editing)
    editing.start(TREE, picture())
    updates = pump_until(editing, "done")
    assert only(updates, "done")[0].request == TREE
    assert not only(updates, "cancelled")


def test_cancel_is_told_at_once_and_nothing_comes_later(editing):
    editing.start(TREE._replace(concept="slow"), picture())
    running(editing)
    editing.cancel()
    assert not editing.busy
    assert [one.kind for one in editing.pump()] == ["cancelled"]
    editing.cancel()
    assert editing.pump(0.2) == []
    editing.start(TREE, picture())
    assert pump_until(editing, "done")


def test_cancel_drops_the_preview_that_waits(editing):
    editing.preview(TREE._replace(concept="slow"), picture())
    editing.preview(TREE, picture())
    editing.cancel()
    pump_until(editing, "cancelled")
    assert not only(pump_for(editing, 1.0), "done")


def pump_for(editing, seconds):
    updates, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        updates += editing.pump(0.02)
    return updates


def test_what_cannot_be_sent(editing):
    small = picture()
    with pytest.raises(BridgeError) as caught:
        editing.start(TREE, small._replace(mask=bytes(80 * 70)))
    assert caught.value.code == "mask_empty"
    with pytest.raises(BridgeError) as caught:
        editing.start(TREE, small._replace(pixels=b""))
    assert caught.value.code == "bad_request"
    assert not editing.busy


def test_a_failed_edit_keeps_its_code_and_the_next_one_is_made(editing):
    editing.start(TREE._replace(concept="fail:out_of_memory"), picture())
    (failed,) = only(pump_until(editing, "failed"), "failed")
    assert failed.error.code == "out_of_memory"
    assert "[out_of_memory]" in failed.text
    editing.start(TREE, picture())
    assert pump_until(editing, "done")


# -- the engine's life ---------------------------------------------------------------------------


def pid():
    return lifecycle.running().pid


def test_restart_ends_the_edit_and_starts_another_engine(editing):
    editing.start(TREE._replace(concept="slow"), picture())
    running(editing)
    before = pid()
    editing.restart_engine()
    updates = pump_until(editing, "engine", state="ready")
    assert only(updates, "cancelled")
    assert [one.state for one in only(updates, "engine")] == ["stopped", "starting", "ready"]
    assert pid() != before
    editing.start(TREE, picture())
    assert pump_until(editing, "done")


def test_stop_and_the_next_edit_starts_it_again(editing):
    editing.start(TREE, picture())
    pump_until(editing, "done")
    editing.stop_engine()
    pump_until(editing, "engine", state="stopped")
    assert lifecycle.running() is None
    assert editing.pump(0.2) == []
    editing.start(TREE, picture())
    assert pump_until(editing, "done")


def test_stop_while_it_starts(editing):
    editing.start(TREE, picture())
    pump_until(editing, "engine", state="starting")
    editing.stop_engine()
    updates = pump_until(editing, "engine", state="stopped")
    assert only(updates, "cancelled")
    assert not only(pump_for(editing, 1.5), "engine")
    assert lifecycle.running() is None


def test_stop_and_restart_where_none_runs(editing):
    editing.stop_engine()
    assert pump_until(editing, "engine")[-1].state == "stopped"
    editing.restart_engine()
    pump_until(editing, "engine", state="ready")


def test_an_engine_that_this_window_is_not_connected_to_is_stopped_too(editing):
    editing.start(TREE, picture())
    pump_until(editing, "done")
    editing.close()
    other = host.Editing("another window")
    other.stop_engine()
    pump_until(other, "engine", state="stopped")
    assert lifecycle.running() is None
    other.close()


def test_a_killed_engine_is_reported_and_restarted_from_the_same_window(editing):
    editing.start(TREE._replace(concept="slow"), picture())
    running(editing)
    os.kill(pid(), signal.SIGKILL)
    (failed,) = only(pump_until(editing, "failed"), "failed")
    assert failed.error.code == "engine_unreachable"
    editing.restart_engine()
    pump_until(editing, "engine", state="ready")
    editing.start(TREE, picture())
    assert pump_until(editing, "done")


def test_an_engine_that_hangs_is_told_of_and_can_be_restarted(editing, monkeypatch):
    monkeypatch.setattr(life, "_ASKED_S", 0.2)
    monkeypatch.setattr(life, "_FORCED_S", 0.2)
    editing.start(TREE._replace(concept="slow"), picture())
    running(editing)
    hanging = pid()
    os.kill(hanging, signal.SIGSTOP)
    try:
        (first, *_) = only(pump_until(editing, "silent"), "silent")
        assert "3 s" in first.text
        assert editing.busy, "it may only be slow"
        editing.restart_engine()
        pump_until(editing, "engine", state="ready")
        assert pid() != hanging
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hanging, signal.SIGKILL)


def test_a_stale_file_leads_to_no_kill(home, monkeypatch):
    """The number in a dead engine's file may be another program's by now."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        paths.runtime_file().parent.mkdir(parents=True)
        runtime = security.Runtime(
            "tcp://127.0.0.1:9", security.new_token(), sleeper.pid, "1.1", time.time()
        )
        security.write_runtime(paths.runtime_file(), runtime)
        (paths.runtime_dir() / "engine.lock").touch()  # held by nobody
        found = find_engine(str(paths.runtime_file()))
        assert found.pid == sleeper.pid
        assert Ending(found, asked=False).over()
        assert sleeper.poll() is None
        sleeper.kill()
    paths.runtime_file().unlink()


def test_an_engine_is_looked_for_without_being_started(editing, home):
    editing.connect(start=False)
    [failed] = only(pump_until(editing, "failed"), "failed")
    assert failed.error.code == "engine_unreachable"
    assert not (home / "runtime/runtime.json").exists()
    editing.start(TREE, picture())  # an edit starts it all the same
    assert only(pump_until(editing, "done"), "done")


def test_an_engine_that_runs_already_is_found(editing):
    editing.start(TREE, picture())
    pump_until(editing, "done")
    editing.close()
    assert not editing.connected
    editing.connect(start=False)
    assert only(pump_until(editing, "offer"), "offer")[0].offer.model == "stub"
