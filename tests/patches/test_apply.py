from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches import undo_journal as journals, work_tree
from coatcheck._patches.git import GitError
from coatcheck._patches.parse import Patch
from coatcheck._patches.revisions import find_commit
from coatcheck._patches.undo_journal import undo
from coatcheck.errors import CoatcheckError, PatchConflictError

from .conftest import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from coatcheck._patches.apply import AppliedPatch

    from .conftest import Repository, Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))


def apply(repository: Repository, patch: bytes, **options: object) -> AppliedPatch:
    """Judge *patch* and apply what fits of it."""
    options = {"partial": True, **options}
    return Patch(patch).verify(base=repository.folder).apply(repository.folder, **options)  # type: ignore[arg-type]


def apply_unseen(repository: Repository, patch: bytes, **options: object) -> AppliedPatch:
    """Apply *patch* without asking whether it fits."""
    options = {"partial": True, **options}
    return Patch(patch).verify().apply(repository.folder, **options)  # type: ignore[arg-type]


def status(done: AppliedPatch) -> dict[str, tuple[str, str]]:
    """Return the status of each file."""
    return {each.path: (each.status, each.kind) for each in done.files}


def leftovers(repository: Repository) -> list[str]:
    """Return what of ours is in the git directory."""
    return sorted(path.name for path in (repository.folder / ".git").glob("coatcheck/*"))


def test_it_applies_what_git_applies(site: Repository, dark_mode: bytes) -> None:
    """A patch of every kind of change results in the same tree as git apply, and nothing is staged or left over."""
    site.git("apply", stdin=dark_mode)
    expected = site.tree()
    site.git("checkout", "--quiet", ".")
    site.git("clean", "-fdxq")
    done = apply(site, dark_mode)

    assert (expected, True, b"", (), ["applied"]) == (
        site.tree(),
        done.is_complete,
        site.git("diff", "--cached"),
        done.staged,
        [name for name in leftovers(site) if name != "lock"],
    )


def test_index_stages_it_too(site: Repository, dark_mode: bytes) -> None:
    """With *index* the work tree and the index agree, and undo restores both."""
    before, entries = site.tree(), site.git("ls-files", "--stage")
    done = apply(site, dark_mode, index=True)
    staged = site.git("diff", "--name-only").decode()
    undo(site.folder)

    assert ("", 12, before, entries, b"") == (
        staged,
        len(done.staged),
        site.tree(),
        site.git("ls-files", "--stage"),
        site.git("status", "--porcelain"),
    )


def test_check_changes_nothing(site: Repository, dark_mode: bytes) -> None:
    """A preview returns the result and writes nothing."""
    before = site.tree()
    done = apply(site, dark_mode, check=True)

    assert (before, True, True, []) == (site.tree(), done.is_check, done.is_complete, leftovers(site))


def test_files_can_be_chosen(site: Repository, dark_mode: bytes) -> None:
    """Only what is included and not excluded is applied."""
    done = apply(site, dark_mode, include=["src"], exclude=["*.js", "src/vendor"])

    assert ["src/crlf.txt", "src/css/site.css", "src/empty.txt", "src/trap.sql"] == [each.path for each in done.applied]


def test_undo_gives_everything_back(site: Repository, dark_mode: bytes) -> None:
    """After undo every file has its bytes, its mode and its time again, new folders are gone and so is the journal."""
    before, times = site.tree(), modified(site)
    apply(site, dark_mode + new("deep/er/x"))
    done = undo(site.folder)

    assert (before, times, (), [], False) == (
        site.tree(),
        modified(site),
        done.refused,
        leftovers(site),
        (site.folder / "deep").exists(),
    )


def modified(repository: Repository) -> dict[str, int]:
    """Return the time of change of every file."""
    return {path: os.lstat(repository.folder / path).st_mtime_ns for path in repository.tree()}


