"""The stub engine as a process: started as people start it, and without torch."""

import subprocess
import sys

from engines import edit

from ganpaint_engine.client import Client
from ganpaint_engine.service import lifecycle


def test_serve_stub_detached(home):
    command = [sys.executable, "-m", "ganpaint_engine", "serve", "--stub", "--detached"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        with Client.connect() as client:
            assert client.welcome["device"] == "stub"
            assert client.welcome["default_model"] == "stub"
            assert "photo_too_small" in str(failure(client))
    finally:
        assert lifecycle.stop()


def failure(client):
    """The code of an edit of a picture that no engine takes."""
    try:
        return edit(client)
    except Exception as error:
        return error.code


def test_the_stub_never_loads_torch():
    code = (
        "import sys; from ganpaint_engine.service.stub import stub_work; stub_work()\n"
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
