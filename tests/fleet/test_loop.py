from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from coatcheck import errors
from coatcheck._fleet.engine import Job
from coatcheck._fleet.loop import LoopEngine
from coatcheck.testing import FakeClock

SLOTS = {"submit": 2, "sweep": 1, "review": 1, "deliver": 1}


class Table:
    """What is due: the jobs that were not done yet."""

    def __init__(self, *jobs: Job) -> None:
        self.open = list(jobs)
        self.done: list[Job] = []
        self.errors: list[str] = []
        self.active = self.most = 0

    def due(self, *, is_tick: bool) -> tuple[Sequence[Job], bool]:
        """Return all open jobs, however often they were returned before."""
        return list(self.open), bool(self.open)

    async def handle(self, job: Job) -> bool:
        """Do a job."""
        self.active += 1
        self.most = max(self.most, self.active)
        await asyncio.sleep(0)
        self.active -= 1
        self.open.remove(job)
        self.done.append(job)
        return True

    async def fail(self, job: Job) -> bool:
        """Raise for a job, which is not due afterwards."""
        self.open.remove(job)
        raise errors.ConfigurationError("no permission")

    def work(self, **handlers: object) -> None:
        """Work with this engine; *handlers* replace those of kinds."""
        known = dict.fromkeys(SLOTS, self.handle) | handlers
        report = lambda job, error: self.errors.append(f"{job.kind} {job.id}: {error}")  # noqa: E731
        asyncio.run(LoopEngine(self.due, clock=FakeClock(), on_error=report).work(known, SLOTS))  # type: ignore[arg-type]


def test_each_job_is_done_once() -> None:
    """A job that is asked for again while it is queued or runs is done once, and the loop ends when nothing is due."""
    jobs = [Job("submit", number) for number in range(9)]
    table = Table(*jobs)
    table.work()

    assert (jobs, 2) == (sorted(table.done), table.most)


def test_kinds_have_slots_of_their_own() -> None:
    """Submissions that wait keep no delivery from being done."""
    table = Table(Job("submit", 1), Job("submit", 2), Job("submit", 3), Job("deliver", 1))
    released = []

    async def wait(job: Job) -> bool:
        while Job("deliver", 1) not in table.done:  # noqa: ASYNC110 - the loop must run other tasks meanwhile
            await asyncio.sleep(0)
        released.append(job.id)
        return await table.handle(job)

    table.work(submit=wait)

    assert [1, 2, 3] == sorted(released)


def test_an_error_of_one_job_stops_nothing() -> None:
    """What a job raises is reported, and the other jobs are done."""
    table = Table(Job("review", 1), Job("deliver", 1))
    table.work(review=table.fail)

    assert ([Job("deliver", 1)], ["review 1: no permission"]) == (table.done, table.errors)


def test_nothing_is_left_running_after_a_bug() -> None:
    """An unexpected error ends the loop, and every handler with it."""
    table = Table(Job("review", 1), Job("deliver", 1))
    ended = []

    async def hang(job: Job) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(job.kind)
        return True

    async def broken(job: Job) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table.work(deliver=hang, review=broken)
    assert ["deliver"] == ended
