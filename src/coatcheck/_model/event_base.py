"""What all events have in common.

An event is a flat value: `type` determines its class, and `subject` names what it is about as text: the ref of a task,
``gate:ID``, ``review:NAME`` or ``fleet:NAME``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime

SUBJECT_FIELDS: JsonFields = {
    "type": "what happened",
    "id": "not used: the number in the log resumes reading",
    "subject": "what it is about: gate:ID, review:NAME, fleet:NAME or the ref of a task",
    "at": "when it happened",
    "text": "the same in words",
}


class Event(Value, frozen=True, kw_only=True):
    """What every event has: a type, a time, and words; each class has a `subject` as well."""

    type: ClassVar[str] = ""

    id: str = ""
    at: datetime | None = None
    text: str | None = None


class SubjectEvent(Event, frozen=True, kw_only=True):
    """An event of something else than a task."""

    subject: str

    _json: ClassVar[JsonFields] = SUBJECT_FIELDS
