from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches import git_index, work_tree
from coatcheck._patches.checkout import Checkout
from coatcheck._patches.parse import Patch
from coatcheck._patches.undo_journal import undo
from coatcheck.errors import PatchConflictError

from .conftest import Repository, make_repository

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))
FOUR = TEN.replace(b"line 4\n", b"line four\n")
WIDE = "\n".join(map(str, range(10))).encode("utf-16")

Setup = tuple[tuple[str, ...], ...]

CASES: dict[str, tuple[Tree, Tree, Setup]] = {
    "plain": ({"x": TEN, "y": TEN}, {"x": FOUR, "z": b"1\n"}, ()),
    "moved": ({"x": TEN, "y": TEN}, {"d/x": FOUR, "y": TEN}, ()),
    "without modes": (
        {"x": TEN, "y": (TEN, 0o755)},
        {"x": (TEN, 0o755), "y": TEN, "z": (b"1\n", 0o755)},
        (("config", "core.fileMode", "false"),),
    ),
    "without modes, moved": ({"x": TEN}, {"y": (FOUR, 0o755)}, (("config", "core.fileMode", "false"),)),
    "without links": ({"x": TEN}, {"x": TEN, "l": "-> x"}, (("config", "core.symlinks", "false"),)),
    "a link for a file": ({"x": TEN, "y": TEN}, {"x": TEN, "y": "-> x"}, ()),
    "a changed link": ({"x": TEN, "y": TEN, "l": "-> x"}, {"x": TEN, "y": TEN, "l": "-> y"}, ()),
    "skip-worktree": ({"x": TEN}, {"x": FOUR}, (("update-index", "--skip-worktree", "x"),)),
    "skip-worktree, deleted": ({"x": TEN, "y": TEN}, {"y": FOUR}, (("update-index", "--skip-worktree", "x"),)),
    "sparse": ({"x": TEN, "d/y": TEN}, {"x": FOUR, "d/y": FOUR}, (("sparse-checkout", "set", "--no-cone", "/x"),)),
    "sparse, in cones": (
        {"x": TEN, "d/y": TEN, "e/z": TEN},
        {"x": FOUR, "d/y": TEN, "e/z": TEN, "n/x": b"1\n"},
        (("sparse-checkout", "set", "--cone", "--sparse-index", "e"),),
    ),
    "assume-unchanged": ({"x": TEN}, {"x": FOUR}, (("update-index", "--assume-unchanged", "x"),)),
    "a new encoding": (
        {"x.txt": TEN},
        {
            "x.txt": FOUR.decode().encode("utf-16"),
            ".gitattributes": b"*.txt working-tree-encoding=UTF-16\n",
            "new.txt": "1\n".encode("utf-16"),
        },
        (),
    ),
    "an encoding": (
        {"x.txt": WIDE, ".gitattributes": b"*.txt working-tree-encoding=UTF-16\n"},
        {"x.txt": WIDE + "\nmore\n".encode("utf-16")[2:], ".gitattributes": b"*.txt working-tree-encoding=UTF-16\n"},
        (),
    ),
    "carriage returns": (
        {"x": TEN.replace(b"\n", b"\r\n"), ".gitattributes": b"x text eol=crlf\nd/* text eol=crlf\n"},
        {"x": FOUR.replace(b"\n", b"\r\n"), ".gitattributes": b"x text eol=crlf\nd/* text eol=crlf\n", "d/y": b"1\r\n"},
        (),
    ),
    "autocrlf": ({"x": TEN}, {"x": FOUR, "y": b"1\n"}, (("config", "core.autocrlf", "true"),)),
    "ident": (
        {"x": b"$Id$\n" + TEN, ".gitattributes": b"* ident\n"},
        {"x": b"$Id$\n" + FOUR, ".gitattributes": b"* ident\n"},
        (("rm", "-q", "--cached", "x"), ("reset", "-q", "--hard")),
    ),
    "split index": ({"x": TEN, "y": TEN}, {"x": FOUR, "z": b"1\n"}, (("update-index", "--split-index"),)),
    "split index, always": (
        {"x": TEN, "y": TEN},
        {"x": FOUR, "z": b"1\n"},
        (("config", "core.splitIndex", "true"), ("update-index", "--split-index")),
    ),
    "version 4": ({"x": TEN, "y": TEN}, {"x": FOUR, "z": b"1\n"}, (("update-index", "--index-version", "4"),)),
    "binary": ({"x": b"\0" + TEN}, {"x": b"\0" + FOUR, "y": b"\0\1"}, ()),
    "a file for a folder": ({"x/y": TEN, "x/z": TEN}, {"x": b"1\n"}, ()),
}


