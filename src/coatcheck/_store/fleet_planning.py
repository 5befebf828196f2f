"""What is planned of a fleet: its items and candidates, stored once.

Invariants:

- an item is stored once for each key, a candidate once for each idempotency key;
- an item whose prompt or base has changed is open again with the new one, unless it was delivered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .._model.fleets import CandidateState, ItemState
from .._values.value import Value
from .blobs import digest_of, put_blob

if TYPE_CHECKING:
    from .database import Row, Transaction


_C = CandidateState


class PlannedCandidate(Value, frozen=True, kw_only=True):
    """A candidate that is to be stored.

    One that was sent back because of a conflict has a `round`, a `prompt` and perhaps a base of its own; `follows` is the
    id of the task that it is a message to.
    """

    key: str
    provider: str
    environment: str | None = None
    attempt: int = 1
    round: int = 0
    prompt: str | None = None
    base_commit: str | None = None
    account: str | None = None
    follows: str | None = None

    _hidden: ClassVar[frozenset[str]] = frozenset({"prompt"})


class PlannedItem(Value, frozen=True, kw_only=True):
    """An item that is to be stored, with its candidates."""

    key: str
    prompt: str
    repository: str | None = None
    base: str | None = None
    base_commit: str | None = None
    title: str | None = None
    wave: int = 0
    variables: Mapping[str, str] = {}
    candidates: tuple[PlannedCandidate, ...] = ()

    _hidden: ClassVar[frozenset[str]] = frozenset({"prompt"})


# Items that a changed file does not change.
DELIVERED = frozenset({ItemState.DELIVERED, ItemState.DELIVERING})
# Why a former candidate of a changed item is not chosen.
SUPERSEDED = "the prompt or the base of its item was changed"


def save_items(transaction: Transaction, fleet: int, items: Sequence[PlannedItem], *, at: float) -> None:
    """Store what is new in *items*."""
    query = "SELECT id, item_key, prompt_digest, base_commit, state FROM fleet_item WHERE fleet = ?"
    known = {key: (id, digest, base, state) for id, key, digest, base, state in transaction.rows(query, (fleet,))}
    query = "SELECT item, max(round) FROM fleet_candidate WHERE fleet = ? AND round > 0 GROUP BY item"
    rounds: dict[int, int] = {row[0]: row[1] for row in transaction.rows(query, (fleet,))}
    for item in items:
        id, digest, base, state = known.get(item.key, (0, "", None, ""))
        if state in DELIVERED:
            continue
        if not id:
            id = _insert_item(transaction, fleet, item, at)
        elif (digest, base) != (prompt_digest(item.prompt), item.base_commit):
            _update_item(transaction, fleet, id, item, at)
        for candidate in item.candidates:
            planned = msgspec.structs.replace(candidate, round=rounds[id]) if id in rounds else candidate
            add_candidate(transaction, fleet, id, planned)


def _insert_item(transaction: Transaction, fleet: int, item: PlannedItem, at: float) -> int:
    number = put_blob(transaction, item.prompt.encode())
    keep_blob(transaction, fleet, number)
    columns = {
        "fleet": fleet,
        "item_key": item.key,
        "repository": item.repository,
        "base": item.base,
        "base_commit": item.base_commit,
        "title": item.title,
        "wave": item.wave,
        "state": ItemState.OPEN.value,
        "variables": json.dumps(dict(item.variables)),
        "prompt": number,
        "prompt_digest": prompt_digest(item.prompt),
        "changed_at": at,
        "version": 1,
    }
    return int(_insert(transaction, "fleet_item", columns, " RETURNING id")[0][0])


def _update_item(transaction: Transaction, fleet: int, id: int, item: PlannedItem, at: float) -> None:
    number = put_blob(transaction, item.prompt.encode())
    keep_blob(transaction, fleet, number)
    transaction.change(
        "UPDATE fleet_item SET prompt = ?, prompt_digest = ?, title = ?, base = ?, base_commit = ?, state = ?,"
        " chosen = NULL, why = NULL, changed_at = ?, version = version + 1 WHERE id = ? AND state NOT IN (?, ?)",
        (
            number,
            prompt_digest(item.prompt),
            item.title,
            item.base,
            item.base_commit,
            ItemState.OPEN.value,
            at,
            id,
            ItemState.DELIVERED.value,
            ItemState.DELIVERING.value,
        ),
    )
    # The former candidates were made for the old prompt or base.
    waiting = ", ".join(f"'{state.value}'" for state in (_C.PLANNED, _C.SUBMITTING, _C.RUNNING, _C.INPUT_REQUIRED))
    transaction.change(
        f"UPDATE fleet_candidate SET state = ?, error = ?, version = version + 1 WHERE item = ? AND state IN ({waiting})",  # noqa: S608 - ours
        (_C.CANCELLED.value, SUPERSEDED, id),
    )
    transaction.change(
        "UPDATE fleet_candidate SET patch = NULL, error = ?, version = version + 1 WHERE item = ? AND patch IS NOT NULL",
        (SUPERSEDED, id),
    )


def add_candidate(transaction: Transaction, fleet: int, item: int, planned: PlannedCandidate) -> bool:
    """Store a candidate; False where its key exists."""
    columns = {
        "fleet": fleet,
        "item": item,
        "candidate_key": planned.key,
        "provider": planned.provider,
        "environment": planned.environment,
        "attempt": planned.attempt,
        "state": CandidateState.PLANNED.value,
        "round": planned.round,
        "prompt": None if planned.prompt is None else keep_text(transaction, fleet, planned.prompt.encode()),
        "base_commit": planned.base_commit,
        "account": planned.account,
        "follows": planned.follows,
        "version": 1,
    }
    return bool(
        _insert(transaction, "fleet_candidate", columns, " ON CONFLICT (candidate_key) DO NOTHING RETURNING id")
    )


def _insert(transaction: Transaction, table: str, columns: Mapping[str, object], suffix: str) -> list[Row]:
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}){suffix}"  # noqa: S608 - ours
    return transaction.rows(statement, [*columns.values()])


def keep_blob(transaction: Transaction, fleet: int, blob: int) -> None:
    """Record that a fleet refers to a blob."""
    transaction.change(
        "INSERT INTO fleet_blob (fleet, blob) VALUES (?, ?) ON CONFLICT (fleet, blob) DO NOTHING", (fleet, blob)
    )


def keep_text(transaction: Transaction, fleet: int, content: bytes) -> int:
    """Keep *content* for a fleet; return the number of its blob."""
    number = put_blob(transaction, content)
    keep_blob(transaction, fleet, number)
    return number


def prompt_digest(prompt: str) -> str:
    """Return the SHA-256 of a prompt."""
    return digest_of(prompt.encode()).hex()
