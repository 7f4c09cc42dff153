"""GIMP finds the plug-in once it is installed, the newer one after an update, none afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import GIMP_VERSIONS, Stage

from ganpaint_engine import plugins

pytestmark = pytest.mark.editors

# Writes down what GIMP knows of the plug-in: nothing, or what its main procedure says of itself.
_ASK = """
procedure = Gimp.get_pdb().lookup_procedure("plug-in-ganpaint-edit")
with open("{file}", "w") as file:
    file.write(procedure.get_blurb() if procedure is not None else "none")
"""


def blurb(stage: Stage, home: Path, name: str) -> str:
    """What GIMP with this HOME says."""
    file = stage.folder / name
    script = stage.folder / f"{name}.py"
    script.write_text(_ASK.format(file=file))
    code = f"exec(open('{script}').read())"
    options = ["-i", "--quit", "--batch-interpreter=python-fu-eval", "-b", code]
    assert stage.run("gimp-console", *options, log="install.log", HOME=str(home)) == 0
    return file.read_text()


def test_install_update_uninstall(stage: Stage) -> None:
    home = stage.folder / "fresh-home"
    copies = [
        plugins.install("gimp", home / ".config/GIMP" / version)[0] for version in GIMP_VERSIONS
    ]
    first = blurb(stage, home, "installed")
    assert first.startswith("Add, remove or change")
    for copy in copies:  # as an older version would have it
        file = copy.plugin_dir / "ganpaint.py"
        file.write_text(file.read_text().replace("Add, remove or change", "Old: change"))
    assert blurb(stage, home, "older").startswith("Old: change")
    for version in GIMP_VERSIONS:
        plugins.install("gimp", home / ".config/GIMP" / version)
    assert blurb(stage, home, "updated") == first
    for version in GIMP_VERSIONS:
        plugins.uninstall("gimp", home / ".config/GIMP" / version)
    assert blurb(stage, home, "uninstalled") == "none"
    assert not [path for path in home.rglob("*ganpaint*") if path.name != "pluginrc"]
