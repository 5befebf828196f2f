"""Fleets in the store: what is planned, and every change of state.

Invariants:

- a change of state is one ``UPDATE … WHERE id = ? AND state = ?``, with its events in the same transaction: whoever
  changed no row does nothing;
- only the changes of `ITEM_CHANGES` and `CANDIDATE_CHANGES` are made;
- a candidate is stored once for each idempotency key, a delivery once for each key;
- prompts, patches and files of fleets are kept once, by digest (`blobs.py`), and no `history forget` deletes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .._model.fleets import (
    CANDIDATE_CHANGES,
    ITEM_CHANGES,
    SETTLED_ITEMS,
    CandidateState,
    FleetCandidate,
    FleetItem,
    FleetRecord,
    FleetState,
    FleetStatus,
    ItemState,
)
from .blobs import content_of_row, get_blob, put_blob
from .events import append_events
from .fleet_accounts import accounts_of
from .fleet_planning import PlannedCandidate, PlannedItem, add_candidate, keep_blob, save_items
from .fleet_rows import CANDIDATE_COLUMNS, FLEET_COLUMNS, ITEM_COLUMNS, candidate_of, fleet_of, item_of

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._protocol.effects import Clock
    from .database import Database, Transaction

Events: TypeAlias = "Iterable[AnyEvent]"


_SETTLED = ", ".join(f"'{state.value}'" for state in sorted(SETTLED_ITEMS))


class FleetStore:
    """The fleets in a database. Methods block, and raise `StoreError` where the store cannot be used."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self.database, self.clock = database, clock

    # --- fleets -------------------------------------------------------------------------------------------------------

    def find(self, name: str) -> FleetRecord | None:
        """Return the fleet *name*, None where there is none."""
        with self.database.reading() as transaction:
            return self._find(transaction, name)

    def spec(self, fleet: int) -> str:
        """Return the file of a fleet in canonical JSON."""
        with self.database.reading() as transaction:
            ((number,),) = transaction.rows("SELECT spec FROM fleet WHERE id = ?", (fleet,))
            return get_blob(transaction, number).decode()

    def list(self) -> Sequence[FleetRecord]:
        """Return the fleets, the newest first."""
        with self.database.reading() as transaction:
            rows = transaction.rows(f"SELECT {FLEET_COLUMNS} FROM fleet ORDER BY id DESC")  # noqa: S608 - ours
            return [fleet_of(row) for row in rows]

    def save(
        self,
        name: str,
        *,
        spec: str,
        digest: str,
        items: Sequence[PlannedItem],
        left_out: Mapping[str, str] | None = None,
        events: Events = (),
    ) -> FleetRecord:
        """Store a fleet with what is new in *items*, in one transaction; what is stored already stays as it is.

        An item whose prompt has changed gets the new one and is open again. *left_out* are the keys of items that
        cannot be run, with the reasons. *events* are stored where the fleet is new.
        """
        with self.database.writing() as transaction:
            transaction.lock_events()
            known = self._find(transaction, name)
            number = put_blob(transaction, spec.encode())
            if known is None:
                values = (name, number, digest, FleetState.RUNNING.value, self.clock.time())
                statement = (
                    "INSERT INTO fleet (name, spec, digest, state, created_at, submitted, wave)"
                    " VALUES (?, ?, ?, ?, ?, 0, 0) RETURNING id"
                )
                fleet = int(transaction.rows(statement, values)[0][0])
                append_events(transaction, events, at=self.clock.time())
            else:
                fleet = known.id
                transaction.change("UPDATE fleet SET spec = ?, digest = ? WHERE id = ?", (number, digest, fleet))
            problems = json.dumps(left_out) if left_out else None
            transaction.change("UPDATE fleet SET left_out = ? WHERE id = ?", (problems, fleet))
            keep_blob(transaction, fleet, number)
            save_items(transaction, fleet, items, at=self.clock.time())
            record = self._find(transaction, name)
        assert record is not None  # noqa: S101 - it was just stored
        return record

    def change_fleet(
        self,
        fleet: int,
        states: Iterable[FleetState],
        state: FleetState,
        *,
        stopped_because: str | None = None,
        events: Events = (),
    ) -> bool:
        """Change the state of a fleet that has one of *states*; whether it had."""
        names = [each.value for each in states]
        statement = f"UPDATE fleet SET state = ?, stopped_because = ? WHERE id = ? AND state IN ({_marks(names)})"  # noqa: S608 - ours
        return self._change(statement, (state.value, stopped_because, fleet, *names), events)

    def begin_wave(self, fleet: int, wave: int, *, events: Events = ()) -> bool:
        """Begin the wave after the present one; whether it was the next."""
        return self._change("UPDATE fleet SET wave = ? WHERE id = ? AND wave = ?", (wave, fleet, wave - 1), events)

    def status(self, fleet: FleetRecord) -> FleetStatus:
        """Return how many items and candidates are in each state, and the accounts of the services."""
        with self.database.reading() as transaction:
            record = self._find(transaction, fleet.name) or fleet
            spent = spent_on(transaction, fleet.id)
            return FleetStatus(
                fleet=record,
                items=_counts(transaction, "fleet_item", fleet.id),
                candidates=_counts(transaction, "fleet_candidate", fleet.id),
                accounts=accounts_of(transaction, fleet.id),
                waits_for_wave=_waits_for_wave(transaction, record),
                spent=spent,
                unknown_costs=_unknown_costs(transaction, fleet.id),
            )

    # --- items --------------------------------------------------------------------------------------------------------

    def items(
        self, fleet: int, *, states: Iterable[ItemState] = (), keys: Iterable[str] = (), limit: int | None = None
    ) -> Sequence[FleetItem]:
        """Return the items of a fleet in the order of its file; of these states, or with these keys."""
        conditions: list[str] = ["fleet = ?"]
        parameters: list[object] = [fleet]
        for column, values in (("state", [each.value for each in states]), ("item_key", [*keys])):
            if values:
                conditions.append(f"{column} IN ({_marks(values)})")
                parameters += values
        bound = "" if limit is None else f" LIMIT {limit:d}"
        query = f"SELECT {ITEM_COLUMNS} FROM fleet_item WHERE {' AND '.join(conditions)} ORDER BY id{bound}"  # noqa: S608 - ours
        return [item_of(row) for row in self.database.read(query, parameters)]

    def item(self, id: int) -> FleetItem:
        """Return an item by its number."""
        return item_of(self.database.read(f"SELECT {ITEM_COLUMNS} FROM fleet_item WHERE id = ?", (id,))[0])  # noqa: S608 - ours

    def prompt(self, item: int) -> str:
        """Return the prompt of an item."""
        query = "SELECT is_compressed, data FROM fleet_item JOIN blob ON number = prompt WHERE id = ?"
        return content_of_row(self.database.read(query, (item,))).decode()

    def candidate_prompt(self, candidate: int) -> str:
        """Return the prompt of a candidate: that of its item, unless it was sent back with a prompt of its own."""
        query = (
            "SELECT is_compressed, data FROM fleet_candidate JOIN fleet_item ON fleet_item.id = item"
            " JOIN blob ON number = COALESCE(fleet_candidate.prompt, fleet_item.prompt) WHERE fleet_candidate.id = ?"
        )
        return content_of_row(self.database.read(query, (candidate,))).decode()

    def change_item(
        self,
        item: int,
        before: ItemState,
        after: ItemState,
        *,
        why: str | None = None,
        chosen: int | None = None,
        events: Events = (),
        is_durable: bool = True,
    ) -> bool:
        """Change the state of an item; whether it had the state *before*. Without *chosen* its choice stays.

        What a person decided is on the disk at the end; what follows from other rows need not be.
        """
        with self.database.writing(is_durable=is_durable) as transaction:
            return move_item(
                transaction, item, before, after, at=self.clock.time(), why=why, chosen=chosen, events=events
            )

    # --- candidates ---------------------------------------------------------------------------------------------------

    def candidates(
        self,
        fleet: int,
        *,
        item: int | None = None,
        states: Iterable[CandidateState] = (),
        provider: str | None = None,
        limit: int | None = None,
    ) -> Sequence[FleetCandidate]:
        """Return candidates of a fleet, the oldest first; of one item, of these states, of one service."""
        conditions: list[str] = ["fleet = ?"]
        parameters: list[object] = [fleet]
        names = [each.value for each in states]
        known = (("item", [item] if item else []), ("state", names), ("provider", [provider] if provider else []))
        for column, values in known:
            if values:
                conditions.append(f"{column} IN ({_marks(values)})")
                parameters += values
        bound = "" if limit is None else f" LIMIT {limit:d}"
        query = f"SELECT {CANDIDATE_COLUMNS} FROM fleet_candidate WHERE {' AND '.join(conditions)} ORDER BY id{bound}"  # noqa: S608 - ours
        return [candidate_of(row) for row in self.database.read(query, parameters)]

    def candidate(self, id: int) -> FleetCandidate:
        """Return a candidate by its number."""
        query = f"SELECT {CANDIDATE_COLUMNS} FROM fleet_candidate WHERE id = ?"  # noqa: S608 - ours
        return candidate_of(self.database.read(query, (id,))[0])

    def change_candidate(
        self,
        candidate: int,
        before: CandidateState,
        after: CandidateState,
        *,
        events: Events = (),
        **columns: object,
    ) -> bool:
        """Change the state of a candidate and some *columns*; whether it had the state *before*."""
        with self.database.writing(is_durable=False) as transaction:
            return move_candidate(transaction, candidate, before, after, events=events, at=self.clock.time(), **columns)

    def add_candidate(self, fleet: int, item: int, planned: PlannedCandidate) -> bool:
        """Store another candidate of an item; False where its key exists."""
        with self.database.writing() as transaction:
            return add_candidate(transaction, fleet, item, planned)

    def _find(self, transaction: Transaction, name: str) -> FleetRecord | None:
        row = transaction.row(f"SELECT {FLEET_COLUMNS} FROM fleet WHERE name = ?", (name,))  # noqa: S608 - ours
        return None if row is None else fleet_of(row)

    def _change(self, statement: str, parameters: Sequence[object], events: Events) -> bool:
        with self.database.writing() as transaction:
            return _change(transaction, statement, parameters, events, at=self.clock.time())


