"""Checks that do all the harm they can, and a verification that is killed: nothing is left."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.review.verification import LIMITS, Repository, Review, checks, repository, review, sandboxed

from coatcheck._workspaces.sandboxed_process import end_left_sandboxes

__all__ = ["repository", "review", "sandboxed"]

pytestmark = [pytest.mark.crash, pytest.mark.usefixtures("sandboxed")]

# Verifies one candidate, whose check reports that it runs and then sleeps.
VERIFY = """
import os, sys
from pathlib import Path
from coatcheck import Patch
from coatcheck._review.candidates import Candidate
from coatcheck._review.checks import Check, Verification
from coatcheck._review.verifier import Verifier
repository, folder, command = sys.argv[1:]
verifier = Verifier(Path(repository), Verification(checks=(Check(name="1", run=command),)), folder=Path(folder), environ=dict(os.environ))
patch = Patch(b"--- a/main.txt\\n+++ b/main.txt\\n@@ -1,2 +1,2 @@\\n-one\\n+ONE\\n two\\n")
verifier.verify([Candidate(name="one", patch=patch)], base="main")
"""

# Starts one check after the other in a process that is killed within 40 ms, and prints how many were left. A bubblewrap that
# was killed while it started may be left as well: it runs nothing.
KILL = """
import contextlib, os, random, signal, sys, time
from pathlib import Path
from coatcheck._review.checks import Limits, Verification
from coatcheck._review.sandbox import SandboxedCommand
from coatcheck._review.sandbox_choice import choose_sandbox
from coatcheck._workspaces.cancellation import CancelScope
from tests.crash.test_checks import running_in_sandboxes
folder, mark, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sandbox = choose_sandbox(Verification(), folder=folder, environ=dict(os.environ))
command = SandboxedCommand(words=("sleep", mark), source=folder, repository=folder, limits=Limits(), timeout=600)
left = 0
for _ in range(rounds):
    if (child := os.fork()) == 0:
        sandbox.run(command, folder=folder, scope=CancelScope())
    time.sleep(random.uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(500):
        if not (found := running_in_sandboxes(f"sleep\\0{mark}\\0")):
            break
        time.sleep(0.01)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    left += bool(found)
print(left)
"""


def programs(mark: str) -> dict[int, bytes]:
    """Return the names of programs, by the ids of the processes whose command line contains *mark*."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in command and int(path.parent.name) != os.getpid():
            found[int(path.parent.name)] = os.path.basename(command.partition(b"\0")[0])
    return found


def running(mark: str) -> list[int]:
    """Return the processes whose command line contains *mark*."""
    return list(programs(mark))


def running_in_sandboxes(mark: str) -> list[int]:
    """Return those of them that are not the sandbox itself."""
    return [pid for pid, program in programs(mark).items() if program != b"bwrap"]


def has_begun(command: str) -> bool:
    """Whether *command* runs in its sandbox, and not only what starts it, whose command line contains it too."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"{command}\0".encode():
                return True
    return False


def wait_for(condition: object) -> None:
    """Wait until *condition* holds."""
    while not condition():  # type: ignore[operator]
        time.sleep(0.01)


@pytest.mark.parametrize("round", range(5))
def test_a_killed_verification_leaves_nothing(repository: Repository, review: Review, round: int) -> None:
    """The sandbox ends with the process that started it, and the next verification removes its clones."""
    mark = f"{os.getpid()}{round:03}"
    process = subprocess.Popen(
        [sys.executable, "-c", VERIFY, repository.path, review.folder, f"sleep {mark}"], start_new_session=True
    )
    wait_for(lambda: process.poll() is not None or has_begun(f"sleep\0{mark}"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not running(f"sleep\0{mark}"))
    review.verify(repository.candidate({"main.txt": "x\n"}), checks=checks("true"), sandbox="auto")

    assert os.listdir(review.folder / "runs") == []


def test_a_verification_killed_while_a_check_starts_leaves_no_check(tmp_path: Path) -> None:
    """A check ends with its run whenever the run is killed; what bubblewrap may leave is ended by the next run."""
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILL, folder, str(os.getpid()), "40"], stdout=subprocess.PIPE, text=True, check=True
    )
    end_left_sandboxes(tmp_path)
    wait_for(lambda: not running(f"sleep\0{os.getpid()}\0"))

    assert done.stdout == "0\n"


@pytest.mark.parametrize(
    "command",
    [
        shlex.join(["bash", "-c", ":(){ :|:& };:; sleep 2"]),
        shlex.join(["sh", "-c", "while :; do setsid sh -c 'sleep 77777' & done"]),
        shlex.join(["sh", "-c", "yes | head -c 1000000000"]),
        shlex.join(["sh", "-c", "trap '' TERM INT HUP XCPU; while :; do head -c 100000 /dev/zero > f$((i=i+1)); done"]),
        shlex.join(["sh", "-c", "rm -rf / 2>/dev/null; kill -9 -1; kill -STOP -1; sleep 60"]),
    ],
)
def test_harm_is_contained(repository: Repository, review: Review, command: str) -> None:
    """Whatever a check does ends within its time, and a second check of the same verification is not disturbed."""
    limits = msgspec.structs.replace(LIMITS, wall=5, cpu=5)
    (found,) = review.verify(
        repository.candidate({"main.txt": "one\n"}),
        checks=checks(command, "sh tests/test.sh", required=False),
        sandbox="auto",
        limits=limits,
    )

    assert (found.checks[1].verdict, running("77777")) == ("passed", [])
