"""The events of a thread, from a position: the items that are complete, then what happens.

Invariants:

- the position of an event is the number of its item in the thread, from 1: the list of items is the log, since
  notifications are not repeated (docs/reference/protocols/codex-app-server.md, "5 Notifications");
- items are read from a `History`, which a host has on the same connection and Codex Cloud has over HTTPS;
- notifications of other threads, which Codex Cloud sends on every connection, are ignored;
- the thread is subscribed to before its items are read, so that none is missed;
- the log ends with the turn that runs, and at once where none runs.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Protocol

import msgspec

from ...provider import Emit, JsonRpc, Notification, TaskEvent, TaskRef, errors, fields, text
from . import extract, wire
from .connection import call, require_thread
from .turn_events import item_event, notification_event

PAGE_SIZE = 100
# After so many seconds without a notification the thread is read: the end of its turn may have been missed.
SILENCE = 20.0
# How long the notification about the start of a turn may take (seconds).
START_SECONDS = 5.0
# How many notifications may come before the one that is waited for; those of other threads come on the same connection.
MAX_OTHERS = 1_000


class History(Protocol):
    """Where a thread and its items are read."""

    def read_thread(self, id: str) -> Generator[Any, Any, wire.Thread]:
        """Return the thread *id*. Raises `NotFoundError` where there is none."""
        ...

    def read_items(self, id: str, *, limit: int, cursor: str | None) -> Generator[Any, Any, wire.ItemPage]:
        """Return a page of the complete items of the thread *id*, the oldest first."""
        ...


class HostHistory:
    """The history of a host, over its connection."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc

    def read_thread(self, id: str) -> Generator[Any, Any, wire.Thread]:
        """Return the thread."""
        answer = yield from self._rpc.call("thread/read", {"threadId": id})
        return require_thread(answer, id).decode(wire.Started).thread

    def read_items(self, id: str, *, limit: int, cursor: str | None) -> Generator[Any, Any, wire.ItemPage]:
        """Return a page of items."""
        parameters: dict[str, Any] = {"threadId": id, "limit": limit, "sortDirection": "asc"}
        parameters |= {} if cursor is None else {"cursor": cursor}
        return (yield from call(self._rpc, "thread/items/list", parameters, wire.ItemPage))


class EventLog:
    """The log of one thread, after *position*."""

    def __init__(self, rpc: JsonRpc, ref: TaskRef, history: History, *, position: str) -> None:
        self._rpc, self._ref, self._history = rpc, ref, history
        self._after = int(position) if position.isdecimal() else 0
        self._number, self._folder = 0, ""
        self._items: set[str] = set()

    def emit(self) -> Generator[Any, Any, None]:
        """Emit the events after the position until no turn runs."""
        thread = yield from self._read()
        if extract.is_active(thread):
            started = yield from call(self._rpc, "thread/resume", resumption(self._ref.id), wire.Started)
            thread = started.thread
        yield from self.emit_items(thread)
        if extract.is_active(thread):
            yield from self._follow()

    def _read(self) -> Generator[Any, Any, wire.Thread]:
        return self._history.read_thread(self._ref.id)

    def emit_items(self, thread: wire.Thread) -> Generator[Any, Any, None]:
        """Emit the complete items of *thread*, which is that of the log, without those that were emitted."""
        self._folder = thread.cwd or ""
        cursor: str | None = None
        while True:
            page = yield from self._history.read_items(self._ref.id, limit=PAGE_SIZE, cursor=cursor)
            for listed in page.data:
                yield from self._emit_item(listed.item)
            if page.nextCursor in (None, cursor) or not page.data:
                return
            cursor = page.nextCursor

    def _emit_item(self, item: Mapping[str, Any]) -> Generator[Any, Any, None]:
        id = text(item.get("id")) or ""
        if id in self._items:
            return
        self._items.add(id)
        self._number += 1
        if self._number > self._after:
            yield from _emitted(item_event(item, self._ref, id=str(self._number), folder=self._folder))

    def _follow(self) -> Generator[Any, Any, None]:
        while True:
            message = yield from self._rpc.next_message(SILENCE)
            if message is None:
                if not extract.is_active((yield from self._read())):
                    return
            elif isinstance(message, Notification):
                parameters = fields(msgspec.json.decode(message.params))
                if parameters.get("threadId") == self._ref.id and (yield from self.take(message.method, parameters)):
                    return

    def take(self, method: str, parameters: Mapping[str, Any]) -> Generator[Any, Any, bool]:
        """Emit what a notification about the thread reports; return whether its turn has ended."""
        if method == "item/completed":
            yield from self._emit_item(fields(parameters.get("item")))
        else:
            yield from _emitted(notification_event(method, parameters, self._ref))
        return method == "turn/completed"


def _emitted(event: TaskEvent | None) -> Generator[Any, Any, None]:
    if event is not None:
        yield Emit(event)


def resumption(id: str) -> dict[str, Any]:
    """Return the parameters that subscribe to a thread."""
    return {"threadId": id, "excludeTurns": True}


def wait_for_start(rpc: JsonRpc, id: str) -> Generator[Any, Any, None]:
    """Wait until the turn that was started in a thread is listed: before, the last one would be taken for it."""
    yield from wait_for(rpc, id, "turn/started", seconds=START_SECONDS)


def wait_for(rpc: JsonRpc, id: str, method: str, *, seconds: float) -> Generator[Any, Any, bool]:
    """Wait for a notification about the thread *id*; return False after *seconds* of silence or `MAX_OTHERS` others."""
    for _ in range(MAX_OTHERS):
        message = yield from rpc.next_message(seconds)
        if message is None:
            return False
        if message.method == method and fields(msgspec.json.decode(message.params)).get("threadId") == id:
            return True
    return False


def position_of(after: str) -> str:
    """Return *after* as a position. Raises `ConfigurationError` for what is none."""
    if after and not after.isdecimal():
        raise errors.ConfigurationError(
            f"{after!r} is not the id of an event", remedy="give the id of an event, or none"
        )
    return after