def new(path: str) -> bytes:
    """Return the diff that adds a file of one line."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode()
    )


def edit(path: str, old: str = "line 4", new: str = "line four") -> bytes:
    """Return the diff that changes one line of `TEN`."""
    body = (
        "".join(f" line {number}\n" for number in (1, 2, 3))
        + f"-{old}\n+{new}\n"
        + "".join(f" line {number}\n" for number in (5, 6, 7))
    )
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -2,7 +2,7 @@\n{body}".encode()


def test_undo_refuses_what_was_edited_since(repository: Repository) -> None:
    """A file that was edited since is named and not changed; the others are restored."""
    repository.commit({"x": TEN, "y": TEN})
    apply(repository, edit("x") + edit("y") + new("z"))
    repository.put({"x": b"more work\n"})
    done = undo(repository.folder)

    assert ((("y", "z"), ("x",)), {"x": ("file", b"more work\n"), "y": ("file", TEN)}) == (
        (done.restored, done.refused),
        repository.tree(),
    )


def test_undo_without_an_application(repository: Repository) -> None:
    """There must be something to undo; once is enough."""
    repository.commit({"x": TEN})
    apply(repository, edit("x"))
    undo(repository.folder)
    with pytest.raises(PatchConflictError, match="no application"):
        undo(repository.folder)


CRASH = """
import os, sys
from coatcheck._patches import work_tree
from coatcheck._patches.parse import Patch
count = 0
def crash(self, *arguments, then=None):
    global count
    count += 1
    if count > int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return then(self, *arguments)
for name in ("put", "remove"):
    setattr(work_tree.Tree, name, lambda self, *arguments, then=getattr(work_tree.Tree, name): crash(self, *arguments, then=then))
