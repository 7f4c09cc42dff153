"""Puts the editor plug-ins where GIMP and Krita look for them, and takes them out again.

An installed plug-in is a plain copy: the host's own files, the bridge (standard library only) and
``install.json``, which tells the bridge how to start this engine and lists every file that was
written, so that uninstalling removes those and nothing else.

    GIMP   <config>/plug-ins/ganpaint/{ganpaint.py, …, ganpaint_bridge/, install.json}
    Krita  <resources>/pykrita/{ganpaint.desktop, ganpaint/{…, ganpaint_bridge/, install.json}}
           <resources>/actions/ganpaint.action, and ``enable_ganpaint=true`` in kritarc
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import __version__, host_dirs
from .errors import PluginFolder, PluginUnknownHost
from .paths import plugins_dir, runtime_file, settings_file

HOSTS = ("gimp", "krita")

RECORD = "install.json"
_UNUSED = {".po", ".pot"}  # of the words; the compiled catalogues are what is read
_KRITARC_SECTION = "[python]"
_KRITARC_SWITCH = "enable_ganpaint"


@dataclass(frozen=True)
class Installed:
    """One installed copy: ``config_dir`` is GIMP's config folder or Krita's resource folder."""

    host: str
    config_dir: Path
    plugin_dir: Path
    version: str


def install(host: str, config_dir: Path | str | None = None) -> list[Installed]:
    """Copy the plug-in of ``host`` ("gimp" or "krita") and switch it on; safe to repeat.

    ``config_dir`` is GIMP's config folder (the one with ``plug-ins/``) or Krita's resource folder
    (the one with ``pykrita/``); without it, every such folder of this person that exists gets the
    plug-in, or the newest known version's if there is none yet. Each file is replaced atomically
    and the record comes last, so that an interrupted installation is completed by the next one.

    Raises PluginUnknownHost, PluginFolder (the folder cannot be written).
    """
    return [_install_one(host, folder) for folder in _folders(host, config_dir)]


def uninstall(host: str, config_dir: Path | str | None = None) -> list[Installed]:
    """Remove what ``install`` wrote, and only that; returns the copies removed (perhaps none).

    Raises PluginUnknownHost, PluginFolder (a file cannot be removed).
    """
    found = [_read(host, folder) for folder in _folders(host, config_dir)]
    removed = [copy for copy in found if copy is not None]
    for copy in removed:
        _uninstall_one(copy)
    return removed


def list_installed() -> list[Installed]:
    """Every installed copy in this person's known GIMP and Krita folders."""
    found = [_read(host, folder) for host in HOSTS for folder in _folders(host, None)]
    return [copy for copy in found if copy is not None]


def record(host: str) -> dict[str, Any]:
    """The content of ``install.json``: where this engine is, and which files are the plug-in's."""
    return {
        "command": engine_command(),
        "runtime_file": str(runtime_file()),
        "settings_file": str(settings_file()),
        "version": __version__,
        "host": host,
        "files": sorted(sources(host)),
    }


def mode_of(place: str) -> int:
    """GIMP skips a plug-in whose main file is not executable, without a word."""
    return 0o755 if place.endswith("plug-ins/ganpaint/ganpaint.py") else 0o644


def engine_command() -> list[str]:
    """The command by which a plug-in starts this very engine, detached from the editor."""
    return [sys.executable, "-m", "ganpaint_engine", "serve", "--detached"]


def _check_host(host: str) -> None:
    if host not in HOSTS:
        raise PluginUnknownHost(
            f"There is no plug-in for '{host}'. Choose one of: {', '.join(HOSTS)}.", host=host
        )


def _folders(host: str, config_dir: Path | str | None) -> list[Path]:
    _check_host(host)
    if config_dir is not None:
        return [Path(config_dir).expanduser().absolute()]
    return host_dirs.gimp_config_dirs() if host == "gimp" else host_dirs.krita_resource_dirs()


def _plugin_dir(host: str, config_dir: Path) -> Path:
    return config_dir / ("plug-ins" if host == "gimp" else "pykrita") / "ganpaint"


