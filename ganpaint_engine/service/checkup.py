"""What ``ganpaint doctor`` says about the running engine's files: each trouble, and its remedy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganpaint_engine import paths, photo_cache
from ganpaint_engine.errors import GanpaintError
from ganpaint_engine.service import folder, keys, lifecycle, security

_LITTLE_ROOM = 50 << 20  # bytes: a few photos' worth of cache and log


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    ok: bool
    finding: str


def checks() -> Iterator[Check]:
    """All checks of this module. None raises, and none changes anything that matters."""
    yield _writable()
    yield _room()
    yield _runtime_file()
    yield from _left_behind()
    yield _log()
    yield _settings()
    yield _cache()
    yield _keys()
    yield _engine()


def _writable() -> Check:
    first = paths.runtime_dir()
    try:
        folder.check(first)
        return Check("runtime folder", True, str(first))
    except OSError as error:
        reason = f"{first}: {error.strerror or error}"
    try:
        other = folder.choose()
    except GanpaintError as error:
        return Check("runtime folder", False, f"[{error.code}] {error.message}")
    return Check("runtime folder", True, f"{reason}. The engine uses {other} instead.")


def _room() -> Check:
    place = next(p for p in (paths.runtime_dir(), *paths.runtime_dir().parents) if p.exists())
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check("disk", False, f"{place}: {error.strerror or error}")
    finding = f"{free / 1e6:.0f} MB free at {place}"
    if free < _LITTLE_ROOM:
        return Check("disk", False, f"{finding}: nearly full: make room")
    return Check("disk", True, finding)


def _runtime_file() -> Check:
    """The runtime file's state where no engine runs: there should be none."""
    name = "runtime file"
    file = paths.runtime_file()
    place = lifecycle.folder_in_use()
    if place is not None:
        return Check(name, True, f"{place / file.name}, of the running engine")
    try:
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        return Check(name, True, "none, as it should be while no engine runs")
    except OSError as error:
        return Check(name, False, f"{file}: {error.strerror or error}")
    if os.name == "posix" and mode & 0o077:
        return Check(
            name, False, f"{file} has mode {mode:o}: others can reach it, so nobody trusts it. "
            "Remove it."
        )  # fmt: skip
    runtime = security.read_runtime(file)
    if runtime is None:
        return Check(name, True, f"{file} is damaged or half written; the next start replaces it")
    return Check(
        name,
        True,
        f"left by process {runtime.pid}, which ended without a farewell (it was killed, or it "
        f"crashed: the log {paths.runtime_dir() / folder.LOG} may say why); the next start "
        "replaces it",
    )


def _left_behind() -> Iterator[Check]:
    """A lock that is held although no engine answers for it, or that cannot be locked at all."""
    lock = paths.runtime_dir() / folder.LOCK
    if lock.exists() and not lock.is_file():
        yield Check("lock", False, f"{lock} is not a file, so that no engine can start. Remove it.")
    elif lock.exists() and lifecycle.folder_in_use() is None and folder.is_locked(lock.parent):
        yield Check("lock", True, f"{lock} is held: an engine is on its way up or out")
    else:
        yield Check("lock", True, "held by the running engine" if lifecycle.running() else "free")


def _log() -> Check:
    file = lifecycle.log_file()
    try:
        tail = file.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return Check("log", True, f"{file}: none yet")
    except OSError as error:
        return Check("log", False, f"{file}: {error.strerror or error}")
    faults = [line for line in tail if " ERROR " in line]
    finding = f"{file}, {file.stat().st_size / 1000:.0f} kB"
    return Check("log", True, f"{finding}; last error: {faults[-1]}" if faults else finding)


def _settings() -> Check:
    file = paths.settings_file()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Check("settings", True, "none: the defaults apply")
    except (OSError, ValueError) as error:
        return Check("settings", False, f"{file} cannot be read ({error}); the defaults apply")
    if not isinstance(settings, dict):
        return Check("settings", False, f"{file} is not a JSON object; the defaults apply")
    return Check("settings", True, str(file))


def _cache() -> Check:
    place = paths.cache_dir()
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = place / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check("cache", True, f"{place}: {error.strerror or error}; nothing is kept on disk")
    used, half = photo_cache.usage(), photo_cache.half_written()
    finding = f"{place}, {used.files} windows of photos, {used.bytes / 1e6:.0f} MB"
    if half and lifecycle.folder_in_use() is None:
        finding += f"; {half} half written by an engine that ended; the next start removes them"
    return Check("cache", True, finding)


def _keys() -> Check:
    """Whether the secret keys, if there are any, are secret."""
    place = paths.keys_dir()
    try:
        found = sorted(place.glob("*.secret"))
        for file in found:
            keys.read_secret(file)
        _check_private(place)
    except GanpaintError as error:
        return Check("keys", False, error.message)
    except OSError as error:
        return Check("keys", False, f"{place}: {error.strerror or error}")
    if not found:
        return Check("keys", True, "none: needed for remote engines only")
    return Check("keys", True, f"{len(found)} in {place}, {len(keys.allowed())} clients may enter")


def _check_private(place: Path) -> None:
    if os.name == "posix" and place.exists() and place.stat().st_mode & 0o022:
        raise PermissionError(0, "others can write this folder: chmod 700 it")


def _engine() -> Check:
    try:
        reply = lifecycle.status()
    except GanpaintError as error:
        return Check("engine", False, f"[{error.code}] {error.message} Try: ganpaint stop")
    if reply is None:
        return Check("engine", True, "not running")
    return Check("engine", True, f"running and answering, process {reply['pid']}")
