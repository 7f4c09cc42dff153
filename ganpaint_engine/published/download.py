"""Fetch a published file: resumed where it stopped, bounded in size and time, checked by its hash.

What has arrived lies in ``FILE.part`` until the whole file's hash agrees; only then does it get its
name. Stopping at any point keeps the ``.part``, and the next call goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock

from ganpaint_engine import __version__
from ganpaint_engine.errors import (
    DiskFull,
    DownloadFailed,
    DownloadStalled,
    GanpaintError,
    HashMismatch,
)
from ganpaint_engine.published.catalogue import Published

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes at hand and the bytes in all, none while that is not known."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    silence: seconds without an answer, or without a byte, after which it counts as stalled.
    window: seconds after which it does, too, if fewer than ``least`` bytes per second came in them.
    tries: per address, for as long as they bring bytes.
    """

    silence: float = 30.0
    window: float = 60.0
    least: float = 100.0
    tries: int = 5


WAIT = Patience()


def fetch(
    published: Published,
    folder: Path,
    on_progress: OnProgress = lambda done, total: None,
    patience: Patience = WAIT,
) -> tuple[Path, str]:
    """The whole, verified file in ``folder``, and the address it came from.

    The addresses are tried in turn; a file that is there already is not fetched again. Raises
    DownloadFailed, DownloadStalled, HashMismatch, DiskFull: those of the last address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / published.file
    lock = filelock.FileLock(folder / f"{published.file}.lock")
    try:
        with lock.acquire(timeout=0):
            if whole.is_file() and _agrees(published, whole):
                return whole, "a file that was fetched before"
            return whole, _from_any(published, whole, on_progress, patience)
    except filelock.Timeout as error:
        raise DownloadFailed(f"Another pull is fetching {published.file} right now.") from error


def _from_any(
    published: Published, whole: Path, on_progress: OnProgress, patience: Patience
) -> str:
    """Fetch to ``whole`` from the first address that has the right file; that address."""
    failures: list[GanpaintError] = []
    for address in published.addresses:
        try:
            _Transfer(published, address, whole, on_progress, patience).run()
        except (DownloadFailed, DownloadStalled, HashMismatch) as error:
            failures.append(error)
        else:
            return address
    last = failures[-1]
    tried = " ".join(failure.message for failure in failures)
    part = whole.with_name(whole.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    kept = f" {have / 1e6:.1f} MB are kept: run it again to go on." if have else ""
    raise type(last)(f"{tried}{kept}", file=published.file)


def _agrees(published: Published, path: Path) -> bool:
    with path.open("rb") as file:
        return published.agrees(hashlib.file_digest(file, "sha256").hexdigest())


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins so is a web page."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script"))


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to something weaker."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # fmt: skip  # noqa: E501
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise DownloadFailed(f"{req.full_url} leads away from https, to {newurl}.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Transfer:
    """One file from one address."""

    def __init__(
        self,
        published: Published,
        address: str,
        whole: Path,
        on_progress: OnProgress,
        patience: Patience,
    ) -> None:
        self.published = published
        self.address = address
        self.whole = whole
        self.part = whole.with_name(whole.name + ".part")
        self.tag = whole.with_name(whole.name + ".part.etag")
        self.on_progress = on_progress
        self.patience = patience
        self.resumed = self._have() > 0

    def run(self) -> None:
        """Fetch, verify, and give the file its name."""
        self._until_whole()
        fault = self._fault()
        if fault and self.resumed:  # what was there already may have been another file's
            self._forget()
            self._until_whole()
            fault = self._fault()
        if fault:
            self._forget()
            raise HashMismatch(
                f"{self.address}: {self.published.file} {fault}. It is another file, was cut "
                "short, or was changed on the way; it was deleted."
            )
        self.part.replace(self.whole)
        self.tag.unlink(missing_ok=True)

    def _until_whole(self) -> None:
        """Try as often as each try brings more of the file."""
        for tries_left in reversed(range(self.patience.tries)):
            before = self._have()
            try:
                return self._once()
            except (DownloadFailed, DownloadStalled):
                began_anew = before > 0 and self._have() == 0
                if not tries_left or not (began_anew or self._have() > before):
                    raise

    def _fault(self) -> str | None:
        """What is wrong with the fetched file."""
        size = self.published.bytes
        if size is not None and self._have() != size:
            return f"has {self._have()} bytes where {size} are right"
        if not _agrees(self.published, self.part):
            return f"does not have the published hash {self.published.sha256}…"
        return None

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def _once(self) -> None:
        have = self._have()
        headers = {
            "User-Agent": f"ganpaint-engine/{__version__}",
            "Accept-Encoding": "identity",
        }
        if have:
            headers["Range"] = f"bytes={have}-"
            # Another address may have another tag for the same file: there the hash decides.
            address, _, tag = self._read_tag().partition("\n")
            if tag and address == self.address:
                headers["If-Range"] = tag
        request = urllib.request.Request(self.address, headers=headers)
        try:
            opener = urllib.request.build_opener(_NoDowngrade())
            with opener.open(request, timeout=self.patience.silence) as response:
                self._take(response, have)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and self._is_whole(error.headers, have):
                    return
                if error.code == 416:
                    self._forget()
                raise DownloadFailed(
                    f"{self.address}: the server says {error.code} {error.reason}."
                ) from error
        except TimeoutError as error:
            raise self._stalled() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._stalled() from error
            raise DownloadFailed(f"{self.address} cannot be reached: {error.reason}.") from error
        except (http.client.HTTPException, ConnectionError, ValueError) as error:
            raise DownloadFailed(f"{self.address}: the connection broke: {error!r}.") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise DiskFull(
                    f"The disk of {self.whole.parent} is full. {self._have() / 1e6:.1f} MB of "
                    f"{self.published.file} are kept: make room, and run it again to go on."
                ) from error
            raise DownloadFailed(f"{self.address}: {error}.") from error

    def _read_tag(self) -> str:
        return self.tag.read_text(encoding="utf-8") if self.tag.exists() else ""

    def _is_whole(self, headers: Any, have: int) -> bool:
        return bool(headers.get("Content-Range", "") == f"bytes */{have}")

    def _stalled(self) -> DownloadStalled:
        return DownloadStalled(f"{self.address}: the server stopped sending.")

    def _take(self, response: Any, have: int) -> None:
        """Check what the answer promises, then write what it brings."""
        if "html" in response.headers.get("Content-Type", ""):
            raise self._page()
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed(f"{self.address}: the server packs the file, unasked.")
        have, total = self._extent(response, have)
        self._check_total(total, have)
        tag = response.headers.get("ETag", "")
        tag = "" if tag.startswith("W/") else tag  # weak tags do not promise the same bytes
        tag = tag or response.headers.get("Last-Modified", "")
        self.tag.write_text(f"{self.address}\n{tag}", encoding="utf-8")
        # A server that does not resume sends what is there already once more: the rest is kept in
        # place, in case it stops before it gets as far again.
        with self.part.open("r+b" if self.part.exists() else "wb") as file:
            file.seek(have)
            self._write(response, file, have, total)

    def _extent(self, response: Any, have: int) -> tuple[int, int | None]:
        """Where the answer's body begins in the file, and the file's size if it is told.

        It begins at 0 where the server does not resume, or its file has changed.
        """
        length = response.headers.get("Content-Length")
        if response.status != 206:
            return 0, int(length) if length and length.isdecimal() else None
        found = re.fullmatch(
            r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "")
        )
        if found is None or int(found.group(1)) != have:
            self._forget()
            raise DownloadFailed(f"{self.address}: the server sends another part than asked for.")
        return have, None if found.group(3) == "*" else int(found.group(3))

    def _check_total(self, total: int | None, have: int) -> None:
        limit = self.published.max_bytes
        if total is not None and total > limit:
            raise HashMismatch(
                f"{self.address}: the server says {total} bytes; {self.published.file} has at "
                f"most {limit}. Nothing was fetched."
            )
        free = shutil.disk_usage(self.part.parent).free
        if total is not None and free < total - have:
            raise DiskFull(
                f"{self.published.file} needs {(total - have) / 1e6:.0f} MB more in "
                f"{self.part.parent}; {free / 1e6:.0f} MB are free."
            )

    def _write(self, response: Any, file: Any, have: int, total: int | None) -> None:
        window_start, window_bytes = time.monotonic(), 0
        while chunk := response.read1(_CHUNK):
            if have == 0 and is_web_page(chunk):
                raise self._page()
            have += len(chunk)
            if have > self.published.max_bytes:
                file.truncate(0)
                raise HashMismatch(
                    f"{self.address}: the server goes on beyond the {self.published.max_bytes} "
                    f"bytes that {self.published.file} has at most; what came was deleted."
                )
            file.write(chunk)
            self.on_progress(have, total)
            window_bytes += len(chunk)
            passed = time.monotonic() - window_start
            if passed > self.patience.window:
                if window_bytes < self.patience.least * passed:
                    raise self._stalled()
                window_start, window_bytes = time.monotonic(), 0
        if total is not None and have < total:
            raise DownloadFailed(f"{self.address}: the server stopped at {have} of {total} bytes.")
        file.truncate(have)

    def _page(self) -> DownloadFailed:
        return DownloadFailed(f"{self.address} leads to a web page, not to the file.")