Patch(sys.stdin.buffer.read()).verify().apply(sys.argv[1])
"""


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_undo_after_a_crash_in_the_middle(steps: int, site: Repository, dark_mode: bytes) -> None:
    """Whenever the process is killed, undo restores the tree; until then nothing else is applied."""
    before = site.tree()
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, str(site.folder), str(steps)], input=dark_mode, check=False, timeout=240
    )
    with pytest.raises(PatchConflictError, match="interrupted"):
        apply(site, new("other"))
    undo(site.folder)

    assert (-9, before, []) == (killed.returncode, site.tree(), leftovers(site))


def test_what_is_there_already_is_no_conflict(site: Repository, dark_mode: bytes) -> None:
    """Applying twice changes nothing the second time, and is complete; a file that was edited since is still reported."""
    verified = Patch.parse(dark_mode).verify(base=site.folder)
    verified.apply(site.folder)
    before = site.tree()
    again = verified.apply(site.folder)
    is_unchanged = before == site.tree()
    edited = verified.changes[0].path
    site.put({edited: b"mine"})
    third = {each.path: each.kind for each in verified.apply(site.folder, partial=True).files}

    assert ({"already"}, True, True, "dirty", {"already"}) == (
        {each.kind for each in again.files},
        again.is_complete,
        is_unchanged,
        third.pop(edited),
        set(third.values()),
    )


def test_one_at_a_time(repository: Repository) -> None:
    """Only one application runs in a checkout at a time."""
    repository.commit({"x": TEN})
    place = journals.Checkout.at(repository.folder)
    with journals.exclusive(place), pytest.raises(PatchConflictError, match="another patch"):
        apply(repository, edit("x"))


@pytest.mark.parametrize(
    ("before", "after", "patch", "expected"),
    [
        ({"x": TEN, "y": TEN}, {"x": TEN + b"mine\n"}, edit("x") + edit("y"), {"x": ("skipped", "dirty"), "y": ("applied", "")}),
        ({"x": TEN}, {"z": b"mine\n"}, edit("x") + new("z"), {"x": ("applied", ""), "z": ("skipped", "untracked")}),
        ({"x": TEN}, {"y": b"in the way\n"}, edit("x") + new("y/z"), {"x": ("applied", ""), "y/z": ("skipped", "blocked")}),
        ({"x": TEN}, {"y/z": b"in the way\n"}, edit("x") + new("y"), {"x": ("applied", ""), "y": ("skipped", "blocked")}),
        ({"x": TEN, ".gitignore": b"z\n"}, {"z": b"ignored, and mine\n"}, new("z"), {"z": ("skipped", "untracked")}),
    ],
)  # fmt: skip
def test_work_in_progress_is_left_alone(
    before: Tree, after: Tree, patch: bytes, expected: dict[str, tuple[str, str]], repository: Repository
) -> None:
    """Only files with uncommitted changes are refused."""
    repository.commit(before)
    repository.put(after)
    mine = repository.tree()
    done = apply(repository, patch)
    now = repository.tree()
    kept = {path for path, (state, _) in expected.items() if state == "skipped"}

    assert expected == status(done)
    assert {path: mine.get(path) for path in kept} == {path: now.get(path) for path in kept}


def test_staged_work_is_work(repository: Repository) -> None:
    """A staged file that is not committed has uncommitted changes."""
    repository.commit({"x": TEN})
    repository.put({"x": TEN + b"mine\n"})
    repository.git("add", "x")
    done = apply(repository, edit("x"))

    assert {"x": ("skipped", "dirty")} == status(done)


def test_a_deleted_file_stays_deleted(repository: Repository) -> None:
    """A file that is gone from the work tree is not brought back."""
    repository.commit({"x": TEN, "y": TEN})
    (repository.folder / "x").unlink()
    done = apply(repository, edit("x") + edit("y"))

    assert {"x", "y"} == set(status(done))
    assert not (repository.folder / "x").exists()


def diverge(repository: Repository, base: Tree, theirs: Tree, ours: Tree) -> tuple[str, bytes]:
    """Commit *base*, let the patch go to *theirs* and the tree to *ours*; return the base and the patch."""
    patch = repository.diff(base, theirs, "-M")
    start = repository.git("rev-parse", "HEAD~1").decode().strip()
    repository.git("reset", "--quiet", "--hard", start)
    repository.commit(ours)
    return start, patch


FOUR = TEN.replace(b"line 4\n", b"line four\n")
FIVE = TEN.replace(b"line 5\n", b"line five\n")
FIRST = b"first\n" + TEN.replace(b"line 1\n", b"line one\n")
LONG = b"".join(b"line %d\n" % number for number in range(40))


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "expected"),
    [
        ({"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 2\n", b"two\n")}, {"x": ("merged", "")}),
        ({"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 4\n", b"IV\n")}, {"x": ("conflicted", "both modified")}),
        ({"x": TEN}, {"x": FOUR}, {"x": FOUR}, {"x": ("skipped", "already")}),
        ({"x": TEN}, {"x": FOUR}, {}, {"x": ("conflicted", "deleted by us")}),
        ({"x": TEN}, {}, {"x": FOUR}, {"x": ("conflicted", "deleted by them")}),
        ({"x": TEN}, {}, {}, {"x": ("skipped", "already")}),
        ({}, {"x": FOUR}, {"x": TEN}, {"x": ("conflicted", "both added")}),
        ({}, {"x": FOUR}, {"x": FOUR}, {"x": ("skipped", "already")}),
        ({"x": LONG}, {"y": LONG.replace(b"line 4\n", b"IV\n")}, {"x": LONG.replace(b"line 2\n", b"II\n")}, {"y": ("merged", "")}),
        ({"x": b"\0" + TEN}, {"x": b"\0" + FOUR}, {"x": b"\0" + FIRST}, {"x": ("skipped", "binary")}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_merged(
    base: Tree, theirs: Tree, ours: Tree, expected: dict[str, tuple[str, str]], repository: Repository
) -> None:
    """Exactly first, then by a merge with what happened since the base; a conflict leaves the file as it is."""
    start, patch = diverge(repository, base, theirs, ours)
    before = repository.tree()
    done = apply(repository, patch, base=start)

    assert expected == status(done)
    assert (before == repository.tree()) is not any(state == "merged" for state, _ in expected.values())


def test_a_merge_keeps_both_changes(repository: Repository) -> None:
    """Both what the patch and what this tree changed is there afterwards, wherever a rename took it."""
    long_four, long_two = LONG.replace(b"line 4\n", b"IV\n"), LONG.replace(b"line 2\n", b"II\n")
    start, patch = diverge(repository, {"x": LONG}, {"y": long_four}, {"x": long_two})
    apply(repository, patch, base=start)

    assert {"y": ("file", long_two.replace(b"line 4\n", b"IV\n"))} == repository.tree()


def test_the_blob_that_the_diff_names_is_base_enough(repository: Repository) -> None:
    """Without a base commit, the merge starts from the blob of the index line."""
    _, patch = diverge(repository, {"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 2\n", b"two\n")})

    assert {"x": ("merged", "")} == status(apply(repository, patch))


def test_without_merging_or_without_a_base_it_is_a_conflict(repository: Repository) -> None:
    """Nothing is fetched: a base that is not here cannot help."""
    _, patch = diverge(repository, {"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 2\n", b"two\n")})
    unknown = b"".join(line for line in patch.splitlines(keepends=True) if not line.startswith(b"index "))

    assert [{"x": ("conflicted", "misfit")}, {"x": ("conflicted", "no base")}] == [
        status(apply(repository, patch, three_way=False)),
        status(apply(repository, unknown)),
    ]


@pytest.mark.parametrize("base", ["HEAD\nHEAD:x", "no such thing", "--help", "0" * 40, "HEAD"])
def test_a_base_is_only_a_name(base: str, repository: Repository) -> None:
    """Whatever a service calls the base, and whatever the files are called, it is a name that is there or is not."""
    repository.commit({"x blob": TEN, "x": TEN})
    patch = edit("x blob", old="line nine") + edit("x", old="line nine") + edit("gone blob")
    done = apply(repository, patch, base=base)

    assert {"conflicted"} == {state for state, _ in status(done).values()}


def test_markers_are_left_only_when_asked_for(repository: Repository) -> None:
    """With *markers* the conflict is in the file, between the usual markers; undo restores the file."""
    start, patch = diverge(repository, {"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 4\n", b"IV\n")})
    before = repository.tree()
    done = apply(repository, patch, base=start, markers=True)
    (_, content) = repository.tree()["x"]
    undo(repository.folder)

    assert (True, b"<<<<<<< yours\nIV\n=======\nline four\n>>>>>>> patch\n" in content, before) == (
        done.conflicted[0].has_markers,
        True,
        repository.tree(),
    ) or pytest.fail(content.decode())


def test_line_ends_survive_a_merge(repository: Repository) -> None:
    """A work tree with carriage returns keeps them."""
    start, patch = diverge(repository, {"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 2\n", b"two\n")})
    repository.git("config", "core.autocrlf", "true")
    (repository.folder / "x").unlink()
    repository.git("checkout", "--", "x")
    apply(repository, patch, base=start)

    assert FOUR.replace(b"line 2\n", b"two\n").replace(b"\n", b"\r\n") == repository.tree()["x"][1]


def test_autocrlf_is_kept(repository: Repository) -> None:
    """What git apply would write with core.autocrlf is what gets written."""
    repository.git("config", "core.autocrlf", "true")
    repository.commit({"x": TEN})
    (repository.folder / "x").unlink()
    repository.git("checkout", "--", "x")
    apply(repository, edit("x"))

    assert FOUR.replace(b"\n", b"\r\n") == repository.tree()["x"][1]
    assert b" 1 file changed, 1 insertion(+), 1 deletion(-)" in repository.git("diff", "--stat")


def test_zero_context(repository: Repository) -> None:
    """A diff without context is applied by its line numbers, where git refuses it."""
    patch = repository.diff({"x": TEN}, {"x": FOUR.replace(b"line 8\n", b"")}, "--unified=0")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")

    assert {"x": ("applied", "")} == status(apply(repository, patch))
    assert FOUR.replace(b"line 8\n", b"") == repository.tree()["x"][1]


@pytest.mark.slow
@pytest.mark.parametrize("misfits", [(), (3, 410), range(255, 510)], ids=["all fit", "one in each half", "half of it"])
def test_a_patch_of_many_files_is_applied_as_one_of_few(misfits: Iterable[int], repository: Repository) -> None:
    """Two gits share the work, and each file becomes what it becomes alone."""
    before = {f"d{number % 7}/f{number}": b"%d\n%s" % (number, TEN) for number in range(510)}
    after = {name: data.replace(b"line 5", b"LINE 5") for name, data in before.items()}
    patch = repository.diff(before, after)
    moved_on = dict(before)
    for number in misfits:
        moved_on[f"d{number % 7}/f{number}"] = b"%d is another file\n" % number
    repository.commit(moved_on)
    done = apply_unseen(repository, patch, three_way=False)
    expected = {name: moved_on[name] if moved_on[name] != before[name] else after[name] for name in before}

    assert (
        {name: ("file", data) for name, data in expected.items()},
        sorted(name for name in before if moved_on[name] != before[name]),
    ) == (repository.tree(), sorted(name for name, (kind, _) in status(done).items() if kind == "conflicted"))


def test_rules_for_line_ends_are_not_missed_by_the_other_half(repository: Repository) -> None:
    """A patch of many files that changes .gitattributes too results in the tree of git."""
    before = {f"f{number}": b"%d\n%s" % (number, TEN) for number in range(450)}
    before |= {f"d{number}/.gitattributes": b"#\n#\n#\n* text\n" for number in range(3)}
    before |= {f"d{number % 3}/f{number}": TEN for number in range(60)}
    after = {name: data.replace(b"line 5", b"LINE 5").replace(b"* text", b"* -text") for name, data in before.items()}
    patch = repository.diff(before, after)
    repository.commit(before)
    repository.git("config", "core.autocrlf", "true")
    repository.git("rm", "-rq", "--cached", ".")
    repository.git("reset", "--hard", "--quiet")
    repository.git("apply", stdin=patch)
    expected = repository.tree()
    repository.git("checkout", "--quiet", ".")
    done = apply(repository, patch)

    assert (expected, True) == (repository.tree(), done.is_complete)


def test_a_series_is_applied_in_order(repository: Repository) -> None:
    """Mails that change the same file one after the other result in the content of the last one."""
    repository.commit({"x": TEN})
    repository.commit({"x": FOUR})
    repository.commit({"x": FOUR.replace(b"line four\n", b"IV\n"), "y": b"1\n"})
    mails, expected = repository.git("format-patch", "--stdout", "-2"), repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD~2")
    done = apply(repository, mails)

    assert (expected, True) == (repository.tree(), done.is_complete)


def test_a_file_gives_way_to_a_folder(repository: Repository) -> None:
    """What the patch removes is not in its own way, and undo turns it around."""
    patch = repository.diff({"x": TEN}, {"x/y": b"1\n"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    apply(repository, patch)
    applied = repository.tree()
    undo(repository.folder)

    assert ({"x/y": ("file", b"1\n")}, {"x": ("file", TEN)}) == (applied, repository.tree())


def test_a_folder_gives_way_to_a_file(repository: Repository) -> None:
    """The other way round, too, unless something else is in the folder."""
    patch = repository.diff({"x/y": TEN}, {"x": b"1\n"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.put({"x/mine": b"1\n"})
    refused = apply(repository, patch)
    (repository.folder / "x/mine").unlink()
    apply(repository, patch)
    applied = repository.tree()
    undo(repository.folder)

    assert (
        {"x": ("skipped", "blocked"), "x/y": ("skipped", "blocked")},
        {"x": ("file", b"1\n")},
        {"x/y": ("file", TEN)},
    ) == (
        status(refused),
        applied,
        repository.tree(),
    )


def test_a_failure_in_the_middle_is_taken_back(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full stops the application, and what had changed comes back."""
    put = work_tree.Tree.put

    def full(self: work_tree.Tree, source: str, path: str) -> None:
        if path == "locked/x" and f"{os.sep}tree{os.sep}" in source:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, source, path)

    monkeypatch.setattr(work_tree.Tree, "put", full)
    repository.commit({"a": TEN, "locked/x": TEN})
    before = repository.tree()
    resolve_snapshot = Patch(edit("a") + edit("locked/x")).verify()
    with pytest.raises(PatchConflictError, match="could not be written: No space"):
        resolve_snapshot.apply(repository.folder)

    assert (before, []) == (repository.tree(), leftovers(repository))


