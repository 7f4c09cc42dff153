"""What is fuzzed: each parser with the errors that it may raise, and inputs to start from.

A target takes bytes. It returns for input that the parser takes, raises :class:`Expected` for
input that it refuses as it should, and anything else it raises is a finding.
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import msgpack

from ganpaint_engine import paths
from ganpaint_engine.errors import GanpaintError, InternalError
from ganpaint_engine.service import protocol

sys.path.insert(0, str(paths.plugins_dir() / "bridge"))
from ganpaint_bridge.choices import Offer
from ganpaint_bridge.events import ANSWERS, answer_event, event_text, job_event
from ganpaint_bridge.locate import find_engine
from ganpaint_bridge.msgpack_lite import MsgpackError, packb, unpackb
from ganpaint_bridge.recipe import read_recipe, why_not_again
from ganpaint_bridge.zmtp import Zmtp, ZmtpError

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"PLAIN".ljust(20, b"\0") + bytes(32)
WELCOME = b"\x04\x08\x07WELCOME"
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"
_MAX_FRAME = 1 << 16


class Expected(Exception):
    """The parser refused its input with an error of its own."""


@dataclass(frozen=True)
class Target:
    """``run`` one input; ``seeds``: valid inputs, made when they are needed."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    cost: int = 1
    """An input of this target takes about so many times as long as one of a parser."""
    maps: bool = False


def request(**changes: Any) -> dict[str, Any]:
    """A valid SUBMIT."""
    size = {"width": 8, "height": 8, "dtype": "uint8"}
    header = {
        "type": "SUBMIT",
        "job_id": "fuzz",
        "op": "edit",
        "params": {"concept": "tree", "operation": "add", "strength": 1.0, "seed": 3},
        "image": {**size, "channels": 3},
        "mask": size,
    }
    return {**header, **changes}


def client_headers() -> list[bytes]:
    """Packed headers such as a client sends; none that ends the engine."""
    headers = [
        {"type": "HELLO", "protocol": protocol.VERSION, "client": "fuzz", "nonce": bytes(16)},
        request(),
        request(params={"concept": "tree", "operation": "remove", "quality": "preview"}),
        request(params={"concept": "tree", "operation": "add", "context": "whole", "grow": 5,
                        "feather": 2.5, "composite": "poisson"}),
        {"type": "LOOKS", "model": "churches"},
        {"type": "CANCEL", "job_id": "fuzz"},
        {"type": "FETCH", "job_id": "fuzz"},
        {"type": "STATUS"},
        {"type": "STATS"},
    ]  # fmt: skip
    return [protocol.pack(header) for header in headers]


def engine_headers() -> list[bytes]:
    """Packed headers such as an engine sends, about a job or itself."""
    patch = {"width": 2, "height": 2, "channels": 4, "dtype": "uint8"}
    headers = [
        {"type": "QUEUED", "job_id": "fuzz", "position": 1},
        {"type": "PROGRESS", "job_id": "fuzz", "fraction": 0.5, "stage": "refine"},
        {"type": "PROGRESS", "job_id": "fuzz", "fraction": 0.1, "stage": "encode",
         "warnings": ["This picture is unlike those that the model knows."]},
        {"type": "LOOKS_REPLY", "model": "churches",
         "looks": [{"concept": "tree", "variant": "autumn", "width": 2, "height": 2}]},
        {"type": "RESULT", "job_id": "fuzz", "name": "Add tree", "offset": [1.0, 2],
         "patch": patch, "report": {"seed": 1}},
        {"type": "FAILED", "job_id": "fuzz", "code": "busy", "message": "m", "detail": {}},
        {"type": "CANCELLED", "job_id": "fuzz"},
    ]  # fmt: skip
    return [packb(header) for header in headers]


# -- the targets ---------------------------------------------------------------------------------


def header(data: bytes) -> None:
    """The server's way from bytes to a checked message."""
    try:
        message = protocol.check(protocol.unpack_from_client(data))
        if "image" in message:
            protocol.check_pictures(message, [bytes(192), bytes(64)])
        if "protocol" in message:
            protocol.check_version(message["protocol"])
    except InternalError:
        raise
    except GanpaintError as error:
        raise Expected from error


def bridge_msgpack(data: bytes) -> None:
    """The bridge's MessagePack; what it takes must mean the same to the reference."""
    try:
        value = unpackb(data)
    except MsgpackError as error:
        raise Expected from error
    reference = msgpack.unpackb(data, raw=False, strict_map_key=True)
    if repr(value) != repr(reference):
        raise AssertionError(f"{value!r} is {reference!r} to msgpack")


