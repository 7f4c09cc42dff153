"""``ganpaint doctor``: is everything here that the product needs?"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ganpaint_engine import model_package, paths, plugins
from ganpaint_engine.errors import GanpaintError
from ganpaint_engine.service import checkup
from ganpaint_engine.service.checkup import Check


def checks() -> Iterator[Check]:
    """All checks, cheap ones first. None raises: what fails says so in its line."""
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield _torch()
    yield from _models()
    yield from checkup.checks()
    copies = plugins.list_installed()
    found = ", ".join(f"{c.host} ({c.plugin_dir})" for c in copies) or "none installed"
    yield Check("plug-ins", True, found)


def _torch() -> Check:
    try:
        import torch
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        return Check("torch", False, f"cannot be imported: {error}")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, using the CPU"
    return Check(
        "torch", True, f"{torch.__version__}, torchvision {torchvision.__version__}, {device}"
    )


def _models() -> Iterator[Check]:
    models = model_package.list_models()
    if not models:
        yield Check("models", False, f"none in {paths.bundled_models_dir()}")
    for info in models:
        try:
            model_package.verify(info)
            yield Check(f"model {info.name}", True, f"version {info.version}, all files whole")
        except GanpaintError as error:
            yield Check(f"model {info.name}", False, error.message)
