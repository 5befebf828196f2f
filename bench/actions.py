"""Count what it costs to watch a thousand workflow runs for ten minutes, on a GitHub in this process.

Time is simulated: while all tasks sleep, the clock jumps to the next wake-up. Runs are queued for half a minute at most
and take 2 to 20 minutes, so half of them end during the measurement. The emulator counts as GitHub does: a poll that is
answered 304 does not count for the hourly limit; every poll is a point of the secondary limit
(docs/reference/protocols/services.md, 1.4).
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from coatcheck import AsyncClient, TaskRef, errors
from coatcheck._protocol.effects import Request
from coatcheck._store.journal import NoJournal
from coatcheck.providers.github_actions.provider import ActionsProvider
from coatcheck.providers.github_actions.workflow_settings import Service
from coatcheck.testing import AsyncEmulatorTransport, GithubEmulator
from coatcheck.testing.emulators.github_rest import Meter
from coatcheck.testing.emulators.github_runs import Act

RUNS = 1000
WATCHED = 600.0  # seconds
REFERENCE = RUNS * WATCHED / 5  # one poll a run every five seconds
FREE_GOAL, SHARE_GOAL = 90.0, 50.0  # percent
SECONDARY = 900  # points a minute (docs/reference/protocols/services.md, 1.4)

BASE = "http://127.0.0.1:9"
HEADERS = (("user-agent", "bench"), ("authorization", f"Bearer {GithubEmulator().token}"))


class SimulatedTime(selectors.DefaultSelector):
    """A selector that never waits: it advances the time instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return at once."""
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class Clock:
    """The time of an event loop, for clients and their service."""

    def __init__(self, selector: SimulatedTime) -> None:
        self._selector = selector

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return 1_790_000_000.0 + self._selector.now

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._selector.now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self._selector.now += seconds

    async def asleep(self, seconds: float) -> None:
        """Wait until the time has advanced."""
        await asyncio.sleep(seconds)


def run(main: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in simulated time."""
    selector = SimulatedTime()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        loop.run_until_complete(main(Clock(selector)))
    finally:
        loop.close()


def github_with_runs(clock: Clock, randomness: random.Random) -> tuple[GithubEmulator, list[TaskRef]]:
    """Return a GitHub whose thousand runs have just been dispatched."""
    github = GithubEmulator(clock=clock)
    body = msgspec.json.encode({"ref": "main", "inputs": {"prompt": "p", "task_id": "t"}})
    for _ in range(RUNS):
        queued, running = randomness.uniform(5, 30), randomness.uniform(120, 1200)
        github.life = (
            Act("queued", seconds=queued),
            Act("in_progress", steps=1, seconds=running),
            Act("completed", "success", steps=4),
        )
        path = "/repos/owner/repo/actions/workflows/coatcheck.yml/dispatches"
        github.handle(Request("POST", path, headers=HEADERS, body=body))
    github.meter, github.requests = Meter(limit=100_000, points=None), []
    refs = [TaskRef("github_actions", f"owner~repo~{each.id}") for each in github.tasks]  # type: ignore[attr-defined]
    return github, refs


def client_of(github: GithubEmulator, clock: Clock, randomness: random.Random, **options: Any) -> AsyncClient:
    """Return a client of that GitHub."""
    provider = ActionsProvider(Service(base_url=BASE, api_version="2026-03-10", repository="owner/repo"))
    return AsyncClient(
        provider,
        token=github.token,
        clock=clock,
        random=randomness.random,
        journal=NoJournal(),
        environ={"COATCHECK_LEARN": "off", **options},
        transport=AsyncEmulatorTransport(github),
    )


async def one_by_one(client: AsyncClient, refs: list[TaskRef], interval: float | None = None) -> int:
    """Wait for each run with a call of its own, all at once; return how many ended."""
    waits = (client.poll_task(ref, timeout=WATCHED, interval=interval) for ref in refs)
    ended = await asyncio.gather(*waits, return_exceptions=True)
    failed = [each for each in ended if isinstance(each, Exception) and not isinstance(each, errors.WaitTimeoutError)]
    if failed:
        raise failed[0]
    return sum(not isinstance(each, Exception) for each in ended)


async def every_12(client: AsyncClient, refs: list[TaskRef]) -> int:
    """Wait for each run with a call of its own, which polls every twelve seconds."""
    return await one_by_one(client, refs, 12.0)


async def together(client: AsyncClient, refs: list[TaskRef]) -> int:
    """Wait for all runs with one call; return how many ended."""
    ended = 0
    try:
        async for _ in client.poll_tasks(refs, timeout=WATCHED):
            ended += 1
    except errors.WaitTimeoutError:
        pass
    return ended


def report(name: str, github: GithubEmulator, ended: int, cpu: float) -> tuple[float, float]:
    """Print the requests; return the share that was free and the ratio to the reference, in percent."""
    meter = github.meter
    polls = len(github.seen("get_task"))
    free, share = 100 * meter.free / meter.polls, 100 * len(github.requests) / REFERENCE
    print(
        f"{name}: {len(github.requests)} requests ({polls} polls of a run), {free:.1f} % of polls 304, {meter.counted} counted; "
        f"{share:.1f} % of one poll a run every 5 s; at worst {meter.worst_minute} points a minute; "
        f"{ended} of {RUNS} runs ended; {cpu:.1f} s CPU with the emulator's"
    )
    return free, share


def main() -> None:
    """Print the figures beside their goals."""

    async def watch(clock: Clock) -> None:
        cases = (
            ("one by one", one_by_one, {}),
            ("together", together, {}),
            ("one by one, without a rate", one_by_one, {"COATCHECK_GITHUB_ACTIONS_RATE": "none"}),
            ("one by one, each every 12 s, without a rate", every_12, {"COATCHECK_GITHUB_ACTIONS_RATE": "none"}),
        )
        for name, wait, options in cases:
            randomness = random.Random(7)
            github, refs = github_with_runs(clock, randomness)
            started = time.process_time()
            async with client_of(github, clock, randomness, **options) as client:
                ended = await wait(client, refs)
            report(name, github, ended, time.process_time() - started)

    run(watch)
    print(
        f"goals: at least {FREE_GOAL:g} % of polls 304, under {SHARE_GOAL:g} % of the reference. GitHub allows {SECONDARY} points "
        "a minute, which the first two keep: fewer polls also means that fewer of them can be free"
    )


if __name__ == "__main__":
    main()
