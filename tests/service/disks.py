"""Small disks that a test may fill, and disks that nobody can write."""

import contextlib
import os
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(folder, options="size=256k"):
    """A tmpfs at ``folder``. Skips where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root and the program mount")
    command = ["mount", "-t", "tmpfs", "-o", options, "ganpaint-test", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this system permits no mounting: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Leave not one byte."""
    with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def read_only(folder):
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
