"""Run a command (an agent, a check): one program, no shell, under a supervisor that ends everything the command started.

Invariants, when `CommandProcess.run` returns:
- on Linux no process that the command started runs, whatever its session and environment (see
  `coatcheck._workspaces.supervisor`); elsewhere no process of the command's process group runs;
- nothing more is read from its output.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from .._values.value import Value
from . import supervisor
from .supervisor import END_TIMEOUT, INTERVAL, LENGTH_BYTES, end_descendants, parents, send, send_group

# What an agent writes beyond this is cut out of the middle: its beginning and its end are the most useful.
MAX_OUTPUT = 1024 * 1024
# A line longer than this is not for reading, and what follows so many lines is not shown while the agent runs: a
# stream keeps no more (`coatcheck.cloud.turn_stream`).
MAX_LINE, MAX_LINES = 10_000, 10_000
# An agent that was asked to end may take this long to do so, in seconds.
GRACE = 5.0
# A supervisor that was stopped (SIGSTOP) this often is replaced: the attempt ends.
MAX_STOPS = 3
# After everything was killed only a process that could not be killed holds a pipe open; it is not waited for.
DRAIN = 1.0
# As much as an unprivileged process can make a pipe hold (pipe(7), /proc/sys/fs/pipe-max-size).
PIPE_BYTES = 1024 * 1024

PROMPT = "{prompt}"
# The variable by which an attempt's processes are found: it names a file in the attempt's own folder.
MARK = "COATCHECK_RESULT"


class ProcessResult(Value, frozen=True, kw_only=True):
    """How a command ended: its exit code (negative: the signal), what it wrote, and whether we ended it.

    `limit` is the limit of its control groups that it has reached: "memory" or "processes".
    """

    exit_code: int
    stdout: str
    stderr: str
    is_timeout: bool = False
    is_cancelled: bool = False
    limit: str | None = None


def arguments_of(template: Sequence[str], prompt: str) -> list[str]:
    """Return the command with the prompt in the place of ``{prompt}``, also inside an argument."""
    return [part.replace(PROMPT, prompt) for part in template]


def takes_argument(template: Sequence[str]) -> bool:
    """Whether the command takes its prompt as an argument; otherwise it comes on standard input."""
    return any(PROMPT in part for part in template)


class CommandProcess:
    """One run of a command; `cancel` ends it from any thread, also before it began.

    *on_line* gets the stream ("stdout" or "stderr") and each of its first lines, *on_output* all bytes as they come.
    """

    def __init__(
        self,
        *,
        on_line: Callable[[str, str], None] | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
        grace: float = GRACE,
        max_output: int = MAX_OUTPUT,
    ) -> None:
        self._on_line, self._on_output = on_line, on_output
        self._grace = grace
        self._max_output = max_output
        self._wake = threading.Event()
        self._is_cancelled = False

    def cancel(self) -> None:
        """End the command and everything that it started: SIGTERM, then SIGKILL after the grace period."""
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
        cgroup: Path | None = None,
    ) -> ProcessResult:
        """Run *command* to its end. Raises `OSError` or `ValueError` where it cannot be started."""
        order = {
            "arguments": list(command),
            "cwd": str(cwd),
            "environ": dict(environ),
            "cgroup": cgroup and str(cgroup),
        }
        supervised = Supervised(order, input=input, mark=environ.get(MARK), on_end=self._wake.set)
        captures = [
            self._capture(supervised.process.stdout, "stdout"),
            self._capture(supervised.process.stderr, "stderr"),
        ]
        try:
            has_ended_by_itself = self._wake.wait(timeout) and not self._is_cancelled
            if not has_ended_by_itself:
                supervised.terminate(self._grace)
        finally:
            supervised.end()
        deadline = time.monotonic() + DRAIN
        stdout, stderr = (capture.finish(deadline) for capture in captures)
        if supervised.problem is not None:
            raise supervised.problem
        return ProcessResult(
            exit_code=supervised.exit_code,
            stdout=stdout,
            stderr=stderr,
            is_timeout=not has_ended_by_itself and not self._is_cancelled,
            is_cancelled=self._is_cancelled,
        )

    def _capture(self, pipe: IO[bytes] | None, name: str) -> OutputCapture:
        assert pipe is not None  # noqa: S101 - PIPE was asked for
        on_line, on_output = (partial(each, name) if each else None for each in (self._on_line, self._on_output))
        return OutputCapture(pipe, on_line, on_output=on_output, limit=self._max_output)


class Supervised:
    """A command under a supervisor process (`coatcheck._workspaces.supervisor`), as the server sees it.

    Its standard input is the file *input*, or, where *has_input* is set, the pipe `process.stdin`.
    """

    def __init__(
        self,
        order: Mapping[str, object],
        *,
        input: Path | None,
        mark: str | None,
        on_end: Callable[[], None],
        has_input: bool = False,
    ) -> None:
        self.exit_code = -signal.SIGKILL  # what is reported where the command killed its own parents
        self.problem: Exception | None = None
        self._pid: int | None = None
        self._left: int | None = None
        self._on_end = on_end
        self._has_ended = threading.Event()
        self._ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as stack:
            stack.callback(self._ours.close)
            self.process = self._start(theirs.fileno(), input, mark, has_input=has_input)
            stack.pop_all()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._is_unusable = False
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        data = marshal.dumps(dict(order))
        self._send(len(data).to_bytes(LENGTH_BYTES, "big") + data)

    @staticmethod
    def _start(descriptor: int, input: Path | None, mark: str | None, *, has_input: bool) -> subprocess.Popen[bytes]:
        none = subprocess.PIPE if has_input else subprocess.DEVNULL
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COATCHECK_"))}
        with contextlib.ExitStack() as stack:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, str(descriptor)],
                env={**environ, MARK: mark} if mark else environ,
                stdin=stack.enter_context(input.open("rb")) if input else none,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(descriptor,),
                start_new_session=True,
            )

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a supervisor that was killed; `end` does its work
            self._ours.sendall(data)

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._ours.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._note(line.rstrip("\n"))
        self._has_ended.set()
        self._on_end()

    def _note(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "started":
            self._pid = int(rest)
        elif word == "left":
            self._left = int(rest)
        elif word in ("ended", "failed"):
            if word == "ended":
                self.exit_code = int(rest)
            else:
                number, _, text = rest.partition(" ")
                self.problem = OSError(int(number), text) if int(number) else ValueError(text)
            self._has_ended.set()
            self._on_end()

    def _watch(self) -> None:
        """Continue a supervisor that the command stops; after `MAX_STOPS` times the attempt is over.

        The supervisor is a child of this process and in a session of its own, so nothing else stops it.
        """
        for _ in range(MAX_STOPS):
            if not wait_for_stop(self.process.pid):
                return
            self.process.send_signal(signal.SIGCONT)
        self._is_unusable = True
        self._has_ended.set()
        self._on_end()

    def terminate(self, grace: float) -> None:
        """Send SIGTERM to the command's process group, and wait so many seconds for the command to end."""
        self.process.send_signal(signal.SIGCONT)  # the command may have stopped its supervisor
        self._send(b"T")
        self._has_ended.wait(grace)

    def end(self) -> None:
        """Kill everything that the command started, also where it killed or stopped its supervisor."""
        self.process.send_signal(signal.SIGCONT)
        self._send(b"K")
        if not self._is_unusable:
            self._thread.join(END_TIMEOUT + GRACE)
        if self._left is None:
            self._end_without_supervisor()
        self.process.wait()
        self._thread.join()
        self._watcher.join()
        self._ours.close()
        if self._left:
            log_warning("%d processes of an attempt could not be killed", self._left)

    def _end_without_supervisor(self) -> None:
        deadline = time.monotonic() + END_TIMEOUT
        end_descendants({self.process.pid}, deadline=deadline)
        self.process.kill()
        if self._pid is not None:
            end_descendants({self._pid}, deadline=deadline)
            send_group(self._pid, signal.SIGKILL)


