"""What happened in a durable execution, one event at a time. Pure.

An event has AWS's own type, and its fields under `data`; ids increase with each event.

See docs/reference/protocols/services.md, "3.2 Durable functions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ...provider import (
    Response,
    Task,
    TaskEvent,
    TaskMessage,
    TaskRef,
    UnknownEvent,
    errors,
    fields,
    instant,
    read_json,
    text,
    whole,
)
from . import wire

# Events that end a `CallbackStarted`; they have the same `Id`.
CALLBACK_ENDS = frozenset({"CallbackSucceeded", "CallbackFailed", "CallbackTimedOut"})


class Happening(msgspec.Struct, frozen=True):
    """One event: its number, AWS's type, its operation and its fields."""

    id: int
    kind: str
    operation: str | None
    name: str | None
    at: object
    data: Mapping[str, object]

    @property
    def text(self) -> str | None:
        """Return it in one line: the operation's name, and the error where there is one."""
        error = fields(fields(self.data.get("Error")).get("Payload"))
        return ": ".join(filter(None, (self.name, text(error.get("ErrorMessage"))))) or None


def read_page(answer: Response) -> tuple[list[Happening], str | None]:
    """Return a page of events, and the marker of the next one."""
    page = read_json(answer.body, wire.HistoryPage, response=answer)
    return [_happening(event) for event in page.events], page.next_marker or None


def _happening(event: Mapping[str, object]) -> Happening:
    kind = text(event.get("EventType")) or "event"
    return Happening(
        id=whole(event.get("EventId")) or 0,
        kind=kind,
        operation=text(event.get("Id")),
        name=text(event.get("Name")),
        at=event.get("EventTimestamp"),
        data=fields(event.get(f"{kind}Details")),
    )


def event_of(happening: Happening, ref: TaskRef) -> TaskEvent:
    """Return what happened as an event."""
    return UnknownEvent(
        kind=happening.kind,
        ref=ref,
        id=str(happening.id),
        text=happening.text,
        data=dict(happening.data),
        at=instant(happening.at),
    )


def events_of(happened: Sequence[Happening], task: Task) -> tuple[TaskEvent, ...]:
    """Return *happened* as events, and the agent's message once *task* has ended: AWS has no event for it."""
    if not happened:
        return ()
    last = str(happened[-1].id)
    messages_of_task = task.outcome.messages if task.outcome else ()
    messages = [TaskMessage(ref=task.ref, id=last, message=each, text=each.text) for each in messages_of_task]
    return (*(event_of(each, task.ref) for each in happened), *messages)


def open_callback(happened: Iterable[Happening], ref: TaskRef) -> str:
    """Return the id of the one callback that waits. Raises `ConfigurationError` where there is none, or are several."""
    waiting: dict[str | None, Happening] = {}
    for each in happened:
        if each.kind == "CallbackStarted":
            waiting[each.operation] = each
        elif each.kind in CALLBACK_ENDS:
            waiting.pop(each.operation, None)
    ids = [id for each in waiting.values() if (id := text(each.data.get("CallbackId")))]
    if len(ids) != 1:
        names = ", ".join(each.name or "one without a name" for each in waiting.values())
        what = f"{len(ids)} callbacks wait in {ref} ({names})" if ids else f"no callback waits in {ref}"
        raise errors.ConfigurationError(what, remedy=f"see what it does: coatcheck watch {ref}")
    return ids[0]
