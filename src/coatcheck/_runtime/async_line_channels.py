"""Channels of lines, under asyncio: a program that is started here, or a Unix socket.

Invariants: those of `line_channels`, whose messages and limits these are.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, Any, Protocol

from .._protocol.effects import Request, Response
from .channel_settings import (
    CLOSE_TIMEOUT,
    SEND_TIMEOUT,
    blocked,
    cut,
    ended_before,
    not_connected,
    open_timeout,
    place_of,
    resolved_command,
    silent,
    socket_path,
)
from .line_channels import check_end, explained_end, not_started, signal_session
from .network import TransportOptions


class AsyncPeer(Protocol):
    """What is at the other end of a channel of lines."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def end(self) -> None:
        """End it and close what belongs to it."""
        ...

    async def explain(self) -> str:
        """Return why it ended, nothing where it ended in order."""
        ...


class AsyncLineChannel:
    """Lines to and from a *peer*."""

    def __init__(self, peer: AsyncPeer, request: Request, limit: int) -> None:
        self._peer, self._place, self._limit = peer, place_of(request), limit
        self._is_closed = self._is_too_large = False
        self.session: Any = None

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return not (self._is_closed or self._is_too_large or self._peer.reader.at_eof())

    async def asend(self, message: bytes) -> None:
        """Send one line."""
        if not self.is_open or self._peer.writer.is_closing():
            raise ended_before(self._place, await self._peer.explain())
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                self._peer.writer.write(message + b"\n")
                await self._peer.writer.drain()
        except TimeoutError:
            raise blocked(self._place) from None
        except OSError:
            raise cut(self._place, await self._peer.explain()) from None

    async def areceive(self, timeout: float) -> bytes | None:
        """Return the next line, None at the end."""
        try:
            async with asyncio.timeout(timeout):
                line = await self._line()
        except TimeoutError:
            raise silent(self._place) from None
        if line is None:
            reason = await self._peer.explain()
            check_end(self._place, self._limit, reason, is_too_large=self._is_too_large)
        return line

    async def _line(self) -> bytes | None:
        while not self._is_too_large:
            try:
                line = await self._peer.reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                return error.partial or None
            except asyncio.LimitOverrunError:
                self._is_too_large = True
                break
            except OSError:
                break
            if line := line.rstrip(b"\r\n"):
                return line
        return None

    async def aclose(self) -> None:
        """End the other side; may be called more than once."""
        if not self._is_closed:
            self._is_closed = True
            await self._peer.end()


class AsyncSocketPeer:
    """A server at a Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def end(self) -> None:
        """Close the connection."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def explain(self) -> str:
        """Return nothing: a socket ends without a reason."""
        return ""


class AsyncProgramPeer:
    """A program that was started here; the last line of its error output explains a failure."""

    def __init__(self, process: asyncio.subprocess.Process, output: IO[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both are pipes
        self._process, self._output = process, output
        self.reader, self.writer = process.stdout, process.stdin

    async def end(self) -> None:
        """Close its input, then end it by signals."""
        try:
            self.writer.close()
            await self._wait_for_end()
        except BaseException:
            self._signal(signal.SIGKILL)  # nobody waits any more
            raise
        finally:
            self._output.close()

    async def _wait_for_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL, None):
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._process.wait()
                    return
            if number is not None:
                self._signal(number)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            signal_session(self._process.pid, number)

    async def explain(self) -> str:
        """Return its exit code and its last line."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                return explained_end(await self._process.wait(), self._output)
        return ""


async def aopen_lines(request: Request, options: TransportOptions) -> Response:
    """Return the answer to `Open` for a Unix socket of lines."""
    path = socket_path(request)
    try:
        async with asyncio.timeout(open_timeout(request, options)):
            reader, writer = await asyncio.open_unix_connection(path, limit=options.max_body)
    except OSError as error:  # TimeoutError is one
        raise not_connected(request, error) from None
    channel = AsyncLineChannel(AsyncSocketPeer(reader, writer), request, options.max_body)
    return Response(101, url=request.url, stream=channel)


async def aopen_program(request: Request, options: TransportOptions) -> Response:
    """Start the program of an `Open` and return the answer."""
    command = resolved_command(request.channel.command if request.channel else (), options.environ)
    output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=dict(options.environ),
            limit=options.max_body,
            start_new_session=True,
        )
    except BaseException as error:
        output.close()
        if isinstance(error, OSError):
            raise not_started(command[0], error) from None
        raise
    channel = AsyncLineChannel(AsyncProgramPeer(process, output), request, options.max_body)
    return Response(101, url=request.url, stream=channel)
