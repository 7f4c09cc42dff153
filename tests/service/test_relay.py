"""Edits passed on to an engine behind CURVE, as the plug-ins' engine does it; real processes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from engines import PATIENCE, EngineProcess, edit, is_free, photo, running, submit, until
from test_curve import free_port

from ganpaint_engine import errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import keys, lifecycle

STUB = """
import sys
from ganpaint_engine.service import lifecycle
from ganpaint_engine.service.stub import stub_work
lifecycle.serve(bind=sys.argv[1], curve=True, make_work=lambda _: stub_work())
"""


class Two:
    """The other machine's home and engine, and this one's settings that name it."""

    def __init__(self, folder, monkeypatch):
        self.there, self.here = folder / "there", folder / "here"
        self.monkeypatch = monkeypatch
        self.door = f"tcp://127.0.0.1:{free_port()}"
        self.at(self.here)
        client = keys.new(keys.CLIENT)
        self.at(self.there)
        self.public = keys.new(keys.ENGINE).hex()
        keys.allow("here", client)

    def at(self, home):
        self.monkeypatch.setenv("GANPAINT_HOME", str(home))

    def start_there(self, *command):
        self.at(self.there)
        self.engine = EngineProcess(*(command or ("0", self.door)))
        return self.engine.ready()

    def settings(self, **remote):
        self.at(self.here)
        remote = {"endpoint": self.door, "engine_key": self.public, **remote}
        paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
        paths.settings_file().write_text(json.dumps({"remote": remote}))

    def serve(self, *options):
        """`ganpaint serve` here, as a plug-in starts it."""
        self.settings()
        return self.command("serve", "--detached", *options)

    def command(self, *arguments):
        self.at(self.here)
        command = [sys.executable, "-m", "ganpaint_engine", *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE, env=os.environ
        )

    def stop(self):
        self.at(self.here)
        lifecycle.stop()
        self.at(self.there)
        if self.engine is not None and self.engine.process.poll() is None:
            self.engine.end()


@pytest.fixture
def two(tmp_path, monkeypatch):
    two = Two(tmp_path, monkeypatch)
    two.engine = None
    yield two
    two.stop()


def test_an_edit_is_made_by_the_other_engine(two):
    two.start_there()
    done = two.serve()
    assert done.returncode == 0, done.stderr
    with Client.connect() as client:
        assert client.welcome["default_model"] == "small"
        assert client.welcome["device"] == f"cpu at {two.door}"
        assert client.status()["pid"] != two.engine.process.pid
        events = edit(client, seed=7, grow=3)
        assert {event.stage for event in events} >= {"step 0", "step 3"}
        assert events[-1].report["seed"] == 7
        assert events[-1].offset == (3, 4)
        assert np.array_equal(events[-1].patch[..., :3], photo()[0])
        with pytest.raises(errors.UnknownConcept):
            edit(client, "unknown")
        assert edit(client)[-1].type == "result"


def test_looks_and_warnings_come_through(two, tmp_path):
    two.at(two.there)
    two.engine = subprocess.Popen([sys.executable, "-c", STUB, two.door])
    try:
        until(lifecycle.running, "the engine's start")
        assert two.serve().returncode == 0
        with Client.connect() as client:
            assert set(client.looks()) == {
                ("tree", "summer"), ("tree", "autumn"), ("dome", "copper")
            }  # fmt: skip
            with pytest.raises(errors.UnknownModel):
                client.looks("none")
            image, mask = photo(80, 70)
            job = client.submit(image, mask, concept="unlike", operation="add")
            events = list(client.events(job, timeout=PATIENCE))
            assert sum(bool(event.warnings) for event in events) == 1
    finally:
        two.engine.terminate()
        two.engine.wait(PATIENCE)
        two.engine = None


def test_cancel_reaches_the_other_engine_and_previews_pass(two):
    two.start_there()
    two.serve()
    with Client.connect() as client:
        slow = submit(client, "slow")
        running(client, slow)
        quick = submit(client, quality="preview")
        assert list(client.events(quick, timeout=PATIENCE))[-1].type == "result"
        client.cancel(slow)
        with pytest.raises(errors.Cancelled):
            list(client.events(slow, timeout=PATIENCE))
    two.at(two.there)
    with Client.connect() as other:
        until(lambda: is_free(other), "the end of the job there")


def test_an_engine_that_goes_is_told_and_found_again(two):
    two.start_there()
    two.serve()
    with Client.connect() as client:
        slow = submit(client, "slow")
        running(client, slow)
        two.engine.process.kill()
        two.engine.wait()
        with pytest.raises(errors.EngineUnreachable):
            list(client.events(slow, timeout=PATIENCE))
        with pytest.raises(errors.EngineUnreachable):
            edit(client)
        two.start_there()
        assert edit(client)[-1].type == "result"


@pytest.mark.parametrize(
    ("remote", "code"),
    [({}, "wrong_key"), ({"endpoint": "gpu.example"}, "bad_request"), ({"engine_key": 7}, "bad")],
)
def test_what_is_wrong_with_the_setting_is_told_at_the_start(two, remote, code):
    if not remote:  # no key here that the other one would let in
        keys_of_client = two.here / "config" / "keys"
        for file in keys_of_client.iterdir():
            file.unlink()
    two.settings(**remote)
    done = two.command("serve", "--detached")
    assert done.returncode != 0
    assert f"[{code}" in done.stderr + done.stdout
    assert lifecycle.running() is None


def test_an_engine_that_cannot_be_reached_is_told_at_the_start(two):
    done = two.serve()
    assert done.returncode != 0
    assert "[engine_unreachable]" in done.stderr + done.stdout


def test_without_the_setting_nothing_is_passed_on(two):
    two.start_there()
    two.settings()
    paths.settings_file().write_text("{}")
    assert two.command("serve", "--detached", "--stub").returncode == 0
    with Client.connect() as client:
        assert client.welcome["device"] == "stub"
    lifecycle.stop()
    assert lifecycle._work(None, curve=False).about()["device"] == "auto"


def test_what_other_machines_ask_for_is_not_passed_on(two):
    two.start_there()
    two.settings()
    assert lifecycle._work(None, curve=True).about()["device"] == "auto"
    relay = lifecycle._work(None, curve=False)
    assert two.door in relay.about()["device"]
    relay.handlers["edit"].__self__.close()


def test_model_and_device_of_the_settings(home, small_model):

    shutil.copytree(small_model, paths.user_models_dir() / "small")
    assert lifecycle._work(None, curve=False).about()["default_model"] == "churches"
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text('{"model": "small", "device": "cpu"}')
    about = lifecycle._work(None, curve=False).about()
    assert (about["default_model"], about["device"]) == ("small", "cpu")
    assert lifecycle._work("cuda", curve=False).about()["device"] == "cuda"
    paths.settings_file().write_text('{"model": "gone", "device": 7}')
    about = lifecycle._work(None, curve=False).about()
    assert (about["default_model"], about["device"]) == ("churches", "auto")
