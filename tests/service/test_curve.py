"""Engines for other machines: who gets in, what a listener on the way learns."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from engines import PATIENCE, EngineProcess, photo, running, submit, until
from networks import ENGINE_ADDRESS, Eavesdropper, two_machines
from PIL import Image

import ganpaint_engine as gp
from ganpaint_engine import cli, errors, paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import keys, lifecycle, protocol, security
from ganpaint_engine.service.limits import MessageRate
from ganpaint_engine.service.server import Server, Work

SOON = 3.0  # seconds in which a wrong key or token must be told


@pytest.fixture
def remote(home):
    """An engine with a CURVE door, a client's key that may enter, and the door's endpoint."""
    public = keys.new(keys.ENGINE)
    keys.allow("me", keys.new(keys.CLIENT))
    engine = EngineProcess("0", f"tcp://127.0.0.1:{free_port()}").ready()
    engine.public = public.hex()
    engine.door = engine.process.args[-1]
    yield engine
    assert engine.end() == 0, engine.output


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def edit_of(client, concept="tree", size=(64, 48)):
    image, mask = photo(*size)
    job = client.submit(image, mask, concept=concept, operation="add")
    return image, list(client.events(job, timeout=PATIENCE))[-1]


def test_an_edit_with_keys(remote):
    with gp.connect(remote.door, remote.public) as client:
        image, result = edit_of(client)
        assert np.array_equal(result.patch[..., :3], image)


def test_this_users_own_programs_still_use_the_loopback_door(remote):
    with Client.connect() as client:
        assert edit_of(client)[1].type == "result"
        assert client.status()["pid"] == remote.process.pid


def ganpaint(home, *arguments, inside=()):
    command = [*inside, sys.executable, "-m", "ganpaint_engine", *map(str, arguments)]
    env = {**os.environ, "GANPAINT_HOME": str(home)}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env)


def key_in(home, name):
    return (home / "config" / "keys" / f"{name}.public").read_text().strip()


def test_from_another_machine(tmp_path, small_model):
    """The product's own commands, in two network namespaces with a cable between them."""
    here, there = tmp_path / "engine", tmp_path / "client"
    shutil.copytree(small_model, here / "models" / "small")
    image, mask = photo(100, 80)
    mask[:, 50:] = 0
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert ganpaint(here, "keys", "new").returncode == 0
    assert ganpaint(there, "keys", "new", "--client", "client").returncode == 0
    assert ganpaint(here, "keys", "allow", "laptop", key_in(there, "client")).returncode == 0
    edit = ["edit", tmp_path / "photo.png", "--mask", tmp_path / "mask.png", "--add", "tree"]
    edit += ["-o", tmp_path / "out.png", "--model", "small", "--engine-key", key_in(here, "engine")]
    with two_machines() as (at_engine, at_client):
        command = [*at_engine, sys.executable, "-m", "ganpaint_engine", "serve", "--curve"]
        process = subprocess.Popen(
            [*command, "--bind", "tcp://0.0.0.0:5599", "--device", "cpu"],
            env={**os.environ, "GANPAINT_HOME": str(here)},
            stdout=subprocess.DEVNULL,
        )
        try:
            runtime = here / "runtime" / "runtime.json"
            until(runtime.exists, "the engine's start")
            remote = ["--engine", f"tcp://{ENGINE_ADDRESS}:5599"]
            done = ganpaint(there, *edit, *remote, inside=at_client)
            assert done.returncode == 0, done.stderr
            with Image.open(tmp_path / "out.png") as out:
                assert out.size == (100, 80)
                assert np.array_equal(np.asarray(out)[:, 90:], image[:, 90:])
                assert not np.array_equal(np.asarray(out), image)
            assert ganpaint(here, "keys", "revoke", "laptop").returncode == 0
            done = ganpaint(there, *edit, *remote, inside=at_client)
            assert "[wrong_key]" in done.stderr
            # the door of the engine's own user is not to be reached from there
            local = json.loads(runtime.read_text())["endpoint"].replace("127.0.0.1", ENGINE_ADDRESS)
            done = ganpaint(there, *edit, "--engine", local, inside=at_client)
            assert "[engine_unreachable]" in done.stderr
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


