"""The engine of one machine: a loop that does what the tables say is due.

Invariants:

- one process works on the fleets of a state folder at a time (`fleet_lock`);
- a handler that raises a `CoatcheckError` is reported and stops nothing; any other error ends the loop;
- when the loop ends, however it ends, no handler is left running.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from .. import errors
from .._files.locks import try_lock
from .._protocol.effects import Clock
from .engine import Handler, Job, Kind

# How often the tables are read for what is due (seconds).
TICK_SECONDS = 1.0
LOCK = "fleet.lock"

# Returns what is due, and whether the loop goes on; called at every tick.
Tick: TypeAlias = Callable[[], Awaitable[tuple[Iterable[Job], bool]]]


class LoopEngine:
    """Runs jobs in one event loop. *tick* returns what is due; *on_error* gets what a handler raised."""

    def __init__(
        self,
        tick: Tick,
        *,
        clock: Clock,
        on_error: Callable[[Job, errors.CoatcheckError], None],
        seconds: float = TICK_SECONDS,
    ) -> None:
        self._tick, self._clock, self._on_error, self._seconds = tick, clock, on_error, seconds
        self._queues: dict[Kind, deque[Job]] = {}
        self._known: set[Job] = set()
        self._running: dict[asyncio.Task[bool], Job] = {}

    async def ask(self, jobs: Iterable[Job]) -> None:
        """Queue those of *jobs* that are neither queued nor running."""
        for job in jobs:
            if job not in self._known:
                self._known.add(job)
                self._queues.setdefault(job.kind, deque()).append(job)

    async def work(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        """Do jobs until the tick says that there is nothing left to do."""
        timer: asyncio.Future[None] | None = None
        try:
            is_going = True
            while is_going or self._running:
                if timer is None or timer.done():
                    timer = asyncio.ensure_future(self._clock.asleep(self._seconds))
                    jobs, is_going = await self._tick()
                    await self.ask(jobs)
                self._start(handlers, slots)
                done, _ = await asyncio.wait([timer, *self._running], return_when=asyncio.FIRST_COMPLETED)
                if self._finish(done - {timer}):
                    jobs, is_going = await self._tick()
                    await self.ask(jobs)
        finally:
            await self._stop(timer)

    def _start(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        for kind, handler in handlers.items():
            queue = self._queues.get(kind, ())
            free = slots[kind] - sum(job.kind == kind for job in self._running.values())
            for _ in range(min(free, len(queue))):
                job = self._queues[kind].popleft()
                self._running[asyncio.ensure_future(handler(job))] = job  # type: ignore[arg-type] # a coroutine

    def _finish(self, tasks: Iterable[asyncio.Future[object]]) -> bool:
        """Remove jobs that have ended; whether one changed something and left its kind without a queued job."""
        needs_tick = False
        for task in tasks:
            job = self._running.pop(task)  # type: ignore[call-overload] # one of them
            self._known.discard(job)
            try:
                changed = bool(task.result())
            except errors.CoatcheckError as error:
                self._on_error(job, error)
            else:
                needs_tick = needs_tick or (changed and not self._queues.get(job.kind))
        return needs_tick

    async def _stop(self, timer: asyncio.Future[None] | None) -> None:
        tasks = [*self._running, *([timer] if timer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()


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
