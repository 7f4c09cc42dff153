"""What every editor asks and shows in the same way, in one place.

Nothing here knows an editor: the GIMP and the Krita plug-in bring pixels and widgets, this brings
the words and the order of events.
"""

from . import settings
from .choices import (
    COMPOSITES,
    CONTEXTS,
    DEFAULT_OFFER,
    FEATHER_RANGE,
    GROW_RANGE,
    KNOWN_CONCEPTS,
    OPERATIONS,
    QUALITIES,
    SEED_MAX,
    STRENGTH_DEFAULT,
    STRENGTH_RANGE,
    EditRequest,
    Look,
    Offer,
    composite_label,
    concept_named,
    context_label,
    edit_title,
    layer_name,
    name_label,
    operation_label,
    quality_label,
    title,
)
from .doctor import Doctor, Line
from .editing import Editing, Update
from .pictures import (
    Patch,
    Picture,
    check_picture,
    failure_text,
    internal,
    no_selection,
    read_patch,
    wrong_layer,
)
from .recipe import RECIPE_NAME, read_recipe, why_not_again, write_recipe

__all__ = [
    "COMPOSITES", "CONTEXTS", "DEFAULT_OFFER", "FEATHER_RANGE", "GROW_RANGE", "KNOWN_CONCEPTS",
    "OPERATIONS", "QUALITIES", "RECIPE_NAME", "SEED_MAX", "STRENGTH_DEFAULT", "STRENGTH_RANGE",
    "Doctor", "EditRequest", "Editing", "Line", "Look", "Offer", "Patch", "Picture", "Update",
    "check_picture", "composite_label", "concept_named", "context_label", "edit_title",
    "failure_text", "internal", "layer_name", "name_label", "no_selection", "operation_label",
    "quality_label", "read_patch", "read_recipe", "settings", "title", "why_not_again",
    "write_recipe", "wrong_layer",
]  # fmt: skip
