"""Channels of lines, blocking: a program that is started here, or a Unix socket.

Invariants:

- a message is a line without its end; an empty line is no message;
- a program is started in a session of its own, so the terminal's signals do not reach it. It ends with the channel:
  its input is closed, then it is sent SIGTERM, then SIGKILL, and with it all processes of its session;
- a thread reads ahead, at most one message's size, so that the other side is not held by a full pipe.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from contextlib import suppress
from threading import Condition, Thread
from typing import IO, Any, Protocol

from .. import errors
from .._protocol.decode import scrub
from .._protocol.effects import Request, Response
from .channel_settings import (
    CHUNK,
    CLOSE_TIMEOUT,
    MAX_ERROR_OUTPUT,
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
    too_large,
)
from .network import TransportOptions


class LineReader:
    """Reads lines from a file descriptor in a thread, until its end or `stop`."""

    def __init__(self, fd: int, limit: int) -> None:
        self._fd, self._limit = fd, limit
        self._lines: deque[bytes] = deque()
        self._partial, self._size = bytearray(), 0
        self._changed = Condition()
        self._stop_read, self._stop_write = os.pipe()
        self.has_ended = self.is_too_large = self._is_stopped = False
        self._thread = Thread(target=self._run, name="coatcheck-lines", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> bytes | None:
        """Return the next line, None at the end. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._lines or self.has_ended, timeout=max(0.0, timeout)):
                raise TimeoutError
            if not self._lines:
                return None
            line = self._lines.popleft()
            self._size -= len(line)
            self._changed.notify_all()
            return line

    def stop(self) -> None:
        """End the thread; may be called more than once."""
        with self._changed:
            if self._is_stopped:
                return
            self._is_stopped = True
            self._changed.notify_all()
        os.write(self._stop_write, b"x")
        self._thread.join()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        with suppress(OSError):
            while self._has_space() and (chunk := self._read()):
                self._take(chunk)
        with self._changed:
            if self._partial and not self.is_too_large:
                self._lines.append(bytes(self._partial))
            self.has_ended = True
            self._changed.notify_all()

    def _has_space(self) -> bool:
        """Wait until less than a whole message is unread; False after `stop` and after a line that is too long."""
        with self._changed:
            self._changed.wait_for(lambda: self._size <= self._limit or self._is_stopped)
            return not (self._is_stopped or self.is_too_large)

    def _read(self) -> bytes:
        poll = select.poll()
        for fd in (self._fd, self._stop_read):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll()]
        return b"" if self._stop_read in ready else os.read(self._fd, CHUNK)

    def _take(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = bytes(self._partial) + whole[0]
            self._partial.clear()
        self._partial += rest
        lines = [line for line in (each.rstrip(b"\r") for each in whole) if line]
        with self._changed:
            self.is_too_large = len(self._partial) > self._limit
            self._lines.extend(lines)
            self._size += sum(map(len, lines))
            self._changed.notify_all()


def write_all(fd: int, data: bytes, timeout: float) -> None:
    """Write *data* to a non-blocking descriptor. Raises TimeoutError and OSError; a signal's handler may raise as well."""
    deadline, rest = time.monotonic() + timeout, memoryview(data)
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    while rest:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(remaining * 1000):
            raise TimeoutError
        with suppress(BlockingIOError):
            rest = rest[os.write(fd, rest[:CHUNK]) :]


class Peer(Protocol):
    """What is at the other end of a channel of lines."""

    reading: int
    writing: int

    def end(self) -> None:
        """End it: afterwards nothing more is read from it."""
        ...

    def explain(self) -> str:
        """Return why it ended, nothing where it ended in order."""
        ...

    def release(self) -> None:
        """Close the file descriptors."""
        ...


class LineChannel:
    """Lines to and from a *peer*."""

    def __init__(self, peer: Peer, request: Request, limit: int) -> None:
        os.set_blocking(peer.writing, False)
        self._peer, self._reader = peer, LineReader(peer.reading, limit)
        self._place, self._limit = place_of(request), limit
        self._is_closed = False
        self.session: Any = None

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return not (self._is_closed or self._reader.has_ended)

    def send(self, message: bytes) -> None:
        """Send one line."""
        if not self.is_open:
            raise ended_before(self._place, self._peer.explain())
        try:
            write_all(self._peer.writing, message + b"\n", SEND_TIMEOUT)
        except TimeoutError:
            raise blocked(self._place) from None
        except OSError:
            raise cut(self._place, self._peer.explain()) from None

    def receive(self, timeout: float) -> bytes | None:
        """Return the next line, None at the end."""
        try:
            line = self._reader.get(timeout)
        except TimeoutError:
            raise silent(self._place) from None
        if line is None:
            check_end(self._place, self._limit, self._peer.explain(), is_too_large=self._reader.is_too_large)
        return line

    def close(self) -> None:
        """End the other side; may be called more than once."""
        if not self._is_closed:
            self._is_closed = True
            self._peer.end()
            self._reader.stop()
            self._peer.release()


def check_end(place: str, limit: int, reason: str, *, is_too_large: bool) -> None:
    """Raise `TransportError` where lines ended early."""
    if is_too_large:
        raise too_large(place, limit)
    if reason:
        raise cut(place, reason)


class SocketPeer:
    """A server at a Unix socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.reading = self.writing = connection.fileno()

    def end(self) -> None:
        """Shut the connection down."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def explain(self) -> str:
        """Return nothing: a socket ends without a reason."""
        return ""

    def release(self) -> None:
        """Close the socket."""
        self._socket.close()


class ProgramPeer:
    """A program that was started here; the last line of its error output explains a failure."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both are pipes
        self._process, self._output, self._input, self._answers = process, output, process.stdin, process.stdout
        self.reading, self.writing = process.stdout.fileno(), process.stdin.fileno()

    def end(self) -> None:
        """Close its input, then end it by signals."""
        with suppress(OSError):
            self._input.close()
        for number in (signal.SIGTERM, signal.SIGKILL, None):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSE_TIMEOUT)
                return
            if number is not None:
                signal_session(self._process.pid, number)

    def explain(self) -> str:
        """Return its exit code and its last line."""
        with suppress(subprocess.TimeoutExpired):
            return explained_end(self._process.wait(CLOSE_TIMEOUT), self._output)
        return ""

    def release(self) -> None:
        """Close the pipe and the file of its error output."""
        self._answers.close()
        self._output.close()


def open_lines(request: Request, options: TransportOptions) -> Response:
    """Return the answer to `Open` for a Unix socket of lines."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(open_timeout(request, options))
        sock.connect(socket_path(request))
        sock.settimeout(None)
    except OSError as error:
        sock.close()
        raise not_connected(request, error) from None
    except BaseException:
        sock.close()
        raise
    return Response(101, url=request.url, stream=LineChannel(SocketPeer(sock), request, options.max_body))


def open_program(request: Request, options: TransportOptions) -> Response:
    """Start the program of an `Open` and return the answer."""
    command = resolved_command(request.channel.command if request.channel else (), options.environ)
    output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=dict(options.environ),
            start_new_session=True,
        )
    except OSError as error:
        output.close()
        raise not_started(command[0], error) from None
    channel = LineChannel(ProgramPeer(process, output), request, options.max_body)
    return Response(101, url=request.url, stream=channel)


def not_started(program: str, error: OSError) -> errors.ConfigurationError:
    """Return the error for a program that could not be started."""
    return errors.ConfigurationError(
        f"{program} cannot be started: {error.strerror or error}", remedy="check the command"
    )


def signal_session(pid: int, number: int) -> None:
    """Send a signal to the session of a process that is running."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def explained_end(code: int, output: IO[bytes]) -> str:
    """Return why a program ended, with the last line of its error output; nothing for an orderly end."""
    if code == 0:
        return ""
    how = f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
    return f"{how}{_last_line(output)}"


def _last_line(output: IO[bytes]) -> str:
    try:
        size = os.fstat(output.fileno()).st_size
        text = os.pread(output.fileno(), 4096, max(0, size - 4096)).decode("utf-8", "replace")
    except (OSError, ValueError):  # closed
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {scrub(lines[-1])[:MAX_ERROR_OUTPUT]}" if lines else ""
