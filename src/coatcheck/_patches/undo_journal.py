"""What was there before a patch was applied, kept until the next application.

* Before the first file changes, the journal is on the disk: what each path was, where that is kept, what it will be.
* What was there is kept as the very file (a hard link), so it comes back with its bytes, mode and time.
* A file is restored only when it is still what the application made of it. So `undo` after a crash, or twice, or after
  somebody went on working, restores what it can and refuses the rest by name.

The journal lives in ``git rev-parse --git-path coatcheck`` and holds no content of the patch.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from .._errors import PatchConflictError
from .checkout import Checkout, Entry
from .work_tree import FileStamp, Tree, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VERSION = 1


class Step(NamedTuple):
    """One path: what it was, under which name that is kept, and what it becomes. None stands for no file."""

    path: str
    before: FileStamp | None
    saved: str | None
    after: FileStamp | None


class UndoResult(NamedTuple):
    """What `undo` did, by path, and the branch it removed."""

    restored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    branch: str | None = None


class Journal:
    """The journal of one application, in *folder*."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.steps: list[Step] = []
        self.folders: list[str] = []
        self.index: dict[str, Entry | None] = {}
        self.branch: tuple[str, str] | None = None
        self.is_finished = False
        self.is_elsewhere = False  # the git directory is on another file system than the work tree

    def saved(self, name: str) -> str:
        """Return where the file kept as *name* is."""
        return os.path.join(self.folder, "saved", name)

    def write(self) -> None:
        """Put the journal on the disk, whole or not at all."""
        import json

        path = os.path.join(self.folder, "journal.json")
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(json.dumps(self._facts()))  # json.dump is ten times slower: it writes piece by piece
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)
        for folder in (os.path.join(self.folder, "saved"), self.folder, os.path.dirname(self.folder)):
            _sync(folder)

    def _facts(self) -> dict[str, object]:
        return {
            "version": _VERSION,
            "finished": self.is_finished,
            "elsewhere": self.is_elsewhere,
            "steps": self.steps,
            "folders": self.folders,
            "index": self.index,
            "branch": self.branch,
        }

    @classmethod
    def read(cls, folder: str) -> Journal | None:
        """Read the journal in *folder*, None where there is none."""
        import json

        try:
            with open(os.path.join(folder, "journal.json"), encoding="ascii") as file:
                facts: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return None
        if facts["version"] != _VERSION:
            raise PatchConflictError("another version of coatcheck wrote the last application's journal")
        journal = cls(folder)
        journal.is_finished = facts["finished"]
        journal.is_elsewhere = facts["elsewhere"]
        journal.steps = [
            Step(path, _mark(before), saved, _mark(after)) for path, before, saved, after in facts["steps"]
        ]
        journal.folders = facts["folders"]
        journal.index = {path: entry and Entry(*entry) for path, entry in facts["index"].items()}
        journal.branch = facts["branch"] and tuple(facts["branch"])
        return journal


def _mark(facts: Sequence[int] | None) -> FileStamp | None:
    return None if facts is None else FileStamp(*facts)


def _sync(folder: str) -> None:
    if not os.path.isdir(folder):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(checkout: Checkout) -> Iterator[None]:
    """Let nobody else apply or undo in this checkout meanwhile. Raises `PatchConflictError` where somebody is."""
    import fcntl

    os.makedirs(checkout.folder, mode=0o700, exist_ok=True)
    with open(os.path.join(checkout.folder, "lock"), "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PatchConflictError(
                "another patch is being applied here", remedy="wait for it and try again"
            ) from None
        yield


def begin(checkout: Checkout) -> Journal:
    """Start a journal in a fresh folder. Raises `PatchConflictError` while the last application is unfinished."""
    last = Journal.read(_last(checkout))
    if last is not None and not last.is_finished:
        raise PatchConflictError(
            "the last application was interrupted", remedy="take it back first: coatcheck apply --undo"
        )
    folder = os.path.join(checkout.folder, "next")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "saved"), mode=0o700)
    journal = Journal(folder)
    journal.is_elsewhere = os.stat(folder).st_dev != os.stat(checkout.root).st_dev
    return journal