def move_item(
    transaction: Transaction,
    item: int,
    before: ItemState,
    after: ItemState,
    *,
    at: float,
    why: str | None = None,
    chosen: int | None = None,
    events: Events = (),
) -> bool:
    """Change the state of an item in *transaction*; whether it had the state *before*."""
    if after not in ITEM_CHANGES[before]:
        raise ValueError(f"an item does not change from {before} to {after}")
    statement = (
        "UPDATE fleet_item SET state = ?, why = ?, chosen = COALESCE(?, chosen), changed_at = ?, version = version + 1"
        " WHERE id = ? AND state = ?"
    )
    return _change(transaction, statement, (after.value, why, chosen, at, item, before.value), events, at=at)


def move_candidate(
    transaction: Transaction,
    candidate: int,
    before: CandidateState,
    after: CandidateState,
    *,
    at: float,
    events: Events = (),
    **columns: object,
) -> bool:
    """Change the state of a candidate in *transaction*; whether it had the state *before*."""
    if after not in CANDIDATE_CHANGES[before]:
        raise ValueError(f"a candidate does not change from {before} to {after}")
    names = "".join(f", {name} = ?" for name in columns)
    statement = f"UPDATE fleet_candidate SET state = ?, version = version + 1{names} WHERE id = ? AND state = ?"  # noqa: S608 - columns are ours
    parameters = (after.value, *columns.values(), candidate, before.value)
    return _change(transaction, statement, parameters, events, at=at)


