"""Random numbers: one stream for each element of a scene, so that none disturbs another."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Stream(random.Random):
    """A ``random.Random`` with the few draws that scenes are made of."""

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def normal(self, sigma: float, limit: float = 2.5) -> float:
        """A centred normal number, cut at ``limit`` standard deviations."""
        return max(-limit, min(limit, self.gauss(0, 1))) * sigma

    def weighted(self, table: Mapping[T, float]) -> T:
        return self.choices(list(table), list(table.values()))[0]

    def tint(self, rgb: Sequence[float], spread: float, ceiling: float = 0.78) -> tuple[float, ...]:
        """``rgb`` (linear albedo), lighter or darker and a little off in hue, below ``ceiling``."""
        gain = self.uniform(1 - spread, 1 + spread)
        return tuple(
            min(ceiling, c * gain * self.uniform(1 - spread / 3, 1 + spread / 3)) for c in rgb
        )


def stream(seed: int | str, *names: object) -> Stream:
    """The stream of one element: ``stream(seed, "trees", 3)``. The same on every machine."""
    return Stream("/".join(map(str, ("ganpaint-scene", seed, *names))))
