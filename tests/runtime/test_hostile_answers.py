"""One table of answers that cannot be read, through both transports and both clients."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest
from tests.runtime.servers import TIME_LIMIT, Connection, Server, answer, chunked, saying

from coatcheck import AsyncClient, Client, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport, TransportOptions
from coatcheck._runtime.transport_httpx2 import AsyncHttpx2Transport, Httpx2Transport
from coatcheck.testing import FakeClock
from coatcheck.testing.memory_journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRANSPORTS: dict[str, Callable[[TransportOptions], Any]] = {
    "reqwest": ReqwestTransport,
    "async-reqwest": AsyncReqwestTransport,
    "httpx2": Httpx2Transport,
    "async-httpx2": AsyncHttpx2Transport,
}
OPTIONS = TransportOptions(timeout=TIME_LIMIT, max_body=2**20)
DESCRIPTION = """[services.demo]
base_url = "{url}"
auth = "none"
submit = {{path = "/tasks"}}
result = {{message = "message"}}
"""
ACCEPTED = answer(b"{}", status="202 Accepted", headers=("location: /jobs/1",))
ENDED = answer(b'{"status": "Succeeded", "message": "ok"}', headers=("content-type: application/json",))
JSON = "content-type: application/json"


def located(location: bytes, status: bytes = b"202 Accepted") -> bytes:
    """Return a response with a location."""
    return b"HTTP/1.1 " + status + b"\r\nlocation: " + location + b"\r\ncontent-length: 2\r\n\r\n{}"


# Answers that nobody can read, whatever they answer.
UNREADABLE = {
    "closed": b"",
    "not-http": b"nonsense\r\n\r\n",
    "bad-version": b"HTTP/x 200 OK\r\ncontent-length: 0\r\n\r\n",
    "bad-status": b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    "headers-cut-short": b"HTTP/1.1 200 OK\r\ncontent-le",
    "header-name-not-ascii": b"HTTP/1.1 200 OK\r\nx-\xe9: 1\r\ncontent-length: 0\r\n\r\n",
    "header-with-control": b"HTTP/1.1 200 OK\r\nx-a: a\x01b\r\ncontent-length: 0\r\n\r\n",
    "headers-too-large": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 2**20 + b"\r\n\r\n",
    "bad-content-length": b"HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n{}",
    "negative-content-length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
    "two-content-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "body-cut-short": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}",
    "bad-chunk-size": chunked() + b"zz\r\n{}\r\n0\r\n\r\n",
    "chunk-cut-short": chunked() + b"64\r\n{}",
    "chunk-too-large": chunked() + b"ffffffffffffffffff\r\n{}",
    "bad-gzip": answer(b"{}", headers=("content-encoding: gzip",)),
    "gzip-cut-short": answer(gzip.compress(b"{}")[:-6], headers=("content-encoding: gzip",)),
    "gzip-bomb": answer(gzip.compress(bytes(2**24)), headers=("content-encoding: gzip",)),
    "declared-too-large": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n{}",
    "bad-json": answer(b'{"status": ', headers=(JSON,)),
    "utf-16": answer('{"status": "Running"}'.encode("utf-16"), headers=(JSON,)),
    "deep-json": answer(b"[" * 100_000, headers=(JSON,)),
    "switching-protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n{}",
    "part": answer(b'{"status": "Succeeded"}', status="206 Partial Content", headers=(JSON,)),
    "html": answer(b"<html><title>Sign in</title>", headers=("content-type: text/html",)),
}
# Addresses that nobody can ask.
LOCATIONS = {
    "location-not-ascii": located(b"/jobs/caf\xe9"),
    "location-utf-8": located("/jobs/é".encode()),
    "location-bad-ipv6": located(b"http://[::1/jobs"),
    "location-bad-port": located(b"http://127.0.0.1:99999/jobs"),
    "location-other-scheme": located(b"file:///etc/passwd"),
    "location-script": located(b"javascript:alert(1)"),
    "location-with-blank": located(b"/jobs/a b"),
    "location-empty": located(b""),
    "location-not-ascii-created": located(b"/jobs/\xe9", b"201 Created"),
    "location-not-ascii-ok": located(b"/jobs/\xe9", b"200 OK"),
    "location-missing": answer(b"{}", status="202 Accepted"),
    "locations-differ": b"HTTP/1.1 202 Accepted\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n",
    "see-other-bad": located(b"http://[::1/jobs", b"303 See Other"),
    "see-other-missing": answer(status="303 See Other"),
}


@pytest.fixture(params=TRANSPORTS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of transport."""
    return str(request.param)


class Caller:
    """Calls a client of either kind over a transport of either kind as if it were blocking."""

    def __init__(self, kind: str, server: Server, folder: Path) -> None:
        services = folder / "services.toml"
        services.write_text(DESCRIPTION.format(url=server.url("").rstrip("/")))
        self.journal = MemoryJournal()
        self.clock = FakeClock()
        self.kind = kind
        self.options: Any = {
            "environ": {"COATCHECK_SERVICES_FILE": str(services), "HOME": str(folder), "COATCHECK_LEARN": "off"},
            "clock": self.clock,
            "journal": self.journal,
            "transport": TRANSPORTS[kind](OPTIONS),
        }

    def call(self, verb: str, *arguments: Any, **named: Any) -> Any:
        if self.kind.startswith("async"):
            return asyncio.run(self._acall(verb, *arguments, **named))
        with Client("demo", **self.options) as client:
            return getattr(client, verb)(*arguments, **named)

    async def _acall(self, verb: str, *arguments: Any, **named: Any) -> Any:
        async with AsyncClient("demo", **self.options) as client:
            return await getattr(client, verb)(*arguments, **named)


