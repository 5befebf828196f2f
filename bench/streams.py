"""Measure the event streams of the local cloud: 1,000 readers on one server, 100 events a second, each to ten of them.

The server is a process of its own; its events take the way of an agent's output, through the store to the readers of
their task. A reader is behind by the time between an event's creation and its arrival (goal: at most 1 s). Memory is
that of the server above what it has with ten readers of the same rate of events (goal: at most 60 MB).
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from coatcheck import Client, TaskLog, TaskRef
from coatcheck.cloud import launcher

READERS, TASKS = 1000, 100
RATE, SECONDS = 100, 10.0
LAG_GOAL, MEMORY_GOAL = 1.0, 60.0
FILES = 4 * READERS
SETTLE = 2.0  # seconds after the last event in which it may arrive


def memory() -> float:
    """Return the resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve(pipe: Connection, folder: Path) -> None:
    """Run a server. Each message on *pipe* is a list of tasks: send events of them, then return the memory at its most."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    options = launcher.ServeOptions(
        environments=(launcher.environment("o/r", folder / "repository", environ=environ),),
        command=("sleep", "600"),
        data=folder / "cloud",
        max_parallel=1,
        environ=environ,
    )
    options.data.mkdir()
    with ExitStack() as stack:
        store = launcher._open_store(options.data, stack, None)  # noqa: SLF001 - the parts of `running`
        cloud = launcher._cloud(options, store)  # noqa: SLF001 - the parts of `running`
        stack.callback(cloud.close)
        cloud.start()
        record = launcher._serve(options, store, cloud, stack)  # noqa: SLF001 - the parts of `running`
        pipe.send((record.url, record.token))
        while tasks := pipe.recv():
            refs, most, end = cycle(TaskRef("local", task) for task in tasks), 0.0, time.monotonic() + SECONDS
            while time.monotonic() < end:
                cloud.feed.add([TaskLog(ref=next(refs), text=repr(time.time()), attempt=1)])
                most = max(most, memory())
                time.sleep(1 / RATE)
            pipe.send(most)


async def read(port: int, token: str, task: str, lags: list[float]) -> None:
    """Read the stream of *task* and note by how much each event is late that is created from now on."""
    began = time.time()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /tasks/{task}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    while line := await reader.readline():
        if line.startswith(b"data: ") and b"task.log" in line:
            created = float(json.loads(line[6:])["text"])
            lags += [time.time() - created] if created > began else []
    raise SystemExit("a reader was disconnected")


async def measured(pipe: Connection, url: str, token: str, tasks: list[str], readers: int) -> tuple[list[float], float]:
    """Return by how much each event was late for *readers*, and the memory of the server at its most."""
    lags: list[float] = []
    port, which = urlsplit(url).port or 0, cycle(tasks)
    reading = [asyncio.ensure_future(read(port, token, next(which), lags)) for _ in range(readers)]
    await asyncio.sleep(SETTLE)
    pipe.send(tasks)
    most = await asyncio.to_thread(pipe.recv)
    await asyncio.sleep(SETTLE)
    for each in reading:
        if each.done():
            each.result()
        each.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    return lags, most


def main() -> None:
    """Print the figures."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard == resource.RLIM_INFINITY else min(FILES, hard), hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git = ["git", "-C", str(folder / "repository"), "-c", "user.name=b", "-c", "user.email=b@example.com"]
        subprocess.run(["git", "init", "-q", str(folder / "repository")], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, folder))
        server.start()
        url, token = ours.recv()
        with Client("local", base_url=url, token=token, environ={"COATCHECK_STATE_HOME": str(folder)}) as client:
            tasks = [client.create_task(f"Do {n}", environment="o/r").ref.id for n in range(TASKS)]
        start = 0.0
        for readers in (READERS // TASKS, READERS):
            # Ten readers of one task, then ten of each of them.
            lags, most = asyncio.run(measured(ours, url, token, tasks[: readers // 10], readers))
            start = start or most
            print(
                f"{readers} readers: {len(lags) / 10 / SECONDS:.0f} events a second to ten readers each; behind by "
                f"{median(lags):.3f} s in the median, {max(lags):.3f} s at most (goal: {LAG_GOAL:g} s); "
                f"{most - start:.0f} MB above ten readers (goal: at most {MEMORY_GOAL:g})"
            )
        ours.send([])
        server.join()


if __name__ == "__main__":
    sys.exit(main())
