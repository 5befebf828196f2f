"""The cost of the sandbox, and of a verification of 40 candidates, beside the commands themselves.

The first line compares ``true`` in the sandbox with a bare process: ``true`` started the same way, in a new session and
with its output captured, without a sandbox. ``subprocess.run`` alone and the share of a check of one second are printed
beside it, and the processor time of both, which a busy machine changes less. The second line compares 40 candidates x 3 checks of one second, on two workers, with the checks alone: the
base and 40 candidates, half of the seconds each. The goals are 10 times and 15 percent.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from coatcheck import Patch
from coatcheck._review.candidates import Candidate
from coatcheck._review.checks import Check, Limits, Verification
from coatcheck._review.sandbox import SandboxedCommand
from coatcheck._review.sandbox_choice import choose_sandbox
from coatcheck._review.verifier import Verifier
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck._workspaces.sandboxed_process import SandboxedProcess

ROUNDS, CANDIDATES, CHECKS, WORKERS = 40, 40, 3, 2
GOAL_START, GOAL_VERIFICATION = 10, 1.15
COMMIT = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "Base")


class Cost(NamedTuple):
    """The median seconds of runs, and of the processors that they used, with their processes."""

    seconds: float
    processor: float


def medians(*runs: Callable[[], object]) -> list[Cost]:
    """Return the cost of each of *runs*, which take turns; a first turn is not counted."""
    times: list[list[tuple[float, float]]] = []
    for _ in range(ROUNDS + 1):
        turn = []
        for run in runs:
            start, used = time.perf_counter(), processor_seconds()
            run()
            turn.append((time.perf_counter() - start, processor_seconds() - used))
        times.append(turn)
    return [Cost(*map(statistics.median, zip(*each, strict=True))) for each in zip(*times[1:], strict=True)]


def processor_seconds() -> float:
    """Return what this process and its ended processes have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure_start(folder: Path) -> list[Cost]:
    """Return the cost of ``true``: in the sandbox, without it, and by ``subprocess.run``."""
    environ = dict(os.environ)
    sandbox = choose_sandbox(Verification(), folder=folder, environ=environ)
    for name in ("source", "repository"):
        (folder / name).mkdir(mode=0o755)
    command = SandboxedCommand(
        words=("true",), source=folder / "source", repository=folder / "repository", limits=Limits(), timeout=60
    )

    def in_sandbox() -> None:
        assert sandbox.run(command, folder=folder, scope=CancelScope()).exit_code == 0

    def bare() -> None:
        process = SandboxedProcess(max_output=1024)
        assert process.run(["true"], cwd=folder, environ=environ, timeout=60).exit_code == 0

    return medians(in_sandbox, bare, lambda: subprocess.run(["true"], check=True))


def measure_verification(folder: Path) -> tuple[float, float]:
    """Return the seconds of the verification, and of its checks alone."""
    repository = folder / "repository"
    repository.mkdir()
    (repository / "file.txt").write_text("old\n")
    for arguments in (("init", "-q"), ("add", "."), COMMIT):
        subprocess.run(["git", "-C", repository, *arguments], check=True)
    candidates = [
        Candidate(
            name=str(number), patch=Patch(b"--- a/file.txt\n+++ b/file.txt\n@@ -1 +1 @@\n-old\n+new %d\n" % number)
        )
        for number in range(CANDIDATES)
    ]
    checks = tuple(Check(name=str(number), run="sleep 1") for number in range(CHECKS))
    verifier = Verifier(
        repository, Verification(checks=checks), folder=folder / "checks", workers=WORKERS, environ=dict(os.environ)
    )
    start = time.perf_counter()
    results = verifier.verify(candidates, base="HEAD")
    seconds = time.perf_counter() - start
    assert all(check.verdict == "passed" for result in results for check in result.checks), results[0]
    return seconds, (1 + CANDIDATES) * CHECKS / WORKERS


def main() -> None:
    """Print both comparisons; the exit status is 1 where a goal is missed."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        (Path(place) / "start").mkdir(mode=0o755)
        (Path(place) / "verification").mkdir(mode=0o755)
        sandbox, bare, plain = measure_start(Path(place) / "start")
        print(
            f"start: {sandbox.seconds * 1000:.1f} ms in the sandbox, {bare.seconds * 1000:.1f} ms bare, "
            f"{sandbox.seconds / bare.seconds:.1f} times; subprocess.run {plain.seconds * 1000:.1f} ms; "
            f"{sandbox.seconds:.1%} of a check of one second"
        )
        print(
            f"  processor: {sandbox.processor * 1000:.1f} ms in the sandbox, {bare.processor * 1000:.1f} ms bare, "
            f"{sandbox.processor / bare.processor:.1f} times"
        )
        seconds, alone = measure_verification(Path(place) / "verification")
        print(f"40 candidates x 3 checks: {seconds:.1f} s, {alone:.1f} s the checks alone, {seconds / alone:.3f} times")
    sys.exit(sandbox.seconds / bare.seconds > GOAL_START or seconds / alone > GOAL_VERIFICATION)


if __name__ == "__main__":
    main()