@pytest.mark.parametrize("name", [*UNREADABLE, *LOCATIONS])
def test_a_submission_whose_answer_is_unreadable_is_uncertain(kind: str, tmp_path: Path, name: str) -> None:
    """It is sent once, its outcome is unknown, and its intent stays open."""
    with Server(saying({**UNREADABLE, **LOCATIONS}[name])) as server:
        asked = Caller(kind, server, tmp_path)
        with pytest.raises(errors.SubmissionUncertainError):
            asked.call("create_task", "hi")
        methods = [received.method for received in server.requests]

    assert (["POST"], 1) == (methods, len(asked.journal.open_intents("demo")))


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_poll_is_an_error_of_the_service(kind: str, tmp_path: Path, name: str) -> None:
    """It is a transport error or an unreadable response; never a configuration error."""
    with Server(saying(UNREADABLE[name])) as server:
        asked = Caller(kind, server, tmp_path)
        with pytest.raises((errors.TransportError, errors.UnreadableResponseError)) as caught:
            asked.call("get_task", "demo:jobs%2F1")

    assert type(caught.value) in (errors.TransportError, errors.UnreadableResponseError)


@pytest.mark.parametrize("location", [b"http://[::1/jobs", b"/caf\xe9", b"http://127.0.0.1:99999/", b"file:///x"])
def test_a_redirect_to_no_address_is_the_services_error(kind: str, tmp_path: Path, location: bytes) -> None:
    """It is requested once and not retried."""
    with Server(saying(located(location, b"302 Found"))) as server:
        with pytest.raises(errors.ProviderError) as caught:
            Caller(kind, server, tmp_path).call("get_task", "demo:jobs%2F1")
        asked = len(server.requests)

    assert (True, 1) == ("redirects to something that is not" in str(caught.value), asked)


def test_a_header_that_is_not_ascii_is_left_out_alone(kind: str, tmp_path: Path) -> None:
    """A byte above 0x7F in an unused field does not lose the task, in either response."""
    accepted = ACCEPTED.replace(b"content-length", b"x-owner: caf\xe9\r\ncontent-length")
    ended = ENDED.replace(b"content-type", "content-disposition: attachment; filename=é\r\ncontent-type".encode())
    with Server(_in_turn(accepted, ended)) as server:
        task = Caller(kind, server, tmp_path).call("create_task_and_wait", "hi", interval=1)

    assert (TaskState.SUCCEEDED, "ok") == (task.state, task.outcome.text)


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        (b"x-a: \xe9\r\nx-b: 1\r\n", {"x-b": "1"}),
        (b"x-a: 1\r\nx-a: \xe9\r\nX-A: 2\r\n", {}),
        (b"x-a: 1\r\nX-A: 2\r\n", {"x-a": "1, 2"}),
        (b"retry-after: 5\r\nretry-after: 5\r\n", {"retry-after": "5"}),
        (b"retry-after: 5\r\nretry-after: 6\r\nx-a: 1\r\n", {"x-a": "1"}),
        (b"location:  /a \r\n", {"location": "/a"}),
        (b"x-a: a\tb\r\n", {"x-a": "a\tb"}),
    ],
)
def test_all_transports_read_the_same_headers(kind: str, lines: bytes, headers: dict[str, str]) -> None:
    """Values that are not ASCII, and single fields with two values, are left out by all four transports."""
    with Server(saying(b"HTTP/1.1 204 No Content\r\n" + lines + b"\r\n")) as server:
        response = sent(kind, Request("GET", "/", url=server.url()), OPTIONS)

    assert headers == dict(response.headers)


@pytest.mark.parametrize("part", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x"], ids=["endless-1xx", "endless-header"])
def test_an_answer_that_never_begins_ends_with_the_requests_time(kind: str, part: bytes) -> None:
    """Endless interim responses and header bytes do not prolong the time limit of a request."""

    def script(connection: Connection) -> None:
        connection.receive()
        connection.send(b"" if part.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nx-a: ")
        for _ in range(500):  # an end of its own, for a client that has none
            if server.may_go_on.wait(0.02):
                return
            connection.send(part)

    with Server(script) as server, pytest.raises(errors.TransportTimeoutError) as caught:
        sent(kind, Request("GET", "/", url=server.url()), TransportOptions(timeout=0.3))

    assert errors.TransportTimeoutError is type(caught.value)


def sent(kind: str, request: Request, options: TransportOptions) -> Response:
    """Return the answer to *request* through a transport of this kind, which is closed again."""
    transport = TRANSPORTS[kind](options)
    if not kind.startswith("async"):
        try:
            response: Response = transport.send(request)
        finally:
            transport.close()
        return response

    async def main() -> Response:
        try:
            response: Response = await transport.send(request)
        finally:
            await transport.aclose()
        return response

    return asyncio.run(main())


def _in_turn(*answers: bytes) -> Callable[[Connection], None]:
    """Return a script of a connection that sends these responses by the number of the request."""

    def script(connection: Connection) -> None:
        while connection.receive() is not None:
            connection.send(answers[min(len(connection._server.requests), len(answers)) - 1])

    return script
