"""The plug-in's view of the engine: a state machine that the host's timer drives.

No threads (Krita's Python does not run them reliably) and nothing that blocks: all work happens in
:meth:`Engine.pump`. States::

    finding -> (starting ->) connecting -> ready -> asleep (the engine left while nothing was asked)
        any of them -> failed;  submit() leads back from asleep and failed to finding
    any of them -> stopping -> asleep, or finding again;  by stop()
"""

from __future__ import annotations

import os
import time
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import settings
from .connection import Connection, Lost
from .errors import BridgeError, engine_error
from .events import ANSWERS, FINAL, Event, answer_event, job_event
from .life import Ending
from .locate import Runtime, find_engine
from .msgpack_lite import MsgpackError, packb, unpackb
from .places import read_install, runtime_file
from .starting import Starter, start_command
from .words import _
from .zmtp import Refused, Zmtp, ZmtpError

PROTOCOL = "1.1"
_MAJOR = "1"
_ANSWER_SECONDS = 20.0  # from connecting to the engine's WELCOME
_START_SECONDS = 120.0  # a first start reads a lot from a cold disk
_STARTING_EVERY = 0.5
_STOP_LOOK = 0.05
_MAX_FRAME = 512 << 20  # a 100 megapixel RGBA patch has 400 MB


