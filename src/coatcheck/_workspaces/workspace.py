"""Temporary clones: the folders in which agents work on attempts.

Invariants:
- the user's repository is read by one command (a fetch into our mirror) and written by none. A clone borrows objects
  from the mirror, so whatever an agent does through ``alternates`` does not reach the user's files (borrowing from the
  repository itself would: git refreshes the times of objects that it finds there);
- beside the agent's clone is a git directory of our own, from which `collect_changes` makes the one that it reads with;
- in the end every process of the attempt is ended and its folder removed. What cannot be removed is logged, and tried
  again after later attempts and at the next start; it changes no result.

An agent runs as the user who started the server. This keeps clumsy agents away from the repository; it is not a
sandbox for malicious ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from .._files.private import make_private_folder, replace_file
from .cancellation import CancelScope
from .cgroup import ControlGroups, end_group
from .command_process import MARK, end_strays, log_warning
from .git import Git, WorkspaceError, git_failure, last_line
from .tree_removal import make_writable, remove_tree

# What the configuration of an agent's clone has beside git's own settings.
AGENT_SETTINGS = ("user.name=coatcheck", "user.email=coatcheck@localhost", "gc.auto=0")
# So many reasons are logged for a folder that cannot be removed.
MAX_PROBLEMS = 5


class WorkspaceManager:
    """Make workspaces: *root* holds mirrors and the attempts' folders, and belongs to one server."""

    def __init__(self, root: Path, *, environ: Mapping[str, str], cgroups: ControlGroups | None = None) -> None:
        self._root = root.resolve()
        self._git = Git(environ)
        self._cgroups = cgroups or ControlGroups(self._root)
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._left: set[Path] = set()

    def sweep(self) -> None:
        """End and remove what an earlier server left; what fails is logged, and does not stop the next start."""
        steps: tuple[Callable[[], None], ...] = (
            lambda: end_strays(self._root / "attempts"),
            self._end_groups,
            lambda: self.discard(self._root / "attempts"),
        )
        for step in steps:
            try:
                step()
            except OSError as error:
                log_warning("cleaning up after an earlier server: %s", error)

    def _end_groups(self) -> None:
        if not self._cgroups.end_all():
            log_warning("control groups of an earlier server could not be removed")

    def open(
        self,
        name: str,
        *,
        mirror: str,
        source: Path,
        branch: str,
        starting_diff: str | None = None,
        previous_diff: str | None = None,
        scope: CancelScope | None = None,
    ) -> Workspace:
        """Make a clone of *source* at *branch*, with the diffs applied. Raises `WorkspaceError` and `Stopped`."""
        scope = scope or CancelScope()
        folder = self._root / "attempts" / name.replace("~", "-")
        for parent in (self._root, folder.parent):  # an agent of an earlier attempt may have closed them
            make_writable(parent)
        make_private_folder(str(folder.parent))
        folder.mkdir(mode=0o700)
        workspace = Workspace(folder, self._git, scope=scope, discard=self.discard, cgroup=self._cgroups.create(name))
        try:
            with scope.holding(self._lock_of(mirror)):
                commit = self._borrow(workspace, self._root / "mirrors" / f"{mirror}.git", source, branch)
            workspace.prepare(branch, commit, starting_diff=starting_diff, previous_diff=previous_diff)
        except BaseException:
            workspace.remove()
            raise
        return workspace

    def discard(self, folder: Path) -> None:
        """Remove a folder, and try again what could not be removed before; the reasons are logged."""
        with self._lock:
            left, self._left = self._left, set()
        for each in {folder, *left}:
            if problems := remove_tree(each):
                with self._lock:
                    self._left.add(each)
                if each not in left:
                    log_warning(
                        "%s cannot be removed, it will be tried again: %s", each, "; ".join(problems[:MAX_PROBLEMS])
                    )

    def _lock_of(self, mirror: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(mirror, threading.Lock())

    def _borrow(self, workspace: Workspace, mirror: Path, source: Path, branch: str) -> str:
        """Borrow from an up-to-date mirror; one that git cannot use is made anew, once."""
        try:
            self._refresh(workspace.git, mirror, source)
            workspace.borrow(mirror)
        except WorkspaceError:
            self.discard(mirror)
            self.discard(workspace.base)
            self._refresh(workspace.git, mirror, source)
            workspace.borrow(mirror)
        return self._resolve(workspace.git, mirror, branch)

    def _refresh(self, git: Git, mirror: Path, source: Path) -> None:
        trust = self._trust()
        if not (mirror / "HEAD").exists():
            make_private_folder(str(mirror.parent))
            # --no-local: objects are copied, never linked, also those that the source borrows itself
            copy = ("clone", "--quiet", "--bare", "--no-local", "--template=")
            git.run(*copy, "--", source.resolve(), mirror, environ=trust)
        refs = (f"+refs/{kind}/*:refs/{kind}/*" for kind in ("heads", "tags", "remotes/origin"))
        fetch = ("fetch", "--quiet", "--prune", "--update-shallow", "--no-recurse-submodules", "--no-write-fetch-head")
        git.run("--git-dir", mirror, *fetch, "--", source.resolve(), *refs, environ=trust)

    def _trust(self) -> dict[str, str]:
        """Return the settings with which git reads a repository that another user owns: ``--environment`` named it."""
        settings = self._root / "gitconfig"
        if not settings.exists():
            replace_file(str(settings), b"[safe]\n\tdirectory = *\n", is_durable=False)
        return {"GIT_CONFIG_GLOBAL": str(settings)}

    @staticmethod
    def _resolve(git: Git, mirror: Path, branch: str) -> str:
        for name in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
            verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            done = git.run("--git-dir", mirror, *verify, check=False)
            if done.returncode == 0:
                return done.stdout.decode().strip()
            if done.returncode != 1:  # 1: there is no such ref
                raise git_failure(done.stderr)
        raise WorkspaceError("unknown_branch", f"the repository has no branch {branch!r}")


class Workspace:
    """One attempt's folder: `work` is the agent's clone, everything beside it is ours.

    What the agent may change is not asked again later: the ids of the commits, and the configuration of `base`.
    """

    def __init__(
        self, folder: Path, git: Git, *, scope: CancelScope, discard: Callable[[Path], None], cgroup: Path | None
    ) -> None:
        self.folder = folder
        self.base = folder / "base.git"
        self.work = folder / "work"
        self.prompt_file = folder / "prompt.txt"
        self.result_file = folder / "result.json"
        self.base_commit = self.start = self.head = ""
        self.config = self.shallow = b""
        self.scope = scope
        self.cgroup = cgroup
        self.git = git.within(scope, {MARK: str(folder / "git")})
        self._discard = discard

    def borrow(self, mirror: Path) -> None:
        """Make our own git directory, which borrows the mirror's objects."""
        self.git.run("clone", "--quiet", "--bare", "--shared", "--template=", "--", mirror, self.base)

    def prepare(self, branch: str, commit: str, *, starting_diff: str | None, previous_diff: str | None) -> None:
        """Apply the diffs to *commit*, and check the agent's clone out at the result."""
        self.base_commit = commit
        self.start = self._apply(commit, starting_diff, "starting diff")
        self.head = head = self._apply(self.start, previous_diff, "previous turn's diff")
        self.config = (self.base / "config").read_bytes()
        if (shallow := self.base / "shallow").is_file():
            self.shallow = shallow.read_bytes()
        # a ref, or the clone would not get a commit that no branch has
        self.git.run("--git-dir", self.base, "update-ref", "refs/heads/coatcheck-start", head)
        copy = ("clone", "--quiet", "--shared", "--no-checkout", "--no-tags", "--template=")
        self.git.run(*copy, *(f"--config={setting}" for setting in AGENT_SETTINGS), "--", self.base, self.work)
        inside = ("-C", self.work)
        self.git.run(*inside, "remote", "remove", "origin")
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

    def copied(self, name: str, scope: CancelScope) -> Workspace:
        """Return a workspace beside this one for a copy of its clone, with the same base; nothing is copied yet."""
        folder = self.folder.with_name(f"{self.folder.name}-{name}")
        copy = Workspace(folder, self.git, scope=scope, discard=self._discard, cgroup=None)
        copy.base, copy.config, copy.shallow = self.base, self.config, self.shallow
        copy.base_commit, copy.start, copy.head = self.base_commit, self.start, self.head
        return copy

    def discard_folder(self) -> None:
        """Remove the folder alone: no process works in it."""
        self._discard(self.folder)

    def end_processes(self) -> None:
        """End what the attempt started and its supervisor did not: the agent may have killed that."""
        if self.cgroup is not None and not end_group(self.cgroup):
            log_warning("the control group %s could not be emptied", self.cgroup)
        end_strays(self.folder)

    def remove(self) -> None:
        """End the attempt's processes and remove the folder, whatever is in it."""
        self.end_processes()
        self._discard(self.folder)
