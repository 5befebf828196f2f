"""What happens to candidates of fleets: claimed, given back, submitted, ended with a patch.

Invariants:

- a candidate is claimed only while its fleet runs, within the budget of tasks and the limit of its service, and while
  no equal work is being submitted;
- what became of a submission is in the journal (`journal.py`), which is durable; the state of a candidate follows it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .._model.fleets import ACTIVE_CANDIDATES, CandidateState, FleetCandidate, FleetState
from .blobs import content_of_row
from .fleet_planning import keep_text
from .fleets import move_candidate, spent_on

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._model.tasks import TaskRef
    from .._patches.parse import Patch
    from .._protocol.effects import Clock
    from .database import Database, Transaction

# "lost": another process has it; "stopped": the fleet submits nothing now; "budget": all tasks of the budget are used;
# "busy": as many tasks of the service as allowed are active, or the same work is being submitted.
Claim: TypeAlias = Literal["claimed", "lost", "stopped", "budget", "busy"]

_ACTIVE = ", ".join(f"'{state.value}'" for state in sorted(ACTIVE_CANDIDATES))


class SubmissionBudget(NamedTuple):
    """How many tasks a fleet may submit, how many of one service may be active at once, and what all may cost.

    `spend` is in US dollars, and counts what services have reported. None is no limit.
    """

    tasks: int | None = None
    concurrent: int | None = None
    spend: float | None = None


class SubmissionStore:
    """The submissions and results of candidates in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def claim(self, fleet: int, candidate: FleetCandidate, account: str, budget: SubmissionBudget) -> Claim:
        """Change a planned candidate to "submitting" for an account."""
        with self._database.writing(is_durable=False) as transaction:
            # The row of the fleet is changed first: on PostgreSQL others wait for it, so that the counts are right.
            counted = transaction.row(
                "UPDATE fleet SET submitted = submitted + 1 WHERE id = ? AND state = ? RETURNING submitted",
                (fleet, FleetState.RUNNING.value),
            )
            if counted is None:
                return "stopped"
            result: Claim = "claimed"
            if (budget.tasks is not None and counted[0] > budget.tasks) or (
                budget.spend is not None and (spent_on(transaction, fleet) or 0.0) >= budget.spend
            ):
                result = "budget"
            elif (
                budget.concurrent is not None and _active(transaction, fleet, candidate) >= budget.concurrent
            ) or _has_duplicate(transaction, fleet, candidate):
                result = "busy"
            elif not self._move(transaction, candidate, account):
                result = "lost"
            if result != "claimed":
                transaction.change("UPDATE fleet SET submitted = submitted - 1 WHERE id = ?", (fleet,))
        return result

    def _move(self, transaction: Transaction, candidate: FleetCandidate, account: str) -> bool:
        now = self._clock.time()
        return move_candidate(
            transaction,
            candidate.id,
            CandidateState.PLANNED,
            CandidateState.SUBMITTING,
            at=now,
            account=account,
            submitted_at=now,
        )

    def give_back(self, fleet: int, candidate: int, *, events: Iterable[AnyEvent] = ()) -> bool:
        """Change a candidate that certainly was not submitted back to "planned"."""
        with self._database.writing(is_durable=False) as transaction:
            is_changed = move_candidate(
                transaction,
                candidate,
                CandidateState.SUBMITTING,
                CandidateState.PLANNED,
                at=self._clock.time(),
                events=events,
                submitted_at=None,
            )
            if is_changed:
                transaction.change("UPDATE fleet SET submitted = submitted - 1 WHERE id = ?", (fleet,))
        return is_changed

    def record_task(
        self, candidate: int, ref: TaskRef, *, before: CandidateState, events: Iterable[AnyEvent] = ()
    ) -> bool:
        """Record the task of a candidate that was submitted."""
        with self._database.writing(is_durable=False) as transaction:
            return move_candidate(
                transaction,
                candidate,
                before,
                CandidateState.RUNNING,
                at=self._clock.time(),
                events=events,
                task=ref.id,
            )

    def record_end(
        self,
        fleet: int,
        candidate: FleetCandidate,
        state: CandidateState,
        *,
        patch: Patch | None = None,
        base_commit: str | None = None,
        error: str | None = None,
        cost: float | None = None,
        events: Iterable[AnyEvent] = (),
    ) -> bool:
        """Record that the task of a candidate has ended, with its patch and its cost in US dollars."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            return move_candidate(
                transaction,
                candidate.id,
                candidate.state,
                state,
                at=self._clock.time(),
                events=events,
                ended_at=self._clock.time(),
                patch=None if patch is None else _keep_patch(transaction, fleet, patch),
                base_commit=base_commit or candidate.base_commit,
                error=error,
                cost=cost,
            )

    def patch(self, digest: str) -> bytes:
        """Return the diff with this digest."""
        query = "SELECT is_compressed, data FROM fleet_patch JOIN blob ON number = blob WHERE fleet_patch.digest = ?"
        return content_of_row(self._database.read(query, (digest,)))


def _has_duplicate(transaction: Transaction, fleet: int, candidate: FleetCandidate) -> bool:
    """Whether the same work is just being submitted: after a crash nothing would show which task belongs to which."""
    query = (
        "SELECT 1 FROM fleet_candidate AS other JOIN fleet_item AS theirs ON theirs.id = other.item"
        " JOIN fleet_item AS ours ON ours.id = ? WHERE other.fleet = ? AND other.id <> ? AND other.state = 'submitting'"
        " AND other.provider = ? AND theirs.prompt_digest = ours.prompt_digest"
        " AND COALESCE(theirs.base, '') = COALESCE(ours.base, '')"
        " AND COALESCE(other.environment, theirs.repository, '') = COALESCE(?, ours.repository, '') LIMIT 1"
    )
    parameters = (candidate.item, fleet, candidate.id, candidate.provider, candidate.environment)
    return transaction.row(query, parameters) is not None


def _active(transaction: Transaction, fleet: int, candidate: FleetCandidate) -> int:
    """Return how many candidates of the same service are active."""
    query = f"SELECT count(*) FROM fleet_candidate WHERE fleet = ? AND state IN ({_ACTIVE}) AND provider = ?"  # noqa: S608 - ours
    return int(transaction.rows(query, (fleet, candidate.provider))[0][0])


def _keep_patch(transaction: Transaction, fleet: int, patch: Patch) -> str:
    """Keep a patch by its digest, with its size and the lines of the base that it changes; return the digest."""
    data = bytes(patch)
    digest = hashlib.sha256(data).hexdigest()
    number = keep_text(transaction, fleet, data)
    if transaction.row("SELECT 1 FROM fleet_patch WHERE digest = ?", (digest,)) is None:
        stats, hunks = _measured(patch)
        transaction.change(
            "INSERT INTO fleet_patch (digest, blob, files, insertions, deletions, hunks) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO NOTHING",
            (digest, number, *stats, json.dumps(hunks)),
        )
    return digest


def _measured(patch: Patch) -> tuple[tuple[int, int, int], Sequence[tuple[str, int, int]]]:
    """Return the size of a patch and the lines that it changes; zeros and none where it is unreadable."""
    from .._patches.changed_lines import changed_lines
    from ..errors import PatchError

    try:
        stats, lines = patch.stats, changed_lines(patch)
    except PatchError:
        return (0, 0, 0), []
    return (stats.files, stats.added, stats.removed), lines