def wait_for_stop(pid: int) -> bool:
    """Wait until a child is stopped or has ended; return whether it was stopped. An end is left for `Popen.wait`."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return False
    try:
        status = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        if status is None or status.si_code != os.CLD_STOPPED:
            return False
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None
    except ChildProcessError:  # its end was waited for meanwhile
        return False


def log_warning(message: str, *arguments: object) -> None:
    """Log a warning about a cloud's work."""
    import logging  # 5 ms to import, and mostly there is nothing to say

    logging.getLogger("coatcheck.cloud").warning(message, *arguments)


def log_error(error: Exception, what: str) -> None:
    """Log an exception with its traceback, and *what* it happened to."""
    import logging  # as above

    logging.getLogger("coatcheck.cloud").error("%s", what, exc_info=error)


def end_strays(folder: Path) -> None:
    """Kill every process that carries *folder* in its environment, with its descendants.

    They are agents and supervisors of a server that was killed, and processes of an agent that killed its supervisor.
    Linux only: elsewhere a process of the same user cannot be distinguished from another.
    """
    deadline = time.monotonic() + END_TIMEOUT
    while (marked := _marked(f"{MARK}={folder}/".encode())) and time.monotonic() < deadline:
        end_descendants(marked, deadline=deadline)
        for pid in marked:
            send(pid, signal.SIGKILL)
        time.sleep(INTERVAL)
    if marked:
        log_warning("processes that could not be killed: %s", ", ".join(map(str, sorted(marked))))


