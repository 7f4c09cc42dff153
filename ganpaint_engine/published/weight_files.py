"""Read a file of weights, and nothing but weights.

A PyTorch file is a pickle, and a pickle is a program. ``weights_only`` reads those that hold just
tensors and plain containers; everything else is refused without being run.
"""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganpaint_engine.errors import BadRequest, DamagedWeights, UnknownWeights, UnsafeWeights
from ganpaint_engine.published.download import is_web_page

MAX_BYTES = 8 * 2**30
"""Larger files are no generator's. A training checkpoint with optimisers has 1 to 2 GB."""

_TORCH_BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ARCHIVES = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF",
}

WHY_NOT_PICKLES = (
    "A pickled program can do anything on your computer when it is opened, so it is not opened. "
    "Save the weights alone, in the place where the program is trusted: "
    "torch.save(model.state_dict(), FILE)."
)


def read(path: Path) -> Mapping[str, Any]:
    """What a .pth, .pt or .safetensors file holds: names to tensors, or to maps of them.

    Raises BadRequest (no such file), DamagedWeights (cut short), UnsafeWeights (a program),
    UnknownWeights (no weight file).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from error
    if size == 0:
        raise DamagedWeights(f"{path.name} is empty.")
    if size > MAX_BYTES:
        raise UnknownWeights(f"{path.name} is larger than {MAX_BYTES // 2**30} GB.")
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path)
        return _read_torch(path)
    if head.startswith(_TORCH_BEFORE_1_6):
        return _read_torch(path)
    if head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= MAX_BYTES:
        return _read_safetensors(path)
    raise _no_weights(path.name, head)


def _no_weights(name: str, head: bytes) -> UnknownWeights | UnsafeWeights:
    """The error for a file that is none of the known kinds."""
    kind = next((k for magic, k in _ARCHIVES.items() if head.startswith(magic)), None)
    if is_web_page(head):
        kind = "a web page, not the file that it should have led to"
    elif head[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        hint = " Unpack it, and import the weight file inside." if "archive" in kind else ""
        return UnknownWeights(f"{name} is {kind}.{hint}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return UnsafeWeights(f"{name} is a pickled program, not weights. {WHY_NOT_PICKLES}")
    return UnknownWeights(f"{name} is no weight file: neither PyTorch's nor safetensors.")


def _check_zip(path: Path) -> None:
    """A zip archive that PyTorch wrote: raises unless it is whole, plain, and holds only data."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # a damaged directory can fail in any way
        raise DamagedWeights(
            f"{path.name} is damaged or only half downloaded: {_first_line(error)}"
        ) from error
    names = [entry.filename for entry in entries]
    if not any(re.fullmatch(r"([^/]+/)?data\.pkl", name) for name in names):
        raise UnknownWeights(
            f"{path.name} is a zip archive, not a weight file. "
            "Unpack it, and import the weight file inside."
        )
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise UnsafeWeights(f"{path.name} is a TorchScript program. {WHY_NOT_PICKLES}")
    # PyTorch stores without compression. What is compressed could unpack to any size.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UnknownWeights(f"{path.name} was packed anew: PyTorch does not compress its files.")


def _read_torch(path: Path) -> Mapping[str, Any]:
    try:
        # Training scripts put their options beside the weights; a Namespace only holds values.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, and for those who wrote the file
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)", str(error))
        if found is None and "nsupported" not in str(error):
            raise DamagedWeights(f"{path.name} is damaged: {_first_line(error)}") from error
        what = "something that is neither weights nor plain values, or is damaged"
        if found:
            what = f"the program {found.group(1) or found.group(2)} beside weights"
        raise UnsafeWeights(f"{path.name} holds {what}. {WHY_NOT_PICKLES}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise DamagedWeights(
            f"{path.name} is damaged or only half downloaded: {_first_line(error)}"
        ) from error
    if not isinstance(content, Mapping):
        raise UnknownWeights(f"{path.name} holds no named weights, but a {type(content).__name__}.")
    return content


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise DamagedWeights(
            f"{path.name} is damaged or only half downloaded: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
