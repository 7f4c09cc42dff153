"""What can be chosen in an editor, and the words for it."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

from .words import _, later

# Offered before an engine has said what its model knows; any other name may be typed.
KNOWN_CONCEPTS = ("tree", "bush", "dome", "door", "window", "grass", "sky")
OPERATIONS = ("add", "remove", "restyle")
QUALITIES = ("final", "preview")
CONTEXTS = ("auto", "whole", "selection")
COMPOSITES = ("residual", "alpha", "color_transfer", "poisson", "laplacian")
STRENGTH_RANGE = (0.05, 2.0)
STRENGTH_DEFAULT = 1.0
SEED_MAX = 2**31 - 1
GROW_RANGE = (-500, 500)  # pixels
FEATHER_RANGE = (0.0, 500.0)  # pixels

_OPERATION_LABELS = {
    "add": later("Add"),
    "remove": later("Remove"),
    "restyle": later("Change appearance"),
}
_EDITS = {
    "add": later("Add %s"),
    "remove": later("Remove %s"),
    "restyle": later("Change appearance of %s"),
}
_EDITS_TO = {
    "add": later("Add %(concept)s: %(look)s"),
    "restyle": later("Change appearance of %(concept)s: %(look)s"),
}
_QUALITY_LABELS = {"final": later("Final"), "preview": later("Preview (faster)")}
_CONTEXT_LABELS = {
    "auto": later("Automatic"),
    "whole": later("Whole photo"),
    "selection": later("Around the selection"),
}
_COMPOSITE_LABELS = {
    "residual": later("Keep the photo's detail"),
    "alpha": later("Plain"),
    "color_transfer": later("Match the colors"),
    "poisson": later("Seamless (Poisson)"),
    "laplacian": later("Seamless (multi-band)"),
}
_NAMES = {
    # concepts
    "tree": later("tree"), "bush": later("bush"), "dome": later("dome"), "door": later("door"),
    "window": later("window"), "grass": later("grass"), "sky": later("sky"),
    "church": later("church"), "tower": later("tower"), "wall": later("wall"),
    "roof": later("roof"), "path": later("path"), "cloud": later("cloud"),
    "stairs": later("stairs"), "brick": later("brick"), "person": later("person"),
    # looks
    "summer": later("summer"), "autumn": later("autumn"), "blossom": later("blossom"),
    "fresh": later("fresh"), "dry": later("dry"), "snow": later("snow"),
    "copper": later("copper"), "gold": later("gold"), "stone": later("stone"),
    "slate": later("slate"), "tile": later("tile"), "clear": later("clear"),
    "clouded": later("clouded"), "sunset": later("sunset"), "night": later("night"),
    "white": later("white"), "grey": later("grey"), "dark": later("dark"),
    "beige": later("beige"), "brown": later("brown"), "red": later("red"),
    "orange": later("orange"), "yellow": later("yellow"), "green": later("green"),
    "blue": later("blue"), "violet": later("violet"), "pink": later("pink"),
}  # fmt: skip


class EditRequest(NamedTuple):
    """What the person chose. ``grow`` and ``feather`` in pixels of the photo; ``variant`` the name
    of a look, for add and restyle; ``model`` None: the engine's default."""

    concept: str
    operation: str
    strength: float = STRENGTH_DEFAULT
    seed: int = 0
    quality: str = "final"
    variant: Optional[str] = None
    context: str = "auto"
    grow: int = 0
    feather: float = 0.0
    composite: str = "residual"
    model: Optional[str] = None


class Look(NamedTuple):
    """The thumbnail of a look: rows of 8-bit sRGB, ``width`` x ``height`` x 3 bytes."""

    width: int
    height: int
    rgb: bytes


