"""Deliveries in the store as a `WakeSource`: a wait in this process sees what another process has received.

Invariants:
- a delivery is seen within `SECONDS`; with more waits than `WAITS_A_SECOND` in a process, less often, so that the
  number of checks is bounded;
- a wait never fails because of the store: an error is logged once, and the wait only polls;
- no store is created; one that does not exist has no deliveries;
- what is kept in memory is bounded: names of deliveries of the last `UNKNOWN_SECONDS`, at most `MOST`.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .. import errors
from .._protocol.logs import WARNING, log
from .location import is_missing, open_database
from .received import ALIVE_SECONDS, MOST, UNKNOWN_SECONDS, ReceivedStore, repository_name

if TYPE_CHECKING:
    from .._model.tasks import TaskRef

# Seconds between two reads of the store while a process receives deliveries, and while none does.
SECONDS = 0.4
IDLE_SECONDS = 0.9
WAITS_A_SECOND = 1000
# A transaction may end so long after the time that it wrote, and clocks of machines may differ by this (seconds).
LATE_SECONDS = 30.0


class StoreWakes:
    """The deliveries in the store at *location*: a folder, or the URL of a PostgreSQL database.

    *on_pause* is called with the seconds that are left of a pause, before each part of it. Waits of several threads
    may share one.
    """

    def __init__(
        self,
        location: str,
        *,
        time: Callable[[], float],
        monotonic: Callable[[], float],
        on_pause: Callable[[float], object] | None = None,
    ) -> None:
        self._location, self._on_pause = location, on_pause
        self._time, self._monotonic = time, monotonic
        self._store: ReceivedStore | None = None
        self._lock = threading.Lock()
        self._process = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._held: Counter[TaskRef] = Counter()
        self._seen: dict[tuple[str, str], float] = {}
        self._arrived: dict[str, float] = {}
        self._working: frozenset[str] = frozenset()
        self._refreshed_at: float | None = None
        self._next_at = self._recorded_at = 0.0
        self._seconds = SECONDS
        self._has_warned = False

    def next_check(self, remaining: float) -> float:
        """Return the seconds until `refresh` is to be called; 0 for one caller of those that wait at the same time."""
        if self._on_pause is not None:
            self._on_pause(remaining)
        now = self._monotonic()
        if self._next_at > now:
            return self._next_at - now
        self._next_at = now + self._seconds
        return 0.0

    def refresh(self) -> None:
        """Read the deliveries that have arrived; an error is logged once."""
        with self._lock:
            has_server = False
            try:
                has_server = self._read()
            except (errors.CoatcheckError, OSError) as error:
                self._warn_once(error)
            self._seconds = max(SECONDS if has_server else IDLE_SECONDS, len(self._held) / WAITS_A_SECOND)
            self._next_at = self._monotonic() + self._seconds

    def arrived_at(self, ref: TaskRef, repository: str | None) -> float:
        """Return when the newest delivery about a task arrived, as this process saw it."""
        arrived = self._arrived
        if not arrived:
            return 0.0
        by_repository = arrived.get(repository_name(ref.provider, repository).casefold(), 0.0) if repository else 0.0
        return max(arrived.get(str(ref).casefold(), 0.0), by_repository)

    def is_working(self, provider: str) -> bool:
        """Whether deliveries about the provider's tasks arrive."""
        return provider in self._working

    def record_missed(self, provider: str) -> None:
        """Record that no delivery announced the end of a task."""
        with self._lock:
            self._working -= {provider}
            try:
                if self._store is not None:
                    self._store.record_missed(provider)
            except errors.CoatcheckError as error:
                self._warn_once(error)

    def hold(self, refs: Iterable[TaskRef]) -> None:
        """Record that these tasks are waited for."""
        with self._lock:
            self._held.update(refs)
            self._recorded_at = 0.0  # the next read records them

    def release(self, refs: Iterable[TaskRef]) -> None:
        """Record that a wait for these tasks has ended."""
        with self._lock:
            self._held.subtract(refs)
            self._held = +self._held

    def close(self) -> None:
        """Close the store, and record that this process waits for nothing."""
        with self._lock:
            self._held.clear()
            try:
                if self._store is not None:
                    self._store.record_waiter(self._process, ())
                    self._store.close()
            except errors.CoatcheckError as error:
                self._warn_once(error)
            self._store = None

    def _read(self) -> bool:
        """Read what has arrived; whether a process receives deliveries."""
        if self._store is None:
            if is_missing(self._location):
                return False
            self._store = ReceivedStore(open_database(self._location), time=self._time)
        store, now = self._store, self._time()
        last = self._refreshed_at
        has_gap = last is None or now - last > ALIVE_SECONDS
        since = now - UNKNOWN_SECONDS if last is None else max(now - UNKNOWN_SECONDS, last - LATE_SECONDS)
        named: set[str] = set()
        for arrival in store.arrivals_since(since):
            key = (arrival.sender, arrival.id)
            if key not in self._seen:
                self._seen[key] = arrival.at
                names = {name.casefold() for name in arrival.names}
                self._arrived |= dict.fromkeys(names, arrival.at if has_gap else now)
                named |= names
        self._refreshed_at = now
        self._forget(now)
        has_server = store.has_server()
        self._working = store.working_providers() if has_server else frozenset()
        self._record_waiter(store, now, is_named=bool(named), has_server=has_server)
        return has_server

    def _record_waiter(self, store: ReceivedStore, now: float, *, is_named: bool, has_server: bool) -> None:
        """Record what is waited for, so that `hooks serve` leaves those tasks to this process."""
        if has_server and (is_named or now - self._recorded_at > ALIVE_SECONDS / 3):
            store.record_waiter(self._process, tuple(self._held))
            self._recorded_at = now

    def _forget(self, now: float) -> None:
        """Forget what is too old to wake a wait, and the oldest of too many."""
        if len(self._seen) > MOST:
            self._seen = {key: at for key, at in self._seen.items() if at > now - 2 * LATE_SECONDS}
        if len(self._arrived) > MOST:
            kept = {name: at for name, at in self._arrived.items() if at > now - UNKNOWN_SECONDS}
            self._arrived = dict(sorted(kept.items(), key=lambda each: each[1])[-MOST:])

    def _warn_once(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            log("poll", WARNING, "webhooks cannot be read, so waits only poll: %s", error)
