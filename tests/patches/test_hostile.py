"""Patches that try to leave the tree: with any policy, also without verification, nothing outside changes."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from tests.checkouts import RepositoryCopies

from coatcheck._patches.parse import Patch
from coatcheck._patches.policy import ALWAYS, RULES, Policy
from coatcheck._patches.verify import VerifiedPatch
from coatcheck.errors import CoatcheckError, PatchError

from .conftest import Repository, look, make_repository

if TYPE_CHECKING:
    from pathlib import Path

LOOSEST = Policy(ignore=RULES.keys() - ALWAYS)

ADD = "new file mode 100644\n--- /dev/null\n+++ {new}\n@@ -0,0 +1 @@\n+owned\n"
LINK = "diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"


def add(path: str, *, prefix: tuple[str, str] = ("a/", "b/")) -> str:
    """Return the diff that adds a file at *path*, spelled as it is."""
    return f"diff --git {prefix[0]}{path} {prefix[1]}{path}\n" + ADD.format(new=prefix[1] + path)


def link(path: str, target: str) -> str:
    """Return the diff that adds a symbolic link."""
    return LINK.format(path=path, target=target)


EDIT = "diff --git {old} {new}\n--- {old}\n+++ {new}\n@@ -1 +1 @@\n-secret\n+owned\n"
MOVE = "diff --git a/{old} b/{new}\nsimilarity index 100%\n{word} from {old}\n{word} to {new}\n"

CORPUS = {
    "up": add("../victim"),
    "up, from below": add("src/../../victim"),
    "up, without a prefix": add("../victim", prefix=("", "")),
    "up, where the prefix was": add("../victim", prefix=("../", "../")),
    "up, quoted": 'diff --git "a/..\\057victim" "b/..\\057victim"\n' + ADD.format(new='"b/..\\057victim"'),
    "absolute": add("{outside}/victim"),
    "absolute, without a prefix": add("{outside}/victim", prefix=("", "")),
    "absolute, after a double slash": add("/{outside}/victim"),
    "absolute, plain": "--- /dev/null\n+++ {outside}/victim\n@@ -0,0 +1 @@\n+owned\n",
    "edit up": EDIT.format(old="a/../victim", new="b/../victim"),
    "edit up, plain": "--- ../victim\n+++ ../victim\n@@ -1 +1 @@\n-secret\n+owned\n",
    "move in from outside": MOVE.format(old="../victim", new="mine", word="rename"),
    "copy in from outside": MOVE.format(old="../victim", new="mine", word="copy"),
    "move out": MOVE.format(old="README", new="../victim", word="rename"),
    "names that disagree": "diff --git a/README b/README\n" + ADD.format(new="b/../victim"),
    "rename that disagrees": "diff --git a/README b/README\nrename from README\nrename to ../victim\n--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+owned\n",
    "a name cut by a tab": "diff --git a/README b/README\n--- a/README\n+++ b/../victim\tREADME\n@@ -1 +1 @@\n-read me\n+owned\n",
    "hook": add(".git/hooks/post-checkout"),
    "hook, in capitals": add(".GIT/hooks/post-checkout"),
    "hook, through a module": add("sub/.git/hooks/post-checkout"),
    "config": EDIT.format(old="a/.git/config", new="b/.git/config"),
    "config, in plain": "--- .git/config\n+++ .git/config\n@@ -1 +1 @@\n-[core]\n+[evil]\n",
    "git directory as a link": link(".git", "../outside"),
    "journal": add(".git/coatcheck/last/journal.json"),
    "link and through": link("way", "../outside") + add("way/victim"),
    "link to the parent and through": link("way", "..") + add("way/outside/victim"),
    "link inside a folder": link("src/way", "../../outside") + add("src/way/victim"),
    "absolute link and through": link("way", "{outside}") + add("way/victim"),
    "link to a link": link("one", "two") + link("two", "../outside") + add("one/victim"),
    "link in several lines": "diff --git a/way b/way\nnew file mode 120000\n--- /dev/null\n+++ b/way\n@@ -0,0 +1,2 @@\n+src\n+/../../outside\n\\ No newline at end of file\n",
    "link that replaces a folder": "diff --git a/src/main b/src/main\ndeleted file mode 100644\n--- a/src/main\n+++ /dev/null\n@@ -1 +0,0 @@\n-main\n" + link("src", "../outside") + add("src/victim"),
    "link that was there": add("escape/victim"),
    "link that was there, edited through": EDIT.format(old="a/escape/victim", new="b/escape/victim"),
    "link that was there, moved": MOVE.format(old="inner/up", new="up", word="rename") + add("up/victim"),
    "link that was there, deleted through": "diff --git a/escape/victim b/escape/victim\ndeleted file mode 100644\n--- a/escape/victim\n+++ /dev/null\n@@ -1 +0,0 @@\n-secret\n",
    "file that turns into a link": "diff --git a/README b/README\nold mode 100644\nnew mode 120000\n--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+../outside\n\\ No newline at end of file\n" + add("README/victim"),
    "second file behind a quoted hunk": "diff --git a/README b/README\n--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+owned\n--- /dev/null\n+++ ../victim\n@@ -0,0 +1 @@\n+owned\n",
    "carriage returns": add("../victim").replace("\n", "\r\n"),
    "mail": "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nSubject: x\n\n---\n" + add("../victim"),
}  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path, repositories: RepositoryCopies) -> tuple[Repository, Path]:
    """Return a repository with links out of it, and the folder of the victim beside it."""
    repositories.copy(make_scene, tmp_path)
    return Repository(tmp_path / "tree"), tmp_path / "outside"


def make_scene(parent: Path) -> None:
    """Commit links to a folder beside the repository."""
    outside = parent / "outside"
    outside.mkdir()
    for folder in (outside, parent):
        (folder / "victim").write_text("secret\n")
    make_repository(parent / "tree").commit(
        {
            "README": b"read me\n",
            "src/main": b"main\n",
            "escape": "-> ../outside",
            "inner/up": "-> ../src",
            "sub/x": b"x\n",
        }
    )


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file around and in the git directory, but not the work tree, nor what git and we keep for ourselves."""
    contents = {}
    for where, folders, files in os.walk(folder):
        if os.path.basename(where) == "coatcheck":
            folders.clear()
            continue
        for name in files:
            path = os.path.join(where, name)
            if "/tree/" not in path or "/tree/.git/" in path:
                contents[path] = look(os.fsencode(path))[1]
    return contents


