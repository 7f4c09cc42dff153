"""What an editor offers, and the words for it."""

import pytest
from ganpaint_bridge import choices, host, words
from test_recipe import OFFER, WELCOME

from ganpaint_engine import appearance
from ganpaint_engine.service import protocol


def test_the_offer_is_the_current_models():
    assert OFFER.model == "churches"
    assert OFFER.models == ("churches", "other")
    assert OFFER.concepts == ("tree", "dome")
    assert OFFER.concepts_for("restyle") == ("dome",)
    assert OFFER.operations("tree") == ("add",)
    assert OFFER.variants("dome", "restyle") == ("copper",)
    assert OFFER.variants("dome", "remove") == OFFER.variants("tree") == ()
    assert OFFER.can("edit")
    assert not OFFER.can("looks")


def test_the_offer_of_another_model_and_of_one_that_is_not_there():
    other = host.Offer.of(WELCOME, "other")
    assert other.concepts == ("tree",)
    assert other.operations("tree") == ("add", "remove"), "an engine of 1.0 does not say"
    assert host.Offer.of(WELCOME, "gone").concepts == ()


@pytest.mark.parametrize(
    "welcome", [{}, {"models": None}, {"models": [7]}, {"models": [{"concepts": 3}]}]
)
def test_an_engine_without_models_offers_nothing(welcome):
    assert host.Offer.of(welcome).concepts == ()


def test_choices_are_those_of_the_protocol():
    fields = {field.name: field for field in protocol.EDIT_PARAMS}
    for name, values in (
        ("operation", choices.OPERATIONS),
        ("context", choices.CONTEXTS),
        ("composite", choices.COMPOSITES),
        ("quality", choices.QUALITIES),
    ):
        assert set(values) == set(fields[name].choices)
        label = getattr(choices, f"{name}_label")
        assert len({label(value) for value in values}) == len(values)
    for name, span in (("grow", choices.GROW_RANGE), ("feather", choices.FEATHER_RANGE)):
        assert span == (fields[name].low, fields[name].high)
    for name in ("context", "composite", "grow", "feather"):
        assert getattr(host.EditRequest("tree", "add"), name) == fields[name].default


def test_every_look_that_dissection_names_has_a_word():
    looks = {name for looks in appearance.NAMED_LOOKS.values() for name in looks}
    assert looks | set(appearance.COLOURS) | set(appearance.NAMED_LOOKS) <= set(choices._NAMES)


def test_names():
    words.use("en")
    request = host.EditRequest("tree", "add", 0.8, 3)
    assert host.layer_name(request) == "GANPaint: add tree (0.8, seed 3)"
    restyled = request._replace(operation="restyle", variant="autumn", strength=1.0)
    assert host.layer_name(restyled) == "GANPaint: change appearance of tree: autumn (1, seed 3)"
    assert host.edit_title("remove", "dome", "copper") == "Remove dome"
    assert host.edit_title("add", "my boat") == "Add my boat"
    assert host.concept_named(" Tree ") == "tree"
    assert host.concept_named("My boat") == "My boat"
