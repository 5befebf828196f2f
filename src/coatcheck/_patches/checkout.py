"""What git knows about a checkout: where it is, what it tracks, what has changed since."""

from __future__ import annotations

import os
from typing import NamedTuple

from .git import GitError, git

_NO_FILTER = ("clean=", "smudge=", "process=", "required=false")


class Entry(NamedTuple):
    """A file in git's index: its mode and blob."""

    mode: int
    id: str


class Checkout(NamedTuple):
    """A work tree. `root` is its top, `folder` the place in the git directory that is ours.

    `filters` are the programs that settings name for rewriting files. None of them ever runs: even looking for what
    has changed would run one (git status compares a file whose time is too young to tell).
    """

    root: str
    git_directory: str
    folder: str
    filters: tuple[str, ...] = ()

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Checkout:
        """Find the checkout that *path* is in: its top, a folder of it, a linked work tree or a submodule.

        Raises `GitError` where there is none, or no work tree in it.
        """
        try:
            answer = git("rev-parse", "--is-inside-work-tree", "--show-toplevel", folder=path)
        except GitError as error:
            if "must be run in a work tree" in error.stderr or "not a git repository" in error.stderr:
                raise GitError(
                    f"{os.fspath(path)} is not in a git checkout",
                    stderr=error.stderr,
                    remedy="give the folder of a clone",
                ) from None
            raise
        # one name per call: a folder's name may hold line ends
        is_inside, _, root = answer.decode("utf-8", "surrogateescape").removesuffix("\n").partition("\n")
        if is_inside != "true":
            raise GitError(f"{os.fspath(path)} is inside a git directory, not in a work tree")
        git_directory = _path(root, "--absolute-git-dir")
        place = _path(root, "--git-path", "coatcheck")
        return cls(root, git_directory, os.path.join(root, place), _drivers("filter", root))

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the settings that switch the filters off."""
        return tuple(f"filter.{name}.{what}" for name in self.filters for what in _NO_FILTER)

    def git(self, *arguments: str | bytes, stdin: bytes = b"", accept: tuple[int, ...] = (0,)) -> bytes:
        """Run git at the top of the work tree."""
        return git(*arguments, folder=self.root, stdin=stdin, accept=accept, settings=self.settings)

    def entries(self) -> dict[str, Entry]:
        """Return what the index has, by path. A path in conflict is there with its last side."""
        found = {}
        for record in self.git("ls-files", "--stage", "-z").split(b"\0")[:-1]:
            facts, _, path = record.partition(b"\t")
            mode, blob, _ = facts.split(b" ")
            found[os.fsdecode(path)] = Entry(int(mode, 8), blob.decode())
        return found

    def changed(self) -> set[str]:
        """Return the tracked paths that differ from the last commit, staged or not."""
        arguments = (
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=no",
            "--no-renames",
            "--ignore-submodules=all",
        )
        records = self.git(*arguments).split(b"\0")[:-1]
        return {os.fsdecode(record[3:]) for record in records}

    def setting(self, name: str) -> str:
        """Return a setting, empty where there is none."""
        return self.git("config", "--get", name, accept=(0, 1)).decode("utf-8", "replace").strip()

    def merge_drivers(self) -> tuple[str, ...]:
        """Return the names of the programs that settings name for merging files."""
        return _drivers("merge", self.root)

    def filtered(self, paths: list[str]) -> set[str]:
        """Return those of *paths* that one of the filters would rewrite."""
        if not self.filters:
            return set()
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        fields = self.git("check-attr", "-z", "--stdin", "filter", stdin=given).split(b"\0")[:-1]
        return {
            os.fsdecode(fields[at]) for at in range(0, len(fields), 3) if os.fsdecode(fields[at + 2]) in self.filters
        }


def _path(root: str, *arguments: str) -> str:
    """Return the one path that ``git rev-parse`` prints."""
    return git("rev-parse", *arguments, folder=root).decode("utf-8", "surrogateescape").removesuffix("\n")


def _drivers(kind: str, root: str) -> tuple[str, ...]:
    listed = git("config", "-z", "--name-only", "--get-regexp", rf"^{kind}\..*\.", folder=root, accept=(0, 1))
    return tuple(sorted({os.fsdecode(name).partition(".")[2].rpartition(".")[0] for name in listed.split(b"\0")[:-1]}))
