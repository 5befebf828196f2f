"""Connections have deadlines and a limit, and what is malformed is a 4xx."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest
import uvicorn
from uvicorn.server import ServerState

from coatcheck._protocol.effects import Request, Response
from coatcheck._server.handler_app import STREAM_THREADS, HandlerApp
from coatcheck._server.http_protocol import Limits, LogLimit, TransportProtocol
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.scripted_cloud import ScriptedCloud

HEAD = b"GET /x HTTP/1.1\r\nhost: localhost\r\n"
LIMITS = Limits(headers=10, body=30, drain=20, write=60, connections=2)


class FakeTimer:
    """A deadline that passes when the test triggers it."""

    def __init__(self, seconds: float, callback: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.seconds, self.is_cancelled = seconds, False
        self._callback, self._arguments = callback, arguments

    def cancel(self) -> None:
        self.is_cancelled = True

    def fire(self) -> None:
        self._callback(*self._arguments)


class FakeTask:
    """A request that is answered for ever."""

    def add_done_callback(self, callback: object) -> None: ...


class FakeLoop:
    """As much of an event loop as a protocol needs; `timers` are its deadlines."""

    def __init__(self) -> None:
        self.timers: list[FakeTimer] = []
        self.now = 0.0

    def time(self) -> float:
        self.now += 1
        return self.now

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> FakeTimer:
        self.timers.append(FakeTimer(seconds, callback, arguments))
        return self.timers[-1]

    def create_task(self, coroutine: Any, **_: Any) -> Any:
        coroutine.close()
        return FakeTask()

    @property
    def pending(self) -> list[float]:
        return [timer.seconds for timer in self.timers if not timer.is_cancelled]


class FakeTransport:
    """A socket that keeps what is written."""

    def __init__(self) -> None:
        self.written, self.is_aborted, self.is_closed = b"", False, False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_aborted = self.is_closed = True

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def no_app(_scope: object, _receive: object, _send: object) -> None:
    """Do nothing."""


class Server:
    """Connections of one server over fake sockets."""

    def __init__(self) -> None:
        self.loop, self.state = FakeLoop(), ServerState()
        self.config = uvicorn.Config(no_app, http=TransportProtocol, ws="none", log_config=None)
        self.config.load()

    def connect(self, data: bytes = b"") -> tuple[TransportProtocol, FakeTransport]:
        transport = FakeTransport()
        protocol = TransportProtocol(
            config=self.config, server_state=self.state, app_state={}, _loop=self.loop, limits=LIMITS
        )
        protocol.connection_made(transport)  # type: ignore[arg-type]
        if data:
            protocol.data_received(data)
        return protocol, transport


@pytest.mark.parametrize("data", [b"", b"GET / HT", HEAD])
def test_headers_that_do_not_end_are_cut_off_at_the_deadline(data: bytes) -> None:
    """A connection without a whole request ends at the deadline for headers, at any speed."""
    server = Server()
    protocol, transport = server.connect(data)
    protocol.data_received(b"x")
    (timer,) = server.loop.timers
    timer.fire()

    assert (LIMITS.headers, True) == (timer.seconds, transport.is_aborted)


def test_a_whole_request_ends_the_deadline_for_headers() -> None:
    """A response may take any time, as an event stream does."""
    server = Server()
    server.connect(HEAD + b"\r\n")

    assert [] == server.loop.pending


def test_each_request_has_a_deadline() -> None:
    """Between requests the keep-alive time counts, and from the first byte on the deadline for headers."""
    server = Server()
    protocol, _ = server.connect(HEAD + b"\r\n")
    protocol.conn.send(h11.Response(status_code=204, headers=[]))
    protocol.conn.send(h11.EndOfMessage())
    protocol.cycle.response_complete = True
    protocol.on_response_complete()
    before = server.loop.pending
    protocol.data_received(b"GET /y")

    assert ([5], [LIMITS.headers]) == (before, server.loop.pending)


def test_an_unread_body_is_cut_off_at_the_deadline() -> None:
    """After an early response the rest of the body is dropped for a limited time."""
    server = Server()
    protocol, transport = server.connect(b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")
    protocol.cycle.response_complete = True
    protocol.data_received(b"1")
    (timer,) = (timer for timer in server.loop.timers if not timer.is_cancelled)
    timer.fire()

    assert (LIMITS.drain, True) == (timer.seconds, transport.is_aborted)


def test_a_connection_has_a_deadline_after_an_unread_body_has_ended() -> None:
    """After the rest of a body was dropped, the keep-alive time counts."""
    server = Server()
    protocol, _ = server.connect(b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n")
    protocol.conn.send(h11.Response(status_code=401, headers=[("content-length", "0")]))
    protocol.conn.send(h11.EndOfMessage())
    protocol.cycle.response_complete = True
    protocol.on_response_complete()
    protocol.data_received(b"12")

    assert [LIMITS.headers] == server.loop.pending


def test_a_client_that_does_not_read_is_cut_off_at_the_deadline() -> None:
    """A full socket is waited for until the deadline."""
    server = Server()
    protocol, _ = server.connect(HEAD + b"\r\n")
    protocol.pause_writing()
    waiting = server.loop.pending
    protocol.resume_writing()

    assert ([LIMITS.write], []) == (waiting, server.loop.pending)


def test_the_oldest_connection_without_a_request_is_closed_for_a_new_one() -> None:
    """Idle connections block no new one, and a request that is being answered continues."""
    server = Server()
    _, busy = server.connect(HEAD + b"\r\n")
    _, idle = server.connect(b"GET")
    _, new = server.connect()

    assert (False, True, False) == (busy.is_closed, idle.is_aborted, new.is_closed)


def test_an_unfinished_body_is_closed_after_idle_connections() -> None:
    """Half a request blocks no new connection, whether its headers or its body are missing."""
    server = Server()
    _, body = server.connect(b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n1")
    _, head = server.connect(b"GET")
    server.connect(HEAD + b"\r\n")
    first = (body.is_aborted, head.is_aborted)
    server.connect(HEAD + b"\r\n")

    assert ((False, True), True) == (first, body.is_aborted)


def test_a_connection_beyond_the_limit_is_refused() -> None:
    """Where every connection is being answered, a further one gets 503 and Retry-After."""
    server = Server()
    for _ in range(LIMITS.connections):
        server.connect(HEAD + b"\r\n")
    _, new = server.connect(HEAD + b"\r\n")

    assert (True, True) == (new.written.startswith(b"HTTP/1.1 503 "), new.is_closed)


def test_log_records_are_limited() -> None:
    """Of a flood of records twenty a minute are written, and then how many were left out."""
    now = [0.0]
    limit = LogLimit(monotonic=lambda: now[0])

    def written() -> str | None:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", ("bad " * 5000,), None)
        return record.getMessage() if limit.filter(record) else None

    first = [written() for _ in range(100)]
    now[0] = LogLimit.WINDOW
    later = written() or ""

    assert (LogLimit.BURST, True) == (sum(message is not None for message in first), "80 earlier records" in later)
    assert max(len(message or "") for message in [*first, later]) < 5000


def first_line(url: str, data: bytes) -> bytes:
    """Send bytes, and return the first line of the answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=240) as connection:
        connection.sendall(data)
        return connection.recv(4000).split(b"\r\n")[0]


