"""The engine as a process: start in the foreground or detached, one at a time, and its end."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import filelock

from ganpaint_engine import __version__, paths, settings, threads
from ganpaint_engine.client import Client
from ganpaint_engine.errors import BadRequest, EngineUnreachable, GanpaintError, StorageUnusable
from ganpaint_engine.service import folder, keys, protocol, security
from ganpaint_engine.service.edits import edit_work
from ganpaint_engine.service.relay import work_of_settings
from ganpaint_engine.service.server import Server, Work

_MODULE = "ganpaint_engine.service.lifecycle"
log = logging.getLogger(_MODULE)  # by name: in the engine's process __name__ is __main__

DEFAULT_IDLE_MINUTES = 30.0
_START_SECONDS = 120.0
_STEP_ASIDE_SECONDS = 10.0
_STOP_SECONDS = 15.0


def log_file() -> Path:
    """The engine's log; older ones lie beside it."""
    return (folder_in_use() or paths.runtime_dir()) / folder.LOG


def folder_in_use() -> Path | None:
    """The folder of the running engine; None when none runs.

    A process that lives is not enough: after a crash another program may have got its number.
    """
    for place in paths.runtime_dirs():
        runtime = security.read_runtime(place / paths.runtime_file().name)
        if runtime is not None and security.alive(runtime.pid) and folder.is_locked(place):
            return place
    return None


def serve(
    *,
    detached: bool = False,
    idle_minutes: float | None = None,
    device: str | None = None,
    bind: str | None = None,
    curve: bool = False,
    make_work: Callable[[str], Work] | None = None,
) -> int:
    """Run the engine until it is stopped, or with ``detached`` return as soon as it is ready.

    ``idle_minutes`` without work until it leaves, 0: never; None: the setting, else 30.
    ``device``: "auto", "cpu", "cuda"…; None: the setting, and where the settings name an engine on
    another machine, that one does the work (relay.py). ``bind``: where to listen beside, or instead
    of, a loopback port that the system picks.
    ``make_work`` gives the engine other work than edits. Returns a process exit code; when an
    engine runs already, says so and returns 0. Raises InsecureBind, WrongKey (with ``curve``, for
    keys that are missing or that other users can reach), BadRequest, EngineUnreachable (cannot
    listen there), StorageUnusable.
    """
    minutes = idle_setting() if idle_minutes is None else idle_minutes
    doors = doors_for(bind, curve)
    if detached:
        return _start_detached(minutes, device, bind, curve)
    place = folder.choose()
    lock = _lock(place)
    if lock is None:
        return 0
    with lock:
        work = make_work(device or "auto") if make_work else _work(device, curve)
        clean = _serve_locked(place, work, minutes, doors)
    logging.shutdown()
    if not clean:  # a worker deep inside a long computation would crash the interpreter's end
        os._exit(0)
    return 0


def doors_for(bind: str | None, curve: bool) -> tuple[security.Door, ...]:
    """Where to listen: always on the loopback for this user, with ``curve`` at ``bind`` too."""
    if not curve:
        return (security.Door(bind) if bind else security.Door(),)
    if bind is None:
        raise BadRequest("--curve needs --bind: where do other machines reach this engine?")
    secret = keys.read_secret(keys.secret_file(keys.ENGINE))
    return security.Door(), security.Door(bind, secret, keys.allowed_keys)


def status() -> dict[str, Any] | None:
    """STATUS_REPLY of the running engine, or None when none runs.

    Raises WrongToken, ProtocolMismatch, or EngineUnreachable for one that does not answer.
    """
    if running() is None:
        return None
    with Client.connect(name="ganpaint status") as client:
        return client.status()


def stop() -> bool:
    """End the running engine and wait for that; False when none was running. Raises as status."""
    runtime = running()
    if runtime is None:
        return False
    with Client.connect(name="ganpaint stop") as client:
        client.shutdown()
    deadline = time.monotonic() + _STOP_SECONDS
    while running() == runtime:
        if time.monotonic() > deadline:
            raise EngineUnreachable(f"The engine (process {runtime.pid}) does not end.")
        time.sleep(0.05)
    return True


