"""Everything that happens, as a closed union of values that type checkers narrow on `type`.

`TaskEvent` is the union of what happens to a task, which ``watch``, its NDJSON output and the library yield. `AnyEvent`
has the events of gates, checks, reviews and fleets as well: the log of events holds all of them, and `event_from_dict`
reads any. An event that this version does not know is an `UnknownEvent`, kept and shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias, cast

import msgspec

from .._values.value import JsonFields
from .event_base import Event
from .fleet_events import FleetEvent
from .outcome import Artifact, DiffStats, Failure, Message, Notice, Plan
from .review_events import ReviewEvent
from .states import TaskState
from .tasks import TaskRef

_COMMON: JsonFields = {
    "type": "what happened",
    "id": "what `watch --after` takes to continue after this event",
    "ref": "the task",
    "at": "when it happened, as the service reports it",
    "attempt": "number of the attempt, where it concerns one",
    "text": "the same in words",
    "artifacts": "what was shown with it: artifact objects",
}


_STATE: JsonFields = {
    **_COMMON,
    "state": "a word of TaskState",
    "raw_state": "the native state of the service",
}


class TaskEventBase(Event, frozen=True, kw_only=True):
    """What every event of a task has: the task, a cursor that resumes a watch after it (`id`), a time, and words."""

    ref: TaskRef
    attempt: int | None = None
    artifacts: tuple[Artifact, ...] = ()

    _json: ClassVar[JsonFields] = _COMMON

    @property
    def subject(self) -> str:
        """The ref of the task, as text."""
        return str(self.ref)

    @staticmethod
    def _read_union(document: Mapping[str, Any]) -> AnyEvent:
        """Return the event in a document, for values that have an event as an attribute."""
        return event_from_dict(document)


class StateEvent(TaskEventBase, frozen=True, kw_only=True):
    """The task has another state; `raw_state` is the service's native state."""

    state: TaskState
    raw_state: str | None = None

    _json: ClassVar[JsonFields] = _STATE


class TaskSubmitted(StateEvent, frozen=True, kw_only=True):
    """The service has taken the task and has not started it."""

    type: ClassVar[Literal["task.submitted"]] = "task.submitted"


class TaskStarted(StateEvent, frozen=True, kw_only=True):
    """The agent is at work."""

    type: ClassVar[Literal["task.started"]] = "task.started"


class TaskNeedsInput(StateEvent, frozen=True, kw_only=True):
    """The task waits for a person: for an answer or an approval, or because it was paused."""

    type: ClassVar[Literal["task.needs_input"]] = "task.needs_input"


class TaskSucceeded(StateEvent, frozen=True, kw_only=True):
    """The task has ended with a result."""

    type: ClassVar[Literal["task.succeeded"]] = "task.succeeded"


class TaskFailed(StateEvent, frozen=True, kw_only=True):
    """The task has ended without success; `error` is the service's reason."""

    type: ClassVar[Literal["task.failed"]] = "task.failed"

    error: Failure | None = None

    _json: ClassVar[JsonFields] = {**_STATE, "error": "why it failed: failure object"}


class TaskCancelled(StateEvent, frozen=True, kw_only=True):
    """The task was stopped."""

    type: ClassVar[Literal["task.cancelled"]] = "task.cancelled"


class TaskExpired(StateEvent, frozen=True, kw_only=True):
    """The service ended the task at its time limit."""

    type: ClassVar[Literal["task.expired"]] = "task.expired"


class TaskAttempt(TaskEventBase, frozen=True, kw_only=True):
    """One of several attempts has another state; the end of the task is another event."""

    type: ClassVar[Literal["task.attempt"]] = "task.attempt"

    state: TaskState
    raw_state: str | None = None

    _json: ClassVar[JsonFields] = _STATE


class TaskMessage(TaskEventBase, frozen=True, kw_only=True):
    """A message of the agent or of a person."""

    type: ClassVar[Literal["task.message"]] = "task.message"

    message: Message

    _json: ClassVar[JsonFields] = {**_COMMON, "message": "message object"}


class TaskProgress(TaskEventBase, frozen=True, kw_only=True):
    """What the agent is doing, as the agent or the service reports it."""

    type: ClassVar[Literal["task.progress"]] = "task.progress"


class TaskTool(TaskEventBase, frozen=True, kw_only=True):
    """The agent used a tool; `artifacts` hold the command and what it printed."""

    type: ClassVar[Literal["task.tool"]] = "task.tool"


