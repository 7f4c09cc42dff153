"""A photo's file as the command line edits it: what the engine sees of it, and its own values.

The engine works on sRGB. A file may be of another colour profile, of 16 bits a channel, grey, of a
palette or CMYK, turned by its EXIF tag. Its own values are kept beside what the engine sees, and
what is written is

    own + back(edited) - back(seen)

in the file's profile, so that every pixel that the edit left alone is bit for bit the file's own.
Grey and palette photos become RGB (new content has colours), with the values they show; CMYK
becomes sRGB, because new content has no separation.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from ganpaint_engine import pictures
from ganpaint_engine.errors import BadRequest, CorruptImage
from ganpaint_engine.layers import Patch, eight_bits, lay_over, top
from ganpaint_engine.sizes import check_size

Convert = Callable[[np.ndarray], np.ndarray]
"""Colours h×w×3 uint8, sRGB, to the file's profile."""

_TIFF = (".tif", ".tiff")
_ORIENTATION, _BITS, _XMP = 274, 258, 700  # TIFF tags
_TEXTS = (270, 271, 272, 306, 315, 33432)  # what it shows, maker, model, time, artist, copyright
_DIRECTORIES = (0x8769, 0x8825)  # EXIF's own, and where it was taken
_PNG_XMP = "XML:com.adobe.xmp"


