"""How an edit was made, as it is stored beside its layer, and back again.

A recipe is the engine's report as JSON, in UTF-8. It comes out of a file that anybody may have
made: whatever in it is wrong counts as not there.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Optional, Tuple, Union

from .choices import (
    COMPOSITES,
    CONTEXTS,
    FEATHER_RANGE,
    GROW_RANGE,
    OPERATIONS,
    SEED_MAX,
    STRENGTH_DEFAULT,
    STRENGTH_RANGE,
    EditRequest,
    Offer,
    name_label,
    operation_label,
)
from .words import _

# The name under which a recipe is stored beside its layer.
RECIPE_NAME = "ganpaint-recipe"

_MAX_BYTES = 1 << 20
_NAMED_STRENGTHS = ("low", "medium", "high")  # of the command line


def write_recipe(report: Dict[str, Any], request: Optional[EditRequest] = None) -> bytes:
    """The recipe to store: the result's report, with what was asked where the report lacks it."""
    asked = {k: v for k, v in (request._asdict() if request else {}).items() if v is not None}
    return json.dumps({**asked, **report}, ensure_ascii=False, sort_keys=True).encode("utf-8")


def read_recipe(stored: Union[bytes, str, None]) -> Optional[EditRequest]:
    """The edit that a stored recipe is of, as a final one; None where it says no such thing."""
    recipe = _content(stored)
    concept, operation = recipe.get("concept"), recipe.get("operation")
    if not _is_name(concept) or operation not in OPERATIONS:
        return None
    variant, model = recipe.get("variant"), recipe.get("model")
    strength = _number(recipe.get("strength"), STRENGTH_RANGE, STRENGTH_DEFAULT)
    return EditRequest(
        str(concept),
        str(operation),
        strength,
        int(_number(recipe.get("seed"), (0, SEED_MAX), 0)),
        "final",
        variant if _is_name(variant) and operation != "remove" else None,
        _one_of(CONTEXTS, recipe.get("context")),
        int(_number(recipe.get("grow"), GROW_RANGE, 0)),
        _number(recipe.get("feather"), FEATHER_RANGE, 0.0),
        _one_of(COMPOSITES, recipe.get("composite")),
        model if _is_name(model) else None,
    )


def why_not_again(stored: Union[bytes, str, None], offer: Offer) -> Optional[str]:
    """Why an edit cannot be made again, in a sentence; None when it can.

    ``offer``: of the model that the recipe names, see Editing.offer_of; before an engine has
    answered (its model is None), what depends on the model is not asked.
    """
    recipe, request = _content(stored), read_recipe(stored)
    if stored is None:
        return _("This layer was not made by GANPaint, or how it was made is no longer stored.")
    if request is None:
        return _("How this layer was made is stored, but it is damaged and cannot be read.")
    if recipe.get("like"):
        return _("This layer took its appearance from a region that is not stored.")
    if recipe.get("strength") in _NAMED_STRENGTHS:
        return _("This layer was made with a strength that only the command line has.")
    return _lacking(request, offer)


def _lacking(request: EditRequest, offer: Offer) -> Optional[str]:
    """What the model lacks for the edit."""
    names = {"model": request.model or offer.model, "concept": name_label(request.concept)}
    if offer.models and request.model and request.model not in offer.models:
        return _("This layer was made by the model “%(model)s”, which is not installed.") % names
    if offer.model is None or (request.model and offer.model != request.model):
        return None
    if request.concept not in offer.concepts:
        return _("The model “%(model)s” no longer knows “%(concept)s”.") % names
    if request.operation not in offer.operations(request.concept):
        names["operation"] = operation_label(request.operation)
        return _("The model “%(model)s” does not offer “%(operation)s” for “%(concept)s”.") % names
    if request.variant and request.variant not in offer.variants(request.concept):
        names["look"] = name_label(request.variant)
        return _("The model “%(model)s” no longer has the look “%(look)s”.") % names
    return None


def _content(stored: Union[bytes, str, None]) -> Dict[str, Any]:
    if stored is None or len(stored) > _MAX_BYTES:
        return {}
    try:
        text = stored if isinstance(stored, str) else bytes(stored).decode("utf-8")
        content = json.loads(text.strip("\0 \n"))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64


def _number(value: Any, span: Tuple[float, float], default: float) -> float:
    """``value`` within its bounds, or the default where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    if isinstance(value, float) and not math.isfinite(value):
        return default
    return min(max(value, span[0]), span[1])


def _one_of(choices: Tuple[str, ...], value: Any) -> str:
    """``value`` where it is one of ``choices``, else the first of them, the default."""
    return value if isinstance(value, str) and value in choices else choices[0]
