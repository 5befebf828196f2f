"""A bare repository of our own with commits of a user's repository, from which clones borrow objects.

Invariants:
- the user's repository is read by git's ``rev-parse`` and ``fetch`` and written by no command;
- of several processes one fetches at a time.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._files.locks import LockSet
from .._files.private import replace_file
from .cancellation import CancelScope
from .git import Git, WorkspaceError

# Another process may fetch a large repository for the first time meanwhile, in seconds.
LOCK_TIMEOUT = 600.0
# The length of a commit's name in a repository whose object format is SHA-256 (git-init(1), --object-format).
_SHA256_DIGITS = 64
# Any commit may be fetched, and the repository of another user may be read: its path was given by our user.
GIT_CONFIG = "[safe]\n\tdirectory = *\n[uploadpack]\n\tallowAnySHA1InWant = true\n"


class Mirror:
    """The mirror of *source* in *folder*, which several mirrors may share.

    `object_format` is the option of ``git init`` for repositories that borrow its objects, after the first `fetch`.
    """

    object_format = "--object-format=sha1"

    def __init__(self, folder: Path, source: Path, git: Git, *, scope: CancelScope) -> None:
        self._source, self._git, self._scope = source.resolve(), git, scope
        name = hashlib.sha256(os.fsencode(self._source)).hexdigest()[:16]
        self.path = folder / f"{name}.git"
        self._lock = folder / f"{name}.lock"
        self._config = folder / f"{name}.gitconfig"

    def resolve(self, revision: str) -> str | None:
        """Return the commit that *revision* names in the user's repository, None where there is none."""
        if "\0" in revision:
            return None
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        done = self._git.run("-C", self._source, *verify, check=False, environ=self.trust())
        if done.returncode == 0:
            return done.stdout.decode().strip()
        if done.returncode == 1 or b"not a git repository" not in done.stderr:
            return None
        raise WorkspaceError("no_repository", f"{self._source} is not a git repository")

    def fetch(self, commit: str) -> None:
        """Copy a commit with its history into the mirror, if it is not there. Raises `WorkspaceError`."""
        self.object_format = object_format_of(commit)
        with locked(self._lock, timeout=LOCK_TIMEOUT, scope=self._scope):
            if not (self.path / "HEAD").exists():
                self._git.run("init", "--quiet", "--bare", "--template=", self.object_format, self.path)
            if self._git.run(
                "--git-dir", self.path, "rev-parse", "--verify", "--quiet", _ref(commit), check=False
            ).stdout:
                return
            options = ("--quiet", "--update-shallow", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
            wanted = f"+{commit}:{_ref(commit)}"
            self._git.run("--git-dir", self.path, "fetch", *options, "--", self._source, wanted, environ=self.trust())

    def trust(self) -> dict[str, str]:
        """Return the variables with which git reads a repository that another user owns."""
        if not self._config.exists():
            replace_file(str(self._config), GIT_CONFIG.encode(), is_durable=False)  # threads may do so at once
        return {"GIT_CONFIG_GLOBAL": str(self._config)}


@contextmanager
def locked(path: Path, *, timeout: float, scope: CancelScope) -> Iterator[None]:
    """Hold the lock file *path* inside the block. Raises `WorkspaceError` after *timeout* seconds, and `Stopped`."""
    locks = LockSet([str(path)], timeout=timeout, monotonic=time.monotonic)
    try:
        _take(locks, path, scope)
        yield
    finally:
        locks.release()


def _take(locks: LockSet, path: Path, scope: CancelScope) -> None:
    try:
        for pause in locks.pauses():
            scope.check()
            time.sleep(pause)
    except TimeoutError:
        raise WorkspaceError("locked", f"{path} is locked by another process") from None


def object_format_of(commit: str) -> str:
    """Return the option of ``git init`` that makes a repository which can hold *commit*."""
    return f"--object-format={'sha256' if len(commit) == _SHA256_DIGITS else 'sha1'}"


def _ref(commit: str) -> str:
    return f"refs/coatcheck/{commit}"
