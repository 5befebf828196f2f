"""Measure `coatcheck fleet status` and `fleet report` of a fleet of 10,000 items beside `coatcheck --version`.

All are started in turns, so that noise affects each; wall time from start to exit. On two quiet cores a status takes less
than 100 ms, and at most `RATIO_GOAL` times as long as printing the version, which is what the comparison is for.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from coatcheck._cli.exit_codes import ExitCode
from coatcheck._fleet.file import convert
from coatcheck._fleet.planning import plan_items
from coatcheck._fleet.spec import build_spec
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._store.fleets import FleetStore
from coatcheck._store.location import open_database

ITEMS, ROUNDS, WARM_UP = 10_000, 15, 2
RATIO_GOAL = 7.0
COMMANDS = {
    "coatcheck --version": ["--version"],
    "coatcheck fleet status": ["fleet", "status", "bench"],
    "coatcheck fleet report": ["fleet", "report", "bench", "--output", "report.html"],
}


def store_fleet(folder: Path) -> None:
    """Store a fleet whose items are planned."""
    document = {
        "name": "bench",
        "task": {"prompt": "Add types to {package}."},
        "items": {"package": [f"p{number}" for number in range(ITEMS)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
    }
    spec = build_spec(convert(document), folder=None)
    items, _ = plan_items(spec, known={}, resolve=lambda _name, _base: None)
    database = open_database(str(folder))
    FleetStore(database, clock=SystemClock()).save(spec.name, spec=spec.canonical, digest=spec.digest, items=items)
    database.close()


def milliseconds(arguments: list[str], folder: Path) -> float:
    """Return the wall time of a command."""
    command = [str(Path(sys.executable).with_name("coatcheck")), *arguments]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "COATCHECK_STATE_HOME": str(folder)}
    start = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, cwd=folder, env=environ)
    assert done.returncode in (ExitCode.DONE, ExitCode.STOPPED), done
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Print the medians, each with its ratio to the first."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store_fleet(folder)
        for turn in range(WARM_UP + ROUNDS):
            for command, arguments in COMMANDS.items():
                wall = milliseconds(arguments, folder)
                if turn >= WARM_UP:
                    times[command].append(wall)
    first, *_ = (statistics.median(walls) for walls in times.values())
    for command, walls in times.items():
        middle = statistics.median(walls)
        print(f"{command:24} {middle:7.1f} ms  {middle / first:5.2f} x")
    print(f"a status takes at most {RATIO_GOAL} times as long as the version, and less than 100 ms on two quiet cores")


if __name__ == "__main__":
    main()
