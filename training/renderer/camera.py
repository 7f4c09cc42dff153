"""Where the photographer stands, and through which lens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.renderer.buildings import Plot
from training.renderer.streams import Stream

SENSOR_MM = 36.0
# How much of the frame's side the building takes, and the height of the eye, in metres.
SHOTS = {
    "level": ((0.52, 0.86), (1.5, 2.0)),
    "close": ((1.0, 1.4), (1.5, 2.0)),
    "far": ((0.32, 0.58), (1.5, 2.2)),
    "raised": ((0.5, 0.85), (3.5, 12.0)),
    "oblique": ((0.5, 0.85), (1.5, 2.4)),
}
WEIGHTS = {"level": 4, "close": 2.2, "far": 2, "raised": 2, "oblique": 3}


@dataclass(frozen=True)
class Camera:
    """Position in metres; yaw (0 looks along +y), pitch and roll in radians; a shift lens."""

    shot: str
    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    lens_mm: float
    shift: float  # of the frame upward, in frame sides

    @classmethod
    def draw(cls, rng: Stream, plot: Plot) -> Camera:
        shot = rng.weighted(WEIGHTS)
        fill, eye = rng.uniform(*SHOTS[shot][0]), rng.uniform(*SHOTS[shot][1])
        side = (
            rng.choice((-1, 1)) * rng.uniform(0.45, 1.0) if shot == "oblique" else rng.normal(0.26)
        )
        lens = rng.choice((24, 28, 28, 35, 35, 50))
        wide, deep = plot.x1 - plot.x0, min(plot.y1 - plot.y0, 14.0)
        extent = max(wide * math.cos(side) + 0.8 * deep * abs(math.sin(side)), plot.top * 1.08)
        distance = extent * lens / (SENSOR_MM * fill)
        middle = (plot.centre_x + rng.normal(0.06) * wide, plot.y0 + 0.3 * deep)
        nearest = 0.3 * deep + 6.5 + max(0.0, plot.y0 - plot.porch_y)
        distance = min(max(distance, nearest / math.cos(side)), 75.0)
        x = middle[0] + distance * math.sin(side)
        y = middle[1] - distance * math.cos(side)
        yaw = math.atan2(middle[0] - x, middle[1] - y) * -1 + rng.normal(0.03)
        # The middle of the frame lies at the middle of the building, or lower when cropped.
        aim = (
            plot.top * rng.uniform(0.36, 0.56)
            if shot != "close"
            else plot.top * rng.uniform(0.22, 0.5)
        )
        slope = (aim - eye) / distance
        if rng.chance(0.5) and shot != "raised":
            pitch, shift = 0.0, slope * lens / SENSOR_MM
        else:
            pitch, shift = math.atan(slope), 0.0
        return cls(shot, (x, y, eye), yaw, pitch, rng.normal(0.008), lens, shift)

    def matrix(self) -> np.ndarray:
        """3×3: the camera's axes (right, up, backward) as columns."""

        def turn(axis: int, angle: float) -> np.ndarray:
            c, s = math.cos(angle), math.sin(angle)
            m = np.eye(3)
            i, j = [(1, 2), (2, 0), (0, 1)][axis]
            m[i, i], m[i, j], m[j, i], m[j, j] = c, -s, s, c
            return m

        out: np.ndarray = turn(2, self.yaw) @ turn(0, math.pi / 2 + self.pitch) @ turn(2, self.roll)
        return out

    def rays(self, size: int) -> np.ndarray:
        """Unit directions through the middles of the pixels, size×size×3, top row first."""
        t = (np.arange(size) + 0.5) / size - 0.5
        k = SENSOR_MM / self.lens_mm
        x, y = np.meshgrid(t * k, (-t + self.shift) * k)
        d = np.stack([x, y, -np.ones_like(x)], -1)
        d /= np.linalg.norm(d, axis=-1, keepdims=True)
        out: np.ndarray = d @ self.matrix().T
        return out

    def seen(self, x: float, y: float) -> tuple[float, float]:
        """Distance ahead in metres, and place across the frame (-0.5 to 0.5 is inside it)."""
        dx, dy = x - self.position[0], y - self.position[1]
        ahead = -math.sin(self.yaw) * dx + math.cos(self.yaw) * dy
        right = math.cos(self.yaw) * dx + math.sin(self.yaw) * dy
        return ahead, right / max(ahead, 0.1) * self.lens_mm / SENSOR_MM
