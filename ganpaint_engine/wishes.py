"""What a person asks of an edit, checked before anything is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ganpaint_engine.adaptation import ADAPTATIONS
from ganpaint_engine.appearance import meant
from ganpaint_engine.compositing import COMPOSITES, RESIDUAL
from ganpaint_engine.concepts import LEVELS, Concept
from ganpaint_engine.errors import BadRequest, UnsupportedOperation
from ganpaint_engine.recolour import Tint

if TYPE_CHECKING:
    from torch import Tensor

    from ganpaint_engine.prior import Prior

OPERATIONS = ("add", "remove", "restyle")
QUALITIES = ("preview", "final")


@dataclass(frozen=True)
class Wish:
    """A checked wish.

    concept: with the units and p_c of a named strength, where one was given. strength: s as a
    number. asked_strength: as the person gave it, for the report. look: p_c of the wished look, C
    values; none where the concept's mean is wished. like: whether the look is a region's. tint: the
    colour of the look that a thing is to be given; none where that is not known.
    composite: the final blend, one of COMPOSITES. adaptation: how G' is made, one of ADAPTATIONS.
    """

    operation: str
    concept: Concept
    strength: float
    asked_strength: float | str
    seed: int
    quality: str
    variant: str | None
    look: Tensor | None
    like: bool = False
    composite: str = RESIDUAL
    adaptation: str = ADAPTATIONS[0]
    tint: Tint | None = None

    def to(self, prior: Prior) -> Wish:
        """The same wish where ``prior`` computes."""
        look = None if self.look is None else self.look.to(prior.device)
        return replace(self, concept=self.concept.to(prior.device), look=look)

    @property
    def name(self) -> str:
        """What to call the layer: ``Add tree``, ``Restyle tree (autumn)``."""
        which = f" ({self.variant})" if self.variant else ""
        return f"{self.operation.capitalize()} {self.concept.name}{which}"

    def made(self, quality: str, composite: str, adaptation: str) -> Wish:
        """The same, made in other ways."""
        return replace(self, quality=quality, composite=composite, adaptation=adaptation)


def check(
    prior: Prior,
    wished: dict[str, str | None],
    strength: float | str,
    seed: int,
    quality: str,
    variant: str | None,
    like: bool,
    composite: str = RESIDUAL,
    adaptation: str = ADAPTATIONS[0],
) -> Wish:
    """The wish, if the model can do it. ``wished``: operation to concept, one of them not None.

    Raises BadRequest, UnknownConcept, UnknownVariant, UnsupportedOperation.
    """
    asked = {operation: name for operation, name in wished.items() if name is not None}
    if len(asked) != 1:
        raise BadRequest("Say one thing: what to add, what to remove, or what to restyle.")
    ((operation, name),) = asked.items()
    check_one_of("Quality", quality, QUALITIES)
    check_one_of("Composite", composite, COMPOSITES)
    check_one_of("Adaptation", adaptation, ADAPTATIONS)
    if seed < 0:
        raise BadRequest(f"A seed is 0 or more, not {seed}.")
    s = _number(strength)
    if operation == "remove" and (variant is not None or like):
        raise BadRequest("What is removed has no look: a variant goes with add or restyle.")
    if variant is not None and like:
        raise BadRequest("Say either a variant or a region to be like.")
    concept = prior.concept(str(name))
    _check_able(prior, concept, operation)
    if operation == "restyle" and variant is None and not like and seed == 0:
        raise BadRequest(
            f"Say which look: a variant of {concept.name} "
            f"({', '.join(concept.variant_names) or 'it has none'}), or a region to be like."
        )
    look = None if like else concept.appearance(seed) if variant is None else concept.look(variant)
    if isinstance(strength, str):
        concept = concept.at(strength)
        if variant is None and seed == 0:
            look = None
    asked_strength = strength if isinstance(strength, str) else s
    tint = _tint(prior, concept, variant, seed) if operation == "restyle" and not like else None
    choices = (variant, look, like, composite, adaptation, tint)
    return Wish(operation, concept, s, asked_strength, int(seed), quality, *choices)


def _tint(prior: Prior, concept: Concept, variant: str | None, seed: int) -> Tint | None:
    """The colour of the look that was named, or that the seed picks, and those of all looks."""
    measured, names = prior.info.colours(concept.name), concept.variant_names
    name = names[(seed - 1) % len(names)] if variant is None and names else variant
    if name not in measured:
        return None
    colours = {one: meant(concept.name, one, rgb) for one, rgb in measured.items()}
    return Tint(colours[name], np.array(list(colours.values())))


def check_one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raises BadRequest for a value that is none of the known ones."""
    if value not in known:
        raise BadRequest(f"{what} is one of {', '.join(known)}, not {value!r}.")


def _number(strength: float | str) -> float:
    """s of a strength: a name of LEVELS changes units and p_c, and s stays 1."""
    if isinstance(strength, str):
        if strength not in LEVELS:
            raise BadRequest(
                f"A strength is a number or one of {', '.join(LEVELS)}, not {strength!r}."
            )
        return 1.0
    if not 0 < strength <= 2 or not math.isfinite(strength):
        raise BadRequest(f"Strength is above 0 and at most 2, not {strength}.")
    return float(strength)


def _check_able(prior: Prior, concept: Concept, operation: str) -> None:
    able = prior.operations(concept.name)
    if operation not in able:
        raise UnsupportedOperation(
            f"The model {prior.name} cannot {operation} {concept.name}: it failed when that was "
            f"measured. It can: {', '.join(able) or 'nothing with'} {concept.name}.",
            concept=concept.name,
            operation=operation,
        )
