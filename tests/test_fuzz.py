"""The fuzzers at a small size; ``python -m benchmarks.fuzz`` is the long run."""

import contextlib
import importlib.util
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import fuzz, fuzz_targets
from benchmarks.fuzz_targets import TARGETS, Expected

PARSERS = ("header", "msgpack", "zmtp", "event", "offer", "recipe")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
tree = st.recursive(
    leaf | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
keys = st.sampled_from(
    ["type", "job_id", "op", "params", "image", "mask", "width", "height", "offset", "patch",
     "protocol", "nonce", "code", "message", "fraction", "stage", "position", "slot"]
)  # fmt: skip
types = st.sampled_from(["HELLO", "SUBMIT", "CANCEL", "FETCH", "RESULT", "PROGRESS", "FAILED"])


@pytest.mark.parametrize("name", PARSERS)
@QUICK
@given(st.binary(max_size=400))
def test_any_bytes(name: str, data: bytes) -> None:
    with contextlib.suppress(Expected):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", ["header", "msgpack", "event", "offer"])
@QUICK
@given(types, st.dictionaries(keys, tree, max_size=6))
def test_any_map(name: str, kind: str, values: dict[str, object]) -> None:
    with contextlib.suppress(Expected):
        TARGETS[name].run(msgpack.packb({**values, "type": kind}))


@pytest.mark.parametrize("name", list(TARGETS))
def test_mutated_inputs(name: str) -> None:
    assert fuzz.parser_run(name, max(12, 3000 // TARGETS[name].cost), seed=1) == []


def test_a_running_engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANPAINT_HOME", str(home))  # and back again: the run sets its own
    assert fuzz.live_run(400, 1, real=False) == []


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="Atheris is not installed")
@pytest.mark.parametrize("name", ["header", "zmtp"])
def test_guided_by_coverage(name: str) -> None:
    assert fuzz.guided_run(name, 1000, seed=1) == []


def test_a_fault_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(data: bytes) -> None:
        if data[:1] == b"\xff":
            raise OverflowError("found")
        raise Expected

    target = fuzz_targets.Target(faulty, lambda: [bytes(8)])
    monkeypatch.setitem(TARGETS, "faulty", target)
    assert "OverflowError" in fuzz.parser_run("faulty", 2000, seed=1)[0]
