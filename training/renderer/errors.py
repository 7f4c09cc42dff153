"""What can go wrong while scenes are rendered, each with a stable code."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RendererError(Exception):
    """Base of the renderer's errors. ``code`` is stable, the message says what to do."""

    code = "renderer"


class BlenderMissing(RendererError):
    """The ``bpy`` package, or a system library it needs, is not there."""

    code = "renderer_blender_missing"


class BadSetting(RendererError):
    """An option or a toggle that does not exist, or does not fit the set in the folder."""

    code = "renderer_setting"


class SetFolder(RendererError):
    """The set's folder cannot be made, read or written."""

    code = "renderer_folder"


class DiskFull(RendererError):
    """No space was left for a scene; what was finished before is kept."""

    code = "renderer_disk_full"


class RenderFailed(RendererError):
    """Blender wrote no picture, or its process died."""

    code = "renderer_failed"


class DamagedSet(RendererError):
    """A manifest or a file of a set is missing, cut short, or differs from its hash."""

    code = "renderer_damaged"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError met while ``path`` is written into DiskFull or SetFolder."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"No space left while writing {path}. The scenes before it are kept: free some "
                "space and run the same command again."
            ) from error
        raise SetFolder(f"Cannot write {path}: {error.strerror or error}.") from error
