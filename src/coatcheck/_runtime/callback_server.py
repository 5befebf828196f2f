"""The server on loopback to which a browser is redirected with an authorization code (RFC 8252 7.3).

Invariants:

- it binds 127.0.0.1, serves one path, and shows no code and no token;
- a request with another state is refused, and the server continues to wait.
"""

from __future__ import annotations

import hmac
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar, cast
from urllib.parse import parse_qs, urlsplit

from .. import errors
from .._protocol.decode import scrub

HOST = "127.0.0.1"
# A browser sends its request at once; a connection without a request is closed after this (seconds).
READ_TIMEOUT = 5.0

PAGE = "<!doctype html><meta charset=utf-8><title>coatcheck</title><p>{}</p>"


class CallbackServer:
    """Waits for one code. Tries *ports* in order; without any, a free one."""

    def __init__(self, path: str, ports: tuple[int, ...], state: str) -> None:
        self._server = _listen(ports or (0,))
        self._server.expected = (path, state)
        self._path = path

    @property
    def redirect(self) -> str:
        """Where the browser is sent."""
        return f"http://{HOST}:{self._server.server_port}{self._path}"

    def wait(self, seconds: float) -> str | None:
        """Serve at most one request within so many seconds and return the code if it brought one.

        Raises `CredentialsError` where the person or the service refused.
        """
        self._server.timeout = seconds
        self._server.handle_request()
        if self._server.refusal is not None:
            raise errors.CredentialsError(f"the login was refused: {self._server.refusal}", remedy="try again")
        return self._server.code

    def close(self) -> None:
        """Free the port."""
        self._server.server_close()


class _Server(HTTPServer):
    expected: tuple[str, str] = ("", "")
    code: str | None = None
    refusal: str | None = None
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a browser that disconnects is no error."""


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_TIMEOUT
    server_version: ClassVar[str] = "coatcheck"  # type: ignore[misc]
    sys_version: ClassVar[str] = ""  # type: ignore[misc]

    def do_GET(self) -> None:
        """Accept a code that has our state."""
        server = cast("_Server", self.server)
        path, state = server.expected
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path != path:
            return self._answer(404, "There is nothing here.")
        if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
            return self._answer(400, "This is not the login that is waited for.")
        if "code" in query and "error" not in query:
            server.code = query["code"]
            return self._answer(200, "Logged in. You can close this window and go back to your terminal.")
        server.refusal = scrub(query.get("error_description") or query.get("error") or "no code came back")[:200]
        return self._answer(400, "The login was refused. Your terminal says more.")

    def _answer(self, status: int, text: str) -> None:
        body = PAGE.format(text).encode()
        self.send_response(status)
        for name, value in {
            "content-type": "text/html; charset=utf-8",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the request's line holds the code."""


def _listen(ports: tuple[int, ...]) -> _Server:
    for port in ports:
        try:
            return _Server((HOST, port), _Handler)
        except OSError:
            continue
    raise errors.CredentialsError(
        f"ports {' and '.join(map(str, ports))} are taken, and the login service sends browsers to no other",
        remedy="end the login that waits there, or log in with --device-code",
    )
