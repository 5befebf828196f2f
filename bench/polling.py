"""Measure waiting: one `get_task` against the bare transport, and ten thousand waits in one client.

The figures are CPU of the process that waits (the server is another one), beside those of a baseline in the same run:
the bare transport for one request, and ten thousand asyncio tasks that send and sleep, and read nothing. The baseline's
tasks wake one by one; a client's sleeps end together (`_runtime/system_clock.py`).

Client and baseline wait in processes of their own, in turns, and the least CPU of each is printed: what else the machine
does between two processes changes a single run by a third.

`get_task` is measured in the main thread, where a signal must be able to cancel a request (`_runtime/interrupts.py`),
and in another one.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loopback import serving

from coatcheck import AsyncClient, Client
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport
from coatcheck._store.journal import NoJournal

TASKS = 10_000
INTERVAL = 5.0
SECONDS = 20.0  # of steady polling
START = 60.0  # seconds in which each task must have been polled once
IN_FLIGHT = 32  # what a client allows itself
CALLS = 2_000
RUNS = 2  # of each side of the comparison of waits
# Goals, in multiples of the baseline's CPU.
CALL_GOAL, WAITS_GOAL = 1.4, 1.2


def details(status: str) -> bytes:
    """Return a small details answer, as the service sends it for a task without results."""
    turn = {"id": "task_e_1~assttrn_e_1", "turn_status": status, "output_items": [], "attempt_placement": None}
    display = {"latest_turn_status_display": {"turn_status": status, "diff_stats": None}, "environment_label": "o/r"}
    task = {"id": "task_e_1", "title": "Add dark mode", "created_at": 1790723650.38, "task_status_display": display}
    return json.dumps({"task": task, "current_assistant_turn": turn, "current_user_turn": None}).encode()


def one_call(url: str) -> tuple[float, float]:
    """Return the CPU of one `get_task`, and of the same request made with the bare transport, in µs."""
    headers = (("authorization", "Bearer t"), ("user-agent", "bench"), ("accept", "application/json"))
    request = Request("GET", "/wham/tasks/t", url=f"{url}/backend-api/wham/tasks/t", headers=headers)
    bare = ReqwestTransport()
    client = Client(
        "codex", base_url=f"{url}/backend-api", token="t", environ={"COATCHECK_LEARN": "off"}, journal=NoJournal()
    )
    calls = {"get_task": lambda: client.get_task("task_e_1"), "bare": lambda: bare.send(request)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS):  # in turns, since the transport's threads cost twice as much when they are woken from sleep
        for name, call in calls.items():
            started = time.process_time()
            call()
            times[name].append((time.process_time() - started) * 1e6)
    client.close()
    bare.close()
    return statistics.median(times["get_task"]), statistics.median(times["bare"])


def memory() -> float:
    """Return the resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Stalls:
    """The longest time that the event loop did nothing else."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        """Wake every 5 ms and note how late that was."""
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, (time.perf_counter() - started - 0.005) * 1000)


class Counted:
    """A transport that counts what it sends."""

    def __init__(self, transport: AsyncReqwestTransport) -> None:
        self._transport = transport
        self.polls = 0
        self.all_polled = asyncio.Event()

    async def send(self, request: Request) -> Response:
        """Count and send."""
        self.polls += 1
        if self.polls >= TASKS:
            self.all_polled.set()
        return await self._transport.send(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


async def many_waits(wait: Callable[[int], Awaitable[object]], transport: Counted) -> dict[str, float]:
    """Let ten thousand waits run and return what they cost once all of them wait."""
    first = asyncio.ensure_future(wait(TASKS))
    await asyncio.sleep(1)  # imports, connections
    before, stalls = memory(), Stalls()
    watcher = asyncio.ensure_future(stalls.watch())
    waits = [first, *(asyncio.ensure_future(wait(number)) for number in range(TASKS))]
    async with asyncio.timeout(START):
        await transport.all_polled.wait()  # the start: each is polled once, 32 at a time
    await asyncio.sleep(INTERVAL)
    transport.polls, stalls.worst, cpu, started = 0, 0.0, time.process_time(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    used, wall, seen = time.process_time() - cpu, time.perf_counter() - started, transport.polls
    after = memory()
    for task in (*waits, watcher):
        task.cancel()
    await asyncio.gather(*waits, watcher, return_exceptions=True)
    return {"us": used / seen * 1e6, "per_s": seen / wall, "mb": after - before, "stall": stalls.worst}


async def with_client(url: str) -> dict[str, float]:
    """Wait with one client."""
    transport = Counted(AsyncReqwestTransport())
    base = f"{url}/backend-api"
    async with AsyncClient(
        "codex", base_url=base, token="t", environ={"COATCHECK_LEARN": "off"}, journal=NoJournal(), transport=transport
    ) as client:
        return await many_waits(
            lambda number: client.poll_task(f"task_e_{number}", interval=INTERVAL, timeout=None), transport
        )


async def without_client(url: str) -> dict[str, float]:
    """Wait with nothing but the transport: the same requests, the same pauses, the answers are not read."""
    transport, slots = Counted(AsyncReqwestTransport()), asyncio.Semaphore(IN_FLIGHT)

    async def wait(number: int) -> None:
        headers = (("authorization", "Bearer t"), ("user-agent", "bench"), ("accept", "application/json"))
        path = f"/wham/tasks/task_e_{number}"
        phase, task = 0.5, asyncio.current_task()
        while task and not task.cancelling():  # pyreqwest 0.15 swallows one cancellation in a hundred
            async with slots:
                await transport.send(Request("GET", path, url=f"{url}/backend-api{path}", headers=headers))
            await asyncio.sleep(INTERVAL * (phase + random.random() * (1.1 - phase)))
            phase = 0.9

    figures = await many_waits(wait, transport)
    await transport.aclose()
    return figures


def measured(waits: Callable[[str], Awaitable[dict[str, float]]], url: str) -> dict[str, float]:
    """Return the figures of *waits*, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (waits, url))


def _run(waits: Callable[[str], Awaitable[dict[str, float]]], url: str) -> dict[str, float]:
    return asyncio.run(waits(url))


def main() -> None:
    """Print the figures beside their goals."""
    with serving(details("in_progress")) as url:
        for place in ("main thread", "other thread"):
            with ThreadPoolExecutor(1) as pool:
                call, bare = one_call(url) if place == "main thread" else pool.submit(one_call, url).result()
            ratio = f"{call / bare:.2f} x (goal: {CALL_GOAL})"
            print(f"one get_task, {place}: {call:.0f} µs CPU, bare transport {bare:.0f} µs: {ratio}")
        runs = [(measured(with_client, url), measured(without_client, url)) for _ in range(RUNS)]
    client, baseline = (min(side, key=lambda figures: figures["us"]) for side in zip(*runs, strict=True))
    for name, figures in (("client", client), ("baseline", baseline)):
        print(
            f"{TASKS} waits, every {INTERVAL:g} s, {name:8}: {figures['us']:4.0f} µs CPU a poll, "
            f"{figures['per_s']:.0f} polls/s, {figures['mb']:3.0f} MB above the start, longest stall {figures['stall']:.0f} ms"
        )
    print(f"the client's CPU is {client['us'] / baseline['us']:.2f} x the baseline's (goal: {WAITS_GOAL})")


if __name__ == "__main__":
    main()
