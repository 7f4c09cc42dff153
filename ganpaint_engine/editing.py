"""One edit in one window: r_e, the δ that belong to it, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganpaint_engine import (
    adaptation,
    compositing,
    concepts,
    cutouts,
    detail,
    exemplars,
    inversion,
    recolour,
    removal,
    window,
)
from ganpaint_engine.encoder import GRID
from ganpaint_engine.exemplars import Match
from ganpaint_engine.inversion import Step
from ganpaint_engine.layers import eight_bits
from ganpaint_engine.paste import Thing
from ganpaint_engine.prior import PHOTO_STEPS, Inversion, OnStep, Prior, cells_to_px
from ganpaint_engine.recolour import Recolouring
from ganpaint_engine.removal import Filled
from ganpaint_engine.stack import Stack
from ganpaint_engine.wishes import Wish

if TYPE_CHECKING:
    from ganpaint_engine.session import PhotoSession

EDIT_STEPS = 50
EDIT_TOLERANCE = 0.004  # half a step of 8 bits; reached in 25 to 40 steps on scenes
EDIT_LR = 0.05  # at 0.1, the steps that get so far leave grain
LIGHT = 0.5  # how much of the difference of light between photo and exemplar a thing takes on


Followed = Match | Filled | Recolouring | None
"""What new pixels are of: an exemplar, what a place is filled with, the photo's own in other
colours, or what the head draws alone."""
OF_THE_PHOTO = Filled, Recolouring


class Drawn(NamedTuple):
    """The window's picture before and after the edits, under their δ: y, y_e, 1×3×R×R (y for both
    where nothing of y_e would be seen); and for each edit what it followed."""

    y: Tensor
    y_e: Tensor
    followed: tuple[Followed, ...]


@dataclass(frozen=True)
class Edit:
    """What an edit made.

    layer: the new pixels, h×w×4 of the photo's depth, straight alpha, and offset: where they lie in
    the photo, (x, y) px. name: what to call the layer. report: how it was made, enough to make it
    again, and what was measured; plain values that JSON can hold. stack: the edits that are in it,
    this one last; photo: the session that made it.
    """

    name: str
    layer: np.ndarray
    offset: tuple[int, int]
    report: dict[str, Any]
    compose: Callable[[], np.ndarray] = field(repr=False, compare=False)
    stack: Stack = field(repr=False, compare=False)
    photo: PhotoSession = field(repr=False, compare=False)

    @cached_property
    def array(self) -> np.ndarray:
        """The photo with the edit, H×W×3 or 4, uint8 or uint16 as the photo was opened; made when
        it is first asked for. What the edit does not cover is bit for bit the photo's."""
        return self.compose()

    @cached_property
    def image(self) -> Image.Image:
        """``array`` as a picture of 8 bits a channel."""
        return Image.fromarray(eight_bits(self.array))

    @cached_property
    def patch(self) -> Image.Image:
        """``layer`` as an RGBA picture of 8 bits a channel."""
        return Image.fromarray(eight_bits(self.layer))


def apply(
    prior: Prior,
    inverted: Inversion,
    edits: Sequence[tuple[Wish, Tensor]],
    on_step: OnStep,
    margin: int | None = None,
) -> Drawn:
    """Draw the window before and after the edits.

    edits: what is wished, and the stroke as the window sees it, 1×1×R×R in [0, 1]; each changes
    what those before it made. The last one says how G' is made. That y is drawn by the same G'
    leaves the edits alone as the difference of the two. margin: work on a crop of the window only,
    this many cells around the strokes (for want of memory); beyond it both are the photo's.
    """
    r_e, kept = inverted.r, torch.ones_like(inverted.x[:, :1])
    followed: list[Followed] = []
    with torch.no_grad():
        alone = len(edits) == 1 and _is_sketch(edits[-1][0])
        for wish, mask in edits:
            r_e, match = _edited(prior, inverted, r_e, mask, wish, alone)
            followed.append(match)
            kept = kept * (1 - mask)
        of_the_photo = all(isinstance(one, OF_THE_PHOTO) for one in followed)
        if of_the_photo and _is_sketch(wish) and margin is None:
            y = prior.redrawn(inverted)
            return Drawn(y, y, tuple(followed))
        mask_e = _mask_e(prior, 1 - kept)
    u = window.stroke_on_grid(1 - kept)
    crop = _crop(u, margin) if margin is not None and prior.generator.is_local else None
    part = inverted if crop is None else inverted.crop(*crop)
    if crop is not None:
        r_e, mask_e = cells_to_px(r_e, *crop), cells_to_px(mask_e, *crop)
    on_step(0.55, "edit")
    head = _adapted(
        prior, part, r_e, mask_e, wish, lambda f: on_step(0.55 + 0.4 * f, "adapt to edit")
    )
    with torch.no_grad():
        if margin is not None:  # one after the other takes half the memory
            y, y_e = head(part.r), head(r_e)
        else:
            y, y_e = head(torch.cat([part.r, r_e])).split(1)
    if crop is None:
        return Drawn(y, y_e, tuple(followed))
    whole = inverted.x.clone(), inverted.x.clone()
    for picture, drawn in zip(whole, (y, y_e), strict=True):
        cells_to_px(picture, *crop)[:] = drawn
    return Drawn(*whole, tuple(followed))


