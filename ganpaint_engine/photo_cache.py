"""What was computed of photos, on disk: r, δ and how well they fit, so that none is opened twice.

One file for each window of a photo, ``photos/MODEL/PHOTO-X_Y_SIDE.safetensors`` in the cache
folder: MODEL is the hash of the model's weights, PHOTO that of the photo's pixels. The photo itself
is not in it, but something like it can be drawn from it with the model; so files are 0600 and
folders 0700, and nothing is written outside. A file is whole or not there; one that cannot be
understood is removed. torch is imported where tensors are read or written, and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganpaint_engine import paths

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

FORMAT = "1"
DEFAULT_MIB = 512
_SUFFIX = ".safetensors"
_PART = ".part-"
_NAME = 16  # characters of the model's hash; the photo's is kept whole


@dataclass(frozen=True)
class Computed:
    """r (1×C×8×8) and δ of a window, fp16, and the dB of each stage."""

    r: Tensor
    deltas: dict[int, Tensor]
    psnr: dict[str, float]


@dataclass(frozen=True)
class Usage:
    """Files of the cache, and their bytes."""

    files: int
    bytes: int


def folder() -> Path:
    """Where the cache lies."""
    return paths.cache_dir() / "photos"


def usage() -> Usage:
    """What is in the cache now, leftovers of a crash included."""
    sizes = [size for _, size, _ in _files()]
    return Usage(len(sizes), sum(sizes))


def half_written() -> int:
    """Files that a killed engine left in the middle of writing them, or one is writing now."""
    return sum(path.name.startswith(_PART) for path, _, _ in _files())


def clear() -> Usage:
    """Remove all of it; returns what was removed. Raises PermissionError."""
    before = usage()
    for path, _, _ in _files():
        path.unlink(missing_ok=True)
    _remove_empty_folders()
    with contextlib.suppress(OSError):
        folder().rmdir()
    after = usage()
    return Usage(before.files - after.files, before.bytes - after.bytes)


def _files() -> list[tuple[Path, int, float]]:
    """Path, bytes and time of the last use of every file, the longest unused first."""
    found = []
    for path in folder().glob("*/*"):
        with contextlib.suppress(OSError):  # removed meanwhile
            status = path.lstat()
            found.append((path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda file: file[2])


def _remove_empty_folders() -> None:
    for path in folder().glob("*"):
        with contextlib.suppress(OSError):  # it is not empty, or no folder
            path.rmdir()


class PhotoCache:
    """The engine's access to the cache. Never raises: without a disk, photos are opened anew.

    ``max_bytes``: of all files; those unused for longest go first.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._complained = False
        self.hits = 0
        try:
            for path, _, _ in _files():
                if path.name.startswith(_PART):  # an engine was killed while it wrote
                    path.unlink(missing_ok=True)
            self._evict()
        except OSError as error:
            self._complain(error)
        self.usage = usage()  # kept up to date: who asks for it must not wait for a disk

    def get(self, model: str, photo: str, place: tuple[int, int, int]) -> Computed | None:
        """What is known of a window (x, y, side in photo px); None when that is nothing."""
        path = _path(model, photo, place)
        try:
            if not path.is_file():
                return None
            computed = _read(path)
            os.utime(path)
        except OSError as error:
            self._complain(error)
            return None
        except Exception as error:  # safetensors and torch raise what they like
            log.warning("A damaged file of the photo cache is removed: %s", error)
            self.drop(model, photo, place)
            return None
        self.hits += 1
        return computed

    def put(self, model: str, photo: str, place: tuple[int, int, int], computed: Computed) -> None:
        """Keep it, in one step."""
        path = _path(model, photo, place)
        try:
            _private(path.parent)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_PART)  # made with 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_packed(computed))
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            self._evict()
        except OSError as error:
            self._complain(error)
        self.usage = usage()

    def drop(self, model: str, photo: str, place: tuple[int, int, int]) -> None:
        """Forget what is known of a window."""
        with contextlib.suppress(OSError):
            _path(model, photo, place).unlink(missing_ok=True)
        self.usage = usage()

    def _evict(self) -> None:
        files = _files()
        total = sum(size for _, size, _ in files)
        for path, size, _ in files:
            if total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        _remove_empty_folders()

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            log.warning("The photo cache cannot be used, photos are kept in memory only: %s", error)
        self._complained = True


def _path(model: str, photo: str, place: tuple[int, int, int]) -> Path:
    x, y, side = place
    return folder() / model[:_NAME] / f"{photo}-{x}_{y}_{side}{_SUFFIX}"


def _private(path: Path) -> None:
    """Make a folder of the cache, which only this user may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for own in (folder(), path):
        if os.name == "posix":
            if own.stat().st_uid != os.getuid():
                raise PermissionError(f"{own} belongs to another user")
            own.chmod(0o700)


def _packed(computed: Computed) -> bytes:
    from safetensors.torch import save

    tensors = {"r": computed.r, **{f"delta{i}": d for i, d in computed.deltas.items()}}
    tensors = {name: tensor.half().cpu().contiguous() for name, tensor in tensors.items()}
    sums = json.dumps({"psnr": computed.psnr, "crc32": _checksum(tensors)})
    return save(tensors, {"format": FORMAT, "about": sums})


def _read(path: Path) -> Computed:
    """Raises OSError, or any other exception for a file that is not as _packed made it."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    about = json.loads(metadata["about"])
    if metadata["format"] != FORMAT or about["crc32"] != _checksum(tensors):
        raise ValueError("its content is not what was written")
    psnr = {str(stage): float(value) for stage, value in about["psnr"].items()}
    if not all(math.isfinite(value) for value in psnr.values()):
        raise ValueError("its figures are none")
    deltas = {int(n.removeprefix("delta")): t for n, t in tensors.items() if n != "r"}
    return Computed(tensors["r"], deltas, psnr)


def _checksum(tensors: dict[str, Tensor]) -> int:
    """CRC-32 over all tensors' bytes: for a disk's faults, not against people."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].numpy().tobytes(), crc)
    return crc
