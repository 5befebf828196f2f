"""Server-sent events: what is written is read back, resumed and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.sse import EventStreamReader
from coatcheck._server.event_stream import (
    Broadcast,
    EventStream,
    StreamEvent,
    encode_comment,
    encode_event,
    last_event_id,
)


@given(data=st.text(st.characters(codec="utf-8")), type=st.from_regex(r"[a-z.]{1,9}", fullmatch=True))
def test_any_data_is_read_back(data: str, type: str) -> None:
    """A reader gets the data with each kind of line break as a line feed, and the type."""
    (event,) = EventStreamReader().feed(encode_event(data, type=type, id="7"))
    expected = (data.replace("\r\n", "\n").replace("\r", "\n"), type, "7")

    assert expected == (event.data, event.event, event.id)


@pytest.mark.parametrize("text", ["", "a\nb", "a\r\rdata: x", "\n\ndata: x\n\n"])
def test_a_comment_is_never_an_event(text: str) -> None:
    """Readers ignore any content of a comment."""
    assert [] == EventStreamReader().feed(encode_comment(text) + encode_comment())


@pytest.mark.parametrize("fields", [{"type": "a\nb"}, {"id": "a\rb"}, {"id": "a\0"}])
def test_a_type_or_an_id_of_two_lines_is_refused(fields: dict[str, str]) -> None:
    """A line break in a field would begin another field."""
    with pytest.raises(ValueError, match="one line") as caught:
        encode_event("x", **fields)

    expected, actual = ValueError, caught.type

    assert expected == actual


class MemoryLog:
    """The newest events of a stream, in memory."""

    def __init__(self, broadcast: Broadcast, *, keep: int = 1000) -> None:
        self.events: list[StreamEvent] = []
        self.newest, self.is_over = 0, False
        self._broadcast, self._keep = broadcast, keep

    def bounds(self) -> tuple[int, int, bool]:
        oldest = self.events[0].id if self.events else self.newest + 1
        return oldest, self.newest, self.is_over

    def after(self, id: int, *, limit: int) -> Sequence[StreamEvent]:
        return [event for event in self.events if event.id > id][:limit]

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            self.newest += 1
            event = StreamEvent(id=self.newest, type="t", data=f"{self.newest}")
            self.events = [*self.events, event][-self._keep :]
            self._broadcast.publish(event)

    def end(self) -> None:
        self.is_over = True
        self._broadcast.end()


class Connection:
    """A reader of a stream: the status, and the ids of the events that it got."""

    def __init__(self, stream: EventStream, last_id: str = "") -> None:
        self.status, self.ids, self.bytes = 0, list[int](), b""
        self._reader, self._is_gone, self.may_read = EventStreamReader(), asyncio.Event(), asyncio.Event()
        self.may_read.set()
        self._changed = asyncio.Event()
        headers = [(b"last-event-id", last_id.encode())] if last_id else []
        self.task = asyncio.create_task(stream({"type": "http", "headers": headers}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.may_read.wait()
        self.status = message.get("status", self.status)
        body = message.get("body", b"") if self.status == 200 else b""
        self.bytes += body
        self.ids += [int(event.id) for event in self._reader.feed(body)] if body else []
        self._changed.set()

    def disconnect(self) -> None:
        self._is_gone.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def got(self, count: int) -> None:
        await self.until(lambda: len(self.ids) >= count)


def play(scene: Callable[[MemoryLog, EventStream], Coroutine[Any, Any, object]], **options: Any) -> object:
    """Return what a scene saw of a stream."""

    async def run() -> object:
        broadcast = Broadcast()
        log = MemoryLog(broadcast, keep=options.pop("keep", 1000))
        return await scene(log, EventStream(log, broadcast, **options))

    return asyncio.run(run())


def test_a_reader_gets_every_event_once_in_order() -> None:
    """Old events are replayed, new ones follow, and the stream ends with its log."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        log.add(250)
        connection = Connection(stream)
        await connection.got(250)
        log.add(3)
        await connection.got(253)
        log.end()
        await connection.task
        return connection.status, connection.ids, connection.bytes.startswith(b"retry: ")

    assert (200, list(range(1, 254)), True) == play(scene)


@pytest.mark.parametrize("cut", [0, 1, 120, 253])
def test_a_reader_resumes_after_its_last_event(cut: int) -> None:
    """However a connection is lost, the next one continues after the last id."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        log.add(254)
        connection = Connection(stream, str(cut))
        await connection.got(254 - cut)
        connection.disconnect()
        await connection.task
        return connection.ids

    assert list(range(cut + 1, 255)) == play(scene)


@pytest.mark.parametrize(
    ("last_id", "is_over", "expected"),
    [
        ("20", True, 204),  # all of it was read
        ("19", True, 200),
        ("9", True, 410),  # 10 is not kept
        ("10", True, 200),
        ("0", False, 410),
        ("21", False, 410),  # an id of another stream
        ("x", False, 400),
        ("-1", False, 400),
        ("9" * 19, False, 400),
    ],
)
def test_the_status_decides_whether_a_reader_reconnects(last_id: str, is_over: bool, expected: int) -> None:
    """204 after the end, 410 for an id that is no longer stored, 400 for an invalid id."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        log.add(20)
        log.is_over = is_over
        connection = Connection(stream, last_id)
        await connection.until(lambda: connection.status > 0)
        connection.disconnect()
        await connection.task
        return connection.status

    assert expected == play(scene, keep=10)


def test_an_empty_stream_that_has_ended_is_a_204() -> None:
    """A reader does not connect again."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        log.end()
        connection = Connection(stream)
        await connection.task
        return connection.status

    assert 204 == play(scene)


def test_a_slow_reader_is_cut_and_continues() -> None:
    """A full queue ends the connection of its reader alone; with its last id it gets the rest."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        slow, fast = Connection(stream), Connection(stream)
        log.add()
        await slow.until(lambda: encode_comment() in slow.bytes)  # sent when the log has been read
        await fast.got(1)
        slow.may_read.clear()
        for count in range(2, 101):
            log.add()
            await fast.got(count)
        slow.may_read.set()
        await slow.task
        again = Connection(stream, str(slow.ids[-1]))
        await again.got(100 - len(slow.ids))
        again.disconnect()
        fast.disconnect()
        await asyncio.gather(again.task, fast.task)
        return len(slow.ids) <= 12, [*slow.ids, *again.ids], fast.ids

    assert (True, list(range(1, 101)), list(range(1, 101))) == play(scene, queue_size=8, heartbeat=0.001)


def test_a_heartbeat_shows_that_the_stream_is_open() -> None:
    """Without events comments are sent."""

    async def scene(_log: MemoryLog, stream: EventStream) -> object:
        connection = Connection(stream)
        await connection.until(lambda: connection.bytes.count(b": \n\n") >= 3)
        connection.disconnect()
        await connection.task
        return connection.ids

    assert [] == play(scene, heartbeat=0.001)


def test_a_disconnected_reader_is_forgotten() -> None:
    """A stream holds nothing for a reader whose connection is closed."""

    async def scene(log: MemoryLog, stream: EventStream) -> object:
        connection = Connection(stream)
        log.add()
        await connection.got(1)
        connection.disconnect()
        await connection.task
        return len(stream._broadcast._readers)

    assert 0 == play(scene)


def test_the_id_of_a_new_reader_is_none() -> None:
    """An empty header is that of a reader that has no id yet."""
    assert None is last_event_id({"headers": [(b"last-event-id", b"")]})