def prepare(repository: Repository, before: Tree, after: Tree, setup: Setup) -> tuple[bytes, Repository]:
    """Go from *after* back to *before*; return the patch, and a copy that is set up in the same way."""
    patch = repository.diff(before, after, "--binary", "-M")
    folder = repository.folder.with_name("git")
    shutil.copytree(repository.folder, folder, symlinks=True)
    for each in (repository, Repository(folder)):
        each.git("reset", "--quiet", "--hard", "HEAD~1")
        for arguments in setup:
            each.git(*arguments)
    return patch, Repository(folder)


@pytest.mark.parametrize("name", CASES)
def test_the_index_is_what_git_makes_of_it(name: str, repository: Repository) -> None:
    """Files and index are those of ``git apply --index``, with any setting of modes, links and encodings."""
    patch, copy = prepare(repository, *CASES[name])
    copy.git("apply", "--index", stdin=patch)
    Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)

    assert (copy.git("ls-files", "--stage", "-v"), copy.tree(), copy.git("status", "--porcelain")) == (
        repository.git("ls-files", "--stage", "-v"),
        repository.tree(),
        repository.git("status", "--porcelain"),
    )


@pytest.mark.parametrize("name", CASES)
def test_undo_gives_the_index_back(name: str, repository: Repository) -> None:
    """After undo the index has its entries again, skip-worktree and assume-unchanged included."""
    patch, _ = prepare(repository, *CASES[name])
    before = repository.git("ls-files", "--stage", "-v"), repository.tree()
    Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)
    undo(repository.folder)

    assert before == (repository.git("ls-files", "--stage", "-v"), repository.tree())


def test_a_linked_work_tree_has_an_index_of_its_own(repository: Repository, tmp_path: Path) -> None:
    """In a linked work tree, its own index is locked and changed."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("worktree", "add", "--quiet", str(tmp_path / "linked"), "HEAD~1")
    linked = Repository(tmp_path / "linked")
    before = repository.git("ls-files", "--stage")
    (repository.folder / ".git/index.lock").touch()
    Patch(patch).verify(base=linked.folder).apply(linked.folder, index=True)

    assert (b"M  x\n", before) == (linked.git("status", "--porcelain"), repository.git("ls-files", "--stage"))


def test_other_entries_stay_as_they_are(repository: Repository) -> None:
    """What is staged, to be added later, or in no sparse cone stays so when other files are patched."""
    patch = repository.diff({"x": TEN, "y": TEN, "z": TEN}, {"x": FOUR, "y": TEN, "z": TEN})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.put({"later": b"1\n", "z": b"mine\n"})
    repository.git("add", "--intent-to-add", "later")
    repository.git("add", "z")
    repository.git("update-index", "--skip-worktree", "y")
    Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)
    status, flags = repository.git("status", "--porcelain"), repository.git("ls-files", "-v")

    assert (b" A later\nM  x\nM  z\n", b"H later\nH x\nS y\nH z\n") == (status, flags)


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
@pytest.mark.parametrize("index", [False, True])
def test_work_that_git_status_does_not_show_is_kept(flag: str, index: bool, repository: Repository) -> None:
    """An edited file that git is configured to ignore is skipped, as by git."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("update-index", flag, "x")
    repository.put({"x": b"mine\n" + TEN})
    done = Patch(patch).verify().apply(repository.folder, index=index, partial=True)

    assert ("dirty", b"mine\n" + TEN) == (done.files[0].kind, repository.tree()["x"][1])


