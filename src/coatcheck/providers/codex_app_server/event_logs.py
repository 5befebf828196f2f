"""The events of several threads over one connection.

Invariants, beside those of `EventLog`:

- a thread that runs is subscribed to before its items are read, also one that begins to run later: every connection is
  notified about the status of every thread (docs/reference/protocols/codex-app-server.md, "5 Notifications");
- a thread that does not run is not subscribed to: that would load it on the host;
- the log does not end before its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ...provider import JsonRpc, Notification, fields
from . import extract, wire
from .event_log import SILENCE, EventLog, History, resumption

if TYPE_CHECKING:
    from ...provider import TaskRef

# Subscriptions that are requested before the first answer is read.
AT_ONCE = 50


Pages: TypeAlias = "Generator[Any, Any, tuple[wire.ThreadPage, str | None]]"


def threads_of(
    refs: Sequence[TaskRef], list_page: Callable[[str | None], Pages]
) -> Generator[Any, Any, list[wire.Thread]]:
    """Return the threads of *refs* from pages of the list, in at most one page a thread."""
    wanted, threads, cursor = {ref.id for ref in refs}, list[wire.Thread](), None
    for _ in refs:
        page, following = yield from list_page(cursor)
        threads += [thread for thread in page.data if thread.id in wanted]
        if following in (None, cursor) or len(threads) == len(wanted):
            break
        cursor = following
    return threads


class EventLogs:
    """The logs of *refs*. Without *subscribes* the connection is notified about every thread as it is."""

    def __init__(self, rpc: JsonRpc, refs: Sequence[TaskRef], history: History, *, subscribes: bool) -> None:
        self._rpc, self._history, self._subscribes = rpc, history, subscribes
        self._logs = {ref.id: EventLog(rpc, ref, history, position="") for ref in refs}
        self._followed: set[str] = set()

    def emit(self, listed: Iterable[wire.Thread]) -> Generator[Any, Any, None]:
        """Emit the events of those threads that *listed* shows as running, then what happens in any of them."""
        running = [thread for thread in listed if thread.id in self._logs and extract.is_active(thread)]
        for start in range(0, len(running), AT_ONCE):
            yield from self._follow(running[start : start + AT_ONCE])
        while True:
            message = yield from self._rpc.next_message(SILENCE)
            if isinstance(message, Notification):
                yield from self._take(message)

    def _follow(self, threads: Sequence[wire.Thread]) -> Generator[Any, Any, None]:
        """Subscribe to threads and emit their items."""
        self._followed |= {thread.id for thread in threads}
        if self._subscribes:
            yield from self._rpc.call_all([("thread/resume", resumption(thread.id)) for thread in threads])
        for thread in threads:
            yield from self._logs[thread.id].emit_items(thread)

    def _take(self, message: Notification) -> Generator[Any, Any, None]:
        parameters = fields(msgspec.json.decode(message.params))
        id = parameters.get("threadId")
        log = self._logs.get(id) if isinstance(id, str) else None
        if not isinstance(id, str) or log is None:
            return
        if id not in self._followed:
            thread = yield from self._history.read_thread(id)
            if extract.is_active(thread):
                yield from self._follow([thread])
        yield from log.take(message.method, parameters)
