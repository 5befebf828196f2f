"""Check and rank the candidates of an item, and decide about the chosen one.

Invariants:

- an item is reviewed when every candidate has ended; one whose candidates all ended without a change is "exhausted";
- a candidate that a required check or the policy rejects is never chosen;
- what neither the file nor a policy of the user approves waits for a person; a change to automation files always does, because
  a pushed branch starts workflows before anyone has read it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

from .. import errors
from .._model.fleets import UNSETTLED_CANDIDATES, FleetCandidate, FleetItem, ItemState
from .._patches.automation_rules import is_automation
from .._patches.path_patterns import translate
from .._review.candidates import Candidate
from .._workspaces.cancellation import CancelScope
from . import event_values, fleet_events
from .context import FleetContext
from .engine import Job

if TYPE_CHECKING:
    from .._patches.parse import Patch
    from .._review.gate_policies import GatePolicy
    from .sections import ApproveSection

Decision: TypeAlias = Literal["approved", "waiting", "rejected"]


class ItemReview(msgspec.Struct, frozen=True, kw_only=True):
    """What a review has found: the name of the best candidate, and whether it may be delivered without a person.

    `choice` is None where no candidate may be chosen at all; `why` says why. `document` is the whole review as JSON.
    """

    choice: str | None
    is_automatic: bool
    why: str
    document: Mapping[str, Any] = {}


class Review(Protocol):
    """Checks and ranks the candidates of an item; blocks, and runs in a thread."""

    def __call__(self, item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
        """Return what was found; ends when *scope* is cancelled."""
        ...


class Reviewer:
    """The handler of "review" jobs."""

    def __init__(self, context: FleetContext, review: Review) -> None:
        self._context, self._review = context, review

    async def __call__(self, job: Job) -> bool:
        """Review the item of a job; whether its state has changed."""
        context = self._context
        item = context.store.item(int(job.id))
        if item.state is ItemState.RANKED:  # the process that ranked it has ended before it decided
            context.store.change_item(item.id, item.state, ItemState.OPEN, why=item.why, is_durable=False)
            item = context.store.item(item.id)
        candidates = context.store.candidates(context.fleet.id, item=item.id)
        is_settled = not any(each.state in UNSETTLED_CANDIDATES for each in candidates)
        if item.state is not ItemState.OPEN or not candidates or not is_settled:
            return False
        last = max(each.round for each in candidates)
        ended = [each for each in candidates if each.patch is not None and each.round == last]
        if not ended:
            reasons = "; ".join(dict.fromkeys(each.error for each in candidates if each.error and each.round == last))
            return self._record(item, ItemState.EXHAUSTED, ItemReview(choice=None, is_automatic=False, why=reasons))
        named = {f"{each.ref}": each for each in ended}
        try:
            based = msgspec.structs.replace(item, base_commit=ended[-1].base_commit) if last else item
            review = await self._reviewed(based, [self._candidate(each) for each in ended])
        except errors.CoatcheckError as error:  # a repository that vanished, git that fails
            why = f"it could not be checked: {error}"
            return self._record(item, ItemState.EXHAUSTED, ItemReview(choice=None, is_automatic=False, why=why))
        if review.choice is None:
            return self._record(item, ItemState.EXHAUSTED, review)
        chosen = named[review.choice]
        if not self._record(item, ItemState.RANKED, review, chosen):
            return False
        ranked = msgspec.structs.replace(item, state=ItemState.RANKED, chosen=chosen.id, why=review.why)
        return decide_item(context, ranked, chosen, review)

    async def _reviewed(self, item: FleetItem, candidates: Sequence[Candidate]) -> ItemReview:
        """Review in a thread, which ends soon after this job is cancelled."""
        scope = CancelScope()
        try:
            return await asyncio.to_thread(self._review, item, candidates, scope)
        except asyncio.CancelledError:
            scope.cancel()
            raise

    def _candidate(self, candidate: FleetCandidate) -> Candidate:
        return Candidate(
            name=str(candidate.ref),
            ref=candidate.ref,
            patch=self._context.patch_of(candidate.patch or ""),
            base=candidate.base_commit,
            ended_at=candidate.ended_at,
        )

    def _record(
        self, item: FleetItem, state: ItemState, review: ItemReview, chosen: FleetCandidate | None = None
    ) -> bool:
        context = self._context
        return context.work.record_review(
            context.fleet.id,
            item.id,
            state,
            review=review.document,
            chosen=chosen.id if chosen else None,
            why=review.why,
            events=fleet_events.reviewed(context, item, state, review.why, chosen, is_passed=review.is_automatic),
        )


def decide_item(context: FleetContext, item: FleetItem, chosen: FleetCandidate, review: ItemReview) -> bool:
    """Decide about a ranked item by the rules of the file, then by the user's policies; whether its state has changed."""
    patch = context.patch_of(chosen.patch or "")
    section = context.spec.sections.approve
    decision, why = decide(section, patch, is_automatic=review.is_automatic, why=review.why)
    if decision == "waiting":
        gate = context.gates.open(context.fleet.name, item, patch, chosen.patch, section=section, why=why)
        changed = _change(context, item, ItemState.WAITING, why, gate=gate.id)
        if context.gates.decide_by_policy(gate, _policies(context, patch)):
            context.gates.carry_out(context.store, context.fleet.id, context.fleet.name)
            decision = "approved" if context.store.item(item.id).state is ItemState.APPROVED else decision
    else:
        state = ItemState.APPROVED if decision == "approved" else ItemState.REJECTED
        changed = _change(context, item, state, why)
    if changed and decision == "approved":
        context.follow_ups.append(Job("deliver", item.id))
    return changed


