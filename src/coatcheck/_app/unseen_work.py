"""Local work that a remote agent will not see: uncommitted files, unpushed commits, a branch that exists only locally.

Guarantee: nothing is fetched. The remote's state is read from the remote-tracking refs as of the last fetch, and there
is no warning where the remote's branches are not tracked.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors

if TYPE_CHECKING:
    from .._model.tasks import TaskSpec
    from .workspace import Workspace


class WorkTree(NamedTuple):
    """The state of a checkout; `branch` is None where HEAD is detached, `commit` where there is none yet."""

    branch: str | None
    commit: str | None
    changed: int
    new: int


def unseen_work(workspace: Workspace, spec: TaskSpec) -> str | None:
    """Return a sentence about the local work that the agent of *spec* will not see, None where there is none."""
    from .._runtime.server_record import LOCAL

    root = workspace.root
    if not (spec.repository or spec.environment):
        return None
    try:
        if workspace.provider == LOCAL:
            parts = _local(workspace, root, spec)
        else:
            parts = _remote(root, spec) if root is not None else []
    except errors.ConfigurationError as error:
        return f"local work that the agent will not see could not be determined: {error}"
    return "; ".join(parts) if parts else None


def _local(workspace: Workspace, root: str | None, spec: TaskSpec) -> list[str]:
    """Return the sentences for a local cloud, which reads the repository on this machine: commits need no push."""
    from .._runtime.server_record import running_servers

    servers = running_servers(workspace.environ)
    named = [
        each
        for server in servers
        for each in server.environments
        if each.is_named(spec.environment or spec.repository or "")
    ]
    paths = [each.path for each in named if each.path]
    if spec.branch and paths and not any(_has_branch(path, spec.branch) for path in paths):
        return [f"{paths[0]} has no branch {spec.branch}; pass one of: git -C {shlex.quote(paths[0])} branch"]
    if root is None or os.path.realpath(root) not in map(os.path.realpath, paths):
        return []
    tree = read_work_tree(root)
    return [*_detached(tree, spec), *_unseen(_files(tree, spec))]


def _has_branch(path: str, branch: str) -> bool:
    """Whether the local cloud finds *branch* in the repository at *path*; true where that repository cannot be read."""
    try:
        return _has(path, f"refs/heads/{branch}") or _has(path, f"refs/remotes/origin/{branch}")
    except errors.ConfigurationError:
        return True


def _remote(root: str, spec: TaskSpec) -> list[str]:
    names = _remotes(root, spec)
    if names is None:
        return []
    tree = read_work_tree(root)
    sentences, unseen = _detached(tree, spec), _files(tree, spec)
    if spec.branch and (tracked := [name for name in names if _is_tracked(root, name)]):
        with_branch = [name for name in tracked if _has(root, f"refs/remotes/{name}/{spec.branch}")]
        if not with_branch:
            sentences.append(_missing(tracked[0], spec.branch, is_local=_has(root, f"refs/heads/{spec.branch}")))
        elif spec.branch == tree.branch and (ahead := min(_ahead(root, name, spec.branch) for name in with_branch)):
            unseen.append(
                f"{_count(ahead, 'commit')} (not pushed to {with_branch[0]}/{spec.branch} as of the last fetch)"
            )
    return [*sentences, *_unseen(unseen)]


def _remotes(root: str, spec: TaskSpec) -> list[str] | None:
    """Return the remotes that name the task's repository, ``origin`` first; None where it is another repository."""
    from .checkout import remotes

    named = [remote for remote in remotes(root) if remote.repository]
    repository = spec.repository or (
        spec.environment if spec.environment and spec.environment.count("/") == 1 else None
    )
    if repository is not None:
        named = [remote for remote in named if (remote.repository or "").lower() == repository.lower()]
        if not named:
            return None
    return sorted((remote.name for remote in named), key=lambda name: name != "origin")


def read_work_tree(root: str) -> WorkTree:
    """Return the state of the checkout at *root*. Raises `GitError`."""
    from .._patches.checkout import Checkout

    arguments = ("--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--no-renames")
    output = Checkout.at(root).git("status", *arguments, "--ignore-submodules=all")
    records = output.decode("utf-8", "replace").split("\0")
    heads = dict(record[2:].split(" ", 1) for record in records if record.startswith("# "))
    head, commit = heads.get("branch.head", "(detached)"), heads.get("branch.oid", "(initial)")
    return WorkTree(
        branch=None if head == "(detached)" else head,
        commit=None if commit == "(initial)" else commit,
        changed=sum(record[:2] in ("1 ", "2 ", "u ") for record in records),
        new=sum(record.startswith("? ") for record in records),
    )


def _detached(tree: WorkTree, spec: TaskSpec) -> list[str]:
    if tree.branch is not None or spec.branch is not None or tree.commit is None:
        return []
    start = "the agent starts from the environment's default branch, because no branch is chosen"
    return [f"HEAD is detached at {tree.commit[:7]}: {start}"]


def _files(tree: WorkTree, spec: TaskSpec) -> list[str]:
    """Return the uncommitted files, where the task starts from the current branch and has no starting diff."""
    if spec.starting_diff or spec.branch not in (None, tree.branch):
        return []
    counts = ((tree.changed, "changed file"), (tree.new, "new file"))
    described = " and ".join(_count(number, what) for number, what in counts if number)
    return [f"{described} (not committed)"] if described else []


def _unseen(items: Sequence[str]) -> list[str]:
    return [f"the agent will not see {', nor '.join(items)}"] if items else []


def _missing(remote: str, branch: str, *, is_local: bool) -> str:
    remedy = f"push it with: git push -u {remote} {branch}" if is_local else f"update it with: git fetch {remote}"
    return f"{remote} has no branch {branch} as of the last fetch; {remedy}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _git(root: str, *arguments: str, accept: Iterable[int] = (0,)) -> str:
    from .._patches.git import git

    return git(*arguments, folder=root, accept=tuple(accept)).decode("utf-8", "replace").strip()


def _is_tracked(root: str, remote: str) -> bool:
    """Whether fetching creates a remote-tracking ref for every branch of *remote*, and there is one."""
    refspecs = _git(root, "config", "--get-all", f"remote.{remote}.fetch", accept=(0, 1)).split("\n")
    if f"refs/heads/*:refs/remotes/{remote}/*" not in (refspec.removeprefix("+") for refspec in refspecs):
        return False  # a clone of a single branch, or refs with other names
    return bool(_git(root, "for-each-ref", "--count=1", "--format=%(refname)", f"refs/remotes/{remote}/"))


def _has(root: str, ref: str) -> bool:
    return bool(_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", ref, accept=(0, 1)))


def _ahead(root: str, remote: str, branch: str) -> int:
    return int(_git(root, "rev-list", "--count", f"refs/remotes/{remote}/{branch}..HEAD", "--"))
