"""GANPaint Engine: semantic photo editing with a generative image prior.

    import ganpaint_engine as gp
    prior = gp.load_model("churches")
    photo = prior.open(image)
    edit = photo.edit(mask, add="tree")

torch is imported by the first use of ``load_model``, ``Prior``, ``PhotoSession`` or ``Edit``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganpaint_engine import errors
from ganpaint_engine.errors import GanpaintError

if TYPE_CHECKING:
    from ganpaint_engine.client import connect
    from ganpaint_engine.editing import Edit
    from ganpaint_engine.model_package import ModelInfo, list_models
    from ganpaint_engine.prior import Prior, load_model
    from ganpaint_engine.session import PhotoSession

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

_HOMES = {
    "Edit": "editing",
    "PhotoSession": "session",
    "Prior": "prior",
    "load_model": "prior",
    "ModelInfo": "model_package",
    "list_models": "model_package",
    "connect": "client",
}


def __getattr__(name: str) -> Any:
    """The public names, from the modules that define them, loaded at their first use."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
