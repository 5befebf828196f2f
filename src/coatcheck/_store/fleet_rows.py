"""Rows of the tables of fleets as values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .._model.fleets import CandidateState, FleetCandidate, FleetItem, FleetRecord, FleetState, ItemState
from .._model.tasks import TaskRef

if TYPE_CHECKING:
    from .database import Row

FLEET_COLUMNS = "id, name, digest, state, created_at, stopped_because, submitted, wave, left_out"
ITEM_COLUMNS = (
    "id, item_key, repository, base, base_commit, title, wave, state, chosen, why, variables, prompt_digest, changed_at"
)
CANDIDATE_COLUMNS = (
    "id, item, candidate_key, provider, account, environment, attempt, state, task, patch, base_commit,"
    " submitted_at, ended_at, error, round, follows, cost"
)


def fleet_of(row: Row) -> FleetRecord:
    """Return the fleet of a row."""
    id, name, digest, state, created_at, stopped_because, submitted, wave, left_out = row
    return FleetRecord(
        id=id,
        name=name,
        digest=digest,
        state=FleetState(state),
        created_at=_moment(created_at),
        stopped_because=stopped_because,
        submitted=submitted,
        wave=wave,
        left_out=json.loads(left_out) if left_out else {},
    )


def item_of(row: Row) -> FleetItem:
    """Return the item of a row."""
    id, key, repository, base, base_commit, title, wave, state, chosen, why, variables, digest, at = row
    return FleetItem(
        id=id,
        key=key,
        repository=repository,
        base=base,
        base_commit=base_commit,
        title=title,
        wave=wave,
        state=ItemState(state),
        chosen=chosen,
        why=why,
        variables=json.loads(variables),
        prompt_digest=digest,
        changed_at=_moment(at),
    )


def candidate_of(row: Row) -> FleetCandidate:
    """Return the candidate of a row."""
    id, item, key, provider, account, environment, attempt, state, task, patch, base, *rest = row
    submitted_at, ended_at, error, round, follows, cost = rest
    return FleetCandidate(
        id=id,
        item=item,
        key=key,
        provider=provider,
        account=account,
        environment=environment,
        attempt=attempt,
        state=CandidateState(state),
        ref=TaskRef(provider, task) if task else None,
        patch=patch,
        base_commit=base,
        submitted_at=_optional(submitted_at),
        ended_at=_optional(ended_at),
        error=error,
        round=round,
        follows=TaskRef(provider, follows) if follows else None,
        cost=cost,
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _optional(at: float | None) -> datetime | None:
    return None if at is None else _moment(at)
