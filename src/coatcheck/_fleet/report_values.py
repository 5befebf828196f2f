"""The parts of the report of a fleet: what was sent, chosen, rejected and delivered, and what is unfinished.

Invariants of a report:

- it is read from the tables alone: the same rows give the same report, at any time after a run;
- every item is in it, and every item that was not delivered has a reason or a command;
- a cost is the sum of what services have reported; what none has reported is unknown, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._model.fleets import FleetDelivery, FleetStatus
from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime


class ServiceReport(Value, frozen=True, kw_only=True):
    """What one service has done. Times are seconds from a task's submission to its end."""

    provider: str
    tasks: int = 0
    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    chosen: int = 0
    median_seconds: float | None = None
    longest_seconds: float | None = None

    _json: ClassVar[JsonFields] = {
        "provider": "the service",
        "tasks": "how many tasks are planned for it or were submitted to it",
        "submitted": "how many were submitted",
        "succeeded": "how many ended with a change",
        "failed": "how many ended without one",
        "chosen": "how many changes were chosen",
        "median_seconds": "the median time from submission to end",
        "longest_seconds": "the longest time from submission to end",
    }

    @property
    def success_rate(self) -> float | None:
        """Return the share of ended tasks that have a change, None where none has ended."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


class WaveReport(Value, frozen=True, kw_only=True):
    """The items of one wave, numbered from 0."""

    number: int
    items: int = 0
    settled: int = 0
    delivered: int = 0
    has_begun: bool = False

    _json: ClassVar[JsonFields] = {
        "number": "its number, from 0",
        "items": "how many items it has",
        "settled": "how many of them are delivered, rejected, cancelled or failed",
        "delivered": "how many of them are delivered",
        "has_begun": "whether its items may be submitted",
    }


class RatePoint(Value, frozen=True, kw_only=True):
    """What happened in `seconds` from `at` on."""

    at: datetime
    seconds: float
    submitted: int = 0
    ended: int = 0
    delivered: int = 0

    _json: ClassVar[JsonFields] = {
        "at": "when the interval begins",
        "seconds": "how long it is",
        "submitted": "tasks that were submitted in it",
        "ended": "tasks that ended in it",
        "delivered": "items that were delivered in it",
    }


class RejectedCandidate(Value, frozen=True, kw_only=True):
    """A candidate that may not be chosen, and why."""

    candidate: str
    reasons: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "candidate": "its task, or PROVIDER/ATTEMPT where none was submitted",
        "reasons": "why it may not be chosen",
    }


class ReportedItem(Value, frozen=True, kw_only=True):
    """An item: which candidate was chosen, which were rejected, who decided, each with why, and where it was delivered."""

    key: str
    state: str
    repository: str | None = None
    wave: int = 0
    why: str | None = None
    chosen: str | None = None
    reasons: tuple[str, ...] = ()
    rejected: tuple[RejectedCandidate, ...] = ()
    decisions: tuple[str, ...] = ()
    delivery: FleetDelivery | None = None

    _json: ClassVar[JsonFields] = {
        "key": "unique in its fleet",
        "state": "a word of ItemState",
        "repository": "the repository that it changes",
        "wave": "its wave, from 0",
        "why": "why it is in this state",
        "chosen": "the task whose change was chosen",
        "reasons": "why it was chosen: sentences of the ranking",
        "rejected": "rejected candidate objects",
        "decisions": "who approved or rejected it, and why, the oldest first",
        "delivery": "fleet delivery object, once it has begun",
    }


class Unfinished(Value, frozen=True, kw_only=True):
    """What keeps an item or an account from being finished, and the command that continues."""

    kind: str
    subject: str
    why: str = ""
    command: str = ""

    _json: ClassVar[JsonFields] = {
        "kind": "waiting, uncertain, input_required, parked, conflict, failed, exhausted, open or left out",
        "subject": "the key of the item, or the account",
        "why": "the reason",
        "command": "the command that continues",
    }


class ReportData(Value, frozen=True, kw_only=True):
    """What a report consists of; `FleetReport` adds its formats."""

    status: FleetStatus
    made_at: datetime
    services: tuple[ServiceReport, ...] = ()
    waves: tuple[WaveReport, ...] = ()
    rate: tuple[RatePoint, ...] = ()
    items: tuple[ReportedItem, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    commands: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "status": "fleet status object",
        "made_at": "when the report was made",
        "services": "service report objects",
        "waves": "wave report objects",
        "rate": "rate point objects, the oldest first",
        "items": "reported item objects, in the order of the file",
        "unfinished": "unfinished objects",
        "commands": "commands that continue the fleet",
    }
