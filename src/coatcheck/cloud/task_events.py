"""The events of a cloud's tasks: from two states of a task, and from what an agent writes. Pure.

Guarantees:

- the event of the end is the last one of a round: what an attempt made precedes it;
- a message of the result that the agent has printed was an event already, line by line, and is none again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from .._model.events import (
    STATE_EVENTS,
    TaskAttempt,
    TaskDiff,
    TaskEvent,
    TaskFailed,
    TaskLog,
    TaskMessage,
    UnknownEvent,
)
from .._model.outcome import DiffStats, Failure, Message
from .._model.states import TaskState
from .._model.tasks import TaskRef
from .long_messages import without_mark
from .models import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, CloudAttempt, CloudRound, CloudStats, CloudTask

# The provider of the refs of a local cloud's tasks.
PROVIDER = "local"
STATES = {
    PENDING: TaskState.QUEUED,
    RUNNING: TaskState.RUNNING,
    COMPLETED: TaskState.SUCCEEDED,
    FAILED: TaskState.FAILED,
    CANCELLED: TaskState.CANCELLED,
}


def ref_of(task_id: str) -> TaskRef:
    """Return the ref by which clients know a task of a local cloud."""
    return TaskRef(PROVIDER, task_id)


def events_between(before: CloudTask | None, after: CloudTask) -> Iterator[TaskEvent]:
    """Yield the events of the change from *before* (None: the task is new) to *after*."""
    ref, at = ref_of(after.id), datetime.fromtimestamp(after.updated_at, UTC)
    earlier = before.last if before is not None and len(before.rounds) == len(after.rounds) else None
    for attempt in after.last.attempts:
        yield from _attempt_events(ref, at, earlier, attempt, is_one_of_many=len(after.last.attempts) > 1)
    if earlier is None or earlier.state != after.last.state:
        yield _state_event(ref, at, after.last)


def _attempt_events(
    ref: TaskRef, at: datetime, earlier: CloudRound | None, attempt: CloudAttempt, *, is_one_of_many: bool
) -> Iterator[TaskEvent]:
    states = {each.id: each.state for each in earlier.attempts} if earlier else {}
    if states.get(attempt.id, PENDING) == attempt.state:
        return
    number = attempt.placement + 1
    if attempt.is_over and attempt.result is not None:
        for message in _unprinted(attempt):
            yield message_event(ref, message, at=at, attempt=number)
    if attempt.is_over and attempt.stats is not None:
        yield diff_event(ref, attempt.stats, at=at, attempt=number)
    if is_one_of_many:
        state = STATES.get(attempt.state, TaskState.UNKNOWN)
        yield TaskAttempt(ref=ref, at=at, attempt=number, state=state, raw_state=attempt.state)


def _unprinted(attempt: CloudAttempt) -> Iterator[str]:
    """Yield the messages of the result that are not the agent's own output."""
    assert attempt.result is not None  # noqa: S101 - the caller has one
    messages = attempt.result.messages[1 if attempt.result.is_message_shown else 0 :]
    printed = [log.text.strip() for log in attempt.result.logs if log.name == "stdout"]
    return (message for message in messages if not any(text.endswith(without_mark(message)) for text in printed))


def _state_event(ref: TaskRef, at: datetime, round_: CloudRound) -> TaskEvent:
    state = STATES.get(round_.state, TaskState.UNKNOWN)
    if state is TaskState.FAILED:
        error = next((attempt.error for attempt in round_.attempts if attempt.error), None)
        failure = Failure(code=error.code, message=error.message) if error else None
        return TaskFailed(ref=ref, at=at, state=state, raw_state=round_.state, error=failure)
    if state not in STATE_EVENTS:
        return UnknownEvent(ref=ref, at=at, kind="state", data=round_.state)
    return STATE_EVENTS[state](ref=ref, at=at, state=state, raw_state=round_.state)  # type: ignore[return-value] # every state event is a task event


def message_event(ref: TaskRef, text: str, *, at: datetime, attempt: int) -> TaskEvent:
    """Return the event of a message of the agent."""
    return TaskMessage(ref=ref, at=at, attempt=attempt, text=text, message=Message(text=text))


def diff_event(ref: TaskRef, stats: CloudStats, *, at: datetime, attempt: int) -> TaskEvent:
    """Return the event of a change that has another size."""
    size = DiffStats(files=stats.files, added=stats.added, removed=stats.removed)
    return TaskDiff(ref=ref, at=at, attempt=attempt, stats=size)


OUTPUT_LIMIT = "the agent writes more than events show; the result has the beginning and the end of its output"


# So many lines and characters of an attempt are events: fewer lines than `OutputCapture` passes on.
MAX_LINES, MAX_CHARACTERS = 5000, 1024 * 1024


class OutputEvents:
    """The events of what one attempt writes: up to its limits, then one event that there is more."""

    def __init__(self, ref: TaskRef, attempt: int, *, is_reporting: bool = False) -> None:
        self._ref, self._attempt = ref, attempt
        self.is_reporting = is_reporting  # its messages are events of their own, and its standard output is a log
        self._lines, self._characters = MAX_LINES, MAX_CHARACTERS
        self._is_full = False
        self._lock = threading.Lock()  # each output is read by a thread

    def of(self, name: str, line: str, now: float) -> Iterable[TaskEvent]:
        """Return the events of a line that the agent has written to its output *name* ("stdout" or "stderr")."""
        at = datetime.fromtimestamp(now, UTC)
        if name == "stdout" and not self.is_reporting:
            return self.limited(message_event(self._ref, line, at=at, attempt=self._attempt), len(line))
        return self.limited(TaskLog(ref=self._ref, at=at, attempt=self._attempt, text=line, source=name), len(line))

    def limited(self, event: TaskEvent, size: int) -> Iterable[TaskEvent]:
        """Return *event*, of so many characters, within the limits; then, once, that there is more."""
        with self._lock:
            if self._is_full:
                return ()
            self._lines, self._characters = self._lines - 1, self._characters - size
            self._is_full = min(self._lines, self._characters) < 0
        if self._is_full:
            return (TaskLog(ref=self._ref, at=event.at, attempt=self._attempt, text=OUTPUT_LIMIT, source="coatcheck"),)
        return (event,)
