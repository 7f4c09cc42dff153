"""The folder of a running engine: where it is, its lock, its log.

Normally ``paths.runtime_dir()``. In a home that is full or cannot be written the engine takes the
next of ``paths.runtime_dirs()``, and clients look in all of them.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
from pathlib import Path

import filelock

from ganpaint_engine import paths
from ganpaint_engine.errors import StorageUnusable
from ganpaint_engine.service import security

LOCK = "engine.lock"
LOG = "engine.log"
_LOG_BYTES = 1_000_000
_LOGS_KEPT = 2  # older ones beside the current log
_ROOM = 16 * 1024  # bytes: what the runtime file and the first lines of a log need


def choose() -> Path:
    """The first folder that can be written, mode 0700. Raises StorageUnusable with the reasons."""
    reasons = []
    for folder in paths.runtime_dirs():
        try:
            check(folder)
            return folder
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
    raise StorageUnusable(
        f"No folder for the running engine can be written. {'; '.join(reasons)}. Make room, or set "
        "GANPAINT_HOME to a folder that can be written."
    )


def check(folder: Path) -> None:
    """Raises OSError unless ``folder`` is this user's alone and takes a small file."""
    security.private_dir(folder)
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(_ROOM))
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def clean(folder: Path) -> None:
    """Remove what a crash in the middle of writing left. Call with the lock held."""
    for pattern in (".runtime-*", ".probe-*"):
        for file in folder.glob(pattern):
            with contextlib.suppress(OSError):
                file.unlink()


def lock_of(folder: Path) -> filelock.BaseFileLock:
    """The lock that only one engine can hold; the system frees it when its process ends."""
    return filelock.FileLock(folder / LOCK)


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock; where it cannot be tried, True."""
    try:
        with lock_of(folder).acquire(timeout=0):
            return False
    except (filelock.Timeout, OSError):
        return True


class QuietLog(logging.handlers.RotatingFileHandler):
    """The engine's log. On a full disk lines are lost, and nothing else."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file, maxBytes=_LOG_BYTES, backupCount=_LOGS_KEPT, encoding="utf-8", delay=True
        )
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:
        """A line could not be written: the edits go on."""


def log_to(folder: Path) -> None:
    """Send the engine's log lines to a file in ``folder``; it is rotated at a megabyte."""
    logger = logging.getLogger("ganpaint_engine")
    logger.addHandler(QuietLog(folder / LOG))
    logger.setLevel(logging.INFO)


def say(text: str) -> None:
    """Print ``text``; where standard output is gone or full, do without."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
