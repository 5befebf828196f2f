"""The deliveries of fleets in a database, each once for its key.

Invariants:

- a delivery is stored before it begins, and ends with the state of its item in one transaction;
- of two deliveries to one branch the second is reserved only after it was merged with the first (`DeliveryStore.reserve`),
  whichever process makes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._model.fleets import FleetDelivery, ItemState
from .fleet_planning import PlannedCandidate, add_candidate
from .fleets import move_item

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._model.fleets import FleetItem
    from .._protocol.effects import Clock
    from .database import Database, Transaction

_COLUMNS = "item, delivery_key, kind, state, branch, commit_id, url, error"
# The other deliveries to the branch of an item that were made, or are being made.
_BEFORE = """
    SELECT delivery_key, COALESCE(fleet_candidate.base_commit, other.base_commit), patch FROM fleet_delivery
    JOIN fleet_item AS other ON other.id = fleet_delivery.item
    JOIN fleet_candidate ON fleet_candidate.id = other.chosen
    WHERE fleet_delivery.fleet = ? AND fleet_delivery.state IN ('reserved', 'done') AND kind <> 'patch'
    AND other.id <> ? AND COALESCE(other.repository, '') = ? AND COALESCE(other.base, '') = ?
    ORDER BY fleet_delivery.at, delivery_key"""


class EarlierDelivery(NamedTuple):
    """A delivery to the same branch: its key, the base of its patch, and the digest of that."""

    key: str
    base: str | None
    patch: str


class DeliveryStore:
    """The deliveries of fleets in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def begin(self, fleet: int, item: int, *, key: str, kind: str) -> FleetDelivery:
        """Return the delivery with this key; it is stored where there is none."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "INSERT INTO fleet_delivery (delivery_key, fleet, item, kind, state, at)"
                " VALUES (?, ?, ?, ?, 'begun', ?) ON CONFLICT (delivery_key) DO NOTHING",
                (key, fleet, item, kind, self._clock.time()),
            )
            row = transaction.rows(f"SELECT {_COLUMNS} FROM fleet_delivery WHERE delivery_key = ?", (key,))[0]  # noqa: S608 - ours
        return _delivery(row)

    def before(self, fleet: int, item: FleetItem) -> Sequence[EarlierDelivery]:
        """Return the other deliveries to the branch of an item that were made or are being made, in their order."""
        with self._database.reading() as transaction:
            return _before(transaction, fleet, item)

    def reserve(self, fleet: int, item: FleetItem, key: str, *, after: Collection[str]) -> bool:
        """Record that a delivery is being made; False where it was not merged with all deliveries before it.

        *after* are the keys of those that it was merged with.
        """
        with self._database.writing(is_durable=False) as transaction:
            # On PostgreSQL others wait for the row of the fleet, so that none is reserved at the same time.
            transaction.change("UPDATE fleet SET name = name WHERE id = ?", (fleet,))
            if {each.key for each in _before(transaction, fleet, item)} - {*after}:
                return False
            transaction.change(
                "UPDATE fleet_delivery SET state = 'reserved', at = ? WHERE delivery_key = ?",
                (self._clock.time(), key),
            )
        return True

    def release(self, key: str) -> None:
        """Record that a delivery which was reserved is not being made."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "UPDATE fleet_delivery SET state = 'begun' WHERE delivery_key = ? AND state = 'reserved'", (key,)
            )

    def finish(
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

    def list(self, fleet: int) -> Sequence[FleetDelivery]:
        """Return the deliveries of a fleet, in the order of their ends."""
        with self._database.reading() as transaction:
            query = f"SELECT {_COLUMNS} FROM fleet_delivery WHERE fleet = ? ORDER BY at, delivery_key"  # noqa: S608 - ours
            return [_delivery(row) for row in transaction.rows(query, (fleet,))]

    def places(self, fleet: int) -> tuple[int, Sequence[str]]:
        """Return how many deliveries of a fleet were made, and to which repositories."""
        query = (
            "SELECT repository, count(*) FROM fleet_delivery JOIN fleet_item ON fleet_item.id = item"
            " WHERE fleet_delivery.fleet = ? AND fleet_delivery.state = 'done' GROUP BY repository ORDER BY repository"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet,))
        return sum(count for _, count in rows), [name for name, _ in rows if name]


def _before(transaction: Transaction, fleet: int, item: FleetItem) -> Sequence[EarlierDelivery]:
    parameters = (fleet, item.id, item.repository or "", item.base or "")
    return [EarlierDelivery(key, base, patch or "") for key, base, patch in transaction.rows(_BEFORE, parameters)]


def _delivery(row: tuple[Any, ...]) -> FleetDelivery:
    item, key, kind, state, branch, commit, url, error = row
    return FleetDelivery(item=item, key=key, kind=kind, state=state, branch=branch, commit=commit, url=url, error=error)
