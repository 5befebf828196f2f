"""Write commit objects with the author and the committer that ``git commit`` would use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .git import GitError, git

if TYPE_CHECKING:
    from .checkout import Checkout

# The committer where git has no identity, as on CI machines.
_DEFAULT_IDENTITY = {"NAME": "coatcheck", "EMAIL": "coatcheck@localhost"}
# The variables of git-commit-tree(1); EMAIL is no variable of git's own and is passed on anyway.
_IDENTITY = frozenset(f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE"))

# Parts of git's messages about an author or a committer that it cannot use (ident.c).
_UNKNOWN = ("identity", "auto-detect", "ident name", "name consists only", "invalid date")


def place_commit(place: Checkout, tree: str, parent: str, message: str) -> str:
    """Write the commit, with the author and the committer that ``git commit`` would use.

    Raises `GitError` where they cannot be used; where git has no identity, the committer is `_DEFAULT_IDENTITY`.
    """
    arguments = ("commit-tree", tree, "-p", parent, "-F", "-")
    text = message.encode("utf-8", "surrogateescape")
    environment = {name: value for name, value in os.environ.items() if name in _IDENTITY}
    try:
        commit_id = git(*arguments, folder=place.root, stdin=text, environment=environment)
    except GitError as error:
        if not any(reason in error.stderr for reason in _UNKNOWN):
            raise
        for who in ("AUTHOR", "COMMITTER"):
            environment |= _completed(place, who, environment)
        commit_id = git(*arguments, folder=place.root, stdin=text, environment=environment)
    return commit_id.decode().strip()


def _completed(place: Checkout, who: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the variables that *environment* lacks for the identity of *who*; none where git has one."""
    try:
        git("var", f"GIT_{who}_IDENT", folder=place.root, environment=environment)
    except GitError as error:
        if "invalid date" in error.stderr:
            date = environment.get(f"GIT_{who}_DATE")
            raise GitError(
                f"GIT_{who}_DATE is no date that git reads: {date!r}", remedy="unset it, or write 2026-01-31T12:00:00Z"
            ) from None
        if "auto-detection is disabled" in error.stderr:
            raise GitError(
                "git has no name or email for the commit, and user.useConfigOnly forbids guessing one",
                stderr=error.stderr,
                remedy="run: git config user.name NAME; git config user.email ADDRESS",
            ) from None
        identity = {f"GIT_{who}_{what}": value for what, value in _DEFAULT_IDENTITY.items()}
        return {name: value for name, value in identity.items() if not environment.get(name)}
    return {}
