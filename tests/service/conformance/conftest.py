import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(Path(__file__).parent),
    str(TESTS / "service"),
    str(TESTS.parent / "plugins" / "bridge"),
]

from engines import PATIENCE, Raw, until  # noqa: E402
from peers import BridgePeer, PyzmqPeer  # noqa: E402

from ganpaint_engine import paths  # noqa: E402
from ganpaint_engine.service import lifecycle  # noqa: E402

# The product's own engine, with fewer steps: what an edit looks like is not asked here.
FEW_STEPS = """
import dataclasses

from ganpaint_engine.service import edits, lifecycle

def few_steps(device):
    work = edits.edit_work(device)
    def warm_up():
        from ganpaint_engine import editing, prior
        prior.REFINE_STEPS, prior.PHOTO_STEPS, editing.EDIT_STEPS = 6, 10, 30
        editing.EDIT_TOLERANCE = 0.0
        work.warm_up()
    return dataclasses.replace(work, warm_up=warm_up)

lifecycle.serve(make_work=few_steps, device="cpu")
"""
ENGINES = {
    "engine": ["-c", FEW_STEPS],
    "stub": ["-m", "ganpaint_engine.service.stub", "--step-ms", "10"],
}


@pytest.fixture(scope="session", params=ENGINES)
def engine_home(request, tmp_path_factory, small_model):
    """The GANPAINT_HOME of a running engine: the real one on a small model, or the stub."""
    home = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPAINT_HOME", str(home))
        patch.setenv("OMP_NUM_THREADS", "1")
        if request.param == "engine":
            shutil.copytree(small_model, paths.user_models_dir() / "small")
        command = [sys.executable, *ENGINES[request.param]]
        root = {"PYTHONPATH": str(TESTS.parent)}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **root})
        try:
            until(lifecycle.running, "the engine's start")
        except AssertionError:
            process.kill()
            raise
    yield home
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.fixture
def kind(engine_home):
    return "stub" if engine_home.name.startswith("stub") else "engine"


@pytest.fixture
def model(kind):
    return {"stub": "stub", "engine": "small"}[kind]


@pytest.fixture
def raw(engine_home, monkeypatch):
    monkeypatch.setenv("GANPAINT_HOME", str(engine_home))
    with Raw(greet=False) as raw:
        yield raw


@pytest.fixture(params=[PyzmqPeer, BridgePeer], ids=["pyzmq", "bridge"])
def connect(request, engine_home, monkeypatch):
    """Makes connections; afterwards they are closed."""
    monkeypatch.setenv("GANPAINT_HOME", str(engine_home))
    made = []

    def connect(**options):
        made.append(request.param(**options))
        return made[-1]

    yield connect
    for peer in made:
        peer.close()


@pytest.fixture
def peer(connect):
    return connect()


_number = iter(range(1000))


@pytest.fixture
def scene():
    """A photo that no engine has seen before, and a soft stroke."""
    return new_scene()


def new_scene(channels=3):
    noise = np.random.default_rng(next(_number)).integers(0, 256, (96, 128, channels), np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[30:70, 40:90] = 255
    mask[28:30, 40:90] = 90
    return noise, mask
