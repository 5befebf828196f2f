"""The summary of a session's activities: plan, messages, change and end. Pure.

Invariants:

- A plan waits for approval while the newest one is followed by no approval and no end.
- What the agent does after its end is a revival: it then re-applies its diff, reverting what was merged since.

See docs/reference/protocols/jules.md, "2.3 SessionState" and "3.1 Decision table for a client".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from ...provider import Message, Plan, instant
from . import wire
from .activities import Happening, message_of, plan_of, progress_of

ENDS = frozenset({"sessionCompleted", "sessionFailed"})
# What decides a plan: a message of a person, or an end (docs/reference/protocols/jules.md, "3.1 Decision table for a
# client").
SETTLES = frozenset({"planApproved", *ENDS})


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a session itself does not contain."""

    plan: Plan | None = None
    messages: tuple[Message, ...] = ()
    progress: str | None = None
    change: wire.GitPatch | None = None
    has_completed: bool = False
    reason: str | None = None
    revived_at: datetime | None = None

    @property
    def has_open_plan(self) -> bool:
        """Whether a plan waits for approval."""
        return self.plan is not None and not self.plan.is_approved


NOTHING = SessionSummary()


def summarize(found: Iterable[Happening]) -> SessionSummary:
    """Return the summary of *found*, all activities from the first on."""
    summary = NOTHING
    for happening in found:
        changes = _changes_of(summary, happening)
        summary = msgspec.structs.replace(summary, **changes) if changes else summary
    return summary


def _changes_of(summary: SessionSummary, happening: Happening) -> dict[str, object]:
    """Return the fields of *summary* that change with *happening*."""
    activity, kind = happening.activity, happening.kind
    changes: dict[str, object] = {}
    if (message := message_of(activity)) and message.role == "assistant":
        changes["messages"] = (*summary.messages, message)
    if kind == "planGenerated" and activity.plan_generated:
        changes["plan"] = plan_of(activity.plan_generated.plan)
    if kind in SETTLES and summary.plan is not None:
        changes["plan"] = msgspec.structs.replace(summary.plan, is_approved=True)
    if kind == "sessionCompleted":
        changes["has_completed"] = True
    if kind == "sessionFailed" and activity.session_failed:
        changes["reason"] = activity.session_failed.reason or summary.reason
    if kind == "progressUpdated" and (progress := progress_of(activity)):
        changes["progress"] = progress
    if summary.has_completed and happening.is_agents and kind not in ENDS:
        changes["revived_at"] = instant(activity.create_time) or summary.revived_at
    if happening.change is not None:
        changes["change"] = happening.change
    return changes
