"""The part of MessagePack that the protocol needs, in plain Python.

Types: None, bool, int (64 bits), float, str, bytes, list (tuples are packed as lists) and dict with
str keys. Extension types are refused. Specification: https://github.com/msgpack/msgpack
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, Tuple

MAX_DEPTH = 64


class MsgpackError(ValueError):
    """The value cannot be packed, or the bytes are not such MessagePack."""


def packb(value: Any) -> bytes:
    """Pack one value. Raises MsgpackError for other types, and for integers beyond 64 bits."""
    out = bytearray()
    _pack(value, out, 0)
    return bytes(out)


def _pack(value: Any, out: bytearray, depth: int) -> None:  # noqa: PLR0912 - one per type
    if depth > MAX_DEPTH:
        raise MsgpackError("nested too deeply")
    if value is None:
        out.append(0xC0)
    elif isinstance(value, bool):  # before int: bool is a subclass of it
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _pack_int(value, out)
    elif isinstance(value, float):
        out += struct.pack(">Bd", 0xCB, value)
    elif isinstance(value, str):
        try:
            data = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise MsgpackError("a string with lone surrogates") from error
        _pack_size(len(data), out, (0xA0, 31), (0xD9, 0xDA, 0xDB))
        out += data
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        _pack_size(len(data), out, None, (0xC4, 0xC5, 0xC6))
        out += data
    elif isinstance(value, (list, tuple)):
        _pack_size(len(value), out, (0x90, 15), (None, 0xDC, 0xDD))
        for item in value:
            _pack(item, out, depth + 1)
    elif isinstance(value, dict):
        _pack_size(len(value), out, (0x80, 15), (None, 0xDE, 0xDF))
        for key, item in value.items():
            if not isinstance(key, str):
                raise MsgpackError("a map key that is not a string")
            _pack(key, out, depth + 1)
            _pack(item, out, depth + 1)
    else:
        raise MsgpackError("cannot pack a {}".format(type(value).__name__))


_INTS = (
    (0xCC, ">BB", 0, 2**8),
    (0xCD, ">BH", 0, 2**16),
    (0xCE, ">BI", 0, 2**32),
    (0xCF, ">BQ", 0, 2**64),
    (0xD0, ">Bb", -(2**7), 0),
    (0xD1, ">Bh", -(2**15), 0),
    (0xD2, ">Bi", -(2**31), 0),
    (0xD3, ">Bq", -(2**63), 0),
)


def _pack_int(value: int, out: bytearray) -> None:
    if -32 <= value < 128:
        out.append(value & 0xFF)
        return
    for code, form, low, high in _INTS:
        if low <= value < high:
            out += struct.pack(form, code, value)
            return
    raise MsgpackError("an integer beyond 64 bits")


_SIZES = ((">BB", 2**8), (">BH", 2**16), (">BI", 2**32))


def _pack_size(size: int, out: bytearray, small: Any, codes: Tuple[Any, Any, Any]) -> None:
    """The head of a string, array or map: ``small`` is (code, largest size held in it)."""
    if small is not None and size <= small[1]:
        out.append(small[0] | size)
        return
    for code, (form, limit) in zip(codes, _SIZES):  # noqa: B905 - strict came with Python 3.10
        if code is not None and size < limit:
            out += struct.pack(form, code, size)
            return
    raise MsgpackError("too long for MessagePack")


def unpackb(data: bytes) -> Any:
    """Unpack exactly one value. Raises MsgpackError for anything else."""
    value, end = _Reader(bytes(data)).value(0, 0)
    if end != len(data):
        raise MsgpackError("bytes left over after the value")
    return value


# code -> struct format of a number that follows it
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
# code -> (kind, struct format of the size that follows it)
_SIZED = {
    0xC4: ("bytes", ">B"), 0xC5: ("bytes", ">H"), 0xC6: ("bytes", ">I"),
    0xD9: ("str", ">B"), 0xDA: ("str", ">H"), 0xDB: ("str", ">I"),
    0xDC: ("list", ">H"), 0xDD: ("list", ">I"),
    0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, at: int, size: int) -> bytes:
        if at + size > len(self.data):
            raise MsgpackError("cut short")
        return self.data[at : at + size]

    def number(self, at: int, form: str) -> Tuple[Any, int]:
        size = struct.calcsize(form)
        return struct.unpack(form, self.take(at, size))[0], at + size

    def value(self, at: int, depth: int) -> Tuple[Any, int]:  # noqa: PLR0911 - one per kind
        """The value that starts at ``at``, and where it ends."""
        if depth > MAX_DEPTH:
            raise MsgpackError("nested too deeply")
        code = self.take(at, 1)[0]
        at += 1
        if code < 0x80:
            return code, at
        if code >= 0xE0:
            return code - 256, at
        if code in _CONSTANTS:
            return _CONSTANTS[code], at
        if code in _NUMBERS:
            return self.number(at, _NUMBERS[code])
        if code in _SIZED:
            kind, form = _SIZED[code]
            size, at = self.number(at, form)
        elif code < 0x90:
            kind, size = "map", code & 15
        elif code < 0xA0:
            kind, size = "list", code & 15
        elif code < 0xC0:
            kind, size = "str", code & 31
        else:
            raise MsgpackError("type byte 0x{:02x} is not part of the protocol".format(code))
        if kind == "list":
            return self.items(at, size, depth)
        if kind == "map":
            return self.pairs(at, size, depth)
        raw = self.take(at, size)
        return (raw if kind == "bytes" else _text(raw)), at + size

    def items(self, at: int, size: int, depth: int) -> Tuple[List[Any], int]:
        result = []
        for _ in range(size):  # a false huge size ends at the first missing byte
            item, at = self.value(at, depth + 1)
            result.append(item)
        return result, at

    def pairs(self, at: int, size: int, depth: int) -> Tuple[Dict[str, Any], int]:
        result = {}
        for _ in range(size):
            key, at = self.value(at, depth + 1)
            if not isinstance(key, str):
                raise MsgpackError("a map key that is not a string")
            result[key], at = self.value(at, depth + 1)
        return result, at


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MsgpackError("a string that is not UTF-8") from error
