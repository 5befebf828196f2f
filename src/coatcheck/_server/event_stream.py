"""Write server-sent events (WHATWG HTML, section 9.2): replayed from a log, then live, resumable.

Guarantees:

- whatever data, type or id holds, a reader of the stream gets it back: line breaks are escaped as the format demands;
- ids are numbers that grow; a reader that sends ``Last-Event-ID`` gets every later event once, in order;
- a reader that is slower than the events is disconnected when its queue is full: it holds bounded memory, delays no
  other reader, and resumes by its last id;
- 204 answers a reader of everything of a stream that has ended, which ends its reconnecting; 410 one whose next event
  is not kept any more;
- without events a comment is sent every `HEARTBEAT` seconds, so a closed connection is noticed.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from .._protocol.effects import Response
from .._values.value import Value
from .asgi_requests import header, wait_for_disconnect
from .asgi_types import Receive, Scope, Send
from .middleware import send_response
from .problems import problem

# Proxies commonly close a connection after 60 s without a byte; the standard suggests a comment every 15 s.
HEARTBEAT = 15.0
# How long a client waits before it connects again (milliseconds).
RETRY = 2000
# Events that wait for one reader; then it is disconnected.
QUEUE_SIZE = 256
# Events that are read from the log at once.
PAGE = 100

MEDIA_TYPE = "text/event-stream"
HEADERS: Mapping[str, str] = {"content-type": MEDIA_TYPE, "cache-control": "no-store", "x-accel-buffering": "no"}

# CR LF, CR and LF end a line; nothing else does.
_LINE_END = re.compile(r"\r\n|\r|\n")


GONE = problem(410, "The events after this id are not kept; read the state, and connect without Last-Event-ID")


class StreamEvent(Value, frozen=True, kw_only=True):
    """One event: its number in the stream, its type, and its data (JSON or any text)."""

    id: int
    type: str
    data: str


def encode_event(data: str, *, type: str = "", id: str = "") -> bytes:
    """Return an event; each line of *data* becomes one field. Raises `ValueError` for a type or id of two lines."""
    if _LINE_END.search(type + id) or "\0" in id:
        raise ValueError("the type and the id of an event have one line")
    fields = [f"{name}: {value}\n" for name, value in (("id", id), ("event", type)) if value]
    lines = [f"data: {line}\n" for line in _LINE_END.split(data)]
    return ("".join((*fields, *lines)) + "\n").encode("utf-8", "replace")


def encode_comment(text: str = "") -> bytes:
    """Return a comment: clients ignore it."""
    return "".join(f": {line}\n" for line in _LINE_END.split(text)).encode("utf-8", "replace") + b"\n"


def encode_retry(milliseconds: int) -> bytes:
    """Return how long clients wait before they connect again."""
    return b"retry: %d\n\n" % milliseconds


def last_event_id(scope: Scope) -> int | None:
    """Return the id after which a reader resumes, None for a new reader. Raises `ValueError` for what is no id."""
    text = header(scope, b"last-event-id").strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


class EventLog(Protocol):
    """Where the events of a stream are kept. Its methods are called in threads."""

    def bounds(self) -> tuple[int, int, bool]:
        """Return the ids of the oldest kept and of the newest event, and whether the stream has ended.

        The newest is 0 before the first event; the oldest is one more than the newest where none is kept.
        """
        ...

    def after(self, id: int, *, limit: int) -> Sequence[StreamEvent]:
        """Return the first *limit* kept events with a larger id."""
        ...


class Reader:
    """The queue of one reader; `put` is thread-safe and never waits."""

    def __init__(self, size: int = QUEUE_SIZE) -> None:
        self._size = size
        self._events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def put(self, event: StreamEvent | None) -> None:
        """Add an event, None for the end of the stream."""
        with suppress(RuntimeError):  # the event loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(self._add, event)

    def _add(self, event: StreamEvent | None) -> None:
        if self._is_over:
            return
        self._is_over = event is None or self._events.qsize() >= self._size
        self._events.put_nowait(None if self._is_over else event)

    async def next(self, timeout: float) -> StreamEvent | None:
        """Return the next event, None at the end or after an overflow. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            return await self._events.get()


class Broadcast:
    """The readers of one stream; events are published from any thread."""

    def __init__(self) -> None:
        self._readers: set[Reader] = set()
        self._lock = threading.Lock()

    def publish(self, event: StreamEvent) -> None:
        """Give every reader an event that the log holds already."""
        self._send(event)

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads the stream now."""
        return bool(self._readers)

    def end(self) -> None:
        """End the stream of every reader; the log has been marked as ended before."""
        self._send(None)

    def _send(self, event: StreamEvent | None) -> None:
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.put(event)

    @contextmanager
    def reading(self, *, size: int = QUEUE_SIZE) -> Iterator[Reader]:
        """Give a new reader, which gets what is published while the block runs."""
        reader = Reader(size)
        with self._lock:
            self._readers.add(reader)
        try:
            yield reader
        finally:
            with self._lock:
                self._readers.discard(reader)


class EventStream:
    """An ASGI application that sends the events of *log*, and then those that *broadcast* publishes."""

    def __init__(
        self, log: EventLog, broadcast: Broadcast, *, heartbeat: float = HEARTBEAT, queue_size: int = QUEUE_SIZE
    ) -> None:
        self._log, self._broadcast = log, broadcast
        self._heartbeat, self._queue_size = heartbeat, queue_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one reader."""
        try:
            position = last_event_id(scope)
        except ValueError:
            return await send_response(problem(400, "Last-Event-ID is not an id of this stream"), send)
        with self._broadcast.reading(size=self._queue_size) as reader:  # before the log is read, so nothing is missed
            oldest, newest, is_over = await asyncio.to_thread(self._log.bounds)
            if is_over and newest in (0, position):
                return await send_response(Response(status=204), send)
            if position is not None and not oldest <= position + 1 <= newest + 1:
                return await send_response(GONE, send)
            chunks = self._chunks(position or 0, None if is_over else reader)
            return await _send_chunks(chunks, receive, send)

    async def _chunks(self, position: int, reader: Reader | None) -> AsyncIterator[bytes]:
        """Yield what the log holds after *position*, then what *reader* gets; None for a stream that has ended."""
        yield encode_retry(RETRY)
        while events := await asyncio.to_thread(self._log.after, position, limit=PAGE):
            yield b"".join(map(_encode, events))
            position = events[-1].id
        while reader is not None:
            try:
                event = await reader.next(self._heartbeat)
            except TimeoutError:
                yield encode_comment()
                continue
            if event is None:
                return
            if event.id > position:
                yield _encode(event)
                position = event.id


def _encode(event: StreamEvent) -> bytes:
    return encode_event(event.data, type=event.type, id=str(event.id))


async def _send_chunks(chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send a stream until it ends or the client disconnects."""
    pairs = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    writing = asyncio.ensure_future(_write(chunks, send))
    disconnected = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        await asyncio.wait((writing, disconnected), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (writing, disconnected):
            task.cancel()
        await asyncio.gather(writing, disconnected, return_exceptions=True)
    if not writing.cancelled():
        writing.result()


async def _write(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
