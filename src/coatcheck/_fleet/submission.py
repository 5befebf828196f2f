"""Submit candidates, each exactly once.

Invariants (each from a prototype that failed, `docs/project/decisions/0017-fleet-loop.md`):

- the turn of the account is waited for before the candidate is claimed and its intent written, and nothing waits
  between the intent and the POST;
- the journal decides what became of a submission, after a crash as after any error of this process: a task that it has
  is adopted, an open intent is searched for once it is older than a request takes, and only an intent that certainly
  made no task is sent again;
- a full quota, an outage and a missing login park the account, and cost the candidate nothing;
- a candidate whose outcome stays unknown is "uncertain" and is never sent again without a person.
"""

from __future__ import annotations

import os

from .. import errors
from .._engine.submit import LateSubmissionError
from .._model.fleets import CandidateState, FleetCandidate, FleetItem
from .._model.tasks import TaskSpec
from .._store.journal import SubmissionState
from .._store.processes import is_submitting
from . import fleet_events
from .context import NOT_REACHED, NOT_USABLE, NOT_USABLE_SECONDS, FleetContext
from .engine import Job
from .environments import target_of
from .follow_up import send_follow_up
from .quota import QuotaReader
from .services import ServiceClient
from .usable import message_of


class Submitter:
    """The handler of "submit" jobs."""

    def __init__(self, context: FleetContext) -> None:
        self._context = context
        self._quotas = QuotaReader(context.clock)

    async def __call__(self, job: Job) -> bool:
        """Submit the candidate of a job; whether its state has changed."""
        candidate = self._context.store.candidate(int(job.id))
        if candidate.state is CandidateState.PLANNED:
            claimed = await self._claim(candidate)
            return claimed is not None and await self._sent(claimed, is_new=True)
        return candidate.state is CandidateState.SUBMITTING and await self._sent(candidate, is_new=False)

    async def _sent(self, candidate: FleetCandidate, *, is_new: bool) -> bool:
        if candidate.follows is not None:
            return await send_follow_up(self._context, candidate, candidate.follows, is_new=is_new)
        return await self._submit(candidate)

    async def _claim(self, candidate: FleetCandidate) -> FleetCandidate | None:
        """Wait for the turn of an account and claim the candidate for it; None where that is not possible now."""
        context, provider = self._context, candidate.provider
        accounts = context.accounts_of(provider)
        start = candidate.id % len(accounts)  # accounts share the work
        if candidate.follows is not None:  # the task is that of one account
            accounts, start = (candidate.account or "",), 0
        for account in (*accounts[start:], *accounts[:start]):
            if not context.accounts.may_submit(provider, account):
                continue
            client = context.services.client(provider, account)
            try:
                capabilities = client.capabilities
            except errors.CoatcheckError as error:  # a local cloud that is not running; the submission checks the login
                self._park_unusable(provider, account, error)
                continue
            if (full := await self._quotas.full_for(client)) is not None:
                seconds, reason = full
                now = context.clock.time()
                context.accounts.park(provider, account, reason=reason, sent_at=now, seconds=seconds)
                continue
            interval = max(capabilities.write_pause, 1 / capabilities.rate if capabilities.rate else 0.0)
            if interval and (pause := context.accounts.take_turn(provider, account, interval=interval)):
                await context.clock.asleep(pause)
            claim = context.submissions.claim(context.fleet.id, candidate, account, context.budget(provider))
            return context.store.candidate(candidate.id) if claim == "claimed" else None
        return None

    def _park_unusable(self, provider: str, account: str, error: errors.CoatcheckError) -> None:
        accounts, now = self._context.accounts, self._context.clock.time()
        reason = NOT_USABLE + message_of(error)
        accounts.park(provider, account, reason=reason, sent_at=now, seconds=NOT_USABLE_SECONDS)

    async def _submit(self, candidate: FleetCandidate) -> bool:
        context, account = self._context, candidate.account or ""
        client = context.services.client(candidate.provider, account)
        known = context.journal.find(candidate.key)
        try:
            if known is not None and known.state == "settled":
                return self._record(candidate, known)
            if known is not None and known.state == "open":
                return await self._resume(candidate, known, client)
            item = context.store.item(candidate.item)
            await client.submit(self._spec(candidate, item, client), id=candidate.key)
        except errors.CoatcheckError as error:
            return await self._record_error(candidate, error, client)
        context.accounts.release(candidate.provider, account)
        settled = context.journal.find(candidate.key)
        return settled is not None and self._record(candidate, settled)

    def _spec(self, candidate: FleetCandidate, item: FleetItem, client: ServiceClient) -> TaskSpec:
        section = self._context.section(candidate.provider)
        target = target_of(candidate, item.repository)
        options = client.capabilities.options
        return TaskSpec(
            prompt=self._context.store.candidate_prompt(candidate.id),
            environment=target.environment,
            repository=target.repository,
            branch=item.base,
            mode=self._context.spec.sections.task.mode,
            model=section.model,
            title=item.title if "title" in options else None,
        )

    async def _resume(self, candidate: FleetCandidate, known: SubmissionState, client: ServiceClient) -> bool:
        """Search for the task of an open intent, once it is older than a request takes; without one begin again."""
        context = self._context
        if is_submitting(known.intent, now=context.clock.time()) and known.intent.pid != os.getpid():
            return False
        age = context.clock.time() - known.intent.at
        if age < context.options.quiet:  # at most that long: the clock may have been set back
            await context.clock.asleep(min(context.options.quiet, context.options.quiet - age))
        resumed = await client.resume(known.intent, is_old=True)
        if resumed.is_busy:
            return False
        settled = context.journal.find(candidate.key)
        if settled is not None and settled.state == "settled":
            return self._record(candidate, settled)
        if resumed.candidates:
            refs = ", ".join(map(str, resumed.candidates))
            return self._end(candidate, CandidateState.UNCERTAIN, f"it could be one of these tasks: {refs}")
        return self._give_back(candidate)

    def _record(self, candidate: FleetCandidate, known: SubmissionState) -> bool:
        """Record the task that the journal has."""
        if known.ref is None:
            return False
        self._context.outages.pop(f"{candidate.provider}/{candidate.account or ''}", None)
        events = fleet_events.submitted(self._context, candidate, known.ref)
        return self._context.submissions.record_task(
            candidate.id, known.ref, before=CandidateState.SUBMITTING, events=events
        )

    async def _record_error(
        self, candidate: FleetCandidate, error: errors.CoatcheckError, client: ServiceClient
    ) -> bool:
        """Record why a submission failed; what became of it is in the journal."""
        known = self._context.journal.find(candidate.key)
        if known is not None and known.state == "settled":
            return self._record(candidate, known)
        if isinstance(error, errors.SubmissionUncertainError) or (known is not None and known.state == "open"):
            return self._record_open(candidate, error)
        if isinstance(error, LateSubmissionError):  # this machine was suspended; the service refuses nothing
            return self._give_back(candidate)
        if (parked := parked_by(error)) is not None:
            seconds, reason = parked
            if seconds is None and isinstance(error, errors.RateLimitError):
                full = await self._quotas.full_for(client, is_refused=True)
                seconds = full[0] if full else None
            sent_at = candidate.submitted_at.timestamp() if candidate.submitted_at else self._context.clock.time()
            self._context.accounts.park(
                candidate.provider, candidate.account or "", reason=reason, sent_at=sent_at, seconds=seconds
            )
            return self._give_back(candidate, reason) and False
        return self._end(candidate, CandidateState.FAILED, str(error))

    def _record_open(self, candidate: FleetCandidate, error: errors.CoatcheckError) -> bool:
        """Record an unknown outcome: the engine has searched already, unless the search itself could not be made."""
        if isinstance(error, errors.ConflictError):  # another worker has begun it meanwhile
            return False
        if isinstance(error, errors.SubmissionUncertainError | errors.UnsupportedError):
            return self._end(candidate, CandidateState.UNCERTAIN, str(error))
        self._context.record_outage(f"{candidate.provider}/{candidate.account or ''}", error)
        self._context.notice(f"{candidate.provider}: the outcome of a submission is searched again: {error}")
        return False

    def _give_back(self, candidate: FleetCandidate, reason: str = "") -> bool:
        events = fleet_events.parked(self._context, candidate, reason) if reason else ()
        return self._context.submissions.give_back(self._context.fleet.id, candidate.id, events=events)

    def _end(self, candidate: FleetCandidate, state: CandidateState, reason: str) -> bool:
        context = self._context
        events = fleet_events.ended(context, candidate, state, reason)
        is_changed = context.submissions.record_end(context.fleet.id, candidate, state, error=reason, events=events)
        context.has_failed = True
        context.follow_ups.append(Job("review", candidate.item))
        return is_changed


def parked_by(error: errors.CoatcheckError) -> tuple[float | None, str] | None:
    """Return for how long (None: doubled each time) an error parks an account, and why; None where it does not."""
    if isinstance(error, errors.RateLimitError | errors.ProviderUnavailableError):
        return error.retry_after, str(error)
    if isinstance(error, errors.TransportError):
        return None, NOT_REACHED + str(error)
    if isinstance(error, errors.CredentialsError | errors.AuthenticationError):
        return NOT_USABLE_SECONDS, NOT_USABLE + message_of(error)
    return None
