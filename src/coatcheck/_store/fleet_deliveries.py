"""The deliveries of fleets in a database, each once for its key.

Invariants:

- a delivery is stored before it begins, and ends with the state of its item in one transaction;
- of two deliveries to one branch the second is reserved only after it was merged with the first (`DeliveryStore.reserve`),
  whichever process and whichever fleet makes them.
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

_COLUMNS = "item, delivery_key, kind, state, branch, commit_id, url, error, fork"
# The other deliveries to the branch of an item that were made, or are being made; and those of other fleets to its
# repository. What a fleet that has ended was delivering is not being made.
_BEFORE = """
    SELECT delivery_key, COALESCE(fleet_candidate.base_commit, other.base_commit), patch,
    fleet_delivery.fleet, other.base, fleet_delivery.branch, fleet_delivery.fork, fleet_delivery.state FROM fleet_delivery
    JOIN fleet_item AS other ON other.id = fleet_delivery.item
    JOIN fleet_candidate ON fleet_candidate.id = other.chosen
    JOIN fleet ON fleet.id = fleet_delivery.fleet
    WHERE fleet_delivery.state IN ('reserved', 'done') AND kind <> 'patch' AND other.id <> ? AND (
        (fleet.id = ? AND COALESCE(other.repository, '') = ? AND COALESCE(other.base, '') = ?)
        OR (fleet.id <> ? AND other.repository IN ({names})
            AND (fleet_delivery.state = 'done' OR fleet.state IN ('running', 'paused', 'stopping')))
    )
    ORDER BY fleet_delivery.at, delivery_key"""


class EarlierDelivery(NamedTuple):
    """A delivery to the same repository: its key, the base of its patch, and the digest of that.

    `target` is the branch that it is to be merged into as its fleet names it, `branch` the one that was pushed, `fork` the URL
    of the fork that it was pushed to.
    """

    key: str
    base: str | None
    patch: str
    fleet: int
    target: str | None
    branch: str | None
    fork: str | None
    is_made: bool


class DeliveryStore:
    """The deliveries of fleets in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def begin(self, fleet: int, item: FleetItem, *, key: str, kind: str) -> FleetDelivery | None:
        """Return the delivery of an item with this key, which is stored where there is none.

        An approved item is being delivered then; None where it is not approved any more.
        """
        with self._database.writing(is_durable=False) as transaction:
            now = self._clock.time()
            before, after = ItemState.APPROVED, ItemState.DELIVERING
            if item.state is before and not move_item(transaction, item.id, before, after, at=now, why=item.why):
                return None
            transaction.change(
                "INSERT INTO fleet_delivery (delivery_key, fleet, item, kind, state, at)"
                " VALUES (?, ?, ?, ?, 'begun', ?) ON CONFLICT (delivery_key) DO NOTHING",
                (key, fleet, item.id, kind, now),
            )
            row = transaction.rows(f"SELECT {_COLUMNS} FROM fleet_delivery WHERE delivery_key = ?", (key,))[0]  # noqa: S608 - ours
        return _delivery(row)

    def before(self, fleet: int, item: FleetItem, *, names: Collection[str] = ()) -> Sequence[EarlierDelivery]:
        """Return the other deliveries to the branch of an item that were made or are being made, in their order.

        Those of other fleets are to any branch of its repository, which these call one of *names*.
        """
        with self._database.reading() as transaction:
            return _before(transaction, fleet, item, names)

    def repositories_of_others(self, fleet: int) -> Sequence[str]:
        """Return the names of the repositories that other fleets have delivered to."""
        query = (
            "SELECT DISTINCT repository FROM fleet_delivery JOIN fleet_item ON fleet_item.id = item"
            " WHERE fleet_delivery.fleet <> ? AND fleet_delivery.state IN ('reserved', 'done') AND kind <> 'patch'"
        )
        with self._database.reading() as transaction:
            return [name for (name,) in transaction.rows(query, (fleet,)) if name]

    def reserve(
        self, fleet: int, item: FleetItem, key: str, *, after: Collection[str], names: Collection[str] = ()
    ) -> bool:
        """Record that a delivery is being made; False where it was not merged with all deliveries before it.

        *after* are the keys of those that it was merged with, or need not be; *names* are those of `before`.
        """
        with self._database.writing(is_durable=False) as transaction:
            # On PostgreSQL others wait for the lock, so that none is reserved at the same time, by whichever fleet.
            transaction.lock_events()
            if {each.key for each in _before(transaction, fleet, item, names)} - {*after}:
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
        fork: str | None = None,
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
                    "UPDATE fleet_delivery SET state = ?, branch = ?, commit_id = ?, url = ?, fork = ?, error = ?,"
                    " at = ? WHERE delivery_key = ?",
                    ("failed" if error else "done", branch, commit, url, fork, error, now, delivery.key),
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


def _before(transaction: Transaction, fleet: int, item: FleetItem, names: Collection[str]) -> Sequence[EarlierDelivery]:
    query = _BEFORE.format(names=", ".join("?" * len(names)) or "NULL")
    parameters = (item.id, fleet, item.repository or "", item.base or "", fleet, *names)
    return [
        EarlierDelivery(key, base, patch or "", owner, target, branch, fork, state == "done")
        for key, base, patch, owner, target, branch, fork, state in transaction.rows(query, parameters)
    ]


def _delivery(row: tuple[Any, ...]) -> FleetDelivery:
    fields = ("item", "key", "kind", "state", "branch", "commit", "url", "error", "fork")
    return FleetDelivery(**dict(zip(fields, row, strict=True)))
