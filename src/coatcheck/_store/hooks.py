"""Webhooks in the store: hooks that are sent to, and their deliveries; `received` has those that arrive.

Invariants:
- a delivery is added in the transaction of its event, so that no event is lost and none is announced that was not stored;
- its id is made from the hook and the event, and stays the same over retries and replays;
- a change of a delivery's state is a compare-and-set: of two processes that send, one sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from .. import errors
from .._values.value import JsonFields, Value
from .submission_origins import traceparent_of

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .database import Database, Row, Transaction

# After so many deliveries in a row that were given up, a hook is switched off.
MAX_FAILURES = 5
# Seconds for which one process has a delivery that it sends; longer than an attempt may take.
CLAIM_SECONDS = 60.0
ALL_KINDS = "*"

_HOOK = "id, url, kinds, state, created_at, failures"
_DELIVERY = "hook, id, event, state, tries, created_at, due_at, status, detail"


class Hook(Value, frozen=True, kw_only=True):
    """An address that events are sent to. `kinds` are types of events, or ``*``; `failures` are deliveries given up."""

    id: str
    url: str
    kinds: tuple[str, ...]
    state: Literal["on", "off"] = "on"
    created_at: datetime
    failures: int = 0

    _json: ClassVar[JsonFields] = {
        "id": "its id",
        "url": "where events are sent to",
        "kinds": "types of events, or *",
        "state": '"on" or "off"',
        "created_at": "when it was added",
        "failures": "deliveries in a row that were given up",
    }


class HookDelivery(Value, frozen=True, kw_only=True):
    """A delivery: `event` is the number of an outgoing one's event; `status` and `detail` are of the last attempt.

    `state` is "due", "sent", "failed" or, for an incoming one, "received", whose `detail` names the tasks.
    """

    hook: str
    id: str
    event: int | None = None
    state: str
    tries: int = 0
    created_at: datetime
    due_at: datetime | None = None
    status: int | None = None
    detail: str | None = None

    _json: ClassVar[JsonFields] = {
        "hook": "the hook, or the sender of an incoming one",
        "id": "its id, the same for every attempt",
        "event": "the number of its event",
        "state": '"due", "sent", "failed" or "received"',
        "tries": "how many attempts there were",
        "created_at": "when it was added, or arrived",
        "due_at": "when the next attempt is due; of an incoming one, when its task is searched for again",
        "status": "the HTTP status of the last attempt",
        "detail": "the error of the last attempt; the tasks of an incoming one",
    }


class HookStore:
    """Hooks and deliveries in a database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    # --- hooks --------------------------------------------------------------------------------------------------------

    def add(self, hook: Hook) -> None:
        """Add a hook; events that are stored from now on are sent to it."""
        with self._database.writing() as transaction:
            transaction.change(
                "INSERT INTO hook (id, direction, scheme, url, kinds, state, created_at, failures)"
                " VALUES (?, 'out', 'standard', ?, ?, ?, ?, 0)",
                (hook.id, hook.url, ",".join(hook.kinds), hook.state, hook.created_at.timestamp()),
            )

    def list_hooks(self) -> Sequence[Hook]:
        """Return the hooks, the oldest first."""
        with self._database.reading() as transaction:
            rows = transaction.rows(f"SELECT {_HOOK} FROM hook WHERE direction = 'out' ORDER BY created_at, id")  # noqa: S608 - ours
        return [_hook(row) for row in rows]

    def get(self, id: str) -> Hook:
        """Return a hook. Raises `ConfigurationError` for one that does not exist."""
        known = {hook.id: hook for hook in self.list_hooks()}
        if id not in known:
            raise errors.ConfigurationError(
                f"there is no hook {id!r}",
                remedy=f"hooks: {', '.join(known)}" if known else "add one with: coatcheck hooks add URL",
            )
        return known[id]

    def traceparent(self, ref: TaskRef) -> str | None:
        """Return the trace context in which a task was submitted, None where it was submitted without one."""
        with self._database.reading() as transaction:
            return traceparent_of(transaction, ref)

    def remove(self, id: str) -> bool:
        """Remove a hook with its deliveries; False where there is none."""
        with self._database.writing() as transaction:
            transaction.change("DELETE FROM hook_delivery WHERE hook = ?", (id,))
            return transaction.change("DELETE FROM hook WHERE id = ? AND direction = 'out'", (id,)) > 0

    def switch(self, id: str, *, is_on: bool) -> None:
        """Switch a hook on or off; one that is off gets no new deliveries."""
        with self._database.writing() as transaction:
            transaction.change("UPDATE hook SET state = ?, failures = 0 WHERE id = ?", ("on" if is_on else "off", id))

    # --- deliveries ---------------------------------------------------------------------------------------------------

    def claim_due(self) -> HookDelivery | None:
        """Return a delivery whose attempt is due, and postpone it, so that no other process sends it meanwhile."""
        now = self._clock.time()
        with self._database.writing(is_durable=False) as transaction:
            row = transaction.row(
                f"SELECT {_DELIVERY} FROM hook_delivery WHERE state = 'due' AND due_at <= ? ORDER BY due_at LIMIT 1",  # noqa: S608 - ours
                (now,),
            )
            if row is None:
                return None
            changed = transaction.change(
                "UPDATE hook_delivery SET due_at = ? WHERE hook = ? AND id = ? AND state = 'due' AND due_at = ?",
                (now + CLAIM_SECONDS, row[0], row[1], row[6]),
            )
            return _delivery(row) if changed else None

    def next_due(self) -> float | None:
        """Return when the next attempt is due, in seconds since the epoch; None where none is."""
        with self._database.reading() as transaction:
            row = transaction.row("SELECT min(due_at) FROM hook_delivery WHERE state = 'due'")
        return row[0] if row else None

    def record_attempt(
        self, delivery: HookDelivery, *, state: str, due_at: float | None, status: int | None, detail: str | None
    ) -> None:
        """Store the result of an attempt; a delivery that is given up counts against its hook."""
        with self._database.writing() as transaction:
            transaction.change(
                "UPDATE hook_delivery SET state = ?, tries = tries + 1, due_at = ?, status = ?, detail = ?"
                " WHERE hook = ? AND id = ? AND state = 'due'",
                (state, due_at, status, detail, delivery.hook, delivery.id),
            )
            if state == "sent":
                transaction.change("UPDATE hook SET failures = 0 WHERE id = ?", (delivery.hook,))
            elif state == "failed":
                transaction.change("UPDATE hook SET failures = failures + 1 WHERE id = ?", (delivery.hook,))
                transaction.change(
                    "UPDATE hook SET state = 'off' WHERE id = ? AND failures >= ?", (delivery.hook, MAX_FAILURES)
                )

    def record_test(self, hook: str, id: str, *, status: int | None, detail: str | None, is_sent: bool) -> None:
        """Store the result of a test message, which is not repeated."""
        state, now = "sent" if is_sent else "failed", self._clock.time()
        with self._database.writing() as transaction:
            transaction.change(
                "INSERT INTO hook_delivery (hook, id, state, tries, created_at, status, detail)"
                " VALUES (?, ?, ?, 1, ?, ?, ?)",
                (hook, id, state, now, status, detail),
            )

    def replay(self, id: str) -> bool:
        """Make a delivery due again, with its id; False where there is none."""
        with self._database.writing() as transaction:
            return (
                transaction.change(
                    "UPDATE hook_delivery SET state = 'due', due_at = ? WHERE id = ? AND event IS NOT NULL",
                    (self._clock.time(), id),
                )
                > 0
            )

    def list_deliveries(
        self, *, hook: str | None = None, limit: int = 50, before: HookDelivery | None = None
    ) -> Sequence[HookDelivery]:
        """Return the newest deliveries, incoming and outgoing, or those of one hook or sender.

        With *before* those that come after it in this order.
        """
        conditions, parameters = ["1 = 1"], list[object]()
        if hook is not None:
            conditions.append("hook = ?")
            parameters.append(hook)
        if before is not None:
            place = "SELECT created_at, id, hook FROM hook_delivery WHERE hook = ? AND id = ?"
            conditions.append(f"(created_at, id, hook) < ({place})")
            parameters += [before.hook, before.id]
        query = (
            f"SELECT {_DELIVERY} FROM hook_delivery WHERE {' AND '.join(conditions)}"  # noqa: S608 - ours
            " ORDER BY created_at DESC, id DESC, hook DESC LIMIT ?"
        )
        with self._database.reading() as transaction:
            return [_delivery(row) for row in transaction.rows(query, (*parameters, limit))]

    def find_delivery(self, hook: str, id: str) -> HookDelivery | None:
        """Return a delivery of a hook or a sender, None where there is none."""
        query = f"SELECT {_DELIVERY} FROM hook_delivery WHERE hook = ? AND id = ?"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            row = transaction.row(query, (hook, id))
        return None if row is None else _delivery(row)