def traces(image, heard):
    """What of the photo, and of the words of the request, ``heard`` shows."""
    pixels = image.tobytes()
    slices = [pixels[start : start + 16] for start in range(0, len(pixels) - 16, 997)]
    return [piece for piece in (*slices, b"tree", b"concept", b"RESULT") if piece in heard]


def test_an_eavesdropper_hears_noise_with_curve_and_everything_without(remote):
    with Eavesdropper(int(remote.door.rpartition(":")[2])) as listener:
        with gp.connect(f"tcp://127.0.0.1:{listener.port}", remote.public) as client:
            image, _ = edit_of(client, size=(200, 150))
        assert len(listener.heard) > image.nbytes
        assert traces(image, listener.heard) == []
    runtime = remote.runtime()
    with Eavesdropper(int(runtime.endpoint.rpartition(":")[2])) as listener:
        endpoint = f"tcp://127.0.0.1:{listener.port}"
        with Client(endpoint, runtime.token, "test", PATIENCE) as client:
            image, _ = edit_of(client, size=(200, 150))
        assert len(traces(image, listener.heard)) > 50
        assert runtime.token.encode() not in listener.heard


# -- wrong keys and tokens -----------------------------------------------------------------------


def refused(make, error):
    """The message with which ``make`` fails, in time."""
    started = time.monotonic()
    with pytest.raises(error) as caught:
        make()
    assert time.monotonic() - started < SOON
    return caught.value.message


def test_a_wrong_engine_key_is_told_soon(remote):
    other = keys.new("other")
    message = refused(lambda: gp.connect(remote.door, other.hex()), errors.WrongKey)
    assert "engine's" in message


def test_a_client_key_that_is_not_allowed_is_told_soon(remote):
    keys.new("stranger")
    secret = keys.secret_file("stranger")
    message = refused(lambda: gp.connect(remote.door, remote.public, secret), errors.WrongKey)
    assert "ganpaint keys allow" in message


def test_a_client_is_refused_after_it_was_revoked(remote):
    with gp.connect(remote.door, remote.public):
        pass
    assert keys.revoke("me")
    refused(lambda: gp.connect(remote.door, remote.public), errors.WrongKey)


def test_a_client_that_was_revoked_gets_no_more_work_done(remote):
    with gp.connect(remote.door, remote.public) as client:
        assert edit_of(client)[1].type == "result"
        assert keys.revoke("me")
        with pytest.raises(errors.WrongKey, match="no longer"):
            edit_of(client)


def test_more_connections_give_a_key_no_more_messages(home, monkeypatch):
    doors = security.Door(), security.Door("tcp://127.0.0.1:*", bytes(32))
    work = Work({}, lambda: {"device": "cpu", "default_model": None, "models": []})
    server = Server(work, security.new_token(), "0", doors=doors)
    try:
        said = []
        monkeypatch.setattr(server, "_send", lambda peer, header, frames: said.append(header))
        server._rate = MessageRate(per_second=1e-9, burst=5)
        first, second, other, local = b"\1a", b"\1b", b"\1c", b"\0a"
        server._keys |= {first: b"key", second: b"key", other: b"other key"}
        for peer in [first] * 3 + [second] * 3 + [other, local]:
            server._take(peer, [protocol.pack({"type": "STATUS"})])
        codes = [header["code"] for header in said]
        assert codes == ["bad_request"] * 5 + ["rate_limited"] + ["bad_request"] * 2
    finally:
        server._close()


def test_curve_at_the_plain_door_and_plain_at_the_curve_door(remote):
    plain = remote.runtime()
    refused(lambda: gp.connect(plain.endpoint, remote.public), errors.WrongKey)
    wrong = dataclasses.replace(plain, endpoint=remote.door)
    refused(lambda: Client(wrong.endpoint, wrong.token, "test", 10), errors.EngineUnreachable)


def test_a_wrong_token_is_told_soon(remote):
    endpoint = remote.runtime().endpoint
    token = security.new_token()
    refused(lambda: Client(endpoint, token, "test", 10), errors.WrongToken)


@pytest.mark.parametrize("key", ["", "zz", "0" * 63, "/nowhere/at/all"])
def test_what_is_no_key_is_told_at_once(home, key):
    keys.new(keys.CLIENT)
    refused(lambda: gp.connect("tcp://127.0.0.1:1", key), errors.WrongKey)


# -- what a remote client may not do -------------------------------------------------------------


