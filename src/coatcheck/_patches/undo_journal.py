"""What was there before each patch was applied, kept so that applications are undone one by one, newest first.

* Before the first file changes, the journal is on the disk: what each path was, where that is kept, what it will be.
* The old file itself is kept (a hard link), so it is restored with its bytes, mode and time.
* A file is restored only when it is unchanged since the application. So `undo` after a crash, or twice, or after
  further work, restores what it can and names the rest.
* The end of an application needs no disk space: a file is removed.

The journals live in ``git rev-parse --git-path coatcheck``, the newest `MAX_JOURNALS` of them, and hold no content of the
patch.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from msgspec import structs

from .._values.value import JsonFields, Value
from ..errors import PatchConflictError
from . import git_index, head_commit
from .checkout import Checkout, Entry
from .disk_errors import named_errors
from .head_commit import HeadMove
from .work_tree import FileStamp, Tree, mark_of, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VERSION = 2

# How many applications can be undone; what an older one replaced is removed from the git directory.
MAX_JOURNALS = 100


class Step(NamedTuple):
    """One path: what it was, under which name that is kept, and what it becomes. None means no file."""

    path: str
    before: FileStamp | None
    saved: str | None
    after: FileStamp | None


class UndoResult(Value, frozen=True, kw_only=True):
    """What `undo` did, by path, and the branch that it removed.

    `kept_branch` is a branch that it left, because the branch has other commits now. `commit` is the commit that the
    application made, and that the current branch has no longer. `remaining` is the number of
    earlier applications that can still be undone.
    """

    restored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    branch: str | None = None
    kept_branch: str | None = None
    commit: str | None = None
    remaining: int = 0

    _json: ClassVar[JsonFields] = {
        "restored": "paths that are as they were before the application",
        "refused": "paths that were edited since, and were not changed",
        "branch": "the branch that was removed",
        "kept_branch": "the branch that was kept, because it has other commits now",
        "commit": "the commit that was taken back from the current branch",
        "remaining": "how many earlier applications can still be undone",
    }


class PatchSource(NamedTuple):
    """Which attempt of which task a patch is."""

    task: str
    attempt: int


class Journal:
    """The journal of one application, in *folder*."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.steps: list[Step] = []
        self.folders: list[str] = []
        self.index: dict[str, Entry | None] = {}
        self.branch: tuple[str, str] | None = None
        self.source: PatchSource | None = None
        self.commit: HeadMove | None = None
        self.is_finished = False
        self.is_elsewhere = False  # the git directory is on another file system than the work tree

    def saved(self, name: str) -> str:
        """Return where the file kept as *name* is."""
        return os.path.join(self.folder, "saved", name)

    def write(self) -> None:
        """Put the journal on the disk, whole or not at all."""
        import json

        path = os.path.join(self.folder, "journal.json")
        if not self.is_finished:
            with open(self._unfinished, "wb"):
                pass
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(json.dumps(self._facts()))  # json.dump is ten times slower: it writes piece by piece
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)
        for folder in (os.path.join(self.folder, "saved"), self.folder, os.path.dirname(self.folder)):
            _sync(folder)

    @property
    def _unfinished(self) -> str:
        """The file that is there until every step is taken."""
        return os.path.join(self.folder, "unfinished")

    def finish(self) -> None:
        """Note that every step is taken."""
        self.is_finished = True
        os.unlink(self._unfinished)
        _sync(self.folder)

    def _facts(self) -> dict[str, object]:
        return {
            "version": _VERSION,
            "elsewhere": self.is_elsewhere,
            "steps": self.steps,
            "folders": self.folders,
            "index": self.index,
            "branch": self.branch,
            "source": self.source,
            "commit": self.commit,
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
        journal.is_finished = not os.path.exists(journal._unfinished)
        journal.is_elsewhere = facts["elsewhere"]
        journal.steps = [
            Step(path, _mark(before), saved, _mark(after)) for path, before, saved, after in facts["steps"]
        ]
        journal.folders = facts["folders"]
        journal.index = {path: entry and Entry(*entry) for path, entry in facts["index"].items()}
        journal.branch = facts["branch"] and tuple(facts["branch"])
        journal.source = facts["source"] and PatchSource(*facts["source"])
        commit = facts.get("commit")  # journals of 0.1.0 have none
        journal.commit = commit and HeadMove(*commit)
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
    """Lock the checkout against other applications and undos. Raises `PatchConflictError` while it is locked."""
    descriptor = _lock(checkout)
    try:
        git_index.unlock(checkout)
        yield
    finally:
        _tidy(checkout)
        os.close(descriptor)


def _tidy(checkout: Checkout) -> None:
    """Remove our folder when nothing but the lock is in it."""
    with contextlib.suppress(OSError):
        os.rmdir(_stack(checkout))
    with contextlib.suppress(OSError):
        if os.listdir(checkout.folder) == ["lock"]:
            os.unlink(os.path.join(checkout.folder, "lock"))
            os.rmdir(checkout.folder)


def _lock(checkout: Checkout) -> int:
    import fcntl

    path = os.path.join(checkout.folder, "lock")
    while True:
        os.makedirs(checkout.folder, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise PatchConflictError(
                "another patch is being applied here", remedy="wait for it and try again"
            ) from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # `forget` removed it between our opening and our locking it


def begin(checkout: Checkout, folder: str | None = None) -> Journal:
    """Start a journal in a fresh folder. Raises `PatchConflictError` while the last application is unfinished.

    A journal in a *folder* outside of the checkout is for a preview.
    """
    newest = applied(checkout)[:1]
    if newest and not newest[0].is_finished:
        raise PatchConflictError("the last application was interrupted", remedy="undo it first: coatcheck apply --undo")
    folder = folder or os.path.join(checkout.folder, "next")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "saved"), mode=0o700)
    journal = Journal(folder)
    journal.is_elsewhere = os.stat(folder).st_dev != os.stat(checkout.root).st_dev
    return journal


