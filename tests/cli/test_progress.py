"""The progress of a wait: its line, and the line a minute of a process without a terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck import TaskRef
from coatcheck._cli.formatting import short_span
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


# A command in a process of its own, whose service and clock are given.
WAIT = """
from coatcheck._cli.app import run
from coatcheck._cli.main import leave
from coatcheck._cli.process_env import ProcessEnv
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock
import os, sys

cloud = ScriptedCloud(["pending", "in_progress", "in_progress", "in_progress", "completed"])
os.environ["CODEX_ACCESS_TOKEN"] = cloud.tokens.access_token
process_env = ProcessEnv.of_process()
process_env.transport, process_env.clock = EmulatorTransport(cloud), FakeClock()
leave(run(sys.argv[1:], process_env))
"""


@pytest.mark.parametrize(("options", "seconds"), [((), [60, 120, 180]), (("--quiet",), [])])
def test_a_process_without_a_terminal_prints_a_line_a_minute(
    home: Path, options: tuple[str, ...], seconds: list[int]
) -> None:
    """Standard error is a pipe: there is a line after each minute of the wait, none at its end, and none if quiet."""
    command = ["run", "--environment", "owner/repo", "--interval", "50s", *options, "Add dark mode"]
    done = subprocess.run([sys.executable, "-c", WAIT, *command], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("coatcheck: codex:task_e_")]
    shown = [line.split(" • ")[1] for line in lines]

    assert [short_span(each) for each in seconds] == shown, done.stderr
    assert "[succeeded] Add dark mode" in done.stdout
