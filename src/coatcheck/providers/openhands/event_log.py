"""The log of a conversation, from a position: the events that there are, then what happens until its run ends.

Invariants:

- every event is read from the log over HTTP: it is complete and ordered, and an event that was read leads to the next;
- a WebSocket reports that there is something to read. What it sends itself is not relied upon: some of it is not in the log
  (docs/reference/protocols/openhands.md, "7 Events");
- it is open before the log is read the last time, so that nothing is missed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from ...provider import (
    UNREADABLE,
    Close,
    Emit,
    Exchange,
    Open,
    Receive,
    Request,
    TaskEvent,
    TaskRef,
    check,
    decode_json,
    encoded,
    errors,
    open_channel,
)
from . import extract, wire
from .events import Happening, Position, event_of, is_read, is_started, read_page
from .requests import conversation_path, get, newest_events

PAGE_SIZE = 100
# After so many seconds without a message the conversation is read: the end of its run may have been missed.
SILENCE = 60.0
# The log may get an event a moment after the WebSocket has sent it: then it is read once more (seconds).
LAG = 1.0
ACTIVE = frozenset({"idle", "running"})


class EventLog:
    """The log of one conversation after the event *position*; "" is its beginning."""

    def __init__(self, ref: TaskRef, *, position: str) -> None:
        self._ref, self._position = ref, position
        self._ids: set[str] = set()
        self._state: str | None = None
        self._awaited: str | None = None

    @property
    def memory(self) -> str:
        """The position after what was read, as text."""
        return Position(self._position).to_text() if self._position else ""

    def read(self) -> Exchange[Sequence[TaskEvent]]:
        """Return the events that there are now. Raises `ConfigurationError` for a position of another log."""
        found: list[TaskEvent] = []
        while True:
            happenings, following = yield from self._page()
            found += filter(None, map(self._event, happenings))
            if following is None or not happenings:
                return found

    def _page(self) -> Exchange[tuple[list[Happening], str | None]]:
        """Return a page after the position, and where the next one begins."""
        position = self._position
        start = (("page_id", position),) if position else ()
        answer = yield get(conversation_path(self._ref.id, "/events/search"), ("limit", str(PAGE_SIZE)), *start)
        check(answer)
        happenings, following = read_page(answer)
        if not position:
            return happenings, following
        if not happenings or happenings[0].event.id != position:
            raise errors.ConfigurationError(
                f"{position!r} is not the id of an event of {self._ref}", remedy="give the id of an event, or none"
            )
        return happenings[1:], following

    def _event(self, happening: Happening) -> TaskEvent | None:
        self._position = happening.event.id or self._position
        self._ids.add(self._position)
        self._state = happening.state or self._state
        return event_of(happening, self._ref, extract.STATES)

    def follow(self) -> Generator[Any, Any, None]:
        """Emit what happens until the run ends; nothing where none is active."""
        if not (yield from self._is_active()):
            return
        self._state = None  # that of an earlier run does not end this one
        channel = yield from open_channel(Open(path=f"/sockets/events/{encoded(self._ref.id)}", origin="events"))
        is_active = yield from self._is_active()
        while is_active:
            yield from self._emit()
            is_active = self._state in (None, *ACTIVE) and (yield from self._wait(channel))
        yield Close(channel)
        yield from self._emit()

    def _emit(self) -> Generator[Any, Any, None]:
        """Emit what there is to read; `_state` is the last state that it reports."""
        for event in (yield from self.read()):
            yield Emit(event)

    def _wait(self, channel: Any) -> Generator[Any, Any, bool]:
        """Wait until there may be something to read; return False where nothing more will come."""
        while True:
            is_missing = self._awaited is not None and self._awaited not in self._ids
            try:
                message = yield Receive(channel, LAG if is_missing else SILENCE)
            except errors.TransportTimeoutError:
                if is_missing:
                    self._awaited = None
                    return True
                if not (yield from self._is_active()):
                    return False
                continue
            if message is None or self._is_news(message):
                return message is not None

    def _is_news(self, message: bytes) -> bool:
        """Whether a message reports an event that was not read; parts of texts come again whole."""
        try:
            event = decode_json(message, wire.Event)
        except UNREADABLE:
            return True
        if event.kind == "StreamingDeltaEvent" or event.id in self._ids:
            return False
        self._awaited = event.id
        return True

    def _is_active(self) -> Generator[Request, Any, bool]:
        """Whether the agent runs, or will read a message; the log is ahead of the conversation's document."""
        answer = yield get(conversation_path(self._ref.id))
        check(answer)
        status = extract.conversation(answer).execution_status
        if status == "running":
            return True
        answer = yield newest_events(self._ref.id)
        check(answer)
        newest, _ = read_page(answer)
        return is_started(newest) or (status == "idle" and not is_read(newest))


def position_of(after: str) -> str:
    """Return the event that *after* names. Raises `ConfigurationError` for what is none."""
    position = Position.read(after).event
    if after and not position:
        raise errors.ConfigurationError(
            f"{after!r} is not the id of an event", remedy="give the id of an event, or none"
        )
    return position
