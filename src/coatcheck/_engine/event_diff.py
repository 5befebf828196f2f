"""What happened between two looks at a task, as events that can be resumed."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from sys import intern
from typing import Any

import msgspec

from .. import errors
from .._model.outcome import Message
from .._model.tasks import Task, TaskEvent, TaskState
from .._protocol.effects import Emit, Script
from .._protocol.provider import TaskSnapshot

# What a service that tells its own events tells of.
SERVICE_KINDS = frozenset({"message", "progress"})


class SeenState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a watcher has been told; its text form is the cursor of an event.

    Messages are counted and not kept, progress is a checksum: a cursor stays short and says nothing about the work.
    """

    state: str = ""
    messages: int = 0
    progress: int = 0
    stats: tuple[int, int, int] = (0, 0, 0)
    attempts: tuple[tuple[int, str], ...] = ()
    notices: tuple[str, ...] = ()
    memory: str = ""

    def to_cursor(self) -> str:
        """Return the text that `from_cursor` reads."""
        import base64  # with struct 1 ms, when there is something to tell

        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str | None) -> SeenState:
        """Read a cursor; None is the beginning. Raises `ConfigurationError` for anything else."""
        if not cursor:
            return cls()
        import base64  # as above

        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=cls)
        except (msgspec.MsgspecError, ValueError):
            message = "this is not the cursor of an event"
            raise errors.ConfigurationError(message, remedy="pass TaskEvent.cursor as it was") from None


def news(seen: SeenState, look: TaskSnapshot) -> Iterator[tuple[TaskEvent, SeenState]]:
    """Yield what is new in a *look*, each event with what has been seen after it: the state of the end last."""
    told, tells = look.events or (), look.events is not None
    if look.task.state.ends_wait:
        yield from _told(seen, told)
        seen = msgspec.structs.replace(seen, memory=look.memory)
        yield from changes(seen, look.task, service_tells=tells)
        return
    for event, after in changes(seen, look.task, service_tells=tells):
        seen = after
        yield event, seen
    yield from _told(seen, told)


def emit_changes(seen: SeenState, look: TaskSnapshot) -> Script[tuple[SeenState, bool]]:
    """Emit what is new in a *look*; return what has been seen after it, and whether anything was new."""
    is_news = False
    for event, after in news(seen, look):
        seen, is_news = after, True
        yield Emit(event)
    if seen.memory != look.memory:
        seen = msgspec.structs.replace(seen, memory=look.memory)
    return seen, is_news


def _told(seen: SeenState, events: tuple[TaskEvent, ...]) -> Iterator[tuple[TaskEvent, SeenState]]:
    for event in events:
        seen = msgspec.structs.replace(seen, memory=event.cursor)
        yield msgspec.structs.replace(event, cursor=seen.to_cursor()), seen


def changes(seen: SeenState, task: Task, *, service_tells: bool = False) -> Iterator[tuple[TaskEvent, SeenState]]:
    """Yield what is new in *task*, each event with what has been seen after it.

    Where the *service_tells* of messages and progress itself, they are left to it.
    """
    for kind, field, value, details in _observations(seen, task):
        if service_tells and kind in SERVICE_KINDS:
            continue
        if getattr(seen, field) != value:
            seen = msgspec.structs.replace(seen, **{field: value})
            yield TaskEvent(kind=kind, ref=task.ref, cursor=seen.to_cursor(), at=task.updated_at, **details), seen


def _observations(seen: SeenState, task: Task) -> Iterator[tuple[str, str, object, dict[str, Any]]]:
    """Yield (kind, field of `SeenState`, its value now, what the event carries), the state of the end last."""
    state = (
        "state",
        "state",
        intern(f"{task.state.value}/{task.raw_state}"),  # ten thousand waits keep the same few
        {"state": task.state, "raw_state": task.raw_state},
    )
    if not task.state.ends_wait:
        yield state
    if task.progress:
        yield "progress", "progress", binascii.crc32(task.progress.encode()), {"text": task.progress}
    for number, message in enumerate(_messages(task)[seen.messages :], seen.messages + 1):
        yield "message", "messages", number, {"message": message, "text": message.text}
    if task.stats:
        yield "stats", "stats", (task.stats.files, task.stats.added, task.stats.removed), {"stats": task.stats}
    yield from _attempts(seen, task)
    yield from _notices(seen, task)
    if task.state.ends_wait:
        yield state


def _notices(seen: SeenState, task: Task) -> Iterator[tuple[str, str, object, dict[str, Any]]]:
    known = seen.notices
    for notice in task.notices:
        if notice.kind not in known:
            known = (*known, notice.kind)
            yield "notice", "notices", known, {"notice": notice, "text": notice.text}


def _messages(task: Task) -> tuple[Message, ...]:
    return task.outcome.messages if task.outcome else ()


def _attempts(seen: SeenState, task: Task) -> Iterator[tuple[str, str, object, dict[str, Any]]]:
    known = dict(seen.attempts)
    for attempt in task.attempts:
        if attempt.state is not TaskState.UNKNOWN and known.get(attempt.placement) != attempt.state.value:
            known[attempt.placement] = attempt.state.value
            details = {"attempt": attempt.number, "state": attempt.state, "raw_state": attempt.raw_state}
            yield "attempt", "attempts", tuple(sorted(known.items())), details
