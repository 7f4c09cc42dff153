"""Threads that wait sleep, in every process of ours."""

import os
import subprocess
import sys

import pytest

from ganpaint_engine import threads

ASK = """
import os, sys
from ganpaint_engine import cli
assert not {"numpy", "torch"} & set(sys.modules), "they read it when they are loaded"
try:
    cli.main(["--version"])
except SystemExit:
    pass
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(
    ("own", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_the_command_line_sets_it_unless_it_is_set(own: dict[str, str], found: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in threads.ASLEEP} | own
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == found


def test_an_environment_keeps_what_it_has() -> None:
    made = threads.asleep({"OPENBLAS_NUM_THREADS": "4", "HOME": "there"})
    assert made == {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "4", "HOME": "there"}
