"""How large a photo may be. Without torch: clients ask before they send anything."""

from __future__ import annotations

from ganpaint_engine.errors import PhotoTooLarge, PhotoTooSmall

MIN_SIDE_PX = 64
MAX_PIXELS = 100_000_000


def check_size(width: int, height: int) -> None:
    """Raises PhotoTooSmall under 64 px a side, PhotoTooLarge over 100 megapixels."""
    if min(width, height) < MIN_SIDE_PX:
        raise PhotoTooSmall(
            f"The photo is {width}x{height} px; the engine needs at least {MIN_SIDE_PX} px a side."
        )
    check_pixels(width, height)


def check_pixels(width: int, height: int) -> None:
    """Raises PhotoTooLarge over 100 megapixels: asked of masks too, before they are decoded."""
    if width * height > MAX_PIXELS:
        raise PhotoTooLarge(
            f"The picture has {width * height / 1e6:.0f} megapixels; the limit is "
            f"{MAX_PIXELS // 1_000_000}. Crop or scale it first."
        )
