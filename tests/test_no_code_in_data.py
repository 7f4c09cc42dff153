"""Nothing that is read can run: no pickle, no marshal, no shelve, anywhere in the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ("ganpaint_engine", "plugins", "training", "benchmarks", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
FORBIDDEN = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile"}
LOADERS = {"torch.load", "np.load", "numpy.load", "yaml.load"}


def name_of(node: ast.AST) -> str:
    """``a.b`` of an expression that is such a name."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def findings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            # The name of an exception that torch.load raises is all that pickle is good for.
            names = [a.name for a in node.names if a.name != "pickle" or a.asname]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (f"import {name}" for name in names if name.split(".")[0] in FORBIDDEN)
        if name_of(node).startswith("pickle.") and name_of(node) != "pickle.UnpicklingError":
            yield name_of(node)
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        if called == "torch.load":
            only = options.get("weights_only")
            if not (isinstance(only, ast.Constant) and only.value is True):
                yield "torch.load without weights_only=True"
        elif called in LOADERS:
            allowed = options.get("allow_pickle")
            if isinstance(allowed, ast.Constant) and allowed.value:
                yield f"{called} with allow_pickle"
            if called == "yaml.load":
                yield called
        elif called in BUILTINS:
            yield called


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_loads_what_could_run(source: Path) -> None:
    found = list(findings(ast.parse(source.read_text(encoding="utf-8"))))
    if source.is_relative_to(ROOT / "tests"):  # drivers inside the editors are run with exec
        found = [f for f in found if f not in BUILTINS | {"pickle.dumps", "pickle.dump"}]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle as p",
        "import pickle; pickle.load(file)",
        "from pickle import loads",
        "import marshal as m",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_the_check_sees(code: str) -> None:
    assert list(findings(ast.parse(code)))


def test_torch_refuses_a_pickle_that_would_run(tmp_path: Path) -> None:
    """What weights_only is for: a file whose loading would make another file."""
    import torch

    mark = tmp_path / "it-ran"
    # protocol 0: call posix.system with a command
    program = f"cposix\nsystem\n(S'touch {mark}'\ntR."
    (tmp_path / "evil.pt").write_bytes(program.encode())
    with pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(tmp_path / "evil.pt", weights_only=True)
    assert not mark.exists()