def _marked(mark: bytes) -> set[int]:
    found: set[int] = set()
    for pid in parents():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if any(variable.startswith(mark) for variable in file.read().split(b"\0")):
                found.add(pid)
    return found - {os.getpid()}


class OutputCapture:
    """Read a pipe from a thread; keep its first and last parts.

    *on_line* is called with each of the first lines, *on_output* with all bytes as they come.
    """

    def __init__(
        self,
        pipe: IO[bytes],
        on_line: Callable[[str], None] | None = None,
        *,
        on_output: Callable[[bytes], None] | None = None,
        limit: int = MAX_OUTPUT,
    ) -> None:
        self._pipe = pipe
        self._on_line, self._on_output = on_line, on_output
        self._half = limit // 2
        self._head, self._tail = bytearray(), bytearray()
        self._dropped = self._received = 0
        self._is_reporting = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest, lines, on_line = b"", 0, self._on_line
        with self._pipe:
            while chunk := self._next_chunk():
                self._keep(chunk)
                if self._on_output:
                    self._on_output(chunk)
                if on_line and lines < MAX_LINES:
                    *whole, rest = (rest + chunk).split(b"\n")
                    lines += len(whole)
                    for line in whole:
                        on_line(plain(line[:MAX_LINE]))
                    rest = rest[-MAX_LINE:]
        if on_line and rest and lines < MAX_LINES:
            on_line(plain(rest))

    def _next_chunk(self) -> bytes:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        self._is_reporting = False
        poll.poll()
        self._is_reporting = True  # before the pipe is empty
        chunk = os.read(self._pipe.fileno(), 65_536)
        self._received += len(chunk)
        return chunk

    def _keep(self, chunk: bytes) -> None:
        free = self._half - len(self._head)
        self._head += chunk[:free]
        self._tail += chunk[free:] if free else chunk
        surplus = len(self._tail) - self._half
        if surplus > 0:
            del self._tail[:surplus]
            self._dropped += surplus

    def finish(self, deadline: float) -> str:
        """Return what was written, and is in the pipe; one that a process still holds is read until *deadline* (monotonic)."""
        limit = self._received + PIPE_BYTES
        while self._thread.is_alive() and (time.monotonic() < deadline or self._has_more(limit)):
            self._thread.join(INTERVAL)
        cut = f"\n[… {self._dropped} bytes were cut out here …]\n" if self._dropped else ""
        return plain(bytes(self._head)) + cut + plain(bytes(self._tail))

    def _has_more(self, limit: int) -> bool:
        """Whether lines are being reported, or there are bytes in the pipe and *limit* is not reached."""
        poll = select.poll()
        with contextlib.suppress(ValueError):  # closed meanwhile
            poll.register(self._pipe, select.POLLIN)
        has_bytes = bool(poll.poll(0))  # first: what is no longer in the pipe is being reported
        return self._is_reporting or (has_bytes and self._received < limit)


# Colours and cursor movements (ECMA-48 control sequences, OSC strings); agents write for terminals.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def plain(data: bytes) -> str:
    """Return output as text without control sequences."""
    return _ESCAPES.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\x00", "")