def test_any_folder_of_the_checkout_will_do(site: Repository, dark_mode: bytes) -> None:
    """Paths are relative to the top of the tree, in every folder of it."""
    done = Patch(dark_mode).verify(base=site.folder / "src").apply(site.folder / "src" / "css")

    assert done.is_complete
    assert (site.folder / "src/js/greeting.js").exists()


def test_linked_work_trees(site: Repository, dark_mode: bytes, tmp_path: Path) -> None:
    """A linked work tree has a journal of its own."""
    site.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    before = site.tree()
    done = Patch(dark_mode).verify(base=tmp_path / "linked").apply(tmp_path / "linked")
    undone = undo(tmp_path / "linked")

    assert (True, (), before, []) == (done.is_complete, undone.refused, site.tree(), leftovers(site))


def test_submodules_are_left_alone(repository: Repository) -> None:
    """A submodule is not moved, and its files belong to another repository."""
    repository.commit({"x": TEN})
    inner = make_repository(repository.folder / "sub")
    inner.commit({"y": TEN})
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "sub")
    repository.git("commit", "--quiet", "--message=sub")
    head = inner.git("rev-parse", "HEAD").decode().strip()
    move = f"diff --git a/sub b/sub\nindex {head[:7]}..1111111 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-Subproject commit {head}\n+Subproject commit {'1' * 40}\n"

    assert {"sub": ("skipped", "submodule"), "sub/y": ("skipped", "submodule"), "x": ("applied", "")} == status(
        apply(repository, move.encode() + edit("sub/y") + edit("x"))
    )


