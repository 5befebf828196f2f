"""Count what it costs to watch a thousand workflow runs for ten minutes, on a GitHub in this process.

Time is made up: whenever everybody waits, the clock goes on to the next alarm. Runs are queued for half a minute at most
and take 2 to 20 minutes, so half of them end under our eyes. What GitHub counts is what its emulator counts: a poll
answered 304 is free of the hourly limit; every poll is a point of the secondary one (services.md 1.4).
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
YARDSTICK = RUNS * WATCHED / 5  # one poll a run every five seconds
FREE_GOAL, SHARE_GOAL = 90.0, 50.0  # percent
SECONDARY = 900  # points a minute (services.md 1.4)

BASE = "http://127.0.0.1:9"
HEADERS = (("user-agent", "bench"), ("authorization", f"Bearer {GithubEmulator().token}"))


class MadeUpTime(selectors.DefaultSelector):
    """A selector that never waits: it lets the time go by instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return at once."""
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class Clock:
    """The time of an event loop, for clients and their service."""

    def __init__(self, selector: MadeUpTime) -> None:
        self._selector = selector

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return 1_790_000_000.0 + self._selector.now

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._selector.now

    def sleep(self, seconds: float) -> None:
        """Nobody blocks here."""
        raise NotImplementedError

    async def asleep(self, seconds: float) -> None:
        """Let time go by."""
        await asyncio.sleep(seconds)


def run(main: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in made-up time."""
    selector = MadeUpTime()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        loop.run_until_complete(main(Clock(selector)))
    finally:
        loop.close()


def github_with_runs(clock: Clock, dice: random.Random) -> tuple[GithubEmulator, list[TaskRef]]:
    """Return a GitHub whose thousand runs have just been dispatched."""
    github = GithubEmulator(clock=clock)
    body = msgspec.json.encode({"ref": "main", "inputs": {"prompt": "p", "task_id": "t"}})
    for _ in range(RUNS):
        queued, running = dice.uniform(5, 30), dice.uniform(120, 1200)
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


def client_of(github: GithubEmulator, clock: Clock, dice: random.Random, **options: Any) -> AsyncClient:
    """Return a client of that GitHub."""
    provider = ActionsProvider(Service(base_url=BASE, api_version="2026-03-10", repository="owner/repo"))
    return AsyncClient(
        provider,
        token=github.token,
        clock=clock,
        random=dice.random,
        journal=NoJournal(),
        environ={"COATCHECK_LEARN": "off", **options},
        transport=AsyncEmulatorTransport(github),
    )


async def one_by_one(client: AsyncClient, refs: list[TaskRef], interval: float | None = None) -> int:
    """Wait for each run by itself, all at once; return how many ended."""
    waits = (client.poll_task(ref, timeout=WATCHED, interval=interval) for ref in refs)
    ended = await asyncio.gather(*waits, return_exceptions=True)
    wrong = [each for each in ended if isinstance(each, Exception) and not isinstance(each, errors.WaitTimeoutError)]
    if wrong:
        raise wrong[0]
    return sum(not isinstance(each, Exception) for each in ended)


async def every_12(client: AsyncClient, refs: list[TaskRef]) -> int:
    """Wait for each run by itself, looking every twelve seconds."""
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
    """Print what was asked, and return how much of it was free and how much it is of the yardstick, in percent."""
    meter = github.meter
    looks = len(github.seen("get_task"))
    free, share = 100 * meter.free / meter.polls, 100 * len(github.requests) / YARDSTICK
    print(
        f"{name}: {len(github.requests)} requests ({looks} looks at a run), {free:.1f} % of polls 304, {meter.counted} counted; "
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
            dice = random.Random(7)
            github, refs = github_with_runs(clock, dice)
            started = time.process_time()
            async with client_of(github, clock, dice, **options) as client:
                ended = await wait(client, refs)
            report(name, github, ended, time.process_time() - started)

    run(watch)
    print(
        f"goals: at least {FREE_GOAL:g} % of polls 304, under {SHARE_GOAL:g} % of the yardstick. GitHub allows {SECONDARY} points "
        "a minute, which the first two keep: who asks less has fewer polls that could be free"
    )


if __name__ == "__main__":
    main()
