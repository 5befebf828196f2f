"""Errors of requests reach the exchange that made them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import Task, TaskRef, errors
from coatcheck._engine.pipeline import MAX_REQUESTS, run_exchange
from coatcheck._protocol.channels import open_channel
from coatcheck._protocol.effects import Close, Exchange, Open, Receive, Request, Response, transmit
from coatcheck.testing import FakeClock

LOST = errors.TransportError("the connection was reset")


class Cautious(ToyProvider):
    """Requests another address where the first cannot be reached."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        try:
            yield Request("POST", "/elsewhere")
        except errors.TransportError:
            return (yield from super().get_task(ref))
        raise AssertionError


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_provider_may_catch_an_error(variant: str) -> None:
    """An error is thrown into the exchange at its request; an exchange that catches it continues."""
    service = ToyService(LOST)
    service.create({"prompt": "p", "attempts": 1})

    assert "t1" == Both(variant, Cautious(), service).get_task("t1").ref.id


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_error_that_is_not_caught_is_raised(variant: str) -> None:
    """The error is raised unchanged."""
    with pytest.raises(errors.TransportError, match="reset"):
        Both(variant, ToyProvider(), ToyService(LOST)).cancel_task("t1")


class Endless(ToyProvider):
    """Requests one more page of a task for as long as it may."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        while True:
            yield Request("GET", "/usage")


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_exchange_without_an_end_is_stopped(variant: str) -> None:
    """A service that always announces a further page is stopped after a number of requests."""
    service = ToyService()
    with pytest.raises(errors.UnreadableResponseError, match="does not come to an end"):
        Both(variant, Endless(), service).get_task("t1")

    assert MAX_REQUESTS == len(service.requests)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_exchange_that_is_slow_each_time_is_stopped(variant: str) -> None:
    """No request begins after the time of one verb."""
    service, clock = ToyService(), FakeClock()
    answer = service.route
    service.route = lambda request: (clock.advance(59), answer(request))[1]  # type: ignore[method-assign]
    with pytest.raises(errors.TransportTimeoutError, match="after 300 seconds") as caught:
        Both(variant, Endless(), service, clock=clock).get_task("t1")

    assert (6, False) == (len(service.requests), caught.value.request_sent)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_without_an_end_is_left_at_the_timeout(variant: str) -> None:
    """Events for ever end with the timeout, and the error has the ref."""
    service, clock = ToyService(), FakeClock()
    service.create({"prompt": "p", "attempts": 1})
    service.about = lambda *_: Response(200, stream=Flood(clock))  # type: ignore[method-assign]
    with pytest.raises(errors.WaitTimeoutError) as caught:
        Both(variant, ToyProvider(), service, clock=clock).stream_task("t1", timeout=100)

    assert TaskRef("toy", "t1") == caught.value.ref


class Flood:
    """A stream that sends a line a second for ever."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def read(self) -> bytes:
        self.clock.advance(1)
        return b"log\n"

    def close(self) -> None:
        pass


@pytest.mark.parametrize("end", ["return", "error"])
def test_an_exchange_closes_its_channel(end: str) -> None:
    """A channel is closed when the exchange that opened it ends: a wait is one script of many exchanges."""
    channel = object()

    def exchange() -> Exchange[None]:
        opened = yield from open_channel(Open())
        yield Receive(opened, 1.0)

    def effects() -> Iterator[object]:
        script = run_exchange(exchange(), transmit)
        effect = next(script)
        while True:
            yield effect
            if isinstance(effect, Receive) and end == "error":
                effect = script.throw(LOST)
            else:
                effect = script.send(Response(101, stream=channel) if isinstance(effect, Request) else None)

    kinds = []
    with contextlib.suppress(RuntimeError, errors.TransportError):  # an end of the script
        kinds.extend(map(type, effects()))

    assert [Request, Receive, Close] == kinds
