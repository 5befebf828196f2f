"""The blocking driver: perform the effects of a script until it returns.

Invariants:
- An error of an effect is thrown into the script that yielded the effect.
- However a script ends, its streams are closed and its locks released.
- At most `max_in_flight` requests are in flight at once, whichever threads send them.
- `Driver.close` ends sleeps in other threads; from then on every effect but a local call raises `ConfigurationError`.
- Channels are closed when their script ends, and all of them by `Driver.close`, which ends waits for a message.
- Ctrl-C ends a request of the main thread at once (`interrupts`). A script that must be performed to its end
  (`Exclusive.is_whole`) is given `interrupts.GRACE` seconds, and continues in the background after them; `close` waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Condition, Event, get_ident
from typing import TYPE_CHECKING, Any, TypeVar

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
from .._protocol.hosts import is_loopback
from .._protocol.urls import origin_of
from .interrupts import GRACE, Interruptible
from .system_clock import SystemClock

if TYPE_CHECKING:
    from .channel_transport import ChannelTransport
    from .transport import CancellableTransport, Transport

# What changes nothing (RFC 9110, section 9.2.1) may be sent again after a signal cancelled it.
SAFE = frozenset({"GET", "HEAD"})
# Effects that a closed client still performs.
LOCAL = frozenset({Call, Close, Emit})

T = TypeVar("T")


class Slots:
    """A semaphore of *count* slots, None for no limit; `threading.Semaphore`, written in Python, costs 4 µs a request."""

    def __init__(self, count: int | None) -> None:
        self._free: SimpleQueue[None] | None = None if count is None else SimpleQueue()
        for _ in range(count or 0):
            self.__exit__()

    def __enter__(self) -> None:
        if self._free is not None:
            self._free.get()

    def __exit__(self, *_: object) -> None:
        if self._free is not None:
            self._free.put(None)


class Driver:
    """Performs the effects of blocking scripts; threads may share one.

    *is_native* means that signals do not interrupt the transport; any other is called in the calling thread.
    *channels* makes what opens channels, unless the transport does.
    *main* is the transport of the main thread, which can cancel a request; its connections are not shared with other threads.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        max_in_flight: int | None = None,
        is_native: bool = False,
        main: CancellableTransport | None = None,
        channels: Callable[[], ChannelTransport] | None = None,
    ) -> None:
        self._transport, self._main, self._clock = transport, main, clock
        self._make_channels, self._channels = channels, channels_of(transport)
        self._slots, self._interrupts = Slots(max_in_flight), Interruptible(is_needed=is_native)
        self._closed, self._finished = Event(), Condition()
        self._whole: set[int] = set()  # threads that perform what must be performed to its end
        self._answers: Mapping[type, Callable[[Any], Any]] = {
            Request: self._request,
            Read: lambda effect: self._interrupts.perform(effect.stream.read),
            Sleep: lambda effect: self._sleep(effect.seconds),
            Call: lambda effect: effect.function(),
            Open: lambda effect: self._request(effect.to_request()),
            Send: lambda effect: effect.channel.send(effect.message),
            Receive: lambda effect: effect.channel.receive(effect.timeout),
            Close: lambda effect: self.end_stream(effect.channel),
            Emit: lambda _: None,  # the caller of `iterate` has it
            Exclusive: self._exclusive,
            Together: lambda effect: [self._outcome(script) for script in effect.scripts],
        }

    def answer(self, effect: Any) -> Any:
        """Do one thing. Raises `ConfigurationError` once the client is closed."""
        if self._closed.is_set() and type(effect) not in LOCAL:
            self._refuse()
        return self._answers[type(effect)](effect)

    def end_stream(self, stream: Any) -> None:
        """Close *stream*."""
        self._interrupts.perform(stream.close)

    def close(self) -> None:
        """End sleeps and requests of other threads, and refuse every effect but local calls from now on.

        What must be performed to its end is waited for a moment; then the last of it closes the connections.
        """
        self._closed.set()
        with self._finished:
            channels = self._channels
        if channels is not None:
            channels.close_channels()
        with self._finished:
            self._finished.wait_for(lambda: not self._whole, timeout=GRACE)
            if not self._whole:
                self._transport.close()
        if self._main is not None:
            self._main.close()
        self._interrupts.close()

    def _request(self, request: Request) -> Response:
        with self._slots:
            if self._closed.is_set():  # while it waited for its turn
                self._refuse()
            return self._send(request)

    def _send(self, request: Request) -> Response:
        if request.channel is not None:
            return self._open_channel(request)
        if not self._interrupts.is_main_thread:
            return self._transport.send(request)
        main = self._main
        if main is None:
            return self._interrupts.perform(partial(self._transport.send, request))
        if request.method in SAFE and not request.stream:
            return self._interrupts.perform_here(partial(main.send, request), cancel=partial(main.cancel, request))
        return self._interrupts.perform(partial(main.send, request))

    def _open_channel(self, request: Request) -> Response:
        with self._finished:
            if self._channels is None and self._make_channels is not None:
                self._channels = self._make_channels()
        if self._channels is None:
            raise no_channels()
        opening: Callable[[], Response] = partial(self._channels.open_channel, request)
        host = origin_of(request.url)[1]  # a signal interrupts everything but the resolution of a name
        return opening() if not host or is_loopback(host) else self._interrupts.perform(opening)

    def _sleep(self, seconds: float) -> None:
        if type(self._clock) is not SystemClock or get_ident() in self._whole:
            self._clock.sleep(seconds)
        elif self._closed.wait(min(max(0.0, seconds), TIMEOUT_MAX)):  # sleeping cannot be ended by another thread
            raise closed_client()

    def _refuse(self) -> None:
        if get_ident() not in self._whole:
            raise closed_client()

    def _exclusive(self, effect: Exclusive) -> Any:
        if effect.is_whole:
            return self._interrupts.perform(partial(self._to_its_end, effect), grace=GRACE)
        return self._locked(effect)

    def _to_its_end(self, effect: Exclusive) -> Any:
        """Perform *effect*; the last one to finish after `close` closes the connections."""
        self._whole.add(get_ident())
        try:
            return self._locked(effect)
        finally:
            with self._finished:
                self._whole.discard(get_ident())
                self._finished.notify_all()
                if self._closed.is_set() and not self._whole:
                    self._transport.close()

    def _locked(self, effect: Exclusive) -> Any:
        locks = LockSet(effect.lock.paths, timeout=effect.lock.timeout, monotonic=self._clock.monotonic)
        try:
            for pause in locks.pauses():
                self._sleep(pause)
            return perform(effect.script, self)
        finally:
            locks.release()

    def _outcome(self, script: Script[Any]) -> Any:
        try:
            return perform(script, self)
        except errors.CoatcheckError as error:
            return error


