"""Measure `coatcheck list --json` beside the official `codex cloud list --json`: same server, same login, same tasks.

Both are started in turns, so that noise affects both; wall time from start to exit. Needs the official client on PATH
(``make bench`` installs it); without it only ours is measured.
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
from pathlib import Path

from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.codex_home import write_codex_home
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.models import TaskOrder
from coatcheck.cloud.scripted_cloud import DEFAULT_ENVIRONMENT, ScriptedCloud

ROUNDS, WARM_UP = 25, 3  # medians of 25 agree within 3 % from run to run on two quiet cores
TASKS = 20  # a full page
RATIO_GOAL = 1.0

NOTHING, OURS, THEIRS = "nothing (python -c pass)", "coatcheck list --json", "codex cloud list --json"


def commands() -> dict[str, list[str]]:
    """Return what is compared."""
    compared = {
        NOTHING: [sys.executable, "-c", "pass"],
        OURS: [str(Path(sys.executable).with_name("coatcheck")), "list", "--json"],
    }
    codex = shutil.which("codex")
    return compared | ({THEIRS: [codex, "cloud", "list", "--json"]} if codex else {})


def environ(folder: Path, url: str) -> dict[str, str]:
    """Return an environment with a login and an address; bytecode is cached, as in ordinary use."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CODEX_HOME": str(folder / "codex"),
        "CODEX_CLOUD_TASKS_BASE_URL": url,
    }


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, bytes]:
    """Return the wall time of *command* in milliseconds, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
    return (time.perf_counter() - start) * 1000, done.stdout


def measured(folder: Path, environment: dict[str, str]) -> dict[str, list[float]]:
    """Return the wall times of each command, after making sure that both list the same tasks."""
    listed, times = {}, {name: [] for name in commands()}
    for turn in range(WARM_UP + ROUNDS):
        for name, command in sorted(commands().items(), reverse=turn % 2 == 1):
            wall, printed = run(command, folder, environment)
            listed[name] = printed
            if turn >= WARM_UP:
                times[name].append(wall)
    pages = [
        [task["id"] for task in json.loads(printed)["tasks"]] for name, printed in listed.items() if name != NOTHING
    ]
    if any(page != pages[0] or len(page) != TASKS for page in pages):
        raise SystemExit("the two command lines do not list the same tasks")
    return times


def main() -> None:
    """Print the figures, each beside what it is compared with."""
    cloud = ScriptedCloud(("completed",), clock=SystemClock())
    for number in range(TASKS):
        cloud.add_task(TaskOrder(environment_id=DEFAULT_ENVIRONMENT.id, prompt=f"Add dark mode {number}"))
    with tempfile.TemporaryDirectory() as name, serving(cloud) as url:
        folder = Path(name)
        write_codex_home(folder / "codex", url=url, tokens=cloud.tokens, account=cloud.account, now=cloud.clock.time())
        times = measured(folder, environ(folder, url))
    medians = {name: statistics.median(samples) for name, samples in times.items()}
    for name, median in medians.items():
        print(f"{median:7.1f} ms  (fastest {min(times[name]):.1f})  {name}")
    if THEIRS not in medians:
        raise SystemExit("the Codex CLI is not on PATH: run `make bench`")
    print(
        f"{OURS}: {medians[OURS] / medians[THEIRS]:.2f} x {THEIRS} (goal: at most {RATIO_GOAL:g}); "
        f"{medians[OURS] - medians[NOTHING]:.0f} ms above a bare interpreter"
    )


if __name__ == "__main__":
    main()