def bridge_zmtp(data: bytes) -> None:
    """The bridge's ZMTP. The first byte says where the stream starts and how it is cut."""
    start, step = (data[0] & 3, 1 + (data[0] >> 2)) if data else (0, 1)
    peer = Zmtp(b"user", b"password", _MAX_FRAME)
    stream = (b"", GREETING, GREETING + WELCOME, GREETING + WELCOME + READY)[start] + data[1:]
    try:
        for at in range(0, len(stream), step * 8):
            peer.receive(stream[at : at + step * 8])
    except ZmtpError as error:
        raise Expected from error


def bridge_event(data: bytes) -> None:
    """What the bridge makes of an engine's message, and a plug-in shows of it."""
    try:
        header = unpackb(data)
        answers = header["type"] in ANSWERS
        event = answer_event(header, [bytes(12)]) if answers else job_event(header, [bytes(16)])
    except (MsgpackError, ValueError, TypeError, KeyError) as error:
        raise Expected from error
    if event is not None:
        _ = event_text(event), event.warnings


def bridge_offer(data: bytes) -> None:
    """What a plug-in offers after an engine's WELCOME: nothing in it is refused, only left out."""
    try:
        welcome = unpackb(data)
    except MsgpackError as error:
        raise Expected from error
    if not isinstance(welcome, dict):
        raise Expected
    offer = Offer.of(welcome)
    for concept in offer.concepts:
        _ = offer.operations(concept), offer.variants(concept)


def recipe(data: bytes) -> None:
    """The recipe of a layer, out of a picture file that anybody may have made."""
    offer = Offer.of(unpackb(_welcome()[0]))
    _ = why_not_again(data, offer)
    if read_recipe(data) is None:
        raise Expected


@cache
def _folder() -> Path:
    """A folder for the files of this run, on a disk in memory where there is one."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="ganpaint-fuzz-", dir=memory if memory.is_dir() else None))


def runtime_file(data: bytes) -> None:
    """The runtime file, as the engine's and as the bridge's side read it."""
    from ganpaint_engine.service import security

    file = _folder() / "runtime.json"
    if not file.exists():
        file.touch(mode=0o600)
    file.write_bytes(data)
    if security.read_runtime(file) is None and find_engine(str(file)) is None:
        raise Expected


def picture(data: bytes) -> None:
    """A photo and a mask from a file."""
    from ganpaint_engine import pictures

    warnings.simplefilter("ignore")  # Pillow's, about what is odd in a file
    file = _folder() / "picture"
    file.write_bytes(data)
    refused = 0
    for read in (pictures.read_photo, pictures.read_mask):
        try:
            read(file)
        except InternalError:
            raise
        except GanpaintError:
            refused += 1
    if refused == 2:
        raise Expected


def model_card(data: bytes) -> None:
    """A model's card: everything that is asked of it without torch."""
    from ganpaint_engine import model_package

    folder = _folder() / "card"
    if not folder.exists():
        shutil.copytree(_small_model(), folder)
    (folder / model_package.CARD).write_bytes(data)
    try:
        info = model_package.read_card(folder)
        _ = info.name, info.version, info.resolution, info.concepts
        for concept in info.concepts:
            info.operations(concept)
        model_package.verify(info)
    except InternalError:
        raise
    except GanpaintError as error:
        raise Expected from error


def model_weights(data: bytes) -> None:
    """A package whose weights are hostile and whose hashes fit; the first byte picks the file."""
    from ganpaint_engine import model_package
    from ganpaint_engine.prior import load_model

    good = _small_model()
    folder = _folder() / "weights"
    folder.mkdir(exist_ok=True)
    names = (model_package.GENERATOR, model_package.ENCODER, model_package.CONCEPTS)
    changed = names[data[0] % 3] if data else names[0]
    for name in names:
        content = data[1:] if name == changed else (good / name).read_bytes()
        (folder / name).write_bytes(content)
    card = json.loads((good / model_package.CARD).read_text())
    card["files"] = {name: model_package.sha256(folder / name) for name in names}
    (folder / model_package.CARD).write_text(json.dumps(card))
    try:
        load_model(folder, "cpu")
    except InternalError:
        raise
    except GanpaintError as error:
        raise Expected from error


# -- seeds ---------------------------------------------------------------------------------------


