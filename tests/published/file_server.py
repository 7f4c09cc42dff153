"""A local HTTP server for one file, that can resume and misbehave in every way that is tested."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer(ThreadingHTTPServer):
    """Serves ``content`` at any path but /page. What it does wrong is set by its attributes.

    asked: the headers of every request, in order.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.asked: list[dict[str, str]] = []
        self.etag = '"one"'
        self.ranges = True  # whether it resumes
        self.status = 0  # answer with this error
        self.cut_after: int | None = None  # close after so many bytes of a body
        self.cuts = 10**9  # so many times
        self.stall_after: int | None = None  # send so many bytes, then nothing more
        self.drip = False  # a byte now and then
        self.claimed: int | None = None  # the Content-Length told
        self.no_length = False
        self.redirect = ""
        self.content_type = "application/octet-stream"
        self.wrong_range = False  # answers with another part than asked for
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models/{{file}}"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        self.close_connection = True
        server.asked.append(dict(self.headers.items()))
        if self.path == "/page":
            return self._answer(200, b"<!DOCTYPE html><title>Moved</title>", "text/html", {})
        if server.redirect:
            return self._answer(302, b"", "text/plain", {"Location": server.redirect})
        if server.status:
            return self._answer(server.status, b"no", "text/plain", {})
        start, asked = 0, self.headers.get("Range", "")
        fresh = self.headers.get("If-Range", server.etag) == server.etag
        if asked and server.ranges and fresh:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                extent = {"Content-Range": f"bytes */{len(server.content)}"}
                return self._answer(416, b"", "text/plain", extent)
        extra = {"ETag": server.etag} if server.etag else {}
        if start:
            first = start + 1 if server.wrong_range else start
            end = len(server.content)
            extra["Content-Range"] = f"bytes {first}-{end - 1}/{end}"
        body = server.content[start:]
        self._answer(206 if start else 200, body, server.content_type, extra)

    def _answer(self, status: int, body: bytes, kind: str, extra: dict[str, str]) -> None:
        server = self.server
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if not server.no_length:
            self.send_header("Content-Length", str(server.claimed or len(body)))
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if server.drip:
            for i in range(len(body)):
                self.wfile.write(body[i : i + 1])
                if server.released.wait(0.05):
                    return
        if server.stall_after is not None:
            self.wfile.write(body[: server.stall_after])
            self.wfile.flush()
            server.released.wait(60)
            return
        if server.cut_after is not None and server.cuts > 0:
            server.cuts -= 1
            body = body[: server.cut_after]
        self.wfile.write(body)
        self.wfile.flush()
        time.sleep(0)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