def _is_sketch(wish: Wish) -> bool:
    """Whether nothing is seen of what the head would draw where new pixels are the photo's own."""
    return wish.quality == "preview" and wish.composite == compositing.RESIDUAL


def things(
    prior: Prior,
    inverted: Inversion,
    edits: Sequence[tuple[Wish, Tensor]],
    drawn: Drawn,
    photo: np.ndarray,
) -> tuple[Tensor, list[Thing | Recolouring]]:
    """What edits look like in pixels, where more is known of that than the head can draw: things
    that an exemplar has a cutout of, places filled from around, and things in other colours.

    edits: as for ``apply``. photo: the window's own pixels, S×S×3. Returns y_e without what the
    head drew there, and the things themselves, the first edit's first. Raises DamagedModel.
    """
    plain, done = drawn.y_e, list(zip(edits, drawn.followed, strict=True))
    found: list[Thing | Recolouring] = []
    for n, ((wish, mask), followed) in enumerate(done):
        later = torch.ones_like(mask)
        for (_, other), what in done[n + 1 :]:
            if not isinstance(what, Recolouring):  # that changes what is there, and covers nothing
                later = later * (1 - other)
        weight = _levels(later)
        thing = _thing(prior, inverted, drawn.y_e, mask, followed, photo)
        if thing is None:
            continue
        if isinstance(thing, Recolouring):
            found.append(thing._replace(weight=weight * thing.weight))
        else:
            found.append(thing._replace(weight=weight * min(wish.strength, 1.0)))
        # What the head drew reaches two cells beyond the stroke's; the photo takes its place.
        reach = F.max_pool2d(window.stroke_on_grid(mask), 5, 1, 2)
        plain = plain + F.interpolate(reach, prior.resolution) * later * (drawn.y - plain)
    return plain, found


def _thing(
    prior: Prior,
    inverted: Inversion,
    y_e: Tensor,
    mask: Tensor,
    followed: Followed,
    photo: np.ndarray,
) -> Thing | Recolouring | None:
    """One edit's thing, of full weight; None where only the head knows what it looks like."""
    if isinstance(followed, Recolouring):
        return followed
    stroke, library = _levels(mask), prior.exemplars
    if isinstance(followed, Filled):
        none = np.zeros((*stroke.shape, 3), np.float32)
        return Thing(removal.filling(photo, followed), none, stroke, grained=True)
    if not isinstance(followed, Match) or library is None or library.cutouts is None:
        return None
    cutout = library.cutouts.cutout(followed.number, followed.shift)
    cutout = cutouts.lit(cutouts.fitted(cutout, stroke), _around(inverted.x, mask), LIGHT)
    return Thing(cutout, cutouts.tone(cutout, window.to_array(y_e, y_e.shape[-1])), stroke)


def _levels(mask: Tensor) -> np.ndarray:
    """1×1×R×R as an array, R×R."""
    return mask[0, 0].detach().float().cpu().numpy()


def _around(x: Tensor, mask: Tensor) -> np.ndarray:
    """The mean colour outside a stroke, levels of 255."""
    keep = 1 - mask
    mean = (x * keep).sum((0, 2, 3)) / keep.sum().clamp(min=1)
    return ((mean + 1) * 127.5).detach().float().cpu().numpy()