def enqueue(transaction: Transaction, stored: Iterable[tuple[int, AnyEvent]], *, at: float) -> None:
    """Add a delivery of each event to every hook for its type, in the transaction of the events."""
    hooks = transaction.rows("SELECT id, kinds FROM hook WHERE direction = 'out' AND state = 'on'")
    for number, event in stored if hooks else ():
        for hook, kinds in hooks:
            if kinds == ALL_KINDS or event.type in kinds.split(","):
                transaction.change(
                    "INSERT INTO hook_delivery (hook, id, event, state, tries, created_at, due_at)"
                    " VALUES (?, ?, ?, 'due', 0, ?, ?)",
                    (hook, f"msg_{hook}_{number}", number, at, at),
                )


def _hook(row: Row) -> Hook:
    id, url, kinds, state, created_at, failures = row
    return Hook(
        id=id, url=url, kinds=tuple(kinds.split(",")), state=state, created_at=_time(created_at), failures=failures
    )


def _delivery(row: Row) -> HookDelivery:
    hook, id, event, state, tries, created_at, due_at, status, detail = row
    return HookDelivery(
        hook=hook,
        id=id,
        event=event,
        state=state,
        tries=tries,
        created_at=_time(created_at),
        due_at=None if due_at is None else _time(due_at),
        status=status,
        detail=detail,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
