"""HTTP/1.1 connections with deadlines and a limit, for uvicorn.

An ASGI application sees a request only after its headers, so what concerns earlier phases is here. Guarantees:

- a request's headers, and an unread body, arrive before a deadline, or the connection is closed;
- a client that does not read its response is disconnected after a deadline;
- there are never more connections than `Limits.connections`: the oldest one without a request in progress is closed;
- whatever a client sends, at most `LogLimit.BURST` log records per minute are written.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

from .._values.value import Value

# Open files are also needed for SQLite, git and agents, so connections get half of what the process may open.
MAX_CONNECTIONS, FILES_PER_CONNECTION = 2048, 2


class Limits(Value, frozen=True, kw_only=True):
    """Deadlines of one connection in seconds, and how many connections there may be.

    nginx waits 60 s for headers, Apache's mod_reqtimeout 20 s and then less; on loopback 10 s are plenty.
    """

    headers: float = 10.0
    body: float = 20.0
    drain: float = 10.0
    write: float = 60.0
    connections: int = MAX_CONNECTIONS


def limits_here() -> Limits:
    """Return the limits that fit this process's limit of open files."""
    try:
        import resource
    except ImportError:  # Windows
        return Limits()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return Limits()
    return Limits(connections=max(4, min(MAX_CONNECTIONS, files // FILES_PER_CONNECTION)))


class LogLimit(logging.Filter):
    """Let through `BURST` records per `WINDOW` seconds; the next record that passes names how many were left out."""

    BURST, WINDOW, LENGTH = 20, 60.0, 4000

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._begin, self._written, self._omitted = 0.0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is written."""
        now = self._monotonic()
        if not self._written or now - self._begin >= self.WINDOW:
            self._begin, self._written = now, 0
        if self._written >= self.BURST:
            self._omitted += 1
            return False
        self._written += 1
        message = record.getMessage()[: self.LENGTH]
        if self._omitted:
            message = f"{message} ({self._omitted} earlier records were left out)"
            self._omitted = 0
        record.msg, record.args = message, None
        return True


LOGGER = logging.getLogger("coatcheck.cloud")
LOGGER.addFilter(LogLimit())


def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop in one line; an event loop's exception handler."""
    LOGGER.error("%s: %r", context.get("message"), context.get("exception"))


BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TransportProtocol(H11Protocol):
    """One connection; the application can reach its transport to reset it."""

    def __init__(self, *arguments: Any, limits: Limits | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger, self.access_log = LOGGER, False
        self._limits = limits or Limits()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_refused = self.has_sent_request = False
        self.opened_at = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give requests the transport, begin the deadline for headers, enforce the limit of connections."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        self._start("headers", self._limits.headers)
        self._close_oldest()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every deadline."""
        for name in list(self._timers):
            self._stop(name)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read the data, then set the deadline of the phase that the connection is in."""
        if self._is_refused or self.transport.is_closing():
            return
        super().data_received(data)
        self._set_deadlines()

    def on_response_complete(self) -> None:
        """Continue with the next request, or read the rest of a body that the application did not want."""
        super().on_response_complete()
        self._set_deadlines()

    def pause_writing(self) -> None:
        """Begin the deadline for a client that does not read."""
        super().pause_writing()
        self._start("write", self._limits.write)

    def resume_writing(self) -> None:
        """End that deadline."""
        super().resume_writing()
        self._stop("write")

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn annotates
        return cycle is None or cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP/1.1: 431 for headers that are too large, else 400.

        A response that has begun cannot be replaced, so then the connection is closed. The application of a request
        whose body is malformed gets a disconnect.
        """
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        if not self.is_idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # h11 names the status (RFC 6585 section 5 for 431); uvicorn calls this while it handles h11's exception
        is_too_large = getattr(sys.exc_info()[1], "error_status_hint", 400) == 431
        status, text = (431, b"The headers are too large") if is_too_large else (400, msg.encode("ascii"))
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=text),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Write nothing: an Upgrade header may be ignored (RFC 9110 section 7.8)."""

    def _set_deadlines(self) -> None:
        state = self.conn.their_state
        if state is not h11.IDLE:
            self.has_sent_request = True
            self._stop("headers")
        elif self.timeout_keep_alive_task is None or self.conn.trailing_data[0]:
            # a request has begun; otherwise uvicorn's own deadline between two requests holds
            self._start("headers", self._limits.headers)
        if state is h11.SEND_BODY and self.is_idle:
            self._start("drain", self._limits.drain)
        else:
            self._stop("drain")

    def _start(self, name: str, seconds: float) -> None:
        """Begin a deadline, unless it runs."""
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()

    @property
    def _rank(self) -> tuple[int, float]:
        """The order in which connections are closed for new ones: those that never sent a request, idle ones, unfinished bodies."""
        return (int(self.has_sent_request) + int(not self.is_idle), self.opened_at)

    def _close_oldest(self) -> None:
        """Where there are too many connections, close the oldest one that waits for its client, else refuse this one."""
        others: list[TransportProtocol] = [
            each
            for each in self.connections
            if isinstance(each, TransportProtocol) and each is not self and not each.transport.is_closing()
        ]
        if len(others) < self._limits.connections:
            return
        waiting = [each for each in others if each.is_idle or each.conn.their_state is h11.SEND_BODY]
        if waiting:
            min(waiting, key=lambda each: each._rank).transport.abort()  # noqa: SLF001 - another one of us
            return
        self._is_refused = True
        self.transport.write(BUSY)
        self.transport.close()
