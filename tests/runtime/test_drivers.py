"""Both drivers perform the effects of a script, and clean up after it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.clients import VARIANTS

from coatcheck import errors
from coatcheck._files.locks import try_lock
from coatcheck._protocol.effects import Call, Emit, Exclusive, Lock, Read, Request, Response, Script, Sleep
from coatcheck._runtime.async_driver import AsyncDriver, aiterate, aperform
from coatcheck._runtime.driver import Driver, iterate, perform
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock


class Streaming:
    """A server of one stream that remembers being closed."""

    def __init__(self) -> None:
        self.chunks, self.closed = [b"a", b"b"], 0

    def handle(self, request: Request) -> Response:
        return Response(200, {}, stream=self)

    def read(self) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def close(self) -> None:
        self.closed += 1


def run(variant: str, script: Script[Any], handler: Any = None, clock: FakeClock | None = None) -> Any:
    """Perform a script with a driver."""
    clock = clock or FakeClock()
    if variant == "blocking":
        return perform(script, Driver(EmulatorTransport(handler), clock))

    async def main() -> Any:
        return await aperform(script, AsyncDriver(AsyncEmulatorTransport(handler), clock, max_in_flight=2))

    return asyncio.run(main())


def collect(variant: str, script: Script[Any], handler: Any = None) -> list[Any]:
    """Return what a script emits."""
    if variant == "blocking":
        return list(iterate(script, Driver(EmulatorTransport(handler), FakeClock())))

    async def main() -> list[Any]:
        driver = AsyncDriver(AsyncEmulatorTransport(handler), FakeClock(), max_in_flight=2)
        return [value async for value in aiterate(script, driver)]

    return asyncio.run(main())


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def test_effects_have_results(variant: str) -> None:
    """A call returns its result, a sleep and an emission nothing; the return value is that of the script."""

    def script() -> Script[Any]:
        answer = yield Call(lambda: 42)
        nothing = yield Sleep(3.0)
        yield Emit("dropped")
        return answer, nothing

    clock = FakeClock()

    assert (42, None) == run(variant, script(), clock=clock)
    assert [3.0] == clock.sleeps


def test_errors_are_thrown_into_the_script(variant: str) -> None:
    """The script may catch the error and continue."""

    def script() -> Script[str]:
        try:
            yield Call(lambda: 1 / 0)
        except ZeroDivisionError:
            return (yield Call(lambda: "went on"))
        return "unreachable"

    assert "went on" == run(variant, script())


def test_what_the_script_does_not_catch_reaches_the_caller(variant: str) -> None:
    """Uncaught, it is the caller's."""

    def script() -> Script[None]:
        yield Call(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(variant, script())


def test_emitted_values_are_iterated(variant: str) -> None:
    """Whoever iterates gets what is emitted, in order, between other effects."""

    def script() -> Script[None]:
        for number in range(3):
            yield Sleep(1)
            yield Emit(number)

    assert [0, 1, 2] == collect(variant, script())


def test_a_stream_is_read_in_chunks_and_closed(variant: str) -> None:
    """The end of a script closes its streams, read to the end or not."""

    def script() -> Script[bytes]:
        response = yield Request("GET", "/", url="http://127.0.0.1/", stream=True)
        return (yield Read(response.stream))

    server = Streaming()

    assert b"a" == run(variant, script(), server)
    assert 1 == server.closed


class SwallowingTransport:
    """A transport that swallows a cancellation, as pyreqwest 0.15 does when it coincides with a response."""

    def __init__(self, answer: Response | errors.TransportError) -> None:
        self._answer, self.sent = answer, asyncio.Event()

    async def send(self, request: Request) -> Response:
        self.sent.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        if isinstance(self._answer, errors.TransportError):
            raise self._answer
        return self._answer

    async def aclose(self) -> None: ...


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [Response(200), errors.TransportError("gone", request_sent=True)])
async def test_no_cancellation_is_lost(answer: Response | errors.TransportError) -> None:
    """The script stops although the transport swallows the cancellation."""
    steps = []

    def script() -> Script[None]:
        try:
            yield Request("GET", "/", url="http://127.0.0.1/")
        except errors.TransportError:
            steps.append("error")
        steps.append("went on")

    transport = SwallowingTransport(answer)
    task = asyncio.create_task(aperform(script(), AsyncDriver(transport, FakeClock(), max_in_flight=1)))
    await transport.sent.wait()
    task.cancel()
    await asyncio.wait([task])

    assert (True, []) == (task.cancelled(), steps)


def test_a_lock_is_held_during_the_script_and_released_after(variant: str, tmp_path: Path) -> None:
    """No other holder gets it before the script has ended; it is released also after an error."""
    path = str(tmp_path / "lock")

    def inside() -> Script[object]:
        return (yield Call(lambda: try_lock(path)))

    def failing() -> Script[None]:
        yield Call(lambda: 1 / 0)

    def script() -> Script[object]:
        held = yield Exclusive(Lock((path,)), inside())
        with pytest.raises(ZeroDivisionError):
            yield Exclusive(Lock((path,)), failing())
        return held

    assert None is run(variant, script())
    assert None is not try_lock(path)


def test_a_lock_that_stays_held_is_given_up(variant: str, tmp_path: Path) -> None:
    """It is tried until its time is over, without blocking; the error names the file and nothing stays held."""
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    taken = try_lock(second)
    clock = FakeClock()

    def script() -> Script[None]:
        yield Exclusive(Lock((first, second), timeout=2.0), iter(()))

    with pytest.raises(TimeoutError, match="second"):
        run(variant, script(), clock=clock)

    assert taken is not None
    assert 2.0 <= sum(clock.sleeps) < 2.2
    assert None is not try_lock(first)


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    """Twenty threads count to twenty under one lock, one at a time."""
    path, inside, most = str(tmp_path / "lock"), [], []

    def body() -> Script[None]:
        inside.append(1)
        yield Call(lambda: most.append(len(inside)))
        inside.pop()

    def exclusive() -> Script[None]:
        yield Exclusive(Lock((path,), timeout=1e6), body())

    def work() -> None:
        driver = Driver(EmulatorTransport(None), FakeClock())
        while True:
            try:
                return perform(exclusive(), driver)
            except TimeoutError:
                continue

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 20 == most


def test_a_removed_lock_file_is_not_a_lock(tmp_path: Path) -> None:
    """A lock on a file that was deleted and created again holds nothing: the path decides."""
    path = tmp_path / "lock"
    old = try_lock(str(path))
    path.unlink()

    assert None is not old
    assert None is not try_lock(str(path))