def _crop(u: Tensor, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the grid that a stroke touches, and ``margin`` cells around."""
    found = []
    for axis in (3, 2):
        touched = torch.nonzero(u.amax(axis).flatten()).flatten().tolist()
        found.append(slice(max(touched[0] - margin, 0), min(touched[-1] + 1 + margin, GRID)))
    return found[0], found[1]


def _adapted(
    prior: Prior, inverted: Inversion, r_e: Tensor, mask_e: Tensor, wish: Wish, on_step: Step
) -> Callable[[Tensor], Tensor]:
    """The head of G' for an edit, as ``wish.adaptation`` has it made: r to a picture.

    A preview takes the photo's δ, masked; a final edit fits them to itself.
    """
    generator, x = prior.generator, inverted.x
    if wish.adaptation == "none":
        return generator.head
    if wish.adaptation == "weights":
        return adaptation.fit_weights(generator, r_e, x, mask_e, on_step=on_step).head
    additive = wish.adaptation == "additive"
    fit = adaptation.fit_as_paper
    if wish.adaptation != "paper":
        fit = partial(
            adaptation.fit,
            steps=EDIT_STEPS,
            tolerance=EDIT_TOLERANCE,
            lr=EDIT_LR,
            additive=additive,
        )
    deltas = inverted.deltas
    if additive or (wish.adaptation == "paper" and wish.quality == "final"):
        deltas = adaptation.zero_deltas(generator, r_e)
    if additive:
        deltas = adaptation.fit(generator, inverted.r, x, deltas, steps=PHOTO_STEPS, additive=True)
    deltas = adaptation.mask_deltas(deltas, mask_e)
    if wish.quality == "final":
        deltas = fit(generator, r_e, x, deltas, mask_e, on_step=on_step)
        # Adam moves δ under the mask as well, by what leaks through at its edge: that brought
        # the removed object back.
        deltas = adaptation.mask_deltas(deltas, mask_e)
    return partial(generator.head, deltas=deltas, additive=additive)


def _mask_e(prior: Prior, mask: Tensor) -> Tensor:
    """Where the photo is not to be matched: an edit of a cell reaches beyond it, within a cell."""
    return adaptation.soften(mask, grow=prior.resolution // GRID)


def outside_psnr(prior: Prior, inverted: Inversion, mask: Tensor, y_e: Tensor) -> float | None:
    """PSNR in dB of G' where the photo was to be kept, before paste-back; None: nowhere."""
    kept = (_mask_e(prior, mask) == 0).expand_as(y_e)
    return round(inversion.psnr(y_e[kept], inverted.x[kept]), 2) if kept.any() else None


def fine_detail(
    prior: Prior, inverted: Inversion, mask: Tensor, photo: np.ndarray, wish: Wish
) -> list[float] | float | None:
    """How strong the detail is that an added concept has and the window is too small for.

    photo: the window's own pixels, S×S×3. In levels of 255, for each octave or for all: as in the
    other cells that hold the concept, or as the card says it usually is.
    """
    u = window.stroke_on_grid(mask)
    with torch.no_grad():
        there = concepts.presence(inverted.r, wish.concept)
    donors = ((there >= 1) & (u == 0))[0, 0].cpu().numpy()
    usual = prior.info.detail(wish.concept.name)
    levels = detail.contrast(photo, donors, prior.resolution)
    if levels is None and not usual:
        return None
    if levels is not None and usual:
        # Cells can look like the concept to E and not be it: the sky got a wall's roughness.
        levels = [min(max(level, usual / 2), 2 * usual) for level in levels]
    return levels or usual


def _edited(
    prior: Prior, inverted: Inversion, r: Tensor, mask: Tensor, wish: Wish, unseen: bool
) -> tuple[Tensor, Followed]:
    """r_e of a wish upon r, which may be edited already, and what it follows, as in ``Drawn``.
    mask: as for ``apply``. unseen: r_e may be r where a place is filled."""
    u, library = window.stroke_on_grid(mask), prior.exemplars
    concept, s, look = wish.concept, wish.strength, wish.look
    filled = _filled(prior, inverted, mask, wish)
    if filled is not None:
        if unseen:
            return r, filled
        there = removal.seen(prior.encoder, filled, inverted.x)
        return concepts.edit(r, u * min(s, 1.0), there), filled
    match wish.operation:
        case "add" if wish.like:
            return concepts.add(r, u, concept, s, look), None
        case "add":
            cover = F.adaptive_avg_pool2d(mask, GRID)
            wanted = look if wish.variant else None
            least = concept.p if isinstance(wish.asked_strength, str) else None
            found = library.find(r, cover, concept, wish.seed, wanted) if library else None
            return exemplars.followed(r, u, concept, found, s, wanted, least), found
        case "remove":
            # Where the model does not know such pictures, its exemplars' surroundings are not the
            # photo's, and the photo's own cells come first (docs/photographs.md).
            own = wish.seed == 0 and library is not None and not prior.knows(inverted)
            seed = max(wish.seed - 1, 0)
            return exemplars.take_out(r, u, concept, library, s, seed, own), None
        case _:
            there = concepts.presence(r, concept)
            change = recolour.asked(wish.tint, there, mask, s) if wish.tint else None
            r_e = concepts.restyle(r, u, concept, concept.p if look is None else look, s)
            return r_e, change


def _filled(prior: Prior, inverted: Inversion, mask: Tensor, wish: Wish) -> Filled | None:
    """What a stroke is filled with from around it: the place of a thing that is removed; or where
    the photo has the grass or the sky that is to be added, more of its own.

    None where too little is around, for what a removed ground or sky leaves (nothing is behind
    them), for added things (they are not made of more of the same), and for looks that are wished
    by name or picked.
    """
    library, concept = prior.exemplars, wish.concept
    thing = library is None or concept.name in library.names
    adding = wish.operation == "add"
    if thing == adding or wish.operation == "restyle" or wish.variant or wish.like:
        return None
    r = prior.at_first(inverted)
    likes = there = concepts.presence(r, concept)
    if not adding:
        names = [n for n in (library.names if library else ()) if n in prior.concepts]
        others = [concepts.presence(r, prior.concept(name)) for name in names]
        there = torch.stack([likes, *others]).amax(0)
    return removal.from_around(
        *(inverted.x, mask, likes, there, wish.seed), only=adding, kept=inverted.fillings
    )
