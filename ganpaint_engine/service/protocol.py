"""The wire protocol as data: every message, its fields and their bounds, and the check of them.

``python -m ganpaint_engine.service.protocol > docs/protocol.md`` prints these tables for people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from ganpaint_engine.errors import BadRequest, MaskSizeMismatch, PhotoTooLarge, ProtocolMismatch

VERSION = "1.0"
MAX_PIXELS = 100_000_000
MAX_SIDE = 1_000_000
MAX_HEADER = 64 * 1024  # bytes of a packed header that a client sends
MAX_FRAME: int = 4 * MAX_PIXELS + MAX_HEADER  # bytes; libzmq drops a peer that announces more
MAX_QUEUE = 16  # jobs waiting or running
MAX_QUEUED_BYTES = 1 << 30  # of their pictures; a single job may always be more

_REQUIRED = object()
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "number": (int, float),
    "bytes": (bytes,),
    "map": (dict,),
    "list": (list,),
}


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


_JOB_ID = Field("job_id", "str", "made by the client, unique among its live jobs", low=1, high=64)
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
)

CLIENT_MESSAGES = (
    Message(
        "HELLO",
        "The first message of a connection. Answered by `WELCOME`, or by `ERROR`.",
        (
            _PROTOCOL,
            Field("client", "str", "who asks, for the log: `gimp 3.0.4`", default="", high=200),
            Field("nonce", "bytes", "random; fresh for every connection", low=16, high=64),
        ),
    ),
    Message(
        "SUBMIT",
        "Asks for one job. Answered by `QUEUED`, or at once by `FAILED`.",
        (
            _JOB_ID,
            Field("op", "str", "the kind of job", choices=("edit",)),
            Field("params", "map", "of the edit", fields=EDIT_PARAMS),
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
    Message("STATUS", "Asks what the engine does. Answered by `STATUS_REPLY`."),
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
            Field("limits", "map", "`max_pixels`, `max_queue`: what `SUBMIT` may ask for"),
            Field("capabilities", "list", "ops it knows"),
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
        (_JOB_ID, Field("position", "int", "jobs that come before it", low=0)),
    ),
    Message(
        "PROGRESS",
        "The job runs. Comes at most 20 times and at least once a second.",
        (
            _JOB_ID,
            Field("fraction", "number", "of the work done", low=0, high=1),
            Field("stage", "str", "what is being done, for people"),
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
        "STATUS_REPLY",
        "The answer to `STATUS`.",
        (
            Field("engine", "str", "the engine's version"),
            Field("pid", "int", "its process"),
            Field("device", "str", "as in `WELCOME`"),
            Field("uptime", "number", "seconds since the start"),
            Field("idle_minutes", "number", "without work until it leaves; 0: never"),
            Field("waiting", "int", "jobs in the queue"),
            Field("running", "str", "job_id of the running job", default=None),
            Field("stage", "str", "of the running job", default=""),
        ),
    ),
    Message("GOODBYE", "The answer to `SHUTDOWN`; the connection ends."),
    Message(
        "ERROR",
        "A message that was not about a job could not be taken.",
        (Field("code", "str", "one of the codes below"), Field("message", "str", "for people")),
    ),
)

_BY_TYPE = {message.type: message for message in CLIENT_MESSAGES + ENGINE_MESSAGES}
CLIENT_TYPES = frozenset(message.type for message in CLIENT_MESSAGES)
ENGINE_TYPES = frozenset(message.type for message in ENGINE_MESSAGES)


def pack(header: Mapping[str, Any]) -> bytes:
    """A header's bytes. What msgpack does not know (a path, numpy's numbers) becomes plain."""
    return msgpack.packb(header, use_bin_type=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def unpack(data: bytes) -> dict[str, Any]:
    """A header from its bytes: a map whose "type" is a string. Raises BadRequest."""
    try:
        header = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except Exception as error:  # msgpack documents ValueError, and raises others too
        raise BadRequest(f"The header is not valid msgpack: {error}") from error
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise BadRequest("The header is not a map with a type.")
    return header


def unpack_from_client(data: bytes) -> dict[str, Any]:
    """As unpack, for what a client sent. Raises BadRequest, for engine-side types as well."""
    if len(data) > MAX_HEADER:
        raise BadRequest(f"The header has more than {MAX_HEADER} bytes.")
    header = unpack(data)
    if header["type"] not in CLIENT_TYPES:
        raise BadRequest(f"Unknown message type {header['type'][:40]!r}.")
    return header


def check(header: Mapping[str, Any]) -> dict[str, Any]:
    """The known keys of ``header``, defaults filled in; unknown keys are left out.

    Raises BadRequest naming the key that is missing, of a wrong type, or out of bounds.
    """
    return _check_map(_BY_TYPE[header["type"]].fields, header, header["type"])


def _check_map(fields: Sequence[Field], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    checked = {}
    for field in fields:
        value = values.get(field.name)
        if value is None and not field.required:
            value = field.default
        elif value is None:
            raise BadRequest(f"{where}.{field.name} is missing.")
        else:
            value = _check_value(field, value, f"{where}.{field.name}")
        checked[field.name] = value
    return checked


def _check_value(field: Field, value: Any, where: str) -> Any:
    kinds: Any = _KINDS[field.kind]
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise BadRequest(f"{where} is not of type {field.kind}.")
    if field.choices and value not in field.choices:
        raise BadRequest(f"{where} is not one of {', '.join(map(str, field.choices))}.")
    size: float = len(value) if field.kind in ("str", "bytes", "map", "list") else value
    if not math.isfinite(size):
        raise BadRequest(f"{where} is not a finite number.")
    if field.low is not None and size < field.low:
        raise BadRequest(f"{where} is under {field.low}.")
    if field.high is not None and size > field.high:
        raise BadRequest(f"{where} is over {field.high}.")
    return _check_map(field.fields, value, where) if field.fields else value


def check_version(theirs: str) -> None:
    """Raises ProtocolMismatch unless the other side speaks our major version."""
    if _major(theirs) != _major(VERSION):
        raise ProtocolMismatch(f"This engine speaks protocol {VERSION}, the other side {theirs}.")


def _major(version: str) -> str:
    return version.split(".", maxsplit=1)[0]


def check_pictures(submit: Mapping[str, Any], frames: Sequence[bytes]) -> None:
    """Whether a checked SUBMIT's frames are what its header says.

    Raises PhotoTooLarge, MaskSizeMismatch or BadRequest.
    """
    image, mask = submit["image"], submit["mask"]
    pixels = image["width"] * image["height"]
    if pixels > MAX_PIXELS:
        raise PhotoTooLarge(
            f"The photo has {pixels / 1e6:.0f} megapixels; {MAX_PIXELS // 1_000_000} are the most.",
            pixels=pixels,
        )
    if (mask["width"], mask["height"]) != (image["width"], image["height"]):
        raise MaskSizeMismatch(
            f"The mask is {mask['width']}x{mask['height']}, "
            f"the photo {image['width']}x{image['height']}."
        )
    if [len(frame) for frame in frames] != [pixels * image["channels"], pixels]:
        raise BadRequest("The frames are not of the sizes that the header gives.")


if __name__ == "__main__":
    from ganpaint_engine.service.protocol_doc import render

    print(render(), end="")
