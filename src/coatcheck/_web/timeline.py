"""Events as lines of a timeline and of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._model.event_base import Event
from .._model.events import (
    TaskAttempt,
    TaskDiff,
    TaskFailed,
    TaskLog,
    TaskMessage,
    TaskNotice,
    TaskPlan,
    TaskTool,
    UnknownEvent,
)
from .._model.fleet_events import FleetEventBase
from .._model.review_events import ActionPerformed, GateDecided, GateEvent
from .formatting import one_line, plural

if TYPE_CHECKING:
    from datetime import datetime

    from .._model.events import AnyEvent
    from .._store.events import StoredEvent

# The longest text of one entry (characters); the task's own sections have the whole.
LONGEST = 2000
# A message is cut here: it is shown whole above.
SHORT = 300


# An action in the words of the log.
ACTIONS: Mapping[str, str] = {
    "submit": "submitted",
    "message": "message sent",
    "cancel": "cancel requested",
    "apply": "applied",
    "undo": "undone",
    "check": "checks started",
    "choose": "chosen",
    "deliver": "delivery",
    "replay": "sent again",
    "switch": "switched",
    "test": "tested",
}


class Entry(NamedTuple):
    """One line: its number in the store's log, when it happened, what kind it is, and words. `is_log` is output."""

    id: int
    at: datetime
    kind: str
    text: str
    attempt: int | None = None
    is_log: bool = False


def entries(stored: Iterable[StoredEvent]) -> Sequence[Entry]:
    """Return events as entries, in their order; a message that a stream and a poll both reported is shown once."""
    shown, last_message = [], None
    for each in stored:
        if isinstance(each.event, TaskMessage):
            message = each.event.message.text.strip()
            if message == last_message:
                continue
            last_message = message
        shown.append(_entry(each))
    return shown


def _entry(stored: StoredEvent) -> Entry:
    event = stored.event
    text = text_of(event)
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return Entry(
        stored.id,
        event.at or stored.recorded_at,
        ACTIONS.get(event.action, event.action) if isinstance(event, ActionPerformed) else _kind(event.type),
        shown,
        getattr(event, "attempt", None),
        isinstance(event, TaskLog | TaskTool),
    )


def _kind(type: str) -> str:
    """Return the type of an event in words, without its family: ``task.needs_input`` is needs input."""
    return type.rpartition(".")[2].replace("_", " ")


def text_of(event: AnyEvent) -> str:
    """Return what happened in words, "" where the kind of the event is enough."""
    words = next((write for kind, write in WORDS if isinstance(event, kind)), None)
    return (words(event) if words else "") or event.text or ""


def _diff(event: TaskDiff) -> str:
    stats = event.stats
    return f"{plural(stats.files or 0, 'file')}, +{stats.added or 0} -{stats.removed or 0}"


def _plan(event: TaskPlan) -> str:
    steps = event.plan.steps if event.plan else ()
    return "\n".join(f"{number}. {step.title}" for number, step in enumerate(steps, 1))


def _tool(event: TaskTool) -> str:
    shown = [part for each in event.artifacts for part in (each.command and f"$ {each.command}", each.output)]
    return "\n".join(filter(None, [event.text, *shown]))


def _fleet(event: FleetEventBase) -> str:
    by = f"by {event.by}" if event.by else None
    return ": ".join(filter(None, [getattr(event, "item", None), by, event.why]))


def _decided(event: GateDecided) -> str:
    """Return what was decided, by whom, by which way, and why."""
    decision = {"approve": "approved", "reject": "rejected"}.get(event.effect, event.effect)
    return ": ".join(filter(None, [event.concerns, f"{decision} by {event.by} ({event.via})", event.why]))


# Kind of an event -> the function that writes it; the event's own text is used where that returns nothing.
WORDS: Sequence[tuple[type[Event], Callable[[Any], str | None]]] = (
    (TaskMessage, lambda event: one_line(event.message.text, SHORT)),
    (TaskAttempt, lambda event: event.text or event.state.value),
    (TaskNotice, lambda event: event.notice.text),
    (TaskDiff, _diff),
    (TaskPlan, _plan),
    (TaskTool, _tool),
    (TaskFailed, lambda event: str(event.error) if event.error else None),
    (GateDecided, _decided),
    (GateEvent, lambda event: event.text or event.concerns),
    (FleetEventBase, _fleet),
    (ActionPerformed, lambda event: ": ".join(filter(None, [f"by {event.by} ({event.via})", event.text]))),
    (UnknownEvent, lambda event: event.text or event.kind),
)
