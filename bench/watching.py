"""Count what watching a thousand Jules sessions costs: Google's own `stream()` for each, and `watch_tasks` for all.

Both watch the same emulator in a process of its own, over loopback, and receive the same activities. The clock of
sessions and clients runs many times as fast as real time, so that minutes fit into seconds; requests take real time and
therefore weigh more than they would.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
from loopback import LAST_SECONDS, http

from coatcheck import AsyncClient
from coatcheck._model.events import StateEvent
from coatcheck._protocol.effects import Request
from coatcheck._store.journal import NoJournal
from coatcheck.testing import JulesEmulator
from coatcheck.testing.emulators.jules_scripts import COMPLETED, Act, Life, Order, approved, plan, progress

HERE = Path(__file__).parent
MODULES = HERE.parent / ".venv/peers/node/node_modules"

SESSIONS = 1000
# Half of a healthy agent's activities come within 26 s of the previous one (docs/reference/protocols/jules.md, 3.1).
ACTIVITY_SECONDS = 26.0
# Activities of an agent at work: sessions then take 6 to 13 minutes, of the reported 5 to 60
# (docs/reference/protocols/jules.md, 3.2).
PROGRESS_COUNTS, OTHER_ACTS = range(9, 26), 5
GOAL = 0.1
# The speed of the clock: the requests of Google's client keep two processes busy (2,000 a second on two cores, measured
# 2026-11-20), and one of our poll rounds must be short in comparison with its interval.
THEIR_SCALE, OUR_SCALE = 16.0, 40.0
THEIR_PROCESSES = 2
LONGEST = 80.0  # seconds for either


class FastClock:
    """Time that runs *scale* times as fast since *origin*."""

    def __init__(self, origin: float, scale: float) -> None:
        self.origin, self.scale = origin, scale

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self.origin + (time.time() - self.origin) * self.scale

    monotonic = time

    def sleep(self, seconds: float) -> None:
        """Wait, blocking."""
        time.sleep(seconds / self.scale)

    async def asleep(self, seconds: float) -> None:
        """Wait, asynchronously."""
        await asyncio.sleep(seconds / self.scale)


def lives() -> Iterator[Life]:
    """Yield a script for each session: every act but the first is an activity, three of them have a new state."""
    for number in range(SESSIONS):
        count = PROGRESS_COUNTS[number % len(PROGRESS_COUNTS)]

        def life(order: Order, count: int = count) -> tuple[Act, ...]:
            del order
            begun = (
                Act(),
                Act(state="PLANNING", activity=progress("Cloned the repository")),
                Act(activity=plan("Do it")),
            )
            works = (Act(state="IN_PROGRESS", activity=approved()), *[Act(activity=progress("Worked"))] * count)
            return (*begun, *works, Act(state="COMPLETED", activity=COMPLETED))

        yield life


ACTS = sum(OTHER_ACTS + PROGRESS_COUNTS[number % len(PROGRESS_COUNTS)] for number in range(SESSIONS))
ACTIVITIES = ACTS - SESSIONS


class Jules(asyncio.Protocol):
    """The emulator at a socket, without what a web server costs."""

    emulator: JulesEmulator

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the responses."""
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request; none of them has a body."""
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for head in heads:
            response = self.emulator.handle(read(head.decode()))
            assert response.status == 200, response
            self.transport.write(http(response.body))  # type: ignore[attr-defined]


def read(head: str) -> Request:
    """Return the request of a head."""
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Request(method, parts.path, query=tuple(parse_qsl(parts.query)), headers=headers)


def _serve(pipe: Connection, origin: float, scale: float) -> None:
    emulator = Jules.emulator = JulesEmulator(clock=FastClock(origin, scale), step_seconds=ACTIVITY_SECONDS)
    for emulator.life in lives():
        body = {"prompt": "Do it", "sourceContext": CONTEXT}
        headers = (("x-goog-api-key", emulator.token),)
        emulator.handle(Request("POST", "/v1alpha/sessions", headers=headers, body=msgspec.json.encode(body)))
    emulator.requests.clear()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Jules, "127.0.0.1", 0, backlog=1024)
        pipe.send((server.sockets[0].getsockname()[1], emulator.token, emulator.tasks))
        await loop.run_in_executor(None, pipe.poll, LAST_SECONDS)
        pipe.send({name: len(emulator.seen(name)) for name in ("list_tasks", "get_task", "list_activities")})

    asyncio.run(main())


CONTEXT = {"source": "sources/github/owner/repo", "githubRepoContext": {"startingBranch": "main"}}


class Served(msgspec.Struct):
    """The address of a server and, once it has stopped, the requests that it counted."""

    url: str
    token: str
    ids: tuple[str, ...]
    clock: FastClock
    counted: Mapping[str, int] = {}


@contextmanager
def served(scale: float) -> Iterator[Served]:
    """Serve a thousand sessions that start now."""
    ours, theirs = multiprocessing.Pipe()
    clock = FastClock(time.time(), scale)
    arguments = (theirs, clock.origin, scale)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        port, token, ids = ours.recv()
        server = Served(f"http://127.0.0.1:{port}/v1alpha", token, ids, clock)
        yield server
        ours.send("count")
        server.counted = ours.recv()
    finally:
        process.kill()
        process.join()


def theirs(server: Served) -> tuple[int, float]:
    """Let Google's client stream every session; return how many events it got, and their mean delay in seconds."""
    shares = [server.ids[number::THEIR_PROCESSES] for number in range(THEIR_PROCESSES)]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(partial(streamed, server), shares))
    events = sum(count for count, _ in results)
    return events, sum(count * late for count, late in results) / events


