"""Git repositories for tests: each kind is made once in a process, and copied for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder* with an author."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=240)
    return done.stdout.decode()


def init(folder: Path, branch: str = "main") -> None:
    """Start a repository in *folder*, without the samples of hooks that are slow to copy."""
    git(folder, "init", "--quiet", "--template=", f"--initial-branch={branch}")
    (folder / ".git" / "info").mkdir()


def mark(folder: Path) -> None:
    """Make *folder* a checkout for all that does not start git."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").touch()


def make_checkout(folder: Path, branch: str = "main") -> None:
    """Commit the file that the diff of the scripted cloud fits, without remotes."""
    init(folder, branch)
    (folder / "hello.txt").write_text("hello\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")


class RepositoryCopies:
    """Copies of repositories; the function that fills a folder is called once."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        @cache
        def template(make: Callable[[Path], object]) -> Path:
            folder = tmp_path_factory.mktemp("template")
            make(folder)
            return folder

        self._template = template

    def copy(self, make: Callable[[Path], object], folder: Path) -> Path:
        """Copy the folder that *make* fills to *folder*, which may exist."""
        shutil.copytree(self._template(make), folder, symlinks=True, dirs_exist_ok=True)
        return folder
