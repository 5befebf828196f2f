"""Measure what starting costs: imports, classes and the command itself, each in fresh interpreters side by side."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15  # medians of 15 agree within 5 % from run to run on two busy cores
COMMAND = str(Path(sys.executable).with_name("coatcheck"))

NOTHING = "nothing (python -c pass)"
SNIPPETS = {
    NOTHING: "pass",
    "import coatcheck": "import coatcheck",
    "import dataclasses": "import dataclasses",
    "import msgspec": "import msgspec",
    "import importlib.metadata, entry_points()": "import importlib.metadata as m; m.entry_points(group='coatcheck.providers')",
    "import pathlib": "import pathlib",
    "import asyncio": "import asyncio",
    "import click": "import click",
    "import pyreqwest.client": "import pyreqwest.client",
    "import httpx2": "import httpx2",
}

# Twenty classes of five fields each; timed inside, without the import of the library that makes them.
CLASSES = 20
FIELDS = "a: int\n b: str = ''\n c: str | None = None\n d: tuple[str, ...] = ()\n e: bool = False"
TIMED = f"import time\nt = time.perf_counter()\nfor _ in range({CLASSES}):\n exec(code)\nprint(time.perf_counter() - t)"
CLASS_MAKERS = {
    "msgspec.Struct": f"import msgspec\ncode = compile('''class V(msgspec.Struct, frozen=True, kw_only=True):\n {FIELDS}''', '', 'exec')\n{TIMED}",
    "dataclass": f"import dataclasses\ncode = compile('''@dataclasses.dataclass(frozen=True, kw_only=True)\nclass V:\n {FIELDS}''', '', 'exec')\n{TIMED}",
}

# Goals, as ratios to a bare interpreter in the same run.
VERSION_GOAL = 2.5
IMPORT_GOAL = 1.2


def run(*command: str) -> tuple[float, str]:
    """Return the wall time of *command* in milliseconds, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return (time.perf_counter() - start) * 1000, printed


def wall_times(commands: dict[str, tuple[str, ...]]) -> dict[str, float]:
    """Return the median wall time of each command in milliseconds, taken in turns so that noise affects all of them."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(run(*command)[0])
    return {name: statistics.median(samples) for name, samples in times.items()}


def class_times() -> dict[str, float]:
    """Return the median time of creating the classes with each maker, in milliseconds."""
    return {
        name: statistics.median(float(run(sys.executable, "-c", code)[1]) * 1000 for _ in range(ROUNDS))
        for name, code in CLASS_MAKERS.items()
    }


def main() -> None:
    """Print the figures, each beside what it is compared with."""
    commands = {name: (sys.executable, "-c", snippet) for name, snippet in SNIPPETS.items()}
    times = wall_times({**commands, "coatcheck --version": (COMMAND, "--version")})
    bare = times[NOTHING]
    for name, value in sorted(times.items(), key=lambda item: item[1]):
        print(f"{value:7.1f} ms  {value - bare:+7.1f} ms  {value / bare:5.2f} x  {name}")
    makers = class_times()
    for name, value in makers.items():
        print(f"{value:7.2f} ms  {value / makers['msgspec.Struct']:5.1f} x  {CLASSES} classes with {name}")
    print(
        f"coatcheck --version: {times['coatcheck --version'] / bare:.2f} x a bare interpreter (goal: at most {VERSION_GOAL})"
    )
    print(
        f"import coatcheck: {times['import coatcheck'] / bare:.2f} x a bare interpreter (goal: at most {IMPORT_GOAL})"
    )


if __name__ == "__main__":
    main()
