"""One rate of requests for all users of a client."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from hypothesis import given, strategies as st
from tests.toy import ToyProvider, ToyService, reply

from coatcheck import AsyncClient, errors
from coatcheck._engine.rate_limit import RateLimiter, rate_limited, spaced
from coatcheck._protocol.effects import Request, Response, Script, Sleep, transmit
from coatcheck._runtime.driver import Driver, perform
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock
from coatcheck.testing.memory_journal import MemoryJournal


def test_without_a_rate_no_request_waits() -> None:
    """All requests leave at once."""
    pace = RateLimiter()

    assert [0.0] * 100 == [pace.reserve(5.0) for _ in range(100)]


def test_after_a_burst_requests_leave_evenly() -> None:
    """Ten at once, then one a second; an idle minute restores the burst and no more."""
    pace = RateLimiter(rate=1.0, burst=10)

    assert [0.0] * 10 + [1.0, 2.0, 3.0] == [pytest.approx(pace.reserve(100.0)) for _ in range(13)]
    assert [0.0] * 10 + [1.0] == [pytest.approx(pace.reserve(1000.0)) for _ in range(11)]


@given(st.lists(st.floats(0, 2), min_size=1, max_size=60), st.floats(0.5, 20), st.integers(1, 20))
def test_no_stretch_of_time_sees_more_than_its_share(gaps: list[float], rate: float, burst: int) -> None:
    """In any window the departures are at most burst + rate x its length (and one for its edge)."""
    pace, now, departures = RateLimiter(rate=rate, burst=burst), 1000.0, []
    for gap in gaps:
        now += gap
        departures.append(now + pace.reserve(now))

    for i, first in enumerate(departures):
        for count, last in enumerate(departures[i:], 1):
            assert count <= burst + rate * (last - first) + 1.001


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_is_positive(rate: float) -> None:
    """A budget of nothing would wait for ever."""
    with pytest.raises(errors.ConfigurationError):
        RateLimiter(rate=rate)


SECONDARY = Response(403, {}, b'{"message": "You have exceeded a secondary rate limit."}')


def test_a_limit_without_a_time_is_waited_out_longer_each_time() -> None:
    """GitHub's secondary limit: a minute, doubled each time in a row, a quarter of an hour at most."""
    pace = RateLimiter()
    seconds = [pace.named(SECONDARY).headers["retry-after"] for _ in range(6)]
    pace.end_limit()

    assert ["60", "120", "240", "480", "900", "900"] == seconds
    assert "60" == pace.named(SECONDARY).headers["retry-after"]


@pytest.mark.parametrize("response", [Response(403), Response(403, {"retry-after": "5"}, SECONDARY.body)])
def test_what_names_a_time_or_is_no_limit_stays_as_it_is(response: Response) -> None:
    """A refusal is no rate limit, and a time that the service sends is used."""
    assert response == RateLimiter().named(response)


def test_requests_that_change_something_are_spaced() -> None:
    """They leave at least a second apart; reads do not wait."""
    clock = FakeClock()
    world = Driver(EmulatorTransport(type("S", (), {"handle": lambda _self, _request: Response(200)})()), clock)
    send = spaced(transmit, seconds=1.0, clock=clock)
    for method in ("POST", "GET", "POST", "GET", "DELETE"):
        perform(send(Request(method, "/", url="http://127.0.0.1/")), world)

    assert [1.0, 1.0] == clock.sleeps


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let Python change threads as often as it can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def in_threads(work: Callable[[], object], *, threads: int = 16, times: int = 200) -> list[object]:
    """Return what *work* returned in every thread, each doing it so many times."""
    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(lambda: [work() for _ in range(times)]) for _ in range(threads)]
        return [each for future in done for each in future.result()]


@pytest.mark.usefixtures("hasty_threads")
def test_threads_are_spaced_one_by_one() -> None:
    """No two requests of different threads get the same second."""
    clock = FakeClock()
    send = spaced(transmit, seconds=1.0, clock=clock, lock=Lock())
    request = Request("POST", "/", url="http://127.0.0.1/")

    def pause() -> float:
        wish = next(send(request))
        return wish.seconds if isinstance(wish, Sleep) else 0.0

    assert [float(number) for number in range(3200)] == sorted(in_threads(pause))  # type: ignore[type-var]


@pytest.mark.usefixtures("hasty_threads")
def test_threads_count_limits_without_a_time_together() -> None:
    """Each limit in a row lengthens the pause once, whichever thread it reached."""
    pace = RateLimiter(lock=Lock())
    seconds = Counter(in_threads(lambda: pace.named(SECONDARY).headers["retry-after"], threads=64, times=20))

    assert {"60": 1, "120": 1, "240": 1, "480": 1, "900": 1276} == seconds


def test_a_not_before_for_one_is_for_all() -> None:
    """After a 429 with Retry-After the next request of the same budget waits for it, whoever sends it."""
    clock, pace = FakeClock(), RateLimiter()
    answers = iter([Response(429, {"retry-after": "20"}), Response(200)])
    world = Driver(EmulatorTransport(type("S", (), {"handle": lambda _self, _request: next(answers)})()), clock)

    def ask(request: Request) -> Script[Response]:
        response: Response = yield request
        return response

    sender = rate_limited(ask, pace=pace, clock=clock)
    statuses = [perform(sender(Request("GET", "/", url="http://127.0.0.1/")), world).status for _ in range(2)]

    assert [429, 200] == statuses
    assert [20.0] == clock.sleeps


def test_throttled_waits_send_nothing_before_retry_after() -> None:
    """Fifty waits, one 429 with 30 seconds: no request leaves before they are over."""
    clock = FakeClock()
    service = ToyService(None, reply({}, 429, retry_after="30"), states=("working", "done"))
    times: list[float] = []
    handle = service.handle
    service.handle = lambda request: (times.append(clock.time()), handle(request))[1]  # type: ignore[method-assign]
    service.create({"prompt": "p", "attempts": 1})
    service.lives["t1"] = iter(["working"] * 60 + ["done"] * 1000)

    async def main() -> None:
        client = AsyncClient(
            ToyProvider("http://127.0.0.1:9/throttled"),
            token="good",
            transport=AsyncEmulatorTransport(service),
            clock=clock,
            environ={"COATCHECK_LEARN": "off"},
            journal=MemoryJournal(),
            random=lambda: 0.5,
            max_in_flight=1,
        )
        service.route = _at(service, "/throttled")  # type: ignore[method-assign]
        await asyncio.gather(*(client.poll_task("t1", interval=5) for _ in range(50)))

    asyncio.run(main())
    quiet = [time - times[0] for time in times[2:]]

    assert 30 <= min(quiet)


def _at(service: ToyService, prefix: str) -> object:
    route = service.route

    def moved(request: Request) -> Response:
        return route(
            Request(request.method, request.path.removeprefix(prefix), body=request.body, headers=request.headers)
        )

    return moved