def test_a_merged_file_is_staged_and_a_conflict_is_recorded(repository: Repository) -> None:
    """A merged file is in the index as merged, and one with markers in its three versions, as git records them."""
    base = {"x": TEN, "y": TEN}
    patch = repository.diff(base, {"x": FOUR, "y": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.commit({"x": TEN.replace(b"line 2\n", b"two\n"), "y": TEN.replace(b"line 4\n", b"IV\n")})
    before = repository.git("ls-files", "--stage")
    done = Patch(patch).verify().apply(repository.folder, index=True, markers=True, partial=True)
    status = repository.git("status", "--porcelain")
    staged = repository.git("show", ":x"), repository.git("show", ":1:y"), repository.git("show", ":3:y")
    undo(repository.folder)

    assert (("x",), b"M  x\nUU y\n", (FOUR.replace(b"line 2\n", b"two\n"), TEN, FOUR), before) == (
        done.staged,
        status,
        staged,
        repository.git("ls-files", "--stage"),
    )


def test_a_locked_index_stops_everything(repository: Repository) -> None:
    """While another git holds the index nothing is applied, staged or undone; afterwards everything works."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    resolve_snapshot = Patch(patch).verify(base=repository.folder)
    lock = repository.folder / ".git/index.lock"
    lock.touch()
    with pytest.raises(PatchConflictError, match="index is locked"):
        resolve_snapshot.apply(repository.folder, index=True)
    untouched = repository.tree()
    lock.unlink()
    resolve_snapshot.apply(repository.folder, index=True)
    lock.touch()
    with pytest.raises(PatchConflictError, match="index is locked"):
        undo(repository.folder)
    applied = repository.tree()
    lock.unlink()
    undo(repository.folder)

    assert [{"x": ("file", TEN)}, {"x": ("file", FOUR)}, {"x": ("file", TEN)}] == [
        untouched,
        applied,
        repository.tree(),
    ]


def test_a_locked_index_does_not_matter_to_files(repository: Repository) -> None:
    """Without *index* the lock of another git is not in the way."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    (repository.folder / ".git/index.lock").touch()
    Patch(patch).verify(base=repository.folder).apply(repository.folder)
    undo(repository.folder)

    assert (TEN, True) == (repository.tree()["x"][1], (repository.folder / ".git/index.lock").exists())


def test_the_lock_is_held_until_the_index_is_there(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """No git can change the index while files are moved, and no lock is left."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    put, locked = work_tree.Tree.put, []

    def looking(self: work_tree.Tree, source: str, path: str) -> None:
        locked.append((repository.folder / ".git/index.lock").exists())
        put(self, source, path)

    monkeypatch.setattr(work_tree.Tree, "put", looking)
    Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)

    assert [True, False] == [*locked, (repository.folder / ".git/index.lock").exists()]


@pytest.mark.parametrize("fails", ["refresh", "publish", "set"])
def test_a_failure_at_the_index_takes_the_files_back(
    fails: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the index refuses, files and index are as before, and nothing of ours is left."""
    patch = repository.diff({"x": TEN}, {"x": FOUR, "y": b"1\n"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    before = repository.tree(), repository.git("ls-files", "--stage")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(git_index.NewIndex, fails, full)
    with pytest.raises(PatchConflictError, match="No space left"):
        Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)
    left = [path.name for path in (repository.folder / ".git").iterdir() if path.name in ("coatcheck", "index.lock")]

    assert (*before, []) == (repository.tree(), repository.git("ls-files", "--stage"), left)


CRASH = """
import os, sys
from coatcheck._patches import git_index
from coatcheck._patches.parse import Patch
setattr(git_index.NewIndex, sys.argv[2], lambda *_: os.kill(os.getpid(), 9))
Patch(sys.stdin.buffer.read()).verify().apply(sys.argv[1], index=True)
"""


@pytest.mark.parametrize("moment", ["set", "refresh", "publish"])
def test_the_lock_of_a_crash_is_removed(moment: str, repository: Repository) -> None:
    """A killed application leaves its lock; the next application removes it, and undo restores files and index."""
    patch = repository.diff({"x": TEN}, {"x": FOUR, "y": b"1\n"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    before = repository.tree(), repository.git("ls-files", "--stage")
    arguments = [sys.executable, "-c", CRASH, str(repository.folder), moment]
    subprocess.run(arguments, input=patch, check=False, timeout=240)
    was_locked = (repository.folder / ".git/index.lock").exists()
    if moment != "set":
        undo(repository.folder)
    Patch(patch).verify().apply(repository.folder, index=True)
    undo(repository.folder)

    assert (True, *before) == (was_locked, repository.tree(), repository.git("ls-files", "--stage"))


def test_the_lock_of_another_program_is_not_ours_to_remove(repository: Repository) -> None:
    """A lock that is not the file we made stays, even after a crash of ours."""
    repository.commit({"x": TEN})
    place = Checkout.at(repository.folder)
    os.makedirs(place.folder)
    for path in (os.path.join(place.folder, "index.lock"), f"{place.index_path}.lock"):
        open(path, "wb").close()
    git_index.unlock(place)

    assert os.path.exists(f"{place.index_path}.lock")


def test_a_filtered_file_is_not_staged(repository: Repository) -> None:
    """A file that a program rewrites is left to git by name, in the files and in the index."""
    patch = repository.diff({"x": TEN, "y": TEN, ".gitattributes": b"x filter=f\n"}, {"x": FOUR, "y": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("config", "filter.f.clean", "tr a-z A-Z")
    chosen = Patch(patch).select(include=["x", "y"])
    done = chosen.verify().apply(repository.folder, index=True, partial=True)

    assert ([("x", "filter"), ("y", "")], ("y",), b"M  y\n") == (
        [(each.path, each.kind) for each in done.files],
        done.staged,
        repository.git("status", "--porcelain", "y"),
    )


@pytest.mark.parametrize("name", ["new\nline", "ends\n", "a:b", 'quo"te', "gr\udcfcn", " blank "])
def test_any_name_of_a_checkout_will_do(name: str, tmp_path: Path) -> None:
    """A checkout's folder may have line feeds, colons, quotes and bytes that are no text in its name."""
    repository = make_repository(tmp_path / name)
    patch = repository.diff({"x": TEN}, {"x": FOUR})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.commit({"x": TEN.replace(b"line 1\n", b"one\n")})
    Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)
    undo(repository.folder)
    Patch(patch).verify(base=repository.folder).apply(repository.folder)

    assert FOUR.replace(b"line 1\n", b"one\n") == repository.tree()["x"][1]


def test_what_is_there_but_not_staged_is_no_success(repository: Repository) -> None:
    """A file that an application without *index* changed is not staged by the next one, which reports it."""
    patch = repository.diff({"x": TEN}, {"x": FOUR, "y": b"1\n"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    resolve_snapshot = Patch(patch).verify(base=repository.folder)
    resolve_snapshot.apply(repository.folder)
    unstaged = resolve_snapshot.apply(repository.folder, index=True, partial=True)
    repository.git("add", "x", "y")
    staged = resolve_snapshot.apply(repository.folder, index=True)

    assert ({"unstaged"}, False, {"already"}, True) == (
        {each.kind for each in unstaged.files},
        unstaged.is_complete,
        {each.kind for each in staged.files},
        staged.is_complete,
    )
