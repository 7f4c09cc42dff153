"""Hostile messages and hostile bytes against a running engine."""

from __future__ import annotations

import random
import socket
from collections import Counter
from dataclasses import dataclass, field

import zmq

from benchmarks.fuzz_mutation import mutate
from benchmarks.fuzz_targets import client_headers
from benchmarks.processes import PATIENCE, PRODUCT, QUICK, EngineProcess
from ganpaint_engine import errors
from ganpaint_engine.client import Client
from ganpaint_engine.service import folder, lifecycle, protocol, security

_PER_CONNECTION = 800  # inputs; more at once from one client would be refused for their number
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32)
_INITIATE = b"\x04\x29\x08INITIATE\x0bSocket-Type\x00\x00\x00\x06DEALER"
_ANSWERS = protocol.ENGINE_TYPES | {"WELCOME"}


@dataclass
class Outcome:
    """What came of the inputs. ``answers``: by error code, or type of message."""

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    memory: tuple[float, float] = (0.0, 0.0)  # MB, after a tenth of the inputs and at the end
    files: tuple[int, int] = (0, 0)
    findings: list[str] = field(default_factory=list)


class _Raw:
    """A DEALER that has said hello, or not, and says whatever it is given."""

    def __init__(self, runtime: security.Runtime, greet: bool) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.RCVTIMEO, int(PATIENCE * 1000)),
            (zmq.PLAIN_USERNAME, security.USERNAME),
            (zmq.PLAIN_PASSWORD, security.password(runtime.token)),
        ):
            self.socket.setsockopt(option, value)
        self.socket.connect(runtime.endpoint)
        if greet:
            hello = {"type": "HELLO", "protocol": protocol.VERSION, "nonce": bytes(16)}
            self.socket.send_multipart([protocol.pack(hello)])
            self.socket.recv_multipart()

    def close(self) -> None:
        self.context.destroy(linger=0)


def run(count: int, seed: int, real: bool = False) -> Outcome:
    """``count`` inputs against an engine of its own: three in four as messages, the rest as bytes.

    Every message is followed by one that must be answered, so that an engine that hangs shows.
    """
    rng = random.Random(seed)
    engine = EngineProcess(PRODUCT if real else QUICK).ready()
    outcome = Outcome()
    try:
        for start in range(0, count, _PER_CONNECTION):
            inputs = min(_PER_CONNECTION, count - start)
            _messages(engine, rng, inputs - inputs // 4, outcome)
            _bytes(engine, rng, inputs // 4, outcome)
            outcome.inputs += inputs
            if not outcome.memory[0] and outcome.inputs >= count / 10:
                outcome.memory, outcome.files = (engine.memory(), 0.0), (engine.files(), 0)
            with Client.connect(timeout=PATIENCE) as client:
                client.status()
        outcome.memory = outcome.memory[0], engine.memory()
        outcome.files = outcome.files[0], engine.files()
    except (errors.GanpaintError, zmq.ZMQError, OSError, RuntimeError) as error:
        outcome.findings.append(f"after {outcome.inputs} inputs: {type(error).__name__}: {error}")
    log = lifecycle.log_file()
    if engine.process.poll() is not None:
        outcome.findings.append(f"the engine ended with {engine.process.returncode}")
    elif engine.end() != 0:
        outcome.findings.append("the engine did not end cleanly")
    for file in log.parent.glob(f"{folder.LOG}*"):
        faults = [line for line in file.read_text("utf-8").splitlines() if " ERROR " in line]
        outcome.findings += faults[:5]
    return outcome


def _messages(engine: EngineProcess, rng: random.Random, count: int, outcome: Outcome) -> None:
    runtime = engine.runtime()
    assert runtime is not None
    seeds = client_headers()
    marker = protocol.pack({"type": "FETCH", "job_id": "marker"})
    raw = _Raw(runtime, greet=rng.random() < 0.9)
    for _ in range(count):
        frames = [mutate(rng, seeds, maps=True)]
        frames += [rng.randbytes(rng.choice((0, 1, 64, 192))) for _ in range(rng.choice((0, 2, 3)))]
        if b"SHUTDOWN" in frames[0]:
            continue
        raw.socket.send_multipart(frames)
        raw.socket.send_multipart([marker])
        answered = 0
        while _answer(raw, outcome) != "marker":
            answered += 1
        outcome.unanswered += not answered
    raw.close()


def _answer(raw: _Raw, outcome: Outcome) -> str:
    """The next answer: its code or type, counted; "marker" for the one to the marker."""
    header = protocol.unpack(raw.socket.recv_multipart()[0])
    kind, code = header["type"], header.get("code")
    if kind not in _ANSWERS:
        outcome.findings.append(f"an answer of type {kind}")
    if code is not None and (code not in errors.BY_CODE or code == "internal"):
        outcome.findings.append(f"an answer with the code {code}: {header.get('message')}")
    if header.get("job_id") == "marker" or (kind == "ERROR" and "HELLO" in header["message"]):
        return "marker"
    outcome.answers[str(code or kind)] += 1
    return str(kind)


def _bytes(engine: EngineProcess, rng: random.Random, count: int, outcome: Outcome) -> None:
    """Streams of ZMTP, most of them damaged; the engine may hang up, and must go on."""
    runtime = engine.runtime()
    assert runtime is not None
    host, _, port = runtime.endpoint.removeprefix("tcp://").rpartition(":")
    name, word = security.USERNAME, security.password(runtime.token)
    hello = b"\x05HELLO" + bytes([len(name)]) + name + bytes([len(word)]) + word
    hello = b"\x04" + bytes([len(hello)]) + hello
    header = client_headers()[1]
    message = b"\x01" + bytes([len(header)]) + header if len(header) < 256 else b""
    streams = [_GREETING, _GREETING + hello, _GREETING + hello + _INITIATE]
    streams.append(_GREETING + hello + _INITIATE + message + b"\x00\x03abc")
    for _ in range(count):
        try:
            with socket.create_connection((host, int(port)), PATIENCE) as tcp:
                tcp.sendall(mutate(rng, streams))
        except (ConnectionError, BrokenPipeError):
            outcome.answers["hung up"] += 1
