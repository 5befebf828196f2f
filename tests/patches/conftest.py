"""A real git repository that writes the diffs, and other trees to hold against ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.checkouts import RepositoryCopies, init

DATA = Path(__file__).parent / "data"

# An entry of a tree: content, a symbolic link ("-> target"), or content and mode.
Entry: TypeAlias = bytes | str | tuple[bytes, int]
Tree: TypeAlias = Mapping[str, Entry]

WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "A", "EMAIL": "a@example.com", "DATE": "2026-01-02T03:04:05Z"}.items()
}


class Repository:
    """A repository in a folder, with git at its side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *arguments: str, stdin: bytes = b"", accept: tuple[int, ...] = (0,)) -> bytes:
        """Run git and return what it wrote."""
        done = subprocess.run(
            ["git", *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=os.environ | WHO,
            check=False,
            timeout=240,
        )
        assert done.returncode in accept, (arguments, done.stderr)
        return done.stdout

    def write(self, tree: Tree) -> None:
        """Make the work tree exactly *tree*."""
        for path in self.folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.put(tree)

    def put(self, tree: Tree) -> None:
        """Write what *tree* has, and leave the rest."""
        for name, entry in tree.items():
            path = os.path.join(os.fsencode(self.folder), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(entry, str):
                os.symlink(entry.removeprefix("-> "), path)
                continue
            content, mode = entry if isinstance(entry, tuple) else (entry, 0o644)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode)

    def commit(self, tree: Tree | None = None, message: str = "commit") -> str:
        """Commit *tree* (or what is there) and return the commit."""
        if tree is not None:
            self.write(tree)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD").decode().strip()

    def diff(self, before: Tree, after: Tree, *options: str) -> bytes:
        """Return git's diff of two trees."""
        old, new = self.commit(before), self.commit(after)
        return self.git("diff", *options, old, new)

    def tree(self) -> dict[str, tuple[str, bytes]]:
        """Return the work tree: kind and content of every path."""
        contents = {}
        for folder, folders, files in os.walk(os.fsencode(self.folder)):
            if b".git" in folders:
                folders.remove(b".git")
            for name in [*files, *(each for each in folders if os.path.islink(os.path.join(folder, each)))]:
                path = os.path.join(folder, name)
                shown = os.fsdecode(os.path.relpath(path, os.fsencode(self.folder)))
                contents[shown] = look(path)
        return contents


def look(path: bytes) -> tuple[str, bytes]:
    """Return kind and content of the file at *path*."""
    if os.path.islink(path):
        return "link", os.readlink(path)
    with open(path, "rb") as file:
        return "program" if os.stat(path).st_mode & 0o100 else "file", file.read()


def make_repository(folder: Path) -> Repository:
    """Start an empty repository in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    init(folder)
    return Repository(folder)


@pytest.fixture
def repository(tmp_path: Path, repositories: RepositoryCopies) -> Repository:
    """Start an empty repository."""
    return Repository(repositories.copy(init, tmp_path / "repository"))


@pytest.fixture
def site(tmp_path: Path, repositories: RepositoryCopies) -> Repository:
    """Clone the small web site that `dark_mode.patch` was made for."""
    return Repository(repositories.copy(clone_site, tmp_path / "site"))


def clone_site(folder: Path) -> None:
    """Clone the web site into an empty folder."""
    subprocess.run(["git", "clone", "--quiet", str(DATA / "site.bundle"), str(folder)], check=True, timeout=240)


@pytest.fixture
def dark_mode() -> bytes:
    """Return a patch with a bit of everything, made for `site`."""
    return (DATA / "dark_mode.patch").read_bytes()
