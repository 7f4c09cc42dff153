"""One target under a coverage-guided fuzzer, Atheris (libFuzzer for Python).

``python -m benchmarks.fuzz`` starts this module once for each target: libFuzzer ends its process.
``python -m benchmarks.fuzz_guided TARGET FOLDER -runs=N -seed=S …``: any option of libFuzzer.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def main() -> None:
    """A finding ends the process with libFuzzer's report and a status other than 0."""
    name, folder, *options = sys.argv[1:]
    import atheris

    packages = ["ganpaint_bridge", "ganpaint_engine"]
    with atheris.instrument_imports(include=packages):
        from benchmarks import fuzz_targets

        # imported late by their targets: instrumented here
        from ganpaint_engine import model_package, pictures  # noqa: F401
        from ganpaint_engine.service import security  # noqa: F401
    target = fuzz_targets.TARGETS[name]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        with contextlib.suppress(fuzz_targets.Expected):
            target.run(data)

    os.chdir(corpus.parent)  # where a finding is written
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
