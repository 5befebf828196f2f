"""What every engine keeps of the port, with jobs that are rows of a list."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.store.postgres_server import new_schema

from coatcheck import errors
from coatcheck._fleet.engine import Engine, Job
from coatcheck._fleet.loop import LoopEngine
from coatcheck._fleet.pgqueuer_engine import PgQueuerEngine, install
from coatcheck._runtime.system_clock import SystemClock

SLOTS = {"submit": 3, "sweep": 1, "review": 2, "deliver": 1}


class Table:
    """What is due: the jobs that were not done yet, which are asked for again and again."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self.open = [Job(kind, number) for kind in SLOTS for number in range(6)]
        self.done: Counter[Job] = Counter()
        self.active: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.errors: list[str] = []
        self.notices: list[str] = []

    def due(self, *, is_tick: bool) -> tuple[Sequence[Job], bool]:
        """Return all open jobs."""
        return list(self.open), bool(self.open)

    async def handle(self, job: Job) -> bool:
        """Do a job; its id may come back as text."""
        job = Job(job.kind, int(job.id))
        self.active[job.kind] += 1
        self.most[job.kind] = max(self.most[job.kind], self.active[job.kind])
        await asyncio.sleep(0.01)
        self.active[job.kind] -= 1
        self.done[job] += 1
        self.open = [each for each in self.open if each != job]
        return True

    def work(self, **handlers: object) -> None:
        """Work on the table; *handlers* replace those of kinds."""
        asyncio.run(self._work(dict.fromkeys(SLOTS, self.handle) | handlers))

    async def _work(self, handlers: dict[str, object]) -> None:
        if self._url is not None:
            await install(self._url)
        await self._engine().work(handlers, SLOTS)  # type: ignore[arg-type]

    def _engine(self) -> Engine:
        report = lambda job, error: self.errors.append(f"{job.kind} {job.id}: {error}")  # noqa: E731
        if self._url is None:
            return LoopEngine(self.due, clock=SystemClock(), on_error=report, seconds=0.1)
        return PgQueuerEngine(
            self.due,
            url=self._url,
            namespace="port",
            clock=SystemClock(),
            on_error=report,
            on_notice=self.notices.append,
        )


@pytest.fixture(params=["loop", pytest.param("pgqueuer", marks=pytest.mark.peer)])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    """A table for each engine."""
    if request.param == "loop":
        yield Table(None)
    else:
        with new_schema(request.getfixturevalue("postgres_url")) as url:
            yield Table(url)


def test_jobs_are_done_in_the_slots_of_their_kind(table: Table) -> None:
    """Every job is done, no more of a kind at once than its slots, and the work ends when nothing is due."""
    jobs = list(table.open)
    table.work()

    assert (sorted(jobs), []) == (sorted(table.done), [*table.errors, *table.notices])
    assert {} == {kind: most for kind, most in table.most.items() if most > SLOTS[kind]}


def test_an_error_of_the_product_stops_nothing(table: Table) -> None:
    """A handler that raises is reported, and the other jobs are done."""

    async def fail(job: Job) -> bool:
        table.open = [each for each in table.open if each != Job(job.kind, int(job.id))]
        raise errors.ConfigurationError("no permission")

    table.work(deliver=fail)

    assert (18, [f"deliver {number}: no permission" for number in range(6)]) == (
        len(table.done),
        sorted(table.errors),
    )


def test_any_other_error_ends_the_work(table: Table) -> None:
    """A mistake in a handler is raised, and leaves no handler running."""

    async def fail(job: Job) -> bool:
        raise KeyError(job.kind)

    with pytest.raises(KeyError):
        table.work(review=fail)

    assert not any(job.kind == "review" for job in table.done)