class TaskPlan(TaskEventBase, frozen=True, kw_only=True):
    """The agent made a plan, or a plan was approved (`is_approved`)."""

    type: ClassVar[Literal["task.plan"]] = "task.plan"

    plan: Plan | None = None
    is_approved: bool = False

    _json: ClassVar[JsonFields] = {**_COMMON, "plan": "plan object", "is_approved": "whether the plan is approved"}


class TaskDiff(TaskEventBase, frozen=True, kw_only=True):
    """The change has another size."""

    type: ClassVar[Literal["task.diff"]] = "task.diff"

    stats: DiffStats

    _json: ClassVar[JsonFields] = {**_COMMON, "stats": "stats object"}


class TaskLog(TaskEventBase, frozen=True, kw_only=True):
    """Output of the machine that runs the task; `source` names the job or the stream."""

    type: ClassVar[Literal["task.log"]] = "task.log"

    source: str | None = None

    _json: ClassVar[JsonFields] = {**_COMMON, "source": "the job or stream that it comes from"}


class TaskUsage(TaskEventBase, frozen=True, kw_only=True):
    """What the task has used, as the service words it."""

    type: ClassVar[Literal["task.usage"]] = "task.usage"


class TaskNotice(TaskEventBase, frozen=True, kw_only=True):
    """A fact that the state does not show and that the user should know."""

    type: ClassVar[Literal["task.notice"]] = "task.notice"

    notice: Notice

    _json: ClassVar[JsonFields] = {**_COMMON, "notice": "notice object"}


class UnknownEvent(TaskEventBase, frozen=True, kw_only=True):
    """An event of a kind that this version does not know: the service's `kind` and `data`."""

    type: ClassVar[Literal["unknown"]] = "unknown"

    kind: str
    data: object = None

    _json: ClassVar[JsonFields] = {
        **_COMMON,
        "kind": "the service's own word",
        "data": "the service's description of it",
    }


TaskEvent: TypeAlias = (
    TaskSubmitted
    | TaskStarted
    | TaskNeedsInput
    | TaskSucceeded
    | TaskFailed
    | TaskCancelled
    | TaskExpired
    | TaskAttempt
    | TaskMessage
    | TaskProgress
    | TaskTool
    | TaskPlan
    | TaskDiff
    | TaskLog
    | TaskUsage
    | TaskNotice
    | UnknownEvent
)

AnyEvent: TypeAlias = TaskEvent | ReviewEvent | FleetEvent

EVENT_TYPES: Mapping[str, type[AnyEvent]] = {kind.type: kind for kind in AnyEvent.__args__}

# The event of each state; a state that is not known is an `UnknownEvent`.
STATE_EVENTS: Mapping[TaskState, type[StateEvent]] = {
    TaskState.QUEUED: TaskSubmitted,
    TaskState.RUNNING: TaskStarted,
    TaskState.INPUT_REQUIRED: TaskNeedsInput,
    TaskState.PAUSED: TaskNeedsInput,
    TaskState.SUCCEEDED: TaskSucceeded,
    TaskState.FAILED: TaskFailed,
    TaskState.CANCELLED: TaskCancelled,
    TaskState.EXPIRED: TaskExpired,
}


def subject_field(type: str) -> str:
    """Return the field that holds the subject in the document of an event: ``ref`` of a task's, else ``subject``."""
    kind = EVENT_TYPES.get(type)
    is_of_task = type.startswith("task.") if kind is None else issubclass(kind, TaskEventBase)
    return "ref" if is_of_task else "subject"


def event_from_dict(document: Mapping[str, Any]) -> AnyEvent:
    """Return the event that `to_dict` wrote; a type of a newer version is an `UnknownEvent` with the whole document.

    The `ref` of such an event is its subject, whatever that is. Raises `ConfigurationError` with the path of a field
    that does not fit.
    """
    kind = EVENT_TYPES.get(str(document.get("type")))
    return _unknown_event(document) if kind is None else kind.from_dict(document)


def task_event_from_dict(document: Mapping[str, Any]) -> TaskEvent:
    """Return the event of a task that `to_dict` wrote; any other is an `UnknownEvent` with the whole document."""
    kind = EVENT_TYPES.get(str(document.get("type")))
    is_of_task = kind is not None and issubclass(kind, TaskEventBase)
    return cast("TaskEvent", event_from_dict(document)) if is_of_task else _unknown_event(document)


def _unknown_event(document: Mapping[str, Any]) -> UnknownEvent:
    unknown = {**document, "kind": str(document.get("type")), "data": dict(document)}
    if "ref" in document:
        return UnknownEvent.from_dict(unknown)
    provider, _, id = str(document.get("subject")).partition(":")
    event = UnknownEvent.from_dict({**unknown, "ref": "unknown:unknown"})
    return msgspec.structs.replace(event, ref=TaskRef(provider, id))