def sources(host: str) -> dict[str, Path]:
    """Files to copy: place relative to the config folder -> source file.

    Raises PluginUnknownHost.
    """
    _check_host(host)
    root = plugins_dir()
    base = _plugin_dir(host, Path()).as_posix()
    trees = {
        base: root / host / "ganpaint",
        f"{base}/ganpaint_bridge": root / "bridge" / "ganpaint_bridge",
    }
    files = {
        f"{place}/{source.relative_to(tree).as_posix()}": source
        for place, tree in trees.items()
        for source in sorted(tree.rglob("*"))
        if source.is_file() and "__pycache__" not in source.parts and source.suffix not in _UNUSED
    }
    if host == "krita":
        files["pykrita/ganpaint.desktop"] = root / "krita" / "ganpaint.desktop"
        files["actions/ganpaint.action"] = root / "krita" / "ganpaint.action"
    return files


def _install_one(host: str, config_dir: Path) -> Installed:
    plugin_dir = _plugin_dir(host, config_dir)
    files, content = sources(host), record(host)
    with folder_errors(config_dir):
        stale = set(_record(plugin_dir).get("files", ())) - set(files)
        for place, source in files.items():
            write(config_dir / place, source.read_bytes(), mode_of(place))
        for place in stale:
            (config_dir / place).unlink(missing_ok=True)
        if host == "krita":
            _switch(host_dirs.kritarc_of(config_dir), on=True)
        write(plugin_dir / RECORD, json.dumps(content, indent=2).encode(), 0o644)
    return Installed(host, config_dir, plugin_dir, __version__)


def _uninstall_one(copy: Installed) -> None:
    with folder_errors(copy.config_dir):
        if copy.host == "krita":
            _switch(host_dirs.kritarc_of(copy.config_dir), on=False)
        for place in _record(copy.plugin_dir)["files"]:
            (copy.config_dir / place).unlink(missing_ok=True)
        # Python's own cache beside our modules is ours too; anything else a person put there stays.
        for cache in list(copy.plugin_dir.rglob("__pycache__")):
            shutil.rmtree(cache)
        (copy.plugin_dir / RECORD).unlink()
        folders = [path for path in copy.plugin_dir.rglob("*") if path.is_dir()]
        for folder in [*sorted(folders, reverse=True), copy.plugin_dir]:
            if not any(folder.iterdir()):
                folder.rmdir()


def _read(host: str, config_dir: Path) -> Installed | None:
    plugin_dir = _plugin_dir(host, config_dir)
    record = _record(plugin_dir)
    if not record:
        return None
    return Installed(host, config_dir, plugin_dir, str(record.get("version", "")))


def _record(plugin_dir: Path) -> dict[str, Any]:
    """``install.json`` of an installed copy; empty when there is none or it cannot be read."""
    try:
        record = json.loads((plugin_dir / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("files"), list) else {}


def _switch(kritarc: Path, *, on: bool) -> None:
    """Set or remove ``enable_ganpaint`` in kritarc and keep every other line as it is.

    Krita writes repeated sections and unescaped values, so the file is edited as lines; a parser
    that rewrites it would lose settings.
    """
    text = kritarc.read_text(encoding="utf-8") if kritarc.exists() else ""
    new = _with_switch(text) if on else _without_switch(text)
    if new == text:
        return
    if new:
        write(kritarc, new.encode(), None)
    else:
        kritarc.unlink()


def _with_switch(text: str) -> str:
    lines = _without_switch(text).splitlines(keepends=True)
    switch = f"{_KRITARC_SWITCH}=true\n"
    for index, line in enumerate(lines):
        if line.strip() == _KRITARC_SECTION:
            if not line.endswith("\n"):
                lines[index] = line + "\n"
            return "".join([*lines[: index + 1], switch, *lines[index + 1 :]])
    gap = "" if not lines else "\n" if lines[-1].endswith("\n") else "\n\n"
    return "".join([*lines, gap, f"{_KRITARC_SECTION}\n", switch])


def _without_switch(text: str) -> str:
    """``text`` less our line, and less the section and its gap if nothing else is left in it."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if line.split("=")[0].strip() != _KRITARC_SWITCH]
    if len(kept) == len(lines):
        return text
    if kept and kept[-1].strip() == _KRITARC_SECTION:
        kept.pop()
        if kept and not kept[-1].strip():
            kept.pop()
    return "".join(kept)


def write(path: Path, data: bytes, mode: int | None) -> None:
    """Replace ``path`` in one step; ``mode`` None keeps the mode it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    # kritarc may be a link into a person's dotfiles: write the file it points to.
    target = path.resolve()
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        scratch.chmod(mode)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PluginFolder(
            f"The editor's folder {folder} cannot be changed: {error.strerror or error}.",
            folder=str(folder),
        ) from error