def _welcome() -> list[bytes]:
    model = {
        "name": "churches",
        "version": "1",
        "resolution": 64,
        "concepts": ["tree", "dome"],
        "operations": {"tree": ["add", "restyle"]},
        "variants": {"tree": ["autumn"]},
    }
    welcome = {
        "type": "WELCOME",
        "protocol": protocol.VERSION,
        "default_model": "churches",
        "models": [model],
        "capabilities": ["edit"],
        "limits": protocol.LIMITS,
    }
    return [packb(welcome)]  # fmt: skip


def _recipes() -> list[bytes]:
    made = {
        "concept": "tree",
        "operation": "restyle",
        "strength": 0.8,
        "seed": 3,
        "variant": "autumn",
        "model": "churches",
        "context": "auto",
        "grow": 4,
        "feather": 1.5,
        "composite": "residual",
        "psnr": {"adapted": 30.5},
    }
    named = {"concept": "dome", "operation": "add", "strength": "high", "like": True}
    return [json.dumps(one).encode() for one in (made, named)]  # fmt: skip


def _zmtp_seeds() -> list[bytes]:
    message = b"\x01\x03abc\x00\x02de" + b"\x02" + struct.pack(">Q", 300) + bytes(300)
    streams = [GREETING + WELCOME + READY, WELCOME + READY, READY, b"\x04\x0a\x04PING\x00\x64abc"]
    streams += [message, b"\x04\x09^RROR\x03400", b"\x04\x0a\x05ERROR\x03400"]
    return [bytes([start + 4 * cut]) + s for start in range(4) for cut in (0, 9) for s in streams]


def _runtime_seeds() -> list[bytes]:
    about = {"endpoint": "tcp://127.0.0.1:5", "token": "ab" * 32, "pid": 1, "protocol": "1.0"}
    return [json.dumps({**about, "started_at": 1.5}).encode()]


def _pictures() -> list[bytes]:
    from PIL import Image

    made = []
    for mode in ("RGB", "RGBA", "L", "P", "1", "CMYK", "I;16"):
        image = Image.new("L", (70, 66), 130).convert("RGB")
        image = image.convert(mode) if mode != "I;16" else Image.new(mode, (70, 66), 900)
        for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA"):
            out = BytesIO()
            try:
                image.save(out, kind)
            except (OSError, ValueError, KeyError):
                continue  # that format has no such mode
            made.append(out.getvalue())
    return made


def _cards() -> list[bytes]:
    from ganpaint_engine.model_package import CARD

    return [(_small_model() / CARD).read_bytes(), *_bundled_cards()]


def _bundled_cards() -> list[bytes]:
    return [card.read_bytes() for card in paths.bundled_models_dir().glob("*/model.json")]


def _weights() -> list[bytes]:
    from ganpaint_engine import model_package

    names = (model_package.GENERATOR, model_package.ENCODER, model_package.CONCEPTS)
    return [bytes([n]) + (_small_model() / name).read_bytes() for n, name in enumerate(names)]


@cache
def _small_model() -> Path:
    """A package of a 32 px model with random weights."""
    import torch

    from ganpaint_engine import model_package
    from ganpaint_engine.concepts import Concept
    from ganpaint_engine.encoder import Encoder
    from ganpaint_engine.generator import Generator

    torch.manual_seed(0)
    generator = Generator([8, 8, 8, 8, 8, 8, 8, 8, 8])
    encoder = Encoder([8, 8], 8)
    tree = Concept("tree", torch.arange(2), torch.tensor([2]), torch.rand(8), torch.rand(2, 8))
    card = {
        "name": "small",
        "version": "0.0.1",
        "terms": "none: random weights",
        "resolution": generator.resolution,
        "edit_layer": {"number": 4, "grid": 8, "units": 8},
        "channels": generator.channels,
        "concepts": [{"name": "tree"}],
    }
    folder = _folder() / "small"
    weights = generator.state_dict(), encoder.state_dict()
    model_package.save(folder, card, *weights, {"tree": tree})
    return folder


TARGETS: dict[str, Target] = {
    "header": Target(header, client_headers, maps=True),
    "msgpack": Target(bridge_msgpack, lambda: [*client_headers(), *engine_headers()], maps=True),
    "zmtp": Target(bridge_zmtp, _zmtp_seeds),
    "event": Target(bridge_event, engine_headers, maps=True),
    "offer": Target(bridge_offer, _welcome, maps=True),
    "recipe": Target(recipe, _recipes, 2),
    "runtime": Target(runtime_file, _runtime_seeds, 20),
    "picture": Target(picture, _pictures, 50),
    "card": Target(model_card, _cards, 50),
    "weights": Target(model_weights, _weights, 500),
}