def _change(context: FleetContext, item: FleetItem, state: ItemState, why: str, **fields: str) -> bool:
    now = context.clock.time()
    events = event_values.changed(context.fleet.name, item, state, now, by="policy:fleet", why=why, **fields)
    return context.store.change_item(item.id, ItemState.RANKED, state, why=why, events=events, is_durable=False)


def _policies(context: FleetContext, patch: Patch) -> list[GatePolicy]:
    """Return the user's policies for a change; none approves what starts automation."""
    if _automation(patch) is None:
        return [*context.policies]
    return [each._replace(decision="ask") if each.decision == "approve" else each for each in context.policies]


def decide(section: ApproveSection | None, patch: Patch, *, is_automatic: bool, why: str) -> tuple[Decision, str]:
    """Return what the rules of a fleet file decide about a change, and why."""
    if section is None:
        return "waiting", f"a person decides: {why}"
    reason = _objection(section, patch, is_automatic=is_automatic, why=why)
    if reason is None:
        return "approved", why if is_automatic else f"approve.auto.required is false; {why}"
    if section.otherwise == "reject" and not _automation(patch):
        return "rejected", reason
    return "waiting", reason


def _objection(section: ApproveSection, patch: Patch, *, is_automatic: bool, why: str) -> str | None:
    """Return why a change is not approved automatically, None where it is."""
    if (path := _automation(patch)) is not None:
        return f"it changes {path}, which starts automation"
    auto = section.auto
    if auto is None:
        return f"a person decides: {why}"
    if auto.required and not is_automatic:
        return why
    lines = patch.stats.added + patch.stats.removed
    if auto.max_lines is not None and lines > auto.max_lines:
        return f"it changes {lines} lines, more than {auto.max_lines}"
    for path in _paths(patch):
        for pattern in auto.deny_paths:
            if re.fullmatch(translate(pattern), path, re.DOTALL):
                return f"it changes {path}, which deny_paths has as {pattern}"
    return None


def _automation(patch: Patch) -> str | None:
    """Return the first path of a patch that starts automation, None where there is none."""
    return next(filter(is_automation, _paths(patch)), None)


def _paths(patch: Patch) -> list[str]:
    return [path for change in patch.files for path in (change.old_path, change.new_path) if path is not None]
