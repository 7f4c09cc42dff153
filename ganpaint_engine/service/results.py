"""Last messages of jobs, kept for a while so that a client that reconnects can fetch its own."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from ganpaint_engine.service.jobs import Frames

Key = tuple[bytes, str]  # owner and job_id


@dataclass(frozen=True)
class Kept:
    """A job's last message."""

    header: dict[str, Any]
    frames: Frames
    since: float  # time.monotonic()

    @property
    def size(self) -> int:
        return sum(len(frame) for frame in self.frames)


class KeptResults:
    """Bounded in number, in bytes and in seconds; the oldest go first."""

    def __init__(self, most: int, most_bytes: int, seconds: float) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(kept.size for kept in self._kept.values())

    def put(self, key: Key, header: dict[str, Any], frames: Frames) -> None:
        self._kept[key] = Kept(header, frames, time.monotonic())
        while len(self._kept) > self._most or self.size > self._most_bytes:
            self._kept.popitem(last=False)

    def get(self, key: Key) -> Kept | None:
        self.expire()
        return self._kept.get(key)

    def expire(self) -> None:
        """Let go of those that were kept long enough."""
        limit = time.monotonic() - self._seconds
        while self._kept and next(iter(self._kept.values())).since < limit:
            self._kept.popitem(last=False)
