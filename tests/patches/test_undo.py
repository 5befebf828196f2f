from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches import undo_journal as journals
from coatcheck._patches.checkout import Checkout
from coatcheck._patches.parse import Patch
from coatcheck._patches.undo_journal import undo
from coatcheck.errors import PatchConflictError

if TYPE_CHECKING:
    from .conftest import Repository

REF = "codex:task_e_1"


def new(path: str, text: str = "x") -> bytes:
    """Return the diff that adds a file of one line."""
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{text}\n".encode()


def edit(path: str, old: str, text: str) -> bytes:
    """Return the diff that changes a file of one line."""
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{old}\n+{text}\n".encode()


def apply(repository: Repository, patch: bytes, **options: object) -> None:
    """Judge and apply *patch*."""
    Patch(patch).verify(base=repository.folder).apply(repository.folder, **options)  # type: ignore[arg-type]


def names(repository: Repository) -> list[str]:
    """Return the files of the work tree."""
    return sorted(repository.tree())


@pytest.mark.parametrize("index", [False, True])
def test_applications_are_undone_newest_first(index: bool, repository: Repository) -> None:
    """Each undo reverts one application and returns how many are left."""
    repository.commit({"a": b"a\n"})
    before = repository.git("ls-files", "--stage")
    seen = []
    for name in ("one", "two", "three"):
        seen.append(names(repository))
        apply(repository, new(name), index=index)
    undone = []
    for _ in range(3):
        left = undo(repository.folder).remaining
        undone.append((left, names(repository)))

    assert ([(2, seen[2]), (1, seen[1]), (0, seen[0])], before, False) == (
        undone,
        repository.git("ls-files", "--stage"),
        (repository.folder / ".git/coatcheck").exists(),
    )


def test_the_same_file_is_undone_step_by_step(repository: Repository) -> None:
    """Applications of the same file, committed in between, come back one by one."""
    repository.commit({"a": b"1\n"})
    for number in (1, 2, 3):
        apply(repository, edit("a", str(number), str(number + 1)))
        repository.git("commit", "--quiet", "--all", "--message=more")
    seen = []
    for _ in range(3):
        undo(repository.folder)
        seen.append(repository.tree()["a"][1])

    assert [b"3\n", b"2\n", b"1\n"] == seen


def test_a_branch_and_files_are_undone_in_their_order(repository: Repository) -> None:
    """A branch is one application among the others."""
    repository.commit({"a": b"a\n"})
    apply(repository, new("one"))
    Patch(new("two")).verify().commit(repository.folder, branch="b", message="m")
    first, second = undo(repository.folder), undo(repository.folder)

    assert (("b", ()), (None, ("one",)), ["a"]) == (
        (first.branch, first.restored),
        (second.branch, second.restored),
        names(repository),
    )


def test_a_branch_that_moved_on_is_kept_and_in_nobodys_way(repository: Repository) -> None:
    """A branch with other commits is kept and named, and the application before can be undone."""
    repository.commit({"a": b"a\n"})
    apply(repository, new("one"))
    Patch(new("two")).verify().commit(repository.folder, branch="b", message="m")
    repository.git("branch", "--force", "b", "HEAD")
    first, second = undo(repository.folder), undo(repository.folder)

    assert ((None, "b"), ("one",)) == ((first.branch, first.kept_branch), second.restored)


def test_a_branch_that_is_checked_out_is_not_removed(repository: Repository) -> None:
    """Undo does not take the branch away from under a work tree."""
    repository.commit({"a": b"a\n"})
    Patch(new("two")).verify().commit(repository.folder, branch="b", message="m")
    repository.git("switch", "--quiet", "b")
    with pytest.raises(PatchConflictError, match="b is checked out"):
        undo(repository.folder)
    kept = repository.git("rev-parse", "--verify", "b") != b""
    repository.git("switch", "--quiet", "main")

    assert (True, "b") == (kept, undo(repository.folder).branch)


def test_an_edited_file_that_is_brought_back_is_no_obstacle(repository: Repository) -> None:
    """A file that undo refused counts as restored once it has its content from before again."""
    repository.commit({"a": b"1\n"})
    apply(repository, edit("a", "1", "2"))
    repository.put({"a": b"mine\n"})
    refused = undo(repository.folder)
    repository.git("checkout", "--quiet", "a")
    again = undo(repository.folder)

    assert (("a",), (), ("a",)) == (refused.refused, again.refused, again.restored)


