"""Start git as a program of ours: nobody's settings, no hooks, no prompts, no shell.

Law: an agent's folder never decides what runs. Files of its making are read as data; whatever a configuration file
could name (hooks, filters, external diffs, monitors) is off on the command line, which wins over files.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# No git command that we run takes minutes, except the first copy of a huge repository.
GIT_TIMEOUT = 1800.0


class WorkspaceError(Exception):
    """An attempt cannot go on; `code` is a word for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of our own git commands: nobody's settings, no prompts, no network on the side."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_AUTHOR_NAME": "coatcheck",
        "GIT_AUTHOR_EMAIL": "coatcheck@localhost",
        "GIT_COMMITTER_NAME": "coatcheck",
        "GIT_COMMITTER_EMAIL": "coatcheck@localhost",
        "LC_ALL": "C",
    }


# What no command of ours may do, whatever a configuration file says; the command line wins over files (git-config(1)).
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=true",
    "core.autocrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
    "protocol.ext.allow=never",
)


class Git:
    """Run git with *environ*'s PATH and nothing else of it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = git_environment(environ)

    def run(
        self, *arguments: str | Path, input: bytes = b"", check: bool = True, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end; raises `WorkspaceError` with git's last words."""
        done = subprocess.run(
            self._command(arguments),
            input=input,
            capture_output=True,
            env={**self._environ, **(environ or {})},
            timeout=GIT_TIMEOUT,
            check=False,
        )
        if check and done.returncode:
            raise WorkspaceError("git_failed", last_line(done.stderr.decode("utf-8", "replace")) or "git failed")
        return done

    def read(self, *arguments: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Return what a command prints, without the last newline."""
        return self.run(*arguments, environ=environ).stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def read_capped(self, *arguments: str | Path, limit: int, environ: Mapping[str, str] | None = None) -> bytes | None:
        """Return what a command prints, None if that is more than *limit* bytes."""
        with subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**self._environ, **(environ or {})},
        ) as process:
            assert process.stdout is not None  # noqa: S101 - PIPE was asked for
            output = process.stdout.read(limit + 1)
            if len(output) > limit:
                process.kill()
        return output if len(output) <= limit else None

    @staticmethod
    def _command(arguments: Sequence[str | Path]) -> list[str]:
        return ["git", *(part for setting in SETTINGS for part in ("-c", setting)), *map(str, arguments)]


def last_line(text: str) -> str:
    """Return the last line of *text* that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def remove_tree(path: Path) -> None:
    """Remove a folder, also one whose folders somebody made unwritable. Links are removed, never followed."""
    if not path.exists():
        return
    path.chmod(stat.S_IRWXU)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
