import math
from pathlib import Path

import msgpack
import pytest
from engines import request
from hypothesis import given
from hypothesis import strategies as st

from ganpaint_engine.errors import BadRequest, MaskSizeMismatch, PhotoTooLarge, ProtocolMismatch
from ganpaint_engine.service import protocol
from ganpaint_engine.service.protocol_doc import render

DOC = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
FRAMES = [bytes(24), bytes(8)]


def test_document_is_current():
    assert DOC.read_text(encoding="utf-8") == render()


def test_check_fills_in_defaults_and_drops_unknown_keys():
    params = {"concept": "tree", "operation": "add", "strenght": 5}
    checked = protocol.check(request(params=params, extra=1))
    assert checked["params"] == {
        "concept": "tree",
        "operation": "add",
        "variant": None,
        "strength": 1.0,
        "seed": 0,
        "quality": "final",
        "model": None,
        "context": "auto",
        "grow": 0,
        "feather": 0.0,
        "composite": "residual",
    }
    assert "extra" not in checked


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"job_id": ""}, "job_id"),
        ({"job_id": "x" * 65}, "job_id"),
        ({"job_id": 7}, "job_id"),
        ({"job_id": None}, "job_id"),
        ({"op": "format_disk"}, "op"),
        ({"params": []}, "params"),
        ({"params": {"concept": "tree"}}, "params.operation"),
        ({"params": {"concept": "tree", "operation": "destroy"}}, "params.operation"),
        ({"image": {"width": 4, "height": 2, "channels": 2, "dtype": "uint8"}}, "image.channels"),
        ({"image": {"width": 4, "height": 2, "channels": True, "dtype": "uint8"}}, "channels"),
        ({"image": {"width": 0, "height": 2, "channels": 3, "dtype": "uint8"}}, "image.width"),
        ({"image": {"width": 4, "height": -2, "channels": 3, "dtype": "uint8"}}, "image.height"),
        ({"image": {"width": 4, "height": 2, "channels": 3, "dtype": "float32"}}, "image.dtype"),
        ({"mask": {"width": 4.0, "height": 2, "dtype": "uint8"}}, "mask.width"),
    ],
)
def test_bad_submit_names_the_key(changes, named):
    with pytest.raises(BadRequest, match=named):
        protocol.check(request(**changes))


@pytest.mark.parametrize("strength", [math.nan, math.inf, -0.1, 2.1, "1", True])
def test_bad_strength(strength):
    params = {"concept": "tree", "operation": "add", "strength": strength}
    with pytest.raises(BadRequest, match="strength"):
        protocol.check(request(params=params))


def test_pictures_of_the_announced_sizes_pass():
    protocol.check_pictures(request(), FRAMES)


@pytest.mark.parametrize(
    "frames", [[], FRAMES[:1], [*FRAMES, b""], [bytes(23), bytes(8)], [bytes(24), bytes(9)]]
)
def test_frames_of_other_sizes(frames):
    with pytest.raises(BadRequest, match="frames"):
        protocol.check_pictures(request(), frames)


def test_mask_of_another_size():
    other = {"width": 2, "height": 4, "dtype": "uint8"}
    with pytest.raises(MaskSizeMismatch, match="2x4"):
        protocol.check_pictures(request(mask=other), FRAMES)


def test_too_many_pixels_are_refused_whatever_the_frames():
    with pytest.raises(PhotoTooLarge):
        protocol.check_pictures(request(width=10_001, height=10_000), FRAMES)


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "x"])
def test_other_major(version):
    with pytest.raises(ProtocolMismatch):
        protocol.check_version(version)


def test_other_minor_is_welcome():
    protocol.check_version("1.99")


def test_what_msgpack_does_not_know_becomes_plain():
    import numpy as np

    header = {"type": "X", "path": Path("a"), "number": np.float32(0.5)}
    assert protocol.unpack(protocol.pack(header)) == {"type": "X", "path": "a", "number": 0.5}


@given(st.binary(max_size=200))
def test_random_bytes_are_a_bad_request(data):
    try:
        header = protocol.unpack_from_client(data)
    except BadRequest:
        return
    assert header["type"] in protocol.CLIENT_TYPES


_names = st.sampled_from(["concept", "operation", "strength", "seed", "width", "channels", "dtype"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary()
    | st.text("aé€😀", max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_keys = st.sampled_from(["job_id", "op", "params", "image", "mask", "protocol", "client", "nonce"])


@given(st.sampled_from(sorted(protocol.CLIENT_TYPES)), st.dictionaries(_keys, _values))
def test_random_values_are_a_bad_request_or_pass(kind, values):
    try:
        header = protocol.unpack_from_client(msgpack.packb({**values, "type": kind}))
        protocol.check(header)
    except BadRequest:
        pass  # and nothing else may be raised


def test_a_huge_header_is_refused():
    with pytest.raises(BadRequest, match="bytes"):
        protocol.unpack_from_client(protocol.pack({"type": "STATUS", "x": "x" * 70_000}))
