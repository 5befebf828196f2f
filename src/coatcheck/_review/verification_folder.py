"""The private folder of checks: mirrors and setups, which are kept, and the clones of one run, which are not.

Invariants:
- what a run leaves when its process is killed is removed by the next run;
- as root, the folder can be entered by the user that commands run as, and by no other user.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Self

from .._files.locks import try_lock
from .._workspaces.command_process import log_warning
from .._workspaces.sandboxed_process import end_left_sandboxes
from .._workspaces.tree_removal import remove_tree


class VerificationFolder:
    """The folder *folder*; *user* is the unprivileged user that commands run as, None where it is ours."""

    def __init__(self, folder: Path, user: int | None) -> None:
        self._user = user
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder.resolve()
        self.mirrors, self.setups, self._runs = (self._inner(name) for name in ("mirrors", "setups", "runs"))
        self._open_to_group(self.path)
        self._remove_left()

    def _inner(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(exist_ok=True, mode=0o700)
        self._open_to_group(path)
        return path

    def _open_to_group(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, -1, self._user)
            path.chmod(0o710)

    def open_run(self) -> Run:
        """Return a new folder for the clones of one run.

        A process that removes what others have left may take the lock of a new name before it is locked here.
        """
        while (lock := try_lock(str(self._runs / f"{(name := secrets.token_hex(8))}.lock"))) is None:
            pass
        return Run(self._inner(f"runs/{name}"), lock)

    def _remove_left(self) -> None:
        """Remove the clones of runs whose process has ended: their locks are free."""
        for path in self._runs.glob("*.lock"):
            if (lock := try_lock(str(path))) is not None:
                end_left_sandboxes(path.with_suffix(""))
                discard(path.with_suffix(""))
                path.unlink(missing_ok=True)
                os.close(lock)

    def make_readable(self, tree: Path) -> None:
        """Let the unprivileged user read everything in a folder of ours, whatever our umask is."""
        if self._user is None:
            return
        for parent, _, files in os.walk(tree):
            os.chmod(parent, os.stat(parent).st_mode | 0o055)  # noqa: S103 - no other user reaches the folder
            for name in files:
                path = os.path.join(parent, name)
                os.chmod(path, os.stat(path).st_mode | 0o044)


class Run:
    """The folder of one run, a context manager that removes it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        discard(self.path)
        self.path.with_name(f"{self.path.name}.lock").unlink(missing_ok=True)
        os.close(self._lock)


def discard(folder: Path) -> None:
    """Remove a folder; what cannot be removed is logged, and removed by a later run."""
    if problems := remove_tree(folder):
        log_warning("%s cannot be removed, it will be tried again: %s", folder, "; ".join(problems[:5]))
