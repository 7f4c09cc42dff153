"""What a person waits for in the real editors, with a 24-megapixel photo of 16 bits.

    python -m benchmarks.editors [gimp] [krita] [--chroot DIR]

Runs the editors of the tests in real editors (tests/hosts; as root) on a display of its own, with
the plug-in, the product's engine and the bundled model, and prints a table in Markdown for each.
The engine starts cold: its files may be in the system's cache, its process is not there.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks import editor_gimp, editor_krita
from benchmarks.kill_gimp import hosts

HOSTS = {"gimp": editor_gimp.table, "krita": editor_krita.table}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("host", nargs="*", help="gimp, krita; both by default")
    parser.add_argument("--chroot", type=Path, help="of the editors; set up if need be")
    options = parser.parse_args()
    unknown = set(options.host) - set(HOSTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    tests = hosts()
    chroot = options.chroot or tests.chroot_folder()
    subprocess.run([tests.HERE / "editors", "setup", chroot], check=True)
    for host in options.host or sorted(HOSTS):
        with tempfile.TemporaryDirectory(prefix="ganpaint-editors-") as folder:
            print(HOSTS[host](chroot, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