def test_a_remote_client_cannot_end_the_engine(remote):
    with (
        gp.connect(remote.door, remote.public) as client,
        pytest.raises(errors.NotAllowed),
    ):
        client.shutdown()
    with Client.connect() as client:
        assert client.status()["pid"] == remote.process.pid


@pytest.mark.parametrize("model", ["/etc", "../churches", "a\\b"])
def test_a_remote_client_names_no_folders(remote, model):
    with gp.connect(remote.door, remote.public) as client:
        image, mask = photo()
        job = client.submit(image, mask, concept="tree", operation="add", model=model)
        with pytest.raises(errors.UnknownModel):
            list(client.events(job, timeout=PATIENCE))


def test_a_remote_client_reaches_no_job_of_another(remote):
    with Client.connect() as mine, gp.connect(remote.door, remote.public) as other:
        job = submit(mine, "slow", job_id="same")
        running(mine, job)
        other.cancel("same")
        assert other.status()["pid"] == remote.process.pid  # the cancel has been taken
        assert mine.status()["running"] == "same"
        mine.cancel(job)


# -- binding, and files --------------------------------------------------------------------------


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:5599", "tcp://*:5599", "tcp://[::]:5599"])
def test_nothing_binds_beyond_the_loopback_without_curve(home, capsys, bind):
    for more in ([], ["--detached"]):
        with pytest.raises(SystemExit):
            cli.main(["serve", "--bind", bind, *more])
        assert "[insecure_bind]" in capsys.readouterr().err
    assert not paths.runtime_file().exists()


def test_curve_without_keys_or_place(home):
    with pytest.raises(errors.WrongKey, match="keys new"):
        lifecycle.doors_for("tcp://0.0.0.0:5599", True)
    keys.new(keys.ENGINE)
    with pytest.raises(errors.BadRequest, match="--bind"):
        lifecycle.doors_for(None, True)


def test_a_place_that_is_taken(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        keys.new(keys.ENGINE)
        engine = EngineProcess("0", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        assert engine.wait() != 0
        assert "Cannot listen" in engine.output
    assert not paths.runtime_file().exists()


def test_key_files_are_private(home):
    keys.new(keys.ENGINE)
    keys.allow("me", keys.new(keys.CLIENT))
    for folder, _, files in os.walk(paths.keys_dir()):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        for file in files:
            assert os.stat(os.path.join(folder, file)).st_mode & 0o777 == 0o600


def test_a_secret_that_others_could_read_is_refused_at_start(home):
    keys.new(keys.ENGINE)
    keys.secret_file(keys.ENGINE).chmod(0o640)
    with pytest.raises(errors.WrongKey, match="chmod 600"):
        lifecycle.doors_for("tcp://0.0.0.0:5599", True)


def test_an_allowed_key_that_others_could_write_does_not_count(home):
    public = keys.new(keys.CLIENT)
    file = keys.allow("me", public)
    assert keys.allowed_keys() == {public}
    file.chmod(0o622)
    assert keys.allowed_keys() == frozenset()


def test_keys_are_not_overwritten_and_names_lead_nowhere_else(home):
    first = keys.new(keys.ENGINE)
    with pytest.raises(errors.BadRequest, match="--replace"):
        keys.new(keys.ENGINE)
    assert keys.new(keys.ENGINE, replace=True) != first
    for name in ("", "../x", "a/b", ".hidden", "x" * 65):
        with pytest.raises(errors.BadRequest):
            keys.allow(name, first)


def test_keys_commands(home, capsys):
    _command(["new"])
    _command(["new", "--client", "client"])
    public = keys.read_public(str(keys.public_file("client"))).hex()
    _command(["allow", "laptop", public])
    capsys.readouterr()
    _command(["list"])
    assert f"{public} may enter" in capsys.readouterr().out
    _command(["revoke", "laptop"])
    _command(["list"])
    assert "may enter" not in capsys.readouterr().out


def _command(arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["keys", *arguments])
    assert end.value.code == 0


def test_an_unauthenticated_peer_at_the_curve_door_gets_no_word(remote):
    port = int(remote.door.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as tcp:
        tcp.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        tcp.settimeout(PATIENCE)
        heard = b""
        while data := tcp.recv(4096):
            heard += data
    assert remote.public.encode() not in heard
    assert b"WELCOME" not in heard
