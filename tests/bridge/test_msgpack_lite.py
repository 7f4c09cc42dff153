import math

import msgpack
import pytest
from ganpaint_bridge.msgpack_lite import MAX_DEPTH, MsgpackError, packb, unpackb
from hypothesis import example, given
from hypothesis import strategies as st

texts = st.text("aé€😀\0", max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | texts | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(texts, inner, max_size=20),
    max_leaves=30,
)  # fmt: skip
EDGES = [0, 127, 128, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1]
SIZES = [0, 15, 16, 31, 32, 255, 256, 2**16 - 1, 2**16]


@given(values)
def test_agrees_with_msgpack_both_ways(value):
    assert msgpack.unpackb(packb(value)) == value
    assert unpackb(msgpack.packb(value)) == value
    assert packb(value) == msgpack.packb(value)  # both choose the shortest form


@pytest.mark.parametrize("number", EDGES + [-edge - 1 for edge in EDGES if edge < 2**63] + [-32])
def test_edges_of_integers(number):
    assert packb(number) == msgpack.packb(number)
    assert unpackb(packb(number)) == number


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "make",
    [
        lambda n: "x" * n,
        lambda n: b"x" * n,
        lambda n: [1] * n,
        lambda n: {str(i): i for i in range(n)},
    ],
)
def test_edges_of_sizes(size, make):
    value = make(size)
    assert packb(value) == msgpack.packb(value)
    assert unpackb(packb(value)) == value


def test_floats():
    assert math.isnan(unpackb(packb(math.nan)))
    assert unpackb(msgpack.packb(0.5, use_single_float=True)) == 0.5
    assert unpackb(packb((1, 2))) == [1, 2]
    assert unpackb(packb(memoryview(b"ab"))) == b"ab"


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, {1: 2}, {b"x": 1}, {1, 2}, object(), "\ud800", 1j]
)
def test_what_cannot_be_packed(value):
    with pytest.raises(MsgpackError):
        packb(value)


def test_depth_is_bounded():
    value = []
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(MsgpackError):
        packb(value)
    with pytest.raises(MsgpackError):
        unpackb(msgpack.packb(value))


@given(st.binary(max_size=100))
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff\xa1x")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\x91" * 100)
@example(b"\x81" * 100)
@example(b"\x81\x01\x01")
@example(b"\x01\x01")
@example(b"\xa1\xff")
@example(b"\xd4\x01\x01")
def test_random_bytes_are_refused_or_mean_the_same_to_msgpack(data):
    try:
        value = unpackb(data)
    except MsgpackError:
        return
    assert repr(msgpack.unpackb(data)) == repr(value)


@given(values, st.data())
def test_cut_short_is_refused(value, data):
    packed = packb(value)
    with pytest.raises(MsgpackError):
        unpackb(packed[: data.draw(st.integers(0, len(packed) - 1))])
