"""Run an agent: one command, never a shell, in a process group of its own that ends with it.

Law: when `run` returns, nothing of the group is alive and nothing more is read from it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .._model.value import Value

# What an agent writes beyond this is cut out of the middle: its beginning and its end say the most.
MAX_OUTPUT = 1024 * 1024
# A line longer than this is not for reading.
MAX_LINE = 10_000
# An agent that was asked to end may take this long to do so, in seconds.
GRACE = 5.0
# After the group is dead only a process that left it can hold a pipe open; nobody waits for that one.
DRAIN = 1.0

PROMPT = "{prompt}"
# The variable by which an agent's processes are known: it names a file in the attempt's own folder.
MARK = "COATCHECK_RESULT"


class ProcessResult(Value, frozen=True, kw_only=True):
    """How a command ended: its exit code (negative: the signal), what it wrote, and whether we ended it."""

    exit_code: int
    stdout: str
    stderr: str
    is_timeout: bool = False
    is_cancelled: bool = False


def arguments_of(template: Sequence[str], prompt: str) -> list[str]:
    """Return the command with the prompt in the place of ``{prompt}``, also inside an argument."""
    return [part.replace(PROMPT, prompt) for part in template]


def takes_argument(template: Sequence[str]) -> bool:
    """Whether the command takes its prompt as an argument; otherwise it comes on standard input."""
    return any(PROMPT in part for part in template)


class AgentProcess:
    """One run of a command; `cancel` ends it from any thread, also before it began."""

    def __init__(
        self, *, on_line: Callable[[str, str], None] = lambda _name, _line: None, grace: float = GRACE
    ) -> None:
        self._on_line = on_line
        self._grace = grace
        self._wake = threading.Event()
        self._is_cancelled = False

    def cancel(self) -> None:
        """End the process group, gently first."""
        self._is_cancelled = True
        self._wake.set()

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        input: Path | None,
        timeout: float | None,
    ) -> ProcessResult:
        """Run *command* to its end. Raises `OSError` where it cannot be started."""
        stdin: IO[bytes] | int
        with contextlib.ExitStack() as stack:
            stdin = stack.enter_context(input.open("rb")) if input else subprocess.DEVNULL
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environ,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        captures = [self._capture(process.stdout, "stdout"), self._capture(process.stderr, "stderr")]
        threading.Thread(target=self._wait_for, args=(process,), daemon=True).start()
        has_ended_by_itself = self._wake.wait(timeout) and not self._is_cancelled
        if not has_ended_by_itself:
            self._terminate(process)
        end_group(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + DRAIN
        stdout, stderr = (capture.finish(deadline) for capture in captures)
        is_timeout = not has_ended_by_itself and not self._is_cancelled
        return ProcessResult(
            exit_code=process.returncode,
            stdout=stdout,
            stderr=stderr,
            is_timeout=is_timeout,
            is_cancelled=self._is_cancelled,
        )

    def _capture(self, pipe: IO[bytes] | None, name: str) -> OutputCapture:
        assert pipe is not None  # noqa: S101 - PIPE was asked for
        return OutputCapture(pipe, lambda line: self._on_line(name, line))

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._wake.set()

    def _terminate(self, process: subprocess.Popen[bytes]) -> None:
        end_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._grace)


def end_group(pid: int, number: int) -> None:
    """Send a signal to a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_strays(folder: Path) -> None:
    """Kill what still carries *folder* in its environment: daemons that left their group, agents of a server that crashed.

    Linux only; elsewhere nobody can tell whose a process is.
    """
    mark = f"{MARK}={folder}/".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(mark) for variable in variables):
                os.kill(int(entry.name), signal.SIGKILL)


class OutputCapture:
    """Read a pipe from a thread; keep its first and last parts, tell every line."""

    def __init__(self, pipe: IO[bytes], on_line: Callable[[str], None], *, limit: int = MAX_OUTPUT) -> None:
        self._pipe = pipe
        self._on_line = on_line
        self._half = limit // 2
        self._head, self._tail = bytearray(), bytearray()
        self._dropped = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        partial = b""
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65_536):
                self._keep(chunk)
                *lines, partial = (partial + chunk).split(b"\n")
                for line in lines:
                    self._on_line(plain(line[:MAX_LINE]))
                partial = partial[-MAX_LINE:]
        if partial:
            self._on_line(plain(partial))

    def _keep(self, chunk: bytes) -> None:
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room else chunk
        surplus = len(self._tail) - self._half
        if surplus > 0:
            del self._tail[:surplus]
            self._dropped += surplus

    def finish(self, deadline: float) -> str:
        """Return what was written; waits until *deadline* (monotonic) for a pipe that somebody else still holds."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        cut = f"\n[… {self._dropped} bytes were cut out here …]\n" if self._dropped else ""
        return plain(bytes(self._head)) + cut + plain(bytes(self._tail))


# Colours and cursor movements (ECMA-48 control sequences, OSC strings); agents write for terminals.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def plain(data: bytes) -> str:
    """Return output as text without control sequences."""
    return _ESCAPES.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\x00", "")
