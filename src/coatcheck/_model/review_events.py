"""Events of gates, checks and reviews, and of actions over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .._values.value import JsonFields
from .event_base import SUBJECT_FIELDS, SubjectEvent

if TYPE_CHECKING:
    from datetime import datetime

_GATE: JsonFields = {
    **SUBJECT_FIELDS,
    "gate": "the id of the gate",
    "kind": "plan, permission, question, submission, apply, wave or delivery",
    "concerns": "what waits for the decision: the ref of a task, or an item",
}


class GateEvent(SubjectEvent, frozen=True, kw_only=True):
    """An event of a gate: its subject is ``gate:ID``."""

    gate: str
    kind: str
    concerns: str

    _json: ClassVar[JsonFields] = _GATE


class GateOpened(GateEvent, frozen=True, kw_only=True):
    """A decision is pending."""

    type: ClassVar[Literal["gate.opened"]] = "gate.opened"

    digest: str | None = None
    expires_at: datetime | None = None

    _json: ClassVar[JsonFields] = {
        **_GATE,
        "digest": "SHA-256 of what is decided",
        "expires_at": "the deadline of the decision",
    }


class GateDecided(GateEvent, frozen=True, kw_only=True):
    """A person or a policy decided; `digest` is that of what was decided."""

    type: ClassVar[Literal["gate.decided"]] = "gate.decided"

    option: str
    effect: str
    by: str
    via: str
    why: str | None = None
    digest: str | None = None

    _json: ClassVar[JsonFields] = {
        **_GATE,
        "option": "the option that was chosen",
        "effect": "approve or reject",
        "by": "who decided: a login, or policy:NAME",
        "via": "cli, library, mcp, webhook, acp, web or policy",
        "why": "the reason that was given",
        "digest": "SHA-256 of what was decided",
    }


class GateExpired(GateEvent, frozen=True, kw_only=True):
    """The deadline passed without a decision; `effect` is what followed."""

    type: ClassVar[Literal["gate.expired"]] = "gate.expired"

    effect: str

    _json: ClassVar[JsonFields] = {**_GATE, "effect": "reject, approve or hold"}


class GateWithdrawn(GateEvent, frozen=True, kw_only=True):
    """The decision is not needed any more: the task ended, or what was to be decided changed."""

    type: ClassVar[Literal["gate.withdrawn"]] = "gate.withdrawn"

    why: str | None = None

    _json: ClassVar[JsonFields] = {**_GATE, "why": "the reason"}


class CheckFinished(SubjectEvent, frozen=True, kw_only=True):
    """A check of a candidate has ended."""

    type: ClassVar[Literal["check.finished"]] = "check.finished"

    check: str
    verdict: str
    candidate: str | None = None
    seconds: float | None = None

    _json: ClassVar[JsonFields] = {
        **SUBJECT_FIELDS,
        "check": "the name of the check",
        "verdict": "its result",
        "candidate": "the candidate; null for the unpatched base",
        "seconds": "how long it took",
    }


class ReviewRanked(SubjectEvent, frozen=True, kw_only=True):
    """The candidates of a review were ranked; `chosen` is the best one that may be chosen."""

    type: ClassVar[Literal["review.ranked"]] = "review.ranked"

    chosen: str | None = None
    candidates: int = 0

    _json: ClassVar[JsonFields] = {
        **SUBJECT_FIELDS,
        "chosen": "the candidate that was chosen; null where none may be",
        "candidates": "how many candidates there are",
    }


class ActionPerformed(SubjectEvent, frozen=True, kw_only=True):
    """A person or a program changed something over HTTP: `text` has the details."""

    type: ClassVar[Literal["action.performed"]] = "action.performed"

    action: str
    by: str
    via: str

    _json: ClassVar[JsonFields] = {
        **SUBJECT_FIELDS,
        "action": "submit, message, cancel, apply, undo, check, choose, deliver, replay, switch or test",
        "by": "the login of the user whose server it was",
        "via": "web: the page, api: its JSON API",
    }


ReviewEvent: TypeAlias = (
    GateOpened | GateDecided | GateExpired | GateWithdrawn | CheckFinished | ReviewRanked | ActionPerformed
)
