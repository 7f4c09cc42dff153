"""What every editor asks and shows in the same way: choices, checks, texts, and one edit's life.

Nothing here knows an editor: the GIMP and the Krita plug-in bring pixels and widgets, this brings
the words and the order of events.
"""

from typing import Callable, List, NamedTuple, Optional, Tuple

from .engine import Engine
from .errors import BridgeError, error_text
from .events import Event, event_text

# Offered before an engine has said what its model knows; any other name may be typed.
KNOWN_CONCEPTS = ("tree", "dome", "door", "window", "grass", "sky")
OPERATIONS = ("add", "remove")
QUALITIES = ("final", "preview")
QUALITY_LABELS = {"final": "Final", "preview": "Preview (faster)"}
STRENGTH_RANGE = (0.05, 2.0)
STRENGTH_DEFAULT = 1.0
SEED_MAX = 2**31 - 1

# The name under which an edit's recipe (JSON) is stored beside its layer.
RECIPE_NAME = "ganpaint-recipe"

_WAIT_S = 0.05
_PREVIEWS = "layer"  # the slot of all previews from one window: only the newest one matters


class EditRequest(NamedTuple):
    """What the person chose."""

    concept: str
    operation: str
    strength: float = STRENGTH_DEFAULT
    seed: int = 0
    quality: str = "final"


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
    """A finished edit: RGBA u8 sRGB pixels whose corner lies at (x, y) of the picture sent."""

    name: str
    x: int
    y: int
    width: int
    height: int
    rgba: bytes
    report: dict


class Update(NamedTuple):
    """What happened, for the host's window. ``kind`` is one of

    "progress" (fraction, text), "done" (patch, text), "failed" (error, text), "cancelled" (text),
    "concepts" (the names the running engine's model knows).
    """

    kind: str
    text: str = ""
    fraction: float = 0.0
    patch: Optional[Patch] = None
    concepts: Tuple[str, ...] = ()
    error: Optional[BridgeError] = None


def title(name: str) -> str:
    """A choice as menus and lists show it: "tree" -> "Tree"."""
    return name[:1].upper() + name[1:]


def concept_named(text: str) -> str:
    """The concept meant by what was chosen or typed: " Tree " -> "tree"."""
    text = text.strip()
    return text.lower() if text.lower() in KNOWN_CONCEPTS else text


def edit_title(operation: str, concept: str) -> str:
    """An edit in words, as the engine names the layer: "Add tree"."""
    return "%s %s" % (title(operation), concept)


def failure_text(error: BridgeError) -> str:
    """What the person reads: what happened, what to do, and the stable code."""
    return "%s [%s]" % (error_text(error), error.code)


def no_selection() -> BridgeError:
    """The error of an edit without a stroke; nothing is ever changed outside a selection."""
    return BridgeError("mask_empty", "No region of this layer is selected.")


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
        raise BridgeError("bad_request", "The editor could not read this layer's pixels.")
    if picture.mask.count(0) == area:
        raise no_selection()
    return picture


def read_patch(event: Event) -> Patch:
    """The patch of a "result" event, whose sizes the bridge has checked."""
    header = event.header
    x, y = header["offset"]
    size = header["patch"]
    report = header.get("report", {})
    return Patch(header["name"], x, y, size["width"], size["height"], event.frames[0], report)


class Editing:
    """Edits from one window, one at a time; pumped by the host's timer and never blocking."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._engine = None  # type: Optional[Engine]
        self._job_id = None  # type: Optional[str]
        self._cancelling = False

    @property
    def busy(self) -> bool:
        """An edit is under way (perhaps being cancelled)."""
        return self._job_id is not None

    def connect(self) -> None:
        """Look for the engine, or start it, so that it is ready when the person is."""
        if self._engine is None:
            self._engine = Engine(client=self._client)

    def start(self, request: EditRequest, picture: Picture) -> None:
        """Send an edit. Raises BridgeError if it cannot be sent."""
        check_picture(picture)
        self.connect()
        assert self._engine is not None
        self._job_id = self._engine.submit(
            concept=request.concept,
            operation=request.operation,
            strength=request.strength,
            seed=request.seed,
            quality=request.quality,
            model=None,
            slot=_PREVIEWS,
            image=(picture.pixels, picture.width, picture.height, picture.channels),
            mask=(picture.mask, picture.width, picture.height),
        )

    def cancel(self) -> None:
        """Ask the engine to stop the edit; a second call lets go of the engine altogether.

        The engine takes a lost connection for a cancel, so the second always works.
        """
        if not self.busy:
            return
        if self._cancelling:
            self.close()
        elif self._engine is not None and self._job_id is not None:
            self._cancelling = True
            self._engine.cancel(self._job_id)

    def close(self) -> None:
        """Let go of the engine; what runs there is cancelled."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self._finish()

    def pump(self, timeout: float = 0.0) -> List[Update]:
        """Handle what has arrived. Errors come back as "failed", never as exceptions."""
        events = self._engine.pump(timeout) if self._engine is not None else []
        updates = [self._update(event) for event in events]
        return [update for update in updates if update is not None]

    def wait(self, on_progress: Callable[[Update], None]) -> Patch:
        """Block until the edit started before is done, for a host without a window.

        Raises BridgeError with the engine's code.
        """
        while True:
            for update in self.pump(_WAIT_S):
                if update.patch is not None:
                    return update.patch
                if update.error is not None:
                    raise update.error
                if update.kind == "cancelled":
                    raise BridgeError("cancelled", "The engine cancelled the edit.")
                on_progress(update)

    def _update(self, event: Event) -> Optional[Update]:
        if event.type == "welcome":
            return Update("concepts", concepts=_model_concepts(event.header))
        if event.job_id is None:
            if event.error is not None:
                return self._failed(event.error)
            return Update("progress", event_text(event))
        # News of an edit that was let go of is no news.
        return self._job_update(event) if event.job_id == self._job_id else None

    def _job_update(self, event: Event) -> Update:
        if event.error is not None:
            return self._failed(event.error)
        if event.type in ("queued", "progress"):
            return Update("progress", event_text(event), event.fraction)
        self._finish()
        if event.type in ("cancelled", "superseded"):
            return Update("cancelled", "Cancelled.")
        patch = read_patch(event)
        return Update("done", "%s: done." % patch.name, 1.0, patch)

    def _failed(self, error: BridgeError) -> Update:
        # A fresh connection for the next try: this one may be what failed.
        self.close()
        return Update("failed", failure_text(error), error=error)

    def _finish(self) -> None:
        self._job_id = None
        self._cancelling = False


def _model_concepts(welcome: dict) -> Tuple[str, ...]:
    """Concepts of the welcome's default model."""
    models = welcome.get("models", [])
    for model in models:
        if model.get("name") == welcome.get("default_model"):
            return tuple(model.get("concepts", ()))
    return tuple(models[0].get("concepts", ())) if models else ()
