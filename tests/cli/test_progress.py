"""The progress of a wait whose pauses consist of several sleeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coatcheck import TaskRef
from coatcheck._cli.progress import ProgressClock, WaitProgress
from coatcheck.testing import FakeClock


class Screen:
    """As much of a terminal as the progress needs: it keeps the lines."""

    is_interactive, is_quiet = True, False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, line: Callable[[], Any]) -> None:
        """Keep a line."""
        self.lines.append("".join(getattr(part, "text", part) for part in line()))


def test_the_next_poll_is_that_after_the_whole_pause() -> None:
    """Webhooks are read between short sleeps, and the line counts to the end of the pause; it has polling after it."""
    screen, clock = Screen(), ProgressClock(FakeClock())
    clock.progress = WaitProgress(screen, clock, TaskRef("codex", "t1"))  # type: ignore[arg-type] # enough of one
    for remaining in (2.0, 1.5, 1.0, 0.5):
        clock.expect_pause(remaining)
        clock.sleep(0.5)
    shown = [line.partition(" • ")[2].partition(" • ")[2] for line in screen.lines]

    assert ["next poll in 2s", "next poll in 1s"] == [shown[0], shown[1]]
    assert "polling" == shown[-1]
