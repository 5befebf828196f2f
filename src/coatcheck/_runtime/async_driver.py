"""The asynchronous driver: `drive_blocking` with ``await``, a bound on requests in flight, and blocking calls in threads.

Invariants:

- an error of an effect is thrown into the script that yielded the effect;
- however a script ends, cancellation included, its streams are closed and its locks released, and no cancellation is
  lost, also where a transport swallows it;
- at most `max_in_flight` requests are in flight at once; waits are timers of the event loop and hold no socket;
- `AsyncDriver.close` ends the sleeps of other tasks and their waits for a request slot; from then on every effect but a
  local call raises `ConfigurationError`. A script that must be performed to its end (`Exclusive.is_whole`) still is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from .. import errors
from .._files.locks import LockSet
from .._protocol.effects import (
    Call,
    Clock,
    Close,
    Emit,
    Exclusive,
    Open,
    Read,
    Receive,
    Request,
    Response,
    Script,
    Send,
    Sleep,
    Together,
)
from .channel_transport import AsyncChannelTransport
from .driver import LOCAL, channels_of, closed_client, no_channels
from .system_clock import SystemClock, round_to_grid
from .transport import AsyncTransport

T = TypeVar("T")


class AsyncDriver:
    """Performs the effects of asynchronous scripts; *channels* makes what opens channels, unless the transport does."""

    def __init__(
        self,
        transport: AsyncTransport,
        clock: Clock,
        *,
        max_in_flight: int,
        channels: Callable[[], AsyncChannelTransport] | None = None,
    ) -> None:
        self._transport, self._clock = transport, clock
        self._make_channels, self._channels = channels, channels_of(transport)
        self.slots = asyncio.Semaphore(max_in_flight)
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._sleeps: set[asyncio.Future[None]] = set()
        self._is_closed = False
        sleep = self._sleep if type(clock) is SystemClock else clock.asleep
        self._answers: Mapping[type, Callable[[Any], Awaitable[Any]]] = {
            Request: self._request,
            Read: lambda effect: effect.stream.aread(),
            Sleep: lambda effect: sleep(effect.seconds),
            Call: lambda effect: asyncio.to_thread(effect.function),
            Open: lambda effect: self._request(effect.to_request()),
            Send: lambda effect: effect.channel.asend(effect.message),
            Receive: lambda effect: effect.channel.areceive(effect.timeout),
            Close: lambda effect: effect.channel.aclose(),
            Exclusive: lambda effect: self._whole(effect) if effect.is_whole else self._exclusive(effect),
            Together: lambda effect: asyncio.gather(*map(self._outcome, effect.scripts)),
        }

    def answer(self, effect: Any) -> Awaitable[Any]:
        """Do one thing. Raises `ConfigurationError` once the client is closed."""
        if self._is_closed and type(effect) not in LOCAL:
            raise closed_client()
        return self._answers[type(effect)](effect)

    def close(self) -> None:
        """End the sleeps of other tasks, and refuse every effect but local calls from now on."""
        self._is_closed = True
        for sleep in self._sleeps:
            if not sleep.done():
                sleep.set_exception(closed_client())

    async def _sleep(self, seconds: float) -> None:
        """Sleep like `asyncio.sleep`, until the next time of the grid or until `close`."""
        loop = asyncio.get_running_loop()
        sleep: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(round_to_grid(seconds, now=time.monotonic()), _end, sleep)
        self._sleeps.add(sleep)
        try:
            await sleep
        finally:
            alarm.cancel()
            self._sleeps.discard(sleep)

    async def _request(self, request: Request) -> Response:
        async with self.slots:
            return await self.send(request)

    async def send(self, request: Request) -> Response:
        """Send a request for which a slot is held."""
        if self._is_closed:
            raise closed_client()
        if request.channel is not None:
            return await self._open_channel(request)
        response: Response = await self._transport.send(request)
        return response

    async def _open_channel(self, request: Request) -> Response:
        if self._channels is None and self._make_channels is not None:
            self._channels = self._make_channels()
        if self._channels is None:
            raise no_channels()
        response: Response = await self._channels.open_channel(request)
        return response

    async def aclose_channels(self) -> None:
        """Close every channel, which ends waits for a message."""
        if self._channels is not None:
            await self._channels.aclose_channels()

    async def _exclusive(self, effect: Exclusive) -> Any:
        locks = LockSet(effect.lock.paths, timeout=effect.lock.timeout, monotonic=self._clock.monotonic)
        try:
            for pause in locks.pauses():
                await self._clock.asleep(pause)
            return await aperform(effect.script, self)
        finally:
            locks.release()

    def _whole(self, effect: Exclusive) -> Awaitable[Any]:
        task = asyncio.create_task(self._exclusive(effect))
        self._unfinished.add(task)
        task.add_done_callback(self._finished)
        return asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # a cancelled caller does not read it, and asyncio would log it

    async def settle(self) -> None:
        """Wait for what must be performed to its end."""
        while self._unfinished:
            await asyncio.wait(self._unfinished)

    async def _outcome(self, script: Script[Any]) -> Any:
        try:
            return await aperform(script, self)
        except errors.CoatcheckError as error:
            return error


def _end(sleep: asyncio.Future[None]) -> None:
    if not sleep.done():
        sleep.set_result(None)


class _RequestSlot:
    """A slot for one request in flight, acquired before a script continues and released with its first request.

    A script that waits for a slot has no frames of a request yet, so ten thousand waits that begin at once use half the
    memory. The slot is released before any other effect, so it cannot cause a deadlock.
    """

    __slots__ = ("_is_held", "_slots")

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots, self._is_held = slots, False

    async def acquire(self) -> None:
        """Wait for a slot."""
        await self._slots.acquire()
        self._is_held = True

    def release(self) -> None:
        """Release the slot, if it is held."""
        if self._is_held:
            self._is_held = False
            self._slots.release()

    async def answer(self, effect: Any, driver: AsyncDriver) -> Any:
        """Perform an effect, a request in the slot that is held."""
        if self._is_held and type(effect) is Request:
            try:
                return await driver.send(effect)
            finally:
                self.release()
        self.release()
        return await driver.answer(effect)


async def aperform(script: Script[T], driver: AsyncDriver, *, doing: str = "", ref: object = "") -> T:
    """Return what *script* returns; what it emits is dropped. An error is noted what we were *doing*, and with whom."""
    streams: list[Any] = []
    slot = _RequestSlot(driver.slots)
    try:
        await slot.acquire()
        effect = next(script)
        while True:
            if type(effect) is Sleep:  # without a frame of `_do`: this is where ten thousand waits are
                slot.release()
                await driver.answer(effect)
                await slot.acquire()
                effect = script.send(None)
            else:
                effect = (await _do(effect, driver, streams, slot))(script)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except errors.CoatcheckError as error:
        if doing:
            error.add_note(f"{doing} {ref}".rstrip())  # a suspended exchange is not in the traceback
        raise
    finally:
        slot.release()
        await _close(script, streams)


async def aiterate(script: Script[Any], driver: AsyncDriver) -> AsyncGenerator[Any, None]:
    """Yield what *script* emits."""
    streams: list[Any] = []
    try:
        effect = next(script)
        while True:
            if type(effect) is Emit:
                yield effect.value
            effect = (await _do(effect, driver, streams))(script)
    except StopIteration:
        return
    finally:
        await _close(script, streams)


async def _do(
    effect: Any, driver: AsyncDriver, streams: list[Any], slot: _RequestSlot | None = None
) -> Callable[[Script[Any]], Any]:
    """Perform an effect and return how to continue the script: with a sent result or a thrown error."""
    if type(effect) is Emit:
        return next
    cancelled = _cancellations()
    try:
        answer = await (slot.answer(effect, driver) if slot else driver.answer(effect))
    except Exception as error:  # noqa: BLE001 - the script handles every error
        answer, how = None, partial(_throw, error)
    else:
        how = partial(_send, answer)
    if (stream := getattr(answer, "stream", None)) is not None:
        streams.append(stream)
    elif type(effect) is Close and effect.channel in streams:
        streams.remove(effect.channel)
    if _cancellations() > cancelled:
        raise asyncio.CancelledError
    return how


def _cancellations() -> int:
    """Return how often this task was cancelled, less what was taken back.

    pyreqwest 0.15 swallows about one cancellation in a hundred: those that coincide with the response.
    """
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _send(answer: Any, script: Script[Any]) -> Any:
    return script.send(answer)


def _throw(error: Exception, script: Script[Any]) -> Any:
    return script.throw(error)


async def _close(script: Script[Any], streams: list[Any]) -> None:
    script.close()
    for stream in streams:
        await stream.aclose()
