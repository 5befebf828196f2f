"""Make a branch and a commit out of a patch, without touching the work tree or the index.

The commit is built in a separate index, so uncommitted work has no influence and does not change.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import PatchConflictError, PatchError
from . import undo_journal as journals
from .apply_results import AppliedPatch, FileOutcome
from .checkout import Checkout
from .commit_objects import place_commit
from .disk_errors import git_could_not_write, named_errors
from .git import GitError, git, is_damage
from .render_patch import render
from .revisions import find_commit
from .staging_area import groups_of, split_by_context
from .symlink_rules import check_links, collisions, escaping_in_git

if TYPE_CHECKING:
    from .file_change import FileChange


def commit(
    changes: tuple[FileChange, ...], checkout: str | os.PathLike[str], *, branch: str, message: str, start: str = "HEAD"
) -> AppliedPatch:
    """Commit *changes* as `VerifiedPatch.commit` documents."""
    place = Checkout.at(checkout)
    _check_name(place, branch)
    parent = _commit_at(place, start)
    with named_errors("the branch could not be created"), journals.exclusive(place):
        journal = journals.begin(place)
        try:
            tree = _build(place, changes, parent, os.path.join(journal.folder, "index"))
        except BaseException:
            journals.forget(journal)
            raise
        commit_id = place_commit(place, tree, parent, message)
        journal.branch = (branch, commit_id)
        journals.commit(place, journal)
        place.git("update-ref", f"refs/heads/{branch}", commit_id, "0" * len(commit_id))
        journals.finish(place, journal)
    files = tuple(FileOutcome(path=change.path, old_path=change.moved_from, status="applied") for change in changes)
    return AppliedPatch(files=files, branch=branch, commit=commit_id)


def _check_name(place: Checkout, branch: str) -> None:
    try:
        place.git("check-ref-format", "--branch", branch)
    except GitError:
        raise GitError(
            f"{branch!r} is not a valid branch name", remedy="see the rules with: git help check-ref-format"
        ) from None
    if (
        place.git("for-each-ref", f"refs/heads/{branch}", "--format=%(refname)").decode().strip()
        == f"refs/heads/{branch}"
    ):
        raise GitError(f"the branch {branch} exists already", remedy="choose another name")


def _commit_at(place: Checkout, start: str) -> str:
    commit = find_commit(place.root, start)
    if commit is None:
        if start == "HEAD":
            raise GitError("the repository has no commit yet", remedy="make the first commit, and apply it again")
        raise GitError(f"there is no commit {start} to start the branch at", remedy="name one that git log shows")
    return commit


def _build(place: Checkout, changes: tuple[FileChange, ...], parent: str, index: str) -> str:
    """Return the tree of *parent* with the patch in it."""
    environment = {"GIT_INDEX_FILE": index}
    drivers = [f"merge.{name}.driver=false" for name in place.merge_drivers]
    git("read-tree", parent, folder=place.root, environment=environment)
    failed: GitError | None = None
    for groups, options in zip(split_by_context(groups_of(changes)), ((), ("--unidiff-zero",)), strict=True):
        data = b"".join(render(change) for group in groups for change in group.changes)
        arguments = ("apply", "--cached", "--3way", *options, "-")
        try:
            git(*arguments, folder=place.root, stdin=data, environment=environment, settings=drivers) if data else None
        except GitError as error:
            if git_could_not_write(error) or is_damage(error.stderr):
                raise
            failed = failed or error
    if failed:
        raise _conflict(place, environment, failed)
    _check_links(place, parent, environment)
    return git("write-tree", folder=place.root, environment=environment).decode().strip()


def _check_links(place: Checkout, parent: str, environment: dict[str, str]) -> None:
    """Raise `PatchRejectedError` where a link of the new commit leads out of the tree or collides with a path."""
    listed = git("ls-tree", "-r", "-z", parent, folder=place.root).replace(b" blob ", b" ")
    indexed = git("ls-files", "--stage", "-z", folder=place.root, environment=environment)
    before, after = _links(place, listed), _links(place, indexed)
    changed_links = {path for path, target in after.items() if before.get(path) != target}
    old, new = ({os.fsdecode(record.partition(b"\t")[2]) for record in each.split(b"\0")} for each in (listed, indexed))
    check_links(escaping_in_git(before, after), collisions(after, changed_links, new, new - old))


def _links(place: Checkout, listed: bytes) -> dict[str, str]:
    """Return the symbolic links, and where they lead, among records of mode, blob, tab and path."""
    records = (record.partition(b"\t") for record in listed.split(b"\0") if record.startswith(b"120000 "))
    blobs = {os.fsdecode(path): facts.split(b" ")[1].decode() for facts, _, path in records}
    return {path: os.fsdecode(target) for path, target in place.blobs(blobs).items()}


def _conflict(place: Checkout, environment: dict[str, str], error: GitError) -> PatchError:
    listed = git("diff", "--name-only", "--diff-filter=U", "--cached", "-z", folder=place.root, environment=environment)
    files = [os.fsdecode(name) for name in listed.split(b"\0")[:-1]]
    message = next((line for line in error.stderr.splitlines() if line.startswith("error: ")), str(error))
    return PatchConflictError(
        f"the patch does not fit there: {', '.join(files) or message.removeprefix('error: ')}",
        files=files,
        remedy="start the branch at the commit that the patch was written for",
    )
