"""Where the product reads and writes. ``GANPAINT_HOME`` moves all it writes to one folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import platformdirs

_APP = "ganpaint"
_PACKAGE = Path(__file__).resolve().parent


def _place(kind: str, default: str) -> Path:
    home = os.environ.get("GANPAINT_HOME")
    return Path(home).expanduser().absolute() / kind if home else Path(default)


def runtime_dir() -> Path:
    """Folder (mode 0700) of the running engine's files: runtime file, lock, log."""
    return _place("runtime", platformdirs.user_state_dir(_APP, appauthor=False))


def runtime_file() -> Path:
    """The file in which the running engine says where it listens; see docs/protocol.md."""
    return runtime_dir() / "runtime.json"


def runtime_dirs() -> list[Path]:
    """``runtime_dir()`` and, for a home that is full or cannot be written, where else to look.

    The other places are named after the first, so that two homes never share one.
    """
    first = runtime_dir()
    name = "ganpaint-" + hashlib.sha256(str(first).encode()).hexdigest()[:16]
    others = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()]
    return [first] + [Path(other) / name for other in others if other]


def settings_file() -> Path:
    """The person's settings, JSON."""
    return _place("config", platformdirs.user_config_dir(_APP, appauthor=False)) / "settings.json"


def keys_dir() -> Path:
    """Folder (mode 0700) of the CURVE keys for remote engines; see service/keys.py."""
    return settings_file().parent / "keys"


def cache_dir() -> Path:
    """Anything that may be deleted at any time."""
    return _place("cache", platformdirs.user_cache_dir(_APP, appauthor=False))


def user_models_dir() -> Path:
    """The person's own models, beside the bundled ones."""
    return _place("models", platformdirs.user_data_dir(_APP, appauthor=False) + os.sep + "models")


def features_dir() -> Path:
    """Feature networks that the person fetched."""
    default = platformdirs.user_data_dir(_APP, appauthor=False) + os.sep + "features"
    return _place("features", default)


def _shipped(name: str) -> Path:
    """A folder shipped with the product: inside the wheel, or beside the package in a checkout."""
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name


def bundled_models_dir() -> Path:
    """The models shipped with the product."""
    return _shipped("models")


def judge_file() -> Path:
    """The weights of the segmenter that judges edits."""
    return _shipped("benchmarks") / "judge.safetensors"


def segmenter_file() -> Path:
    """The weights of the segmenter that ranks units where a model brings none of its own."""
    return bundled_models_dir() / "segmenter.safetensors"


def plugins_dir() -> Path:
    """The plug-ins' sources: ``bridge/``, ``gimp/``, ``krita/``."""
    return _shipped("plugins")