def iterate(script: Script[T], driver: Driver) -> Generator[Any, None, T]:
    """Yield what *script* emits and return what it returns."""
    streams: list[Any] = []
    try:
        effect = next(script)
        while True:
            if type(effect) is Emit:
                yield effect.value
            effect = _continue(script, effect, driver, streams)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        _end(script, driver, streams)


def perform(script: Script[T], driver: Driver) -> T:
    """Return what *script* returns; what it emits is dropped."""
    streams: list[Any] = []
    try:
        effect = next(script)
        while True:
            effect = _continue(script, effect, driver, streams)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        _end(script, driver, streams)


def _continue(script: Script[Any], effect: Any, driver: Driver, streams: list[Any]) -> Any:
    """Answer *effect* and return the next one of *script*. Raises `StopIteration` at its end."""
    try:
        answer = driver.answer(effect)
    except Exception as error:  # noqa: BLE001 - the script handles every error
        return script.throw(error)
    if (stream := getattr(answer, "stream", None)) is not None:
        streams.append(stream)
    elif type(effect) is Close and effect.channel in streams:
        streams.remove(effect.channel)
    return script.send(answer)


def _end(script: Script[Any], driver: Driver, streams: list[Any]) -> None:
    script.close()
    for stream in streams:
        driver.end_stream(stream)


def channels_of(transport: object) -> Any:
    """Return *transport* where it opens channels itself, as emulators do; else None."""
    return transport if hasattr(transport, "open_channel") else None


def no_channels() -> errors.ConfigurationError:
    """Return the error for a driver that opens no channels."""
    return errors.ConfigurationError("this transport opens no channels", remedy="use the transport of the client")


def closed_client() -> errors.ConfigurationError:
    """Return the error for a client that is closed, before a call or during it."""
    return errors.ConfigurationError("this client is closed", remedy="make a new client")
