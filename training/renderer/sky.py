"""Skies: the light they give, and their picture with clouds, as arrays.

The sky is computed here and not by Blender: so a cloud's label is its own opacity, and clouds can
be toggled without touching the light on the ground. Radiance is linear, relative to a clear sky
of about 0.4; directions are unit vectors, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.renderer.streams import Stream

Array = np.ndarray
# Heaps of cloud are laid out on a canvas of angles about the middle of the view, in radians.
CANVAS_AZ, CANVAS_EL, CANVAS_STEP = 1.1, 1.2, 0.005
CLOUD_LABEL_FROM = 0.42  # the opacity from which a pixel is labelled cloud

COVERS = {"clear": 2, "cirrus": 2, "fair": 4, "broken": 4, "overcast": 2, "grey": 1.3}


@dataclass(frozen=True)
class Sky:
    """Sun and air. Angles in radians, ``sun_power`` as Blender counts a sun lamp's strength."""

    cover: str
    elevation: float
    azimuth: float  # of the sun; 0 is +x, counter-clockwise from above
    haze: float  # 0 crisp to 1 milky
    sun_power: float
    sun_angle: float  # apparent size: larger is softer
    level: float  # radiance of the sky itself
    visibility: float  # metres at which the air has taken over by 1 - 1/e
    noise_seed: int

    @classmethod
    def draw(cls, rng: Stream, towards_front: float) -> Sky:
        """``towards_front`` is the azimuth from which the sun lights the façade straight on."""
        cover = rng.weighted(COVERS)
        elevation = math.radians(
            rng.choice((rng.uniform(7, 25), rng.uniform(20, 60), rng.uniform(20, 65)))
        )
        # Photographers prefer a lit front, but do not always have one.
        side = rng.normal(1.0, 2.0) if rng.chance(0.7) else rng.uniform(-math.pi, math.pi)
        haze = rng.random() ** 1.7
        dim = {"overcast": 0.05, "grey": 0.0, "broken": rng.choice((1.0, 0.25))}.get(cover, 1.0)
        low = min(1.0, 0.35 + 1.1 * math.sin(elevation))
        level = {"overcast": 0.62, "grey": 0.55, "broken": 0.42}.get(cover, 0.46)
        return cls(
            cover, elevation, towards_front + side, haze, rng.uniform(2.8, 4.4) * dim * low,
            math.radians(rng.uniform(0.5, 2.5) if dim > 0.5 else 12),
            level * rng.uniform(0.85, 1.2),
            10 ** rng.uniform(2.5, 3.6) if haze > 0.6 else 10 ** rng.uniform(3.2, 4.2),
            rng.getrandbits(31),
        )  # fmt: skip

    @property
    def sun(self) -> Array:
        """The direction towards the sun."""
        c = math.cos(self.elevation)
        return np.array(
            [c * math.cos(self.azimuth), c * math.sin(self.azimuth), math.sin(self.elevation)]
        )

    @property
    def sun_colour(self) -> Array:
        """Whiter the higher it stands."""
        low = max(0.0, 1 - self.elevation / math.radians(32)) ** 1.5
        return np.array([1.0, 0.955 - 0.30 * low, 0.88 - 0.55 * low])

    @property
    def veiled(self) -> bool:
        return self.cover in ("overcast", "grey")

    def air(self, rays: Array) -> Array:
        """Radiance …×3 of the sky without clouds along ``rays`` …×3; haze below the horizon."""
        up = np.clip(rays[..., 2:], 0.0, 1.0)
        if self.veiled:
            grey = np.array([0.93, 0.97, 1.03]) * (0.62 + 0.38 * up**0.6)
            return np.asarray(self.level * grey)
        toward = np.clip((rays * self.sun).sum(-1, keepdims=True), -1, 1)
        low = max(0.0, 1 - self.elevation / math.radians(28))
        zenith = np.array([0.16, 0.33, 0.72]) * (1 - 0.35 * low)
        horizon = np.array([0.72, 0.86, 1.02]) + low * np.array([0.35, 0.05, -0.22])
        pale = horizon * 0.85
        blend = (1 - up) ** (3.2 - 1.6 * self.haze)
        colour = zenith * (1 - blend) + horizon * blend
        colour = colour + (pale - colour) * (0.55 * self.haze)
        glow = np.exp((toward - 1) * 9) * (0.25 + 0.9 * self.haze) + np.exp((toward - 1) * 60) * 1.2
        return np.asarray(
            self.level * (colour + glow * self.sun_colour * np.array([1.0, 0.93, 0.8]))
        )

    def environment(self, height: int = 32) -> Array:
        """The light from all around, H×2H×3, as Blender's equirectangular mapping wants it.

        Bottom row first. Clouds are in it only as an even brightening.
        """
        v, u = (np.mgrid[0:height, 0 : 2 * height] + 0.5) / [[[height]], [[2 * height]]]
        theta, phi = (v - 0.5) * np.pi, (0.5 - u) * 2 * np.pi
        # Blender's direction_to_equirectangular, the other way round.
        rays = np.stack(
            [np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)], -1
        )
        light = self.air(rays)
        lift = {"broken": 0.35, "fair": 0.12}.get(self.cover, 0.0)
        light = light * (1 - lift) + lift * self.level * 1.5
        below = rays[..., 2:] < 0
        return np.where(
            below, light * np.array([0.35, 0.36, 0.33]), np.minimum(light, 4 * self.level + 1)
        )


