"""Fetching feature networks, from a local server."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
from file_server import FileServer

from ganpaint_engine import cli, errors, paths
from ganpaint_engine.published import catalogue

CONTENT = b"weights, or so " * 400


def test_vgg16_is_described_as_it_is_published() -> None:
    wanted = catalogue.find("vgg16", catalogue.FEATURES)
    assert wanted.file == f"vgg16-{wanted.sha256}.pth"
    assert wanted.bytes == 553_433_881
    assert wanted.addresses == ("https://download.pytorch.org/models/vgg16-397923af.pth",)
    assert "vgg16" not in catalogue.read(), "it is no model"
    with pytest.raises(errors.UnknownModel, match="vgg16"):
        catalogue.find("vgg99", catalogue.FEATURES)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> "FileServer":
    real = catalogue.find("vgg16", catalogue.FEATURES)
    with FileServer(CONTENT) as server:
        changed = dataclasses.replace(
            real,
            sha256=hashlib.sha256(CONTENT).hexdigest()[:8],
            bytes=len(CONTENT),
            addresses=(server.address.format(file=real.file),),
        )
        monkeypatch.setattr(catalogue, "read", lambda kind="models": {"vgg16": changed})
        yield server


def run(*arguments: str) -> int:
    try:
        cli.main(["features", *arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def test_pull_fetches_after_the_terms_and_checks(
    served: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull") == 1
    assert "terms_not_accepted" in capsys.readouterr().err
    assert not served.asked, "nothing is fetched unasked"
    assert run("pull", "vgg16", "--accept-terms") == 0
    path: Path = paths.features_dir() / "vgg16-397923af.pth"
    assert path.read_bytes() == CONTENT
    capsys.readouterr()
    assert run("list") == 0
    assert "; here" in capsys.readouterr().out.split("vgg16")[-1]


def test_a_file_of_another_size_or_hash_is_refused(
    served: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = catalogue.read()["vgg16"]
    for wrong in ({"bytes": len(CONTENT) + 1}, {"sha256": "00000000"}):
        changed = dataclasses.replace(right, **wrong)
        monkeypatch.setattr(catalogue, "read", lambda kind="models", c=changed: {"vgg16": c})
        assert run("pull", "--accept-terms") == 1
        assert "hash_mismatch" in capsys.readouterr().err
        assert not list(paths.features_dir().glob("*.pth"))
