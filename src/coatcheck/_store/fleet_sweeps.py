"""When the running tasks of an account are polled next, for all workers of a fleet.

Invariant: times are of the wall clock, and a clock that was set back makes a round due at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .database import Database

# How far the clocks of two machines may differ (seconds).
CLOCK_SKEW = 30.0


class SweepTimes:
    """The next rounds of polling in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def plan(self, fleet: int, provider: str, account: str, *, seconds: float) -> None:
        """Record that the tasks of an account are polled again in *seconds*."""
        now = self._clock.time()
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "INSERT INTO fleet_sweep (fleet, provider, account, due_at, planned_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (fleet, provider, account) DO UPDATE SET due_at = excluded.due_at,"
                " planned_at = excluded.planned_at",
                (fleet, provider, account, now + seconds, now),
            )

    def waiting(self, fleet: int) -> set[tuple[str, str]]:
        """Return the accounts whose next round is not due yet."""
        now = self._clock.time()
        query = "SELECT provider, account FROM fleet_sweep WHERE fleet = ? AND due_at > ? AND planned_at <= ?"
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet, now, now + CLOCK_SKEW))
        return {(provider, account) for provider, account in rows}
