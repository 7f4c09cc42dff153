"""What plug-ins make of the engine's warnings."""

import pytest
from ganpaint_bridge import choices, errors

from ganpaint_engine import compositing, familiarity


def test_the_engines_sentences_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    unlike = errors.warning_text(familiarity.unlike("churches", 0.9, 0.7))
    assert unlike.startswith("This photo is unlike")
    for operation, verb in (("add", "adding"), ("remove", "removing")):
        for route in compositing.COMPOSITES:
            monkeypatch.setattr(familiarity, "ROUTES", {operation: route})
            (offer,) = familiarity.advice()
            told = errors.warning_text(offer)
            assert verb in told
            assert told.endswith(choices.composite_label(route))
            assert "--composite" not in told


def test_other_sentences_pass_unchanged() -> None:
    for sentence in (
        "Something else.",
        'To remove something from such a picture, the final blend "magic" measured best.',
    ):
        assert errors.warning_text(sentence) == sentence