HOST = b"host: localhost\r\n"
MALFORMED = {
    "no HTTP": b"\0\xff\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nhost: x@localhost\r\n\r\n",
    "host with a bad port": b"GET / HTTP/1.1\r\nhost: localhost:x\r\n\r\n",
    "host with an open bracket": b"GET / HTTP/1.1\r\nhost: [::1\r\n\r\n",
    "another host in the target": b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a blank in a name": b"GET / HTTP/1.1\r\n" + HOST + b"a b: c\r\n\r\n",
    "a blank before a colon": b"POST / HTTP/1.1\r\n" + HOST + b"content-length : 5\r\n\r\nabcde",
    "huge headers": b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"a" * 70_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"x: a\r\n" * 5_000 + b"\r\n",
    "a huge target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a negative length": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: -1\r\n\r\n",
    "a length of 5,000 digits": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too long": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "an unknown method": b"BREW /backend-api/wham/tasks HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bad percent-encoding": b"GET /backend-api/wham/%zz%ff HTTP/1.1\r\n" + HOST + b"\r\n",
}


def test_malformed_requests_are_4xx(caplog: pytest.LogCaptureFixture) -> None:
    """Any malformed request has a 4xx status, and no error of the server is logged."""
    with serving(ScriptedCloud()) as url:
        answers = {name: first_line(url, data) for name, data in MALFORMED.items()}
    wrong = {name: answer for name, answer in answers.items() if not answer.startswith(b"HTTP/1.1 4")}
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]

    assert ({}, []) == (wrong, logged)


