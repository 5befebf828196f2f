"""Commit an applied patch to the current branch, and take that commit back.

Only the paths of the patch are committed: the tree is that of HEAD with the new entries, so what else is staged stays
staged. Like ``git commit-tree``, no hook runs and nothing is signed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatchConflictError
from .commit_objects import place_commit
from .git import GitError
from .git_index import NewIndex
from .revisions import find_commit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .checkout import Checkout
    from .git_index import Stages

# Files of git's that say what the next commit belongs to (git-commit(1)).
_UNFINISHED = {"MERGE_HEAD": "a merge", "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert"}


class HeadMove(NamedTuple):
    """A commit on a branch: its ref (``HEAD`` where it is detached), and the commits before and after."""

    ref: str
    before: str
    after: str


def check_head(place: Checkout) -> None:
    """Raise `PatchConflictError` where nothing can be committed on top of HEAD."""
    if find_commit(place.root, "HEAD") is None:
        raise PatchConflictError("the repository has no commit yet", remedy="make the first commit, and apply it again")
    for name, operation in _UNFINISHED.items():
        if os.path.exists(os.path.join(place.git_directory, name)):
            raise PatchConflictError(
                f"{operation} is not finished here", remedy="finish it, or leave out --commit (commit= in Python)"
            )


def write_commit(place: Checkout, entries: Mapping[str, Stages], message: str, index: str) -> HeadMove:
    """Write the commit of HEAD's tree with *entries*; no ref moves. *index* is a path for a temporary index."""
    before = _commit_of(place, "HEAD")
    temporary = NewIndex(place, index)
    place.git("read-tree", before, index=index)
    temporary.set(entries)
    tree = place.git("write-tree", index=index).decode().strip()
    os.unlink(index)
    return HeadMove(_ref_of_head(place), before, place_commit(place, tree, before, message))


def move_head(place: Checkout, move: HeadMove) -> None:
    """Move HEAD, and the branch that it names, to the new commit."""
    try:
        place.git("update-ref", "-m", "coatcheck: apply", "HEAD", move.after, move.before)
    except GitError as error:
        raise PatchConflictError(
            f"the commit was not added to {_name(move)}: {error}", remedy="apply it again"
        ) from None


def check_undo(place: Checkout, move: HeadMove) -> None:
    """Raise `PatchConflictError` where the commit is not the newest one of the branch that is checked out."""
    short = move.after[:12]
    if _ref_of_head(place) != move.ref:
        raise PatchConflictError(
            f"the patch was committed to {_name(move)}, which is not checked out",
            remedy=f"git switch {_name(move)} first" if move.ref != "HEAD" else f"git checkout {short} first",
        )
    if _commit_of(place, "HEAD") not in (move.before, move.after):
        raise PatchConflictError(
            f"{_name(move)} has other commits since {short}", remedy=f"git revert {short} takes the patch back"
        )


def move_back(place: Checkout, move: HeadMove) -> bool:
    """Move HEAD back to where it was before the commit; return whether it was there no longer."""
    if _ref_of_head(place) != move.ref or _commit_of(place, "HEAD") != move.after:
        return False
    place.git("update-ref", "-m", "coatcheck: apply --undo", "HEAD", move.before, move.after)
    return True


def _name(move: HeadMove) -> str:
    return move.ref.removeprefix("refs/heads/")


def _ref_of_head(place: Checkout) -> str:
    # 1 with --quiet: HEAD is detached
    return (
        place.git("symbolic-ref", "--quiet", "HEAD", accept=(0, 1)).decode("utf-8", "surrogateescape").strip() or "HEAD"
    )


def _commit_of(place: Checkout, name: str) -> str:
    return find_commit(place.root, name) or ""
