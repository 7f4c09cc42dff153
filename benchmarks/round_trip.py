"""A 4K layer through the whole service, against a bare pyzmq echo of the same bytes.

    python -m benchmarks.round_trip

The stub engine stands for the model: what is measured is packing, sending, checking, queueing,
two threads, and the way back. The echo is a ROUTER in a process of its own that takes photo and
mask and sends back as many bytes as a patch has. Both take turns in one run, with the same bytes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

from benchmarks.processes import engine
from ganpaint_engine.client import Client
from ganpaint_engine.service import stub

SIZE = (2160, 3840)  # height, width


def _echo(port: multiprocessing.Queue[int]) -> None:
    """Answers until it gets a message without frames."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port.put(router.bind_to_random_port("tcp://127.0.0.1"))
    while True:
        peer, *frames = router.recv_multipart()
        if frames == [b""]:
            break
        router.send_multipart([peer, frames[0]])
    context.destroy()


class Echo:
    """The bare echo: what any service of these bytes over ZeroMQ has to take."""

    def __init__(self) -> None:
        ports: multiprocessing.Queue[int] = multiprocessing.Queue()
        self._process = multiprocessing.Process(target=_echo, args=(ports,), daemon=True)
        self._process.start()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(f"tcp://127.0.0.1:{ports.get(timeout=60)}")

    def once(self, image: np.ndarray, mask: np.ndarray) -> None:
        self._socket.send_multipart([image.data, mask.data])
        (answer,) = self._socket.recv_multipart()
        assert len(answer) == image.nbytes

    def close(self) -> None:
        self._socket.send(b"")
        self._process.join(10)
        self._context.destroy(linger=0)


def through_service(client: Client, image: np.ndarray, mask: np.ndarray) -> None:
    """One preview; its result must be the one that the stub documents."""
    job = client.submit(image, mask, concept="tree", operation="add", quality="preview")
    *_, result = client.events(job, timeout=600)
    assert result.patch is not None
    assert result.patch.shape == (*mask.shape, 4)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run(rounds: int, size: tuple[int, int] = SIZE) -> dict[str, list[float]]:
    """Seconds of each round: ``echo``, ``service``, and the stub's ``painting`` within it."""
    image = np.random.default_rng(1).integers(0, 256, (*size, 4), np.uint8)
    mask = np.full(size, 255, np.uint8)
    times: dict[str, list[float]] = {"echo": [], "service": [], "painting": []}
    with engine("--step-ms", "0", module="ganpaint_engine.service.stub"):
        echo = Echo()
        try:
            with Client.connect(timeout=60) as client:
                for _ in range(2):  # not counted
                    echo.once(image, mask)
                    through_service(client, image, mask)
                for _ in range(rounds):
                    times["echo"].append(timed(lambda: echo.once(image, mask)))
                    times["service"].append(timed(lambda: through_service(client, image, mask)))
                    times["painting"].append(timed(lambda: stub.paint(image, mask, 1.0, 0)))
        finally:
            echo.close()
    return times


def table(times: dict[str, list[float]]) -> str:
    """Medians and fastest rounds, as Markdown. The stub's painting stands for the model's time."""
    rows = ["| | median | fastest |\n|---|---|---|\n"]
    for key, name in (
        ("echo", "bare pyzmq echo"),
        ("service", "whole service with the stub engine"),
        ("painting", "of it the stub's own work"),
    ):
        median, fastest = 1000 * statistics.median(times[key]), 1000 * min(times[key])
        rows.append(f"| {name} | {median:.0f} ms | {fastest:.0f} ms |\n")
    for name, less in (("service without that / echo", 1), ("service with it / echo", 0)):
        median, fastest = (
            (pick(times["service"]) - less * pick(times["painting"])) / pick(times["echo"])
            for pick in (statistics.median, min)
        )
        rows.append(f"| **{name}** | {median:.2f} | {fastest:.2f} |\n")
    return "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.round_trip")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, help="Also write the table there.")
    options = parser.parse_args()
    text = table(run(options.rounds))
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
