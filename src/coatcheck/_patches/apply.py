"""Apply a patch to a work tree as git does, without the loss of uncommitted work.

1. With `index`, git's index is locked first.
2. Files with uncommitted changes are skipped, each by itself (`Refusals`).
3. The rest is applied by git in a separate place (`stage`); what does not fit there is merged with what happened
   since the base (`merge`); what cannot be merged is a conflict, and stays as it is.
4. Unless a partial result is requested, a skipped or conflicted file ends it here, with nothing changed.
5. The journal records what will change and keeps the previous content. Only then are files moved into the work tree, each at
   once, each by the name that was verified. The index is replaced last; an earlier failure is undone.

A preview writes nothing into the checkout: its folder is a temporary one, and so is its object store.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from ..errors import PatchConflictError
from . import git_index, head_commit, undo_journal as journals
from .apply_results import AppliedPatch, FileOutcome
from .checkout import Checkout
from .disk_errors import UNCHANGED, named_errors, refused
from .merge import Merge, Merged
from .path_rules import parents
from .skip_rules import OCCUPIED, REFUSALS, Refusals
from .staging_area import ONE_FILE, Group, StagingArea, groups_of
from .symlink_rules import LINK, check_links, collisions, escaping
from .work_tree import Tree, mark_of, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .file_change import FileChange
    from .git_index import Stages
    from .undo_journal import Journal, PatchSource


__all__ = ["AppliedPatch", "FileOutcome", "apply"]

_NAMES_SHOWN = 3


class ApplyRequest(NamedTuple):
    """The options of an application; `VerifiedPatch.apply` documents them."""

    to_index: bool = False
    three_way: bool = True
    check: bool = False
    markers: bool = False
    partial: bool = False
    base: str | None = None
    source: PatchSource | None = None
    commit: str | None = None


def apply(changes: tuple[FileChange, ...], checkout: str | os.PathLike[str], request: ApplyRequest) -> AppliedPatch:
    """Apply *changes* as `VerifiedPatch.apply` documents."""
    place = Checkout.at(checkout)
    with contextlib.ExitStack() as stack:
        stack.enter_context(named_errors("the patch could not be written"))
        journal = stack.enter_context(_preview(place) if request.check else _journal(place))
        if request.commit is not None:
            head_commit.check_head(place)
        if request.to_index and not request.check:
            stack.enter_context(git_index.locked(place))
        work = _Work(place, stack.enter_context(Tree(place.root)), journal, request)
        files = work.prepare(groups_of(changes))
        done = AppliedPatch(files=files, is_check=request.check)
        if not (done.is_complete or (request.partial and request.commit is None)):
            raise _incomplete(done, request)
        if request.check or not journal.steps:
            return done
        work.publish()
    commit = work.journal.commit
    return structs.replace(done, staged=work.staged, commit=commit and commit.after)


@contextlib.contextmanager
def _journal(place: Checkout) -> Iterator[Journal]:
    """Begin a journal, and remove it again unless it becomes the last application's."""
    with journals.exclusive(place):
        journal = journals.begin(place)
        begun = journal.folder
        try:
            yield journal
        finally:
            if journal.folder == begun:
                journals.forget(journal)


@contextlib.contextmanager
def _preview(place: Checkout) -> Iterator[Journal]:
    with tempfile.TemporaryDirectory(prefix="coatcheck-", ignore_cleanup_errors=True) as folder:
        yield journals.begin(place, os.path.join(folder, "next"))


def _incomplete(done: AppliedPatch, request: ApplyRequest) -> PatchConflictError:
    left = [each for each in done.files if not each.is_done]
    reasons = [f"{each.path} ({each.kind}: {each.detail})" for each in left[:_NAMES_SHOWN]]
    more = f" and {len(left) - _NAMES_SHOWN} more" if len(left) > _NAMES_SHOWN else ""
    option = "partial=True" if request.commit is None else "leaving out --commit (commit= in Python)"
    others = f"; {option} applies the other files" if len(left) < len(done.files) else ""
    verb = "cannot be" if done.is_check else "was not"
    return PatchConflictError(
        f"the patch {verb} applied, {len(left)} of {len(done.files)} files do not fit: {', '.join(reasons)}{more}",
        files=[each.path for each in left],
        result=done,
        remedy=f"nothing was changed{others}",
    )


