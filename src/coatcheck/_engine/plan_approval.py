"""Approval of plans during a wait.

Invariants:
- A plan is approved once: not where *decide* returns "sent", because another process approves it. Approving is a POST, which is never replayed unless it certainly was not taken.
- An approval that changes nothing is reported and not repeated: some services accept it and do not move
  (`docs/reference/protocols/jules.md`, 2.3: five times out of six where the session had been left alone for ten
  minutes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from .._model.outcome import Notice
from .._model.tasks import Task, TaskState
from .._protocol.effects import Clock, Script

if TYPE_CHECKING:
    from .._model.gates import PlanDecision

Decide: TypeAlias = "Callable[[Task], PlanDecision]"

# How long a service may take to act upon an approval before it counts as ignored (seconds). Agents answer in 72 s at
# the median (`docs/reference/protocols/jules.md`, 2.3) and state changes show at once in every report.
GRACE = 120.0
IGNORED = Notice(kind="approval_ignored", text="the plan was approved, but the service did not go on")


class Approvals:
    """Which plans of one wait have been approved; *decide* is called once for each."""

    def __init__(self, decide: Decide, approve: Callable[[], Script[object]], *, clock: Clock) -> None:
        self._decide, self._approve, self._clock = decide, approve, clock
        self._given: dict[str, float] = {}

    def considered(self, task: Task) -> Script[Task | None]:
        """Return the task that ends the wait, None where its plan is approved and the wait continues."""
        if task.plan is None or task.state is not TaskState.INPUT_REQUIRED:
            return task
        since = self._given.get(task.plan.id)
        if since is not None:
            is_ignored = self._clock.monotonic() - since > GRACE
            return msgspec.structs.replace(task, notices=(*task.notices, IGNORED)) if is_ignored else None
        decision = self._decide(task)
        if not decision:
            return task
        if decision != "sent":
            yield from self._approve()
        self._given[task.plan.id] = self._clock.monotonic()
        return None