@pytest.mark.parametrize("name", CORPUS)
def test_nothing_outside_changes(name: str, scene: tuple[Repository, Path]) -> None:
    """Verification refuses it or it stays inside; without verification it stays inside as well."""
    repository, outside = scene
    patch = Patch(CORPUS[name].replace("{outside}", str(outside)).encode())
    for attempt in (
        lambda: patch.verify(policy=LOOSEST).apply(repository.folder, partial=True),
        lambda: patch.verify(base=repository.folder, policy=LOOSEST).apply(
            repository.folder, index=True, markers=True, partial=True
        ),
        lambda: VerifiedPatch(patch.files, (), LOOSEST).apply(repository.folder, partial=True),
        lambda: VerifiedPatch(patch.files, (), LOOSEST).commit(repository.folder, branch="b", message="m"),
    ):
        before = everything(outside.parent)
        with contextlib.suppress(CoatcheckError):
            attempt()
        after = everything(outside.parent)
        repository.git("reset", "--quiet", "--hard")
        repository.git("clean", "-fdxq")

        assert set() == {
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        } - allowed(repository)


def allowed(repository: Repository) -> set[str]:
    """Return what of the git directory may change: the index, and the requested branch."""
    files = {str(repository.folder / ".git" / name) for name in ("index", "refs/heads/b", "logs/refs/heads/b")}
    return files | {str(path) for path in (repository.folder / ".git/objects").rglob("*")}


@pytest.mark.parametrize("name", ["up", "hook", "absolute", "link and through", "link that was there", "journal"])
def test_the_plain_ones_are_refused_by_name(name: str, scene: tuple[Repository, Path]) -> None:
    """A path that clearly leaves the tree is refused by its rule."""
    repository, outside = scene
    patch = Patch(CORPUS[name].replace("{outside}", str(outside)).encode())
    with pytest.raises(CoatcheckError) as caught:
        patch.verify(base=repository.folder, policy=LOOSEST)

    assert {finding.rule for finding in getattr(caught.value, "reasons", ())} <= ALWAYS


def test_a_path_longer_than_any_system_takes_is_refused() -> None:
    """A path of 100,000 folders is an error with its line, not minutes of work."""
    diff = "prose\n" + add("d/" * 100_000 + "f")
    with pytest.raises(PatchError) as caught:
        Patch.parse(diff).verify()

    assert 2 == caught.value.line
