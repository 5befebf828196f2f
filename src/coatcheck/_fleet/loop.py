"""The engine of one machine: a loop that does what the tables say is due.

Invariants:

- one process works on the fleets of a state folder at a time (`fleet_lock`);
- a handler that raises a `CoatcheckError` is reported and stops nothing; any other error ends the loop;
- when the loop ends, however it ends, no handler is left running.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from .. import errors
from .._files.locks import try_lock
from .._protocol.effects import Clock
from .engine import Due, Handler, Job, Kind, OnError

# How often the tables are read for what is due (seconds).
TICK_SECONDS = 1.0
LOCK = "fleet.lock"


class LoopEngine:
    """Runs jobs in one event loop. *due* reads the tables; *on_error* gets what a handler raised.

    A store that cannot be read for *patience* seconds ends the loop: a server restarts meanwhile, a folder does not.
    *on_outage* gets the error of the first attempt.
    """

    def __init__(
        self,
        due: Due,
        *,
        clock: Clock,
        on_error: OnError,
        seconds: float = TICK_SECONDS,
        patience: float = 0.0,
        on_outage: Callable[[errors.StoreError], None] | None = None,
    ) -> None:
        self._due, self._clock, self._on_error, self._seconds = due, clock, on_error, seconds
        self._patience, self._on_outage, self._failing_since = patience, on_outage, math.inf
        self._queues: dict[Kind, deque[Job]] = {}
        self._known: set[Job] = set()
        self._running: dict[asyncio.Future[Any], Job] = {}
        self._counts: Counter[Kind] = Counter()

    async def ask(self, jobs: Iterable[Job]) -> None:
        """Queue those of *jobs* that are neither queued nor running."""
        for job in jobs:
            if job not in self._known:
                self._known.add(job)
                self._queues.setdefault(job.kind, deque()).append(job)

    async def work(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        """Do jobs until nothing is left to do."""
        timer: asyncio.Future[None] | None = None
        try:
            while True:
                if timer is None or timer.done():
                    is_idle = not self._running and not any(self._queues.values())
                    if not await self._read_due(is_tick=True) and is_idle:
                        return
                    timer = asyncio.ensure_future(self._clock.asleep(self._seconds))
                self._start(handlers, slots)
                await asyncio.wait([timer, *self._running], return_when=asyncio.FIRST_COMPLETED)
                if self._finish():
                    await self._read_due(is_tick=False)
        finally:
            await self._stop(timer)

    async def _read_due(self, *, is_tick: bool) -> bool:
        """Queue what is due; whether anything is left to do."""
        try:
            jobs, is_going = self._due(is_tick=is_tick)
        except errors.StoreError as error:
            now = self._clock.monotonic()
            if self._failing_since == math.inf and self._patience and self._on_outage is not None:
                self._on_outage(error)
            self._failing_since = min(self._failing_since, now)
            if now - self._failing_since >= self._patience:
                raise
            return True
        self._failing_since = math.inf
        await self.ask(jobs)
        return is_going

    def _start(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        for kind, queue in self._queues.items():
            while queue and self._counts[kind] < slots[kind]:
                job = queue.popleft()
                self._counts[kind] += 1
                self._running[asyncio.ensure_future(handlers[kind](job))] = job

    def _finish(self) -> bool:
        """Remove jobs that have ended; whether one changed something and left its kind without a queued job."""
        needs_more = False
        for future in [each for each in self._running if each.done()]:
            job = self._running.pop(future)
            self._known.discard(job)
            self._counts[job.kind] -= 1
            try:
                has_changed = future.result()
            except errors.CoatcheckError as error:
                self._on_error(job, error)
            else:
                needs_more = needs_more or (has_changed and not self._queues[job.kind])
        return needs_more

    async def _stop(self, timer: asyncio.Future[None] | None) -> None:
        futures: list[asyncio.Future[Any]] = [*self._running, *([timer] if timer else [])]
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
        self._running.clear()


@contextmanager
def worker_folder(folder: str) -> Iterator[str]:
    """Hold a folder in *folder* that no other worker uses, the first of ``worker-1``, ``worker-2`` that is free."""
    for number in count(1):
        path = os.path.join(folder, f"worker-{number}")
        os.makedirs(path, mode=0o700, exist_ok=True)
        if (descriptor := try_lock(os.path.join(path, LOCK))) is not None:
            try:
                yield path
            finally:
                os.close(descriptor)
            return


@contextmanager
def fleet_lock(folder: str) -> Iterator[None]:
    """Hold the lock of the fleets of a state folder. Raises `ConfigurationError` where another process holds it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor = try_lock(os.path.join(folder, LOCK))
    if descriptor is None:
        raise errors.ConfigurationError(
            f"another process works on the fleets of {folder}",
            remedy="wait for it, or watch it with: coatcheck fleet watch NAME",
        )
    try:
        yield
    finally:
        os.close(descriptor)
