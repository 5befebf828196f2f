"""What is checked of a candidate: a tree of the base with its patch, and with the protected paths of the base.

Invariants:
- git applies and merges, in an index of ours; no file of the patch is written before its tree is complete;
- protected paths have the content of the base in the tree, whatever the patch does to them or to the folders above;
- a patch that was made on another commit is merged onto the base with that commit as the merge base.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .._patches.checkout_strip_level import settle
from .._patches.path_patterns import path_matcher
from .._patches.render_patch import render
from .._patches.staging_area import Group, groups_of, split_by_context
from .._workspaces.git import Git, WorkspaceError, git_failure, last_line
from .protected_paths import protected_matcher

if TYPE_CHECKING:
    from .._patches.file_change import FileChange
    from .._patches.parse import Patch
    from .._workspaces.mirror import Mirror

# Commits of ours have one date, so that the same change is the same commit.
_DATES = {"GIT_AUTHOR_DATE": "946684800 +0000", "GIT_COMMITTER_DATE": "946684800 +0000"}
OTHER_LINE_ENDS = "the patch has line ends CR LF and the files have LF; repair the patch (--repair)"
_MERGE_TREE = "git 2.38 or newer merges patches that were made on another commit"


class CandidateTree(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a tree, and the paths that a patch changes in it.

    `protected` are those that were restored, `changed` those that differ from the base.
    """

    tree: str
    protected: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class ConflictError(Exception):
    """A patch does not apply; `paths` are where."""

    def __init__(self, paths: Sequence[str], reason: str) -> None:
        self.paths = tuple(paths)
        super().__init__(reason)