def running() -> security.Runtime | None:
    """What the running engine's runtime file says; None when none runs."""
    place = folder_in_use()
    return security.read_runtime(place / paths.runtime_file().name) if place else None


def idle_setting() -> float:
    """``idle_minutes`` of the settings file, else the default."""
    try:
        value = json.loads(paths.settings_file().read_text(encoding="utf-8"))["idle_minutes"]
        return max(0.0, float(value))
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_IDLE_MINUTES


def _work(device: str | None, curve: bool) -> Work:
    """What this engine does, by its options and the settings."""
    if device is None and not curve:  # what other machines ask for is not passed on
        relay = work_of_settings()
        if relay is not None:
            return relay
    return edit_work(device or settings.text("device", "auto"))


def _lock(place: Path) -> filelock.BaseFileLock | None:
    """The lock that only one engine can hold; None, with a message, when another one has it."""
    lock = folder.lock_of(place)
    deadline = time.monotonic() + _STEP_ASIDE_SECONDS
    while True:
        # Asked first: an engine may run in another place, from when this one could not be written.
        if running() is None:
            try:
                lock.acquire(timeout=0)
                return lock
            except filelock.Timeout:
                pass  # held without a runtime file: an engine on its way up or out
            except OSError as error:
                raise StorageUnusable(f"{lock.lock_file} cannot be locked: {error}.") from error
        if running() is not None or time.monotonic() > deadline:
            folder.say("An engine is running already; this one steps aside.")
            return None
        time.sleep(0.1)


def _serve_locked(
    place: Path, work: Work, idle_minutes: float, doors: Sequence[security.Door]
) -> bool:
    """Serve with the lock held. Returns whether all threads have ended."""
    folder.clean(place)
    folder.log_to(place)
    _allow_many_connections()
    token = security.new_token()
    server = Server(work, token, __version__, idle_minutes * 60, doors)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: server.stop())
    runtime = security.Runtime(server.endpoint, token, os.getpid(), protocol.VERSION, time.time())
    path = place / paths.runtime_file().name
    try:
        security.write_runtime(path, runtime)
        places = ", ".join(server.endpoints)
        log.info("Engine %s, process %d, at %s", __version__, os.getpid(), places)
        folder.say(f"The engine listens at {places}.")
        server.run()
    finally:
        security.remove_runtime(path, token)
    clean = server.end_worker()
    log.info("Engine ended" if clean else "Engine ended in the middle of a computation")
    return clean


def _allow_many_connections() -> None:
    """Raise the soft limit of open files, so that many silent strangers leave room for clients."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _start_detached(idle_minutes: float, device: str | None, bind: str | None, curve: bool) -> int:
    """Start an engine that outlives this process, and wait until it listens."""
    if running() is not None:
        folder.say("An engine is running already.")
        return 0
    place = folder.choose()
    command = [sys.executable, "-m", _MODULE]
    command += ["--idle-minutes", str(idle_minutes)] + (["--device", device] if device else [])
    command += (["--bind", bind] if bind else []) + (["--curve"] if curve else [])
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        options = {"creationflags": flags}
    options["env"] = threads.asleep(os.environ)
    start_log = place / "start.log"
    with start_log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    deadline = time.monotonic() + _START_SECONDS
    while running() is None:
        code = child.poll()
        if code is not None and running() is None:
            lines = start_log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            print(lines[-1] if lines else f"The engine ended with code {code}.", file=sys.stderr)
            return code or 1
        if time.monotonic() > deadline:
            print(f"The engine does not start; see {start_log}.", file=sys.stderr)
            return 1
        time.sleep(0.05)
    child.returncode = child.poll() or 0  # it goes on by itself: Popen need not warn
    folder.say("The engine is ready.")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """What the detached process runs; ``ganpaint serve`` is the same for people."""
    parser = argparse.ArgumentParser(prog="python -m ganpaint_engine.service.lifecycle")
    parser.add_argument("--detached", action="store_true")
    parser.add_argument("--idle-minutes", type=float)
    parser.add_argument("--device")
    parser.add_argument("--bind")
    parser.add_argument("--curve", action="store_true")
    try:
        return serve(**vars(parser.parse_args(arguments)))
    except GanpaintError as error:
        print(f"error [{error.code}] {error.message}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