def streamed(server: Served, ids: Sequence[str]) -> tuple[int, float]:
    """Let one process of Google's client stream its share."""
    clock = server.clock
    arguments = (str(MODULES), server.url, server.token, str(clock.origin), str(clock.scale))
    command = ["node", str(HERE / "watching.mjs"), *arguments]
    listed = json.dumps(ids).encode()
    result = json.loads(subprocess.run(command, input=listed, capture_output=True, timeout=LONGEST, check=True).stdout)
    return result["events"], result["late"]


async def ours(server: Served, interval: float | None) -> tuple[int, float, float]:
    """Watch every session; return how many activities came, and the mean delays of activities and of states."""
    late: dict[bool, list[float]] = {True: [], False: []}
    clock = server.clock
    options = {"token": server.token, "environ": {"COATCHECK_LEARN": "off"}, "journal": NoJournal(), "clock": clock}
    async with AsyncClient("jules", base_url=server.url, **options) as client, asyncio.timeout(LONGEST):  # type: ignore[arg-type]
        async for event in client.watch_tasks(server.ids, interval=interval):
            if event.at is not None:
                late[isinstance(event, StateEvent)].append(clock.time() - event.at.timestamp())
    return len(late[False]), mean(late[False]), mean(late[True])


# The intervals that are measured, with their names.
WAYS: Mapping[float | None, str] = {None: "default schedule", 5.0: "the list every 5 s"}


async def all_ways() -> list[tuple[int, int, float, float]]:
    """Watch a thousand sessions of its own in each way, and return the requests and what `ours` does."""

    async def one(interval: float | None) -> tuple[int, int, float, float]:
        with served(OUR_SCALE) as server:
            result = await ours(server, interval)
        return sum(server.counted.values()), *result

    return await asyncio.gather(*map(one, WAYS))


def mean(values: list[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def main() -> None:
    """Print the figures beside their goal."""
    if shutil.which("node") is None or not MODULES.is_dir():
        print("Google's client is not installed: run `make peers` once")
        return
    with served(THEIR_SCALE) as server:
        events, late = theirs(server)
    stream = sum(server.counted.values())
    print(
        f"{SESSIONS} sessions of {ACTS * ACTIVITY_SECONDS / SESSIONS / 60:.0f} minutes in the mean, {ACTIVITIES} activities"
    )
    print(
        f"Google's stream() for each, a request every {ACTS * ACTIVITY_SECONDS / stream:.1f} s (5 s between, its default): "
        f"{stream} requests, {events} activities, {late:.0f} s late"
    )
    for (interval, words), (count, events, late, state) in zip(WAYS.items(), asyncio.run(all_ways()), strict=True):
        goal = f" (goal: {GOAL})" if interval is None else ""
        print(
            f"watch_tasks, {words}: {count} requests, {events} activities, {late:.0f} s late, states {state:.0f} s late; "
            f"{count / stream:.3f} of the requests{goal}"
        )


if __name__ == "__main__":
    main()
