"""Throw-away clones for agents.

Law 1. The user's repository is read by one command (a fetch into our mirror) and written by none. A clone borrows
objects from the mirror, so whatever an agent does through ``alternates`` does not reach the user's files.
(Borrowing from the repository itself would: git refreshes the times of objects that it finds there.)
Law 2. Beside the agent's clone stands a git directory of our own; `harvest` looks at the work through that.
Law 3. Everything is removed in the end, also what was made hard to remove.

An agent runs as the user who started the server. This keeps clumsy agents away from the repository; it is not a
sandbox for malicious ones.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from .agent_process import end_strays
from .git import Git, WorkspaceError, last_line, remove_tree

# The state that the agent's changes are measured against.
BASE = "refs/coatcheck/base"


class WorkspaceManager:
    """Where workspaces are made: *root* holds mirrors and the attempts' folders, and belongs to one server."""

    def __init__(self, root: Path, *, environ: Mapping[str, str]) -> None:
        self._root = root
        self._git = Git(environ)
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def sweep(self) -> None:
        """End and remove what an earlier server left behind."""
        end_strays(self._root / "attempts")
        remove_tree(self._root / "attempts")

    def open(
        self,
        name: str,
        *,
        mirror: str,
        source: Path,
        branch: str,
        starting_diff: str | None = None,
        previous_diff: str | None = None,
    ) -> Workspace:
        """Make a clone of *source* at *branch*, with the diffs applied. Raises `WorkspaceError`."""
        folder = self._root / "attempts" / name.replace("~", "-")
        folder.mkdir(mode=0o700, parents=True)
        workspace = Workspace(folder, self._git)
        try:
            with self._lock_of(mirror):
                commit = self._borrow(workspace, self._root / "mirrors" / f"{mirror}.git", source, branch)
            workspace.prepare(branch, commit, starting_diff=starting_diff, previous_diff=previous_diff)
        except BaseException:
            workspace.remove()
            raise
        return workspace

    def _lock_of(self, mirror: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(mirror, threading.Lock())

    def _borrow(self, workspace: Workspace, mirror: Path, source: Path, branch: str) -> str:
        """Borrow from an up-to-date mirror; one that an agent spoiled is made anew, once."""
        try:
            self._refresh(mirror, source)
            workspace.borrow(mirror)
        except WorkspaceError:
            remove_tree(mirror)
            remove_tree(workspace.base)
            self._refresh(mirror, source)
            workspace.borrow(mirror)
        return self._resolve(mirror, branch)

    def _refresh(self, mirror: Path, source: Path) -> None:
        trust = self._trust()
        if not (mirror / "HEAD").exists():
            mirror.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # --no-local: objects are copied, never linked, also those that the source borrows itself
            copy = ("clone", "--quiet", "--bare", "--no-local", "--template=")
            self._git.run(*copy, "--", source.resolve(), mirror, environ=trust)
        refs = (f"+refs/{kind}/*:refs/{kind}/*" for kind in ("heads", "tags", "remotes/origin"))
        fetch = ("fetch", "--quiet", "--prune", "--update-shallow", "--no-recurse-submodules", "--no-write-fetch-head")
        self._git.run("--git-dir", mirror, *fetch, "--", source.resolve(), *refs, environ=trust)

    def _trust(self) -> dict[str, str]:
        """Return the settings with which git reads a repository that another user owns: the user named it to us."""
        settings = self._root / "gitconfig"
        if not settings.exists():
            settings.write_text("[safe]\n\tdirectory = *\n")
        return {"GIT_CONFIG_GLOBAL": str(settings)}

    def _resolve(self, mirror: Path, branch: str) -> str:
        for name in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
            verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            done = self._git.run("--git-dir", mirror, *verify, check=False)
            if done.returncode == 0:
                return done.stdout.decode().strip()
        raise WorkspaceError("unknown_branch", f"the repository has no branch {branch!r}")


class Workspace:
    """One attempt's folder: `work` is the agent's clone, everything beside it is ours."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder = folder
        self.base = folder / "base.git"
        self.work = folder / "work"
        self.prompt_file = folder / "prompt.txt"
        self.result_file = folder / "result.json"
        self.base_commit = ""
        self.git = git

    def borrow(self, mirror: Path) -> None:
        """Make our own git directory, which borrows the mirror's objects."""
        self.git.run("clone", "--quiet", "--bare", "--shared", "--template=", "--", mirror, self.base)

    def prepare(self, branch: str, commit: str, *, starting_diff: str | None, previous_diff: str | None) -> None:
        """Apply the diffs to *commit*, and check the agent's clone out at the result."""
        self.base_commit = commit
        start = self._apply(commit, starting_diff, "starting diff")
        self.git.run("--git-dir", self.base, "update-ref", BASE, start)
        head = self._apply(start, previous_diff, "previous turn's diff")
        # a ref of its own, or the clone would not be told of a commit that no branch has
        self.git.run("--git-dir", self.base, "update-ref", "refs/heads/coatcheck-start", head)
        copy = ("clone", "--quiet", "--shared", "--no-checkout", "--no-tags", "--template=")
        self.git.run(*copy, "--", self.base, self.work)
        inside = ("-C", self.work)
        self.git.run(*inside, "remote", "remove", "origin")
        for name, value in (("user.name", "coatcheck"), ("user.email", "coatcheck@localhost"), ("gc.auto", "0")):
            self.git.run(*inside, "config", name, value)
        self.git.run(*inside, "checkout", "--quiet", "--force", "-B", branch, head)

    def _apply(self, commit: str, diff: str | None, what: str) -> str:
        if not diff:
            return commit
        index = {"GIT_INDEX_FILE": str(self.folder / "apply-index")}
        here = ("--git-dir", self.base)
        self.git.run(*here, "read-tree", commit, environ=index)
        apply = ("apply", "--cached", "--whitespace=nowarn", "-")
        done = self.git.run(*here, *apply, environ=index, input=diff.encode(), check=False)
        if done.returncode:
            reason = last_line(done.stderr.decode("utf-8", "replace"))
            raise WorkspaceError("diff_does_not_apply", f"the {what} does not apply: {reason}")
        tree = self.git.read(*here, "write-tree", environ=index)
        return self.git.read(*here, "commit-tree", tree, "-p", commit, "-m", what.capitalize())

    def remove(self) -> None:
        """Remove the folder, whatever is in it."""
        remove_tree(self.folder)
