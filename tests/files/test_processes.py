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


@pytest.mark.skipif(sys.platform != "linux", reason="the state of a process is read from /proc")
def test_a_process_that_nobody_waits_for_does_not_run() -> None:
    """A child that has ended does not run, although its parent has not waited for it."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    is_running = processes.is_running(child.pid)
    child.wait()

    assert not is_running


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has boot identifiers")
def test_a_boot_has_one_identifier() -> None:
    """Two calls return the same text."""
    first, second = processes.boot_id(), processes.boot_id()

    assert (True, True) == (bool(first), first == second)


@pytest.mark.skipif(sys.platform != "linux", reason="start times are read from /proc")
def test_a_number_that_is_used_again_is_another_process() -> None:
    """A process runs under its start time and not under another one."""
    started = processes.start_time(os.getpid())

    assert (True, False) == (
        processes.is_running(os.getpid(), started=started),
        processes.is_running(os.getpid(), started="0"),
    )


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="start times of Linux and macOS")
def test_a_start_time_is_the_same_in_every_process() -> None:
    """A child reads the start time of its parent as the parent does; a process that has ended has none."""
    code = "import os; from coatcheck._files.processes import start_time; print(start_time(os.getppid()))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    printed = child.communicate()[0].strip()

    assert (printed, None) == (processes.start_time(os.getpid()), processes.start_time(child.pid))


def test_a_host_has_one_identifier() -> None:
    """Two processes of one machine agree on the host, and the machine's own identifier is not shown."""
    code = "from coatcheck._files.processes import host_id; print(host_id())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert (printed, 32) == (processes.host_id(), len(printed))
