"""Change git's index at once, under git's own lock.

Guarantees: ``index.lock`` is held from before the first file moves until the new index is in place, so no other git
changes the index meanwhile; the new index is written beside the old one and replaces it by one rename. A lock that a
crash of ours left behind is recognised (it is the same file as our copy of it) and removed by the next application or
undo; another program's lock is never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from ..errors import PatchConflictError
from .git import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .checkout import Checkout, Entry

# What the index gets for a path: entries by stage, 0 for a plain one and 1 to 3 for a conflict; none removes the path.
Stages = dict[int, tuple[int, str]]

_FLAGS = {"S": "--skip-worktree", "h": "--assume-unchanged", "s": "--skip-worktree"}


@contextlib.contextmanager
def locked(checkout: Checkout) -> Iterator[None]:
    """Hold git's lock on the index. Raises `PatchConflictError` where another git holds it."""
    lock, copy = f"{checkout.index_path}.lock", _copy_of_lock(checkout)
    try:
        _take(lock, copy)
    except FileExistsError:
        _remove(copy)
        raise PatchConflictError(
            f"git's index is locked: {lock} exists",
            remedy="wait for the git command that holds it; remove the file if no git is running",
        ) from None
    try:
        yield
    finally:
        _remove(lock)
        _remove(copy)


def unlock(checkout: Checkout) -> None:
    """Remove the lock that a crash of coatcheck left behind. Call it with the checkout locked."""
    lock, copy = f"{checkout.index_path}.lock", _copy_of_lock(checkout)
    with contextlib.suppress(OSError):
        if os.path.samefile(lock, copy):
            os.unlink(lock)
    _remove(copy)


def _copy_of_lock(checkout: Checkout) -> str:
    return os.path.join(checkout.folder, "index.lock")


def _take(lock: str, copy: str) -> None:
    """Make *lock*, which fails where it exists, as another name of the file *copy*."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        os.link(copy, lock)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


class NewIndex:
    """A copy of the index at *path*, which takes its place with `publish`."""

    def __init__(self, checkout: Checkout, path: str) -> None:
        self._checkout = checkout
        self._path = path
        with contextlib.suppress(FileNotFoundError):  # a repository without a commit has none
            shutil.copyfile(checkout.index_path, path)

    def set(self, entries: Mapping[str, Stages]) -> None:
        """Set the entries of each path."""
        width = len(next((blob for stages in entries.values() for _, blob in stages.values()), "0" * 40))
        removals = [f"0 {'0' * width}\t".encode() + os.fsencode(path) + b"\0" for path in entries]
        additions = [
            f"{mode:06o} {blob} {stage}\t".encode() + os.fsencode(path) + b"\0"
            for path, stages in entries.items()
            for stage, (mode, blob) in stages.items()
        ]
        self._git("update-index", "-z", "--index-info", stdin=b"".join(removals + additions))

    def restore(self, entries: Mapping[str, Entry | None]) -> None:
        """Restore the entry of each path, skip-worktree and assume-unchanged included; None removes it."""
        self.set({path: {0: (entry.mode, entry.id)} if entry else {} for path, entry in entries.items()})
        for tag, option in _FLAGS.items():
            paths = [path for path, entry in entries.items() if entry and entry.tag == tag]
            self._flag(option, paths)
        self._flag("--assume-unchanged", [path for path, entry in entries.items() if entry and entry.tag == "s"])

    def _flag(self, option: str, paths: Sequence[str]) -> None:
        if paths:
            stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
            self._git("update-index", option, "-z", "--stdin", stdin=stdin)

    def watch(self, paths: Sequence[str]) -> None:
        """Drop skip-worktree and assume-unchanged from *paths*, so that git status examines them."""
        self._flag("--no-skip-worktree", paths)
        self._flag("--no-assume-unchanged", paths)

    def move_to(self, folder: str) -> None:
        """Note that the folder it is in has been renamed to *folder*."""
        self._path = os.path.join(folder, os.path.basename(self._path))

    def refresh(self) -> None:
        """Note the size and time of the files, so that git need not read them; without it git status does so later."""
        with contextlib.suppress(GitError):
            self._git("update-index", "-q", "--refresh", accept=(0, 1))

    def publish(self) -> None:
        """Take the place of the index. Hold the lock."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        target = self._checkout.index_path
        if os.stat(os.path.dirname(target)).st_dev == os.stat(self._path).st_dev:
            os.replace(self._path, target)
        else:
            shutil.copy(self._path, f"{target}.lock")
            os.replace(f"{target}.lock", target)

    def _git(self, *arguments: str, stdin: bytes = b"", accept: tuple[int, ...] = (0,)) -> None:
        self._checkout.git(*arguments, stdin=stdin, accept=accept, index=self._path)
