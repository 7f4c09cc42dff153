"""From light to a photograph: haze, exposure, white balance, tone curve, lens and grain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.renderer.camera import Camera
from training.renderer.labels import LABELS
from training.renderer.sky import CLOUD_LABEL_FROM, Array, Sky, clouds
from training.renderer.streams import Stream


@dataclass(frozen=True)
class Film:
    """How a picture is exposed and developed."""

    exposure: float  # factor on radiance
    warmth: float  # white balance: positive is warmer
    magenta: float
    contrast: float
    saturation: float
    vignette: float
    blur: float  # pixels at 256 px
    grain: float
    noise_seed: int

    @classmethod
    def draw(cls, rng: Stream, sky: Sky, camera: Camera) -> Film:
        """Exposed for the light on front and ground: what the scene holds does not change it."""
        back = np.array([math.sin(camera.yaw), -math.cos(camera.yaw), 0.0])
        front = max(0.0, float(sky.sun @ back))
        ambient = math.pi * sky.level * 0.75
        lit = sky.sun_power * front * 0.75 + sky.sun_power * max(0.0, sky.sun[2]) * 0.35
        key = (lit + ambient) * 0.42 / math.pi
        exposure = 0.64 / key * 2 ** rng.normal(0.28)
        return cls(
            exposure, rng.normal(0.06), rng.normal(0.015), rng.uniform(0.15, 0.75),
            rng.uniform(0.9, 1.3), rng.random() ** 2 * 0.3, rng.random() ** 2 * 0.7,
            rng.random() ** 2 * 0.02, rng.getrandbits(31),
        )  # fmt: skip


def develop(
    sky: Sky, camera: Camera, film: Film, rgba: Array, depth: Array, classes: Array, cloudy: bool
) -> tuple[Array, Array]:
    """Picture H×W×3 uint8 (sRGB) and labels H×W uint8.

    ``rgba`` is linear light premultiplied by its cover, ``depth`` in metres, ``classes`` counts
    from 1 with 0 where nothing was hit. All have their top row first.
    """
    rays = camera.rays(len(rgba))
    behind = sky.air(rays)
    labels = np.where(classes > 0, classes - 1, LABELS.index("sky")).astype(np.uint8)
    if cloudy:
        opacity, light = clouds(sky, rays)
        behind = behind * (1 - opacity[..., None]) + light * opacity[..., None]
        labels[(classes == 0) & (opacity >= CLOUD_LABEL_FROM)] = LABELS.index("cloud")
    cover = rgba[..., 3:]
    level = rays * [1, 1, 0] + [0, 0, 0.02]
    veil = sky.air(level / np.linalg.norm(level, axis=-1, keepdims=True))
    clear = np.exp(-np.minimum(_nearest(depth), 1e6) / sky.visibility)[..., None]
    light = rgba[..., :3] * clear + veil * cover * (1 - clear) + behind * (1 - cover)
    return _expose(film, light), labels


def _nearest(depth: Array) -> Array:
    """The least depth of each pixel's 3×3: an edge half covered counts as what covers it."""
    padded = np.pad(depth, 1, mode="edge")
    n, m = depth.shape
    shifts = [padded[i : i + n, j : j + m] for i in range(3) for j in range(3)]
    return np.asarray(np.minimum.reduce(shifts))


def _blurred(x: Array, sigma: float) -> Array:
    if sigma < 0.15:
        return x
    reach = 2 if sigma < 0.8 else 4
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        widths = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(x, widths, mode="edge")
        n = x.shape[axis]
        parts = [k * np.take(padded, range(i, i + n), axis) for i, k in enumerate(kernel)]
        x = np.sum(parts, axis=0)
    return x


def _expose(film: Film, light: Array) -> Array:
    """Linear light to sRGB bytes by a curve with a soft shoulder: whites never clip hard."""
    size = len(light)
    balance = np.array([1 + film.warmth, 1 - film.magenta, 1 - film.warmth])
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    falloff = 1 - film.vignette * (x**2 + y**2) / 2
    x_ = _blurred(np.clip(light, 0, 50), film.blur * size / 256)
    x_ = x_ * film.exposure * balance * falloff[..., None]
    grey = x_ @ [0.2126, 0.7152, 0.0722]
    x_ = np.clip(grey[..., None] + (x_ - grey[..., None]) * film.saturation, 0, None)
    toned = 1 - np.exp(-1.12 * x_)
    display = np.where(
        toned < 0.0031308, 12.92 * toned, 1.055 * np.maximum(toned, 1e-9) ** (1 / 2.4) - 0.055
    )
    curved = display * display * (3 - 2 * display)
    display = display + (curved - display) * film.contrast
    rng = np.random.default_rng(film.noise_seed)
    coarse = rng.normal(0, 1, (size, size, 1)) + 0.5 * rng.normal(0, 1, (size, size, 3))
    display = display + film.grain * coarse * (1.15 - display)
    return np.asarray(np.clip(display * 255 + 0.5, 0, 255).astype(np.uint8))