class Noise:
    """Smooth noise that repeats: a spectrum falling with frequency to the power ``slope``."""

    def __init__(self, rng: np.random.Generator, slope: float, size: int = 512) -> None:
        f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
        f[0, 0] = 1.0
        amplitude = f ** (-slope) * (f > 1.5)
        phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
        field = np.fft.irfft2(amplitude * np.exp(1j * phase), s=(size, size))
        self.field = ((field - field.mean()) / field.std()).astype(np.float32)

    def at(self, x: Any, y: Any) -> Array:
        """Values (mean 0, deviation 1) at positions in periods, bilinear."""
        n = len(self.field)
        x, y = (x % 1.0) * n, (y % 1.0) * n
        i, j = x.astype(int), y.astype(int)
        fx, fy = x - i, y - j
        i, j = i % n, j % n
        i1, j1, g = (i + 1) % n, (j + 1) % n, self.field
        top = g[i, j] * (1 - fx) + g[i1, j] * fx
        return np.asarray(top * (1 - fy) + (g[i, j1] * (1 - fx) + g[i1, j1] * fx) * fy)


def _step(x: Array | float, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def clouds(sky: Sky, rays: Array) -> tuple[Array, Array]:
    """Opacity H×W and radiance H×W×3 of the clouds along ``rays`` H×W×3."""
    rng = np.random.default_rng(sky.noise_seed)
    coarse, fine = Noise(rng, 1.9), Noise(rng, 1.6)
    shift = rng.uniform(0, 1, 4)
    opacity = np.zeros(rays.shape[:2])
    radiance = np.zeros(rays.shape)
    if sky.cover == "fair":
        opacity, radiance = _cumulus(sky, rays, rng, fine)
    elif sky.cover in ("broken", "overcast", "cirrus"):
        opacity, radiance = _layer(sky, rays, rng, coarse, fine, shift)
    fade = _step(rays[..., 2], 0.0, 0.05)
    return opacity * fade, radiance


def _layer(
    sky: Sky, rays: Array, rng: np.random.Generator, coarse: Noise, fine: Noise, shift: Array
) -> tuple[Array, Array]:
    """A sheet of cloud at one height, seen in perspective and lit from the sun's side."""
    up = np.clip(rays[..., 2], 0, 1) + 0.07
    x, y = rays[..., 0] / up, rays[..., 1] / up
    turn = rng.uniform(0, np.pi)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    size = rng.uniform(0.045, 0.09)
    stretch = rng.uniform(3, 6) if sky.cover == "cirrus" else rng.uniform(1, 1.5)
    s = sky.sun[:2] / (abs(sky.sun[2]) + 0.3)
    s = np.array(
        [s[0] * np.cos(turn) - s[1] * np.sin(turn), s[0] * np.sin(turn) + s[1] * np.cos(turn)]
    )

    def density(dx: float, dy: float) -> Array:
        u, v = (x + dx) * size + shift[0], (y + dy) * size / stretch + shift[1]
        warp = 0.03 * coarse.at(u * 0.7 + shift[2], v * 0.7)
        return np.asarray(coarse.at(u + warp, v - warp) + 0.3 * fine.at(u * 2.6 + warp, v * 2.6))

    d = density(0, 0)
    match sky.cover:
        case "cirrus":
            opacity = 0.75 * _step(d, 0.3 + rng.uniform(-0.3, 0.3), 2.2)
            thick = opacity * 0.3
        case "broken":
            cut = rng.uniform(-0.6, 0.5)
            opacity = 0.97 * _step(d, cut, cut + rng.uniform(0.35, 0.9))
            thick = np.clip(d - cut, 0, 3)
        case _:
            opacity = _step(d, -1.2, 0.9) * rng.uniform(0.6, 0.95)
            thick = np.clip(d + 1.0, 0, 3)
    toward = np.clip(density(s[0] * 0.9, s[1] * 0.9) - d, -1.5, 1.5)
    lit = np.clip(0.72 - 0.24 * thick - 0.28 * toward, 0.05, 1.0)
    if sky.veiled:
        lit *= 0.55
    return opacity, _cloud_colour(sky, rays, lit)


def _cloud_colour(sky: Sky, rays: Array, lit: Array) -> Array:
    """From the shaded grey of a cloud's base to the white of its sunlit rim."""
    toward = np.clip((rays * sky.sun).sum(-1), 0, 1)
    shade = sky.level * np.array([0.62, 0.68, 0.78])
    bright = sky.level * (1.75 + 1.2 * toward[..., None] ** 6) * sky.sun_colour
    if sky.veiled:
        bright = sky.level * np.array([1.25, 1.27, 1.3])
        shade = sky.level * np.array([0.36, 0.39, 0.44])
    colour = shade + (bright - shade) * lit[..., None]
    # Far clouds sink into the haze of the horizon.
    far = np.exp(-np.clip(rays[..., 2:], 0, 1) * 9) * (0.35 + 0.5 * sky.haze)
    return np.asarray(colour + (sky.air(rays) - colour) * far)


def _heaps(rng: np.random.Generator) -> tuple[Array, Array]:
    """Thickness and height within the cloud of heaps on the CANVAS: flat bases, round puffs."""
    rows, columns = int(CANVAS_EL / CANVAS_STEP), int(2 * CANVAS_AZ / CANVAS_STEP)
    body, lift = np.zeros((rows, columns)), np.zeros((rows, columns))
    for _ in range(int(rng.integers(5, 16))):
        e0 = 0.05 + 0.85 * rng.random() ** 1.3
        near = 0.35 + e0
        wide, high = near * rng.uniform(0.12, 0.42), near * rng.uniform(0.06, 0.2)
        a0 = rng.uniform(-0.95, 0.95)
        n = int(rng.integers(30, 90))
        across = rng.normal(0, 0.42, n).clip(-1, 1)
        above = rng.random(n) * (1 - np.abs(across) ** 1.6)
        radii = near * rng.uniform(0.018, 0.065, n) * (1 - 0.45 * above)
        for a, e, r in zip(a0 + across * wide, e0 + above * high, radii, strict=True):
            _puff(body, lift, a, e, r, e0, high)
    return body, lift


def _puff(body: Array, lift: Array, a: float, e: float, r: float, foot: float, high: float) -> None:
    """One ball of cloud, cut off at its heap's flat base."""
    i0, i1 = (int(max(0, (x - 0.0) / CANVAS_STEP)) for x in (e - r, e + r + CANVAS_STEP))
    j0, j1 = (int(max(0, (x + CANVAS_AZ) / CANVAS_STEP)) for x in (a - r, a + r + CANVAS_STEP))
    window = (slice(i0, i1), slice(j0, j1))
    if body[window].size == 0:
        return
    i, j = np.indices(body[window].shape)
    el, az = (i0 + i + 0.5) * CANVAS_STEP, (j0 + j + 0.5) * CANVAS_STEP - CANVAS_AZ
    puff = np.sqrt(np.clip(r * r - (az - a) ** 2 - (el - e) ** 2, 0, None))
    puff *= _step(el, foot - 0.3 * r, foot + 0.7 * r)
    lift[window] = np.where(puff > body[window], (el - foot) / high, lift[window])
    body[window] = np.maximum(body[window], puff)


def _cumulus(sky: Sky, rays: Array, rng: np.random.Generator, fine: Noise) -> tuple[Array, Array]:
    """Heaps of puffs, roughened and lit as one body."""
    body, lift = _heaps(rng)
    i, j = np.indices(body.shape)
    x, y = j * CANVAS_STEP * 0.9, i * CANVAS_STEP * 0.9
    rough = fine.at(x + 0.3, y) + 0.55 * fine.at(x * 2.9, y * 2.9 + 0.7)
    body = np.clip(body + (rough - 0.5) * 0.011 * (body > 0), 0, None)
    opacity = _step(body, 0.004, 0.024)
    gy, gx = np.gradient(body, CANVAS_STEP)
    normal = np.stack([-gx, -gy, np.full_like(gx, 0.7)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    az = np.arctan2(rays[..., 1], rays[..., 0])
    middle = az[az.shape[0] // 2, az.shape[1] // 2]
    side = sky.azimuth - middle  # the canvas runs to the left: counter-clockwise from above
    light = np.array([math.sin(side) * math.cos(sky.elevation),
                      math.sin(sky.elevation) + 0.4, -0.5 * math.cos(side)])  # fmt: skip
    lit = 0.42 + 0.5 * (normal @ (light / np.linalg.norm(light)))
    lit = lit * (0.4 + 0.6 * np.clip(lift, 0, 1) ** 0.6) + 0.05 * rough
    across = (az - middle + np.pi) % (2 * np.pi) - np.pi
    up = np.arcsin(np.clip(rays[..., 2], -1, 1))
    seen = [
        _sample(f, up / CANVAS_STEP, (across + CANVAS_AZ) / CANVAS_STEP) for f in (opacity, lit)
    ]
    return 0.98 * seen[0], _cloud_colour(sky, rays, np.clip(seen[1], 0.05, 1))


def _sample(field: Array, row: Array, column: Array) -> Array:
    """Bilinear values of ``field``; 0 outside it."""
    padded = np.pad(field, 1)
    row = np.clip(row + 0.5, 0, padded.shape[0] - 1.001)
    column = np.clip(column + 0.5, 0, padded.shape[1] - 1.001)
    i, j = row.astype(int), column.astype(int)
    fi, fj = row - i, column - j
    top = padded[i, j] * (1 - fj) + padded[i, j + 1] * fj
    return np.asarray(
        top * (1 - fi) + (padded[i + 1, j] * (1 - fj) + padded[i + 1, j + 1] * fj) * fi
    )
