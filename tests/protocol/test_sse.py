from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.sse import MAX_EVENT_BYTES, EventStreamReader, ServerSentEvent

STREAM = (
    "\ufeff: a comment\r\n\r\n"
    "data: one\n\n"
    "event: named\rid: 7\rdata:two\rdata:  lines ü\r\r"
    "retry: 5\r\nunknown\r\ndata\r\n\r\n"
    "id: a\0b\ndata: three\n\n"
    "event: nothing\n\n"
    "data: last\r\n\r\n"
    "data: torn\n"
).encode()

EVENTS = [
    ServerSentEvent("one"),
    ServerSentEvent("two\n lines ü", "named", "7"),
    ServerSentEvent("", "message", "7"),
    ServerSentEvent("three", "message", "7"),
    ServerSentEvent("last", "message", "7"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    """The same events are read however the bytes are split; an event without its blank line is dropped."""
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventStreamReader()
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]

    assert EVENTS == [event for chunk in chunks for event in parser.feed(chunk)]


def test_byte_by_byte_is_the_same() -> None:
    """Single bytes give the same events."""
    parser = EventStreamReader()

    assert EVENTS == [event for byte in STREAM for event in parser.feed(bytes([byte]))]


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    """Any bytes are read; only the size of an event is an error."""
    assert all(isinstance(event, ServerSentEvent) for event in EventStreamReader().feed(data))


@pytest.mark.parametrize("chunk", [b"x" * 1024, b"data: " + b"x" * 1024 + b"\n"])
def test_memory_is_bounded(chunk: bytes) -> None:
    """An event without an end, in one line or in many, ends the stream with an error."""
    parser, big = EventStreamReader(), chunk * 1024
    for _ in range(MAX_EVENT_BYTES // len(big) - 1):
        parser.feed(big)

    with pytest.raises(errors.UnreadableResponseError):
        parser.feed(big * 3)


def test_lines_without_data_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many empty data lines end the stream with an error."""
    monkeypatch.setattr("coatcheck._protocol.sse.MAX_EVENT_BYTES", 1000)
    parser, lines = EventStreamReader(), b"data:\n" * 1001

    with pytest.raises(errors.UnreadableResponseError) as caught:
        parser.feed(lines)

    assert "larger than" in str(caught.value)
