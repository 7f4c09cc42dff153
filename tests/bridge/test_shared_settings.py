"""Settings that the bridge writes and the engine reads, and where both look for them."""

import json
import os
import sys

import platformdirs
import pytest
from ganpaint_bridge import BridgeError, settings
from ganpaint_bridge.places import read_install, runtime_file, settings_file
from ganpaint_bridge.settings import Settings
from ganpaint_bridge.starting import command_of, start_command

from ganpaint_engine import paths
from ganpaint_engine import settings as engine_settings
from ganpaint_engine.service import lifecycle

KEY = "ab" * 32


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GANPAINT_HOME", str(tmp_path))
    return tmp_path


def test_what_is_written_is_read_by_bridge_and_engine(home):
    assert settings.read() == Settings()
    chosen = Settings(str(home), "mine", "cpu", 5.0, "tcp://gpu.example:7000", KEY)
    settings.write(chosen)
    assert settings.read() == chosen
    assert settings.path() == str(paths.settings_file())
    assert lifecycle.idle_setting() == 5.0
    found = engine_settings.read()
    assert (found["model"], found["device"]) == ("mine", "cpu")
    assert found["remote"] == {"endpoint": "tcp://gpu.example:7000", "engine_key": KEY}


def test_other_keys_stay_and_defaults_are_not_written(home):
    file = paths.settings_file()
    file.parent.mkdir()
    file.write_text('{"keep_photos": false, "cache_mib": 9, "model": "old", "remote": {"x": 1}}')
    settings.write(Settings(model="new"))
    assert json.loads(file.read_text()) == {"keep_photos": False, "cache_mib": 9, "model": "new"}
    settings.write(Settings())
    assert json.loads(file.read_text()) == {"keep_photos": False, "cache_mib": 9}
    assert [one.name for one in file.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"idle_minutes": "soon", "model": 3}'])
def test_a_damaged_file_counts_as_none_and_is_not_lost(home, text):
    file = paths.settings_file()
    file.parent.mkdir()
    file.write_text(text)
    assert settings.read() == Settings()
    settings.write(Settings(model="new"))
    assert settings.read().model == "new"
    if text in ("{", "[]", "7"):
        assert file.with_name("settings.json.damaged").read_text().strip() == text


def test_a_link_into_dotfiles_stays_one(home):
    (home / "dotfiles").mkdir()
    (home / "config").mkdir()
    paths.settings_file().symlink_to(home / "dotfiles" / "ganpaint.json")
    settings.write(Settings(device="cpu"))
    assert paths.settings_file().is_symlink()
    assert "cpu" in (home / "dotfiles" / "ganpaint.json").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        Settings(idle_minutes=-1),
        Settings(idle_minutes=float("nan")),
        Settings(device="toaster"),
        Settings(remote="gpu.example", remote_key=KEY),
        Settings(remote="tcp://gpu.example:7000"),
        Settings(remote="tcp://gpu.example:7000", remote_key="abc"),
        Settings(engine="/nowhere/ganpaint"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(home, wrong):
    with pytest.raises(BridgeError) as caught:
        settings.write(wrong)
    assert caught.value.code == "bad_request"
    assert not paths.settings_file().exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(home):
    (home / "config").mkdir(mode=0o500)
    with pytest.raises(BridgeError, match="stored"):
        settings.write(Settings(model="new"))


def test_a_file_in_the_folders_place(home):
    (home / "config").write_text("")
    with pytest.raises(BridgeError) as caught:
        settings.write(Settings(model="new"))
    assert caught.value.code == "storage"


# -- where things are ------------------------------------------------------------------------------


def test_a_copy_made_by_hand_looks_where_the_engine_is(tmp_path, monkeypatch):
    monkeypatch.delenv("GANPAINT_HOME", raising=False)
    for set_to in (False, True):
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            if set_to:
                monkeypatch.setenv(name, str(tmp_path / name))
            else:
                monkeypatch.delenv(name, raising=False)
        assert runtime_file({}) == str(paths.runtime_file())
        assert settings_file({}) == str(paths.settings_file())


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_platforms(platform, monkeypatch):
    monkeypatch.delenv("GANPAINT_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", "/c/Users/a/AppData/Local")
    monkeypatch.setenv("HOME", "/Users/a")
    if platform == "win32":
        from platformdirs.windows import Windows as Dirs

        monkeypatch.setattr(
            "platformdirs.windows.get_win_folder", lambda name: os.environ["LOCALAPPDATA"]
        )
    else:
        from platformdirs.macos import MacOS as Dirs
    dirs = Dirs("ganpaint", appauthor=False)
    assert os.path.dirname(runtime_file({})) == dirs.user_state_dir.replace("\\", "/")
    assert os.path.dirname(settings_file({})) == dirs.user_config_dir.replace("\\", "/")
    assert platformdirs.__version__


def test_the_engines_command_is_looked_for_in_this_order(home, tmp_path, monkeypatch):
    monkeypatch.delenv("GANPAINT_ENGINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BridgeError) as caught:
        start_command({})
    assert caught.value.code == "engine_missing"
    program = tmp_path / "ganpaint"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert start_command({}) == [str(program), "serve", "--detached"]
    assert start_command({"command": ["a", "b"]}) == ["a", "b"]
    assert start_command({"command": ["a"]}, str(program))[0] == str(program)
    monkeypatch.setenv("GANPAINT_ENGINE", "x -m y")
    assert start_command({"command": ["a"]}, str(program)) == ["x", "-m", "y"]


def test_a_chosen_path_may_be_a_program_a_python_or_a_folder(tmp_path):
    bin = tmp_path / ".venv" / "bin"
    bin.mkdir(parents=True)
    for name in ("ganpaint", "python3.11"):
        (bin / name).write_text("")
    serve = ["serve", "--detached"]
    assert command_of(str(bin / "ganpaint")) == [str(bin / "ganpaint"), *serve]
    python = str(bin / "python3.11")
    assert command_of(python) == [python, "-m", "ganpaint_engine", *serve]
    for folder in (tmp_path, tmp_path / ".venv", bin):
        assert command_of(str(folder)) == [str(bin / "ganpaint"), *serve]
    with pytest.raises(BridgeError, match="nowhere"):
        command_of(str(tmp_path / "nowhere"))


def test_install_json_that_is_none(tmp_path):
    assert read_install(str(tmp_path)) == {}
    for text in ("[", "[]", ""):
        (tmp_path / "install.json").write_text(text)
        assert read_install(str(tmp_path)) == {}
