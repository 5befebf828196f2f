"""Open channels for the two drivers: by the scheme of the address, and one program for all who start the same one.

Invariants:

- a program is started once, and serves one script at a time: another one waits until its user closes the channel;
- `close_channels` closes every channel that is open, so that whoever waits for a message gets an error at once.
"""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import Any

import msgspec

from .. import errors
from .._protocol.effects import Request, Response
from .channel_settings import not_opened, open_timeout
from .network import TransportOptions, unsendable

_CLOSED = "the client is closed"
WEBSOCKET_SCHEMES = frozenset({"ws", "wss"})


def scheme_of(request: Request) -> str:
    """Return the kind of channel: "websocket", "lines" or "program". Raises `ConfigurationError` for another address."""
    wish, scheme = request.channel, request.url.partition(":")[0]
    if wish is not None and wish.command:
        return "program"
    if scheme == "unix":
        return "lines" if wish is not None and wish.is_lines else "websocket"
    if scheme in WEBSOCKET_SCHEMES:
        return "websocket"
    raise unsendable(request)


class ChannelOpener:
    """Opens the channels of a blocking client; many threads may share one."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._open: set[Any] = set()
        self._programs: dict[tuple[str, ...], SharedProgram] = {}
        self._lock = Lock()
        self._is_closed = False

    def open_channel(self, request: Request) -> Response:
        """Return the answer to `Open`. Raises `TransportError` and `ConfigurationError`."""
        self._check()
        if scheme_of(request) == "program":
            return self._program(request).open(request, self._options)
        response = _open(request, self._options)
        return response if response.stream is None else self._tracked(response)

    def close_channels(self) -> None:
        """Close every channel; may be called more than once."""
        with self._lock:
            self._is_closed = True
            channels = [*self._open, *self._programs.values()]
            self._open.clear()
        for channel in channels:
            channel.close()

    def _check(self) -> None:
        if self._is_closed:
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")

    def _program(self, request: Request) -> SharedProgram:
        command = request.channel.command if request.channel else ()
        with self._lock:
            self._check()
            return self._programs.setdefault(command, SharedProgram())

    def _tracked(self, response: Response) -> Response:
        channel = TrackedChannel(response.stream, self._open)
        with self._lock:
            if not self._is_closed:
                self._open.add(channel)
                return msgspec.structs.replace(response, stream=channel)
        channel.close()
        raise errors.ConfigurationError(_CLOSED, remedy="make a new client")


def _open(request: Request, options: TransportOptions) -> Response:
    if scheme_of(request) == "lines":
        from .line_channels import open_lines

        return open_lines(request, options)
    from .websocket_channels import open_websocket

    return open_websocket(request, options)


class TrackedChannel:
    """A channel that is in *open* until it is closed."""

    def __init__(self, channel: Any, open: set[Any]) -> None:
        self._channel, self._open = channel, open
        self.send, self.receive = channel.send, channel.receive
        self.session: Any = None

    def close(self) -> None:
        """Close the channel."""
        self._open.discard(self)
        self._channel.close()


class SharedProgram:
    """A program that one script uses at a time."""

    def __init__(self) -> None:
        self._lock, self._channel, self._is_closed = Lock(), None, False

    def open(self, request: Request, options: TransportOptions) -> Response:
        """Wait until the program is free, start it where it does not run, and return it."""
        limit = open_timeout(request, options)
        if not self._lock.acquire(timeout=-1 if limit is None else max(0.0, limit)):
            raise not_opened(request, "", is_timeout=True)
        try:
            channel = self._running(request, options)
        except BaseException:
            self._lock.release()
            raise
        return Response(101, url=request.url, stream=LeasedChannel(channel, self._lock.release))

    def _running(self, request: Request, options: TransportOptions) -> Any:
        from .line_channels import open_program

        if self._is_closed:
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")
        if self._channel is not None and not self._channel.is_open:
            self._channel.close()
            self._channel = None
        if self._channel is None:
            self._channel = open_program(request, options).stream
        if self._is_closed:  # meanwhile, by another thread
            self._channel.close()
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")
        return self._channel

    def close(self) -> None:
        """End the program."""
        self._is_closed = True
        if self._channel is not None:
            self._channel.close()


class LeasedChannel:
    """A program's channel for one script; closing it releases the program."""

    def __init__(self, channel: Any, release: Any) -> None:
        self._channel, self._release = channel, release
        self._is_closed = False
        self.send, self.receive = channel.send, channel.receive

    @property
    def session(self) -> Any:
        """What the protocol keeps between scripts."""
        return self._channel.session

    @session.setter
    def session(self, session: Any) -> None:
        self._channel.session = session

    def close(self) -> None:
        """Let the next script use the program."""
        if not self._is_closed:
            self._is_closed = True
            self._release()


