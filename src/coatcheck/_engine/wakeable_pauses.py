"""Pauses between polls that a delivery of a webhook may end.

Invariants:
- a delivery only ends a pause; states and results come from the poll that follows;
- a task is polled at most once in `SHORTEST` seconds, however many deliveries name it, and never before ``Retry-After``;
- while deliveries work, a pause is `STRETCH` times as long, but not longer than `LONGEST` for that reason; polls never
  stop;
- an end that a poll found and no delivery announced is recorded; pauses then have their normal length
  (`docs/reference/protocols/webhooks.md`, section 6).
"""

from __future__ import annotations

from collections.abc import Iterable

from .._model.tasks import Task, TaskRef
from .._protocol.effects import Call, Clock, Script, Sleep
from .._protocol.logs import DEBUG, log
from .._protocol.wake_source import WakeSource

STRETCH = 4.0
# Seconds.
LONGEST = 600.0
SHORTEST = 1.0


class WakeablePauses:
    """The pauses of one wait, or of one batch: when its tasks were polled, and which deliveries concern them."""

    def __init__(self, source: WakeSource, clock: Clock, refs: Iterable[TaskRef]) -> None:
        self._source, self._clock = source, clock
        # When each task was polled (seconds since the epoch); a task that was just submitted has not been.
        self._polled_at: dict[TaskRef, float] = dict.fromkeys(refs, 0.0)
        self._repositories: dict[TaskRef, str] = {}
        self._announced: set[TaskRef] = set()
        self._provider = next(iter(self._polled_at)).provider if self._polled_at else ""
        source.hold(self._polled_at)

    def close(self) -> None:
        """Record that the wait has ended."""
        self._source.release(self._polled_at)

    def begin_polls(self, refs: Iterable[TaskRef]) -> None:
        """Record that *refs* are polled now: what has arrived about them so far needs no further poll."""
        now = self._clock.time()
        for ref in refs:
            if self._source.arrived_at(ref, self._repositories.get(ref)) > self._polled_at.get(ref, 0.0):
                self._announced.add(ref)
            else:
                self._announced.discard(ref)
            self._polled_at[ref] = now

    def record_task(self, task: Task) -> None:
        """Record what a poll returned: a delivery may name the repository of a task."""
        if task.repository is not None:
            self._repositories[task.ref] = task.repository

    def record_end(self, ref: TaskRef) -> Script[None]:
        """Record the end of a task that was not found by the first poll."""
        if ref not in self._announced and self._source.is_working(self._provider):
            log("poll", DEBUG, "%s: ended, and no webhook announced it", ref)
            yield Call(lambda: self._source.record_missed(self._provider))

    def stretched(self, seconds: float) -> float:
        """Return the length of a pause: longer while deliveries work."""
        if not self._source.is_working(self._provider):
            return seconds
        return max(seconds, min(seconds * STRETCH, LONGEST))

    def pause(self, seconds: float, refs: Iterable[TaskRef], *, retry_after: float = 0.0) -> Script[list[TaskRef]]:
        """Sleep until a delivery about one of *refs*, at most *seconds*; return the tasks to poll, none at the end.

        The service requires a pause of *retry_after* seconds, which no delivery shortens.
        """
        clock, known = self._clock, tuple(refs)
        start = clock.monotonic()
        while (remaining := start + seconds - clock.monotonic()) > 0:
            check = self._source.next_check(remaining)
            if check <= 0:
                yield Call(self._source.refresh)
                check = self._source.next_check(remaining)
            if woken := self._woken(known):
                earliest = max(start + retry_after, clock.monotonic() + self._too_soon(woken))
                if earliest > clock.monotonic():
                    yield Sleep(min(earliest, start + seconds) - clock.monotonic())
                return woken
            yield Sleep(max(min(check, remaining), 0.001))
        return []

    def _woken(self, refs: tuple[TaskRef, ...]) -> list[TaskRef]:
        arrived_at, repositories = self._source.arrived_at, self._repositories
        return [ref for ref in refs if arrived_at(ref, repositories.get(ref)) > self._polled_at.get(ref, 0.0)]

    def _too_soon(self, refs: list[TaskRef]) -> float:
        """Return the seconds until all of *refs* were polled at least `SHORTEST` seconds ago."""
        newest = max(self._polled_at.get(ref, 0.0) for ref in refs)
        return min(max(0.0, newest + SHORTEST - self._clock.time()), SHORTEST)
