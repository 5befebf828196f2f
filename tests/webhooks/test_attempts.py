"""Attempts to deliver a message, at a server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, strategies as st

from coatcheck._webhooks.attempts import DELAYS, MAX_RETRY_AFTER, Result, next_delay, post
from coatcheck._webhooks.targets import read_target

BODY = b'{"type":"webhook.test"}'


@contextmanager
def receiver(status: int, **headers: str) -> Iterator[tuple[int, list[tuple[Any, bytes]]]]:
    """Serve a receiver that answers *status*; yields its port, and what it got."""
    received: list[tuple[Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def loopback(host: str, port: int) -> Sequence[str]:
    """Resolve every name to this machine."""
    del host, port
    return ("127.0.0.1",)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (204, {}, Result(status=204)),
        (302, {"location": "/elsewhere"}, Result(status=302)),
        (410, {}, Result(status=410)),
        (429, {"retry_after": "17"}, Result(status=429, retry_after=17.0)),
    ],
)
def test_what_a_receiver_answers(status: int, headers: dict[str, str], expected: Result) -> None:
    """The message arrives once, with its bytes and headers; a redirect is not followed."""
    with receiver(status, **headers) as (port, received):
        target = read_target(f"http://hooks.test:{port}/a?b", allowed=["http://hooks.test:*"])
        result = post(target, (("webhook-id", "m1"),), BODY, resolver=loopback)
    [(sent, body)] = received

    assert (expected, BODY, "m1", f"hooks.test:{port}", "application/json") == (
        result,
        body,
        sent["webhook-id"],
        sent["host"],
        sent["content-type"],
    )


def test_an_inner_address_gets_nothing() -> None:
    """A name that resolves to this machine is refused before a connection, unless its origin was allowed."""
    with receiver(204) as (_, received):
        result = post(read_target("https://hooks.test/"), (), BODY, resolver=loopback)

    assert ([], False, True) == (received, result.is_success, "not public" in str(result.error))


def test_no_receiver() -> None:
    """A refused connection, and a name without an address, are failures with a reason in one line."""

    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    target = read_target(f"http://hooks.test:{port}/", allowed=["http://hooks.test:*"])
    results = (post(target, (), BODY, resolver=loopback), post(target, (), BODY, resolver=unknown))

    assert [None, None] == [result.status for result in results]
    assert all(result.error and "\n" not in result.error and "http://" not in result.error for result in results)
    assert "cannot resolve hooks.test: Name or service not known" == results[1].error


@given(st.integers(1, len(DELAYS)), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9) | st.none())
def test_the_delay_of_a_failure(attempts: int, random: float, asked: float | None) -> None:
    """A delay is at least that of the schedule, at most a tenth longer unless the receiver requested more."""
    delay = next_delay(attempts, Result(status=503, retry_after=asked), random=random)
    longest = max(DELAYS[attempts - 1] * 1.1, min(asked or 0.0, MAX_RETRY_AFTER))

    assert delay is not None
    assert DELAYS[attempts - 1] <= delay <= longest


@pytest.mark.parametrize(
    ("attempts", "result", "most"),
    [
        (1, Result(status=200), 9),
        (1, Result(status=410), 9),
        (len(DELAYS) + 1, Result(status=500), 99),
        (5, Result(error="x"), 4),
    ],
)
def test_the_last_attempt(attempts: int, result: Result, most: int) -> None:
    """After success, 410, or the last delay of the schedule there is no further attempt."""
    assert next_delay(attempts, result, random=0.0, most=most) is None
