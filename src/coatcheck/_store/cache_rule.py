"""When a stored task may be shown instead of asking its service.

Invariants:

- a task that can still change by itself is never shown from the store as current: it has ended, and its whole result is
  stored;
- a later observation of any kind, such as an item of a list, ends that as soon as it differs: another state, a newer
  change, a further message, another archive flag, more attempts. What the observation does not report does not count;
- so does a verb that can change the task (`History.invalidate`). Only a snapshot with a result is current again, after
  a verb only one that differs.

Changes at the service that no command here has observed are not known: ``--refresh`` reads the task again.
"""

from __future__ import annotations

from datetime import datetime

from .._model.outcome import PatchState
from .._model.tasks import Task

# What an observation of a task without its result can show of a change.
COMPARED = ("state", "raw_state", "is_archived", "attempt_total")
# These only grow, so a smaller value is an older observation.
GROWING = ("updated_at", "follow_ups")


def is_final(task: Task) -> bool:
    """Whether *task* has ended and has its whole result: an outcome, that of each attempt, no patch kept elsewhere."""
    if not task.state.is_terminal or task.outcome is None:
        return False
    is_whole = task.outcome.patch_state is not PatchState.OFFLOADED
    known = [each for each in task.attempts if each.state.is_terminal and each.outcome is not None]
    return is_whole and (len(known) == len(task.attempts) if task.attempts else True) and _has_attempts(task)


def contradicts(task: Task, observed: Task, *, recorded_at: datetime | None = None) -> bool:
    """Whether *observed*, a later observation, shows that the stored *task* has changed since.

    A task without a time of its last change, which some services report only in lists, has it from before *recorded_at*.
    """
    if any(_differs(getattr(task, name), getattr(observed, name)) for name in COMPARED):
        return True
    known = {"updated_at": task.updated_at or recorded_at, "follow_ups": task.follow_ups or 0}
    return any(_exceeds(getattr(observed, name), known[name]) for name in GROWING)


def _has_attempts(task: Task) -> bool:
    """Whether every one of several attempts is there."""
    return (task.attempt_total or 1) == 1 or len(task.attempts) >= (task.attempt_total or 1)


def _differs(stored: object, observed: object) -> bool:
    return observed is not None and observed != stored


def _exceeds(observed: object, stored: object) -> bool:
    return observed is not None and (stored is None or observed > stored)  # type: ignore[operator] # of one type
