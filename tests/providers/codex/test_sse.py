from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck.providers.codex.sse import MAX_EVENT, Parser, ServerEvent

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
    ServerEvent("one"),
    ServerEvent("two\n lines ü", "named", "7"),
    ServerEvent("", "message", "7"),
    ServerEvent("three", "message", "7"),
    ServerEvent("last", "message", "7"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_where_a_stream_is_cut_never_matters(cuts: list[int]) -> None:
    """Any line end, comments, several data lines, ids that stay: the same events from any chunks; a torn one is none."""
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = Parser()
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]

    assert EVENTS == [event for chunk in chunks for event in parser.feed(chunk)]


def test_byte_by_byte_is_the_same() -> None:
    """The smallest chunks give the same events."""
    parser = Parser()

    assert EVENTS == [event for byte in STREAM for event in parser.feed(bytes([byte]))]


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    """Nothing in a stream raises but its size."""
    assert all(isinstance(event, ServerEvent) for event in Parser().feed(data))


@pytest.mark.parametrize("chunk", [b"x" * 1024, b"data: " + b"x" * 1024 + b"\n"])
def test_memory_is_bounded(chunk: bytes) -> None:
    """An event without an end, in one line or in many, ends the stream with an error."""
    parser, big = Parser(), chunk * 1024
    for _ in range(MAX_EVENT // len(big) - 1):
        parser.feed(big)

    with pytest.raises(errors.UnreadableResponseError):
        parser.feed(big * 3)


def test_lines_without_data_are_counted() -> None:
    """Empty data lines fill memory as well, and end the stream."""
    parser, lines = Parser(), b"data:\n" * (MAX_EVENT + 1)

    with pytest.raises(errors.UnreadableResponseError) as caught:
        parser.feed(lines)

    assert "larger than" in str(caught.value)