def test_only_so_many_are_kept(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest applications are forgotten when there are too many."""
    monkeypatch.setattr(journals, "MAX_JOURNALS", 2)
    repository.commit({"a": b"a\n"})
    for name in ("one", "two", "three"):
        apply(repository, new(name))
    lefts = [undo(repository.folder).remaining, undo(repository.folder).remaining]
    with pytest.raises(PatchConflictError, match="no application"):
        undo(repository.folder)

    assert ([1, 0], ["a", "one"]) == (lefts, names(repository))


CRASH = """
import os, sys
from coatcheck._patches import work_tree
from coatcheck._patches.parse import Patch
work_tree.Tree.put = lambda *_: os.kill(os.getpid(), 9)
Patch(sys.stdin.buffer.read()).verify().apply(sys.argv[1])
"""


def test_a_crash_leaves_the_earlier_ones(repository: Repository) -> None:
    """After a crash the interrupted application is undone first, and then the one before."""
    repository.commit({"a": b"1\n"})
    apply(repository, edit("a", "1", "2"))
    repository.git("commit", "--quiet", "--all", "--message=more")
    arguments = [sys.executable, "-c", CRASH, str(repository.folder)]
    subprocess.run(arguments, input=edit("a", "2", "3"), check=False, timeout=240)
    with pytest.raises(PatchConflictError, match="interrupted"):
        apply(repository, new("other"))
    lefts = [undo(repository.folder).remaining, undo(repository.folder).remaining]

    assert ([1, 0], b"1\n") == (lefts, repository.tree()["a"][1])


def test_half_a_journal_is_none(repository: Repository) -> None:
    """A folder without a whole journal, which a crash while forgetting leaves, is not read."""
    repository.commit({"a": b"a\n"})
    apply(repository, new("one"))
    os.makedirs(os.path.join(Checkout.at(repository.folder).folder, "applied", "7"))

    assert ("one",) == undo(repository.folder).restored


def test_another_attempt_of_an_applied_task_is_refused(repository: Repository) -> None:
    """While one attempt is applied, another of the same task is refused, in a preview too; after an undo it is not."""
    repository.commit({"a": b"1\n"})
    apply(repository, new("one"), task=REF, attempt=1)
    for options in ({}, {"check": True}, {"partial": True}, {"index": True}):
        with pytest.raises(PatchConflictError, match=f"attempt 1 of {REF} is applied here") as caught:
            apply(repository, new("two"), task=REF, attempt=2, **options)
    undo(repository.folder)
    apply(repository, new("two"), task=REF, attempt=2)

    assert ("undo it first: coatcheck apply --undo", ["a", "two"]) == (caught.value.remedy, names(repository))


def test_the_newest_application_is_undone_first(repository: Repository) -> None:
    """The error names the number of undos when something else was applied since."""
    repository.commit({"a": b"1\n"})
    apply(repository, new("one"), task=REF, attempt=1)
    apply(repository, new("other"), task="codex:task_e_2")
    with pytest.raises(PatchConflictError) as caught:
        apply(repository, new("two"), task=REF, attempt=2)

    assert "2 times" in str(caught.value.remedy)


def test_the_same_attempt_and_other_tasks_are_no_matter(repository: Repository) -> None:
    """The same attempt can be applied again, and any other task beside it."""
    repository.commit({"a": b"1\n"})
    apply(repository, new("one"), task=REF, attempt=1)
    apply(repository, new("one") + new("more"), task=REF, attempt=1)
    apply(repository, new("two"), task="codex:task_e_2", attempt=2)
    apply(repository, new("three"))

    assert ["a", "more", "one", "three", "two"] == names(repository)


@pytest.mark.parametrize("end", ["commit", "checkout"])
def test_an_attempt_that_is_committed_or_gone_is_no_matter(end: str, repository: Repository) -> None:
    """Once the first attempt is committed, or was taken back by other means, another one is applied."""
    repository.commit({"a": b"1\n"})
    apply(repository, edit("a", "1", "2"), task=REF, attempt=1)
    if end == "commit":
        repository.git("commit", "--quiet", "--all", "--message=more")
    else:
        repository.git("checkout", "--quiet", ".")
    apply(repository, new("two"), task=REF, attempt=2)

    assert ["a", "two"] == names(repository)
