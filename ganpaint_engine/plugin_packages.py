"""The plug-ins as one file or folder, for those who install them by hand.

    zip    krita: what "Tools > Scripts > Import Python Plugin from File…" takes
           gimp: the folder ``ganpaint``, to be unpacked into GIMP's ``plug-ins``
    folder what is to be copied into GIMP's ``plug-ins``, or into Krita's resource folder

Both hold ``install.json``, so that the plug-in finds this very engine, and so that ``ganpaint
plugin uninstall`` knows the copy. On another machine the plug-in's settings name the engine there.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from . import plugins

_DATE = (1980, 1, 1, 0, 0, 0)  # the same files make the same zip


def make_zip(host: str, file: Path | str) -> Path:
    """Write the plug-in of ``host`` ("gimp" or "krita") into a zip file, in one step; its path.

    Raises PluginUnknownHost, PluginFolder (the file cannot be written).
    """
    target = Path(file).expanduser().absolute()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        made: set[str] = set()
        for place, content in sorted(_contents(host).items()):
            # Krita's importer looks for the entry of the module's folder itself.
            for folder in reversed(Path(place).parents[:-1]):
                if folder.as_posix() not in made:
                    made.add(folder.as_posix())
                    archive.writestr(_entry(f"{folder.as_posix()}/", 0o40755), b"")
            mode = plugins.mode_of(f"plug-ins/{place}") if host == "gimp" else 0o644
            archive.writestr(_entry(place, 0o100000 | mode), content)
    with plugins.folder_errors(target.parent):
        plugins.write(target, data.getvalue(), 0o644)
    return target


def make_folder(host: str, folder: Path | str) -> Path:
    """Write the plug-in of ``host`` into ``folder``, laid out to be copied; returns its path.

    Raises PluginUnknownHost, PluginFolder.
    """
    target = Path(folder).expanduser().absolute()
    with plugins.folder_errors(target):
        for place, content in _contents(host).items():
            laid_out = place if host == "gimp" else _krita_place(place)
            mode = plugins.mode_of(f"plug-ins/{place}") if host == "gimp" else 0o644
            plugins.write(target / laid_out, content, mode)
    return target


def _contents(host: str) -> dict[str, bytes]:
    """Files by their place: ``ganpaint/…``, and for Krita ``ganpaint.desktop`` and ``.action``."""
    contents = {_bare(place): file.read_bytes() for place, file in plugins.sources(host).items()}
    record = json.dumps(plugins.record(host), indent=2).encode()
    return {**contents, f"ganpaint/{plugins.RECORD}": record}


def _bare(place: str) -> str:
    """``pykrita/ganpaint/x`` -> ``ganpaint/x``."""
    return place.split("/", maxsplit=1)[1]


def _krita_place(place: str) -> str:
    return f"{'actions' if place.endswith('.action') else 'pykrita'}/{place}"


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
