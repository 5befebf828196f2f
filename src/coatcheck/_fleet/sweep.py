"""Poll the running tasks of an account in one round, and record those that have ended.

The pause between rounds is the estimated one for the service (`_engine/schedule.py`), within the limits of
`FleetOptions.sweep`, and as long as the service requires. A service that does not answer is recorded as an outage
(`FleetContext.record_outage`).
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import errors
from .._model.fleets import FAILED_CANDIDATES, CandidateState, FleetCandidate
from .._model.tasks import Task, TaskState
from .._patches.parse import Patch
from . import fleet_events
from .context import FleetContext
from .engine import Job

_STATES = {
    TaskState.SUCCEEDED: CandidateState.ENDED,
    TaskState.FAILED: CandidateState.FAILED,
    TaskState.CANCELLED: CandidateState.CANCELLED,
    TaskState.EXPIRED: CandidateState.EXPIRED,
}


class Sweeper:
    """The handler of "sweep" jobs, whose ids are PROVIDER/ACCOUNT."""

    def __init__(self, context: FleetContext) -> None:
        self._context = context

    async def __call__(self, job: Job) -> bool:
        """Poll the tasks of an account; whether one has ended."""
        provider, _, account = str(job.id).partition("/")
        pause = self._context.options.sweep[1]  # also where the round fails
        try:
            is_changed, pause = await self._poll(provider, account)
        except errors.CoatcheckError as error:
            self._context.record_outage(str(job.id), error)
            raise
        finally:
            self._context.sweeps.plan(self._context.fleet.id, provider, account, seconds=pause)
        return is_changed

    async def _poll(self, provider: str, account: str) -> tuple[bool, float]:
        """Poll the tasks of an account; whether one has ended, and the pause until the next round."""
        context = self._context
        running = {
            each.ref: each
            for each in context.store.candidates(
                context.fleet.id,
                states=(CandidateState.RUNNING, CandidateState.INPUT_REQUIRED),
                provider=provider,
            )
            if each.ref is not None and (each.account or "") == account
        }
        shortest, longest = context.options.sweep
        if not running:
            return False, longest
        client = context.services.client(provider, account)
        sweep = await client.sweep(running)
        if sweep.outage is None:
            context.outages.pop(f"{provider}/{account}", None)
        else:
            context.record_outage(f"{provider}/{account}", sweep.outage)
        changes = [self._record(running[task.ref], task) for task in sweep.ended if task.ref in running]
        changes += [self._refuse(running[ref], error) for ref, error in sweep.refused.items() if ref in running]
        resumed = running.keys() - {task.ref for task in sweep.ended} - sweep.refused.keys()
        for ref in resumed:
            self._resume(running[ref])
        pause = max(min(max(await client.pause(self._age([*running.values()])), shortest), longest), sweep.retry_after)
        return any(changes), pause

    def _age(self, candidates: Sequence[FleetCandidate]) -> float:
        """Return the median age of tasks, in seconds."""
        begun = sorted(each.submitted_at.timestamp() for each in candidates if each.submitted_at)
        return max(0.0, self._context.clock.time() - begun[len(begun) // 2]) if begun else 0.0

    def _record(self, candidate: FleetCandidate, task: Task) -> bool:
        """Record a task that has ended or needs input."""
        context = self._context
        if task.state.is_interrupted:
            if candidate.state is CandidateState.INPUT_REQUIRED:
                return False
            return context.store.change_candidate(
                candidate.id, candidate.state, CandidateState.INPUT_REQUIRED, error="it needs input"
            )
        patch = _patch_of(task) if task.state is TaskState.SUCCEEDED else None
        state = _STATES[task.state]
        if state is CandidateState.ENDED and patch is None:
            state = CandidateState.EMPTY
        reason = None if patch is not None else _reason(task, state)
        base = task.outcome.base_commit if task.outcome else None
        return self._end(candidate, state, patch, base, reason, cost=cost_of(task))

    def _refuse(self, candidate: FleetCandidate, error: errors.CoatcheckError) -> bool:
        return self._end(candidate, CandidateState.FAILED, None, None, str(error))

    def _end(
        self,
        candidate: FleetCandidate,
        state: CandidateState,
        patch: Patch | None,
        base: str | None,
        reason: str | None,
        *,
        cost: float | None = None,
    ) -> bool:
        context = self._context
        events = fleet_events.ended(context, candidate, state, reason)
        is_changed = context.submissions.record_end(
            context.fleet.id, candidate, state, patch=patch, base_commit=base, error=reason, cost=cost, events=events
        )
        context.has_failed = context.has_failed or state in FAILED_CANDIDATES
        if context.work.is_settled(candidate.item):
            context.follow_ups.append(Job("review", candidate.item))
        return is_changed

    def _resume(self, candidate: FleetCandidate) -> None:
        """Record that a task which needed input runs again."""
        if candidate.state is CandidateState.INPUT_REQUIRED:
            self._context.store.change_candidate(candidate.id, candidate.state, CandidateState.RUNNING, error=None)


def cost_of(task: Task) -> float | None:
    """Return what a task has cost in US dollars, None where its service does not report that."""
    costs = [notice.cost for notice in task.notices if notice.kind == "usage" and notice.cost is not None]
    return sum(costs) if costs else None


def _patch_of(task: Task) -> Patch | None:
    try:
        patch = task.require_patch()
    except errors.TaskError:
        return None
    return patch if bytes(patch).strip() else None


def _reason(task: Task, state: CandidateState) -> str:
    if state is CandidateState.EMPTY:
        return "it has changed nothing"
    return str(task.error) if task.error and str(task.error) else f"the task {task.state.value}"
