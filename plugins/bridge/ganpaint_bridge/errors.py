"""The one exception of the bridge, and what the plug-ins say about it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from .words import _, later


class BridgeError(Exception):
    """Something a person should hear about. ``code`` is one of the engine's stable codes."""

    def __init__(self, code: str, message: str, detail: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail or {}


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
    return "{}\n{}".format(error.message, _(advice)) if advice else error.message


def warning_text(sentence: str) -> str:
    """An engine's warning in the person's language, where it is a known one."""
    if sentence.startswith("This picture is unlike"):
        return _(
            "This photo is unlike those that the model knows: expect new content to be coarse and "
            "not to match it well."
        )
    return sentence
