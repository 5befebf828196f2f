"""Measure ten thousand tasks awaited through list pages: CPU of a task over its whole life, memory, stalls.

The server is another process. Tasks end one after another during several rounds; each end is one more request. The
baseline, measured in the same run, makes the same requests with the bare transport and reads ids and states alone.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
from loopback import LAST_SECONDS, http

from coatcheck import AsyncClient, TaskRef
from coatcheck._protocol.effects import Request
from coatcheck._runtime.transport import AsyncReqwestTransport
from coatcheck._store.journal import NoJournal

TASKS = 10_000
LIFE = 20.0  # seconds until the last task has ended
INTERVAL = 2.0  # ten rounds; a schedule polls a task 15 times in its life
BATCH = 32  # requests at once, as a client allows itself
GOAL = 2.0  # the client's CPU, in multiples of the baseline's
HEADERS = (("authorization", "Bearer t"), ("user-agent", "bench"), ("accept", "application/json"))


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


class ListServer(asyncio.Protocol):
    """Answers list pages of `size` and details; task n has ended after its share of `LIFE`."""

    size = 100
    started = 0.0
    running: tuple[bytes, ...] = ()
    done: tuple[bytes, ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
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
    ListServer.size = size
    ListServer.running = tuple(item(n, is_done=False) for n in range(TASKS))
    ListServer.done = tuple(item(n, is_done=True) for n in range(TASKS))

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(ListServer, "127.0.0.1", 0)
        ListServer.started = time.time()
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


class Item(msgspec.Struct):
    """What a batch poller must read of a task in a list page: its id and its state."""

    id: str
    task_status_display: dict[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether the task has ended."""
        return bool(self.task_status_display["latest_turn_status_display"]["turn_status"] == "completed")


class Items(msgspec.Struct):
    """A list page."""

    items: list[Item]
    cursor: str | None = None


class Baseline:
    """A batch poller without the library: the same requests through the bare transport, and no task is built."""

    def __init__(self, url: str) -> None:
        self._url, self._transport = url, AsyncReqwestTransport()
        self._running = {f"task_e_{number:032x}" for number in range(TASKS)}
        self._decoder = msgspec.json.Decoder(Items)

    async def run(self) -> int:
        """Poll until every task has ended, and return how many have."""
        while self._running:
            cursor: str | None = ""
            while cursor is not None and self._running:
                page = self._decoder.decode(await self._get(f"/wham/tasks/list?cursor={cursor or 0}"))
                cursor = page.cursor
                await self._end([item.id for item in page.items if item.has_ended and item.id in self._running])
            await asyncio.sleep(INTERVAL)
        await self._transport.aclose()
        return TASKS

    async def _end(self, ids: list[str]) -> None:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            await asyncio.gather(*(self._get(f"/wham/tasks/{id}") for id in batch))
            self._running.difference_update(batch)

    async def _get(self, path: str) -> bytes:
        response = await self._transport.send(Request("GET", path, url=self._url + path, headers=HEADERS))
        return response.body


async def with_client(url: str) -> int:
    """Wait for every task with a client, and return how many ended."""
    async with AsyncClient(
        "codex", base_url=url, token="t", environ={"COATCHECK_LEARN": "off"}, journal=NoJournal()
    ) as client:
        refs = [TaskRef("codex", f"task_e_{number:032x}") for number in range(TASKS)]
        return len([task async for task in client.poll_tasks(refs, interval=INTERVAL, timeout=120)])


async def without_client(url: str) -> int:
    """Do the same with the bare transport."""
    return await Baseline(url).run()


class Figures(msgspec.Struct):
    """CPU of one task in its whole life (ms), the longest stall of the event loop (ms), memory above the start (MB)."""

    cpu: float
    stall: float
    memory: float
    count: int


async def measured(poll: Callable[[str], Awaitable[int]], url: str) -> Figures:
    """Return what polling costs."""
    figures = Figures(0.0, 0.0, 0.0, 0)
    before, cpu = memory(), time.process_time()

    async def watch() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            figures.stall = max(figures.stall, (time.perf_counter() - started - 0.005) * 1000)
            figures.memory = max(figures.memory, memory() - before)

    watcher = asyncio.create_task(watch())
    figures.count = await poll(url)
    figures.cpu = (time.process_time() - cpu) / TASKS * 1000
    watcher.cancel()
    return figures


def in_a_process(poll: Callable[[str], Awaitable[int]], size: int) -> Figures:
    """Measure in a process of its own, against a server of its own."""
    with lists(size) as url, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (poll, url))


def _run(poll: Callable[[str], Awaitable[int]], url: str) -> Figures:
    return asyncio.run(measured(poll, url))


def main() -> None:
    """Print the figures beside their goals."""
    for size, name in ((100, "100 a page"), (20, "20 a page, as WHAM has them")):
        client, baseline = in_a_process(with_client, size), in_a_process(without_client, size)
        goal = f" (goal: {GOAL:g})" if size == 100 else ""
        print(
            f"{client.count} tasks through the list, {name}: {client.cpu:.2f} ms CPU a task in its whole life, "
            f"baseline {baseline.cpu:.2f} ms: {client.cpu / baseline.cpu:.2f} x{goal}"
        )
        print(
            f"  memory above the start: {client.memory:.0f} MB, baseline {baseline.memory:.0f} MB; "
            f"longest stall of the event loop: {client.stall:.0f} ms, baseline {baseline.stall:.0f} ms"
        )


if __name__ == "__main__":
    main()
