"""Downloads against a local server that resumes, stalls, truncates and lies."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import written_out
from file_server import FileServer

import ganpaint_engine as gp
from ganpaint_engine import cli, errors, model_package
from ganpaint_engine.published import catalogue, download, pulling
from ganpaint_engine.published.catalogue import Published
from ganpaint_engine.published.download import Patience
from ganpaint_engine.published.importing import import_file

IMPATIENT = Patience(silence=2.0, window=2.0, least=1000.0, tries=1)


def weight_file() -> bytes:
    file = io.BytesIO()
    torch.save(written_out.proggan([4, 5, 5, 6, 6, 4, 4]), file)
    return file.getvalue()


CONTENT = weight_file()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(CONTENT) as running:
        yield running


def published(*servers: FileServer) -> Published:
    return Published(
        name="church",
        title="A small church",
        file=f"proggan_church-{DIGEST[:8]}.pth",
        format="proggan",
        sha256=DIGEST[:8],
        bytes=None,
        max_bytes=1_000_000,
        terms="CC BY-NC 4.0",
        terms_url="https://example.org/terms",
        terms_text="Not commercial.",
        addresses=tuple(s.address.format(file="w.pth") for s in servers),
    )


def fetch(wanted: Published, folder: Path, patience: Patience = download.WAIT) -> Path:
    return download.fetch(wanted, folder, patience=patience)[0]


def part(wanted: Published, folder: Path) -> Path:
    return folder / f"{wanted.file}.part"


def begin(wanted: Published, folder: Path, content: bytes) -> None:
    """As if ``content`` had arrived earlier."""
    folder.mkdir(exist_ok=True)
    part(wanted, folder).write_bytes(content)


# -- all goes well, more or less -----------------------------------------------------------------


def test_whole_download_with_progress(server: FileServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    wanted = published(server)
    path, address = download.fetch(wanted, tmp_path, lambda *p: seen.append(p))
    assert path.read_bytes() == CONTENT
    assert address == wanted.addresses[0]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not part(wanted, tmp_path).exists()
    assert "ganpaint" in server.asked[0]["User-Agent"]
    assert download.fetch(wanted, tmp_path)[0] == path
    assert len(server.asked) == 1, "a whole file is not fetched again"


def test_resumes_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    server.cut_after, server.cuts = 3000, 1
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert [a.get("Range") for a in server.asked] == [None, "bytes=3000-"]
    assert server.asked[1]["If-Range"] == '"one"'


def test_a_stopped_download_is_kept_for_the_next_call(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(wanted, tmp_path, stop)
    kept = part(wanted, tmp_path).stat().st_size
    assert kept > 0
    part(wanted, tmp_path).write_bytes(CONTENT[:2500])
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == "bytes=2500-"


def test_a_server_that_ignores_range(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, CONTENT[:4000])
    server.ranges = False
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_what_is_there_survives_a_server_that_ignores_range_and_breaks(
    server: FileServer, tmp_path: Path
) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, CONTENT[:4000])
    server.ranges, server.cut_after = False, 1000
    with pytest.raises(errors.DownloadFailed, match="stopped at 1000"):
        fetch(wanted, tmp_path)
    assert part(wanted, tmp_path).read_bytes() == CONTENT[:4000]


def test_the_file_changed_on_the_server(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, b"old" * 1000)
    tag = f'{wanted.addresses[0]}\n"older"'
    part(wanted, tmp_path).with_name(f"{wanted.file}.part.etag").write_text(tag)
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("junk", [b"x" * 3000, b"x" * (len(CONTENT) + 5), CONTENT + b"x"])
def test_a_part_of_something_else_is_found_out_by_the_hash(
    server: FileServer, tmp_path: Path, junk: bytes
) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, junk)
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_the_whole(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, CONTENT)
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_mirrors_are_tried_in_turn(server: FileServer, tmp_path: Path) -> None:
    with FileServer(CONTENT) as gone, FileServer(b"other" * 999) as other:
        gone.status = 404
        path, address = download.fetch(published(gone, other, server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert address == server.address.format(file="w.pth")


def test_a_mirror_goes_on_where_another_broke(server: FileServer, tmp_path: Path) -> None:
    with FileServer(CONTENT) as broken:
        broken.cut_after, broken.ranges = 3000, False
        assert fetch(published(broken, server), tmp_path).read_bytes() == CONTENT
    assert server.asked[0]["Range"] == "bytes=3000-"
    assert "If-Range" not in server.asked[0], "the other address's tag says nothing here"


def test_length_is_not_told(server: FileServer, tmp_path: Path) -> None:
    server.no_length = True
    assert fetch(published(server), tmp_path).read_bytes() == CONTENT


# -- servers that fail or lie --------------------------------------------------------------------


def test_truncated(server: FileServer, tmp_path: Path) -> None:
    """The server never sends more than a part, and does not resume."""
    server.cut_after, server.ranges = 3000, False
    wanted = published(server)
    with pytest.raises(errors.DownloadFailed, match="stopped at 3000 of") as error:
        fetch(wanted, tmp_path)
    assert error.value.code == "download_failed"
    assert "are kept: run it again" in error.value.message
    assert part(wanted, tmp_path).read_bytes() == CONTENT[:3000]
    assert not (tmp_path / wanted.file).exists()


def test_truncated_without_saying_so(server: FileServer, tmp_path: Path) -> None:
    server.cut_after, server.no_length = 3000, True
    with pytest.raises(errors.HashMismatch, match="cut short"):
        fetch(published(server), tmp_path)


def test_another_file_under_the_right_name(server: FileServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    wanted = published(server)
    with pytest.raises(errors.HashMismatch, match=DIGEST[:8]) as error:
        fetch(wanted, tmp_path)
    assert error.value.code == "hash_mismatch"
    assert not part(wanted, tmp_path).exists()
    assert not (tmp_path / wanted.file).exists()


@pytest.mark.parametrize("after", [0, 3000])
def test_stalls(server: FileServer, tmp_path: Path, after: int) -> None:
    server.stall_after = after
    wanted = published(server)
    with pytest.raises(errors.DownloadStalled, match="stopped sending") as error:
        fetch(wanted, tmp_path, IMPATIENT)
    assert error.value.code == "download_stalled"
    server.stall_after = None
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1].get("Range") == (f"bytes={after}-" if after else None)


def test_drips(server: FileServer, tmp_path: Path) -> None:
    """A byte now and then is no progress."""
    server.drip = True
    with pytest.raises(errors.DownloadStalled):
        fetch(published(server), tmp_path, IMPATIENT)


def test_claims_more_than_allowed(server: FileServer, tmp_path: Path) -> None:
    server.claimed = 10**12
    wanted = published(server)
    with pytest.raises(errors.HashMismatch, match="Nothing was fetched"):
        fetch(wanted, tmp_path)
    assert not part(wanted, tmp_path).exists()


def test_sends_without_end(server: FileServer, tmp_path: Path) -> None:
    server.no_length, server.content = True, bytes(1_200_000)
    wanted = published(server)
    with pytest.raises(errors.HashMismatch, match="beyond the 1000000"):
        fetch(wanted, tmp_path)
    assert part(wanted, tmp_path).stat().st_size == 0


def test_claims_more_than_it_has(server: FileServer, tmp_path: Path) -> None:
    """It says 500 bytes more than it sends; asked for the rest, it has to admit that."""
    server.claimed = len(CONTENT) + 500
    assert fetch(published(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == f"bytes={len(CONTENT)}-"


def test_claims_less_than_it_has(server: FileServer, tmp_path: Path) -> None:
    server.claimed = 1000
    with pytest.raises(errors.HashMismatch):
        fetch(published(server), tmp_path)


def test_another_size_than_published(server: FileServer, tmp_path: Path) -> None:
    size = len(CONTENT) + 1
    wanted = dataclasses.replace(published(server), bytes=size, max_bytes=size)
    with pytest.raises(errors.HashMismatch, match=f"where {size} are right"):
        fetch(wanted, tmp_path)


def test_another_part_than_asked_for(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    begin(wanted, tmp_path, CONTENT[:3000])
    server.wrong_range = True
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert [a.get("Range") for a in server.asked] == ["bytes=3000-", None]


def test_redirects_to_a_page(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)
    server.redirect = server.address.replace("models/{file}", "page")
    with pytest.raises(errors.DownloadFailed, match="web page"):
        fetch(wanted, tmp_path)
    server.redirect, server.content = "", b"\n<!DOCTYPE html><html>Please log in</html>"
    with pytest.raises(errors.DownloadFailed, match="web page"):
        fetch(wanted, tmp_path)
    assert not (tmp_path / wanted.file).exists()


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_refuses(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(errors.DownloadFailed, match=str(status)):
        fetch(published(server), tmp_path)


def test_nobody_is_there(tmp_path: Path) -> None:
    with FileServer(b"") as gone:
        wanted = published(gone)
    with pytest.raises(errors.DownloadFailed, match="cannot be reached"):
        fetch(wanted, tmp_path)


# -- the disk, and two at once -------------------------------------------------------------------


def test_too_little_room(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(errors.DiskFull, match="are free"):
        fetch(published(server), tmp_path)


def test_the_disk_fills_up_midway(server: FileServer, tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: writing fails midway, as it does there."""
    wanted = published(server)
    begin(wanted, tmp_path, CONTENT[:2000])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, old[1]))
    try:
        with pytest.raises(errors.DiskFull, match="are kept"):
            fetch(wanted, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert part(wanted, tmp_path).read_bytes() == CONTENT[: part(wanted, tmp_path).stat().st_size]
    assert part(wanted, tmp_path).stat().st_size >= 2000
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_two_pulls_of_one_file(server: FileServer, tmp_path: Path) -> None:
    wanted = published(server)

    def meanwhile(done: int, total: int | None) -> None:
        with pytest.raises(errors.DownloadFailed, match="Another pull"):
            fetch(wanted, tmp_path)

    download.fetch(wanted, tmp_path, meanwhile)


# -- from the table to a model -------------------------------------------------------------------


def test_pull_makes_a_model_and_pins_the_whole_hash(server: FileServer) -> None:
    wanted = published(server)
    info = pulling.pull(wanted)
    assert info.name == "church"
    assert not info.prepared
    assert info.card["terms"] == "CC BY-NC 4.0"
    assert info.card["source"]["sha256"] == DIGEST
    assert info.card["source"]["address"] == wanted.addresses[0]
    assert gp.load_model("church").sample(1)[0].size == (16, 16)
    assert [p for p in pulling.downloads_dir().iterdir() if p.suffix != ".lock"] == []
    with pytest.raises(errors.ModelExists):
        pulling.pull(wanted)
    assert len(server.asked) == 1, "a taken name is told before anything is fetched"
    again = pulling.pull(wanted, replace=True)
    assert pulling._pinned(wanted, "church").sha256 == again.card["source"]["sha256"] == DIGEST


def test_a_pull_that_fails_leaves_no_model(server: FileServer) -> None:
    server.content = b"x" * 5000
    with pytest.raises(errors.HashMismatch):
        pulling.pull(published(server))
    assert [info.name for info in gp.list_models()] == ["churches"]


@pytest.fixture
def table(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """The catalogue holds one file, on the local server."""
    wanted = published(server)
    path = tmp_path / "catalogue.toml"
    path.write_text(
        f"""
        [sets.s]
        title = "{wanted.title}"
        terms = "{wanted.terms}"
        terms_url = "{wanted.terms_url}"
        terms_text = "{wanted.terms_text}"
        format = "proggan"
        max_bytes = 1_000_000
        addresses = ["{server.address}"]
        [models.church]
        set = "s"
        file = "{wanted.file}"
        sha256 = "{wanted.sha256}"
        """
    )
    monkeypatch.setattr(catalogue, "TABLE", path)
    return wanted


def test_nothing_is_fetched_before_the_terms_are_accepted(
    table: Published,
    server: FileServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal: nobody can agree
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "pull", "church"])
    shown = capsys.readouterr()
    assert end.value.code == 1
    assert "[terms_not_accepted]" in shown.err
    assert "Not commercial." in shown.out
    assert "CC BY-NC 4.0: https://example.org/terms" in shown.out
    assert server.asked == []
    for answer, code in (("n\n", 1), ("y\n", 0)):
        stdin = io.StringIO(answer)
        stdin.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SystemExit) as end:
            cli.main(["models", "pull", "church"])
        assert end.value.code == code
        assert bool(server.asked) == (answer == "y\n")
    assert "ganpaint models prepare church" in capsys.readouterr().out


