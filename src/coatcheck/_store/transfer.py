"""Stored tasks as JSON lines, to move them to another store or to keep them elsewhere.

A line holds a task with its prompt, its result, the bytes of its patches, and its events. It is read back equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from .. import errors
from .._model.events import TaskEvent
from .._model.tasks import Task
from .._values.json_decode import decode as value_from
from .._values.json_fields import base64_text
from .documents import decode, decode_event, encode, to_document, with_patches
from .events import StoredEvent

SCHEMA = "coatcheck-history/1"


class ImportedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was read: a task, when it was recorded (seconds since the epoch), and its events with their times."""

    task: Task
    recorded_at: float
    events: tuple[tuple[float, TaskEvent], ...]


def line_of(task: Task, recorded_at: datetime, events: Sequence[StoredEvent]) -> bytes:
    """Return a task as a line of JSON."""
    patches: dict[str, bytes] = {}

    def keep(content: bytes) -> str:
        name = str(len(patches))
        patches[name] = content
        return name

    document = to_document(task, keep)
    line = {
        "schema": SCHEMA,
        "recorded_at": recorded_at.isoformat(),
        "task": with_patches(document, lambda name: {"patch": "", "patch_base64": base64_text(patches[name])}),
        "events": [_event_document(each) for each in events],
    }
    return encode(line).encode() + b"\n"


def task_of(line: bytes, number: int) -> ImportedTask:
    """Return the task of a line. Raises `ConfigurationError` with the *number* of a line that cannot be read."""
    try:
        document = decode(line)
        return ImportedTask(
            task=value_from(Task, document["task"]),
            recorded_at=_seconds(document["recorded_at"]),
            events=tuple(_event_of(each) for each in document["events"]),
        )
    except (errors.ConfigurationError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise errors.ConfigurationError(
            f"line {number} is not of an exported history: {error}",
            remedy="give a file that coatcheck history export has written",
        ) from None


def _event_document(stored: StoredEvent) -> Mapping[str, Any]:
    event = to_document(stored.event, lambda _: "")
    return {"recorded_at": stored.recorded_at.isoformat(), "type": stored.event.type, "event": event}


def _event_of(document: Mapping[str, Any]) -> tuple[float, TaskEvent]:
    event = decode_event(document["type"], document["event"]["ref"], encode(document["event"]).encode())
    return _seconds(document["recorded_at"]), cast("TaskEvent", event)  # what is exported are the events of tasks


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
