"""Pixels on their way to the engine and back, and the errors of what cannot be sent."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from .choices import EditRequest, layer_name
from .errors import BridgeError, error_text
from .events import Event
from .recipe import write_recipe
from .words import _


class Picture(NamedTuple):
    """The active layer and the stroke over it, both ``width`` x ``height``, row-major.

    ``pixels`` is u8 sRGB with 3 or 4 ``channels`` (straight alpha), ``mask`` u8 with 0 outside the
    selection and soft values kept.
    """

    pixels: bytes
    width: int
    height: int
    channels: int
    mask: bytes


class Patch(NamedTuple):
    """A finished edit: RGBA u8 sRGB pixels whose corner lies at (x, y) of the picture sent.

    ``name`` is the new layer's, ``recipe`` what to store beside it under RECIPE_NAME.
    """

    name: str
    x: int
    y: int
    width: int
    height: int
    rgba: bytes
    report: Dict[str, Any]
    recipe: bytes = b""


def failure_text(error: BridgeError) -> str:
    """What the person reads: what happened, what to do, and the stable code."""
    return "%s [%s]" % (error_text(error), error.code)


def no_selection() -> BridgeError:
    """The error of an edit without a stroke; nothing is ever changed outside a selection."""
    return BridgeError("mask_empty", _("No region of this layer is selected."))


def wrong_layer(reason: str) -> BridgeError:
    """The error of an edit on something that is not one plain layer."""
    return BridgeError("bad_request", reason)


def internal(what: str, error: Exception) -> BridgeError:
    """A fault of the plug-in or of the editor, where it would else be dropped without a word."""
    return BridgeError("internal", "%s: %s" % (what, error))


def check_picture(picture: Picture) -> Picture:
    """``picture``, if its buffers have the promised sizes and something is selected in it.

    Raises BridgeError mask_empty, or bad_request (an editor handed out fewer pixels than asked).
    """
    area = picture.width * picture.height
    if len(picture.pixels) != area * picture.channels or len(picture.mask) != area:
        raise BridgeError("bad_request", _("The editor could not read this layer's pixels."))
    if picture.mask.count(0) == area:
        raise no_selection()
    return picture


def read_patch(event: Event, request: Optional[EditRequest] = None) -> Patch:
    """The patch of a "result" event, whose sizes the bridge has checked."""
    header = event.header
    x, y = header["offset"]
    size = header["patch"]
    report = header.get("report", {})
    name = layer_name(request) if request else header["name"]
    recipe = write_recipe(report, request)
    return Patch(name, x, y, size["width"], size["height"], event.frames[0], report, recipe)
