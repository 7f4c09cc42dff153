"""GANPaint Engine: semantic photo editing with a generative image prior.

    import ganpaint_engine as gp
    prior = gp.load_model("churches")
    photo = prior.open(image)
    edit = photo.edit(mask, add="tree")

torch is imported by the first use of ``load_model``, ``Prior``, ``PhotoSession`` or ``Edit``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganpaint_engine import errors
from ganpaint_engine.errors import GanpaintError
from ganpaint_engine.model_package import ModelInfo, list_models

if TYPE_CHECKING:
    from ganpaint_engine.client import connect
    from ganpaint_engine.session import Edit, PhotoSession, Prior, load_model

__version__ = "0.1.0"
__all__ = [
    "Edit",
    "GanpaintError",
    "ModelInfo",
    "PhotoSession",
    "Prior",
    "connect",
    "errors",
    "list_models",
    "load_model",
]

_LATE = ("Edit", "PhotoSession", "Prior", "load_model")


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from ganpaint_engine import session

        return getattr(session, name)
    if name == "connect":
        from ganpaint_engine import client

        return client.connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
