"""What the quick commands load: the figures themselves are measured by benchmarks.startup."""

import subprocess
import sys

SLOW = {"torch", "torchvision", "numpy", "cv2", "PIL", "zmq", "msgpack", "rich", "safetensors"}


def loaded(*arguments: str) -> set[str]:
    """The top-level packages that a command has imported when it ends."""
    code = (
        "import sys; from ganpaint_engine import cli\n"
        "try: cli.app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('loaded', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("loaded ")[2].split())


def test_help_loads_nothing_slow() -> None:
    assert "typer" in loaded("--help")
    for arguments in (["--help"], ["edit", "--help"], ["models", "--help"], ["keys", "--help"]):
        assert not loaded(*arguments) & SLOW, arguments


def test_importing_the_package_loads_nothing_slow() -> None:
    code = "import sys, ganpaint_engine; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & SLOW
