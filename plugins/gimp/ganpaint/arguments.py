"""The arguments of the procedures: how they are registered, and what they ask the engine for."""

import json

import gi

gi.require_version("Gimp", "3.0")
from ganpaint_bridge import host  # noqa: E402
from ganpaint_bridge.words import _  # noqa: E402
from gi.repository import Gimp, GObject  # noqa: E402

FLAGS = GObject.ParamFlags.READWRITE
_LAST = "ganpaint-last-values"  # a parasite of GIMP itself: kept between its runs


def add(procedure, operation=None):
    """Register the arguments of an edit. ``operation``: the only one that the procedure makes."""
    # Strings, not choices: GIMP fixes choices when it registers a plug-in, but which concepts and
    # looks there are depends on the model of the engine that will be running.
    known = ", ".join(host.KNOWN_CONCEPTS)
    procedure.add_string_argument(
        "concept",
        _("Co_ncept"),
        _("What to edit: %s, or any other concept of the engine's model") % known,
        "tree",
        FLAGS,
    )
    if operation is None:
        _add_choice(procedure, "operation", _("O_peration"), host.OPERATIONS, "add")
    if operation != "remove":
        procedure.add_string_argument(
            "variant",
            _("_Look"),
            _("The name of one of the concept's looks; empty: the seed picks one"),
            "",
            FLAGS,
        )
    low, high = host.STRENGTH_RANGE
    procedure.add_double_argument(
        "strength",
        _("Stren_gth"),
        _("Up to 1 it blends the edit in; beyond, it drives the concept harder"),
        low,
        high,
        host.STRENGTH_DEFAULT,
        FLAGS,
    )
    procedure.add_int_argument(
        "seed", _("Se_ed"), _("Another seed, another result"), 0, host.SEED_MAX, 0, FLAGS
    )
    _add_stroke(procedure)
    _add_choice(procedure, "quality", _("_Quality"), host.QUALITIES, "final")
    _add_choice(procedure, "composite", _("Co_mposite"), host.COMPOSITES, "residual")
    procedure.add_string_argument(
        "model", _("Mo_del"), _("The name of a model; empty: the engine's own"), "", FLAGS
    )


def _add_stroke(procedure):
    procedure.add_int_argument(
        "grow",
        _("Gro_w"),
        _("How far the selection is grown first, in pixels; negative: shrunk"),
        *host.GROW_RANGE,
        0,
        FLAGS,
    )
    procedure.add_double_argument(
        "feather",
        _("_Feather"),
        _("How wide the edge of the selection is made soft, in pixels"),
        *host.FEATHER_RANGE,
        0.0,
        FLAGS,
    )
    _add_choice(procedure, "context", _("Conte_xt"), host.CONTEXTS, "auto")


def _add_choice(procedure, name, nick, values, default):
    labels = {
        "operation": host.operation_label,
        "quality": host.quality_label,
        "context": host.context_label,
        "composite": host.composite_label,
    }
    choice = Gimp.Choice.new()
    for number, value in enumerate(values):
        choice.add(value, number, labels[name](value), "")
    blurb = ", ".join(values)
    procedure.add_choice_argument(name, nick, blurb, choice, default, FLAGS)


def add_run_mode(procedure):
    """What GIMP wants of every menu entry, and adds only to those that need an image."""
    kinds, default = Gimp.RunMode, Gimp.RunMode.INTERACTIVE
    procedure.add_enum_argument("run-mode", "Run mode", "The run mode", kinds, default, FLAGS)


def request(config, operation=None):
    """The edit that the arguments ask for. ``operation``: where the procedure makes one only."""
    get = config.get_property
    operation = operation or get("operation")
    return host.EditRequest(
        host.concept_named(get("concept")),
        operation,
        get("strength"),
        get("seed"),
        get("quality"),
        (get("variant") or None) if operation != "remove" else None,
        get("context"),
        get("grow"),
        get("feather"),
        get("composite"),
        get("model") or None,
    )


def put(config, wanted):
    """Make the arguments ask for this edit; the opposite of ``request``."""
    for name, value in wanted._asdict().items():
        config.set_property(name, "" if value is None else value)


def remember(wanted):
    """Keep an edit's values for the menu entries that ask for none."""
    last = _last()
    looks = dict(last.get("looks", {}))
    looks["%s %s" % (wanted.operation, wanted.concept)] = wanted.variant
    kept = {name: getattr(wanted, name) for name in _KEPT}
    _keep_last(dict(last, **dict(kept, looks=looks)))


def preview():
    """Whether previews were wanted last."""
    return bool(_last().get("preview", True))


def remember_preview(wanted):
    """Keep whether previews are wanted."""
    _keep_last(dict(_last(), preview=wanted))


def last_request(operation, concept):
    """An edit with the values of the last one."""
    last = _last()
    wanted = host.EditRequest(concept, operation)
    for name in _KEPT:
        value = last.get(name)
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            wanted = wanted._replace(**{name: value})
    looks = last.get("looks")
    look = looks.get("%s %s" % (operation, concept)) if isinstance(looks, dict) else None
    return wanted._replace(variant=look if operation != "remove" else None)


_KEPT = ("strength", "seed", "context", "grow", "feather")


def _keep_last(values):
    data = json.dumps(values).encode("utf-8")
    Gimp.attach_parasite(Gimp.Parasite.new(_LAST, Gimp.PARASITE_PERSISTENT, data))


def _last():
    parasite = Gimp.get_parasite(_LAST)
    try:
        last = json.loads(bytes(parasite.get_data()).strip(b"\0")) if parasite else {}
    except ValueError:
        return {}
    return last if isinstance(last, dict) else {}
