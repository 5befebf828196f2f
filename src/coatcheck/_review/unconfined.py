"""Commands without a sandbox ("none"), and in the one of macOS: both work in a folder on the disk.

Without a sandbox a command can do what our user can do. It still works in a copy, with an environment of four
variables, with limits for each process, and everything that it started is ended with it (on Linux).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._workspaces.command_process import CommandProcess
from .sandbox import STANDARD_PATH, SandboxedCommand, environment, script

if TYPE_CHECKING:
    from .._workspaces.cancellation import CancelScope
    from .._workspaces.command_process import ProcessResult

# A command that was asked to end may take this long to do so, in seconds.
GRACE = 1.0


class Unconfined:
    """Run commands as our user, without a sandbox."""

    name = "none"
    user: int | None = None
    has_fixed_path = False

    def __init__(self, *, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def alternates(self, repository: Path) -> str:
        """Return the path at which commands see the objects of *repository*."""
        return str(repository / "objects")

    def run(self, command: SandboxedCommand, *, folder: Path, scope: CancelScope) -> ProcessResult:
        """Run a command in *folder*. Standard error has only the messages of our script."""
        work = command.source if command.is_setup else folder / "work"
        work.mkdir(exist_ok=True)
        if not command.is_setup:
            _copy_setup(command, folder)
        home = folder / "setup" / "home" if command.is_setup else folder / "home"
        process = CommandProcess(grace=GRACE, max_output=command.limits.output)
        with scope.on_cancel(process.cancel):
            return process.run(
                [*self.prefix(command, folder), *script(command, source=str(command.source), processes=None)],
                cwd=work,
                environ=environment(
                    self._environ, path=self._path(command, folder), home=str(home), temporary=str(folder / "tmp")
                ),
                input=None,
                timeout=command.timeout,
            )

    def prefix(self, command: SandboxedCommand, folder: Path) -> Sequence[str]:  # noqa: ARG002 - for the subclass
        """Return the words before the command."""
        return ()

    def _path(self, command: SandboxedCommand, folder: Path) -> str:
        first = [str(folder / "setup" / "bin")] if command.setup else []
        return ":".join([*first, self._environ.get("PATH") or STANDARD_PATH])


def _copy_setup(command: SandboxedCommand, folder: Path) -> None:
    if command.setup is None:
        return
    shutil.copytree(command.setup / "setup", folder / "setup", symlinks=True, dirs_exist_ok=True)
    for output in command.outputs:
        source, target = command.setup / "work" / output, folder / "work" / output
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)


class SandboxExec(Unconfined):
    """Run commands with macOS's ``sandbox-exec`` (sandbox-exec(1)); *readable* are further paths that they can read."""

    name = "sandbox-exec"

    def __init__(self, *, environ: Mapping[str, str], readable: Sequence[str] = ()) -> None:
        super().__init__(environ=environ)
        self._readable = [os.path.realpath(os.path.expanduser(path)) for path in readable]

    def prefix(self, command: SandboxedCommand, folder: Path) -> Sequence[str]:
        """Return the words before the command: paths are parameters of the profile, so none needs quoting."""
        paths = {
            "HOME": os.path.expanduser("~"),
            "WORK": str(folder),
            "SOURCE": str(command.source),
            "REPOSITORY": str(command.repository),
            **{f"READABLE{number}": path for number, path in enumerate(self._readable)},
        }
        profile = self.profile(has_network=command.network, readable=len(self._readable))
        parameters = [f"-D{name}={os.path.realpath(path)}" for name, path in paths.items()]
        return ["/usr/bin/sandbox-exec", "-p", profile, *parameters]

    @staticmethod
    def profile(*, has_network: bool, readable: int) -> str:
        """Return the rules; of several that fit, the last one decides."""
        paths = ["WORK", "SOURCE", "REPOSITORY", *(f"READABLE{number}" for number in range(readable))]
        lines = [
            "(version 1)",
            "(deny default)",
            "(allow process-exec process-fork)",
            "(allow signal (target same-sandbox))",
            "(allow sysctl-read mach-lookup ipc-posix-shm* ipc-posix-sem*)",
            "(allow file-read*)",
            '(deny file-read* (subpath (param "HOME")) (subpath "/Users") (subpath "/private/tmp"))',
            '(deny file-read* (subpath "/private/var/folders"))',
            "(allow file-read-metadata)",
            *(f'(allow file-read* (subpath (param "{name}")))' for name in paths),
            '(allow file-write* (subpath (param "WORK")))',
            '(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))',
            "(allow network*)" if has_network else "(deny network*)",
        ]
        return "\n".join(lines)
