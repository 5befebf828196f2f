"""Server-sent events of one turn: replayed when it has ended, live while it runs.

See docs/reference/protocols/codex-wham.md, 2.8.

The end of a stream does not show how the turn ended; clients request its status.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from .._server.event_stream import HEARTBEAT, encode_comment, encode_event
from . import documents
from .models import CloudLog, CloudTask

THREAD_EVENT, LOG = "thread_event", "log"

# A live turn keeps this many items; an agent that prints without end must not fill the memory.
MAX_ITEMS = 10_000


class EventSource(Protocol):
    """Where a stream's items come from."""

    def next_items(self, position: int, *, timeout: float) -> Sequence[documents.Document] | None:
        """Return the items from *position* on, () when none came in *timeout* seconds, None at the end."""
        ...


class Recording:
    """Items that are complete, or that another thread still adds to."""

    def __init__(self, items: Iterable[documents.Document] = (), *, is_over: bool = False) -> None:
        self._items = list(items)
        self._is_over = is_over
        self._changed = threading.Condition()

    def add(self, item: documents.Document) -> None:
        """Add an item and wake its readers."""
        with self._changed:
            if len(self._items) >= MAX_ITEMS:
                return
            self._items.append({"id": f"item_{len(self._items)}", **item})
            self._changed.notify_all()

    def end(self) -> None:
        """Mark the recording as complete."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def next_items(self, position: int, *, timeout: float) -> Sequence[documents.Document] | None:
        """Return what there is from *position* on."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or len(self._items) > position, timeout)
            found = self._items[position:]
            return None if not found and self._is_over else found


class Stream:
    """The body of a streamed answer: `read` gives the next bytes, ``b""`` at the end."""

    def __init__(self, source: EventSource, *, kinds: frozenset[str] = frozenset()) -> None:
        self._source = source
        self._kinds = kinds or frozenset({THREAD_EVENT, LOG})
        self._position = 0
        self._is_closed = False

    def read(self) -> bytes:
        """Return the next chunk; waits for it, a heartbeat at most."""
        items = None if self._is_closed else self._source.next_items(self._position, timeout=HEARTBEAT)
        if items is None:
            return b""
        self._position += len(items)
        wanted = [item for item in items if item.get("item_type") in self._kinds]
        return b"".join(encode_event(msgspec.json.encode(item).decode()) for item in wanted) or encode_comment()

    def close(self) -> None:
        """Read no more."""
        self._is_closed = True


def replay(task: CloudTask, turn_id: str, logs: Iterable[CloudLog]) -> Recording:
    """Return everything that happened in a turn, as one recording that is over."""
    recording = Recording()
    if found := task.find_turn(turn_id):
        for event in documents.thread_events(*found):
            recording.add({"item_type": THREAD_EVENT, "event": event})
    for log in logs:
        for line in log.text.splitlines():
            recording.add(log_line(log, line))
    recording.end()
    return recording


def log_line(log: CloudLog, line: str) -> documents.Document:
    """Return one line of a log as a stream's item."""
    return {"item_type": LOG, "key": documents.log_key(log), "line": line}
