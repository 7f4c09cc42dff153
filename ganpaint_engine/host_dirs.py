"""Where GIMP and Krita keep a person's plug-ins, on each platform, Flatpak included."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import platformdirs

# GIMP 3.0.x reads "3.0", 3.2.x reads "3.2"; one plug-in serves both.
GIMP_VERSIONS = ("3.0", "3.2")

_GIMP_FLATPAK = "org.gimp.GIMP"
_KRITA_FLATPAK = "org.kde.krita"
_KRITA_STORE = "49800Krita_*"


def gimp_config_dirs() -> list[Path]:
    """GIMP's config folders that exist; else those of the versions on the PATH, else 3.0's.

    ``GIMP3_DIRECTORY`` (GIMP's own variable) replaces them all.
    """
    relocated = os.environ.get("GIMP3_DIRECTORY")
    if relocated:
        return [Path(relocated).expanduser().absolute()]
    bases = [_roaming("GIMP"), _flatpak(_GIMP_FLATPAK) / "config" / "GIMP"]
    found = [base / version for base in bases for version in GIMP_VERSIONS]
    existing = [folder for folder in found if folder.is_dir()]
    # A GIMP that was never started has no folder yet; it takes one that it finds.
    new = [version for version in GIMP_VERSIONS if shutil.which(f"gimp-{version}")]
    new = [] if existing else new or [GIMP_VERSIONS[0]]
    return existing or [bases[0] / version for version in new]


def krita_resource_dirs() -> list[Path]:
    """Krita's resource folders that exist; the platform's default one if there is none."""
    if sys.platform == "linux":
        own = Path(platformdirs.user_data_dir("krita", appauthor=False))
    else:
        own = _roaming("krita")
    found = [own, _flatpak(_KRITA_FLATPAK) / "data" / "krita", *_store_kritas()]
    return [folder for folder in found if folder.is_dir()] or [own]


def kritarc_of(resources: Path) -> Path:
    """The settings file that the Krita of this resource folder reads.

    A folder laid out like a home's, or like a Flatpak's, has its own; any other resource folder
    (``krita --resource-location``) is used with the person's ordinary kritarc.
    """
    parts = resources.parts
    if parts[-3:] == (".local", "share", "krita"):
        configured = os.environ.get("XDG_CONFIG_HOME")
        at_home = resources == Path.home() / ".local" / "share" / "krita"
        if configured and at_home:
            return Path(configured) / "kritarc"
        return resources.parents[2] / ".config" / "kritarc"
    if parts[-3:] == (_KRITA_FLATPAK, "data", "krita"):
        return resources.parents[1] / "config" / "kritarc"
    if parts[-3:] == ("LocalCache", "Roaming", "krita"):
        return resources.parents[1] / "Local" / "kritarc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Preferences" / "kritarc"
    # Not roaming: on Windows Krita keeps its resources in APPDATA but kritarc in LOCALAPPDATA.
    return Path(platformdirs.user_config_dir(appauthor=False, roaming=False)) / "kritarc"


def _store_kritas() -> list[Path]:
    """Resource folders of Krita from the Microsoft Store, which keeps its own Roaming folder."""
    local = os.environ.get("LOCALAPPDATA")
    if sys.platform != "win32" or not local:
        return []
    return sorted(Path(local).glob(f"Packages/{_KRITA_STORE}/LocalCache/Roaming/krita"))


def _roaming(app: str) -> Path:
    return Path(platformdirs.user_config_dir(app, appauthor=False, roaming=True))


def _flatpak(app_id: str) -> Path:
    return Path.home() / ".var" / "app" / app_id
