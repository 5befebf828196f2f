"""Run git without the user's configuration: no hooks, no prompts, no shell.

Invariants:
- no file that an agent wrote decides what runs: what a configuration file could name (hooks, external diffs, file
  system monitors) is switched off on the command line, which wins over files (git-config(1));
- a command ends with its attempt: at the deadline and on cancellation its process group is killed;
- an exit status other than 0 raises, except where the caller asked for it (`check=False`) and looks at it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .._patches.git import inherited, is_damage, start
from .cancellation import CancelScope

# No git command that we run takes minutes, except the first copy of a huge repository.
GIT_TIMEOUT = 1800.0


class WorkspaceError(Exception):
    """The attempt fails; `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of our own git commands: no configuration of the user, no prompts, no lazy fetches."""
    return {
        **inherited(environ, keep_settings=False),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": f"{os.devnull}/none",  # no such file: git prints advice about one that exists
        "GIT_AUTHOR_NAME": "coatcheck",
        "GIT_AUTHOR_EMAIL": "coatcheck@localhost",
        "GIT_COMMITTER_NAME": "coatcheck",
        "GIT_COMMITTER_EMAIL": "coatcheck@localhost",
        "LC_ALL": "C",
    }


# Settings of every command, which overrule configuration files.
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=true",
    "core.commitGraph=false",
    "core.multiPackIndex=false",
    "core.autocrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
    "protocol.ext.allow=never",
)


class Git:
    """Run git with *environ*'s PATH, within a `CancelScope`, without any configuration of the user.

    *extra* is added to the environment of every command: it marks the commands of one attempt.
    """

    def __init__(
        self, environ: Mapping[str, str], *, scope: CancelScope | None = None, extra: Mapping[str, str] | None = None
    ) -> None:
        self._environ = {**git_environment(environ), **(extra or {})}
        self._scope = scope or CancelScope()

    def within(self, scope: CancelScope, extra: Mapping[str, str]) -> Git:
        """Return a copy for one attempt."""
        return Git(self._environ, scope=scope, extra=extra)

    def run(
        self, *arguments: str | Path, input: bytes = b"", check: bool = True, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end. Raises `WorkspaceError` with git's last line, and `Stopped`."""
        with self._started(arguments, environ) as process:
            try:
                stdout, stderr = process.communicate(input, timeout=self._timeout())
            except subprocess.TimeoutExpired:
                raise self._timed_out(arguments[0]) from None
        if check and process.returncode:
            raise git_failure(stderr)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def read(self, *arguments: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Return what a command prints, without the last newline."""
        return self.run(*arguments, environ=environ).stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def read_capped(self, *arguments: str | Path, limit: int, environ: Mapping[str, str] | None = None) -> bytes | None:
        """Return what a command prints, None if that is more than *limit* bytes. Raises as `run` does."""
        with tempfile.TemporaryFile() as errors:
            with self._started(arguments, environ, stderr=errors.fileno()) as process:
                try:
                    output = self._read_up_to(process, limit)
                    if len(output) > limit:
                        return None
                    process.communicate(timeout=self._timeout())
                except (TimeoutError, subprocess.TimeoutExpired):
                    raise self._timed_out(arguments[0]) from None
            if process.returncode:
                errors.seek(0)
                raise git_failure(errors.read())
        return output

    def _timed_out(self, command: str | Path) -> WorkspaceError:
        """Return the error of a command that took too long. Raises `Stopped` where the attempt's own time is up."""
        self._scope.check()
        return WorkspaceError("git_timed_out", f"git {command} took {GIT_TIMEOUT:g} s")

    def _timeout(self) -> float:
        remaining = self._scope.remaining()
        return GIT_TIMEOUT if remaining is None else min(GIT_TIMEOUT, remaining)

    def _read_up_to(self, process: subprocess.Popen[bytes], limit: int) -> bytes:
        """Return the first *limit* + 1 bytes of the output. Raises `TimeoutError`."""
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        process.stdin.close()
        process.stdin = None
        output, descriptor = bytearray(), process.stdout.fileno()
        while len(output) <= limit:
            self._scope.check()
            if not select.select([descriptor], [], [], self._timeout())[0]:
                raise TimeoutError
            chunk = os.read(descriptor, min(1 << 20, limit + 1 - len(output)))
            if not chunk:
                break
            output += chunk
        return bytes(output)

    @contextmanager
    def _started(
        self, arguments: Sequence[str | Path], environ: Mapping[str, str] | None, *, stderr: int | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start git in a new process group; the group is killed on cancellation and on leaving the block."""
        self._scope.check()
        process = start(
            [os.fspath(argument) for argument in arguments],
            environ={**self._environ, **(environ or {})},
            settings=SETTINGS,
            stderr=stderr,
            is_group=True,
        )
        try:
            with process, self._scope.on_cancel(lambda: kill_group(process)):
                try:
                    yield process
                finally:
                    kill_group(process)
        except OSError:
            self._scope.check()
            raise
        self._scope.check()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads its process group, with the group, unless it was waited for (its id may be another's)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def git_failure(stderr: bytes) -> WorkspaceError:
    """Return the error of a git command that failed, with git's last line, or the first about a damaged repository."""
    text = stderr.decode("utf-8", "replace")
    line = next((line.strip() for line in text.splitlines() if is_damage(line)), None)
    if line is not None:
        return WorkspaceError(
            "git_failed", f"the repository is damaged or incomplete; git fsck there shows where: {line}"
        )
    return WorkspaceError("git_failed", last_line(text) or "git failed")


def last_line(text: str) -> str:
    """Return the last line of *text* that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
