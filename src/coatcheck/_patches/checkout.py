"""A checkout as git reports it: its folders, its tracked files, their changes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from .git import GitError, git

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_SETTINGS = r"^((filter|merge)\..*|core\.ignorecase)$"
_BLOB = re.compile(rb"[0-9a-f]{40,64} (blob|tree|commit|tag) (\d+)")
_NO_FILTER = ("clean=", "smudge=", "process=", "required=false")


class Entry(NamedTuple):
    """A file in git's index: its mode, its blob, and its tag in ``git ls-files -v``.

    The tag is "H" for an ordinary entry, "S" with skip-worktree, a lower-case letter with assume-unchanged, and "M"
    for a conflict.
    """

    mode: int
    id: str
    tag: str = "H"

    @property
    def is_unwatched(self) -> bool:
        """Whether git status skips the file: skip-worktree or assume-unchanged is set."""
        return self.tag == "S" or self.tag.islower()


class Checkout(NamedTuple):
    """A work tree. `root` is its top, `folder` the folder of coatcheck in the git directory.

    `objects` is the repository's object folder, `configuration` the settings of git that configure how files are rewritten,
    merged and named. `filters` are the programs that rewrite files. None of them ever runs: even looking for what has
    changed would run one (git status compares a file whose time is too recent).
    """

    root: str
    git_directory: str
    folder: str
    objects: str
    configuration: Mapping[str, str]

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Checkout:
        """Find the checkout that *path* is in: its top, a folder of it, a linked work tree or a submodule.

        Raises `GitError` where there is none, or no work tree in it.
        """
        try:
            is_inside, root, git_directory, objects = _read_git(path)
        except GitError as error:
            if "must be run in a work tree" in error.stderr or "not a git repository" in error.stderr:
                raise GitError(
                    f"{os.fspath(path)} is not in a git checkout",
                    stderr=error.stderr,
                    remedy="pass the folder of a clone",
                ) from None
            raise
        if is_inside != "true":
            raise GitError(f"{os.fspath(path)} is inside a git directory, not in a work tree")
        objects = os.path.realpath(os.path.join(path, objects))
        return cls(root, git_directory, os.path.join(git_directory, "coatcheck"), objects, _configuration(root))

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the names of the programs that settings name for rewriting files."""
        return self._drivers("filter")

    @property
    def merge_drivers(self) -> tuple[str, ...]:
        """Return the names of the programs that settings name for merging files."""
        return self._drivers("merge")

    def _drivers(self, kind: str) -> tuple[str, ...]:
        parts = (name.partition(".") for name in self.configuration)
        return tuple(sorted({rest.rpartition(".")[0] for first, _, rest in parts if first == kind and "." in rest}))

    @property
    def ignores_case(self) -> bool:
        """Whether git takes the file system for one that ignores case."""
        return self.configuration.get("core.ignorecase") == "true"

    @property
    def index_path(self) -> str:
        """Return the path of git's index, which may be a symbolic link."""
        return os.path.realpath(os.path.join(self.git_directory, "index"))

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the settings that switch the filters off."""
        return tuple(f"filter.{name}.{what}" for name in self.filters for what in _NO_FILTER)

    def git(
        self,
        *arguments: str | bytes,
        stdin: bytes = b"",
        accept: tuple[int, ...] = (0,),
        index: str | None = None,
        settings: tuple[str, ...] = (),
    ) -> bytes:
        """Run git at the top of the work tree, with another *index* file where one is given."""
        environment = {} if index is None else {"GIT_INDEX_FILE": index}
        return git(
            *arguments,
            folder=self.root,
            stdin=stdin,
            accept=accept,
            settings=(*self.settings, *settings),
            environment=environment,
        )

    def entries(self) -> dict[str, Entry]:
        """Return what the index has, by path. A path in conflict is there with its last side."""
        entries = {}
        for record in self.git("ls-files", "--stage", "-v", "-z").split(b"\0")[:-1]:
            facts, _, path = record.partition(b"\t")
            tag, mode, blob, _ = facts.split(b" ")
            entries[os.fsdecode(path)] = Entry(int(mode, 8), blob.decode(), tag.decode())
        return entries

    def blobs(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Return the contents of *names* that the repository has, by path."""
        requests = "".join(f"{name}\n" for name in names.values()).encode("utf-8", "surrogateescape")
        answer = self.git("cat-file", "--batch", stdin=requests) if names else b""
        contents, at = {}, 0
        for path in names:
            end = answer.index(b"\n", at)
            facts = _BLOB.fullmatch(answer, at, end)
            at = end + 1
            if facts:  # any other line repeats the name and reports an error
                size = int(facts[2])
                if facts[1] == b"blob":
                    contents[path] = answer[at : at + size]
                at += size + 1
        return contents

    def changed(self, *, index: str | None = None, settings: tuple[str, ...] = ()) -> set[str]:
        """Return the tracked paths that differ from the last commit, staged or not."""
        arguments = (
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=no",
            "--no-renames",
            "--ignore-submodules=all",
        )
        records = self.git(*arguments, index=index, settings=settings).split(b"\0")[:-1]
        return {os.fsdecode(record[3:]) for record in records}

    def attributes(self, paths: Iterable[str], *names: str) -> dict[str, dict[str, str]]:
        """Return the gitattributes called *names* of each path: "set", "unset", "unspecified" or a value."""
        stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
        values: dict[str, dict[str, str]] = {}
        if stdin:
            fields = iter(self.git("check-attr", "-z", "--stdin", *names, stdin=stdin).split(b"\0")[:-1])
            for path, name, value in zip(fields, fields, fields, strict=True):
                values.setdefault(os.fsdecode(path), {})[name.decode()] = os.fsdecode(value)
        return values

    def filtered(self, paths: list[str]) -> set[str]:
        """Return those of *paths* that one of the filters would rewrite."""
        if not self.filters:
            return set()
        return {path for path, values in self.attributes(paths, "filter").items() if values["filter"] in self.filters}


def _read_git(path: str | os.PathLike[str]) -> list[str]:
    """Return what ``git rev-parse`` reports of *path*.

    A folder's name may hold line feeds, so an unknown option, which git prints unchanged, is put between
    the answers.
    """
    between = f"--{os.urandom(16).hex()}"
    questions = ("--is-inside-work-tree", "--show-toplevel", "--absolute-git-dir", "--git-path")
    arguments = [word for question in questions for word in (question, between)]
    answer = git("rev-parse", *arguments[:-1], "objects", folder=path)
    return [os.fsdecode(part) for part in answer.removesuffix(b"\n").split(f"\n{between}\n".encode())]


def _configuration(root: str) -> dict[str, str]:
    listed = git("config", "-z", "--get-regexp", _SETTINGS, folder=root, accept=(0, 1))
    entries = (os.fsdecode(entry).partition("\n") for entry in listed.split(b"\0")[:-1])
    return {name: value for name, _, value in entries}
