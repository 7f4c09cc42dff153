"""The person's settings file: JSON, every key optional; what is wrong in it counts as not there."""

from __future__ import annotations

import json
import math
from typing import Any

from ganpaint_engine import paths


def read() -> dict[str, Any]:
    """The settings; {} when there is no file, or none that could be understood."""
    try:
        content = json.loads(paths.settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def number(key: str, default: float) -> float:
    """A setting of 0 or more."""
    try:
        value = float(read()[key])
    except (KeyError, TypeError, ValueError):
        return default
    return max(0.0, value) if math.isfinite(value) else default


def text(key: str, default: str) -> str:
    """A setting that is a word; empty counts as not there."""
    value = read().get(key)
    return value if isinstance(value, str) and value else default


def flag(key: str, default: bool) -> bool:
    """A setting that is true or false."""
    value = read().get(key, default)
    return value if isinstance(value, bool) else default
