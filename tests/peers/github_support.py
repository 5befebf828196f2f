"""The emulated GitHub behind a Unix socket, which ``gh`` can use, or behind a port."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from coatcheck._protocol.effects import Request
from coatcheck.testing import GithubEmulator


class Socket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A server on a Unix socket that accepts every host name."""

    daemon_threads = True


class Bridge(BaseHTTPRequestHandler):
    """A request handler that passes requests to the emulator."""

    protocol_version = "HTTP/1.1"
    emulator: GithubEmulator

    def answer(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        response = self.emulator.handle(
            Request(
                self.command,
                parts.path,
                query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
                headers=tuple((name.lower(), value) for name, value in self.headers.items()),
                body=self.rfile.read(int(self.headers.get("content-length") or 0)),
            )
        )
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = answer  # noqa: N815 - what http.server looks for

    def address_string(self) -> str:
        """Return a fixed text, because a Unix socket has no address."""
        return "gh"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def on_socket(emulator: GithubEmulator, path: Path) -> Iterator[None]:
    """Serve *emulator* on the socket at *path*."""
    with Socket(str(path), type("Bound", (Bridge,), {"emulator": emulator})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(5)