def _change(
    transaction: Transaction, statement: str, parameters: Sequence[object], events: Events, *, at: float
) -> bool:
    """Change a row, with the events of the change; whether it was changed."""
    events = [*events]
    if events:
        transaction.lock_events()
    is_changed = transaction.change(statement, parameters) == 1
    if is_changed:
        append_events(transaction, events, at=at)
    return is_changed


def spent_on(transaction: Transaction, fleet: int) -> float | None:
    """Return what the tasks of a fleet have cost in US dollars, None where no service has reported a cost."""
    query = "SELECT sum(cost) FROM fleet_candidate WHERE fleet = ? AND cost IS NOT NULL"
    cost: float | None = transaction.rows(query, (fleet,))[0][0]
    return cost


def _unknown_costs(transaction: Transaction, fleet: int) -> int:
    query = (
        "SELECT count(*) FROM fleet_candidate WHERE fleet = ? AND task IS NOT NULL AND ended_at IS NOT NULL"
        " AND cost IS NULL"
    )
    return int(transaction.rows(query, (fleet,))[0][0])


def _waits_for_wave(transaction: Transaction, fleet: FleetRecord) -> bool:
    """Whether every item of the waves that have begun is settled, and there is another wave."""
    if fleet.state is not FleetState.RUNNING:
        return False
    query = f"SELECT 1 FROM fleet_item WHERE fleet = ? AND wave > ? AND state NOT IN ({_SETTLED}) LIMIT 1"  # noqa: S608 - ours
    if transaction.row(query, (fleet.id, fleet.wave)) is None:
        return False
    query = f"SELECT 1 FROM fleet_item WHERE fleet = ? AND wave <= ? AND state NOT IN ({_SETTLED}) LIMIT 1"  # noqa: S608 - ours
    return transaction.row(query, (fleet.id, fleet.wave)) is None


def _counts(transaction: Transaction, table: str, fleet: int) -> dict[str, int]:
    query = f"SELECT state, count(*) FROM {table} WHERE fleet = ? GROUP BY state ORDER BY state"  # noqa: S608 - ours
    return dict(transaction.rows(query, (fleet,)))


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
