import json
import os
import stat

import pytest

from ganpaint_engine.service import security

TOKEN = security.new_token()
RUNTIME = security.Runtime("tcp://127.0.0.1:1", TOKEN, os.getpid(), "1.0", 0.0)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "runtime" / "runtime.json"
    security.write_runtime(file, RUNTIME)
    return file


def test_only_the_owner_can_read(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert security.read_runtime(path) == RUNTIME
    assert os.listdir(path.parent) == ["runtime.json"]


def test_an_open_folder_is_closed(tmp_path):
    tmp_path.chmod(0o755)
    security.private_dir(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o606])
def test_a_file_that_others_can_reach_is_not_trusted(path, mode):
    path.chmod(mode)
    assert security.read_runtime(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"endpoint": 1}'])
def test_a_damaged_file_is_no_engine(path, content):
    path.write_text(content)
    assert security.read_runtime(path) is None


def test_a_token_that_is_no_hex_is_no_engine(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "token": "zz"}))
    assert security.read_runtime(path) is None


def test_only_the_own_file_is_removed(path):
    security.remove_runtime(path, security.new_token())
    assert path.exists()
    security.remove_runtime(path, TOKEN)
    assert not path.exists()
    security.remove_runtime(path, TOKEN)  # and that is no error


def test_tokens_differ():
    assert len({security.new_token() for _ in range(10)}) == 10


def test_an_eavesdropper_on_the_password_cannot_make_the_proof():
    nonce = bytes(32)
    heard = security.password(TOKEN)
    proof = security.proof(TOKEN, nonce)
    assert TOKEN.encode() not in heard
    assert security.proof(heard.decode(), nonce) != proof
    # nor does the engine, asked for a proof of the right "nonce", give the password away
    assert security.proof(TOKEN, b"password").hex().encode() != heard


def test_own_process_is_alive_and_absurd_ones_are_not():
    assert security.alive(os.getpid())
    assert not security.alive(0)
    assert not security.alive(-1)
    assert not security.alive(2**22 + 1)


def test_a_folder_prepared_by_somebody_else_is_refused(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "link").symlink_to(mine)
    with pytest.raises(PermissionError):
        security.private_dir(tmp_path / "link")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    try:
        os.chown(theirs, 12345, 12345)
    except PermissionError:
        pytest.skip("giving a folder away takes root")
    with pytest.raises(PermissionError):
        security.private_dir(theirs)
