"""Run a command whose first process ends all others when it ends, as bubblewrap with a process namespace does.

Invariants, when `SandboxedProcess.run` returns:
- the command was killed if it had not ended: a process namespace ends with its first process (pid_namespaces(7));
- everything in its control groups was killed, and the groups are removed;
- nothing more is read from its output.

Where this process is killed instead, the command is killed with it, or does not start (`has_handshake`). A bubblewrap
that is killed between two of its first system calls leaves a process that waits for it for ever: `end_left_sandboxes`.

There is no supervisor (`coatcheck._workspaces.command_process`): nothing can leave the namespace, and starting a
supervisor would take longer than the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cgroup import end_group, join_groups, reached_limit
from .command_process import DRAIN, OutputCapture, ProcessResult, log_warning
from .supervisor import send

# A shell's side of the handshake: it writes a line to its standard output, and goes on after it has read one.
SHELL_HANDSHAKE = "echo && read -r _ || exit 1"


class SandboxedProcess:
    """One run of a sandboxed command; `cancel` ends it from any thread, also before it began."""

    def __init__(self, *, max_output: int) -> None:
        self._max_output = max_output
        self._has_started, self._wake = threading.Event(), threading.Event()
        self._is_cancelled = False

    def cancel(self) -> None:
        """Kill the command and everything that it started."""
        self._is_cancelled = True
        self._has_started.set()
        self._wake.set()

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        timeout: float | None,
        user: int | None = None,
        cgroups: Sequence[Path] = (),
        has_handshake: bool = False,
    ) -> ProcessResult:
        """Run *command* to its end, as *user* where one is given. Raises `OSError` where it cannot be started.

        A signal at the death of a parent (PR_SET_PDEATHSIG, prctl(2)) is lost where the parent has ended before it was
        set. With *has_handshake* the command sets it, writes a line and waits for one, which this thread, its parent,
        writes: from then on the signal comes, and without the line the command ends (`SHELL_HANDSHAKE`).

        The command is in *cgroups* when it goes on after the handshake, which they need. They are joined while it
        starts, because the kernel takes milliseconds to move a process.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        process = self._start(command, cwd=cwd, environ=environ, user=user)
        waiter = threading.Thread(target=self._wait, args=(process, _handshake_of(process, has_handshake)), daemon=True)
        captures: list[OutputCapture] = []
        try:
            waiter.start()
            join_groups(process.pid, cgroups)
            if has_handshake:
                self._has_started.wait(timeout)
                join_groups(process.pid, cgroups)
            captures = [
                OutputCapture(pipe, limit=self._max_output) for pipe in (process.stdout, process.stderr) if pipe
            ]
            self._release(process, has_handshake=has_handshake)
            has_ended = self._wake.wait(_seconds_until(deadline)) and not self._is_cancelled
        finally:
            limit = reached_limit(cgroups)
            self._end(process, cgroups)
        waiter.join()
        drain = time.monotonic() + DRAIN
        stdout, stderr = (capture.finish(drain) for capture in captures)
        return ProcessResult(
            exit_code=process.returncode,
            stdout=stdout,
            stderr=stderr,
            is_timeout=not has_ended and not self._is_cancelled,
            is_cancelled=self._is_cancelled,
            limit=limit,
        )

    @staticmethod
    def _start(
        command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], user: int | None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )

    def _release(self, process: subprocess.Popen[bytes], *, has_handshake: bool) -> None:
        """Let the command go on, with an empty standard input."""
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        with contextlib.suppress(OSError):  # it may have ended
            if has_handshake and not self._is_cancelled:
                os.write(process.stdin.fileno(), b"\n")
            process.stdin.close()

    def _wait(self, process: subprocess.Popen[bytes], handshake: int | None) -> None:
        if handshake is not None:
            os.read(handshake, 1)  # the line, or the end of a command that could not start
            os.close(handshake)
            self._has_started.set()
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self._wake.set()

    @staticmethod
    def _end(process: subprocess.Popen[bytes], cgroups: Sequence[Path]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the id is no other's
        process.wait()
        for group in cgroups:
            if not end_group(group):
                log_warning("the control group %s could not be emptied", group)


def _handshake_of(process: subprocess.Popen[bytes], has_handshake: bool) -> int | None:  # noqa: FBT001 - private
    """Return a descriptor that reads the handshake, also after the output was closed, which a timeout does."""
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    return os.dup(process.stdout.fileno()) if has_handshake else None


def _seconds_until(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def end_left_sandboxes(folder: Path) -> None:
    """Kill the bubblewraps that have *folder* in their command line: the process that started them was killed."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            program, *words = path.read_bytes().split(b"\0")
            is_bubblewrap = os.path.basename(program) == b"bwrap"
            if is_bubblewrap and any(word.startswith(os.fsencode(f"{folder}/")) for word in words):
                send(int(path.parent.name), signal.SIGKILL)
