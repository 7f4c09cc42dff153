"""How the fuzzers change valid inputs."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

import msgpack

_EDGES = (
    *(b"\0", b"\xff", b"\x7f", b"\x80", b"\xc1", b"\x06", b"\xff" * 8, b"\x7f" + b"\xff" * 7),
    *(b"\xdd\xff\xff\xff\xff", b"\xcb\x7f\xf0" + bytes(6), b'"', b"[", b"{", b"1e999"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**63, -(2**63), 0.5, -0.0, float("inf"), float("nan")),
    *("", "x" * 5000, "../..", "tree\0", b"", bytes(40), [], [[]] * 20, {}, {"a": {}}, "uint8"),
)


def mutate(rng: random.Random, seeds: Sequence[bytes], maps: bool = False) -> bytes:
    """A new input: one of the seeds with a few changes, or, one time in ten, noise.

    With ``maps`` the seeds are packed maps, and half of the inputs are maps with other values.
    """
    chance = rng.random()
    if chance < 0.1:
        return rng.randbytes(rng.randrange(200))
    if maps and chance < 0.55:
        return _other_values(rng, msgpack.unpackb(rng.choice(seeds)))
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        _CHANGES[rng.randrange(len(_CHANGES))](rng, data, seeds)
    return bytes(data)


def _other_values(rng: random.Random, whole: dict[str, Any]) -> bytes:
    """The map with one or two values, at any depth, replaced, left out or added."""
    for _ in range(rng.choice((1, 1, 2))):
        inner = whole
        while nested := [v for v in inner.values() if isinstance(v, dict) and v]:
            if rng.random() < 0.4:
                break
            inner = rng.choice(nested)
        key = rng.choice(list(inner)) if inner else "type"
        if rng.random() < 0.2:
            inner.pop(key, None)
        else:
            inner[key if rng.random() < 0.9 else "extra"] = copy.deepcopy(rng.choice(_VALUES))
    packed: bytes = msgpack.packb(whole)
    return packed


def _at(rng: random.Random, data: bytearray) -> int:
    """A place; the beginning, where headers are, more often than the rest."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 64)
    return rng.randrange(end + 1)


def _flip(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _at(rng, data)
    if at < len(data):
        data[at] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _at(rng, data)
    data[at : at + 1] = bytes([rng.randrange(256)])


def _insert(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _at(rng, data)
    data[at:at] = rng.choice(_EDGES)


def _overwrite(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at, edge = _at(rng, data), rng.choice(_EDGES)
    data[at : at + len(edge)] = edge


def _cut(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _at(rng, data)
    del data[at : at + rng.choice((1, 2, 8, 64, 1 << 30))]


def _double(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _at(rng, data)
    piece = data[at : at + rng.choice((1, 4, 32))]
    data[at:at] = piece * rng.choice((1, 2, 70))


def _splice(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    start = rng.randrange(len(other) + 1)
    data[_at(rng, data) :] = other[start : start + 4096]


_CHANGES = (_flip, _set, _insert, _overwrite, _cut, _double, _splice)