def test_filters_do_not_run(repository: Repository, tmp_path: Path) -> None:
    """A program that git's settings would run on a file is not run, and the file is left to git."""
    repository.commit({"x": TEN, "y": TEN, ".gitattributes": b"x filter=evil\n"})
    for what in ("clean", "smudge"):
        repository.git("config", f"filter.evil.{what}", f"touch {tmp_path}/ran; cat")
    (tmp_path / "ran").unlink(missing_ok=True)
    done = apply(
        repository,
        edit("x")
        + edit("y")
        + new("z")
        + b"diff --git a/.gitattributes b/.gitattributes\n--- a/.gitattributes\n+++ b/.gitattributes\n@@ -1 +1,2 @@\n x filter=evil\n+* filter=evil\n",
    )

    assert (
        {"x": ("skipped", "filter"), "y": ("applied", ""), "z": ("applied", ""), ".gitattributes": ("applied", "")},
        False,
    ) == (
        status(done),
        (tmp_path / "ran").exists(),
    )


def test_hooks_and_monitors_do_not_run(repository: Repository, tmp_path: Path) -> None:
    """Nothing that a checkout brings along is run: no hook, no monitor, no pager, no external diff."""
    repository.commit({"x": TEN})
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    hooks = repository.folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "post-checkout",
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-index-change",
        "pre-applypatch",
    ):
        (hooks / name).symlink_to(program)
    for name in ("core.fsmonitor", "core.pager", "diff.external", "core.editor"):
        repository.git("config", name, str(program))
    (tmp_path / "ran").unlink(missing_ok=True)
    apply(repository, edit("x"), index=True)
    undo(repository.folder)
    Patch(edit("x")).verify(base=repository.folder).commit(repository.folder, branch="b", message="m")

    assert not (tmp_path / "ran").exists()


