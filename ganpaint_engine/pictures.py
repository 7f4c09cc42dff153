"""Picture files: read with care, written whole."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from ganpaint_engine.errors import (
    BadRequest,
    CorruptImage,
    GanpaintError,
    OutOfMemory,
    PhotoTooLarge,
)
from ganpaint_engine.sizes import MAX_PIXELS, check_pixels, check_size

_FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD"),
    *("SGI", "TGA", "TIFF", "WEBP"),
)


def read_photo(path: Path) -> Image.Image:
    """A photo file as RGB or RGBA, sRGB, upright. Its size is checked before it is decoded.

    Raises CorruptImage (not a picture, or cut short), PhotoTooSmall, PhotoTooLarge.
    """
    return as_rgb(to_srgb(to_eight_bits(ImageOps.exif_transpose(opened(path, check_size)))))


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture as RGB, or as RGBA if anything in it may be transparent."""
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def flat(image: Image.Image) -> Image.Image:
    """A photo as RGB; what is transparent shows white, as on a page."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page


def read_mask(path: Path) -> Image.Image:
    """A mask file as "L": white is the stroke. A picture with alpha but no colour counts by alpha.

    Raises CorruptImage, PhotoTooLarge.
    """
    image = ImageOps.exif_transpose(opened(path, check_pixels))
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        if image.convert("L").getextrema()[0] == image.convert("L").getextrema()[1]:
            return alpha
        return Image.composite(image.convert("L"), Image.new("L", image.size, 0), alpha)
    return image.convert("L")


def opened(path: Path, check: Callable[[int, int], None]) -> Image.Image:
    """The picture as its file has it, decoded; its size is checked before that.

    Decoders of damaged files raise what they like: all of it means that the file is damaged.
    Raises CorruptImage, OutOfMemory, BadRequest, and what ``check`` raises.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; our own limit is checked before decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=formats()) as image:
                check(*image.size)
                image.load()
                ImageOps.exif_transpose(image)  # fails for EXIF that is damaged
                return image
    except GanpaintError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoTooLarge(
            f"{path} is larger than {MAX_PIXELS // 1_000_000} megapixels."
        ) from error
    except FileNotFoundError as error:
        raise BadRequest(f"There is no file {path}.") from error
    except MemoryError as error:
        raise OutOfMemory(f"There was not enough memory to open {path}.") from error
    except Exception as error:
        raise CorruptImage(f"{path} cannot be read as a picture: {error}.") from error


@cache
def formats() -> list[str]:
    """The formats that are read: pictures alone, not those that start another program (EPS)."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 and 32 bits, which Pillow would clip instead of scaling, as "L"."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    if image.mode == "F":
        top = 1.0 if values.max() <= 1 else 255.0 if values.max() <= 255 else values.max()
    else:
        top = 65535.0 if values.max() > 255 or "16" in image.mode else 255.0
    return Image.fromarray(np.clip(np.rint(values / top * 255), 0, 255).astype(np.uint8))


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert from an embedded colour profile, if there is one that can be used."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except (ImageCms.PyCMSError, OSError):
        return image
    converted = converted or image
    converted.info.pop("icc_profile", None)
    return converted


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size side by side, in rows: about as wide as high."""
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    made = Image.new("RGB", (columns * width, rows * height), "white")
    for i, picture in enumerate(pictures):
        made.paste(picture, (i % columns * width, i // columns * height))
    return made


def png_text(key: str, text: str) -> PngImagePlugin.PngInfo:
    """A text that goes into a PNG file, as ``pnginfo``."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text)
    return info


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which becomes it at the end, or is removed.

    Raises BadRequest where that cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadRequest(f"{path} cannot be written: {error}.") from error


def write_picture(image: Image.Image, path: Path, **options: Any) -> None:
    """Write by the suffix's format, so that the file is whole or not there at all.

    options: more of what Pillow's ``save`` takes. Raises BadRequest for a suffix or folder that
    cannot be written.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise BadRequest(f"{path.name}: the format of a picture follows its suffix, such as .png.")
    if kind == "JPEG" and image.mode == "RGBA":
        image = image.convert("RGB")
    quality = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    with whole(path) as temporary:
        image.save(temporary, format=kind, **quality, **options)
