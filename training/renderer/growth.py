"""The shapes of plants: branches and leaves as arrays, without Blender.

A plant's shape hangs on its species and variant alone, so every scene and process has the same
few dozen plants, placed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
UP = np.array([0.0, 0.0, 1.0])


@dataclass
class Plant:
    """Wood as segments S×8 (start, end, radii); leaves by centre, normals, size and tone."""

    wood: Array
    centres: Array  # N×3, metres
    facing: Array  # N×3, the leaf's own normal
    shading: Array  # N×3, the normal it is lit by: outward from its clump
    sizes: Array  # N×2, half length and half width in metres
    tints: Array  # N, 0 dark to 1 light

    @property
    def height(self) -> float:
        tops = [self.wood[:, 5].max()] if len(self.wood) else []
        return float(max([*tops, self.centres[:, 2].max() if len(self.centres) else 0.0]))


def _unit(v: Array) -> Array:
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    out: Array = v / np.maximum(length, 1e-9)
    return out


def clumps(
    rng: np.random.Generator,
    places: Array,
    heart: Array,
    count: int,
    radius: float,
    leaf: float,
    flat: float = 0.8,
    slim: float = 0.6,
) -> tuple[Array, Array, Array, Array, Array]:
    """``count`` leaves about each place, denser towards the clump's skin.

    They are lit as the clump's and the crown's round surfaces would be, which is what makes
    foliage read as masses rather than as confetti.
    """
    n = len(places) * count
    which = np.repeat(np.arange(len(places)), count)
    ball = _unit(rng.normal(size=(n, 3)))
    reach = radius * rng.uniform(0.55, 1.25, len(places))[which]
    offset = ball * (reach * rng.uniform(0, 1, n) ** 0.45)[:, None] * [1, 1, flat]
    centres = places[which] + offset
    outward = _unit(centres - heart)
    shading = _unit(_unit(offset) * 0.9 + outward * 0.7 + rng.normal(0, 0.35, (n, 3)) + UP * 0.25)
    facing = _unit(rng.normal(size=(n, 3)) + shading * 0.8)
    sizes = leaf * rng.uniform(0.65, 1.35, (n, 1)) * np.array([[1.0, slim]])
    deep = np.linalg.norm(offset, axis=1) / np.maximum(reach, 1e-6)
    tone = rng.uniform(0, 1, len(places))[which] * 0.45 + rng.uniform(0, 0.35, n) + deep * 0.25
    return centres, facing, shading, sizes, np.clip(tone - 0.08, 0, 1)


def _bend(rng: np.random.Generator, way: Array, spread: float, rise: float) -> Array:
    return _unit(way + rng.normal(0, spread, 3) + UP * rise)


def branches(
    rng: np.random.Generator,
    trunk: float,
    girth: float,
    depth: int,
    spread: float,
    rise: float,
    fork: tuple[int, int],
    shorten: tuple[float, float],
    first: float,
) -> tuple[Array, Array]:
    """A branching skeleton: segments S×8 and the tips T×3 where leaves may hang."""
    wood: list[list[float]] = []
    tips: list[Array] = []

    def grow(start: Array, way: Array, length: float, radius: float, level: int) -> None:
        steps = 3 if level >= depth - 1 else 2
        at = start
        for k in range(steps):
            way = _bend(rng, way, 0.10 + 0.04 * (depth - level), rise * 0.15)
            end = at + way * (length / steps)
            thin = radius * (1 - 0.14 * (k + 1))
            wood.append([*at, *end, radius * (1 - 0.14 * k), thin])
            at = end
            if level <= 1 and (k or level == 0):
                tips.append(at)
            if 0 < level < depth and k == steps - 2 and rng.random() < 0.7:
                side = _bend(rng, way, spread * 1.3, rise)
                grow(at, side, length * rng.uniform(*shorten) * 0.9, radius * 0.5, level - 1)
        if level == 0:
            return
        turn = rng.uniform(0, 2 * np.pi)
        n = int(rng.integers(fork[0], fork[1] + 1))
        side = np.cross(way, [0.3, 0.9, 0.2] if abs(way[2]) > 0.9 else UP)
        side = _unit(side)
        other = np.cross(way, side)
        for k in range(n):
            a = turn + 2 * np.pi * k / n + rng.normal(0, 0.3)
            lean = side * np.cos(a) + other * np.sin(a)
            child = _unit(way + lean * spread * rng.uniform(0.8, 1.7) + UP * rise)
            grow(at, child, length * rng.uniform(*shorten), radius * 0.62, level - 1)

    grow(np.zeros(3), UP.copy(), trunk, girth, depth)
    segments = np.array(wood)
    first_length = segments[:3, 5].max()
    segments[:3, [2, 5]] *= first  # how high the crown begins
    lift = (first - 1) * first_length
    segments[3:, [2, 5]] += lift
    return segments, np.array(tips) + np.array([0, 0, lift])


def _leafy(
    rng: np.random.Generator,
    wood: Array,
    tips: Array,
    count: int,
    radius: float,
    leaf: float,
    **kw: float,
) -> Plant:
    heart = tips.mean(0) - [0, 0, 0.25 * np.ptp(tips[:, 2])]
    return Plant(wood, *clumps(rng, tips, heart, count, radius, leaf, **kw))


def broadleaf(rng: np.random.Generator) -> Plant:
    """Oak, lime, chestnut: a wide crown of clumps on visible limbs."""
    wood, tips = branches(
        rng, rng.uniform(2.2, 3.0), 0.26, 4, 0.55, 0.16, (2, 3), (0.68, 0.86), rng.uniform(0.7, 1.1)
    )
    keep = tips[rng.permutation(len(tips))[:330]]
    return _leafy(rng, wood, keep, 10000 // max(len(keep), 1), 0.62, 0.125)


def round_crown(rng: np.random.Generator) -> Plant:
    """Maple, hawthorn, orchard trees: a dense ball on a short stem."""
    wood, tips = branches(
        rng, rng.uniform(1.6, 2.2), 0.18, 4, 0.65, 0.1, (3, 3), (0.6, 0.75), rng.uniform(0.8, 1.3)
    )
    keep = tips[rng.permutation(len(tips))[:300]]
    return _leafy(rng, wood, keep, 9000 // max(len(keep), 1), 0.42, 0.092)


def birch(rng: np.random.Generator) -> Plant:
    """A slender white stem, drooping twigs and small leaves."""
    wood, tips = branches(
        rng, rng.uniform(3.2, 4.0), 0.11, 4, 0.42, 0.28, (2, 3), (0.55, 0.72), 1.0
    )
    droop = np.repeat(tips, 3, 0)
    droop[:, :2] += rng.normal(0, 0.25, (len(droop), 2))
    droop[:, 2] -= rng.uniform(0, 0.9, len(droop))
    keep = droop[rng.permutation(len(droop))[:420]]
    return _leafy(rng, wood, keep, 7500 // max(len(keep), 1), 0.34, 0.062, flat=1.2)


def column(rng: np.random.Generator) -> Plant:
    """Poplar and cypress: a flame of upright twigs."""
    h, wide = rng.uniform(7, 10), rng.uniform(0.75, 1.25)
    z = rng.uniform(0.06, 1.0, 330)
    shape = np.sin(np.pi * np.clip(z * 0.93 + 0.05, 0, 1)) ** 0.6
    a = rng.uniform(0, 2 * np.pi, len(z))
    r = wide * shape * np.sqrt(rng.uniform(0.25, 1, len(z)))
    places = np.stack([r * np.cos(a), r * np.sin(a), z * h], 1)
    wood = np.array(
        [[0, 0, 0, 0, 0, h * 0.5, 0.16, 0.1], [0, 0, h * 0.5, 0, 0, h * 0.95, 0.1, 0.02]]
    )
    heart = np.stack([np.zeros(len(z)), np.zeros(len(z)), z * h - 0.6], 1)
    count = 26
    out = clumps(rng, places, np.repeat(heart, count, 0), count, 0.36, 0.085, flat=1.5)
    return Plant(wood, *out)


def conifer(rng: np.random.Generator) -> Plant:
    """Spruce and fir: whorls of drooping boughs fringed with needles."""
    h, wide = rng.uniform(7, 11), rng.uniform(0.2, 0.3)
    wood = [[0, 0, 0, 0, 0, h, 0.17, 0.015]]
    centres, shading, facing, sizes, tints = [], [], [], [], []
    z = h * rng.uniform(0.05, 0.12)
    while z < h * 0.985:
        reach = (1 - z / h) ** 0.85 * h * wide + 0.1
        for _ in range(int(rng.integers(6, 10))):
            a, length = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.75, 1.1)
            way = np.array([np.cos(a), np.sin(a), rng.uniform(-0.35, -0.05)])
            start, across = np.array([0, 0, z]), np.array([-np.sin(a), np.cos(a), 0])
            end = start + way * length
            wood.append([*start, *end, 0.03, 0.008])
            n = int(26 * length) + 8
            t = rng.uniform(0.08, 1.0, n) ** 0.75
            fringe = rng.normal(0, 0.2, n) * (1.15 - t) * min(1.2, length) + rng.normal(0, 0.04, n)
            sag = -0.28 * (t - 0.35) ** 2 * length
            c = start + way * (t * length)[:, None] + across * fringe[:, None]
            c[:, 2] += sag - np.abs(fringe) * 0.25 + rng.normal(0, 0.05, n)
            centres.append(c)
            out = _unit(np.array([np.cos(a), np.sin(a), 0.7]))
            shading.append(_unit(out + rng.normal(0, 0.35, (n, 3))))
            facing.append(_unit(UP + rng.normal(0, 0.55, (n, 3))))
            sizes.append(np.stack([rng.uniform(0.1, 0.2, n), rng.uniform(0.04, 0.075, n)], 1))
            tints.append(np.clip(t * 0.65 + rng.uniform(-0.1, 0.35, n), 0, 1))
        z += rng.uniform(0.24, 0.42) * (0.6 + 0.4 * h / 9)
    parts = [np.concatenate(x) for x in (centres, facing, shading, sizes, tints)]
    return Plant(np.array(wood), *parts)


def pine(rng: np.random.Generator) -> Plant:
    """An umbrella of dark tufts on a tall bare trunk."""
    wood, tips = branches(
        rng, rng.uniform(2.8, 3.6), 0.2, 3, 0.75, 0.3, (3, 4), (0.45, 0.6), rng.uniform(1.3, 1.9)
    )
    low = np.quantile(tips[:, 2], 0.25)
    tips = tips[tips[:, 2] > low]
    keep = tips[rng.permutation(len(tips))[:150]]
    return _leafy(rng, wood, keep, 8000 // max(len(keep), 1), 0.6, 0.085, flat=0.45, slim=0.35)


def bare(rng: np.random.Generator) -> Plant:
    """A broadleaf in winter: limbs, branches and twigs."""
    wood, tips = branches(
        rng, rng.uniform(2.2, 2.8), 0.24, 5, 0.5, 0.2, (2, 3), (0.66, 0.82), rng.uniform(0.8, 1.1)
    )
    n = 3
    ways = _unit(
        rng.normal(0, 1, (len(tips) * n, 3))
        + UP * 0.5
        + np.repeat(_unit(tips - tips.mean(0)), n, 0)
    )
    starts = np.repeat(tips, n, 0)
    ends = starts + ways * rng.uniform(0.25, 0.6, (len(starts), 1))
    thin = np.tile([0.011, 0.004], (len(starts), 1))
    wood[:, 6:] = np.maximum(wood[:, 6:], 0.014)
    none = np.zeros((0, 3))
    return Plant(
        np.concatenate([wood, np.hstack([starts, ends, thin])]),
        none,
        none,
        none,
        np.zeros((0, 2)),
        np.zeros(0),
    )


def bush(rng: np.random.Generator) -> Plant:
    """A round shrub of about 1 m."""
    n = int(rng.integers(14, 26))
    places = _unit(rng.normal(size=(n, 3)) * [1, 1, 0.7]) * rng.uniform(0.2, 0.6, (n, 1))
    places[:, 2] = np.abs(places[:, 2]) * 0.9 + 0.25
    out = clumps(rng, places, np.array([0, 0, 0.1]), 2400 // n, 0.3, 0.055)
    return Plant(np.zeros((0, 8)), *out)


def hedge(rng: np.random.Generator) -> Plant:
    """One metre of clipped hedge, 0.7 m wide and 1 m high, along x."""
    n = 2600
    p = rng.uniform([-0.55, -0.35, 0.0], [0.55, 0.35, 1.0], (n, 3))
    side = rng.integers(0, 3, n)
    p[side == 0, 2] = 1.0
    p[side == 1, 1] = -0.35
    p[side == 2, 1] = 0.35
    normal = np.array([[0, 0, 1.0], [0, -1.0, 0], [0, 1.0, 0]])[side]
    p += rng.normal(0, 0.035, (n, 3))
    shading = _unit(normal + rng.normal(0, 0.4, (n, 3)))
    sizes = 0.042 * rng.uniform(0.7, 1.3, (n, 1)) * np.array([[1.0, 0.6]])
    return Plant(
        np.zeros((0, 8)), p, _unit(rng.normal(size=(n, 3))), shading, sizes, rng.uniform(0, 1, n)
    )


def sward(rng: np.random.Generator, n: int = 2400) -> Plant:
    """A tile of 2 × 2 m of grass blades in tufts, upright and bent."""
    tufts = rng.uniform(-1.1, 1.1, (n // 13, 2))[rng.integers(0, n // 13, n)]
    loose = rng.random((n, 1)) < 0.3
    at = np.where(loose, rng.uniform(-1, 1, (n, 2)), tufts + rng.normal(0, 0.05, (n, 2)))
    tall = rng.gamma(4, 0.25, n) * 0.05 + 0.015
    centres = np.concatenate([at, (tall * 0.8)[:, None]], 1)
    facing = _unit(np.concatenate([rng.normal(0, 1, (n, 2)), rng.normal(0, 0.35, (n, 1))], 1))
    shading = _unit(UP + rng.normal(0, 0.3, (n, 3)))
    sizes = np.stack([tall, np.full(n, 0.007)], 1)
    return Plant(np.zeros((0, 8)), centres, facing, shading, sizes, rng.uniform(0, 1, n))


def thin(rng: np.random.Generator) -> Plant:
    """The same, sparse: for where blades fade into the ground's own texture."""
    return sward(rng, 800)


SPECIES: dict[str, Callable[[np.random.Generator], Plant]] = {
    "broadleaf": broadleaf, "round": round_crown, "birch": birch, "column": column,
    "conifer": conifer, "pine": pine, "bare": bare, "bush": bush, "hedge": hedge,
    "sward": sward, "thin": thin,
}  # fmt: skip


def grow(species: str, variant: int) -> Plant:
    """The plant of that species and variant; always the same."""
    return SPECIES[species](np.random.default_rng([sorted(SPECIES).index(species), variant, 7]))