def test_the_environment_cannot_redirect_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a git hook GIT_DIR points elsewhere; the checkout that was named counts."""
    repository.commit({"x": TEN})
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))

    assert apply(repository, edit("x")).is_complete


def test_case_insensitive_file_systems(repository: Repository) -> None:
    """Where README and readme are one file, a patch that adds the other is refused."""
    repository.commit({"README": TEN, "x": TEN})
    repository.git("config", "core.ignorecase", "true")

    assert {"readme": ("skipped", "same-name"), "x": ("applied", "")} == status(
        apply(repository, new("readme") + edit("x"))
    )


def test_places_that_are_no_checkouts(repository: Repository, tmp_path: Path) -> None:
    """What is no work tree is refused in one line."""
    patch = Patch(new("x")).verify()
    (tmp_path / "plain").mkdir()
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare")], check=True, timeout=240)
    for place in (tmp_path / "plain", tmp_path / "bare", repository.folder / ".git", tmp_path / "missing"):
        with pytest.raises(GitError) as caught:
            patch.apply(place)
        assert "\n" not in str(caught.value)


def test_a_branch_with_a_commit(site: Repository, dark_mode: bytes) -> None:
    """A branch gets one commit with the message, and work tree and index do not change; undo removes it."""
    site.put({"NOTES": b"work in progress"})
    before, staged = site.tree(), site.git("ls-files", "--stage")
    message = "Dark mode\n\nBody\n\nCoatcheck-Task: codex:task_e_1\n"
    done = Patch(dark_mode).verify().commit(site.folder, branch="dark", message=message)
    shown = site.git("log", "-1", "--format=%B", "dark").decode()
    files = site.git("diff", "--name-only", "HEAD", "dark").decode().count("\n")
    undone = undo(site.folder)

    assert (message, 12 - 1, before, staged, "dark", b"", ("git switch dark",)) == (
        shown.rstrip("\n") + "\n",
        files,
        site.tree(),
        site.git("ls-files", "--stage"),
        undone.branch,
        site.git("branch", "--list", "dark"),
        done.next_steps,
    )


def test_a_branch_is_all_or_nothing(repository: Repository) -> None:
    """A patch that does not fit creates no commit; a branch that exists is not moved."""
    start, patch = diverge(repository, {"x": TEN}, {"x": FOUR}, {"x": TEN.replace(b"line 4\n", b"IV\n")})
    resolve_snapshot = Patch(patch).verify()
    with pytest.raises(PatchConflictError) as caught:
        resolve_snapshot.commit(repository.folder, branch="b", message="m")
    resolve_snapshot.commit(repository.folder, branch="b", message="m", start=start)
    with pytest.raises(GitError, match="exists already"):
        resolve_snapshot.commit(repository.folder, branch="b", message="m", start=start)
    with pytest.raises(GitError, match="not a valid branch name"):
        resolve_snapshot.commit(repository.folder, branch="-b..", message="m")

    assert ("x",) == caught.value.files


def commit_of(repository: Repository) -> str:
    """Commit a patch on a branch, and return author and committer with their dates."""
    done = Patch(edit("x")).verify().commit(repository.folder, branch="b", message="m")
    shown = repository.git("log", "-1", "--date=unix", "--format=%an <%ae> %ad|%cn <%ce> %cd", str(done.commit))
    return shown.decode().strip()


def test_nobody_needs_an_identity(repository: Repository) -> None:
    """Where git has no identity, the commit has the identity of coatcheck."""
    repository.commit({"x": TEN})
    repository.git("config", "user.name", "")
    author, committer = (part.rpartition(" ")[0] for part in commit_of(repository).split("|"))

    assert ("coatcheck <coatcheck@localhost>",) * 2 == (author, committer)


def test_the_environment_says_who_commits_and_when(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for ``git commit``: the variables win over the configuration (git-commit-tree(1))."""
    repository.commit({"x": TEN})
    repository.git("config", "user.name", "Configured")
    repository.git("config", "user.useConfigOnly", "true")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", who)
        monkeypatch.setenv(f"GIT_{who}_EMAIL", f"{who}@example.com")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1700000000 +0000")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2023-11-14T22:13:21Z")

    assert "AUTHOR <AUTHOR@example.com> 1700000000|COMMITTER <COMMITTER@example.com> 1700000001" == commit_of(
        repository
    )