class Engine:
    """The engine, found or started when needed. Create one per plug-in run or docker.

    ``client`` names the host ("gimp 3.0.4"). ``start=False`` never starts an engine. ``folder`` is
    where ``install.json`` lies; by default the one that contains this package. ``secret`` of an
    earlier Engine makes this one the same client, which may fetch its results. After pump has
    reported "welcome", ``welcome`` holds the engine's answer: limits, default_model, models.
    """

    def __init__(
        self,
        client: str,
        start: bool = True,
        folder: Optional[str] = None,
        secret: Optional[bytes] = None,
    ) -> None:
        self._folder = folder or ""
        self._install = read_install(self._folder)
        self._client = client
        self.secret = secret or os.urandom(32)
        self._may_start = start
        self._connection: Optional[Connection] = None
        self._starter: Optional[Starter] = None
        self._ending: Optional[Ending] = None
        self._jobs: Dict[str, Optional[List[bytes]]] = {}  # frames until they have been sent
        self._events: List[Event] = []
        self.welcome: Optional[Dict[str, Any]] = None
        self._find_afresh()

    def submit(
        self,
        job_id: Optional[str] = None,
        *,
        concept: str,
        operation: str,
        image: Tuple[bytes, int, int, int],
        mask: Tuple[bytes, int, int],
        strength: float = 1.0,
        seed: int = 0,
        quality: str = "final",
        model: Optional[str] = None,
        variant: Optional[str] = None,
        context: str = "auto",
        grow: int = 0,
        feather: float = 0.0,
        composite: str = "residual",
        slot: Optional[str] = None,
        keep_result: bool = False,
        keep_photo: bool = True,
    ) -> str:
        """Ask for an edit; returns the job's id. Sent as soon as there is a connection.

        ``image`` is (bytes, width, height, channels 3 or 4): rows of 8-bit sRGB, alpha straight.
        ``mask`` is (bytes, width, height) of the same size, 0..255, soft values kept.
        ``operation`` is "add", "remove" or "restyle", ``variant`` the name of a look for the first
        and the last; ``quality`` is "preview" or "final"; ``context``, ``grow``, ``feather`` and
        ``composite`` are as in docs/protocol.md, and passed over by an engine of 1.0. Earlier
        previews of the same ``slot`` that are not done end with "superseded". With ``keep_result``
        the job outlives the connection, see fetch(). Without ``keep_photo`` nothing of it is kept.
        Raises BridgeError bad_request when sizes and bytes do not agree.
        """
        params: Dict[str, Any] = {
            "concept": concept,
            "operation": operation,
            "strength": float(strength),
            "seed": int(seed),
            "quality": quality,
            "context": context,
            "grow": int(grow),
            "feather": float(feather),
            "composite": composite,
        }
        if model is not None:
            params["model"] = model
        if variant is not None:
            params["variant"] = variant
        job_id = job_id or uuid.uuid4().hex
        if job_id in self._jobs:
            raise BridgeError("bad_request", _("There is a job of this id already."))
        keys: Dict[str, Any] = {"keep_result": keep_result, "keep_photo": keep_photo}
        if slot is not None:
            keys["slot"] = slot
        self._ask(job_id, _submit_frames(job_id, params, image, mask, keys))
        return job_id

    def fetch(self, job_id: str) -> None:
        """Ask for a job submitted with ``keep_result``, after its connection was lost.

        The last news of it follows as events; "failed" with unknown_job when there is none.
        """
        self._ask(job_id, [packb({"type": "FETCH", "job_id": job_id})])

    def can(self, capability: str) -> bool:
        """Whether the engine that answered has this capability; see docs/protocol.md."""
        return capability in (self.welcome or {}).get("capabilities", ())

    def ask(self, kind: str, **keys: Any) -> None:
        """Ask the engine itself: "LOOKS" (``model``), "STATUS", "STATS" or "SHUTDOWN".

        Its answer is an event of type "looks", "status", "stats" or "goodbye", a refusal one of
        type "refused". Nothing is sent, and nothing comes, while there is no engine to ask.
        """
        if self._state == "ready":
            self._send(dict(keys, type=kind))

    @property
    def ready(self) -> bool:
        """Whether an engine has answered and the connection holds."""
        return self._state == "ready"

    def start(self) -> None:
        """Look for an engine again, or start one, if there is none at present."""
        if self._state in ("failed", "asleep"):
            self._find_afresh()

    def stop(self, restart: bool = False) -> None:
        """End the engine, whoever started it, and with ``restart`` start a new one then.

        Every job ends with "cancelled". "stopped" follows when it is gone, or was not there, then
        with ``restart`` the news of a start; "failed" where it cannot be ended.
        """
        self._events += [Event("cancelled", job_id) for job_id in self._jobs]
        self._jobs.clear()
        self._restart = restart
        asked = self._state == "ready"
        if self._state == "starting":  # it is ended as soon as it can be reached
            self._ending = None
        else:
            try:
                known = self._state in ("connecting", "ready")
                found = self._runtime if known else find_engine(runtime_file(self._install))
            except BridgeError as error:
                self._fail(error)
                return
            self._ending = Ending(found, asked)
            if asked:  # its connection stays, to carry this
                self._send({"type": "SHUTDOWN"})
            else:
                self._disconnect()
        self._state = "stopping"

    def _end_of_a_start(self) -> Optional[Ending]:
        """How the engine ends that was on its way up; None while it still is."""
        found = find_engine(runtime_file(self._install))
        running = self._starter is not None and self._starter.running()
        if found is None and running and time.monotonic() < self._start_limit:
            return None
        return Ending(found, asked=False)

    def _wait_for_end(self, timeout: float) -> None:
        if self._connection is not None:
            try:
                self._connection.pump(min(timeout, _STOP_LOOK))
            except (Lost, ZmtpError, OSError):
                self._disconnect()
        elif timeout > 0:
            time.sleep(min(timeout, _STOP_LOOK))
        if self._ending is None:
            self._ending = self._end_of_a_start()
        if self._ending is None or not self._ending.over():
            return
        self._disconnect()
        self.welcome = None
        self._events.append(Event("stopped"))
        if self._restart or self._jobs:
            self._may_start = self._may_start or self._restart
            self._find_afresh()
        else:
            self._state = "asleep"

    def _ask(self, job_id: str, frames: List[bytes]) -> None:
        self._jobs[job_id] = frames
        if self._state in ("failed", "asleep"):
            self._find_afresh()
        elif self._state == "ready":
            self._send_waiting()

    def pump(self, timeout: float = 0.0) -> List[Event]:
        """Go on with everything; returns the news. Waits up to ``timeout`` seconds for some."""
        try:
            if self._state == "stopping":
                self._wait_for_end(0.0 if self._events else timeout)
            if self._state == "finding":
                self._find()
            if self._state == "starting":
                self._wait_for_start(0.0 if self._events else timeout)
            if self._state in ("connecting", "ready"):
                self._talk(0.0 if self._events else timeout)
        except Lost as error:
            self._lost(str(error))
        except Refused:
            text = _("The engine does not accept the plug-in's token.")
            self._fail(BridgeError("wrong_token", text))
        except OSError as error:
            self._fail(
                BridgeError("engine_unreachable", _("The engine is out of reach: %s") % error)
            )
        except (ZmtpError, MsgpackError, KeyError, TypeError, ValueError) as error:
            text = _("The engine's answer is not understood: %s") % error
            self._fail(BridgeError("engine_unreachable", text))
        except BridgeError as error:
            self._fail(error)
        events, self._events = self._events, []
        return events

    def cancel(self, job_id: str) -> None:
        """Stop the job; "cancelled" follows (or its result, if it was faster). Unknown ids pass."""
        if job_id not in self._jobs:
            return
        if self._jobs[job_id] is None:
            self._send({"type": "CANCEL", "job_id": job_id})
        else:  # never sent
            del self._jobs[job_id]
            self._events.append(Event("cancelled", job_id))

    def close(self) -> None:
        """Leave. The engine cancels what this side still had running."""
        self._disconnect()
        self._jobs.clear()
        self._state = "failed"

    def fileno(self) -> int:
        """The socket's file number, for hosts that can watch one; -1 while there is none."""
        return self._connection.fileno() if self._connection else -1

    # -- finding and starting ----------------------------------------------------------------

    def _find_afresh(self) -> None:
        self._disconnect()
        self._state = "finding"
        self._unreachable: Optional[Runtime] = None
        self._start_limit = 0.0
        self._next_starting_event = 0.0

    def _find(self) -> None:
        runtime = find_engine(runtime_file(self._install))
        if runtime is not None and runtime != self._unreachable:
            self._connect(runtime)
        elif not self._may_start:
            raise BridgeError("engine_unreachable", _("No GANPaint engine is running."))
        elif self._starter is None:
            chosen = settings.read(self._folder).engine
            self._starter = Starter(start_command(self._install, chosen))
            self._start_limit = time.monotonic() + _START_SECONDS
            self._state = "starting"
        else:
            self._state = "starting"

    def _wait_for_start(self, timeout: float) -> None:
        now = time.monotonic()
        if now >= self._next_starting_event:
            self._next_starting_event = now + _STARTING_EVERY
            self._events.append(Event("starting"))
        elif timeout > 0:
            time.sleep(min(timeout, 0.05))
        failure = self._starter.failure() if self._starter else None
        self._state = "finding"
        self._find()  # before the failure: another plug-in's engine may have been faster
        if self._state == "starting" and failure is not None:
            raise failure
        if self._state == "starting" and now > self._start_limit:
            text = _("The engine was started but does not answer.")
            raise BridgeError("engine_unreachable", text)

    def _connect(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._nonce = os.urandom(32)
        self._greeted = False
        self._answer_limit = time.monotonic() + _ANSWER_SECONDS
        self._state = "connecting"
        zmtp = Zmtp(b"ganpaint", runtime.password(), _MAX_FRAME)
        self._connection = Connection(runtime.host, runtime.port, zmtp)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._starter is not None:
            self._starter.close()
            self._starter = None

    # -- talking -----------------------------------------------------------------------------

    def _talk(self, timeout: float) -> None:
        connection = self._connection
        assert connection is not None
        messages = connection.pump(timeout)
        if connection.ready and not self._greeted:
            self._greeted = True
            hello = {"type": "HELLO", "protocol": PROTOCOL, "client": self._client}
            self._send(dict(hello, nonce=self._nonce, client_secret=self.secret))
        for message in messages:
            self._take(unpackb(message[0]), message[1:])
        if self._state == "connecting" and not messages and time.monotonic() > self._answer_limit:
            raise BridgeError("engine_unreachable", _("The engine does not answer."))

    def _send(self, header: Dict[str, Any], frames: Tuple[bytes, ...] = ()) -> None:
        if self._connection is not None:
            self._connection.send([packb(header), *frames])

    def _take(self, header: Dict[str, Any], frames: List[bytes]) -> None:
        kind = header["type"]
        if kind == "ERROR":
            error = engine_error(header)
            if self._state == "connecting":
                raise error
            refused = header.get("about") not in (None, "", "SUBMIT")
            kind = "refused" if refused else "failed"
            self._events.append(Event(kind, header=header, error=error))
        elif self._state == "connecting":
            if kind == "WELCOME":
                self._take_welcome(header)
        elif kind in ANSWERS:
            self._events.append(answer_event(header, frames))
        elif header.get("job_id") in self._jobs:
            event = job_event(header, frames)
            if event is not None:
                self._events.append(event)
                if event.type in FINAL:
                    del self._jobs[header["job_id"]]

    def _take_welcome(self, header: Dict[str, Any]) -> None:
        if not self._runtime.proves(self._nonce, header.get("proof")):
            text = _("Who answered is not the engine that was started.")
            raise BridgeError("wrong_token", text)
        if str(header["protocol"]).split(".")[0] != _MAJOR:
            versions = {"engine": header["protocol"], "plugin": PROTOCOL}
            text = _("The engine speaks protocol %(engine)s, the plug-in %(plugin)s.") % versions
            raise BridgeError("protocol_mismatch", text)
        self.welcome = header
        self._state = "ready"
        self._events.append(Event("welcome", header=header))
        self._send_waiting()

    def _send_waiting(self) -> None:
        assert self._connection is not None
        assert self.welcome is not None
        limit = self.welcome["limits"]["max_pixels"]
        for job_id, frames in list(self._jobs.items()):
            if frames is None:
                continue
            if len(frames) > 1 and len(frames[2]) > limit:  # the engine would drop the connection
                text = _("The photo has more than %d megapixels.") % (limit // 1000000)
                error = BridgeError("photo_too_large", text)
                self._events.append(Event("failed", job_id, error=error))
                del self._jobs[job_id]
            else:
                self._connection.send(frames)
                self._jobs[job_id] = None

    # -- when it goes wrong ------------------------------------------------------------------

    def _lost(self, reason: str) -> None:
        if self._state == "connecting" and not self._greeted:
            # Nobody listens there: a file left by an engine that is gone, or one just leaving.
            self._unreachable = self._runtime
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._state = "finding"
        elif self._jobs or self._state != "ready":
            text = _("The connection to the engine was lost (%s).") % reason
            self._fail(BridgeError("engine_unreachable", text))
        else:  # it left because nothing was to do; the next submit starts it again
            self._disconnect()
            self._state = "asleep"
            self._events.append(Event("asleep"))

    def _fail(self, error: BridgeError) -> None:
        self._disconnect()
        self._state = "failed"
        jobs = list(self._jobs) or [None]  # type: ignore[list-item]
        self._jobs.clear()
        self._events += [Event("failed", job_id, error=error) for job_id in jobs]


def _submit_frames(
    job_id: str,
    params: Dict[str, Any],
    image: Tuple[bytes, int, int, int],
    mask: Tuple[bytes, int, int],
    keys: Dict[str, Any],
) -> List[bytes]:
    """The message SUBMIT. Raises BridgeError bad_request."""
    pixels, width, height, channels = image
    mask_pixels, mask_width, mask_height = mask
    if len(pixels) != width * height * channels or len(mask_pixels) != mask_width * mask_height:
        raise BridgeError("bad_request", _("The picture's bytes do not fit its size."))
    header = {
        "type": "SUBMIT",
        "job_id": job_id,
        "op": "edit",
        "params": params,
        "image": {"width": width, "height": height, "channels": channels, "dtype": "uint8"},
        "mask": {"width": mask_width, "height": mask_height, "dtype": "uint8"},
    }
    header.update(keys)
    return [packb(header), pixels, mask_pixels]


def run(engine: Engine, job_id: str, on_event: Optional[Callable[[Event], None]] = None) -> Event:
    """Pump until the job is over; for scripts, where nothing else needs the thread.

    ``on_event`` gets every event on the way. Returns the "result" event. Raises BridgeError, of
    code "cancelled" or "superseded" when the job was stopped.
    """
    while True:
        for event in engine.pump(0.1):
            if on_event is not None:
                on_event(event)
            if event.job_id != job_id:
                continue
            if event.type == "result":
                return event
            if event.type == "cancelled":
                raise BridgeError("cancelled", _("The edit was cancelled."))
            if event.type == "superseded":
                raise BridgeError("superseded", _("A newer edit took its place."))
            if event.type == "failed" and event.error is not None:
                raise event.error