def _last(checkout: Checkout) -> str:
    return os.path.join(checkout.folder, "last")


def commit(checkout: Checkout, journal: Journal) -> None:
    """Make *journal* the last application, on the disk, before its first step is taken."""
    journal.write()
    shutil.rmtree(_last(checkout), ignore_errors=True)
    os.rename(journal.folder, _last(checkout))
    _sync(checkout.folder)
    journal.folder = _last(checkout)


def finish(journal: Journal) -> None:
    """Say that every step is taken."""
    journal.is_finished = True
    journal.write()


def forget(checkout: Checkout, journal: Journal) -> None:
    """Remove *journal*, and our folder when nothing else is in it."""
    shutil.rmtree(journal.folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(checkout.folder, "lock"))
        os.rmdir(checkout.folder)


def undo(path: str | os.PathLike[str]) -> UndoResult:
    """Take the last application in the checkout at *path* back, file by file, also after a crash in its middle.

    A file that was edited since is left as it is and named in `UndoResult.refused`; what it was stays in the journal.
    Raises `PatchConflictError` when there is nothing to undo.
    """
    checkout = Checkout.at(path)
    with exclusive(checkout):
        journal = Journal.read(_last(checkout))
        if journal is None:
            raise PatchConflictError("no application is left to undo here")
        with Tree(checkout.root) as tree:
            refused = restore(tree, journal)
        restored = [step.path for step in journal.steps if step not in refused]
        _restore_index(checkout, journal, restored)
        branch = _remove_branch(checkout, journal)
        _keep(checkout, journal, refused)
    return UndoResult(tuple(restored), tuple(step.path for step in refused), branch)


def restore(tree: Tree, journal: Journal) -> list[Step]:
    """Give back what every step took; return the steps of files that were edited since."""
    # What was added goes first: it may stand where something else has to come back.
    steps = sorted(journal.steps, key=lambda step: step.before is not None)
    refused = [step for step in steps if not _restore(tree, journal, step)]
    for folder in reversed(journal.folders):
        tree.prune(folder)
    return refused


def _restore(tree: Tree, journal: Journal, step: Step) -> bool:
    facts = tree.look(step.path)
    now = None if facts is None else mark_of(facts)
    if _is_same(now, step.before, journal):
        return True
    if not _is_same(now, step.after, journal):
        return False
    if step.saved is None:
        tree.remove(step.path)
    else:
        tree.put(journal.saved(step.saved), step.path)
    return True


def _is_same(now: FileStamp | None, then: FileStamp | None, journal: Journal) -> bool:
    if now is None or then is None or not journal.is_elsewhere:
        return now == then
    return now[1:] == then[1:]  # a copy between file systems is another inode


def _restore_index(checkout: Checkout, journal: Journal, restored: list[str]) -> None:
    if not journal.index:
        return
    now = checkout.entries()
    lines = []
    for path in restored:
        was = journal.index.get(path)
        if path in journal.index and now.get(path) != was:
            facts = f"{was.mode:06o} {was.id}" if was else f"0 {'0' * 40}"
            lines.append(f"{facts}\t".encode() + os.fsencode(path) + b"\0")
    if lines:
        checkout.git("update-index", "-z", "--index-info", stdin=b"".join(lines))


def _remove_branch(checkout: Checkout, journal: Journal) -> str | None:
    """Remove the branch, unless somebody went on from it."""
    if journal.branch is None:
        return None
    name, made = journal.branch
    checkout.git("update-ref", "-d", f"refs/heads/{name}", made)
    return name


def _keep(checkout: Checkout, journal: Journal, refused: list[Step]) -> None:
    if not refused:
        forget(checkout, journal)
        return
    journal.steps, journal.is_finished = refused, True
    journal.write()
