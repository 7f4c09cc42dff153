"""Fuzzing: ``python -m benchmarks.fuzz``. Fixed seeds; ends with status 1 when it finds something.

Each parser gets ``--count`` inputs (slower targets a share of it), each target then ``--guided``
more from Atheris, which follows the code's branches, and a running engine gets ``--live``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import fuzz_live
from benchmarks.fuzz_mutation import mutate
from benchmarks.fuzz_targets import TARGETS, Expected
from benchmarks.processes import own_home

_SLOWEST = 5.0  # seconds of processor time for one input: more is a hang
_GUIDED_MB = 2000


def memory() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def parser_run(name: str, count: int, seed: int) -> list[str]:
    """``count`` mutated inputs for one target; returns what was found."""
    target, rng = TARGETS[name], random.Random(seed)
    seeds = target.seeds()
    findings: list[str] = []
    taken, slowest, before = 0, 0.0, 0.0
    started, last = time.perf_counter(), time.process_time()
    for number in range(count):
        if number == count // 10:
            before = memory()
        data = seeds[number] if number < len(seeds) else mutate(rng, seeds, target.maps)
        try:
            target.run(data)
            taken += 1
        except Expected:
            pass
        except Exception as error:
            if len(findings) < 10:
                findings.append(f"{name}: {type(error).__name__}: {error} for {data[:60]!r}")
        now = time.process_time()
        slowest, last = max(slowest, now - last), now
    if slowest > _SLOWEST:
        findings.append(f"{name}: an input took {slowest:.1f} s")
    rate = count / (time.perf_counter() - started)
    print(
        f"{name:9} {count:9,} inputs  {taken:8,} taken  {rate:8,.0f}/s  slowest "
        f"{slowest * 1000:6.0f} ms  memory {before:6.0f} -> {memory():6.0f} MB"
        f"  {len(findings)} findings",
        flush=True,
    )
    return findings


def guided_run(name: str, count: int, seed: int) -> list[str]:
    """``count`` inputs for one target under Atheris; returns what was found."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ganpaint-guided-") as folder:
        corpus = Path(folder) / "corpus"
        command = [sys.executable, "-m", "benchmarks.fuzz_guided", name, str(corpus)]
        command += [f"-runs={count}", f"-seed={seed}", f"-rss_limit_mb={_GUIDED_MB}"]
        command += ["-timeout=20", "-max_len=20000", "-print_final_stats=1"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        kept = len(list(corpus.iterdir())) if corpus.is_dir() else 0
    lines = done.stderr.splitlines()
    covered = [line.split("cov: ")[1].split()[0] for line in lines if "cov: " in line]
    peak = [line.split()[-1] for line in lines if "peak_rss_mb" in line]
    rate = count / (time.perf_counter() - started)
    print(
        f"{name:9} {count:9,} guided  {kept:8,} kept   {rate:8,.0f}/s  branches "
        f"{covered[0] if covered else '?'} -> {covered[-1] if covered else '?'}"
        f"  peak memory {peak[-1] if peak else '?'} MB",
        flush=True,
    )
    if done.returncode == 0:
        return []
    return [f"{name}, guided: " + " | ".join(lines[-25:])]


def live_run(count: int, seed: int, real: bool) -> list[str]:
    """``count`` inputs against a running engine in a home of its own; returns what was found."""
    started = time.perf_counter()
    with own_home():
        outcome = fuzz_live.run(count, seed, real)
    rate = outcome.inputs / (time.perf_counter() - started)
    print(
        f"live      {outcome.inputs:9,} inputs  {rate:8,.0f}/s  memory {outcome.memory[0]:.0f} -> "
        f"{outcome.memory[1]:.0f} MB  open files "
        f"{outcome.files[0]} -> {outcome.files[1]}  {len(outcome.findings)} findings\n"
        f"          answers: {dict(outcome.answers.most_common())}, none: {outcome.unanswered}",
        flush=True,
    )
    return [f"live: {finding}" for finding in outcome.findings]


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all when none")
    parser.add_argument("--count", type=int, default=400_000, help="inputs for each parser")
    parser.add_argument("--guided", type=int, default=200_000, help="of Atheris, for each parser")
    parser.add_argument("--live", type=int, default=20_000, help="against a running engine")
    parser.add_argument("--real", action="store_true", help="live: the engine with its model")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    findings: list[str] = []
    names = options.targets or list(TARGETS)
    for name in names:
        if options.count:
            findings += parser_run(name, max(1, options.count // TARGETS[name].cost), options.seed)
    if options.guided and importlib.util.find_spec("atheris") is None:
        print("guided    left out: Atheris is not installed (pip install atheris)")
    elif options.guided:
        for name in names:
            count = max(1, options.guided // TARGETS[name].cost)
            findings += guided_run(name, count, options.seed)
    if options.live:
        findings += live_run(options.live, options.seed, options.real)
    for finding in findings:
        print(f"FOUND {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
