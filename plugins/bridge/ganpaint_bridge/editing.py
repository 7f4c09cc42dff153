"""One window's edits: what was asked, what comes of it, and the engine's life as a window shows it.

Pumped by the host's timer and never blocking. Only the newest edit counts: what comes of one that
was cancelled or replaced is dropped.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from .choices import DEFAULT_OFFER, EditRequest, Look, Offer, edit_title
from .engine import Engine
from .errors import BridgeError, warning_text
from .events import Event, event_text
from .pictures import Patch, Picture, check_picture, failure_text, read_patch
from .words import _

_WAIT_S = 0.05
_PREVIEWS = "layer"  # the slot of all previews from one window: only the newest one matters
_SILENCE_S = 3.0  # an engine with a job says something every second
_PUMPED_S = 0.5  # a longer pause between two calls of pump is the host's, and not the engine's


class Update(NamedTuple):
    """What happened, for the host's window. ``kind`` is one of

    "progress" (fraction, text), "done" (patch, request, text), "failed" (error, text), "cancelled"
    (text), "warning" (text, warnings: what to expect of this photo; before most of the work is
    done), "offer" (offer: what the engine's model can do; again when thumbnails have come),
    "silent" (text: a job runs and the engine says nothing; comes again, until it speaks or is
    restarted) and "engine" (text, state: "starting", "ready", "stopped" or "asleep", when that has
    changed).
    """

    kind: str
    text: str = ""
    fraction: float = 0.0
    patch: Optional[Patch] = None
    offer: Offer = DEFAULT_OFFER
    error: Optional[BridgeError] = None
    request: Optional[EditRequest] = None
    state: str = ""
    warnings: Tuple[str, ...] = ()


class Editing:
    """Edits from one window. ``client`` names the host: "gimp 3.0.4"."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._engine: Optional[Engine] = None
        self._may_start = True
        self._state = ""
        self._updates: List[Update] = []
        self.offer = DEFAULT_OFFER
        self._looks: Dict[str, Dict[Tuple[str, str], Look]] = {}
        self._model: Optional[str] = None
        self._forget()

    @property
    def busy(self) -> bool:
        """An edit is under way."""
        return self._job_id is not None

    @property
    def request(self) -> Optional[EditRequest]:
        """The newest edit's, while it is under way."""
        return self._next[0] if self._next else self._request

    @property
    def connected(self) -> bool:
        """There is a connection to an engine, or one is being looked for."""
        return self._engine is not None

    def connect(self, start: bool = True) -> None:
        """Look for the engine, or start it, so that it is ready when the person is.

        Without ``start`` only one that runs already is looked for; "failed" where there is none.
        """
        if start and self._engine is not None and not self._may_start:
            self._engine.close()
            self._engine = None
        if self._engine is None:
            self._may_start = start
            self._engine = Engine(client=self._client, start=start)

    def use_model(self, name: Optional[str]) -> None:
        """Edit with another model than the engine's default; an "offer" follows."""
        self._model = name
        if self._engine is not None and self._engine.welcome:
            self._updates.append(self._new_offer())

    def offer_of(self, model: Optional[str]) -> Offer:
        """What another model can do; DEFAULT_OFFER before an engine has answered."""
        welcome = self._engine.welcome if self._engine is not None else None
        return Offer.of(welcome, model) if welcome else DEFAULT_OFFER

    def start(self, request: EditRequest, picture: Picture) -> None:
        """Send an edit; one that is under way is given up. Raises BridgeError if it cannot be sent.

        Previews may follow each other as fast as a slider moves: the one under way is waited for,
        and of those that come meanwhile the newest is sent then. So each shows something, and none
        makes the engine begin again to open the photo.
        """
        check_picture(picture)
        self.connect()
        if self._is_preview and request.quality == "preview":
            self._next = (request, picture)
            return
        assert self._engine is not None
        if self._job_id is not None and not self._is_preview:
            self._engine.cancel(self._job_id)  # previews end by their slot
        self._forget()
        self._submit(request, picture)

    def preview(self, request: EditRequest, picture: Picture) -> None:
        """Start a preview of ``request``, whatever quality it asks for."""
        self.start(request._replace(quality="preview"), picture)

    def cancel(self) -> None:
        """Give up the edit: "cancelled" comes with the next pump. The engine stops at its next
        step; whatever it still says of this edit is dropped."""
        if self._job_id is None:
            return
        if self._engine is not None:
            self._engine.cancel(self._job_id)
        self._forget()
        self._updates.append(Update("cancelled", _("Cancelled.")))

    def close(self) -> None:
        """Let go of the engine; what runs there is cancelled."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        self._state = ""
        self._forget()

    def stop_engine(self) -> None:
        """End the engine, whoever uses it; forced after some seconds. "engine" tells the result."""
        self._end(restart=False)

    def restart_engine(self) -> None:
        """End the engine, if one runs, and start a new one."""
        self._end(restart=True)

    def pump(self, timeout: float = 0.0) -> List[Update]:
        """Handle what has arrived. Errors come back as "failed", never as exceptions."""
        if self._engine is not None:
            for event in self._engine.pump(0.0 if self._updates else timeout):
                self._take(event)
            self._watch_silence()
        updates, self._updates = self._updates, []
        return updates

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
                    raise BridgeError("cancelled", _("The engine cancelled the edit."))
                on_progress(update)

    # -- one edit ----------------------------------------------------------------------------

    @property
    def _is_preview(self) -> bool:
        return self._request is not None and self._request.quality == "preview"

    def _submit(self, request: EditRequest, picture: Picture) -> None:
        assert self._engine is not None
        self._job_id = self._engine.submit(
            concept=request.concept,
            operation=request.operation,
            strength=request.strength,
            seed=request.seed,
            quality=request.quality,
            variant=request.variant,
            context=request.context,
            grow=request.grow,
            feather=request.feather,
            composite=request.composite,
            model=request.model or self._model,
            slot=_PREVIEWS,
            image=(picture.pixels, picture.width, picture.height, picture.channels),
            mask=(picture.mask, picture.width, picture.height),
        )
        self._request = request

    def _forget(self) -> None:
        self._job_id: Optional[str] = None
        self._request: Optional[EditRequest] = None
        self._next: Optional[Tuple[EditRequest, Picture]] = None
        self._silence = 0.0
        self._pumped = time.monotonic()
        self._silence_told = 0

    def _take(self, event: Event) -> None:
        if event.job_id is None:
            self._take_engine_event(event)
        elif event.job_id == self._job_id:  # news of an edit that was let go of is no news
            self._silence = 0.0
            self._silence_told = 0
            self._take_job_event(event)

    def _take_job_event(self, event: Event) -> None:
        if event.error is not None:
            self._fail(event.error)
            return
        if event.type in ("queued", "progress"):
            self._tell_progress(event)
            return
        request, following = self._request, self._next
        self._forget()
        if following is not None:  # before this one's end is told: the window stays busy
            self._submit(*following)
        if event.type == "result" and request is not None:
            title = edit_title(request.operation, request.concept, request.variant)
            patch = read_patch(event, request)
            done = Update("done", _("%s: done.") % title, 1.0, patch, request=request)
            self._updates.append(done)
        elif following is None:
            self._updates.append(Update("cancelled", _("Cancelled.")))

    def _tell_progress(self, event: Event) -> None:
        sentences = [warning_text(one) for one in event.warnings]
        if sentences:
            self._updates.append(Update("warning", "\n".join(sentences), warnings=tuple(sentences)))
        self._updates.append(Update("progress", event_text(event), event.fraction))

    def _watch_silence(self) -> None:
        now = time.monotonic()
        pause, self._pumped = now - self._pumped, now
        if self._job_id is None or self._engine is None or not self._engine.ready:
            self._silence = 0.0
            return
        self._silence += min(pause, _PUMPED_S)
        if self._silence >= _SILENCE_S and int(self._silence) > self._silence_told:
            self._silence_told = int(self._silence)
            text = _("The engine has said nothing for %d s. Wait, or restart it.")
            self._updates.append(Update("silent", text % self._silence_told))

    def _fail(self, error: BridgeError) -> None:
        # A fresh connection for the next try: this one may be what failed.
        self.close()
        self._updates.append(Update("failed", failure_text(error), error=error))

    # -- the engine --------------------------------------------------------------------------

    def _take_engine_event(self, event: Event) -> None:
        if event.type == "welcome":
            self._set_state("ready", _("Connected to the engine."))
            self._updates.append(self._new_offer())
        elif event.type == "looks":
            self._take_looks(event)
        elif event.type == "starting":
            self._set_state("starting", event_text(event))
            self._updates.append(Update("progress", event_text(event)))
        elif event.type == "asleep":
            text = _("The engine has left. The next edit starts it again.")
            self._set_state("asleep", text)
        elif event.type == "stopped":
            self._set_state("stopped", _("The engine was stopped."))
        elif event.type == "failed" and event.error is not None:
            self._fail(event.error)

    def _set_state(self, state: str, text: str) -> None:
        if state != self._state:
            self._state = state
            self._updates.append(Update("engine", text, state=state))

    def _new_offer(self) -> Update:
        """The offer of the model in use; its thumbnails are asked for where they are not known."""
        assert self._engine is not None
        self.offer = self.offer_of(self._model)
        model = self.offer.model
        if model in self._looks:
            self.offer = self.offer._replace(looks=self._looks[model])
        elif model is not None and self.offer.can("looks"):
            self._engine.ask("LOOKS", model=model)
        return Update("offer", offer=self.offer)

    def _take_looks(self, event: Event) -> None:
        looks: Dict[Tuple[str, str], Look] = {}
        for look, rgb in zip(event.header["looks"], event.frames):  # noqa: B905 - Python 3.10
            looks[look["concept"], look["variant"]] = Look(look["width"], look["height"], rgb)
        model = str(event.header.get("model"))
        self._looks[model] = looks
        if model == self.offer.model:
            self.offer = self.offer._replace(looks=looks)
            self._updates.append(Update("offer", offer=self.offer))

    def _end(self, restart: bool) -> None:
        self.cancel()
        self.connect()
        assert self._engine is not None
        self._looks.clear()
        self._engine.stop(restart)
