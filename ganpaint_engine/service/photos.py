"""The engine's open photos: known by their pixels' hash, in memory, and behind that on disk."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ganpaint_engine import settings
from ganpaint_engine.photo_cache import DEFAULT_MIB, Computed, PhotoCache
from ganpaint_engine.service.jobs import Job

if TYPE_CHECKING:
    from ganpaint_engine.prior import OnStep, Prior
    from ganpaint_engine.session import PhotoSession
    from ganpaint_engine.window import Window

_MEMORY_MIB = 512.0  # of all open photos; the one used last always stays


def digest(pixels: bytes, shape: tuple[int, ...]) -> str:
    """A photo's name: BLAKE2b of its pixels and its shape, 32 hexadecimal digits."""
    hashed = hashlib.blake2b(pixels, digest_size=16)
    hashed.update(repr(shape).encode())
    return hashed.hexdigest()


def _shape(job: Job) -> tuple[int, int, int]:
    image = job.request["image"]
    return image["height"], image["width"], image["channels"]


def _name(job: Job) -> str:
    """The digest of a job's photo; made once."""
    if "photo" not in job.notes:
        job.notes["photo"] = digest(job.frames[0], _shape(job))
    return str(job.notes["photo"])


class Shelf:
    """The place on disk for what is computed of one photo with one model: a session's store."""

    def __init__(self, cache: PhotoCache, model: str, photo: str) -> None:
        self._cache = cache
        self._model = model
        self._photo = photo

    def get(self, place: Window) -> Computed | None:
        return self._cache.get(self._model, self._photo, place)

    def put(self, place: Window, computed: Computed) -> None:
        self._cache.put(self._model, self._photo, place, computed)

    def drop(self, place: Window) -> None:
        self._cache.drop(self._model, self._photo, place)


class OpenPhotos:
    """Least recently used first. Belongs to the worker's thread, but for ``figures``."""

    def __init__(self) -> None:
        self._photos: OrderedDict[tuple[str, str], PhotoSession] = OrderedDict()
        self._keeps = settings.flag("keep_photos", True)
        mib = settings.number("cache_mib", DEFAULT_MIB)
        self._cache = PhotoCache(int(mib * (1 << 20))) if self._keeps and mib else None
        self._most = int(settings.number("memory_mib", _MEMORY_MIB) * (1 << 20))
        self._hits = self._misses = self._bytes = 0
        self._unrefined: tuple[tuple[str, str], tuple[int, ...]] | None = None

    def figures(self) -> dict[str, int]:
        """STATS_REPLY's ``cache``. Called by the I/O thread."""
        used = self._cache.usage if self._cache else None
        return {
            "photos": len(self._photos),
            "bytes": self._bytes,
            "hits": self._hits,
            "misses": self._misses,
            "disk_hits": self._cache.hits if self._cache else 0,
            "disk_files": used.files if used else 0,
            "disk_bytes": used.bytes if used else 0,
        }

    def opened(self, prior: Prior, job: Job) -> tuple[PhotoSession, str]:
        """The open photo of a job, and its name.

        One that the job forbids to keep is written nowhere, and no other job will find it.
        """
        name = _name(job)
        key = (prior.key, name)
        if key in self._photos:
            self._hits += 1
            self._photos.move_to_end(key)
            self._photos[key].prior = prior  # the same weights; concepts may have been learnt
            return self._photos[key], name
        self._misses += 1
        keep = job.request["keep_photo"] and self._keeps
        shelf = Shelf(self._cache, prior.key, name) if keep and self._cache else None
        pixels = np.frombuffer(job.frames[0], np.uint8).reshape(_shape(job))
        photo = prior.open(pixels, shelf)
        if keep:
            self._photos[key] = photo
            self.trim()
        return photo, name

    def refine_later(self, prior: Prior, name: str, place: Sequence[int]) -> None:
        """Take a kept photo's window (x, y, side) wholly into the model when there is time."""
        if (prior.key, name) in self._photos:
            self._unrefined = ((prior.key, name), tuple(place))

    def has_more(self) -> bool:
        """Whether a window waits to be refined."""
        return self._unrefined is not None

    def go_on(self, on_step: OnStep) -> None:
        """Refine the window in which a preview was last answered from E alone.

        on_step: may raise, to stop that; it goes on after its last stage another time.
        """
        from ganpaint_engine.window import Window

        wanted, self._unrefined = self._unrefined, None
        if wanted is None or wanted[0] not in self._photos:
            return

        def step(fraction: float, stage: str) -> None:
            try:
                on_step(fraction, stage)
            except BaseException:
                self._unrefined = wanted
                raise

        self._photos[wanted[0]].inverted(Window(*wanted[1]), step)
        self.trim()

    def trim(self) -> None:
        """Let go of the photos used longest ago where they are too many bytes."""
        sizes = {key: photo.nbytes for key, photo in self._photos.items()}
        total = sum(sizes.values())
        while len(self._photos) > 1 and total > self._most:
            key, _ = self._photos.popitem(last=False)
            total -= sizes[key]
        self._bytes = total
