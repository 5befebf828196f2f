"""The processes that work on fleets.

Invariants:

- a process of this machine is known by its number and when it started, so that one that was killed does not count;
- of another machine only the time of its last record is known: one older than `SILENT_SECONDS` does not count.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._files.processes import boot_id, host_id, is_running, start_time

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .database import Database, Row

# How often a process records that it works, and how long the record of another machine counts (seconds).
RECORD_SECONDS, SILENT_SECONDS = 20.0, 90.0


class WorkerStore:
    """Who works on the fleets in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock, running: Callable[..., bool] = is_running) -> None:
        self._database, self._clock, self._is_running = database, clock, running

    def record(self, fleet: int) -> None:
        """Record that this process works on a fleet."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(
                "INSERT INTO fleet_worker (fleet, host, pid, boot, started, seen_at) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (fleet, host, pid) DO UPDATE SET boot = excluded.boot, started = excluded.started,"
                " seen_at = excluded.seen_at",
                (fleet, host_id(), os.getpid(), boot_id(), start_time(os.getpid()), self._clock.time()),
            )

    def remove(self, fleet: int) -> None:
        """Record that this process does not work on a fleet any more, and remove processes that have ended."""
        with self._database.writing(is_durable=False) as transaction:
            rows = transaction.rows(
                "SELECT host, pid, boot, started, seen_at FROM fleet_worker WHERE fleet = ?", (fleet,)
            )
            for host, pid, *rest in rows:
                if (host, pid) == (host_id(), os.getpid()) or not self._works((host, pid, *rest)):
                    statement = "DELETE FROM fleet_worker WHERE fleet = ? AND host = ? AND pid = ?"
                    transaction.change(statement, (fleet, host, pid))

    def has_any(self, fleet: int) -> bool:
        """Whether a process works on a fleet."""
        with self._database.reading() as transaction:
            query = "SELECT host, pid, boot, started, seen_at FROM fleet_worker WHERE fleet = ?"
            return any(map(self._works, transaction.rows(query, (fleet,))))

    def _works(self, row: Row) -> bool:
        host, pid, boot, started, seen_at = row
        if host != host_id():
            return bool(abs(self._clock.time() - seen_at) < SILENT_SECONDS)
        return boot in (None, boot_id()) and self._is_running(pid, started=started)
