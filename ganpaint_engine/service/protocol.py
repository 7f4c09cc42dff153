"""The wire protocol: packing, unpacking and checking of headers against the tables of messages.

``python -m ganpaint_engine.service.protocol > docs/protocol.md`` prints the tables for people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from ganpaint_engine.errors import BadRequest, MaskSizeMismatch, PhotoTooLarge, ProtocolMismatch
from ganpaint_engine.service.protocol_messages import (
    CAPABILITIES,
    CLIENT_MESSAGES,
    EDIT_PARAMS,
    ENGINE_MESSAGES,
    LIMITS,
    MAX_CLIENT_BYTES,
    MAX_CLIENT_JOBS,
    MAX_FRAME,
    MAX_HEADER,
    MAX_PIXELS,
    MAX_QUEUE,
    MAX_QUEUED_BYTES,
    STAGES,
    VERSION,
    Field,
    Message,
)

__all__ = [
    "CAPABILITIES", "CLIENT_MESSAGES", "CLIENT_TYPES", "EDIT_PARAMS", "ENGINE_MESSAGES",
    "ENGINE_TYPES", "LIMITS", "MAX_CLIENT_BYTES", "MAX_CLIENT_JOBS", "MAX_FRAME", "MAX_HEADER",
    "MAX_PIXELS", "MAX_QUEUE", "MAX_QUEUED_BYTES", "STAGES", "VERSION", "Field", "Message",
    "check", "check_pictures", "check_version", "pack", "unpack", "unpack_from_client",
]  # fmt: skip

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "number": (int, float),
    "bool": (bool,),
    "bytes": (bytes,),
    "map": (dict,),
    "list": (list,),
}

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
    if not isinstance(value, kinds) or (isinstance(value, bool) and field.kind != "bool"):
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


def check_pictures(submit: Mapping[str, Any], frames: Sequence[bytes | memoryview]) -> None:
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
