"""Run a command whose first process ends all others when it ends, as bubblewrap with a process namespace does.

Invariants, when `SandboxedProcess.run` returns:
- the command was killed if it had not ended: a process namespace ends with its first process (pid_namespaces(7));
- everything in its control groups was killed, and the groups are removed;
- nothing more is read from its output.

No supervisor stands between (`coatcheck._workspaces.command_process`): nothing can leave the namespace, and starting a
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

from .cgroup import end_group, reached_limit
from .command_process import DRAIN, OutputCapture, ProcessResult, log_warning

# The command waits for a line until it is in its control groups, so that no process of it is outside.
WAIT_FOR_LINE = ("/bin/sh", "-c", 'read -r _ && exec "$@"', "sh")


class SandboxedProcess:
    """One run of a sandboxed command; `cancel` ends it from any thread, also before it began."""

    def __init__(self, *, max_output: int) -> None:
        self._max_output = max_output
        self._wake = threading.Event()
        self._is_cancelled = False

    def cancel(self) -> None:
        """Kill the command and everything that it started."""
        self._is_cancelled = True
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
    ) -> ProcessResult:
        """Run *command* to its end, as *user* where one is given. Raises `OSError` where it cannot be started."""
        process = self._start(command, cwd=cwd, environ=environ, user=user, is_waiting=bool(cgroups))
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        assert process.stderr is not None  # noqa: S101 - PIPE was asked for
        captures = [OutputCapture(pipe, limit=self._max_output) for pipe in (process.stdout, process.stderr)]
        waiter = threading.Thread(target=self._wait, args=(process,), daemon=True)
        try:
            self._release(process, cgroups)
            waiter.start()
            has_ended = self._wake.wait(timeout) and not self._is_cancelled
        finally:
            limit = reached_limit(cgroups)
            self._end(process, cgroups)
        waiter.join()
        deadline = time.monotonic() + DRAIN
        stdout, stderr = (capture.finish(deadline) for capture in captures)
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
        command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], user: int | None, is_waiting: bool
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*(WAIT_FOR_LINE if is_waiting else ()), *command],
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

    @staticmethod
    def _release(process: subprocess.Popen[bytes], cgroups: Sequence[Path]) -> None:
        """Put the process into its control groups, and let it continue with an empty standard input."""
        for group in cgroups:
            with contextlib.suppress(OSError):
                (group / "cgroup.procs").write_text(str(process.pid))
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(b"\n" if cgroups else b"")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
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
