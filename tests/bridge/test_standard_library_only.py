"""The bridge runs in interpreters that the product does not choose."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BRIDGE = Path(__file__).resolve().parents[2] / "plugins" / "bridge" / "ganpaint_bridge"
SOURCES = sorted(BRIDGE.glob("*.py"))
OLD = [f"python3.{minor}" for minor in (8, 9, 10, 12, 13, 14)]


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


@pytest.mark.parametrize("name", OLD)
def test_an_edit_from_another_python(engine, name):
    python = interpreter(name)
    if python is None:
        pytest.skip(f"{name} is not on this machine")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ganpaint_bridge import Engine, run\n"
        "engine = Engine('test', start=False)\n"
        "job = engine.submit(concept='tree', operation='add',"
        " image=(bytes(range(12)), 2, 2, 3), mask=(b'\\xff' * 4, 2, 2))\n"
        "result = run(engine, job)\n"
        "assert result.frames[0] == bytes([0,1,2,255,3,4,5,255,6,7,8,255,9,10,11,255])\n"
        "engine.close()\n"
    )
    # -S: no installed packages; -W error: no leaked sockets, no deprecated syntax
    command = [python, "-W", "error", "-S", "-c", code, str(BRIDGE.parent)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