def test_a_whole_url_is_a_target() -> None:
    """A client may name the server in the request line (RFC 9112 section 3.2.2)."""

    class SeenState:
        def handle(self, request: Request) -> Response:
            self.path = request.path
            return Response(status=204)

    seen = SeenState()
    with serving(seen) as url:
        answer = first_line(url, b"GET http://localhost/a?b HTTP/1.1\r\nhost: ignored.example\r\n\r\n")

    assert (b"HTTP/1.1 204 No Content", "/a") == (answer, seen.path)


def test_a_body_is_read_only_with_a_token() -> None:
    """The response to a submission without a token is sent although its body is not."""
    head = b"POST /backend-api/wham/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000000\r\n\r\n"
    cloud = ScriptedCloud()
    with serving(cloud._router) as url:
        answer = first_line(url, head)

    assert b"HTTP/1.1 401 Unauthorized" == answer


@pytest.mark.parametrize(("path", "size"), [("/oauth/token", 70_000), ("/codex/device", 10**9)])
def test_a_body_without_a_token_is_small(path: str, size: int) -> None:
    """A body without a token has a smaller limit, which is checked before the body arrives."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n".encode()
    with serving(ScriptedCloud()._router) as url:
        answer = first_line(url, head)

    assert b"HTTP/1.1 413 Request Entity Too Large" == answer.replace(b"Content Too Large", b"Request Entity Too Large")


def test_a_missing_body_is_a_408() -> None:
    """The deadline for a body is the server's."""
    cloud = ScriptedCloud()
    head = "POST /backend-api/wham/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n"
    limits = Limits(body=0.05)
    with serving(cloud._router, limits=limits) as url:
        answer = first_line(url, f"{head}authorization: Bearer {cloud.tokens.access_token}\r\n\r\n".encode())

    assert b"HTTP/1.1 408 Request Timeout" == answer


class Endless:
    """A stream without an end."""

    def __init__(self) -> None:
        self.is_closed = False

    def read(self) -> bytes:
        raise AssertionError("nobody reads it")

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(("method", "streams", "status"), [("HEAD", 0, 200), ("GET", STREAM_THREADS, 429)])
def test_a_stream_is_not_begun_for_nothing(method: str, streams: int, status: int) -> None:
    """Without a body to show, or with too many streams open, it is closed at once."""
    stream, sent = Endless(), list[dict[str, Any]]()

    class Streams:
        def handle(self, request: Request) -> Response:
            return Response(status=200, headers={"content-type": "text/event-stream"}, stream=stream)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    app = HandlerApp(Streams())
    app._open_streams = streams
    scope = {"type": "http", "method": method, "raw_path": b"/", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    app.close()

    assert (status, True) == (sent[0]["status"], stream.is_closed)
