"""Measure waiting: one look against the bare transport, and ten thousand waits in one client.

The figures are CPU of this process (the server is another one). The bare transport is the yardstick in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from pathlib import Path

from coatcheck import AsyncClient, Client
from coatcheck._protocol.effects import Request
from coatcheck._runtime.journal import NoJournal
from coatcheck._runtime.transport import ReqwestTransport
from loopback import serving

TASKS = 10_000
INTERVAL = 5.0
SECONDS = 20.0  # of steady polling
LOOKS = 2_000
ROUNDS = 7

CPU_GOAL_US, MEMORY_GOAL_MB, STALL_GOAL_MS, LOOK_GOAL = 150.0, 50.0, 100.0, 1.5


def details(status: str) -> bytes:
    """Return a small details answer, as the service sends it for a task without results."""
    turn = {"id": "task_e_1~assttrn_e_1", "turn_status": status, "output_items": [], "attempt_placement": None}
    display = {"latest_turn_status_display": {"turn_status": status, "diff_stats": None}, "environment_label": "o/r"}
    task = {"id": "task_e_1", "title": "Add dark mode", "created_at": 1790723650.38, "task_status_display": display}
    return json.dumps({"task": task, "current_assistant_turn": turn, "current_user_turn": None}).encode()


def look(url: str) -> tuple[float, float]:
    """Return the CPU of one `get_task`, and of the same request made with the bare transport, in µs."""
    headers = (("authorization", "Bearer t"), ("user-agent", "bench"), ("accept", "application/json"))
    request = Request("GET", "/wham/tasks/t", url=f"{url}/backend-api/wham/tasks/t", headers=headers)
    bare = ReqwestTransport()
    client = Client("codex", base_url=f"{url}/backend-api", token="t", environ={}, journal=NoJournal())
    acts = {"get_task": lambda: client.get_task("task_e_1"), "bare": lambda: bare.send(request)}
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            started = time.process_time()
            for _ in range(LOOKS // ROUNDS):
                act()
            times[name].append((time.process_time() - started) / (LOOKS // ROUNDS) * 1e6)
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


async def crowd(url: str) -> dict[str, float]:
    """Let ten thousand tasks be awaited and return what that costs once all of them wait."""
    polls = 0
    async with AsyncClient("codex", base_url=f"{url}/backend-api", token="t", environ={}, journal=NoJournal()) as client:
        await client.get_task("task_e_1")
        before = memory()
        stalls = Stalls()
        watcher = asyncio.create_task(stalls.watch())
        send = client._transport.send

        async def counted(request: Request) -> object:
            nonlocal polls
            polls += 1
            return await send(request)

        client._opened[1]._transport.send = counted
        waits = [
            asyncio.create_task(client.poll_task(f"task_e_{n}", interval=INTERVAL, timeout=None)) for n in range(TASKS)
        ]
        while polls < TASKS:  # the start: everybody looks once, 32 at a time
            await asyncio.sleep(0.1)
        polls, stalls.worst, cpu, started = 0, 0.0, time.process_time(), time.perf_counter()
        await asyncio.sleep(SECONDS)
        used, wall, seen = time.process_time() - cpu, time.perf_counter() - started, polls
        after = memory()
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, watcher, return_exceptions=True) if watcher.cancel() else None
    return {"us": used / seen * 1e6, "per_s": seen / wall, "mb": after - before, "stall": stalls.worst}


def main() -> None:
    """Print the figures beside their goals."""
    with serving(details("in_progress")) as url:
        ours, bare = look(url)
        print(f"one get_task: {ours:.0f} µs CPU, bare transport {bare:.0f} µs: {ours / bare:.2f} x (goal: {LOOK_GOAL})")
        figures = asyncio.run(crowd(url))
    print(
        f"{TASKS} waits, every {INTERVAL:g} s: {figures['us']:.0f} µs CPU a poll (goal: {CPU_GOAL_US:g}), "
        f"{figures['per_s']:.0f} polls/s, {figures['mb']:.0f} MB above the start (goal: {MEMORY_GOAL_MB:g}), "
        f"worst stall {figures['stall']:.0f} ms (goal: {STALL_GOAL_MS:g})"
    )


if __name__ == "__main__":
    main()
