"""Accounts of fleets: their pace, and whether their quota allows another task.

Invariants:

- requests of all processes that share the database keep the rate of an account (GCRA: one row with the time of the next
  request, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm);
- that time is at most `LONGEST_TURN` seconds ahead, so that a clock that was set back stops nothing for long;
- an account that is parked gets no submission before its time, and then a single one: whoever takes the turn parks it
  for the others until the answer is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .._model.fleets import FleetAccount

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .database import Database, Row, Transaction

# A row holds wall-clock time: an hour back stopped a fleet for an hour without this limit (seconds).
LONGEST_TURN = 30.0
# How long one submission tries an account for all others (seconds).
PROBE_SECONDS = 60.0
# How long an account is parked where the service names no time: doubled for each refusal in a row (seconds).
FIRST_PARK, LONGEST_PARK = 60.0, 3600.0


class AccountStore:
    """The accounts in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def take_turn(self, provider: str, name: str, *, interval: float, burst: int = 1) -> float:
        """Reserve the next request of an account; return in how many seconds it may be sent.

        *interval* is the seconds between two requests, after a *burst* at once.
        """
        with self._database.writing(is_durable=False) as transaction:
            now = self._clock.time()
            _add(transaction, provider, name)
            ((next_at,),) = _locked(transaction, provider, name, "next_at")
            turn = min(max(next_at, now - interval * (burst - 1)), now + LONGEST_TURN)
            transaction.change(
                "UPDATE fleet_account SET next_at = ? WHERE provider = ? AND name = ?",
                (turn + interval, provider, name),
            )
        return max(0.0, float(turn) - now)

    def may_submit(self, provider: str, name: str) -> bool:
        """Whether a submission may be sent now; the only one, where the account was parked."""
        if not self._is_parked(provider, name):
            return True
        with self._database.writing(is_durable=False) as transaction:
            now = self._clock.time()
            statement = (
                "UPDATE fleet_account SET parked_until = ? WHERE provider = ? AND name = ? AND parked_until <= ?"
            )
            return transaction.change(statement, (now + PROBE_SECONDS, provider, name, now)) == 1

    def _is_parked(self, provider: str, name: str) -> bool:
        query = "SELECT 1 FROM fleet_account WHERE provider = ? AND name = ? AND parked_until IS NOT NULL"
        return bool(self._database.read(query, (provider, name)))

    def park(self, provider: str, name: str, *, reason: str, sent_at: float, seconds: float | None = None) -> float:
        """Park an account for *seconds*, or for longer at each refusal in a row; return until when (since the epoch).

        *sent_at* is when the refused submission was claimed: of several that were sent at once, one counts.
        """
        with self._database.writing(is_durable=False) as transaction:
            _add(transaction, provider, name)
            columns = "refused_in_a_row, parked_at, parked_until"
            ((refused, parked_at, until),) = _locked(transaction, provider, name, columns)
            if until is not None and parked_at is not None and sent_at <= parked_at:
                return float(until)
            now = self._clock.time()
            doubled = min(FIRST_PARK * 2 ** min(refused, 10), LONGEST_PARK)
            until = now + (doubled if seconds is None else seconds)
            transaction.change(
                "UPDATE fleet_account SET parked_until = ?, parked_at = ?, refused_in_a_row = refused_in_a_row + 1,"
                " reason = ? WHERE provider = ? AND name = ?",
                (until, now, reason, provider, name),
            )
        return float(until)

    def end_parking(self, providers: Iterable[str], *, reasons: Iterable[str]) -> None:
        """Let the next submission try the accounts of services that are parked for a reason with such a beginning."""
        with self._database.writing(is_durable=False) as transaction:
            for provider in providers:
                for reason in reasons:
                    transaction.change(
                        "UPDATE fleet_account SET parked_until = ? WHERE provider = ? AND parked_until > ?"
                        " AND substr(reason, 1, ?) = ?",
                        (self._clock.time(), provider, self._clock.time(), len(reason), reason),
                    )

    def release(self, provider: str, name: str) -> None:
        """Record that the service has taken a task: the account is parked no more."""
        if not self._is_parked(provider, name):
            return
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "UPDATE fleet_account SET parked_until = NULL, parked_at = NULL, refused_in_a_row = 0, reason = NULL"
                " WHERE provider = ? AND name = ? AND parked_until IS NOT NULL",
                (provider, name),
            )


def accounts_of(transaction: Transaction, fleet: int) -> tuple[FleetAccount, ...]:
    """Return the accounts of the services of a fleet."""
    rows = transaction.rows(
        "SELECT provider, name, parked_until, refused_in_a_row, reason FROM fleet_account WHERE provider IN"
        " (SELECT DISTINCT provider FROM fleet_candidate WHERE fleet = ?) ORDER BY provider, name",
        (fleet,),
    )
    return tuple(
        FleetAccount(
            provider=provider,
            name=name,
            parked_until=None if until is None else datetime.fromtimestamp(until, UTC),
            refused_in_a_row=refused,
            reason=reason,
        )
        for provider, name, until, refused, reason in rows
    )


def _locked(transaction: Transaction, provider: str, name: str, columns: str) -> list[Row]:
    """Return columns of an account that no other transaction changes until this one has ended.

    On PostgreSQL an update locks the row (https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS).
    """
    statement = f"UPDATE fleet_account SET name = name WHERE provider = ? AND name = ? RETURNING {columns}"  # noqa: S608 - ours
    return transaction.rows(statement, (provider, name))


def _add(transaction: Transaction, provider: str, name: str) -> None:
    transaction.change(
        "INSERT INTO fleet_account (provider, name, next_at, refused_in_a_row) VALUES (?, ?, 0, 0)"
        " ON CONFLICT (provider, name) DO NOTHING",
        (provider, name),
    )
