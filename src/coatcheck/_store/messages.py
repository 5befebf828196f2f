"""Messages of a task in the log of events: one that its event stream has reported is not stored again as its result's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .._engine.reported_messages import ReportedMessages
from .._model.events import TaskEvent, TaskMessage
from .events import messages_of

if TYPE_CHECKING:
    from .._model.tasks import Task
    from .database import Transaction


def unreported_events(transaction: Transaction, task: Task, events: Sequence[TaskEvent]) -> list[TaskEvent]:
    """Return the *events* that a poll of *task* shows without messages that are stored; of one, what is not stored."""
    shown = [event for event in events if isinstance(event, TaskMessage)]
    if not shown or task.outcome is None:
        return list(events)
    logs = _by_attempt(messages_of(transaction, task.ref))
    messages = task.outcome.messages
    rests = [min((log.unreported(message.text) for log in logs), key=len) for message in messages]
    new = dict(zip(map(id, shown), rests[len(rests) - len(shown) :], strict=True))
    kept = [(event, new.get(id(event))) for event in events]
    return [event if rest is None else _with_text(event, rest) for event, rest in kept if rest != ""]


def _by_attempt(messages: Sequence[TaskMessage]) -> list[ReportedMessages]:
    """Return the messages of each attempt, with those of no attempt, which polls show."""
    logs = {attempt: ReportedMessages() for attempt in (None, *(each.attempt for each in messages))}
    for message in messages:
        for attempt, log in logs.items():
            if message.attempt in (None, attempt):
                log.add(message.message.text)
    return list(logs.values())


def _with_text(event: TaskEvent, text: str) -> TaskEvent:
    """Return the event of a message with *text*, which is the message or the end of it."""
    if not isinstance(event, TaskMessage) or event.message.text == text:
        return event
    return msgspec.structs.replace(event, text=text, message=msgspec.structs.replace(event.message, text=text))
