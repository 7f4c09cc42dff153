"""Helpers for tests that need a running engine: real processes, real sockets."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from ganpaint_engine import paths
from ganpaint_engine.client import Client
from ganpaint_engine.service import protocol, security

SCRIPT = Path(__file__).with_name("small_engine.py")
PATIENCE = 60.0  # seconds; only a failing test waits that long


def until(condition, what="the condition"):
    """The first true value of ``condition()``."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)
    return value


class EngineProcess:
    """The small engine, in the GANPAINT_HOME of now."""

    def __init__(self, *arguments, script=SCRIPT, **options):
        self.home = os.environ["GANPAINT_HOME"]
        self.process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def ready(self):
        """Wait until this very process has written the runtime file."""
        until(lambda: self.process.poll() is not None or self.runtime(), "the engine's start")
        assert self.process.poll() is None, self.process.stdout.read()
        return self

    def runtime(self):
        runtime = security.read_runtime(paths.runtime_file())
        return runtime if runtime and runtime.pid == self.process.pid else None

    def end(self):
        self.process.terminate()
        return self.wait()

    def wait(self):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.output = self.process.stdout.read()
            self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory):
    """One engine for all tests of a module: each must leave it able to answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPAINT_HOME", str(tmp_path_factory.mktemp("home")))
        engine = EngineProcess().ready()
    yield engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPAINT_HOME", engine.home)
        assert engine.end() == 0, engine.output


@pytest.fixture
def engine(shared_engine, monkeypatch):
    """The shared engine; afterwards it must answer the next request, as after anything."""
    monkeypatch.setenv("GANPAINT_HOME", shared_engine.home)
    yield shared_engine
    with Client.connect() as client:
        until(lambda: is_free(client), "an engine without work")
        assert [event.type for event in edit(client)][-1] == "result"


@pytest.fixture
def own_engine(home):
    """An engine for one test, which may end it."""
    engine = EngineProcess().ready()
    yield engine
    if engine.process.poll() is None:
        engine.end()
    elif not engine.process.stdout.closed:
        engine.wait()


def is_free(client):
    status = client.status()
    return status["active"] == 0 and status["waiting"] == 0


def photo(width=8, height=6, channels=3):
    values = np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)
    return values, np.full((height, width), 255, np.uint8)


def submit(client, concept="tree", **options):
    image, mask = photo()
    return client.submit(image, mask, concept=concept, operation="add", **options)


def edit(client, concept="tree", **options):
    """All events of one edit."""
    return list(client.events(submit(client, concept, **options), timeout=PATIENCE))


def running(client, job_id):
    """Wait until the client's job runs."""
    until(lambda: client.status()["running"] == job_id, "the start of the job")


def active(client, jobs=1):
    """Wait until so many jobs of whomever were begun."""
    until(lambda: client.status()["active"] == jobs, "the start of the job")


class Raw:
    """A DEALER that says whatever the test wants."""

    def __init__(self, greet=True, password=None):
        runtime = security.read_runtime(paths.runtime_file())
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(PATIENCE * 1000)
        self.socket.plain_username = security.USERNAME
        self.socket.plain_password = password or security.password(runtime.token)
        self.socket.connect(runtime.endpoint)
        if greet:
            self.send({"type": "HELLO", "protocol": protocol.VERSION, "nonce": bytes(16)})
            assert self.receive()["type"] == "WELCOME"

    def send(self, header, *frames):
        packed = header if isinstance(header, bytes) else protocol.pack(header)
        self.socket.send_multipart([packed, *frames])

    def receive(self):
        return protocol.unpack(self.socket.recv_multipart()[0])

    def close(self):
        self.context.destroy(linger=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(job_id="raw", width=4, height=2, **changes):
    """A SUBMIT header."""
    header = {
        "type": "SUBMIT",
        "job_id": job_id,
        "op": "edit",
        "params": {"concept": "tree", "operation": "add"},
        "image": {"width": width, "height": height, "channels": 3, "dtype": "uint8"},
        "mask": {"width": width, "height": height, "dtype": "uint8"},
    }
    return {**header, **changes}


def connect_tcp():
    """A plain TCP connection to the engine's port."""
    runtime = security.read_runtime(paths.runtime_file())
    host, port = runtime.endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), PATIENCE)
