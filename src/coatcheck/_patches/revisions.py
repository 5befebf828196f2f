"""Find the commit that a revision names.

Guarantee: a repository that lacks the object, or whose object is damaged, is an error and never "no commit".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .git import GitError, damaged, git

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_REPOSITORY = re.compile("not a git repository|dubious ownership")
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find_commit(
    folder: str | os.PathLike[str], revision: str, *, environ: Mapping[str, str] | None = None
) -> str | None:
    """Return the id of the commit that *revision* names in the repository at *folder*, None where there is none.

    Raises `GitError` where a ref names a commit that the repository does not have, or that cannot be read.
    """
    if "\0" in revision:
        return None
    commit = _parsed(folder, f"{revision}^{{commit}}", environ)
    if commit is None and not _ID.fullmatch(revision):
        _require_object(folder, revision, environ)
    return commit


def _parsed(folder: str | os.PathLike[str], revision: str, environ: Mapping[str, str] | None) -> str | None:
    command = ("rev-parse", "--verify", "--quiet", "--end-of-options", revision)
    try:  # 1: there is no such revision; 128: nothing of that name is a commit, or there is no repository
        output = git(*command, folder=folder, environ=environ, accept=(0, 1))
    except GitError as error:
        if "fatal: " not in error.stderr or _NO_REPOSITORY.search(error.stderr):
            raise
        return None
    return output.decode("ascii", "replace").strip() or None


def _require_object(folder: str | os.PathLike[str], revision: str, environ: Mapping[str, str] | None) -> None:
    """Raise `GitError` where *revision* names an object that cannot be read."""
    named = _parsed(folder, revision, environ)  # the id that a ref contains, whether its object exists or not
    if named is None or not _ID.fullmatch(named):
        return
    try:
        git("cat-file", "-t", named, folder=folder, environ=environ)
    except GitError as error:
        raise damaged(f"the object {named} of {revision} is missing or damaged", error.stderr) from None