class Offer(NamedTuple):
    """What the current model can do. Made by Offer.of(welcome); DEFAULT_OFFER until then.

    ``looks`` has the thumbnails by (concept, variant), once they have come; not every look has one.
    """

    model: Optional[str] = None
    version: str = ""
    concepts: Tuple[str, ...] = KNOWN_CONCEPTS
    operations_of: Dict[str, Tuple[str, ...]] = {}  # noqa: RUF012 - read only
    variants_of: Dict[str, Tuple[str, ...]] = {}  # noqa: RUF012
    looks: Dict[Tuple[str, str], Look] = {}  # noqa: RUF012
    capabilities: Tuple[str, ...] = ()
    models: Tuple[str, ...] = ()

    @classmethod
    def of(cls, welcome: Dict[str, Any], model: Optional[str] = None) -> "Offer":
        """The offer of ``model``, by default of the engine's default model."""
        models = [one for one in _list(welcome.get("models")) if isinstance(one, dict)]
        wanted = model or welcome.get("default_model")
        chosen = next((one for one in models if one.get("name") == wanted), None)
        if chosen is None:
            chosen = models[0] if models and model is None else {}
        return cls(
            chosen.get("name"),
            str(chosen.get("version", "")),
            _names(chosen.get("concepts")),
            _by_concept(chosen.get("operations")),
            _by_concept(chosen.get("variants")),
            {},
            _names(welcome.get("capabilities")),
            tuple(str(one.get("name")) for one in models),
        )

    def operations(self, concept: str) -> Tuple[str, ...]:
        """What can be done with a concept; add and remove where the engine does not say."""
        return self.operations_of.get(concept, OPERATIONS[:2])

    def concepts_for(self, operation: str) -> Tuple[str, ...]:
        """The concepts with which ``operation`` can be done."""
        return tuple(name for name in self.concepts if operation in self.operations(name))

    def variants(self, concept: str, operation: str = "add") -> Tuple[str, ...]:
        """The looks that an edit can name; none for a removal."""
        return () if operation == "remove" else self.variants_of.get(concept, ())

    def can(self, capability: str) -> bool:
        """Whether the engine knows "context", "grow" (and feather), "composite", "looks"…"""
        return capability in self.capabilities


DEFAULT_OFFER = Offer()


def _list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else ()


def _names(value: Any) -> Tuple[str, ...]:
    return tuple(name for name in _list(value) if isinstance(name, str))


def _by_concept(value: Any) -> Dict[str, Tuple[str, ...]]:
    if not isinstance(value, dict):
        return {}
    return {str(name): _names(names) for name, names in value.items()}


def title(name: str) -> str:
    """A choice as menus and lists show it: "tree" -> "Tree"."""
    return name[:1].upper() + name[1:]


def name_label(name: str) -> str:
    """A concept's or a look's name, translated where it is a known one: "tree" -> "Baum"."""
    return _(_NAMES[name]) if name in _NAMES else name


def operation_label(operation: str) -> str:
    return _(_OPERATION_LABELS[operation])


def quality_label(quality: str) -> str:
    return _(_QUALITY_LABELS[quality])


def context_label(context: str) -> str:
    return _(_CONTEXT_LABELS[context])


def composite_label(composite: str) -> str:
    return _(_COMPOSITE_LABELS[composite])


def concept_named(text: str) -> str:
    """The concept meant by what was chosen or typed: " Tree ", "Baum" -> "tree"."""
    text = text.strip()
    for name in _NAMES:
        if text.lower() in (name, name_label(name).lower()):
            return name
    return text


def edit_title(operation: str, concept: str, variant: Optional[str] = None) -> str:
    """An edit in words: "Add tree", "Change appearance of dome: copper"."""
    names = {"concept": name_label(concept), "look": name_label(variant or "")}
    if variant and operation in _EDITS_TO:
        return _(_EDITS_TO[operation]) % names
    return _(_EDITS[operation]) % names["concept"]


def layer_name(request: EditRequest) -> str:
    """What the new layer is called: "GANPaint: add tree (0.8, seed 3)"."""
    edit = edit_title(request.operation, request.concept, request.variant)
    values = {
        "edit": edit[:1].lower() + edit[1:] if _lowers() else edit,
        "strength": "%g" % round(request.strength, 2),
        "seed": request.seed,
    }
    return _("GANPaint: %(edit)s (%(strength)s, seed %(seed)d)") % values


def _lowers() -> bool:
    """Whether an edit in words begins small inside a sentence: not where it begins with a noun."""
    sentence = _EDITS["add"]
    return not _(sentence).startswith("%")
