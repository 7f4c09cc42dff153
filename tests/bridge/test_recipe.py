"""Recipes: what was stored beside a layer, read again, however damaged."""

import json

import pytest
from ganpaint_bridge import host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganpaint_engine.service import protocol

REQUEST = host.EditRequest(
    "dome", "restyle", 0.8, 3, "final", "copper", "selection", -4, 2.5, "poisson", "churches"
)
WELCOME = {
    "default_model": "churches",
    "capabilities": ["edit"],
    "models": [
        {
            "name": "churches",
            "version": "1",
            "concepts": ["tree", "dome"],
            "operations": {"tree": ["add"], "dome": ["add", "remove", "restyle"]},
            "variants": {"dome": ["copper"]},
        },
        {"name": "other", "concepts": ["tree"]},
    ],
}
OFFER = host.Offer.of(WELCOME)


def test_what_was_asked_comes_back():
    assert host.read_recipe(host.write_recipe({}, REQUEST)) == REQUEST
    report = {"model": "churches", "warnings": [], "psnr": {"outside": None}, "variant": None}
    request = host.read_recipe(host.write_recipe(report, host.EditRequest("tree", "add")))
    assert request == host.EditRequest("tree", "add", model="churches")


def test_a_preview_is_made_again_as_a_final():
    stored = host.write_recipe({"quality": "preview"}, REQUEST._replace(quality="preview"))
    assert host.read_recipe(stored).quality == "final"


@pytest.mark.parametrize(
    "stored",
    [
        None, b"", "", b"\xff\xfe", "null", "[]", "7", "{", b"{}" * 9, '{"concept": "tree"}',
        '{"operation": "add"}', '{"concept": 7, "operation": "add"}', "[" * 100000,
        '{"concept": "tree", "operation": "format"}', b'{"concept": "tree"}' + bytes(1 << 21),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_none_and_there_is_a_sentence(stored):
    assert host.read_recipe(stored) is None
    assert host.why_not_again(stored, OFFER).endswith(".")


def test_what_is_wrong_in_a_recipe_counts_as_not_there():
    wrong = {
        "concept": "tree", "operation": "add", "strength": "inf", "seed": -5, "quality": 7,
        "variant": ["x"], "context": {}, "grow": 1e9, "feather": None, "composite": "glue",
        "model": 3, "unknown": {"deep": [1]},
    }  # fmt: skip
    expected = host.EditRequest("tree", "add", grow=500)
    assert host.read_recipe(json.dumps(wrong)) == expected
    huge = '{"concept": "tree", "operation": "add", "strength": 1e999, "seed": 1%s}' % ("0" * 400)
    assert host.read_recipe(huge) == host.EditRequest("tree", "add", seed=host.SEED_MAX)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(REQUEST._fields, values)))
def test_whatever_is_read_could_be_sent(recipe):
    recipe = {"concept": "tree", "operation": "add", **recipe}
    request = host.read_recipe(json.dumps(recipe))
    if request is not None:
        params = {k: v for k, v in request._asdict().items() if v is not None}
        (submit,) = (m for m in protocol.CLIENT_MESSAGES if m.type == "SUBMIT")
        header = {
            "type": "SUBMIT", "job_id": "1", "op": "edit", "params": params,
            "image": {"width": 1, "height": 1, "channels": 3, "dtype": "uint8"},
            "mask": {"width": 1, "height": 1, "dtype": "uint8"},
        }  # fmt: skip
        checked = protocol.check(header)
        assert checked["params"]["concept"] == request.concept
        assert submit


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": "gone"}, "gone"),
        ({"concept": "boat"}, "boat"),
        ({"concept": "tree", "variant": None}, "Change appearance"),
        ({"variant": "plaid"}, "plaid"),
    ],
)
def test_what_the_model_lacks_is_named(changes, named):
    stored = host.write_recipe({}, REQUEST._replace(**changes))
    assert named in host.why_not_again(stored, OFFER)


def test_what_can_be_made_again():
    stored = host.write_recipe({}, REQUEST)
    assert host.why_not_again(stored, OFFER) is None
    assert host.why_not_again(stored, host.DEFAULT_OFFER) is None  # no engine to ask yet
    other = host.write_recipe({}, host.EditRequest("tree", "add", model="other"))
    assert host.why_not_again(other, OFFER) is None


def test_edits_of_the_command_line_that_no_editor_can_repeat():
    for report in ({"like": True}, {"strength": "high"}):
        stored = host.write_recipe(report, REQUEST)
        assert host.why_not_again(stored, OFFER)
