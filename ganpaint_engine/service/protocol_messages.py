"""The wire protocol as data: its version, its limits, and every message with its fields.

protocol.py checks headers against these tables; protocol_doc.py prints them for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERSION = "1.1"
MAX_PIXELS = 100_000_000
MAX_SIDE = 1_000_000
MAX_HEADER = 64 * 1024  # bytes of a packed header that a client sends
MAX_FRAME: int = 4 * MAX_PIXELS + MAX_HEADER  # bytes; libzmq drops a peer that announces more
MAX_QUEUE = 64  # jobs waiting or running
MAX_CLIENT_JOBS = 16  # of them, those of one client
MAX_QUEUED_BYTES = 1 << 30  # of their pictures
MAX_CLIENT_BYTES = 1 << 29  # of one client's; a picture of the largest size is just within it
RESULTS_KEPT = 64
RESULT_BYTES_KEPT = 1 << 29
RESULT_SECONDS_KEPT = 600
MAX_LOOKS = 256  # thumbnails in one LOOKS_REPLY
MAX_LOOK_SIDE = 128  # px

LIMITS = {
    "max_pixels": MAX_PIXELS,
    "max_header": MAX_HEADER,
    "max_frame": MAX_FRAME,
    "max_queue": MAX_QUEUE,
    "max_client_jobs": MAX_CLIENT_JOBS,
    "max_queued_bytes": MAX_QUEUED_BYTES,
    "max_client_bytes": MAX_CLIENT_BYTES,
    "results_kept": RESULTS_KEPT,
    "result_bytes_kept": RESULT_BYTES_KEPT,
    "result_seconds_kept": RESULT_SECONDS_KEPT,
}
LIMIT_MEANINGS = {
    "max_pixels": "pixels of a photo",
    "max_header": "bytes of a client's header",
    "max_frame": "bytes of a frame; a peer that announces more is disconnected",
    "max_queue": "jobs that wait or run; one more fails with `queue_full`",
    "max_client_jobs": "those of one client",
    "max_queued_bytes": "bytes of pictures that wait or are worked on",
    "max_client_bytes": "those of one client",
    "results_kept": "results kept for a `FETCH`; the oldest go first",
    "result_bytes_kept": "their bytes",
    "result_seconds_kept": "how long one is kept",
}
CAPABILITIES = {
    "edit": "the op `edit`",
    "slots": "`SUBMIT.slot`: a newer job supersedes older previews",
    "results": "`SUBMIT.keep_result` and `FETCH`",
    "keep_nothing": "`SUBMIT.keep_photo`",
    "stats": "`STATS`",
    "context": "`SUBMIT.params.context`",
    "grow": "`SUBMIT.params.grow` and `feather`",
    "composite": "`SUBMIT.params.composite`",
    "warnings": "`PROGRESS.warnings`",
    "looks": "`LOOKS`",
}
STAGES = {
    "starting": "the job was taken from the queue",
    "loading the model": "the first time that a model is used",
    "encode": "r = E(x)",
    "refine": "r is fitted to the photo",
    "adapt to photo": "δ is fitted to the photo",
    "edit": "the concept's units are changed under the stroke",
    "adapt to edit": "δ is fitted to the edit (final edits only)",
    "done": "the patch is on its way",
}
STATES = {
    "queued": ("waits for its turn", "`QUEUED`, again every second"),
    "running": ("is worked on, or was paused for a preview", "`PROGRESS`, at least every second"),
    "done": ("the result was sent", "`RESULT`"),
    "failed": ("could not be done", "`FAILED`"),
    "cancelled": ("stopped by its client, or with its connection", "`CANCELLED`"),
    "superseded": ("a preview that a newer job made useless", "`SUPERSEDED`"),
}
TRANSITIONS = (
    ("`SUBMIT` taken", "-", "queued"),
    ("`SUBMIT` refused", "-", "failed"),
    ("its turn comes", "queued", "running"),
    ("`CANCEL`, or the connection is lost and not `keep_result`", "queued", "cancelled"),
    ("the same; the work ends at its next step", "running", "cancelled"),
    ("a newer job in its slot", "queued", "superseded"),
    ("the same; the work ends at its next step", "running", "superseded"),
    ("an error", "running", "failed"),
    ("finished", "running", "done"),
)

_REQUIRED = object()


@dataclass(frozen=True)
class Field:
    """One key of a header. ``low`` and ``high`` bound a number, or a length for str and bytes."""

    name: str
    kind: str
    meaning: str
    default: Any = _REQUIRED
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    fields: tuple[Field, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED


@dataclass(frozen=True)
class Message:
    """One type of message: the keys of its header, and what its raw frames hold."""

    type: str
    meaning: str
    fields: tuple[Field, ...] = ()
    frames: tuple[str, ...] = ()


_JOB_ID = Field(
    "job_id",
    "str",
    "made by the client, unique among its live jobs and kept results",
    low=1,
    high=64,
)
_SLOT = Field("slot", "str", "what a preview is a preview of: see *Jobs*", default=None, high=64)
_WIDTH = Field("width", "int", "pixels", low=1, high=MAX_SIDE)
_HEIGHT = Field("height", "int", "pixels", low=1, high=MAX_SIDE)
_UINT8 = Field("dtype", "str", "of one sample", choices=("uint8",))
_PROTOCOL = Field("protocol", "str", "`MAJOR.MINOR`; the majors must agree", low=3, high=16)

EDIT_PARAMS = (
    Field("concept", "str", "one of the model's concepts", low=1, high=64),
    Field("operation", "str", "what to do with it", choices=("add", "remove", "restyle")),
    Field("variant", "str", "the look, for add and restyle", default=None, low=1, high=64),
    Field("strength", "number", "of the edit", default=1.0, low=0, high=2),
    Field("seed", "int", "another seed, another variant", default=0, low=0, high=2**63 - 1),
    Field("quality", "str", "speed or quality", default="final", choices=("preview", "final")),
    Field("model", "str", "its name, or its folder", default=None, low=1, high=4096),
    Field(
        "context",
        "str",
        "the window that the model sees: around the selection, the whole photo, or what suits",
        default="auto",
        choices=("auto", "whole", "selection"),
    ),
    Field("grow", "int", "pixels added around the mask; taken off under 0", 0, (), -500, 500),
    Field("feather", "number", "pixels, the σ of the mask's soft edge", 0.0, (), 0, 500),
    Field(
        "composite",
        "str",
        "how the new pixels are joined with the photo's",
        default="residual",
        choices=("residual", "alpha", "color_transfer", "poisson", "laplacian"),
    ),
)

CLIENT_MESSAGES = (
    Message(
        "HELLO",
        "The first message of a connection. Answered by `WELCOME`, or by `ERROR`.",
        (
            _PROTOCOL,
            Field("client", "str", "who asks, for the log: `gimp 3.0.4`", default="", high=200),
            Field("nonce", "bytes", "random; fresh for every connection", low=16, high=64),
            Field(
                "client_secret",
                "bytes",
                "random, made once by the client and told to nobody else; who knows it after a "
                "reconnection is the same client. Left out: a client is its connection",
                default=None,
                low=16,
                high=64,
            ),
        ),
    ),
    Message(
        "SUBMIT",
        "Asks for one job. Answered by `QUEUED`, or at once by `FAILED`.",
        (
            _JOB_ID,
            Field("op", "str", "the kind of job", choices=("edit",)),
            Field("params", "map", "of the edit", fields=EDIT_PARAMS),
            _SLOT,
            Field(
                "keep_result",
                "bool",
                "the job outlives its connection, and its last message is kept for a `FETCH`; "
                "needs `HELLO.client_secret`",
                default=False,
            ),
            Field(
                "keep_photo",
                "bool",
                "false: once the job is over, nothing of the photo is kept, in memory or on disk",
                default=True,
            ),
            Field(
                "image",
                "map",
                "what frame 1 holds",
                fields=(
                    _WIDTH,
                    _HEIGHT,
                    Field("channels", "int", "3: RGB, 4: RGBA, straight alpha", choices=(3, 4)),
                    _UINT8,
                ),
            ),
            Field("mask", "map", "what frame 2 holds", fields=(_WIDTH, _HEIGHT, _UINT8)),
        ),
        ("the photo: rows from the top, samples interleaved, sRGB", "the mask: 0..255, soft"),
    ),
    Message(
        "CANCEL",
        "Stops one job of this client. Nothing happens when there is no such live job.",
        (_JOB_ID,),
    ),
    Message(
        "FETCH",
        "Asks for news of a job of this client that was submitted with `keep_result`. Answered by "
        "the last message about it, with its frames, and later ones follow; `FAILED` with "
        "`unknown_job` when there is none.",
        (_JOB_ID,),
    ),
    Message(
        "LOOKS",
        "Asks for the thumbnails of a model's named looks. Answered by `LOOKS_REPLY`, also while "
        "jobs run.",
        (Field("model", "str", "its name; else the default model", None, (), 1, 4096),),
    ),
    Message("STATUS", "Asks what the engine does. Answered by `STATUS_REPLY`."),
    Message("STATS", "Asks for counters since the start. Answered by `STATS_REPLY`."),
    Message("SHUTDOWN", "Ends the engine. Answered by `GOODBYE`; live jobs are cancelled."),
)

ENGINE_MESSAGES = (
    Message(
        "WELCOME",
        "The answer to `HELLO`.",
        (
            _PROTOCOL,
            Field("engine", "str", "the engine's version"),
            Field("proof", "bytes", "see *Identification*", low=32, high=32),
            Field("device", "str", "where it computes; `auto` until a model has been loaded"),
            Field("limits", "map", "see *Limits*"),
            Field("capabilities", "list", "see *Capabilities*"),
            Field("default_model", "str", "used where `SUBMIT` names none", default=None),
            Field(
                "models",
                "list",
                "maps of `name`, `version`, `resolution`, `concepts`, and by concept its "
                "`operations` and `variants`",
            ),
        ),
    ),
    Message(
        "QUEUED",
        "The job waits. Comes again every second while it does.",
        (_JOB_ID, Field("position", "int", "jobs that come before it; may grow", low=0)),
    ),
    Message(
        "PROGRESS",
        "The job runs. Comes at most 20 times and at least once a second.",
        (
            _JOB_ID,
            Field("fraction", "number", "of the work done; never falls", low=0, high=1),
            Field("stage", "str", "what is being done: see *Stages*"),
            Field("eta", "number", "seconds left, estimated", default=None, low=0),
            Field(
                "warnings",
                "list",
                "sentences about what to expect of this photo; told once, before most of the work "
                "is done",
                default=(),
            ),
        ),
    ),
    Message(
        "RESULT",
        "The job is done.",
        (
            _JOB_ID,
            Field("name", "str", "for the new layer: `Add tree`"),
            Field("offset", "list", "x, y of the patch's corner in the photo, pixels"),
            Field(
                "patch",
                "map",
                "what frame 1 holds",
                fields=(_WIDTH, _HEIGHT, Field("channels", "int", "RGBA", choices=(4,)), _UINT8),
            ),
            Field("report", "map", "how the result was made, and measures of it"),
        ),
        ("the patch: rows from the top, sRGB, straight alpha",),
    ),
    Message(
        "FAILED",
        "The job could not be done.",
        (
            _JOB_ID,
            Field("code", "str", "one of the codes below"),
            Field("message", "str", "for people"),
            Field("detail", "map", "figures that belong to the message"),
        ),
    ),
    Message("CANCELLED", "The job was stopped.", (_JOB_ID,)),
    Message(
        "SUPERSEDED",
        "The preview was stopped: a newer job of its slot makes it useless.",
        (_JOB_ID, Field("by", "str", "the newer job", low=1, high=64)),
    ),
    Message(
        "STATUS_REPLY",
        "The answer to `STATUS`.",
        (
            Field("engine", "str", "the engine's version"),
            Field("pid", "int", "its process"),
            Field("device", "str", "as in `WELCOME`"),
            Field("uptime", "number", "seconds since the start"),
            Field("idle_minutes", "number", "without work until it leaves; 0: never"),
            Field("waiting", "int", "jobs in the queue, of all clients"),
            Field("active", "int", "jobs begun, of all clients; all but one are paused"),
            Field("running", "str", "job_id of this client's job that runs", default=None),
            Field("stage", "str", "of that job", default=""),
        ),
    ),
    Message(
        "STATS_REPLY",
        "The answer to `STATS`. Figures are of all clients and name none.",
        (
            Field("uptime", "number", "seconds since the start"),
            Field("jobs", "map", "how many are, or ended, in each state"),
            Field("queue", "map", "`jobs`, `bytes`, `clients`; `results` and `result_bytes` kept"),
            Field("seconds", "map", "of `preview` and `final` jobs done: `count`, `sum`, `max`"),
            Field("waited", "map", "the same of their waiting before they began"),
            Field("memory", "map", "bytes: `rss`, `rss_max`, and `gpu` where there is one"),
            Field("cache", "map", "open photos, hits and misses; files on disk"),
            Field("text", "str", "the same in Prometheus' text format"),
        ),
    ),
    Message(
        "LOOKS_REPLY",
        "The answer to `LOOKS`. A look without a thumbnail is left out.",
        (
            Field("model", "str", "whose looks they are"),
            Field(
                "looks",
                "list",
                f"maps of `concept`, `variant`, `width` and `height`; at most {MAX_LOOKS}, sides "
                f"of at most {MAX_LOOK_SIDE} px",
            ),
        ),
        ("and those after it: the looks in this order, rows from the top, RGB, sRGB, 8 bits",),
    ),
    Message("GOODBYE", "The answer to `SHUTDOWN`; the connection ends."),
    Message(
        "ERROR",
        "A message that was not about a job could not be taken.",
        (
            Field("code", "str", "one of the codes below"),
            Field("message", "str", "for people"),
            Field("about", "str", "the type of the message that it answers", default=""),
        ),
    ),
)
