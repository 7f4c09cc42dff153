"""How much of the engine's time one client may take: a token bucket of messages for each."""

from __future__ import annotations

import time
from dataclasses import dataclass

_MAX_CLIENTS = 4096  # remembered; then all start anew


@dataclass
class _Bucket:
    left: float
    filled_at: float  # seconds, monotonic
    complained_at: float = float("-inf")


class MessageRate:
    """``burst`` messages at once, and ``per_second`` in the long run, from each client."""

    def __init__(self, per_second: float = 500.0, burst: float = 2000.0) -> None:
        self.per_second = per_second
        self.burst = burst
        self._buckets: dict[bytes, _Bucket] = {}

    def admits(self, client: bytes) -> bool:
        """Whether another message of ``client`` is to be taken; if so, it has been counted."""
        now = time.monotonic()
        if client not in self._buckets and len(self._buckets) >= _MAX_CLIENTS:
            self._buckets.clear()
        bucket = self._buckets.setdefault(client, _Bucket(self.burst, now))
        bucket.left = min(self.burst, bucket.left + (now - bucket.filled_at) * self.per_second)
        bucket.filled_at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def may_complain(self, client: bytes) -> bool:
        """Whether ``client``, over its rate, is to be told so: once a second."""
        bucket, now = self._buckets[client], time.monotonic()
        if now - bucket.complained_at < 1:
            return False
        bucket.complained_at = now
        return True

    def forget(self, client: bytes) -> None:
        self._buckets.pop(client, None)
