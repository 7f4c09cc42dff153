"""How the threads of numeric libraries wait: asleep.

libgomp's threads wait for each other by spinning. Where two programs compute on the same cores, or
OpenBLAS's threads wait beside torch's, each spins away the time that the other needs: previews took
tenfold (docs/performance.md). The libraries read this when they are loaded, so it is set before
anything imports numpy or torch; who has set it otherwise keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


def asleep(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process whose waiting threads sleep."""
    return {**ASLEEP, **environment}


def wait_asleep() -> None:
    """The same for this process."""
    os.environ.update(asleep(os.environ))
