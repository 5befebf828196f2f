"""Push one commit as a branch.

Invariants:

- a branch is created, or updated where its last commit is an earlier delivery of the same item; any other branch is left
  as it is, also where somebody changes it at the same time (``--force-with-lease``);
- a branch that has the change already is not pushed again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from .._patches.git import GitError, git
from .git_token import GitAccess
from .repositories import REACHING

if TYPE_CHECKING:
    from .delivery import Delivery

TRAILER = "Coatcheck-Delivery"
# What a server says about a refused push, in lower case, and the remedy.
REFUSALS = (
    ("protected branch", "the branch is protected: set deliver.branch to another name"),
    ("repository rule violations", "a rule of the repository forbids the branch: set deliver.branch to another name"),
    ("refusing to allow", "the token may not change workflows: give it the scope workflow"),
    ("archived", "unarchive the repository, or leave it out of the items"),
    ("not found", "check the name of the repository, and that the login may see it"),
    ("permission", "get the permission to push, or set deliver.fork = true"),
    ("denied", "get the permission to push, or set deliver.fork = true"),
    ("403", "get the permission to push, or set deliver.fork = true"),
    ("could not read password", "log in again: gh auth login, or set GITHUB_TOKEN"),
    ("authentication failed", "log in again: gh auth login, or set GITHUB_TOKEN"),
)
RETRY = "then run: coatcheck fleet retry NAME KEY"


class PushError(errors.ConfigurationError):
    """A branch could not be pushed. `is_missing`: the server has no such repository, or shows none."""

    is_missing: bool = False


class BranchPush:
    """Pushes to one place, from a clone; *access* gives access to the place for one git command."""

    def __init__(self, clone: Path, access: Callable[[], AbstractContextManager[GitAccess]]) -> None:
        self._clone, self._access = clone, access

    def deliver(self, delivery: Delivery) -> str:
        """Push a change; return the commit. Raises `ConfigurationError` for a branch with another change."""
        start = delivery.base or "HEAD"
        applied = delivery.patch.verify(base=self._clone).commit(
            self._clone, branch=delivery.branch, message=delivery.message, start=start
        )
        commit = applied.commit or start
        known = self.find(delivery.branch)
        if known is not None:
            if self._is_same(known, commit, delivery.branch):
                return known
            self._require_ours(known, delivery)
        lease = f"--force-with-lease=refs/heads/{delivery.branch}:{known or ''}"
        refspec = f"refs/heads/{delivery.branch}:refs/heads/{delivery.branch}"
        self._git("push", "--quiet", lease, "--", rest=refspec, branch=delivery.branch)
        return commit

    def find(self, branch: str) -> str | None:
        """Return the commit of a branch as it is now, None where there is none."""
        listed = self._git("ls-remote", "--end-of-options", rest=f"refs/heads/{branch}", branch=branch)
        return listed.decode().partition("\t")[0].strip() or None

    def _is_same(self, known: str, commit: str, branch: str) -> bool:
        """Whether two commits have the same files and parents; *known* is fetched."""
        self._git("fetch", "--quiet", "--no-tags", "--", rest=f"refs/heads/{branch}", branch=branch)
        shown = [git("log", "-1", "--format=%T %P", each, "--", folder=self._clone) for each in (known, commit)]
        return shown[0] == shown[1]

    def _require_ours(self, known: str, delivery: Delivery) -> None:
        """Raise unless the commit *known* is an earlier delivery of the item."""
        trailers = f"--format=%(trailers:key={TRAILER},valueonly)"
        stated = git("log", "-1", trailers, known, "--", folder=self._clone).decode("utf-8", "replace").strip()
        if stated != one_line(delivery.key):
            raise errors.ConfigurationError(
                f"the branch {delivery.branch} of {delivery.item.repository} exists with another change",
                remedy=f"delete or rename it, {RETRY}",
            )

    def _git(self, *arguments: str, rest: str, branch: str) -> bytes:
        """Run git with the place and *rest* after *arguments*. Raises `PushError`."""
        with self._access() as access:
            try:
                return git(
                    *arguments,
                    access.place,
                    rest,
                    folder=self._clone,
                    environ=access.environ,
                    environment={**REACHING, **access.environment},
                    settings=access.settings,
                    descriptors=access.descriptors,
                )
            except GitError as error:
                raise push_error(branch, error.stderr or str(error)) from None


def push_error(branch: str, stderr: str) -> PushError:
    """Return the error of a refused push: one line, with the remedy."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    words = ("gh0", "rejected", "denied", "refusing", "fatal:", "error:", "")
    shown = next((line for word in words for line in lines if word in line.lower()), "git failed")
    stated = stderr.lower()
    remedy = next((remedy for word, remedy in REFUSALS if word in stated), "check that you may push there")
    error = PushError(f"the branch {branch} could not be pushed: {shown}", remedy=f"{remedy}; {RETRY}")
    error.is_missing = "not found" in stated
    return error


def one_line(text: str) -> str:
    """Return *text* without line ends, which would end a trailer of a commit message."""
    return " ".join(text.split())