def applied(checkout: Checkout) -> list[Journal]:
    """Return the journals of the applications that can be undone, newest first."""
    folders = [os.path.join(_stack(checkout), name) for name in reversed(_names(checkout))]
    return [journal for folder in folders if (journal := Journal.read(folder)) is not None]


def _stack(checkout: Checkout) -> str:
    return os.path.join(checkout.folder, "applied")


def _names(checkout: Checkout) -> list[str]:
    """Return the folders of the journals, oldest first; their names are numbers."""
    try:
        names = os.listdir(_stack(checkout))
    except FileNotFoundError:
        return []
    return sorted((name for name in names if name.isdecimal()), key=int)


def commit(checkout: Checkout, journal: Journal) -> None:
    """Put *journal* on top of the others, on the disk, before its first step is taken."""
    journal.write()
    os.makedirs(_stack(checkout), mode=0o700, exist_ok=True)
    names = _names(checkout)
    folder = os.path.join(_stack(checkout), str(int(names[-1]) + 1 if names else 1))
    os.rename(journal.folder, folder)
    _sync(_stack(checkout))
    _sync(checkout.folder)
    journal.folder = folder


def finish(checkout: Checkout, journal: Journal) -> None:
    """Note that every step is taken, and remove the oldest journals when there are too many."""
    journal.finish()
    for name in _names(checkout)[:-MAX_JOURNALS]:
        shutil.rmtree(os.path.join(_stack(checkout), name), ignore_errors=True)


