"""Parse server-sent events incrementally (WHATWG HTML, section 9.2.6). Pure: bytes in, events out.

Invariants:

- The result does not depend on how the bytes are split into chunks.
- An event without its blank line is dropped: the stream ended inside it.
- Memory is bounded: an event larger than `MAX_EVENT_BYTES`, its line ends counted, ends the stream with an error.
- The work is linear in the bytes, however small the chunks are.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .. import errors

# An event carries one log line or one message delta (docs/reference/protocols/codex-wham.md, 2.8); a whole details
# answer is 3.5 MB.
MAX_EVENT_BYTES = 4 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event: its type (by default "message"), its data, and the id to resume after it."""

    data: str
    event: str = "message"
    id: str = ""


class EventStreamReader:
    """Turn chunks into events: `feed` each chunk as it arrives."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the line that has not ended yet
        self._held, self._ends_in_cr = 0, False
        self._is_first = True
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that *chunk* completes. Raises `UnreadableResponseError` for one that is too large."""
        return [event for line in self._lines(chunk) if (event := self._take(line))]

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Yield whole lines; a lone CR at the end waits, for an LF may follow."""
        self._parts.append(chunk)
        self._held += len(chunk)
        if not self._is_first and b"\n" not in chunk and b"\r" not in chunk and not self._ends_in_cr:
            if self._held > MAX_EVENT_BYTES:
                raise _too_large()
            return
        buffer = b"".join(self._parts)
        if self._is_first and len(buffer) >= len(_BOM):
            buffer, self._is_first = buffer.removeprefix(_BOM), False
        lines = buffer.splitlines(keepends=True) if not self._is_first else [buffer]
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        self._parts, self._held, self._ends_in_cr = [rest], len(rest), rest.endswith(b"\r")
        if len(rest) > MAX_EVENT_BYTES:
            raise _too_large()
        for line in lines:
            yield line.rstrip(b"\r\n")

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        if self._size > MAX_EVENT_BYTES:
            raise _too_large()
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._size, self._event = [], 0, ""
        return ServerSentEvent("\n".join(data), event or "message", self._id) if data else None


def _too_large() -> errors.UnreadableResponseError:
    return errors.UnreadableResponseError(f"the event stream holds an event larger than {MAX_EVENT_BYTES} bytes")
