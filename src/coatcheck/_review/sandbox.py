"""Sandboxes: what runs the commands of a person so that a hostile change can do little (`docs/guides/checks.md`).

Invariants:
- a command gets an environment of four variables, its standard input is empty, and it works in a copy of a clone;
- limits are set inside the sandbox, before the command starts, and cannot be raised by it (setrlimit(2));
- where no sandbox works, `choose_sandbox` raises; commands run without one only where the person has written "none".
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from .._workspaces.sandboxed_process import SHELL_HANDSHAKE
from .checks import Limits

if TYPE_CHECKING:
    from .._workspaces.cancellation import CancelScope
    from .._workspaces.command_process import ProcessResult

# The exit status of our script where the clone could not be copied; commands use 126 and 127 as shells do.
NO_COPY = 125
# Where an unprivileged command may write when we are root: "nobody" of Linux and of macOS is not the same number.
NOBODY = 65534
STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SandboxedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command and what it gets: a copy of the clone *source*, whose objects are borrowed from *repository*.

    *setup* is the folder of a setup: for checks its files can be read, and its *outputs* (paths in the clone) too; the
    setup itself (`is_setup`) writes there.
    """

    words: tuple[str, ...]
    source: Path
    repository: Path
    limits: Limits
    timeout: float
    setup: Path | None = None
    outputs: tuple[str, ...] = ()
    is_setup: bool = False
    network: bool = False


class Sandbox(Protocol):
    """One way to run commands.

    *user* is the id that they run as, None for ours. With `has_fixed_path`, every command sees its work folder at the
    same path; otherwise commands that need the files of a setup run one after the other. `alternates` is the path of
    the repository's objects that clones refer to.
    """

    name: str
    user: int | None
    has_fixed_path: bool

    def alternates(self, repository: Path) -> str:
        """Return the path at which commands see the objects of *repository*."""
        ...

    def run(self, command: SandboxedCommand, *, folder: Path, scope: CancelScope) -> ProcessResult:
        """Run a command; *folder* is an empty folder for it. Standard error has only the sandbox's own messages."""
        ...


def script(command: SandboxedCommand, *, source: str, processes: int | None, is_init: bool = False) -> list[str]:
    """Return the command behind a POSIX shell script that copies the clone, and sets limits.

    Limits are those of one process, except *processes*, which are counted for the user in its user namespace. With
    *is_init* the shell is the first process of its namespace: it confirms that it has started
    (`coatcheck._workspaces.sandboxed_process`), and waits for the command and for orphans.
    """
    limits = command.limits
    copy = "" if command.is_setup else f'cp -a "$1/." . || exit {NO_COPY}'
    lines = [
        SHELL_HANDSHAKE if is_init else "",
        "umask 022",
        # without a program where the sandbox has made them
        'test -d "$HOME" && test -d "$TMPDIR" || mkdir -p "$HOME" "$TMPDIR"',
        copy,
        # the shell's report of a signal is no message of the sandbox
        "exec 2>/dev/null\n(" if is_init else "",
        _limit("-c", 0),
        # at the hard limit a process is killed, at the soft one it gets SIGXCPU, from which the reason is known
        _limit("-H -t", math.ceil(limits.cpu) + 1),
        _limit("-S -t", math.ceil(limits.cpu)),
        _limit("-d", limits.memory // 1024),
        _limit("-f", limits.file // 512),
        # bash's name of the limit, then dash's
        f"ulimit -u {processes} 2>/dev/null || ulimit -p {processes} 2>/dev/null || :" if processes else "",
        "shift",
        'exec "$@" 2>&1',
        # a subshell that ends the script would replace the shell
        ")\nexit" if is_init else "",
    ]
    return ["/bin/sh", "-c", "\n".join(filter(None, lines)), "sh", source, *command.words]


def _limit(option: str, value: int) -> str:
    return f"ulimit {option} {value} 2>/dev/null || :"


def environment(environ: Mapping[str, str], *, path: str, home: str, temporary: str) -> dict[str, str]:
    """Return the whole environment of a command."""
    return {"PATH": path, "LANG": environ.get("LANG", "C.UTF-8"), "HOME": home, "TMPDIR": temporary}


def unprivileged_user() -> int | None:
    """Return the id that commands run as when we are root, None otherwise."""
    return NOBODY if hasattr(os, "geteuid") and os.geteuid() == 0 else None


def counts_processes_by_namespace() -> bool:
    """Whether RLIMIT_NPROC counts the processes of a user namespace alone (Linux 5.14, ``UCOUNT_RLIMIT_NPROC``)."""
    if sys.platform != "linux":
        return False
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)) or 0)) >= (5, 14)


def is_reachable(path: Path, user: int | None) -> bool:
    """Whether the user with this id, who owns nothing, may enter every folder of *path* and read it; True for None."""
    return user is None or (closed_folder(str(path), user) == "" and _has_mode(path, 0o004))


def closed_folder(path: str, user: int | None) -> str:
    """Return the uppermost folder of *path* that *user* may not enter, "" where it may enter all of them."""
    folders = [*reversed(Path(path).parents), Path(path)] if os.path.isdir(path) else [*reversed(Path(path).parents)]
    return next((str(folder) for folder in folders if user is not None and not _has_mode(folder, 0o001)), "")


def _has_mode(path: Path, bits: int) -> bool:
    try:
        return bool(path.stat().st_mode & bits)
    except OSError:
        return False


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """Return *path* with the person's home in place of ``~``."""
    return environ.get("HOME", "~") + path[1:] if path == "~" or path.startswith("~/") else path
