"""What happened between two looks at a task, as events that can be resumed."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from .. import errors
from .._model.outcome import Message
from .._model.tasks import Task, TaskEvent, TaskState


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a watcher has been told; its text form is the cursor of an event.

    Messages are counted and not kept, progress is a checksum: a cursor stays short and says nothing about the work.
    """

    state: str = ""
    messages: int = 0
    progress: int = 0
    stats: tuple[int, int, int] = (0, 0, 0)
    attempts: tuple[tuple[int, str], ...] = ()

    def to_cursor(self) -> str:
        """Return the text that `from_cursor` reads."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Seen:
        """Read a cursor; None is the beginning. Raises `ConfigurationError` for anything else."""
        if not cursor:
            return cls()
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=cls)
        except (msgspec.MsgspecError, binascii.Error, ValueError):
            message = "this is not the cursor of an event"
            raise errors.ConfigurationError(message, remedy="pass TaskEvent.cursor as it was") from None


def changes(seen: Seen, task: Task) -> Iterator[tuple[TaskEvent, Seen]]:
    """Yield what is new in *task*, each event with what has been seen after it."""
    for kind, field, value, details in _observations(seen, task):
        if getattr(seen, field) != value:
            seen = msgspec.structs.replace(seen, **{field: value})
            yield TaskEvent(kind=kind, ref=task.ref, cursor=seen.to_cursor(), at=task.updated_at, **details), seen


def _observations(seen: Seen, task: Task) -> Iterator[tuple[str, str, object, dict[str, Any]]]:
    """Yield (kind, field of `Seen`, its value now, what the event carries), the state of the end last."""
    state = (
        "state",
        "state",
        f"{task.state.value}/{task.raw_state}",
        {"state": task.state, "raw_state": task.raw_state},
    )
    if not task.state.is_terminal:
        yield state
    if task.progress:
        yield "progress", "progress", zlib.crc32(task.progress.encode()), {"text": task.progress}
    for number, message in enumerate(_messages(task)[seen.messages :], seen.messages + 1):
        yield "message", "messages", number, {"message": message, "text": message.text}
    if task.stats:
        yield "stats", "stats", (task.stats.files, task.stats.added, task.stats.removed), {"stats": task.stats}
    yield from _attempts(seen, task)
    if task.state.is_terminal:
        yield state


def _messages(task: Task) -> tuple[Message, ...]:
    return task.outcome.messages if task.outcome else ()


def _attempts(seen: Seen, task: Task) -> Iterator[tuple[str, str, object, dict[str, Any]]]:
    known = dict(seen.attempts)
    for attempt in task.attempts:
        if attempt.state is not TaskState.UNKNOWN and known.get(attempt.placement) != attempt.state.value:
            known[attempt.placement] = attempt.state.value
            details = {"attempt": attempt.number, "state": attempt.state, "raw_state": attempt.raw_state}
            yield "attempt", "attempts", tuple(sorted(known.items())), details