class _Work:
    """One application, from reading the checkout to moving the files."""

    def __init__(self, checkout: Checkout, tree: Tree, journal: Journal, request: ApplyRequest) -> None:
        self.checkout = checkout
        self.tree = tree
        self.journal = journal
        self.request = request
        self.entries = checkout.entries()
        self.new_entries: dict[str, Stages] = {}
        self.staged: tuple[str, ...] = ()
        root = os.path.join(journal.folder, "tree")
        environment = {"GIT_DIR": checkout.git_directory, "GIT_WORK_TREE": root, **self._object_store()}
        self.stage = StagingArea(root, environment=environment, settings=checkout.settings)

    def _object_store(self) -> dict[str, str]:
        """Return where git writes objects: into the repository only what its index will name."""
        if self.request.to_index and not self.request.check:
            return {}
        folder = os.path.join(self.journal.folder, "objects")
        os.mkdir(folder)
        return {"GIT_OBJECT_DIRECTORY": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self.checkout.objects)}

    def prepare(self, groups: list[Group]) -> tuple[FileOutcome, ...]:
        """Apply *groups* beside the work tree and write down the steps; nothing of the tree changes."""
        changed = self._changed(groups)
        self._check_other_attempts(changed)
        refusals_by_rule = Refusals(
            self.checkout, self.tree, self.entries, changed, groups, index=self.request.to_index
        )
        refusals = {id(group): kind for group in groups if (kind := refusals_by_rule.of(group))}
        self._excuse(groups, refusals)
        applicable = [group for group in groups if id(group) not in refusals]
        results = {id(group): Merged("skipped", kind) for group in groups if (kind := refusals.get(id(group)))}
        results |= self._apply(applicable)
        written = [group for group in applicable if _is_written(results[id(group)])]
        staged = {path: _facts(self.stage.path(path)) for group in written for path in group.paths}
        self._check_links(written, staged)
        for group in written:
            if all(facts is None or _is_file_or_link(facts) for facts in map(staged.get, group.paths)):
                self._write_down({path: staged[path] for path in group.paths}, results[id(group)])
            else:
                results[id(group)] = Merged("skipped", "blocked")
        return tuple(_outcome(change, results[id(group)]) for group in groups for change in group.changes)

    def _changed(self, groups: list[Group]) -> set[str]:
        """Return the changed paths, among *groups* also those that git status ignores."""
        unwatched = [
            path
            for group in groups
            for path in group.paths
            if path in self.entries and self.entries[path].is_unwatched and self.tree.lstat(path) is not None
        ]
        if not unwatched:
            return self.checkout.changed()
        watched = os.path.join(self.journal.folder, "watched")
        git_index.NewIndex(self.checkout, watched).watch(unwatched)
        return self.checkout.changed(index=watched, settings=ONE_FILE)

    def _check_other_attempts(self, changed: set[str]) -> None:
        """Raise `PatchConflictError` while another attempt of the same task is applied and not committed."""
        source = self.request.source
        for number, journal in enumerate(journals.applied(self.checkout) if source else (), 1):
            other = journal.source
            if source is None or other is None or other.task != source.task or other == source:
                continue
            steps = [step for step in journal.steps if step.path in changed or step.path not in self.entries]
            if any(journals.is_in_effect(self.tree, journal, step) for step in steps):
                times = f" ({number} times, the newest application is undone first)" if number > 1 else ""
                raise PatchConflictError(
                    f"attempt {other.attempt} of {source.task} is applied here and not committed",
                    files=[step.path for step in steps],
                    remedy=f"undo it first: coatcheck apply --undo{times}",
                )

    def _excuse(self, groups: list[Group], refusals: dict[int, str]) -> None:
        """Find the groups that are skipped only because they were applied before."""
        suspects = [group for group in groups if refusals.get(id(group)) in OCCUPIED]
        self._take(suspects)
        present = self.stage.having(suspects)
        staged = self.stage.having(present, "--cached") if self.request.to_index else present
        refusals |= {id(group): "already" if group in staged else "unstaged" for group in present}

    def _take(self, groups: list[Group]) -> None:
        names = [path for group in groups for path in group.paths]
        self.stage.take(self.tree, names)
        self.stage.take(self.tree, _attribute_files(names))

    def _apply(self, applicable: list[Group]) -> dict[int, Merged]:
        """Stage *applicable*; return the result of each."""
        self._take(applicable)
        if self.request.to_index:
            names = [path for group in applicable for path in group.paths]
            known = dict.fromkeys((*names, *_attribute_files(names)))
            self.stage.fill_index({path: self.entries[path] for path in known if path in self.entries})
        merge = Merge(
            self.checkout,
            self.stage,
            self.entries,
            three_way=self.request.three_way,
            markers=self.request.markers,
            base=self.request.base,
        )
        held = merge.unmergeable(applicable) + merge.numbered_for_base(applicable)
        fitting, failed = self.stage.apply([group for group in applicable if group not in held])
        applied = Merged("applied")
        results = {id(group): applied._replace(stages=stages) for group, stages in self._stages(fitting)}
        failed = [group for group in applicable if id(group) not in results]
        return results | {id(group): result for group, result in zip(failed, merge.run(failed), strict=True)}

    def _stages(self, groups: list[Group]) -> Iterator[tuple[Group, dict[str, Stages] | None]]:
        """Yield what git's index gets for each of the applied *groups*."""
        entries = self.stage.entries() if self.request.to_index else {}
        for group in groups:
            stages: dict[str, Stages] = {path: {0: entries[path]} if path in entries else {} for path in group.paths}
            yield group, stages if self.request.to_index else None

    def _check_links(self, groups: list[Group], staged: Mapping[str, os.stat_result | None]) -> None:
        """Raise `PatchRejectedError` where a link would lead out of the tree, also through other links."""
        plain = self._links_without_links(groups)
        new_links = {}
        for path, facts in staged.items():
            if facts is not None and (stat.S_ISLNK(facts.st_mode) or path in plain):
                new_links[path] = os.fsdecode(read_plain(self.stage.path(path)) or b"")
        tracked = [path for path, entry in self.entries.items() if entry.mode == LINK]
        gone = {path for path, facts in staged.items() if path not in new_links}
        removed = {path for path, facts in staged.items() if facts is None}
        links = new_links.keys() | (set(tracked) - gone)
        collided = collisions(links, new_links, (self.entries.keys() | staged.keys()) - removed, staged)
        check_links(escaping(self.checkout.root, new_links, gone, tracked), collided if links else ())

    def _links_without_links(self, groups: list[Group]) -> set[str | None]:
        """Return the paths that are links in git; without core.symlinks they are plain files that contain the target."""
        changes = (change for group in groups for change in group.changes)
        modes = ((change, self.entries.get(change.old_path or "")) for change in changes)
        return {change.new_path for change, old in modes if (change.new_mode or (old.mode if old else None)) == LINK}

    def _write_down(self, staged: Mapping[str, os.stat_result | None], result: Merged) -> None:
        """Add the steps of a group to the journal, and what the index gets."""
        for path, facts in staged.items():
            now = self.tree.lstat(path)
            now = None if now and stat.S_ISDIR(now.st_mode) else now  # a folder that the patch empties
            if not _is_same(now, facts):
                self._add_step(path, now, facts)
        self.new_entries |= result.stages or {}

    def _add_step(self, path: str, now: os.stat_result | None, then: os.stat_result | None) -> None:
        saved = None
        if now is not None:
            saved = str(len(self.journal.steps))
            if not self.request.check:
                self.tree.save(path, self.journal.saved(saved))
        else:
            self.journal.folders += [
                each for each in self.tree.missing_folders(path) if each not in self.journal.folders
            ]
        self.journal.steps.append(journals.Step(path, now and mark_of(now), saved, then and mark_of(then)))

    def publish(self) -> None:
        """Take every step: removals first, so that a folder can replace a file of its name; the index last."""
        self.journal.source = self.request.source
        new_index = None
        if self.request.to_index:
            self.journal.index = {path: self.entries.get(path) for path in self.new_entries}
            new_index = git_index.NewIndex(self.checkout, os.path.join(self.journal.folder, "index"))
            new_index.set(self.new_entries)
        if self.request.commit is not None:
            index = os.path.join(self.journal.folder, "commit-index")
            self.journal.commit = head_commit.write_commit(self.checkout, self.new_entries, self.request.commit, index)
        journals.commit(self.checkout, self.journal)
        try:
            self._take_steps(new_index)
        except BaseException as error:
            self._take_back(error)
            raise
        self._finish()
        self.staged = tuple(path for path, stages in self.new_entries.items() if set(stages) <= {0})

    def _take_steps(self, new_index: git_index.NewIndex | None) -> None:
        self._move(os.path.join(self.journal.folder, "tree"))
        if self.journal.commit is not None:
            head_commit.move_head(self.checkout, self.journal.commit)
        if new_index is not None:
            new_index.move_to(self.journal.folder)
            new_index.refresh()
            new_index.publish()

    def _finish(self) -> None:
        try:
            journals.finish(self.checkout, self.journal)
        except OSError as error:
            remedy = "coatcheck apply --undo restores the files"
            raise refused("the patch is applied, but not its journal written", error, remedy=remedy) from None
        kept = ("journal.json", "saved")
        _remove(*(entry.path for entry in os.scandir(self.journal.folder) if entry.name not in kept))

    def _move(self, staged: str) -> None:
        steps = self.journal.steps
        for step in steps:
            if step.after is None:
                self.tree.remove(step.path)
        for step in steps:
            if step.after is not None:
                self.tree.put(os.path.join(staged, step.path), step.path)
        self.tree.sync()

    def _take_back(self, error: BaseException) -> None:
        """Restore what was there. Raises `PatchConflictError` for what the disk refused."""
        if self.journal.commit is not None:
            head_commit.move_back(self.checkout, self.journal.commit)
        left = journals.restore(self.tree, self.journal)
        if not left:
            journals.forget(self.journal)
        if isinstance(error, OSError):
            remedy = "coatcheck apply --undo restores the rest" if left else UNCHANGED
            files = [step.path for step in left]
            raise refused("the patch could not be written", error, remedy=remedy, files=files) from None


def _quoted(path: str) -> str:
    """Return *path* as one entry of a list that git splits at colons (git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES)."""
    return '"{}"'.format(path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))


def _attribute_files(names: list[str]) -> list[str]:
    folders = dict.fromkeys(folder for name in names for folder in (*parents(name), ""))
    return [f"{folder}/.gitattributes".lstrip("/") for folder in folders]


def _is_written(result: Merged) -> bool:
    return result.status in ("applied", "merged") or result.has_markers


def _facts(path: str) -> os.stat_result | None:
    """Return the facts of a staged path, None for a folder: it exists for other paths, and this one is removed."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISDIR(facts.st_mode) else facts


def _is_file_or_link(facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)


def _is_same(now: os.stat_result | None, then: os.stat_result | None) -> bool:
    if now is None or then is None:
        return now is then
    return (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)


def _remove(*paths: str) -> None:
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _outcome(change: FileChange, result: Merged) -> FileOutcome:
    detail = result.detail or REFUSALS.get(result.kind, "")
    return FileOutcome(
        path=change.path,
        old_path=change.moved_from,
        status=result.status,
        kind=result.kind,
        detail=detail,
        has_markers=result.has_markers,
    )
