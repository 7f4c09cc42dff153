"""Installing the plug-ins: where they go, that it can be repeated, and that it leaves no trace."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs import macos, windows

from ganpaint_engine import host_dirs, plugins
from ganpaint_engine.errors import PluginFolder, PluginUnknownHost
from ganpaint_engine.paths import plugins_dir, runtime_file, settings_file

SOURCES = sorted(plugins_dir().rglob("*.py"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's empty home; nothing of the real one is read or written."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "GIMP3_DIRECTORY", "GANPAINT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return home


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder``: its place and content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_gimp_gets_an_executable_plugin_with_bridge_and_record(home: Path) -> None:
    [copy] = plugins.install("gimp")
    assert copy.plugin_dir == home / ".config/GIMP/3.0/plug-ins/ganpaint"
    main = copy.plugin_dir / "ganpaint.py"
    assert os.access(main, os.X_OK)
    assert main.read_text().startswith("#!")
    assert (copy.plugin_dir / "ganpaint_bridge" / "__init__.py").is_file()
    record = json.loads((copy.plugin_dir / "install.json").read_text())
    assert record["command"] == [sys.executable, "-m", "ganpaint_engine", "serve", "--detached"]
    assert record["runtime_file"] == str(runtime_file())
    assert record["version"] == copy.version


def test_every_existing_gimp_folder_gets_it(home: Path) -> None:
    flatpak = home / ".var/app/org.gimp.GIMP/config/GIMP/3.0"
    newer = home / ".config/GIMP/3.2"
    for folder in (flatpak, newer):
        folder.mkdir(parents=True)
    assert {copy.config_dir for copy in plugins.install("gimp")} == {flatpak, newer}
    assert not (home / ".config/GIMP/3.0").exists()


def test_gimp_directory_variable_replaces_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIMP3_DIRECTORY", str(tmp_path / "elsewhere"))
    assert plugins.install("gimp")[0].config_dir == tmp_path / "elsewhere"


def test_krita_gets_plugin_actions_and_switch(home: Path) -> None:
    [copy] = plugins.install("krita")
    resources = home / ".local/share/krita"
    assert copy.plugin_dir == resources / "pykrita/ganpaint"
    assert (resources / "pykrita/ganpaint.desktop").is_file()
    assert (resources / "actions/ganpaint.action").is_file()
    assert (copy.plugin_dir / "ganpaint_bridge" / "__init__.py").is_file()
    assert (home / ".config/kritarc").read_text() == "[python]\nenable_ganpaint=true\n"


def test_flatpak_krita_has_its_own_settings(home: Path) -> None:
    (home / ".var/app/org.kde.krita/data/krita").mkdir(parents=True)
    plugins.install("krita")
    assert "enable_ganpaint=true" in (home / ".var/app/org.kde.krita/config/kritarc").read_text()
    assert not (home / ".config/kritarc").exists()


def test_krita_elsewhere_uses_the_ordinary_settings(home: Path, tmp_path: Path) -> None:
    plugins.install("krita", tmp_path / "resources")
    assert "enable_ganpaint=true" in (home / ".config/kritarc").read_text()


def test_xdg_folders_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert host_dirs.gimp_config_dirs() == [tmp_path / "config/GIMP/3.0"]
    assert host_dirs.krita_resource_dirs() == [tmp_path / "data/krita"]
    assert host_dirs.kritarc_of(tmp_path / "data/krita") == tmp_path / "config/kritarc"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[General]\nUi=[dark]\n",
        "[General]\nno=newline at end",
        "[python]\nenable_scripter=true\n\n[theme]\nName=Krita dark\n",
        "[theme]\nA=1\n\n[python]\nenable_scripter=true\n",
    ],
)
def test_kritarc_keeps_everything_else(home: Path, before: str) -> None:
    kritarc = home / ".config/kritarc"
    kritarc.parent.mkdir()
    kritarc.write_text(before)
    plugins.install("krita")
    after = kritarc.read_text()
    section = after.split("[python]\n")[1].split("[")[0]
    assert "enable_ganpaint=true\n" in section
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    plugins.uninstall("krita")
    left = kritarc.read_text() if kritarc.exists() else ""
    assert left.rstrip("\n") == before.rstrip("\n")


def test_a_switch_that_is_off_is_turned_on(home: Path) -> None:
    (home / ".config").mkdir()
    (home / ".config/kritarc").write_text("[python]\nenable_ganpaint=false\nenable_x=true\n")
    plugins.install("krita")
    lines = (home / ".config/kritarc").read_text().splitlines()
    assert lines == ["[python]", "enable_ganpaint=true", "enable_x=true"]


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_installing_again_changes_nothing(home: Path, host: str) -> None:
    plugins.install(host)
    first = tree(home)
    plugins.install(host)
    assert tree(home) == first


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_a_file_of_an_older_version_goes(home: Path, host: str) -> None:
    [copy] = plugins.install(host)
    record_file = copy.plugin_dir / "install.json"
    record = json.loads(record_file.read_text())
    old = copy.plugin_dir / "old.py"
    old.write_text("")
    record["files"].append(old.relative_to(copy.config_dir).as_posix())
    record_file.write_text(json.dumps(record))
    plugins.install(host)
    assert not old.exists()


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_uninstalling_removes_what_was_installed_and_nothing_else(home: Path, host: str) -> None:
    [copy] = plugins.install(host)
    cache = copy.plugin_dir / "ganpaint_bridge" / "__pycache__"
    cache.mkdir()
    (cache / "engine.cpython-313.pyc").write_bytes(b"")
    own = copy.plugin_dir / "notes.txt"
    own.write_text("mine")
    neighbour = copy.plugin_dir.parent / "other" / "other.py"
    neighbour.parent.mkdir()
    neighbour.write_text("")
    assert plugins.uninstall(host) == [copy]
    left = set(tree(home))
    assert left == {path.relative_to(home).as_posix() for path in (own, neighbour)}
    assert plugins.uninstall(host) == []


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_uninstalling_leaves_no_folder_behind(host: str) -> None:
    [copy] = plugins.install(host)
    plugins.uninstall(host)
    assert not copy.plugin_dir.exists()


def test_list_shows_what_is_installed() -> None:
    assert plugins.list_installed() == []
    copies = [*plugins.install("gimp"), *plugins.install("krita")]
    assert plugins.list_installed() == copies
    plugins.uninstall("gimp")
    assert [copy.host for copy in plugins.list_installed()] == ["krita"]


def test_a_damaged_record_counts_as_not_installed() -> None:
    [copy] = plugins.install("gimp")
    (copy.plugin_dir / "install.json").write_text('{"files": [')
    assert plugins.list_installed() == []
    plugins.install("gimp")
    assert plugins.list_installed() == [copy]


def test_an_unknown_host_is_named() -> None:
    for act in (plugins.install, plugins.uninstall):
        with pytest.raises(PluginUnknownHost, match="photoshop"):
            act("photoshop")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PluginFolder, match="file"):
        plugins.install("gimp", blocked)


def test_files_are_readable_by_all_and_writable_by_the_owner(home: Path) -> None:
    plugins.install("gimp")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in home.rglob("*") if p.is_file()}
    assert modes == {0o644, 0o755}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_plugins_keep_to_python_3_8(source: Path) -> None:
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_plugins_import_only_the_standard_library_and_their_host(source: Path) -> None:
    own = {path.stem for path in SOURCES} | {"ganpaint_bridge"}
    allowed = sys.stdlib_module_names | own | {"gi", "krita", "PyQt5", "PyQt6"}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
        assert {name.split(".")[0] for name in names} <= allowed


def test_krita_action_file_names_every_menu_entry() -> None:
    text = (plugins_dir() / "krita/ganpaint.action").read_text()
    constants = {}
    for node in ast.parse((plugins_dir() / "bridge/ganpaint_bridge/choices.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            constants[node.targets[0].id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
    entries = {
        f"ganpaint_{operation}_{concept}"
        for operation in constants["OPERATIONS"]
        for concept in constants["KNOWN_CONCEPTS"]
    }
    menu = (plugins_dir() / "krita/ganpaint/menu.py").read_text()
    entries |= set(re.findall(r'"(ganpaint_\w+)"', menu)) - {"ganpaint_menu"}
    assert set(re.findall(r'<Action name="([^"]+)"', text)) == entries


class OtherPlatform:
    """platformdirs of another system, in a home here."""

    def __init__(self, name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", name)
        if name == "darwin":
            monkeypatch.setattr(platformdirs, "PlatformDirs", macos.MacOS)
            return
        folders = {"CSIDL_APPDATA": "Roaming", "CSIDL_LOCAL_APPDATA": "Local"}
        for folder in folders.values():
            monkeypatch.setenv(f"{folder.upper()}APPDATA", str(home / "AppData" / folder))
        monkeypatch.setattr(
            windows, "get_win_folder", lambda name: str(home / "AppData" / folders[name])
        )
        monkeypatch.setattr(platformdirs, "PlatformDirs", windows.Windows)
        monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData" / "Local"))


def test_folders_of_macos(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OtherPlatform("darwin", home, monkeypatch)
    support = home / "Library/Application Support"
    assert host_dirs.gimp_config_dirs() == [support / "GIMP/3.0"]
    (support / "GIMP/3.2").mkdir(parents=True)
    assert host_dirs.gimp_config_dirs() == [support / "GIMP/3.2"]
    assert host_dirs.krita_resource_dirs() == [support / "krita"]
    assert host_dirs.kritarc_of(support / "krita") == home / "Library/Preferences/kritarc"


def test_folders_of_windows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OtherPlatform("win32", home, monkeypatch)
    data = home / "AppData"
    assert host_dirs.gimp_config_dirs() == [data / "Roaming/GIMP/3.0"]
    assert host_dirs.krita_resource_dirs() == [data / "Roaming/krita"]
    assert host_dirs.kritarc_of(data / "Roaming/krita") == data / "Local/kritarc"
    store = data / "Local/Packages/49800Krita_abc/LocalCache"
    (store / "Roaming/krita").mkdir(parents=True)
    assert host_dirs.krita_resource_dirs() == [store / "Roaming/krita"]
    assert host_dirs.kritarc_of(store / "Roaming/krita") == store / "Local/kritarc"


def test_a_gimp_that_was_never_started_gets_the_plugin_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = home / "bin/gimp-3.2"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert host_dirs.gimp_config_dirs() == [home / ".config/GIMP/3.2"]


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_update_and_uninstall_keep_the_settings(home: Path, host: str) -> None:
    file = settings_file()
    file.parent.mkdir(parents=True)
    file.write_text('{"model": "mine"}')
    plugins.install(host)
    plugins.install(host)
    plugins.uninstall(host)
    assert file.read_text() == '{"model": "mine"}'
    assert set(tree(home)) == {file.relative_to(home).as_posix()}