@dataclass(frozen=True)
class PhotoFile:
    """A photo that was read.

    seen: what the engine sees, H×W×3|4, sRGB, upright; uint16 where the file has 16 bits and sRGB.
    own: the file's own values, upright, of the same shape, uint8 or uint16. back: sRGB to the
    file's profile, none where that is sRGB. profile, exif, xmp, dpi: kept for the output. notes:
    what the person should know of the output, sentences.
    """

    seen: np.ndarray
    own: np.ndarray
    back: Convert | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    def edited(self, layer: np.ndarray, offset: tuple[int, int]) -> np.ndarray:
        """The file's values with a layer (h×w×4, sRGB, uint8 or uint16) over them, as ``own``."""
        x, y = offset
        height, width = layer.shape[:2]
        here = np.s_[y : y + height, x : x + width]
        if self.back is None and self.own is self.seen and layer.dtype == self.own.dtype:
            alpha = self.own[..., 3] if self.own.shape[2] == 4 else None
            return lay_over(self.own[..., :3], alpha, Patch(layer, x, y))
        before, over = eight_bits(self.seen[here][..., :3]), eight_bits(layer)
        after = lay_over(before, None, Patch(over, 0, 0))
        if self.back is not None:
            before, after = self.back(before), self.back(after)
        white = top(self.own)
        out = self.own.copy()
        change = (after.astype(np.int32) - before) * (white // 255)
        out[here][..., :3] = np.clip(self.own[here][..., :3] + change, 0, white)
        if out.shape[2] == 4:
            opacity = over[..., 3].astype(np.uint32) * (white // 255)
            out[here][..., 3] = np.maximum(self.own[here][..., 3], opacity)
        return out

    def full_layer(self, layer: np.ndarray, offset: tuple[int, int]) -> np.ndarray:
        """The layer on a transparent picture of the photo's size, H×W×4, in the file's profile."""
        full = np.zeros((*self.own.shape[:2], 4), layer.dtype)
        x, y = offset
        part = full[y : y + layer.shape[0], x : x + layer.shape[1]]
        part[:] = layer
        if self.back is not None:
            colours = self.back(eight_bits(layer[..., :3])).astype(layer.dtype)
            part[..., :3] = colours * (top(layer) // 255)
        return full


def read(path: Path) -> PhotoFile:
    """Raises CorruptImage, PhotoTooSmall, PhotoTooLarge, BadRequest, as pictures.read_photo."""
    image = pictures.opened(path, check_size)
    deep = _deep(path, image)
    upright = ImageOps.exif_transpose(image)
    seen = np.asarray(pictures.as_rgb(pictures.to_srgb(pictures.to_eight_bits(upright))))
    if deep is not None and deep.shape != seen.shape:
        deep = None
    profile, notes = upright.info.get("icc_profile"), []
    back = _back(upright)
    if back is not None:
        own = np.asarray(pictures.as_rgb(upright)) if deep is None else deep
    else:
        if profile and not _is_srgb(upright):
            profile, deep = None, None
            notes.append("the photo's colour profile goes one way only; the output is sRGB.")
        own = seen = seen if deep is None else deep
    if image.mode not in ("RGB", "RGBA"):
        notes = [f"the photo is {_KINDS.get(image.mode, image.mode)}; the output is RGB."]
    return PhotoFile(seen, own, back, profile, _exif(image), _xmp(upright), _dpi(image), notes)


_KINDS = {
    **{"L": "grey", "LA": "grey", "I;16": "grey", "I": "grey", "F": "grey", "1": "black and white"},
    **{"P": "of a palette", "PA": "of a palette", "CMYK": "CMYK", "YCbCr": "YCbCr", "LAB": "Lab"},
}


def _is_srgb(image: Image.Image) -> bool:
    """Whether an embedded profile says so. A photo without one counts as sRGB too."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return False
    try:
        return "srgb" in ImageCms.getProfileDescription(io.BytesIO(profile)).lower()
    except (ImageCms.PyCMSError, OSError):
        return False


def _back(image: Image.Image) -> Convert | None:
    """From sRGB to the picture's own RGB profile; None if it has none, or that is sRGB."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA") or _is_srgb(image):
        return None
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        way = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), own, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None

    def back(colours: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(np.ascontiguousarray(colours))
        return np.asarray(ImageCms.applyTransform(picture, way))

    return back


def _deep(path: Path, image: Image.Image) -> np.ndarray | None:
    """The values of a PNG or TIFF of 16 bits a channel, H×W×3|4 uint16, upright; else None.

    Pillow, which has checked the file and read it by now, knows colours of 8 bits only.
    """
    if image.format == "PNG":
        with path.open("rb") as file:
            bits = file.read(25)[24]
    elif image.format == "TIFF" and isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = max(image.tag_v2.get(_BITS, (8,)))
    else:
        return None
    if bits != 16 or image.mode in ("CMYK", "LAB"):
        return None
    array = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise CorruptImage(f"{path} cannot be read as a picture of 16 bits a channel.")
    if array.dtype != np.uint16 or array.shape[:2] != image.size[::-1]:
        return None
    if array.ndim == 2:
        array = np.dstack([array] * 3)
    elif array.shape[2] == 4:
        array = cv2.cvtColor(array, cv2.COLOR_BGRA2RGBA)
    else:
        array = cv2.cvtColor(array, cv2.COLOR_BGR2RGB)
    return _turned(array, image.getexif().get(_ORIENTATION, 1))


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """An array as its EXIF orientation (1 to 8) says it is to be seen."""
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _exif(image: Image.Image) -> bytes | None:
    """EXIF, packed, of a picture that has been turned upright since."""
    found = image.getexif()
    if image.format == "TIFF":  # its first directory also says where the pixels lie
        told, found = found, Image.Exif()
        found.update({tag: told[tag] for tag in _TEXTS if tag in told})
        for directory in _DIRECTORIES:
            if entries := told.get_ifd(directory):
                found.get_ifd(directory).update(entries)
                found[directory] = 0
    found.pop(_ORIENTATION, None)
    return found.tobytes() if len(found) else None


def _xmp(image: Image.Image) -> bytes | None:
    found = image.info.get("xmp") or image.info.get(_PNG_XMP)
    return found.encode() if isinstance(found, str) else found


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    return (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None


def write(array: np.ndarray, path: Path, file: PhotoFile, *, metadata: bool = True) -> list[str]:
    """Write H×W×3|4 uint8 or uint16 by the suffix's format, with the file's profile and, if wished,
    its metadata. Whole or not at all. Returns what the person should know of it: sentences.

    Raises BadRequest for a suffix or folder that cannot be written.
    """
    suffix = path.suffix.lower()
    kept = file if metadata else PhotoFile(file.seen, file.own, profile=file.profile)
    if suffix in _TIFF or (array.dtype == np.uint16 and suffix == ".png"):
        with pictures.whole(path) as temporary:
            (_write_tiff if suffix in _TIFF else _write_deep_png)(array, temporary, kept)
        return []
    options = _options(kept, suffix)
    pictures.write_picture(Image.fromarray(eight_bits(array)), path, **options)
    if array.dtype == np.uint16:
        return [f"{suffix} files have 8 bits a channel; .png and .tiff keep the photo's 16."]
    return []


def _options(file: PhotoFile, suffix: str) -> dict[str, Any]:
    """What Pillow is to write beside the pixels, as each format wants it."""
    options: dict[str, Any] = {"icc_profile": file.profile, "exif": file.exif, "dpi": file.dpi}
    if file.xmp is not None and suffix == ".png":
        options["pnginfo"] = pictures.png_text(_PNG_XMP, file.xmp.decode("utf-8", "replace"))
    elif file.xmp is not None:
        options["xmp"] = file.xmp
    return {key: value for key, value in options.items() if value is not None}


def _write_deep_png(array: np.ndarray, path: Path, file: PhotoFile) -> None:
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""
    order = cv2.COLOR_RGBA2BGRA if array.shape[2] == 4 else cv2.COLOR_RGB2BGR
    packed, data = cv2.imencode(".png", cv2.cvtColor(array, order))
    if not packed:
        raise BadRequest("The picture cannot be packed as PNG.")
    path.write_bytes(_with_chunks(data.tobytes(), file))


def _write_tiff(array: np.ndarray, path: Path, file: PhotoFile) -> None:
    """A TIFF of 8 or 16 bits. Of EXIF it gets the texts alone."""
    import tifffile

    tags = _described(file.exif)
    if file.xmp:
        tags.append((_XMP, 1, len(file.xmp), file.xmp, True))
    tifffile.imwrite(
        path,
        array,
        photometric="rgb",
        extrasamples=["unassalpha"] if array.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=file.profile,
        resolution=file.dpi,
        resolutionunit="inch" if file.dpi else None,
        extratags=tags,
        metadata=None,
        software="GANPaint Engine",
    )


def _described(exif: bytes | None) -> list[tuple[int, int, int, Any, bool]]:
    """The texts of EXIF's first directory as TIFF tags: maker, model, time, artist, copyright…"""
    found = Image.Exif()
    if exif:
        found.load(exif)
    return [(tag, 2, 0, str(found[tag]), True) for tag in _TEXTS if tag in found]


def _with_chunks(png: bytes, file: PhotoFile) -> bytes:
    """A PNG with profile, resolution, EXIF and XMP after its header."""
    chunks = []
    if file.profile:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(file.profile)))
    if file.dpi:
        across, down = (round(v / 0.0254) for v in file.dpi)  # px per metre
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if file.exif:
        chunks.append((b"eXIf", file.exif.removeprefix(b"Exif\0\0")))
    if file.xmp:
        chunks.append((b"iTXt", _PNG_XMP.encode() + b"\0\0\0\0\0" + file.xmp))
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    header = 8 + 25  # signature, and IHDR
    return png[:header] + packed + png[header:]
