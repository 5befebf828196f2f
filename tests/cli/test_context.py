from __future__ import annotations

import io

from coatcheck._cli.console import Console
from coatcheck._cli.progress import ProgressClock, WaitProgress
from coatcheck._model.tasks import TaskRef
from coatcheck.testing.fake_clock import FakeClock

REF = TaskRef("codex", "task_e_1")


def slept(seconds: float, *, is_interactive: bool) -> tuple[float, str]:
    """Return how long a sleep during a wait took, and what was printed on stderr meanwhile."""
    inner, err = FakeClock(), io.BytesIO()
    console = Console(io.BytesIO(), err, environ={}, is_interactive=is_interactive)
    clock = ProgressClock(inner)
    clock.progress = WaitProgress(console, clock, REF)
    start = inner.monotonic()
    clock.sleep(seconds)
    return inner.monotonic() - start, err.getvalue().decode()


def test_a_sleep_takes_as_long_as_requested() -> None:
    """A sleep that keeps the progress up to date takes as long as requested, with and without a terminal."""
    durations = [round(slept(150.5, is_interactive=is_interactive)[0], 3) for is_interactive in (True, False)]

    assert [150.5, 150.5] == durations


def test_the_line_counts_down_to_the_next_poll() -> None:
    """On a terminal the line shows every second how long the wait has lasted and when the next poll is."""
    printed = slept(3, is_interactive=True)[1]

    assert [True, True] == [
        f"waiting • {elapsed}s • next poll in {remaining}s" in printed for elapsed, remaining in ((0, 3), (2, 1))
    ]


def test_a_wait_without_a_terminal_prints_a_line_a_minute() -> None:
    """Without a terminal a line on stderr shows each minute that the wait goes on."""
    lines = slept(150, is_interactive=False)[1].splitlines()

    assert [
        "coatcheck: codex:task_e_1: waiting • 1m • next poll in 1m 30s",
        "coatcheck: codex:task_e_1: waiting • 2m • next poll in 30s",
    ] == lines
