"""A git directory and an index of our own, made after the agent has ended, that take the agent's tree.

Invariants:
- the git directory did not exist while the agent ran, so no hook, configuration, replacement, graft or attributes file
  of the agent's is in it;
- a path that git refuses loses no other path: the paths are tried in halves until the refused ones are alone, and each
  of those is taken byte for byte or named in `left_out`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .._workspaces.git import WorkspaceError, last_line
from .._workspaces.workspace import Workspace
from .tree_walk import read_regular

SUBMODULE = "160000"
NAME_REFUSED = "git does not take this name"
# A file larger than this is not for a diff.
MAX_CONTENT = 32 * 1024 * 1024
# An index larger than this (some two million files) is not read.
MAX_INDEX = 256 * 1024 * 1024


class Entry(NamedTuple):
    """What an index holds for a path; mode "0" takes the path out.

    `is_skipped` means that the path is not in the tree on purpose (git-sparse-checkout(1), git-update-index(1)).
    """

    mode: str
    id: str
    is_skipped: bool = False


class ResultIndex:
    """The index of the agent's result, in the folder *folder*; it begins as the commit the agent's diff starts from."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self._git = workspace.git
        self._work = workspace.work
        self._git_dir = folder / "collect.git"
        self._here: tuple[str | Path, ...] = ("--git-dir", self._git_dir)
        self._inside = (*self._here, "--work-tree", workspace.work, "-C", workspace.work)
        self._environ = {"GIT_INDEX_FILE": str(folder / "result-index")}
        self.left_out: dict[bytes, str] = {}
        self.remarks: dict[bytes, str] = {}
        self._make_git_dir(workspace)
        self.start = workspace.start
        self._git.run(*self._here, "read-tree", self.start, environ=self._environ)
        self.base: Mapping[bytes, Entry] = dict(self._entries(self._environ))

    def _make_git_dir(self, workspace: Workspace) -> None:
        for name in ("objects/info", "refs/heads", "info"):
            (self._git_dir / name).mkdir(parents=True)
        (self._git_dir / "HEAD").write_text("ref: refs/heads/none\n")
        (self._git_dir / "config").write_bytes(workspace.config)
        if workspace.shallow:
            (self._git_dir / "shallow").write_bytes(workspace.shallow)
        (self._git_dir / "objects/info/alternates").write_bytes(os.fsencode(workspace.base / "objects") + b"\n")

    def run(self, *arguments: str, input: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """Run a git command on the index, without the tree, and return what it prints. Raises `WorkspaceError`."""
        return self._git.run(*self._here, *arguments, input=input, environ={**self._environ, **(environ or {})}).stdout

    def read_capped(self, *arguments: str, limit: int) -> bytes | None:
        """Return what a git command prints, None if that is more than *limit* bytes."""
        return self._git.read_capped(*self._here, *arguments, limit=limit, environ=self._environ)

    def write_attributes(self, lines: bytes) -> None:
        """Set the attributes that `diff` uses; the tree's own are not used without the tree."""
        (self._git_dir / "info/attributes").write_bytes(lines)

    def _entries(self, environ: Mapping[str, str]) -> Iterable[tuple[bytes, Entry]]:
        listed = self._git.run(*self._here, "ls-files", "-t", "--stage", "-z", environ=environ).stdout
        for line in filter(None, listed.split(b"\0")):
            head, _, path = line.partition(b"\t")
            tag, mode, id, _ = head.decode().split(" ")
            yield path, Entry(mode, id, is_skipped=tag == "S")

    def agent_entries(self, git_dir: Path, objects: Mapping[str, str]) -> Mapping[bytes, Entry]:
        """Return what the agent's own index holds. Raises `WorkspaceError` where git cannot read it."""
        content = read_regular(git_dir, b"index", limit=MAX_INDEX + 1)
        if content is None:
            return {}
        if len(content) > MAX_INDEX:
            raise WorkspaceError("index_too_large", f"its index is larger than {MAX_INDEX // 2**20} MiB")
        copy = self._git_dir / "agent-index"
        copy.write_bytes(content)
        for name in os.listdir(os.fsencode(git_dir)):  # git-update-index(1): --split-index
            if name.startswith(b"sharedindex."):
                shared = read_regular(git_dir, name, limit=MAX_INDEX)
                (self._git_dir / os.fsdecode(name)).write_bytes(shared or b"")
        return dict(self._entries({"GIT_INDEX_FILE": str(copy), **objects}))

    def copy_objects(self, ids: Iterable[str], objects: Mapping[str, str]) -> set[str]:
        """Copy files of the agent's objects into ours; return the ids of those that could be copied."""
        copied = set[str]()
        for id in dict.fromkeys(ids):
            try:
                if int(self.run("cat-file", "-s", id, environ=objects)) <= MAX_CONTENT:
                    content = self.run("cat-file", "blob", id, environ=objects)
                    self.run("hash-object", "-w", "--stdin", input=content)
                    copied.add(id)
            except WorkspaceError:
                continue
        return copied

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Set entries without reading the tree; a path that git passes over (``GIT~1``) is named in `left_out`."""
        if not entries:
            return
        lines = b"".join(f"{mode} {id}\t".encode() + path + b"\0" for path, (mode, id, _) in entries.items())
        update = ("update-index", "--replace", "-z", "--index-info")
        stderr = self._git.run(*self._here, *update, input=lines, environ=self._environ).stderr
        for path in entries if stderr else ():
            if b"Ignoring path " + path + b"\n" in stderr:
                self.left_out[path] = NAME_REFUSED

    def check_out(self, paths: Iterable[bytes]) -> None:
        """Write what the start has to these paths in the tree: rules in a ``.gitattributes`` hold for other files."""
        input = b"".join(path + b"\0" for path in paths if path in self.base)
        if input:
            self._git.run(*self._inside, "checkout-index", "-f", "-z", "--stdin", input=input, environ=self._environ)

    def exclude(self, paths: Iterable[bytes]) -> None:
        """Let git ignore these paths, also as folders; a line break in a name cannot be written (gitignore(5))."""
        lines = (b"/" + ignore_pattern(path) + b"\n" for path in paths if b"\n" not in path)
        (self._git_dir / "info/exclude").write_bytes(b"".join(lines))

    def restore(self, paths: Iterable[bytes]) -> None:
        """Set paths, and what is below them, to what the start has, so that no difference is left."""
        paths = set(paths)
        below = [path for path in self.base if any(path[:end] in paths for end in slashes(path))] if paths else []
        self.put(dict.fromkeys(paths - self.base.keys(), Entry("0", "0" * len(self.start))))
        self.put({path: self.base[path] for path in (*below, *paths) if path in self.base})

    def add_everything(self) -> None:
        """Take everything that git does not ignore."""
        done = self._git.run(*self._inside, "add", "--all", ".", environ=self._environ, check=False)
        if done.returncode:
            self.add(self._candidates())

    def _candidates(self) -> list[bytes]:
        """Return the paths that may differ: files that are new, and every file that was there."""
        command = ("ls-files", "-z", "--others", "--exclude-standard")
        new = self._git.run(*self._inside, *command, environ=self._environ).stdout.split(b"\0")
        known = [path for path, entry in self.base.items() if entry.mode != SUBMODULE]
        return [path for path in (*known, *new) if path]

    def add(self, paths: Sequence[bytes]) -> None:
        """Take these paths as the tree has them, ignored or not; paths that are gone are taken out."""
        waiting = [paths] if paths else []
        while waiting:
            chunk = waiting.pop()
            problem = self._update(chunk)
            if problem and len(chunk) == 1:
                self._take_bytes(chunk[0], problem)
            elif problem:
                middle = len(chunk) // 2
                waiting += [chunk[middle:], chunk[:middle]]
        self._note_ignored(paths)

    def _note_ignored(self, paths: Iterable[bytes]) -> None:
        """Note the paths that git passed over with status 0: those that it takes for a ``.git`` folder (``git~1``)."""
        taken = {path for path, _ in self._entries(self._environ)}
        work = os.fsencode(self._work)
        for path in paths:
            if path not in taken and path not in self.left_out and is_content(os.path.join(work, path)):
                self.left_out[path] = NAME_REFUSED

    def _update(self, paths: Sequence[bytes]) -> str:
        """Return why git refused one of these paths, "" if it took all of them; otherwise it takes none."""
        update = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
        input = b"\0".join(paths) + b"\0"
        done = self._git.run(*self._inside, *update, input=input, environ=self._environ, check=False)
        return "" if not done.returncode else last_line(done.stderr.decode("utf-8", "replace")) or "git failed"

    def _take_bytes(self, path: bytes, problem: str) -> None:
        """Take a file that git cannot convert (gitattributes(5): working-tree-encoding) as it is."""
        where = os.path.join(os.fsencode(self._work), path)
        content = read_regular(self._work, path, limit=-1)
        if content is None:
            self.left_out[path] = problem
            return
        try:
            id = self.run("hash-object", "-w", "--stdin", input=content).decode().strip()
            mode = "100755" if os.lstat(where).st_mode & 0o100 else "100644"
            self.put({path: Entry(mode, id)})
        except WorkspaceError:
            self.left_out[path] = problem
        else:
            self.remarks[path] = f"taken byte for byte, because git cannot convert it: {problem}"

    def ignored(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return those of *paths* that the tree's own rules ignore."""
        check = ("check-ignore", "-z", "--stdin")
        input = b"".join(path + b"\0" for path in paths)
        done = self._git.run(*self._inside, *check, input=input, environ=self._environ, check=False)
        return set(done.stdout.split(b"\0")) if done.returncode in (0, 1) else set()


def ignore_pattern(path: bytes) -> bytes:
    """Return a path as the inside of a pattern of gitignore(5) that means this path alone."""
    return re.sub(rb"[\\*?\[ !#]", rb"\\\g<0>", path)


def slashes(path: bytes) -> Iterator[int]:
    """Return where the slashes of a path are."""
    return (index for index, code in enumerate(path) if code == ord("/"))


def is_content(path: bytes) -> bool:
    """Whether there is a regular file or a link."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