def forget(journal: Journal) -> None:
    """Remove *journal*."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(journal.folder, "journal.json"))  # first: half a journal must not be read
    shutil.rmtree(journal.folder, ignore_errors=True)


def undo(path: str | os.PathLike[str]) -> UndoResult:
    """Undo the newest application in the checkout at *path*, file by file, also after a crash in its middle.

    Called again, it undoes the one before. A file that was edited since is left as it is and named in `UndoResult.refused`;
    what it was stays in the journal. Raises `PatchConflictError` when there is nothing to undo, when another git holds
    the index, and when the branch to remove is checked out.
    """
    checkout = Checkout.at(path)
    with named_errors("the application could not be undone"), exclusive(checkout):
        journals = applied(checkout)
        if not journals:
            raise PatchConflictError("no application is left to undo here")
        _check_branch(checkout, journals[0])
        move = journals[0].commit
        if move is not None:
            head_commit.check_undo(checkout, move)
        undone = _undo_files(checkout, journals[0])
        commit = move.after if move is not None and head_commit.move_back(checkout, move) else None
        branch, kept = _remove_branch(checkout, journals[0])
        _keep(journals[0], undone.refused)
    return structs.replace(undone, branch=branch, kept_branch=kept, commit=commit, remaining=len(journals) - 1)


def _undo_files(checkout: Checkout, journal: Journal) -> UndoResult:
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(Tree(checkout.root))
        restorable = [step.path for step in journal.steps if _can_restore(tree, journal, step)]
        new_index = _old_index(checkout, journal, restorable, stack)
        refused = restore(tree, journal)
        if new_index is not None:
            new_index.refresh()
            new_index.publish()
    restored = tuple(step.path for step in journal.steps if step not in refused)
    return UndoResult(restored=restored, refused=tuple(step.path for step in refused))


def restore(tree: Tree, journal: Journal) -> list[Step]:
    """Restore the files of every step; return the steps of files that were edited since."""
    # Added paths are removed first: they may be in the place of a path to restore.
    steps = sorted(journal.steps, key=lambda step: step.before is not None)
    refused = [step for step in steps if not _restore(tree, journal, step)]
    for folder in reversed(journal.folders):
        tree.prune(folder)
    return refused


def _restore(tree: Tree, journal: Journal, step: Step) -> bool:
    if _is_restored(tree, journal, step):
        return True
    if not is_in_effect(tree, journal, step):
        return False
    if step.saved is None:
        tree.remove(step.path)
    else:
        tree.put(journal.saved(step.saved), step.path)
    return True


def _can_restore(tree: Tree, journal: Journal, step: Step) -> bool:
    return _is_restored(tree, journal, step) or is_in_effect(tree, journal, step)


def _is_restored(tree: Tree, journal: Journal, step: Step) -> bool:
    """Whether the path is what it was: the same file, or one with the same content and mode (git checkout)."""
    facts = tree.lstat(step.path)
    if facts is None or step.saved is None or step.before is None:
        return facts is None and step.before is None
    if _is_same(mark_of(facts), step.before, journal):
        return True
    path, saved = os.path.join(tree.root, step.path), journal.saved(step.saved)
    if facts.st_mode != step.before.mode or facts.st_size != step.before.size or not os.path.lexists(saved):
        return False
    if stat.S_ISLNK(facts.st_mode):
        return read_plain(path) == read_plain(saved)
    return stat.S_ISREG(facts.st_mode) and filecmp.cmp(path, saved, shallow=False)


def is_in_effect(tree: Tree, journal: Journal, step: Step) -> bool:
    """Whether the path is unchanged since the application."""
    facts = tree.lstat(step.path)
    return _is_same(None if facts is None else mark_of(facts), step.after, journal)


def _is_same(now: FileStamp | None, then: FileStamp | None, journal: Journal) -> bool:
    if now is None or then is None or not journal.is_elsewhere:
        return now == then
    return now[1:] == then[1:]  # a copy between file systems is another inode


def _old_index(
    checkout: Checkout, journal: Journal, restorable: list[str], stack: contextlib.ExitStack
) -> git_index.NewIndex | None:
    """Lock the index and return one with the entries that *restorable* had, None where it has them."""
    if not journal.index:
        return None
    stack.enter_context(git_index.locked(checkout))
    now = checkout.entries()
    before = {path: journal.index[path] for path in restorable if path in journal.index}
    changed = {path: entry for path, entry in before.items() if now.get(path) != entry}
    if not changed:
        return None
    new_index = git_index.NewIndex(checkout, os.path.join(journal.folder, "index"))
    new_index.restore(changed)
    return new_index


def _check_branch(checkout: Checkout, journal: Journal) -> None:
    """Raise `PatchConflictError` where removing the branch would leave a work tree without one."""
    if journal.branch is None:
        return
    ref = f"refs/heads/{journal.branch[0]}"
    listed = checkout.git("for-each-ref", "--format=%(refname) %(objectname) %(worktreepath)", ref)
    for line in os.fsdecode(listed).splitlines():
        name, commit_id, place = line.split(" ", 2)
        if name == ref and commit_id == journal.branch[1] and place:
            raise PatchConflictError(
                f"the branch {journal.branch[0]} is checked out in {place}", remedy="git switch to another branch first"
            )


def _remove_branch(checkout: Checkout, journal: Journal) -> tuple[str | None, str | None]:
    """Remove the branch unless it has moved on; return the one that was removed and the one that was kept."""
    if journal.branch is None:
        return None, None
    name, commit_id = journal.branch
    branches = (
        checkout.git("for-each-ref", "--format=%(refname) %(objectname)", f"refs/heads/{name}").decode().split("\n")
    )
    if f"refs/heads/{name} {commit_id}" in branches:
        checkout.git("update-ref", "-d", f"refs/heads/{name}", commit_id)
        return name, None
    return None, name if any(line.startswith(f"refs/heads/{name} ") for line in branches) else None


def _keep(journal: Journal, refused: Sequence[str]) -> None:
    if not refused:
        forget(journal)
        return
    journal.steps = [step for step in journal.steps if step.path in refused]
    journal.branch, journal.commit, was_finished = None, None, journal.is_finished
    journal.is_finished = True
    journal.write()
    if not was_finished:
        journal.finish()
