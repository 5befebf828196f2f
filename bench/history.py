"""Measure the store: what recording adds to a submission, and 100,000 tasks with a million events.

Ratios, since both sides run on the same machine in turns:

- submitting against the local cloud with recording to submitting without it (goal: at most 1.15);
- the first page of the history, and a search, each in a process of its own, to `coatcheck --version` (goals: 2 and 4).
  Of the first page two thirds are the import of msgspec, which is measured beside it: `coatcheck --version` imports
  nothing. Bytecode is cached, as in ordinary use;
- bytes a task beside texts and patches (goal: 2,000).

Give a number of tasks as the argument for another size.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coatcheck import Client, History, Message, Outcome, Task, TaskProgress, TaskRef, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import FakeClock

TASKS, EVENTS = 100_000, 10
TITLE, PROMPT, MESSAGE = 40, 500, 2_000  # characters, of a byte each
TEXTS = TITLE + PROMPT + MESSAGE
SUBMISSIONS, ROUNDS, BATCH = 60, 15, 1000
START = datetime(2026, 1, 1, tzinfo=UTC)
# As many different words as a large code base has names.
WORDS = [f"{first}{second}" for first in ("ba", "ko", "mi", "tu", "re", "sal", "pon", "di") for second in range(2500)]

PAGE = "from coatcheck import History; import sys; print(len(History(sys.argv[1]).list().items))"
SEARCH = "from coatcheck import History; import sys; print(len(History(sys.argv[1]).search(sys.argv[2]).items))"


def text(length: int, source: random.Random) -> str:
    """Return about *length* characters of words, as frequent as words of a language are."""
    words = [WORDS[int(len(WORDS) * source.random() ** 3)] for _ in range(length // 5)]
    return " ".join(words)[:length]


def tasks(count: int, source: random.Random) -> Iterator[Task]:
    """Yield ended tasks, each with its prompt and a message."""
    for number in range(count):
        yield Task(
            ref=TaskRef("codex", f"task_e_{number:032x}"),
            state=TaskState.SUCCEEDED,
            title=text(TITLE, source),
            prompt=text(PROMPT, source),
            repository="owner/repo",
            created_at=START + timedelta(seconds=number),
            outcome=Outcome(messages=(Message(text=text(MESSAGE, source)),)),
        )


def fill(history: History, count: int) -> float:
    """Record *count* tasks with their events; return the seconds that a task takes."""
    source = random.Random(14)
    start, batch = time.perf_counter(), []
    for task in tasks(count, source):
        batch.append(task)
        if len(batch) == BATCH or task.ref.id.endswith(f"{count - 1:032x}"):
            history.record_all(batch)
            # A record writes two events: the message and the end.
            history.events.append(TaskProgress(ref=t.ref, text="at work") for t in batch for _ in range(EVENTS - 2))
            batch = []
    return (time.perf_counter() - start) / count


def size_of(folder: str) -> int:
    """Return the bytes of the files of the store."""
    return sum(entry.stat().st_size for entry in os.scandir(folder))


def wall(command: list[str]) -> float:
    """Return the wall time of *command* in milliseconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return (time.perf_counter() - start) * 1000


def medians(commands: dict[str, list[str]]) -> dict[str, float]:
    """Return the median wall time of each command; they run in turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(1 + ROUNDS):  # the first one compiles
        for name, command in sorted(commands.items(), reverse=turn % 2 == 1):
            times[name] = [*times[name], wall(command)] if turn else []
    return {name: statistics.median(each) for name, each in times.items()}


def recording_ratio(folder: Path) -> float:
    """Return the time of a submission that is recorded, compared to one that is not."""
    cloud = ScriptedCloud(("completed",), clock=SystemClock())
    environ = {"COATCHECK_STATE_HOME": str(folder / "state"), "COATCHECK_LEARN": "off"}
    history = History(str(folder / "state"))
    times: dict[bool, list[float]] = {True: [], False: []}
    # With a clock that does not wait: the pauses between submissions would hide what recording costs.
    options = {"token": cloud.tokens.access_token, "environ": environ, "clock": FakeClock()}
    with serving(cloud) as url, Client("codex", base_url=url, **options) as client:
        for number in range(2 * SUBMISSIONS):
            start = time.perf_counter()
            task = client.create_task(f"Do {number}", repository="owner/repo")
            if number % 2:
                history.record(task)
            times[bool(number % 2)].append(time.perf_counter() - start)
    history.close()
    return statistics.median(times[True]) / statistics.median(times[False])


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    with tempfile.TemporaryDirectory() as name:
        print(f"{recording_ratio(Path(name)):.2f} x the time of a submission when it is recorded (goal: at most 1.15)")
        folder = str(Path(name) / "history")
        history = History(folder)
        seconds = fill(history, count)
        history.close()
        print(f"{seconds * 1000:.2f} ms to record a task with {EVENTS} events, {count} tasks")
        print(f"{size_of(folder) / count - TEXTS:.0f} bytes a task beside its {TEXTS} of text (goal: at most 2000)")
        python = sys.executable
        times = medians(
            {
                "version": [str(Path(python).with_name("coatcheck")), "--version"],
                "import msgspec": [python, "-c", "import msgspec"],
                "first page": [python, "-c", PAGE, folder],
                "search, common word": [python, "-c", SEARCH, folder, WORDS[0]],
                "search, two words": [python, "-c", SEARCH, folder, f"{WORDS[40]} {WORDS[90]}"],
            }
        )
        for what, median in times.items():
            print(f"{median:7.1f} ms, {median / times['version']:.2f} x `coatcheck --version`: {what}")


if __name__ == "__main__":
    main()
