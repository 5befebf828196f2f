"""Measure the page of a diff of 3 MB and 60 files in Chromium: when its first file is visible, and tasks while scrolling.

The figure for the first file is that of the same page with the first 100 kB of the diff alone, in the same run: what the rest
costs before the first file is there. Browser, server and store are on this machine. Needs playwright and a Chromium
(``make peers`` installs both, or chromium of the system).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coatcheck import Attempt, Outcome, Patch, Task, TaskRef, TaskState
from coatcheck._app.workspace import Workspace
from coatcheck._runtime.config import Config, state_dir
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._server.http_protocol import limits_here
from coatcheck._server.listener import serving_app
from coatcheck._store.history import History
from coatcheck._web.app import WebApp
from coatcheck._web.assets import contents
from coatcheck._web.site import Site

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv" / "peers"
SOURCE = HERE.parent / "src" / "coatcheck" / "_patches" / "scan.py"

FILES, BYTES, ROUNDS = 60, 50_000, 5
FIRST_BYTES = 100_000
GOAL_FIRST, GOAL_TASK, GOAL_SCRIPT, GOAL_STYLE = 2.0, 100.0, 30_000, 20_000


def make_diff(files: int) -> bytes:
    """Return a diff of Python files, *BYTES* each, with changed words in every hunk."""
    source, choose = SOURCE.read_text().splitlines(), random.Random(1)
    return "".join(_file(f"src/module_{number:02}.py", source, choose) for number in range(files)).encode()


def _file(path: str, source: list[str], choose: random.Random) -> str:
    hunks, size, position = [], 0, 1
    while size < BYTES:
        start = choose.randrange(len(source) - 10)
        lines = []
        for at, line in enumerate(source[start : start + 10]):
            is_changed = at in {4, 5}
            lines += [f"-{line}", f"+{line.replace('data', 'content')} # changed"] if is_changed else [f" {line}"]
        hunks.append("\n".join([f"@@ -{position},10 +{position},10 @@", *lines, ""]))
        size, position = size + len(hunks[-1]), position + 40
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{''.join(hunks)}"


def make_task(name: str, diff: bytes) -> Task:
    """Return an ended task with one attempt."""
    now, outcome = datetime.now(UTC), Outcome(patch=Patch(diff))
    attempt = Attempt(id=name, placement=0, state=TaskState.SUCCEEDED, outcome=outcome)
    return Task(
        ref=TaskRef("codex", name),
        state=TaskState.SUCCEEDED,
        title=name,
        created_at=now,
        updated_at=now,
        outcome=outcome,
        attempts=(attempt,),
        attempt_total=1,
    )


@contextmanager
def serving(folder: str, tasks: list[Task]) -> Iterator[str]:
    """Serve the page of a store with *tasks*; yield a link that opens it."""
    environ = {"HOME": folder}
    location = state_dir(environ)
    Path(location).mkdir(parents=True)
    history = History(location)
    for task in tasks:
        history.record(task)
    history.close()
    workspace = Workspace(folder, config=Config(environ=environ), environ=environ, provider="codex")
    site = Site(workspace, clock=SystemClock())
    app = WebApp(site)
    with app.running(), serving_app(app.asgi, limits_here(), on_stop=app.live.end) as origin:
        yield site.new_link(origin)
    site.close()


def browse(link: str, tasks: list[Task]) -> Mapping[str, Any] | None:
    """Return what the browser measured, None where there is none."""
    python = PEERS / "python" / "bin" / "python"
    chromium = shutil.which("chromium", path=f"{PEERS / 'bin'}:/usr/bin") or shutil.which("google-chrome")
    interpreter = str(python) if python.exists() else sys.executable
    if chromium is None or subprocess.run([interpreter, "-c", "import playwright"], check=False).returncode:
        return None
    paths = [f"/tasks/{task.ref}/compare" for task in tasks]
    script = str(HERE / "diff_page_browser.py")
    done = subprocess.run([interpreter, script, chromium, link, str(ROUNDS), *paths], check=True, capture_output=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print the figures."""
    diffs = {"first": make_diff(FIRST_BYTES // BYTES), "whole": make_diff(FILES)}
    tasks = [make_task(name, diff) for name, diff in diffs.items()]
    with tempfile.TemporaryDirectory() as folder, serving(folder, tasks) as link:
        measured = browse(link, tasks)
    if measured is None:
        print("diff page: no browser (playwright in .venv/peers/python, and chromium)")
    else:
        first, whole = (statistics.median(measured["first"][f"/tasks/{task.ref}/compare"]) for task in tasks)
        print(
            f"diff of {len(diffs['whole']) / 1e6:.1f} MB and {FILES} files: first file visible after {whole:.0f} ms, "
            f"{whole / first:.2f} times that of its first {len(diffs['first']) / 1e3:.0f} kB alone (goal {GOAL_FIRST:g})"
        )
        over = [each for each in measured["busy"] if each > GOAL_TASK]
        late = [each for each in measured["tasks"] if each > GOAL_TASK]
        print(
            f"scrolled through {measured['files']} files, {measured['height']:,} pixels: longest task "
            f"{max(measured['busy'], default=20):.0f} ms of CPU time, {len(over)} over {GOAL_TASK:g} ms (goal 0); by the "
            f"clock {max(measured['tasks'], default=50):.0f} ms, {len(late)} over, with a load of {os.getloadavg()[0]:.1f} on "
            f"{os.cpu_count()} cores; then {measured['rows']:,} rows are elements, {measured['waiting']} parts were not loaded"
        )
    loaded = {name: len(data) for name, data in contents().items() if name.startswith(("coatcheck.", "diffs."))}
    sizes = {kind: sum(size for name, size in loaded.items() if name.endswith(kind)) for kind in (".js", ".css")}
    print(
        f"script {sizes['.js'] / 1e3:.1f} kB (goal {GOAL_SCRIPT / 1e3:g}), "
        f"style {sizes['.css'] / 1e3:.1f} kB (goal {GOAL_STYLE / 1e3:g})"
    )


if __name__ == "__main__":
    main()