def test_the_variable_email_is_an_address(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git takes it where neither its own variables nor the configuration have one."""
    repository.commit({"x": TEN})
    repository.git("config", "user.name", "Configured")
    monkeypatch.setenv("EMAIL", "mail@example.com")

    assert commit_of(repository).startswith("Configured <mail@example.com> ")


def test_author_and_committer_may_be_configured_apart(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment decides what it names, and the configuration the rest."""
    repository.commit({"x": TEN})
    for name, value in (("author.name", "Writer"), ("committer.name", "Robot"), ("user.email", "u@example.com")):
        repository.git("config", name, value)
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "writer@example.com")
    author, committer = (part.rpartition(" ")[0] for part in commit_of(repository).split("|"))

    assert ("Writer <writer@example.com>", "Robot <u@example.com>") == (author, committer)


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        ({"user.useConfigOnly": "true"}, {}, "user.useConfigOnly forbids"),
        ({}, {"GIT_AUTHOR_DATE": "soon", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b"}, "GIT_AUTHOR_DATE"),
    ],
)
def test_an_identity_that_git_refuses_is_named(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    variables: dict[str, str],
    expected: str,
) -> None:
    """With a remedy, and no branch is made."""
    repository.commit({"x": TEN})
    for name, value in settings.items():
        repository.git("config", name, value)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GitError, match=expected) as caught:
        commit_of(repository)

    assert (True, b"") == (bool(caught.value.remedy), repository.git("branch", "--list", "b"))


