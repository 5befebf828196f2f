"""What a fleet has to do next, read from its tables, and the results of reviews and deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._model.fleets import CandidateState, FleetCandidate, FleetDelivery, ItemState
from .._patches.changed_lines import ChangedLines
from .blobs import get_blob
from .fleet_planning import PlannedCandidate, add_candidate, keep_text
from .fleet_rows import CANDIDATE_COLUMNS, candidate_of
from .fleets import move_candidate, move_item

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._protocol.effects import Clock
    from .database import Database

_UNSETTLED = ", ".join(
    f"'{state.value}'"
    for state in (
        CandidateState.PLANNED,
        CandidateState.SUBMITTING,
        CandidateState.RUNNING,
        CandidateState.INPUT_REQUIRED,
    )
)
_DELIVERY = "item, delivery_key, kind, state, branch, commit_id, url, error"


class FleetWork:
    """Due work, reviews and deliveries of fleets in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def planned(self, fleet: int, provider: str, *, wave: int, limit: int) -> Sequence[FleetCandidate]:
        """Return candidates that are to be submitted to a service: of items of the waves that have begun."""
        columns = ", ".join(f"fleet_candidate.{name}" for name in CANDIDATE_COLUMNS.split(", "))
        query = (
            f"SELECT {columns} FROM fleet_candidate JOIN fleet_item ON fleet_item.id = item"  # noqa: S608 - ours
            " WHERE fleet_candidate.fleet = ? AND fleet_candidate.state = 'planned' AND provider = ? AND wave <= ?"
            " ORDER BY fleet_candidate.id LIMIT ?"
        )
        with self._database.reading() as transaction:
            return [candidate_of(row) for row in transaction.rows(query, (fleet, provider, wave, limit))]

    def reviewable(self, fleet: int, *, limit: int) -> Sequence[int]:
        """Return the numbers of open items of which every candidate has ended."""
        query = (
            "SELECT id FROM fleet_item WHERE fleet = ? AND state = 'open' AND EXISTS"  # noqa: S608 - ours
            " (SELECT 1 FROM fleet_candidate WHERE item = fleet_item.id) AND NOT EXISTS"
            f" (SELECT 1 FROM fleet_candidate WHERE item = fleet_item.id AND state IN ({_UNSETTLED})) LIMIT ?"
        )
        with self._database.reading() as transaction:
            return [row[0] for row in transaction.rows(query, (fleet, limit))]

    def is_settled(self, item: int) -> bool:
        """Whether every candidate of an item has ended."""
        query = f"SELECT 1 FROM fleet_candidate WHERE item = ? AND state IN ({_UNSETTLED}) LIMIT 1"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            return transaction.row(query, (item,)) is None

    def accounts_in_use(self, fleet: int) -> Sequence[tuple[str, str]]:
        """Return the accounts that have running tasks of a fleet."""
        query = (
            "SELECT DISTINCT provider, account FROM fleet_candidate"
            " WHERE fleet = ? AND state IN ('running', 'input_required')"
        )
        with self._database.reading() as transaction:
            return [(provider, account or "") for provider, account in transaction.rows(query, (fleet,))]

    def record_review(
        self,
        fleet: int,
        item: int,
        state: ItemState,
        *,
        review: Mapping[str, Any],
        chosen: int | None,
        why: str,
        events: Iterable[AnyEvent] = (),
    ) -> bool:
        """Record what a review of an open item has found; its candidates are verified."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            now = self._clock.time()
            if not move_item(transaction, item, ItemState.OPEN, state, at=now, why=why, chosen=chosen, events=events):
                return False
            number = keep_text(transaction, fleet, json.dumps(review).encode())
            transaction.change("UPDATE fleet_item SET review = ? WHERE id = ?", (number, item))
            query = "SELECT id FROM fleet_candidate WHERE item = ? AND state = 'ended'"
            for (candidate,) in transaction.rows(query, (item,)):
                move_candidate(transaction, candidate, CandidateState.ENDED, CandidateState.VERIFIED, at=now)
        return True

    def review(self, item: int) -> dict[str, Any] | None:
        """Return what the last review of an item has found, None where there was none."""
        with self._database.reading() as transaction:
            ((number,),) = transaction.rows("SELECT review FROM fleet_item WHERE id = ?", (item,))
            document: dict[str, Any] | None = None if number is None else json.loads(get_blob(transaction, number))
        return document

    def changed_lines(
        self, fleet: int, states: Iterable[ItemState]
    ) -> Mapping[int, tuple[int, Sequence[ChangedLines]]]:
        """Return by item how many lines its chosen patch changes, and which of the base; for items in *states*."""
        names = [state.value for state in states]
        query = (
            "SELECT fleet_item.id, insertions + deletions, hunks FROM fleet_item"  # noqa: S608 - marks
            " JOIN fleet_candidate ON fleet_candidate.id = chosen JOIN fleet_patch ON digest = patch"
            f" WHERE fleet_item.fleet = ? AND fleet_item.state IN ({', '.join('?' * len(names))})"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet, *names))
        return {item: (size, [ChangedLines(*each) for each in json.loads(hunks)]) for item, size, hunks in rows}

    def reviews(self, fleet: int) -> dict[int, dict[str, Any]]:
        """Return what the last review of each item has found, by the numbers of the items that were reviewed."""
        query = "SELECT id, review FROM fleet_item WHERE fleet = ? AND review IS NOT NULL"
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet,))
            return {item: json.loads(get_blob(transaction, number)) for item, number in rows}

    # --- deliveries ---------------------------------------------------------------------------------------------------

    def begin_delivery(self, fleet: int, item: int, *, key: str, kind: str) -> FleetDelivery:
        """Return the delivery with this key; it is stored where there is none."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "INSERT INTO fleet_delivery (delivery_key, fleet, item, kind, state, at)"
                " VALUES (?, ?, ?, ?, 'begun', ?) ON CONFLICT (delivery_key) DO NOTHING",
                (key, fleet, item, kind, self._clock.time()),
            )
            row = transaction.rows(f"SELECT {_DELIVERY} FROM fleet_delivery WHERE delivery_key = ?", (key,))[0]  # noqa: S608 - ours
        return _delivery(row)

    def finish_delivery(
        self,
        delivery: FleetDelivery,
        state: ItemState,
        *,
        branch: str | None = None,
        commit: str | None = None,
        url: str | None = None,
        error: str | None = None,
        events: Iterable[AnyEvent] = (),
    ) -> bool:
        """Record how a delivery has ended, with the state of its item."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            now = self._clock.time()
            is_changed = move_item(
                transaction,
                delivery.item,
                ItemState.DELIVERING,
                state,
                at=now,
                why=error or url or branch,
                events=events,
            )
            if is_changed:
                transaction.change(
                    "UPDATE fleet_delivery SET state = ?, branch = ?, commit_id = ?, url = ?, error = ?, at = ?"
                    " WHERE delivery_key = ?",
                    ("failed" if error else "done", branch, commit, url, error, now, delivery.key),
                )
        return is_changed

    def send_back(
        self,
        fleet: int,
        delivery: FleetDelivery,
        planned: PlannedCandidate,
        *,
        why: str,
        events: Iterable[AnyEvent] = (),
    ) -> bool:
        """Open the item of a delivery that conflicts again, with another candidate; whether it was being delivered."""
        with self._database.writing() as transaction:
            transaction.lock_events()
            now = self._clock.time()
            if not move_item(
                transaction, delivery.item, ItemState.DELIVERING, ItemState.OPEN, at=now, why=why, events=events
            ):
                return False
            add_candidate(transaction, fleet, delivery.item, planned)
            transaction.change(
                "UPDATE fleet_delivery SET state = 'sent back', error = ?, at = ? WHERE delivery_key = ?",
                (why, now, delivery.key),
            )
        return True

    def deliveries(self, fleet: int) -> Sequence[FleetDelivery]:
        """Return the deliveries of a fleet, in the order of their ends."""
        with self._database.reading() as transaction:
            query = f"SELECT {_DELIVERY} FROM fleet_delivery WHERE fleet = ? ORDER BY at, delivery_key"  # noqa: S608 - ours
            return [_delivery(row) for row in transaction.rows(query, (fleet,))]


def _delivery(row: tuple[Any, ...]) -> FleetDelivery:
    item, key, kind, state, branch, commit, url, error = row
    return FleetDelivery(item=item, key=key, kind=kind, state=state, branch=branch, commit=commit, url=url, error=error)
