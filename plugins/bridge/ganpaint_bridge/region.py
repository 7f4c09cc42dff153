"""Which part of a large photo an edit needs: the rest is neither read nor sent."""

from typing import NamedTuple

# The model's window is 2.5 times the stroke's longer side wide, and the photo's shorter side where
# that is not much more: in a part five times as wide it gets the window it gets in the whole photo.
_WIDE = 5
_LEAST = 1024  # px: no window of a small stroke is wider
_STEP = 64  # px: strokes close by share their part, and what the engine keeps of it


class Region(NamedTuple):
    """A rectangle in photo px: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def clipped(self, width: int, height: int) -> "Region":
        """What of it lies in a photo of this size; a width or height of 0 where nothing does."""
        x0, y0 = max(self.x, 0), max(self.y, 0)
        x1, y1 = min(self.x + self.width, width), min(self.y + self.height, height)
        return Region(x0, y0, max(x1 - x0, 0), max(y1 - y0, 0))


def needed(stroke: Region, width: int, height: int, context: str, reach: float = 0) -> Region:
    """The part of a ``width`` x ``height`` photo that an edit under ``stroke`` is to be sent with.

    ``context`` is the edit's ("whole" needs all of the photo), ``reach`` how far the engine will
    grow and feather the stroke, px.
    """
    if context == "whole":
        return Region(0, 0, width, height)
    longer = max(stroke.width, stroke.height) + 2 * max(int(reach), 0)
    side = max(_WIDE * longer, _LEAST)
    x, across = _placed(stroke.x, stroke.width, side, width)
    y, down = _placed(stroke.y, stroke.height, side, height)
    return Region(x, y, across, down)


def _placed(start: int, length: int, side: int, size: int) -> "tuple[int, int]":
    """Where a side this long begins around a stroke, moved into the photo, and its length."""
    side = -(-side // _STEP) * _STEP + _STEP
    if side >= size:
        return 0, size
    begin = (start + length // 2 - side // 2) // _STEP * _STEP
    return min(max(begin, 0), size - side), side


def cut(pixels: bytes, held: Region, wanted: Region) -> bytes:
    """``wanted`` out of one-channel ``pixels`` that cover ``held``; 0 where they do not reach."""
    rows = []
    left = max(wanted.x, held.x)
    right = min(wanted.x + wanted.width, held.x + held.width)
    before = b"\0" * min(max(left - wanted.x, 0), wanted.width)
    for y in range(wanted.y, wanted.y + wanted.height):
        if right > left and held.y <= y < held.y + held.height:
            start = (y - held.y) * held.width + left - held.x
            row = before + pixels[start : start + right - left]
        else:
            row = b""
        rows.append(row.ljust(wanted.width, b"\0"))
    return b"".join(rows)