def test_a_line_end_in_the_name_of_the_checkout(tmp_path: Path) -> None:
    """A folder may be called anything."""
    folder = tmp_path / "new\nline\n"
    folder.mkdir()
    repository = make_repository(folder)
    repository.commit({"x": TEN})
    apply(repository, edit("x"))

    assert b"line four" in (folder / "x").read_bytes()


@pytest.fixture
def untrusted(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository that git takes for another user's."""
    repository.commit({"x": TEN})
    # git's own switch for its tests (setup.c, GIT_TEST_ASSUME_DIFFERENT_OWNER), set where git is started
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "git"
    program.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return repository


def test_a_repository_of_another_user_is_named_with_gits_remedy(untrusted: Repository) -> None:
    """The error names the command to run, whether a patch is applied or a commit is looked for."""
    with pytest.raises(GitError, match="git does not trust") as caught:
        apply(untrusted, edit("x"))
    with pytest.raises(GitError, match="git does not trust"):
        find_commit(untrusted.folder, "HEAD")

    assert f"git config --global --add safe.directory {untrusted.folder}" in str(caught.value.remedy)


def test_trust_in_the_environment_counts(untrusted: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI sets ``safe.directory`` by GIT_CONFIG_COUNT (git-config(1), ENVIRONMENT)."""
    for name, value in {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": "*"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)

    assert apply(untrusted, edit("x")).is_complete


def test_an_unborn_branch(repository: Repository) -> None:
    """A repository without a commit takes new files."""
    assert apply(repository, new("x")).is_complete


def test_every_failure_is_one_of_ours(repository: Repository) -> None:
    """Whoever catches `CoatcheckError` catches everything."""
    repository.commit({"x": TEN})
    with pytest.raises(CoatcheckError):
        Patch(edit("x")).verify().commit(repository.folder, branch="b", message="m", start="--nonsense")
