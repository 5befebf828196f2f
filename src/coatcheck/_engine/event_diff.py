"""What changed between two snapshots of a task, as events that can be resumed."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from sys import intern
from typing import TypeAlias, cast

import msgspec

from .. import errors
from .._model.events import (
    STATE_EVENTS,
    TaskAttempt,
    TaskDiff,
    TaskEvent,
    TaskFailed,
    TaskMessage,
    TaskNotice,
    TaskProgress,
    TaskUsage,
    UnknownEvent,
)
from .._model.outcome import Message, Notice
from .._model.tasks import Task, TaskState
from .._protocol.effects import Emit, Script
from .._protocol.provider import TaskSnapshot
from .._values.decoders import decoder

TERMINAL = frozenset(state.value for state in TaskState if state.is_terminal)


class SeenState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a watcher has seen; its text form is the id of an event, and the cursor that resumes after it.

    Messages are counted and not kept, progress is a checksum: a cursor stays short and contains nothing of the work.
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
        import base64  # with struct 1 ms, only needed for an event

        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str | None) -> SeenState:
        """Read a cursor; None is the beginning. Raises `ConfigurationError` for anything else."""
        if not cursor:
            return cls()
        import base64  # as above

        try:
            return decoder(cls).decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (msgspec.MsgspecError, ValueError):
            raise errors.ConfigurationError(
                f"{cursor!r} is not the id of an event", remedy="pass the `id` of an event, unchanged"
            ) from None


def new_events(seen: SeenState, snapshot: TaskSnapshot) -> Iterator[tuple[TaskEvent, SeenState]]:
    """Yield what is new in a *snapshot*, each event with what has been seen after it: the state of the end last."""
    reported, has_events = snapshot.events or (), snapshot.events is not None
    if snapshot.task.state.ends_wait:
        yield from _reported(seen, reported)
        seen = msgspec.structs.replace(seen, memory=snapshot.memory)
        yield from changes(seen, snapshot.task, has_events=has_events)
        return
    for event, after in changes(seen, snapshot.task, has_events=has_events):
        seen = after
        yield event, seen
    yield from _reported(seen, reported)


def emit_changes(seen: SeenState, snapshot: TaskSnapshot) -> Script[tuple[SeenState, bool]]:
    """Emit what is new in a *snapshot*; return what has been seen after it, and whether anything was new."""
    is_new = False
    for event, after in new_events(seen, snapshot):
        seen, is_new = after, True
        yield Emit(event)
    if seen.memory != snapshot.memory:
        seen = msgspec.structs.replace(seen, memory=snapshot.memory)
    return seen, is_new


def _reported(seen: SeenState, events: tuple[TaskEvent, ...]) -> Iterator[tuple[TaskEvent, SeenState]]:
    for event in events:
        seen = msgspec.structs.replace(seen, memory=event.id)
        yield msgspec.structs.replace(event, id=seen.to_cursor()), seen


def changes(seen: SeenState, task: Task, *, has_events: bool = False) -> Iterator[tuple[TaskEvent, SeenState]]:
    """Yield what is new in *task*, each event with the state seen after it; the terminal state is last.

    Where the service reports messages and progress itself (*has_events*), they are left to it. A task that a follow-up
    runs again, and that does not show its earlier messages, begins to count them anew.
    """
    if _runs_again(seen, task) and len(_messages(task)) < seen.messages:
        seen = msgspec.structs.replace(seen, messages=0)
    for field, value, event in _observations(seen, task, has_events=has_events):
        if getattr(seen, field) != value:
            seen = msgspec.structs.replace(seen, **{field: value})
            yield msgspec.structs.replace(event, id=seen.to_cursor(), at=task.updated_at), seen


def _runs_again(seen: SeenState, task: Task) -> bool:
    """Whether a task that had ended is queued or running."""
    return task.state in (TaskState.QUEUED, TaskState.RUNNING) and seen.state.partition("/")[0] in TERMINAL


# A field of `SeenState`, its value now, and the event for a change of it.
Observation: TypeAlias = tuple[str, object, TaskEvent]


def _observations(seen: SeenState, task: Task, *, has_events: bool) -> Iterator[Observation]:
    if not task.state.ends_wait:
        yield _state(task)
    if not has_events:
        yield from _words(seen, task)
    if task.stats:
        stats = (task.stats.files, task.stats.added, task.stats.removed)
        yield "stats", stats, TaskDiff(ref=task.ref, stats=task.stats)
    yield from _attempts(seen, task)
    yield from _notices(seen, task)
    if task.state.ends_wait:
        yield _state(task)


def _state(task: Task) -> Observation:
    # A cursor is JSON: a lone surrogate in the service's word becomes an escape.
    word = f"{task.state.value}/{task.raw_state}".encode("utf-8", "backslashreplace").decode()
    word = intern(word)  # ten thousand waits keep the same few
    return "state", word, state_event(task)


def state_event(task: Task) -> TaskEvent:
    """Return the event that reports the state of *task*."""
    kind = STATE_EVENTS.get(task.state)
    if kind is None:
        return UnknownEvent(ref=task.ref, kind="state", data=task.raw_state)
    if kind is TaskFailed:
        return TaskFailed(ref=task.ref, state=task.state, raw_state=task.raw_state, error=task.error)
    words = task.permission_requests[0].title if task.permission_requests else None
    return cast("TaskEvent", kind(ref=task.ref, state=task.state, raw_state=task.raw_state, text=words))


def _words(seen: SeenState, task: Task) -> Iterator[Observation]:
    if task.progress:
        checksum = binascii.crc32(task.progress.encode("utf-8", "replace"))
        yield "progress", checksum, TaskProgress(ref=task.ref, text=task.progress)
    for number, message in enumerate(_messages(task)[seen.messages :], seen.messages + 1):
        yield "messages", number, TaskMessage(ref=task.ref, message=message, text=message.text)


def _messages(task: Task) -> tuple[Message, ...]:
    return task.outcome.messages if task.outcome else ()


def _notices(seen: SeenState, task: Task) -> Iterator[Observation]:
    known = seen.notices
    for notice in task.notices:
        if notice.kind not in known:
            known = (*known, notice.kind)
            yield "notices", known, notice_event(notice, task)


def notice_event(notice: Notice, task: Task) -> TaskEvent:
    """Return the event that reports *notice*; one about usage is a usage event."""
    if notice.kind == "usage":
        return TaskUsage(ref=task.ref, text=notice.text)
    return TaskNotice(ref=task.ref, notice=notice, text=notice.text)


def _attempts(seen: SeenState, task: Task) -> Iterator[Observation]:
    known = dict(seen.attempts)
    for attempt in task.attempts:
        if attempt.state is not TaskState.UNKNOWN and known.get(attempt.placement) != attempt.state.value:
            known[attempt.placement] = attempt.state.value
            event = TaskAttempt(ref=task.ref, attempt=attempt.number, state=attempt.state, raw_state=attempt.raw_state)
            yield "attempts", tuple(sorted(known.items())), event
