"""The arguments of the procedures: how they are registered, and what they ask the engine for."""

import gi

gi.require_version("Gimp", "3.0")
from ganpaint_bridge import host  # noqa: E402
from gi.repository import Gimp, GObject  # noqa: E402


def add(procedure, direct):
    """Register the arguments; a ``direct`` menu entry already knows operation and concept."""
    flags = GObject.ParamFlags.READWRITE
    if not direct:
        # A string, not a choice: GIMP fixes choices when it registers a plug-in, but which concepts
        # there are depends on the model of the engine that will be running.
        procedure.add_string_argument(
            "concept",
            "Co_ncept",
            "What to add or remove: %s, or any other concept of the engine's model"
            % ", ".join(host.KNOWN_CONCEPTS),
            "tree",
            flags,
        )
        procedure.add_choice_argument(
            "operation", "O_peration", "What to do", _choice(host.OPERATIONS, {}), "add", flags
        )
    low, high = host.STRENGTH_RANGE
    procedure.add_double_argument(
        "strength", "Stren_gth", "How strong the edit is", low, high, host.STRENGTH_DEFAULT, flags
    )
    procedure.add_int_argument(
        "seed", "See_d", "Another seed, another result", 0, host.SEED_MAX, 0, flags
    )
    qualities = _choice(host.QUALITIES, {q: host.quality_label(q) for q in host.QUALITIES})
    procedure.add_choice_argument(
        "quality", "_Quality", "Fit to the photo, or a quick look", qualities, "final", flags
    )


def _choice(values, labels):
    choice = Gimp.Choice.new()
    for number, value in enumerate(values):
        choice.add(value, number, labels.get(value, host.title(value)), "")
    return choice


def request(config, preset):
    """The edit that the arguments ask for. ``preset`` is (operation, concept) of a direct entry."""
    if preset:
        operation, concept = preset
    else:
        operation = config.get_property("operation")
        concept = host.concept_named(config.get_property("concept"))
    return host.EditRequest(
        concept,
        operation,
        config.get_property("strength"),
        config.get_property("seed"),
        config.get_property("quality"),
    )
