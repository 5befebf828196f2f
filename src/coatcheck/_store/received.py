"""Deliveries of webhooks that arrived: kept once, read by waits, and handled by `hooks serve`.

Invariants:
- a delivery is kept once, by its sender and id, before its sender gets an answer;
- it is not handled until a wait for its task has read it, or the task was polled; a task that is not known is searched
  for again until the delivery is `UNKNOWN_SECONDS` old, because a delivery may arrive before the answer to a submission;
- names are compared without case: GitHub's are (docs/reference/protocols/webhooks.md, 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .database import Database, Transaction

# Seconds for which deliveries are kept: senders repeat for three days (docs/reference/protocols/webhooks.md, 5).
KEEP_SECONDS = 3 * 86_400.0
# Seconds for which a delivery waits for its task to become known.
UNKNOWN_SECONDS = 600.0
# A process that receives has ended if it was not seen for so long (seconds), and a process that waits as well.
ALIVE_SECONDS = 30.0
# Deliveries arrive if the last one is not older than this (seconds).
WORKING_SECONDS = 86_400.0
# The newest deliveries that one read returns.
MOST = 10_000

TASKS_BY_ID = (
    "SELECT provider, id FROM task WHERE provider = ? AND id = ?"
    " UNION SELECT provider, task FROM submission WHERE provider = ? AND task = ?"
)
TASKS_BY_NAME = TASKS_BY_ID.replace("id = ?", "lower(id) = ?").replace("task = ?", "lower(task) = ?")


class Arrival(NamedTuple):
    """A delivery that arrived: its key, when, and the names of what it concerns."""

    sender: str
    id: str
    at: float
    names: tuple[str, ...]


class ReceivedStore:
    """The deliveries that arrived, the processes that receive, and those that wait."""

    def __init__(self, database: Database, *, time: Callable[[], float]) -> None:
        self._database, self._time = database, time

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def receive(self, *, sender: str, id: str, names: Iterable[str]) -> bool:
        """Keep a delivery; False for one that was kept before. Old ones are deleted."""
        lines = list(names)
        with self._database.writing() as transaction:
            now = self._time()
            transaction.change(
                "DELETE FROM hook_delivery WHERE state = 'received' AND created_at < ?", (now - KEEP_SECONDS,)
            )
            is_new = transaction.change(
                "INSERT INTO hook_delivery (hook, id, state, tries, created_at, due_at, detail)"
                " VALUES (?, ?, 'received', 0, ?, ?, ?) ON CONFLICT DO NOTHING",
                (sender, id, now, now if lines else None, "\n".join(lines)),
            )
            for provider in sorted({provider_of(name) for name in lines}) if is_new else ():
                _record_health(transaction, provider, "delivered_at", now)
        return is_new > 0

    def arrivals_since(self, seconds: float) -> Sequence[Arrival]:
        """Return the newest deliveries that arrived at or after *seconds* since the epoch, the oldest first."""
        query = (
            "SELECT hook, id, created_at, detail FROM hook_delivery WHERE state = 'received' AND created_at >= ?"
            " ORDER BY created_at DESC LIMIT ?"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (seconds, MOST))
        return [Arrival(sender, id, at, _names(detail)) for sender, id, at, detail in reversed(rows)]

    # --- handling -----------------------------------------------------------------------------------------------------

    def unhandled(self, limit: int) -> Sequence[Arrival]:
        """Return deliveries that are to be handled now, the oldest first."""
        query = (
            "SELECT hook, id, created_at, detail FROM hook_delivery WHERE state = 'received' AND due_at IS NOT NULL"
            " AND due_at <= ? ORDER BY due_at LIMIT ?"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (self._time(), limit))
        return [Arrival(sender, id, at, _names(detail)) for sender, id, at, detail in rows]

    def set_due(self, arrivals: Iterable[tuple[Arrival, float | None]]) -> None:
        """Set when each delivery is handled next (seconds since the epoch), None for one that was handled."""
        with self._database.writing(is_durable=False) as transaction:
            for arrival, due_at in arrivals:
                transaction.change(
                    "UPDATE hook_delivery SET due_at = ? WHERE hook = ? AND id = ? AND state = 'received'",
                    (due_at, arrival.sender, arrival.id),
                )

    def tasks_named(self, name: str, *, limit: int) -> Sequence[tuple[str, str]]:
        """Return provider and id of the stored tasks that a name concerns: a task, or running tasks of a repository."""
        provider = provider_of(name)
        with self._database.reading() as transaction:
            if (repository := repository_of(name)) is not None:
                query = (
                    "SELECT provider, id FROM task WHERE provider = ? AND lower(repository) = ?"
                    " AND state IN ('queued', 'running', 'unknown', 'input_required', 'paused') ORDER BY submitted_at DESC LIMIT ?"
                )
                return [(each[0], each[1]) for each in transaction.rows(query, (provider, repository, limit))]
            id = name.removeprefix(f"{provider}:")
            exact = transaction.rows(f"{TASKS_BY_ID} LIMIT ?", (provider, id, provider, id, limit))
            return [
                (each[0], each[1])
                for each in exact or transaction.rows(f"{TASKS_BY_NAME} LIMIT ?", (*(provider, id.lower()) * 2, limit))
            ]

    # --- processes ----------------------------------------------------------------------------------------------------

    def beat(self, id: str) -> None:
        """Record that the process *id* receives deliveries now."""
        now = self._time()
        with self._database.writing(is_durable=False) as transaction:
            transaction.change("DELETE FROM hook_server WHERE seen_at < ?", (now - KEEP_SECONDS,))
            transaction.change(
                "INSERT INTO hook_server (id, seen_at) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
                (id, now),
            )

    def end(self, id: str) -> None:
        """Record that the process *id* receives no more."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.change("DELETE FROM hook_server WHERE id = ?", (id,))

    def working_providers(self) -> frozenset[str]:
        """Return the providers about whose tasks deliveries arrive: one has arrived, and none was missed since."""
        now = self._time()
        query = (
            "SELECT provider FROM hook_health WHERE delivered_at > missed_at AND delivered_at > ?"
            " AND EXISTS (SELECT 1 FROM hook_server WHERE seen_at > ?)"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (now - WORKING_SECONDS, now - ALIVE_SECONDS))
        return frozenset(provider for (provider,) in rows)

    def has_server(self) -> bool:
        """Whether a process receives deliveries."""
        query = "SELECT 1 FROM hook_server WHERE seen_at > ? LIMIT 1"
        with self._database.reading() as transaction:
            return bool(transaction.rows(query, (self._time() - ALIVE_SECONDS,)))

    def record_missed(self, provider: str) -> None:
        """Record that no delivery announced the end of a task."""
        with self._database.writing(is_durable=False) as transaction:
            _record_health(transaction, provider, "missed_at", self._time())

    def record_waiter(self, process: str, refs: Iterable[TaskRef]) -> None:
        """Record that a process waits for *refs*, has read the deliveries, and waits for no other task."""
        now = self._time()
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "DELETE FROM hook_waiter WHERE process = ? OR seen_at < ?", (process, now - ALIVE_SECONDS)
            )
            for name in sorted({str(ref) for ref in refs}):
                transaction.change(
                    "INSERT INTO hook_waiter (task, process, seen_at) VALUES (?, ?, ?)", (name, process, now)
                )

    def waited_at(self, name: str) -> float:
        """Return when a process that waits for the task last read the deliveries (seconds since the epoch), or 0."""
        with self._database.reading() as transaction:
            ((seen_at,),) = transaction.rows("SELECT max(seen_at) FROM hook_waiter WHERE task = ?", (name,))
        return seen_at or 0.0


def repository_name(provider: str, repository: str) -> str:
    """Return the name of a repository's tasks at a provider, as a delivery is stored with it."""
    return f"{provider}:@{repository}"


def repository_of(name: str) -> str | None:
    """Return the repository in a name, in lower case; None for the name of a task."""
    _, _, rest = name.partition(":")
    return rest[1:].lower() if rest.startswith("@") else None


def provider_of(name: str) -> str:
    """Return the provider in a name."""
    return name.partition(":")[0]


def _names(detail: str | None) -> tuple[str, ...]:
    return tuple((detail or "").splitlines())


def _record_health(transaction: Transaction, provider: str, column: str, at: float) -> None:
    insert = "INSERT INTO hook_health (provider, delivered_at, missed_at) VALUES (?, ?, ?) ON CONFLICT (provider) DO"
    values = (at, 0.0) if column == "delivered_at" else (0.0, at)
    transaction.change(f"{insert} UPDATE SET {column} = excluded.{column}", (provider, *values))
