"""Where the engine and its settings are: as ``install.json`` says, else where they usually are.

``install.json``, beside this package, was written when the plug-in was installed:
``{"command": [python, "-m", …], "runtime_file": "…", "settings_file": "…", "version": "…"}``. A
copy made by hand may lack it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict

_APP = "ganpaint"


def read_install(folder: str = "") -> Dict[str, Any]:
    """``install.json`` of ``folder``, by default the plug-in's; empty where there is none."""
    folder = folder or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        with open(os.path.join(folder, "install.json"), encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def runtime_file(install: Dict[str, Any]) -> str:
    """Where the engine's runtime file is or will be."""
    return _place(install, "runtime", "runtime.json", "XDG_STATE_HOME", ".local/state")


def settings_file(install: Dict[str, Any]) -> str:
    """The settings that engine and plug-ins share."""
    return _place(install, "config", "settings.json", "XDG_CONFIG_HOME", ".config")


def _place(install: Dict[str, Any], folder: str, name: str, variable: str, usual: str) -> str:
    home = os.environ.get("GANPAINT_HOME")
    if home:
        return os.path.join(os.path.abspath(os.path.expanduser(home)), folder, name)
    path = install.get(name.replace(".json", "_file"))
    if isinstance(path, str) and path:
        return path
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:  # inside a Flatpak the plain variable names the sandbox's own folders
        set_to = os.environ.get("HOST_" + variable)
        if not set_to and not os.path.exists("/.flatpak-info"):
            set_to = os.environ.get(variable)
        base = set_to or os.path.join(os.path.expanduser("~"), usual)
    return os.path.join(base, _APP, name)
