"""Measure the page of `coatcheck web`: its first view, how soon an event is seen, the memory of open pages, and its files.

The server is `coatcheck web` in a process of its own; the browser is Chromium, headless, on this machine (``make peers``
installs Playwright). The first view is the time from the beginning of a navigation to the first contentful paint.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple
from urllib.parse import urlsplit

from coatcheck import Task, TaskRef, TaskState
from coatcheck._runtime.config import state_dir
from coatcheck._store.history import History
from coatcheck._web.assets import contents

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv" / "peers"
COATCHECK = Path(sys.executable).with_name("coatcheck")

TASKS, ROUNDS, EVENTS, PAGES = 10_000, 15, 10, 50
GOAL_VIEW, GOAL_EVENT, GOAL_MEMORY, GOAL_SCRIPT, GOAL_STYLE = 3.0, 1.0, 50.0, 30_000, 20_000


class Server(NamedTuple):
    """A running server: its process, its link, and the folder of its user."""

    pid: int
    link: str
    folder: str

    @property
    def resident(self) -> float:
        """The memory that it uses (MB)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def task(number: int, state: TaskState = TaskState.SUCCEEDED) -> Task:
    """Return a task."""
    moment = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Task(
        ref=TaskRef("codex", f"task_{number}"),
        state=state,
        title=f"Make part {number} faster",
        prompt="Measure it first. " * 20,
        repository="acme/api",
        created_at=moment,
        updated_at=moment + timedelta(seconds=60),
    )


@contextmanager
def recorded(folder: str) -> Iterator[History]:
    """Open the store of a user."""
    history = History(state_dir({"HOME": folder}))
    try:
        yield history
    finally:
        history.close()


@contextmanager
def serving(tasks: int) -> Iterator[Server]:
    """Serve the page of a store with so many tasks."""
    with tempfile.TemporaryDirectory() as folder:
        Path(state_dir({"HOME": folder})).mkdir(parents=True)
        with recorded(folder) as history:
            history.record_all(task(number) for number in range(tasks))
        environ = {"HOME": folder, "PATH": os.environ["PATH"]}
        command = [str(COATCHECK), "web", "--no-open", "--json"]
        with subprocess.Popen(command, cwd=folder, env=environ, stdout=PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield Server(process.pid, json.loads(process.stdout.readline())["link"], folder)
            finally:
                process.terminate()


@contextmanager
def browsing(servers: Mapping[str, Server]) -> Iterator[subprocess.Popen[str] | None]:
    """Run the browser's side, None where there is no browser."""
    python, chromium = PEERS / "python" / "bin" / "python", shutil.which("chromium", path=f"{PEERS / 'bin'}:/usr/bin")
    if chromium is None or not python.exists():
        yield None
        return
    command = [
        str(python),
        str(HERE / "web_browser.py"),
        chromium,
        str(ROUNDS),
        *(each.link for each in servers.values()),
    ]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield process
        if process.stdin is not None:
            process.stdin.close()


def measure_views(browser: subprocess.Popen[str], servers: Mapping[str, Server]) -> None:
    """Print the first views."""
    assert browser.stdout is not None
    views = [statistics.median(each) for each in json.loads(browser.stdout.readline())]
    empty, full = views
    print(
        f"first view with {TASKS:,} tasks: {full:.0f} ms, {full / empty:.2f} times that of an empty store, "
        f"{empty:.0f} ms (goal {GOAL_VIEW:g} times); medians of {ROUNDS}"
    )
    del servers


def measure_events(browser: subprocess.Popen[str], server: Server) -> None:
    """Print how long an event of another process takes to be seen on an open page."""
    assert browser.stdin is not None
    assert browser.stdout is not None
    delays = []
    with recorded(server.folder) as history:
        for number in range(EVENTS):
            browser.stdin.write("watch\n")
            browser.stdin.flush()
            browser.stdout.readline()
            begun = time.time()
            state = TaskState.FAILED if number % 2 == 0 else TaskState.SUCCEEDED
            history.record(task(TASKS - 1, state))
            delays.append(json.loads(browser.stdout.readline()) / 1000 - begun)
    print(
        f"an event is seen on an open page after {statistics.median(delays):.2f} s, at most {max(delays):.2f} s "
        f"(goal {GOAL_EVENT:g}); {EVENTS} events"
    )


def measure_pages(server: Server, link: str) -> None:
    """Print the memory that open pages need: each has read the list of tasks, and keeps a stream of events."""
    url = urlsplit(link)
    connection = HTTPConnection(url.netloc)
    connection.request("GET", f"{url.path}?{url.query}")
    response = connection.getresponse()
    response.read()
    headers = {"cookie": (response.getheader("set-cookie") or "").partition(";")[0], "accept": "text/html"}
    before = server.resident
    with ExitStack() as stack:
        for _ in range(PAGES):
            connection.request("GET", "/", headers=headers)
            connection.getresponse().read()
            stream = HTTPConnection(url.netloc)
            stack.callback(stream.close)
            stream.request("GET", "/events?after=0", headers=headers)
            stream.getresponse()
        after = server.resident
    print(
        f"{PAGES} open pages: {after - before:.1f} MB (goal {GOAL_MEMORY:g}); the server uses {after:.0f} MB with them"
    )


def main() -> None:
    """Print the figures."""
    with serving(0) as empty, serving(TASKS) as full, browsing({"empty": empty, "full": full}) as browser:
        if browser is None:
            print("first view and events: no browser (make peers installs playwright; apt-get install chromium)")
        else:
            measure_views(browser, {"empty": empty, "full": full})
            assert browser.stdout is not None
            measure_events(browser, full)
            assert browser.stdin is not None
            browser.stdin.write("link\n")
            browser.stdin.flush()
            measure_pages(full, json.loads(browser.stdout.readline()))
    sizes = {
        kind: sum(len(data) for name, data in contents().items() if name.endswith(kind)) for kind in (".js", ".css")
    }
    print(
        f"script {sizes['.js'] / 1e3:.1f} kB (goal {GOAL_SCRIPT / 1e3:g}), "
        f"style {sizes['.css'] / 1e3:.1f} kB (goal {GOAL_STYLE / 1e3:g})"
    )


if __name__ == "__main__":
    main()
