"""The one exception of the bridge, and what the plug-ins say about it."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

from .choices import COMPOSITES, composite_label
from .words import _, is_english, later


class BridgeError(Exception):
    """Something a person should hear about. ``code`` is one of the engine's stable codes."""

    def __init__(self, code: str, message: str, detail: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail or {}
        self.is_engines = False  # then the message is in English


def engine_error(header: Dict[str, Any]) -> BridgeError:
    """The error of a FAILED or ERROR message. Raises KeyError."""
    detail = header.get("detail")
    error = BridgeError(
        str(header["code"]), str(header["message"]), detail if isinstance(detail, dict) else None
    )
    error.is_engines = True
    return error


# What the engine's codes mean, where its own English message cannot be read by everybody.
_SENTENCES = {
    "bad_request": later("The engine does not take this request."),
    "disk_full": later("There is not enough room on the disk."),
    "engine_unreachable": later("The engine on the other machine cannot be reached."),
    "image_corrupt": later("The picture is damaged."),
    "internal": later("The engine made a mistake."),
    "mask_empty": later("Nothing is selected."),
    "mask_size": later("The selection is not of the photo's size."),
    "model_busy": later("Another program is changing the model at the moment."),
    "model_damaged": later("The model's files are damaged."),
    "model_not_prepared": later("The model cannot edit photos: it was not prepared for that."),
    "not_allowed": later("The engine on the other machine does not allow this."),
    "out_of_memory": later("There was not enough memory for this edit."),
    "photo_too_large": later("The photo has too many pixels."),
    "photo_too_small": later("The photo is too small: each side needs 64 pixels or more."),
    "protocol_mismatch": later("The plug-in and the engine are of versions that do not fit."),
    "queue_full": later("The engine has too many edits waiting already."),
    "rate_limited": later("The engine was asked too often in one second."),
    "segmenter_missing": later("A file that the model needs is missing."),
    "storage": later("The engine cannot write into its folder."),
    "superseded": later("A newer edit took its place."),
    "unknown_concept": later("The model does not know this concept."),
    "unknown_job": later("The engine does not know this edit any more."),
    "unknown_model": later("This model is not installed."),
    "unknown_variant": later("The model does not have this look."),
    "unsupported_operation": later("The model cannot do this with the concept."),
    "wrong_key": later("The engine on the other machine does not let this one's key in."),
    "wrong_token": later("The engine does not accept the plug-in's token."),
}


# What to do next, where the engine's own message cannot know that it is shown inside an editor.
_ADVICE = {
    "mask_empty": later("Select the region to change, then try again."),
    "queue_full": later("Wait until an earlier edit is done, or cancel it."),
    "model_damaged": later("Install the model again."),
    "out_of_memory": later("Select a smaller region, or close other programs."),
    "wrong_token": later("Run “ganpaint stop”, then try again."),
    "protocol_mismatch": later("Update GANPaint, then run “ganpaint plugin install” once more."),
    "engine_unreachable": later("Try again; “ganpaint doctor” in a terminal tells more."),
    "engine_missing": later("Install GANPaint, then run “ganpaint plugin install” once more."),
    "internal": later("The engine's log has the details; “ganpaint doctor” tells where it is."),
}


def error_text(error: BridgeError) -> str:
    """The text a plug-in shows for ``error``: what happened, and what to do about it."""
    advice = _ADVICE.get(error.code, "")
    return "%s\n%s" % (sentence(error), _(advice)) if advice else sentence(error)


def sentence(error: BridgeError) -> str:
    """What happened. The engine's own message tells more, but in English."""
    if error.is_engines and error.code in _SENTENCES and not is_english():
        return _(_SENTENCES[error.code])
    return error.message


# The engine's offer of another final blend, where a photo is unlike those that the model knows.
_ROUTE = re.compile(r'To (add|remove) something .* the final blend "(\w+)"')
_ROUTES = {
    "add": later("For adding to such photos, this blending measured best: %s"),
    "remove": later("For removing from such photos, this blending measured best: %s"),
}


def warning_text(sentence: str) -> str:
    """An engine's warning in the person's language, where it is a known one."""
    if sentence.startswith("This picture is unlike"):
        return _(
            "This photo is unlike those that the model knows: expect new content to be coarse and "
            "not to match it well."
        )
    route = _ROUTE.match(sentence)
    if route and route.group(2) in COMPOSITES:
        told = _ROUTES[route.group(1)]
        return str(_(told) % composite_label(route.group(2)))
    return sentence