def test_accepted_terms_and_another_name(
    table: Published, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "pull", "church", "--accept-terms", "--name", "mine"])
    assert end.value.code == 0
    assert model_package.find_model("mine").card["source"]["published"] == "church"


def test_importing_a_published_file_from_disk(table: Published, tmp_path: Path) -> None:
    """Offline: the same file, known by its hash, brings its terms; another one is found out."""
    path = tmp_path / table.file
    path.write_bytes(CONTENT)
    info = import_file(path, name="offline")
    assert info.card["terms"] == "CC BY-NC 4.0"
    assert info.card["source"]["published"] == "church"
    other = io.BytesIO()
    torch.save(written_out.proggan([4] * 7), other)
    path.write_bytes(other.getvalue())
    with pytest.raises(errors.HashMismatch, match="not the published file"):
        import_file(path, name="other")


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["models", "pull", "cathedral", "--accept-terms"])
    assert end.value.code == 1
    assert "[unknown_model]" in capsys.readouterr().err


def test_the_table_that_is_shipped() -> None:
    known = catalogue.read()
    assert list(known) == [
        *("church", "kitchen", "bedroom", "livingroom"),
        *("diningroom", "conferenceroom", "restaurant"),
    ]
    for entry in known.values():
        assert entry.file == f"{entry.file.rsplit('-', 1)[0]}-{entry.sha256}.pth"
        assert len(entry.sha256) == 8
        assert "NC" in entry.terms
        assert "NOT COMMERCIAL" in entry.terms_text
        assert len(entry.addresses) >= 2
        assert all(address.endswith(f"/{entry.file}") for address in entry.addresses)


def test_reading_the_table_needs_no_torch() -> None:
    code = "import sys, ganpaint_engine.published.pulling as p; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
