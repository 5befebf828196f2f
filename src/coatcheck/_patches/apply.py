"""Write a patch into a work tree the way git would, so that nobody loses work.

1. Files that somebody is working on are left alone, one by one (`refusals`).
2. The rest is applied by git in a place of its own (`stage`); what does not fit there is merged with what happened
   since the base (`merge`); what cannot be merged is a conflict, and stays as it is.
3. The journal says what will change and keeps what was there. Only then are files moved into the work tree, each at
   once, each by the name that was judged.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, NoReturn

from .._errors import PatchConflictError
from . import path_rules, undo_journal as journals
from .checkout import Checkout
from .merge import Merged, merge
from .results import AppliedPatch, FileOutcome
from .skip_rules import OCCUPIED, REFUSALS, Refusals
from .staging_area import Group, StagingArea, groups_of
from .work_tree import Tree, mark_of

if TYPE_CHECKING:
    from .file_change import FileChange
    from .undo_journal import Journal


__all__ = ["AppliedPatch", "FileOutcome", "apply"]


def apply(
    changes: tuple[FileChange, ...],
    checkout: str | os.PathLike[str],
    *,
    index: bool,
    three_way: bool,
    check: bool,
    markers: bool,
    base: str | None,
) -> AppliedPatch:
    """Do what `VerifiedPatch.apply` says."""
    place = Checkout.at(checkout)
    with journals.exclusive(place), Tree(place.root) as tree:
        journal = journals.begin(place)
        try:
            work = _Work(place, tree, journal)
            files = work.prepare(groups_of(changes), three_way=three_way, markers=markers, base=base)
            if not check and journal.steps:
                work.publish(index=index)
        finally:
            if check or not journal.steps:
                journals.forget(place, journal)
    staged = tuple(step.path for step in journal.steps) if index and not check else ()
    return AppliedPatch(files, staged, check)


class _Work:
    """One application, from the looking to the moving."""

    def __init__(self, checkout: Checkout, tree: Tree, journal: Journal) -> None:
        self.checkout = checkout
        self.tree = tree
        self.journal = journal
        self.entries = checkout.entries()
        self.stage = StagingArea(
            os.path.join(journal.folder, "tree"),
            environment={"GIT_DIR": checkout.git_directory, "GIT_WORK_TREE": os.path.join(journal.folder, "tree")},
            settings=checkout.settings,
        )

    def prepare(
        self, groups: list[Group], *, three_way: bool, markers: bool, base: str | None
    ) -> tuple[FileOutcome, ...]:
        """Apply *groups* beside the work tree and write down the steps; nothing of the tree changes."""
        looked = Refusals(self.checkout, self.tree, self.entries, groups)
        refusals = {id(group): kind for group in groups if (kind := looked.of(group))}
        self._excuse(groups, refusals)
        wanted = [group for group in groups if id(group) not in refusals]
        self._take(wanted)
        fitting, failed = self.stage.apply(wanted)
        results = {id(group): Merged("applied") for group in fitting}
        results |= {key: Merged("skipped", kind) for key, kind in refusals.items()}
        if failed:
            merged = merge(
                failed, self.checkout, self.stage, self.entries, three_way=three_way, markers=markers, base=base
            )
            results |= {id(group): result for group, result in zip(failed, merged, strict=True)}
        for group in wanted:
            if not self._write_down(group, results[id(group)]):
                results[id(group)] = Merged("skipped", "blocked")
        return tuple(_outcome(change, results[id(group)]) for group in groups for change in group.changes)

    def _excuse(self, groups: list[Group], refusals: dict[int, str]) -> None:
        """Find what is only in the way because it was applied before."""
        suspects = [group for group in groups if refusals.get(id(group)) in OCCUPIED]
        self._take(suspects)
        refusals |= {id(group): "already" for group in self.stage.having(suspects)}

    def _take(self, groups: list[Group]) -> None:
        names = [path for group in groups for path in group.paths]
        folders = dict.fromkeys(folder for name in names for folder in (*path_rules.parents(name), ""))
        self.stage.take(self.tree, names)
        self.stage.take(self.tree, [f"{folder}/.gitattributes".lstrip("/") for folder in folders])

    def _write_down(self, group: Group, result: Merged) -> bool:
        """Add the steps of *group* to the journal; say no when the stage holds what must not get into the tree."""
        if result.status not in ("applied", "merged") and not result.has_markers:
            return True
        staged = {path: _facts(self.stage.path(path)) for path in group.paths}
        if any(not self._is_harmless(path, facts) for path, facts in staged.items()):
            return False
        for path, facts in staged.items():
            now = self.tree.look(path)
            now = None if now and stat.S_ISDIR(now.st_mode) else now  # a folder that the patch empties
            if not _is_same(now, facts):
                self._add_step(path, now, facts)
        return True

    def _is_harmless(self, path: str, facts: os.stat_result | None) -> bool:
        """Whether it is a file, or a link that stays in the tree: git may move a link that the diff does not show."""
        if facts is None or stat.S_ISREG(facts.st_mode):
            return True
        return stat.S_ISLNK(facts.st_mode) and not path_rules.leads_outside(path, os.readlink(self.stage.path(path)))

    def _add_step(self, path: str, now: os.stat_result | None, then: os.stat_result | None) -> None:
        saved = None
        if now is not None:
            saved = str(len(self.journal.steps))
            self.tree.save(path, self.journal.saved(saved))
        else:
            self.journal.folders += [
                each for each in self.tree.missing_folders(path) if each not in self.journal.folders
            ]
        self.journal.steps.append(journals.Step(path, now and mark_of(now), saved, then and mark_of(then)))

    def publish(self, *, index: bool) -> None:
        """Take every step: removals first, so that a file may give way to a folder of its name."""
        if index:
            self.journal.index = {step.path: self.entries.get(step.path) for step in self.journal.steps}
        journals.commit(self.checkout, self.journal)
        staged = os.path.join(self.journal.folder, "tree")
        try:
            self._move(staged)
        except OSError as error:
            self._give_up(error)
        if index:
            self._add_to_index()
        journals.finish(self.journal)
        _remove(staged, f"{staged}.theirs", f"{staged}.scratch")

    def _move(self, staged: str) -> None:
        steps = self.journal.steps
        for step in steps:
            if step.after is None:
                self.tree.remove(step.path)
        for step in steps:
            if step.after is not None:
                self.tree.put(os.path.join(staged, step.path), step.path)
        self.tree.sync()

    def _give_up(self, error: OSError) -> NoReturn:
        left = journals.restore(self.tree, self.journal)
        if not left:
            journals.forget(self.checkout, self.journal)
        raise PatchConflictError(
            f"the patch could not be written: {error.strerror}",
            files=[step.path for step in left],
            remedy="coatcheck apply --undo takes back the rest" if left else "everything is as it was",
        ) from None

    def _add_to_index(self) -> None:
        names = b"".join(os.fsencode(step.path) + b"\0" for step in self.journal.steps)
        self.checkout.git("update-index", "--add", "--remove", "-z", "--stdin", stdin=names)


def _facts(path: str) -> os.stat_result | None:
    """Look at a staged path. A folder there is made for other paths: this one is gone."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISDIR(facts.st_mode) else facts


def _is_same(now: os.stat_result | None, then: os.stat_result | None) -> bool:
    if now is None or then is None:
        return now is then
    return (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)


def _remove(*folders: str) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _outcome(change: FileChange, result: Merged) -> FileOutcome:
    detail = result.detail or REFUSALS.get(result.kind, "")
    return FileOutcome(change.path, change.moved_from, result.status, result.kind, detail, result.has_markers)
