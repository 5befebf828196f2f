"""Conditional requests."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck._engine.conditional import conditional
from coatcheck._protocol.effects import Request, Response, Script, transmit
from coatcheck._runtime.driver import Driver, perform
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

REQUEST = Request("GET", "/runs/1", url="http://127.0.0.1/runs/1", conditional=True)


class Tagged:
    """Answers from a list, and remembers which tags it was sent."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.tags = list(answers), []

    def handle(self, request: Request) -> Response:
        self.tags.append(dict(request.headers).get("if-none-match"))
        return self.answers.pop(0)


def ask(server: Tagged, *requests: Request, **options: int) -> list[Response]:
    """Send requests one after the other; return their responses."""
    send, world = conditional(transmit, **options), Driver(EmulatorTransport(server), FakeClock())

    def script(request: Request) -> Script[Any]:
        return (yield from send(request))

    return [perform(script(request), world) for request in requests]


@pytest.mark.parametrize("tag", ['"abc"', 'W/"abc"'])
def test_an_unchanged_response_is_read_from_memory(tag: str) -> None:
    """The tag is sent verbatim, and 304 returns the stored response, marked unchanged."""
    server = Tagged(
        Response(200, {"etag": tag}, b"one"), Response(304, {}), Response(304, {"etag": '"new"'}), Response(304)
    )
    answers = ask(server, *[REQUEST] * 4)

    assert [(200, b"one", False)] + [(200, b"one", True)] * 3 == [(a.status, a.body, a.unchanged) for a in answers]
    assert [None, tag, tag, '"new"'] == server.tags


def test_a_changed_answer_replaces_the_old_one() -> None:
    """200 with another tag is the news."""
    server = Tagged(Response(200, {"etag": '"1"'}, b"one"), Response(200, {"etag": '"2"'}, b"two"), Response(304))

    assert [b"one", b"two", b"two"] == [answer.body for answer in ask(server, *[REQUEST] * 3)]
    assert [None, '"1"', '"2"'] == server.tags


def test_only_conditional_responses_are_stored() -> None:
    """Only conditional requests carry tags, and only tagged responses are stored."""
    plain = Request("GET", "/runs/1", url="http://127.0.0.1/runs/1")
    server = Tagged(Response(200, {"etag": '"1"'}), Response(200, {}), Response(200, {}))
    ask(server, plain, REQUEST, REQUEST)

    assert [None, None, None] == server.tags


def test_pages_are_distinct() -> None:
    """The query is part of the key."""
    other = Request("GET", "/runs/1", query=(("page", "2"),), url="http://127.0.0.1/runs/1", conditional=True)
    server = Tagged(Response(200, {"etag": '"1"'}), Response(200, {"etag": '"2"'}), Response(304), Response(304))
    ask(server, REQUEST, other, REQUEST, other)

    assert [None, None, '"1"', '"2"'] == server.tags


def test_memory_is_bounded() -> None:
    """The oldest answer goes first."""
    other = Request("GET", "/runs/2", url="http://127.0.0.1/runs/2", conditional=True)
    server = Tagged(Response(200, {"etag": '"1"'}), Response(200, {"etag": '"2"'}), Response(200, {"etag": '"3"'}))
    ask(server, REQUEST, other, REQUEST, memory=1)

    assert [None, None, None] == server.tags
