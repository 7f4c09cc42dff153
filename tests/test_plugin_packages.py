"""The plug-ins as a zip and as a folder: what Krita's importer and a person make of them."""

from __future__ import annotations

import builtins
import configparser
import importlib.util
import json
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from test_plugins_install import home, tree

from ganpaint_engine import cli, plugin_packages, plugins
from ganpaint_engine.errors import PluginFolder, PluginUnknownHost

__all__ = ["home"]

CHROOT = Path(
    os.environ.get("GANPAINT_TEST_EDITORS") or Path.home() / ".cache" / "ganpaint-test-editors"
)
IMPORTER = CHROOT / "usr/share/krita/pykrita/plugin_importer/plugin_importer.py"


@pytest.fixture
def importer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Krita's own module, which is plain Python."""
    if not IMPORTER.is_file():
        pytest.skip("Krita's importer is in the editors' test chroot, which is not here")
    monkeypatch.setattr(builtins, "i18n", str, raising=False)
    spec = importlib.util.spec_from_file_location("plugin_importer", IMPORTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def krita_zip(tmp_path: Path) -> Path:
    return plugin_packages.make_zip("krita", tmp_path / "out" / "ganpaint.zip")


def test_the_zip_is_laid_out_as_kritas_importer_wants_it(krita_zip: Path) -> None:
    with zipfile.ZipFile(krita_zip) as archive:
        names = archive.namelist()
        desktop = configparser.ConfigParser()
        desktop.read_string(archive.read("ganpaint.desktop").decode())
    assert desktop["Desktop Entry"]["X-KDE-Library"] == "ganpaint"
    assert desktop["Desktop Entry"]["Name"] == "GANPaint"
    assert [name for name in names if name.endswith("ganpaint/")] == ["ganpaint/"]
    assert "ganpaint/__init__.py" in names
    assert "ganpaint.action" in names
    assert len(names) == len(set(names))


def test_krita_itself_imports_it(
    importer: ModuleType, krita_zip: Path, home: Path, tmp_path: Path
) -> None:
    """Into the resource folder, as our own command would have: and our command takes it out."""
    resources = home / ".local/share/krita"
    resources.mkdir(parents=True)
    done = importer.PluginImporter(str(krita_zip), str(resources), lambda plugin: True).import_all()
    assert [plugin["name"] for plugin in done] == ["ganpaint"]
    by_importer = tree(resources)
    (home / ".config").mkdir()
    (home / ".config/kritarc").write_text("[python]\nenable_ganpaint=true\n")  # as Krita does
    (copy,) = plugins.list_installed()
    assert plugins.uninstall("krita") == [copy]
    assert tree(home) == {}
    plugins.install("krita")
    assert tree(resources) == by_importer
    assert importer.PluginImporter(str(krita_zip), str(resources), lambda plugin: True).import_all()
    assert tree(resources) == by_importer, "an update over an installed copy"


def test_the_same_files_make_the_same_zip(krita_zip: Path, tmp_path: Path) -> None:
    again = plugin_packages.make_zip("krita", tmp_path / "again.zip")
    assert again.read_bytes() == krita_zip.read_bytes()


def test_gimps_zip_unpacks_into_plug_ins(home: Path, tmp_path: Path) -> None:
    file = plugin_packages.make_zip("gimp", tmp_path / "gimp.zip")
    with zipfile.ZipFile(file) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        archive.extractall(home / ".config/GIMP/3.0/plug-ins")
    assert stat.S_IMODE(modes["ganpaint/ganpaint.py"]) == 0o755
    assert stat.S_IMODE(modes["ganpaint/install.json"]) == 0o644
    by_hand = tree(home)
    (copy,) = plugins.uninstall("gimp")
    assert tree(home) == {}
    plugins.install("gimp")
    assert tree(home) == by_hand
    assert copy.host == "gimp"


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_the_folder_can_be_copied_by_hand(home: Path, tmp_path: Path, host: str) -> None:
    folder = plugin_packages.make_folder(host, tmp_path / "folder")
    place = {"gimp": ".config/GIMP/3.0/plug-ins", "krita": ".local/share/krita"}[host]
    shutil.copytree(folder, home / place)
    by_hand = tree(home / place)
    assert [copy.host for copy in plugins.uninstall(host)] == [host]
    assert tree(home) == {}
    plugins.install(host)
    assert tree(home / place) == by_hand
    if host == "gimp":
        assert os.access(folder / "ganpaint" / "ganpaint.py", os.X_OK)


def test_the_copy_knows_this_engine(krita_zip: Path) -> None:
    with zipfile.ZipFile(krita_zip) as archive:
        record = json.loads(archive.read("ganpaint/install.json"))
    assert record["command"] == [sys.executable, "-m", "ganpaint_engine", "serve", "--detached"]
    assert record["settings_file"].endswith("settings.json")


@pytest.mark.parametrize("make", [plugin_packages.make_zip, plugin_packages.make_folder])
def test_what_cannot_be_made(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PluginUnknownHost, match="photoshop"):
        make("photoshop", tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginFolder, match="file"):
        make("krita", tmp_path / "file" / "x")


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_compiled_words_are_shipped_and_their_sources_are_not(host: str) -> None:
    places = plugins.sources(host)
    suffixes = {Path(place).suffix for place in places}
    assert ".po" not in suffixes
    assert ".pot" not in suffixes
    for language in ("de", "fr", "es", "zh_CN"):
        end = f"ganpaint_bridge/locale/{language}/LC_MESSAGES/ganpaint.mo"
        assert sum(place.endswith(end) for place in places) == 1


@pytest.mark.parametrize("host", plugins.HOSTS)
def test_the_commands_say_where_to_go_next(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, out in (("zip", "p.zip"), ("folder", "folder")):
        with pytest.raises(SystemExit) as ended:
            cli.main(["plugin", command, host, "-o", str(tmp_path / out)])
        assert not ended.value.code
        assert (tmp_path / out).exists()
        assert {"gimp": "GIMP", "krita": "Krita"}[host] in capsys.readouterr().out