class Clone:
    """A clone in *folder*/work that borrows the objects of *mirror*; its tree and its files are made in steps."""

    def __init__(self, folder: Path, mirror: Mirror, git: Git) -> None:
        self.folder, self.work = folder, folder / "work"
        self._git = git
        self._inside = ("-C", str(self.work))
        folder.mkdir(parents=True, mode=0o755)
        options = ("--quiet", "--template=", "--initial-branch=coatcheck")
        git.run("init", *options, mirror.object_format, self.work)
        self._borrow(str(mirror.path / "objects"))

    def _borrow(self, objects: str) -> None:
        (self.work / ".git" / "objects" / "info").mkdir(exist_ok=True)
        (self.work / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n")

    def tree_of(self, commit: str) -> str:
        """Return the tree of a commit."""
        return self._read("rev-parse", "--verify", f"{commit}^{{tree}}")

    def apply(self, patch: Patch, *, start: str, base: str) -> str:
        """Return the tree of *base* with a patch that was made on *start*. Raises `ConflictError`."""
        self._run("read-tree", start)
        exists = self._paths_of(start)
        changes = settle(patch.files, exists.__contains__)
        self._apply(changes, start)
        tree = self._read("write-tree")
        return tree if start == base else self._merge(tree, start=start, base=base)

    def _paths_of(self, commit: str) -> frozenset[str]:
        output = self._run("ls-tree", "-r", "-z", "--name-only", commit)
        return frozenset(os.fsdecode(output).split("\0"))

    def _apply(self, changes: tuple[FileChange, ...], start: str) -> None:
        groups = groups_of(changes)
        sure, unsure = split_by_context(groups)
        for some, options in ((sure, ()), (unsure, ("--unidiff-zero",))):
            if some and (problem := self._try(some, *options)):
                self._apply_by_merging(groups, start, problem)
                return

    def _apply_by_merging(self, groups: Sequence[Group], start: str, problem: str) -> None:
        """Apply with the blobs that the patch names, where the lines themselves do not fit (git-apply(1), ``--3way``)."""
        self._run("read-tree", start)
        if self._try(groups, "--3way"):
            unix = _text_of(groups).replace(b"\r\n", b"\n")
            is_only_line_ends = unix != _text_of(groups) and not self._try_text(unix, "--check")
            raise ConflictError(_named(problem, groups), OTHER_LINE_ENDS if is_only_line_ends else last_line(problem))

    def _try(self, groups: Iterable[Group], *options: str) -> str:
        """Run git apply on the index; return what it reports where it fails."""
        return self._try_text(_text_of(groups), *options)

    def _try_text(self, patch: bytes, *options: str) -> str:
        apply = ("apply", "--cached", "--whitespace=nowarn", *options, "-")
        done = self._git.run(*self._inside, *apply, input=patch, check=False)
        return (done.stderr.decode("utf-8", "surrogateescape") or "git apply failed") if done.returncode else ""

    def _merge(self, tree: str, *, start: str, base: str) -> str:
        """Merge with commits of ours, whose only common ancestor is the state before the patch."""
        before = self._commit(self.tree_of(start))
        ours, theirs = self._commit(self.tree_of(base), before), self._commit(tree, before)
        done = self._git.run(
            *self._inside, "merge-tree", "--write-tree", "-z", "--name-only", ours, theirs, check=False
        )
        if done.returncode not in {0, 1}:
            text = done.stderr.decode("utf-8", "replace")
            raise WorkspaceError("git_too_old", _MERGE_TREE) if "usage:" in text else git_failure(done.stderr)
        merged, *names = os.fsdecode(done.stdout).split("\0")
        if done.returncode:
            paths = names[: names.index("")] if "" in names else names
            raise ConflictError(
                tuple(dict.fromkeys(paths)), f"it was made on {start[:12]} and conflicts with {base[:12]}"
            )
        return merged

    def _commit(self, tree: str, *parents: str) -> str:
        links = [word for parent in parents for word in ("-p", parent)]
        return self._read("commit-tree", tree, *links, "-m", "Change of a candidate", environ=_DATES)

    def protect(self, tree: str, *, base: str, patterns: Sequence[str]) -> CandidateTree:
        """Return *tree* with the paths of *base* that match *patterns*."""
        is_protected = protected_matcher(patterns)
        before = self._differences(base, tree)
        protected = {path: entry for path, entry in before.items() if is_protected(path)}
        if protected:
            self._run("read-tree", tree)
            lines = b"".join(f"{entry}\t".encode() + os.fsencode(path) + b"\0" for path, entry in protected.items())
            self._run("update-index", "--add", "--replace", "-z", "--index-info", input=lines)
            tree = self._read("write-tree")
            before = self._differences(base, tree)
        return CandidateTree(tree=tree, protected=tuple(protected), changed=tuple(before))

    def _differences(self, base: str, tree: str) -> dict[str, str]:
        """Return mode and id in *base* of every path that differs in *tree*, as ``update-index --index-info`` reads it."""
        output = os.fsdecode(self._run("diff-tree", "-r", "-z", "--no-renames", base, tree)).split("\0")[:-1]
        return {path: f"{fact[1:7]} {fact.split(' ')[2]}" for fact, path in zip(output[::2], output[1::2], strict=True)}

    def entries(self, commit: str, patterns: Sequence[str]) -> list[str]:
        """Return mode, type, id and path of each file of *commit* that matches *patterns*."""
        matches = path_matcher(patterns)
        lines = os.fsdecode(self._run("ls-tree", "-r", "-z", commit)).split("\0")[:-1]
        return [line for line in lines if matches(line.partition("\t")[2])]

    def paths(self, tree: str) -> frozenset[str]:
        """Return the paths of the files of a tree."""
        return self._paths_of(tree)

    def check_out(self, tree: str, base: str) -> None:
        """Write the files; the branch is a commit of *tree* on *base*, or *base* where there is no change."""
        commit = base if tree == self.tree_of(base) else self._commit(tree, base)
        self._run("update-ref", "refs/heads/coatcheck", commit)
        self._run("read-tree", commit)
        self._run("checkout-index", "--all", "--force", "-u", "-q")

    def share_with_commands(self, objects: str, user: int | None) -> None:
        """Let commands use the clone: objects are at the path *objects* for them; *user* owns the files."""
        self._borrow(objects)
        if user is not None:
            self.folder.chmod(0o755)  # our umask may be stricter
            change_owner(self.work, user)

    def _run(self, *arguments: str, input: bytes = b"") -> bytes:
        return self._git.run(*self._inside, *arguments, input=input).stdout

    def _read(self, *arguments: str, environ: dict[str, str] | None = None) -> str:
        return self._git.read(*self._inside, *arguments, environ=environ)


def change_owner(folder: Path, user: int) -> None:
    """Make *user* the owner of everything in a folder; links are not followed."""
    os.chown(folder, user, user)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), user, user, follow_symlinks=False)


def _text_of(groups: Iterable[Group]) -> bytes:
    return b"".join(render(change) for group in groups for change in group.changes)


def _named(problem: str, groups: Sequence[Group]) -> list[str]:
    """Return the paths that git's messages name, all of the patch where they name none."""
    paths = [path for group in groups for path in group.paths]
    named = [path for path in paths if f"error: {path}:" in problem or f"patch failed: {path}:" in problem]
    return list(dict.fromkeys(named or paths))


def colliding(paths: Iterable[str], outputs: Sequence[str]) -> Iterable[str]:
    """Return those of *paths* that are the same as an output of the setup, in one, or a folder above one."""
    is_output: Callable[[str], bool] = frozenset(outputs).__contains__
    above = {folder for output in outputs for folder in folders_of(output)}
    return [path for path in paths if is_output(path) or path in above or any(map(is_output, folders_of(path)))]


def folders_of(path: str) -> list[str]:
    """Return the folders above a path, the uppermost first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
