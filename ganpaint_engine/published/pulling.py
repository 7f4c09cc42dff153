"""``ganpaint models pull``: a published generator, fetched and imported."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ganpaint_engine import model_package, paths
from ganpaint_engine.errors import DamagedModel, UnknownModel
from ganpaint_engine.model_package import ModelInfo
from ganpaint_engine.published import download
from ganpaint_engine.published.catalogue import Published
from ganpaint_engine.published.download import OnProgress, Patience


def downloads_dir() -> Path:
    """Where files lie until they are whole and imported."""
    return paths.cache_dir() / "downloads"


def pull(
    published: Published,
    name: str | None = None,
    replace: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    patience: Patience = download.WAIT,
) -> ModelInfo:
    """Fetch a published generator, whose terms were accepted, and import it.

    name: the published one unless given. The card keeps the file's whole SHA-256; a later pull that
    replaces the model must then bring that very file. Raises what download.fetch and import_file
    raise.
    """
    name = published.name if name is None else name
    model_package.check_free(name, replace)
    path, address = download.fetch(_pinned(published, name), downloads_dir(), on_progress, patience)
    from ganpaint_engine.published.importing import import_file  # with torch

    source = {"address": address, "terms_url": published.terms_url}
    info = import_file(path, published.format, name, published.terms, replace, source=source)
    path.unlink(missing_ok=True)
    return info


def _pinned(published: Published, name: str) -> Published:
    """``published`` with the whole hash, if a model in place was made from that file."""
    try:
        source = model_package.read_card(paths.user_models_dir() / name).card.get("source", {})
    except (DamagedModel, UnknownModel):
        return published
    digest = str(source.get("sha256", ""))
    if source.get("file") != published.file or not published.agrees(digest):
        return published
    return dataclasses.replace(published, sha256=digest)
