import os
import sys
from pathlib import Path

os.environ["LANGUAGE"] = "en"  # what the tests read

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(TESTS / "service"),
    str(TESTS / "bridge"),
    str(TESTS.parent / "plugins" / "bridge"),
]

from engines import engine, own_engine, shared_engine  # noqa: E402

__all__ = ["engine", "own_engine", "shared_engine"]