class AsyncChannelOpener:
    """Opens the channels of an asynchronous client."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._open: set[Any] = set()
        self._programs: dict[tuple[str, ...], AsyncSharedProgram] = {}
        self._is_closed = False

    async def open_channel(self, request: Request) -> Response:
        """Return the answer to `Open`. Raises `TransportError` and `ConfigurationError`."""
        self._check()
        if scheme_of(request) == "program":
            command = request.channel.command if request.channel else ()
            program = self._programs.setdefault(command, AsyncSharedProgram())
            return await program.open(request, self._options)
        response = await _aopen(request, self._options)
        if response.stream is None:
            return response
        channel = AsyncTrackedChannel(response.stream, self._open)
        if self._is_closed:
            await channel.aclose()
            self._check()
        return msgspec.structs.replace(response, stream=channel)

    async def aclose_channels(self) -> None:
        """Close every channel; may be called more than once."""
        self._is_closed = True
        for channel in [*self._open, *self._programs.values()]:
            await channel.aclose()

    def _check(self) -> None:
        if self._is_closed:
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")


async def _aopen(request: Request, options: TransportOptions) -> Response:
    if scheme_of(request) == "lines":
        from .async_line_channels import aopen_lines

        return await aopen_lines(request, options)
    from .websocket_channels import aopen_websocket

    return await aopen_websocket(request, options)


class AsyncTrackedChannel:
    """A channel that is in *open* until it is closed."""

    def __init__(self, channel: Any, open: set[Any]) -> None:
        self._channel, self._open = channel, open
        self.asend, self.areceive = channel.asend, channel.areceive
        self.session: Any = None
        open.add(self)

    async def aclose(self) -> None:
        """Close the channel."""
        self._open.discard(self)
        await self._channel.aclose()


class AsyncSharedProgram:
    """A program that one script uses at a time."""

    def __init__(self) -> None:
        self._lock, self._channel, self._is_closed = asyncio.Lock(), None, False

    async def open(self, request: Request, options: TransportOptions) -> Response:
        """Wait until the program is free, start it where it does not run, and return it."""
        try:
            async with asyncio.timeout(open_timeout(request, options)):
                await self._lock.acquire()
        except TimeoutError:
            raise not_opened(request, "", is_timeout=True) from None
        try:
            channel = await self._running(request, options)
        except BaseException:
            self._lock.release()
            raise
        return Response(101, url=request.url, stream=AsyncLeasedChannel(channel, self._lock.release))

    async def _running(self, request: Request, options: TransportOptions) -> Any:
        from .async_line_channels import aopen_program

        if self._is_closed:
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")
        if self._channel is not None and not self._channel.is_open:
            await self._channel.aclose()
            self._channel = None
        if self._channel is None:
            self._channel = (await aopen_program(request, options)).stream
        if self._is_closed:  # while it was started
            await self._channel.aclose()
            raise errors.ConfigurationError(_CLOSED, remedy="make a new client")
        return self._channel

    async def aclose(self) -> None:
        """End the program."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.aclose()


class AsyncLeasedChannel(LeasedChannel):
    """A program's channel for one script, under asyncio."""

    def __init__(self, channel: Any, release: Any) -> None:
        self._channel, self._release = channel, release
        self._is_closed = False
        self.asend, self.areceive = channel.asend, channel.areceive

    async def aclose(self) -> None:
        """Let the next script use the program."""
        self.close()
