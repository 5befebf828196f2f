"""Measure ten thousand tasks awaited through list pages: CPU of a task over its whole life, memory, stalls.

The server is another process. Tasks end one after the other over some rounds; each end is one look of its own.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from loopback import LAST_SECONDS, http

from coatcheck import AsyncClient, TaskRef
from coatcheck._store.journal import NoJournal

TASKS = 10_000
LIFE = 20.0  # seconds until the last task has ended
INTERVAL = 2.0  # ten rounds; a schedule makes 15 looks of a task's life
CPU_GOAL_MS, STALL_GOAL_MS, MEMORY_GOAL_MB = 0.5, 100.0, 10.0


def item(number: int, *, is_done: bool) -> bytes:
    """Return one item of a list page, with what the service always sends."""
    status = "completed" if is_done else "in_progress"
    turn = {"turn_status": status, "diff_stats": None, "sibling_turn_ids": []}
    display = {"latest_turn_status_display": turn, "environment_label": "owner/repo", "branch_name": "main"}
    fields = {"id": f"task_e_{number:032x}", "title": f"Task {number}", "created_at": 1790723650.38}
    return json.dumps(
        {**fields, "archived": False, "has_unread_turn": False, "task_status_display": display, "pull_requests": []}
    ).encode()


def details(number: int) -> bytes:
    """Return a small details answer of a task that has ended."""
    turn = {"id": f"t~assttrn_e_{number}", "turn_status": "completed", "output_items": []}
    task = {"id": f"task_e_{number:032x}", "title": f"Task {number}", "created_at": 1790723650.38}
    return json.dumps({"task": task, "current_assistant_turn": turn}).encode()


class Lists(asyncio.Protocol):
    """Answers list pages of `size` and details; task n has ended after its share of `LIFE`."""

    size = 100
    started = 0.0
    running: tuple[bytes, ...] = ()
    done: tuple[bytes, ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for head in heads:
            self.transport.write(http(self.answer(head.split(b" ", 2)[1])))  # type: ignore[attr-defined]

    def answer(self, path: bytes) -> bytes:
        """Return the body for *path*."""
        if b"/tasks/list" not in path:
            return details(int(path.rpartition(b"_")[2], 16))
        start = int(path.rpartition(b"cursor=")[2]) if b"cursor=" in path else 0
        ended = int((time.time() - self.started) / LIFE * TASKS)
        chosen = range(start, min(TASKS, start + self.size))
        items = b",".join(self.done[n] if n % 100 * 100 + n // 100 < ended else self.running[n] for n in chosen)
        more = b',"cursor":"%d"' % (start + self.size) if start + self.size < TASKS else b""
        return b'{"items":[%s]%s}' % (items, more)


def _serve(pipe: Connection, size: int) -> None:
    Lists.size = size
    Lists.running = tuple(item(n, is_done=False) for n in range(TASKS))
    Lists.done = tuple(item(n, is_done=True) for n in range(TASKS))

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Lists, "127.0.0.1", 0)
        Lists.started = time.time()
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.sleep(LAST_SECONDS)

    asyncio.run(main())


@contextmanager
def lists(size: int) -> Iterator[str]:
    """Serve lists with pages of *size*; gives the base URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, size), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/backend-api"
    finally:
        process.kill()
        process.join()


def memory() -> float:
    """Return the resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def crowd(url: str) -> tuple[float, float, float, int]:
    """Wait for everybody; return CPU ms a task, worst stall in ms, MB above the start, and how many came back."""
    worst, most, count = 0.0, 0.0, 0

    async def watch() -> None:
        nonlocal worst, most
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            worst, most = max(worst, (time.perf_counter() - started - 0.005) * 1000), max(most, memory())

    async with AsyncClient(
        "codex", base_url=url, token="t", environ={"COATCHECK_LEARN": "off"}, journal=NoJournal()
    ) as client:
        await client.get_page()
        before, cpu = memory(), time.process_time()
        watcher = asyncio.create_task(watch())
        refs = [TaskRef("codex", f"task_e_{n:032x}") for n in range(TASKS)]
        async for _ in client.poll_tasks(refs, interval=INTERVAL, timeout=120):
            count += 1
        used = (time.process_time() - cpu) / TASKS * 1000
        watcher.cancel()
    return used, worst, most - before, count


def main() -> None:
    """Print the figures beside their goals."""
    for size, name in ((100, "100 a page"), (20, "20 a page, as WHAM has them")):
        with lists(size) as url:
            used, worst, grown, count = asyncio.run(crowd(url))
        goals = f" (goals: {CPU_GOAL_MS}, {STALL_GOAL_MS:g}, {MEMORY_GOAL_MB:g})" if size == 100 else ""
        print(
            f"{count} tasks through the list, {name}: {used:.2f} ms CPU a task in its whole life, "
            f"worst stall {worst:.0f} ms, {grown:.0f} MB above the start{goals}"
        )


if __name__ == "__main__":
    main()
