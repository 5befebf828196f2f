"""Which processes run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from coatcheck._files import processes


def test_a_process_that_has_ended_does_not_run() -> None:
    """This process and process 1 run, a child that was waited for does not, nor does a number too large for a pid."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert [True, True, False, False] == [processes.is_running(pid) for pid in (os.getpid(), 1, child.pid, 2**70)]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has boot identifiers")
def test_a_boot_has_one_identifier() -> None:
    """Two calls return the same text."""
    first, second = processes.boot_id(), processes.boot_id()

    assert (True, True) == (bool(first), first == second)
