"""The bridge runs in interpreters that the product does not choose."""

import ast
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bridges import end_engine

BRIDGE = Path(__file__).resolve().parents[2] / "plugins" / "bridge" / "ganpaint_bridge"
SOURCES = sorted(BRIDGE.glob("*.py"))
VERSIONS = [f"python3.{minor}" for minor in range(8, 15)]


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_syntax_of_python_3_8_and_standard_imports(source):
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert set(imports(tree)) <= sys.stdlib_module_names


def test_sources_were_found():
    assert {"engine.py", "zmtp.py", "msgpack_lite.py"} <= {path.name for path in SOURCES}


def interpreter(name):
    """A Python of that version on this machine: on the PATH, or among pyenv's."""
    found = shutil.which(name)
    candidates = [found] if found else []
    candidates += Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}.*/bin/python")
    code = f"import sys; sys.exit('python%d.%d' % sys.version_info[:2] != '{name}')"
    for candidate in candidates:
        if (
            subprocess.run([candidate, "-c", code], check=False, capture_output=True).returncode
            == 0
        ):
            return str(candidate)
    return None


@pytest.mark.parametrize("name", VERSIONS)
def test_all_of_it_in_each_python(home, name):
    """Edits, previews, cancel, doctor, settings, words: with the stub engine, which it starts."""
    python = interpreter(name)
    if python is None:
        pytest.skip(f"{name} is not on this machine")
    stub = shlex.join([sys.executable, "-m", "ganpaint_engine.service.stub", "--step-ms", "2"])
    environment = {**os.environ, "GANPAINT_ENGINE": stub, "PYTHONPATH": ""}
    # -S: no installed packages; -W error: no leaked sockets, no deprecated syntax
    script = Path(__file__).with_name("other_python.py")
    command = [python, "-W", "error", "-S", str(script), str(BRIDGE.parent)]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=120, env=environment
        )
    finally:
        end_engine()
    assert done.returncode == 0, done.stderr
    assert f"all of it on {name.replace('python', 'Python ')}" in done.stdout
