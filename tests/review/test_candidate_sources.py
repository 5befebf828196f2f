"""Candidates of tasks and patches, and what they have in common."""

from __future__ import annotations

import pytest

from coatcheck import Attempt, Candidate, Failure, Outcome, Patch, PatchState, Task, TaskRef, TaskState
from coatcheck._review.agreement import Agreement, changed_lines, find_agreement
from coatcheck._review.candidate_sources import patch_candidate, task_candidates, unique
from coatcheck.errors import ConfigurationError

REF = TaskRef("codex", "task_1")
DIFF = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
DONE = Outcome(patch=Patch(DIFF), patch_state=PatchState.PRESENT, base_commit="c" * 40)


@pytest.mark.parametrize(
    ("state", "outcome", "error", "reason"),
    [
        (TaskState.RUNNING, None, None, "it is still running"),
        (TaskState.QUEUED, None, None, "it has not started"),
        (TaskState.INPUT_REQUIRED, None, None, "it needs input"),
        (TaskState.PAUSED, None, None, "it is paused"),
        (TaskState.FAILED, None, None, "it failed"),
        (TaskState.FAILED, DONE, Failure(code="quota", message="no quota"), "it failed: quota: no quota"),
        (TaskState.CANCELLED, DONE, None, "it was cancelled"),
        (TaskState.EXPIRED, None, None, "it expired"),
        (TaskState.UNKNOWN, DONE, None, "its state is unknown"),
        (TaskState.SUCCEEDED, None, None, "its service sent no outcome of it"),
        (TaskState.SUCCEEDED, Outcome(), None, "it has changed nothing"),
        (TaskState.SUCCEEDED, Outcome(patch=Patch(b"")), None, "it has changed nothing"),
        (TaskState.SUCCEEDED, Outcome(patch=Patch(b"no diff")), None, "it has no diff"),
        (
            TaskState.SUCCEEDED,
            Outcome(patch_state=PatchState.OFFLOADED, external_file_id="file_1"),
            None,
            "its service keeps the diff in another place (file_1)",
        ),
        (
            TaskState.SUCCEEDED,
            Outcome(patch=Patch(DIFF.replace(b"@@ -1 +1 @@", b"@@ -1,9 +1,9 @@"))),
            None,
            "its diff cannot be read: line 7: the diff ends in the middle of a hunk",
        ),
        (TaskState.SUCCEEDED, DONE, None, None),
    ],
)
def test_a_task_without_a_patch_is_a_candidate_with_a_reason(
    state: TaskState, outcome: Outcome | None, error: Failure | None, reason: str | None
) -> None:
    """A task that failed, is empty or still runs is a candidate, and its error is the reason why there is no patch."""
    (candidate,) = task_candidates(Task(ref=REF, state=state, outcome=outcome, error=error))

    assert ("codex:task_1", reason, reason is None) == (candidate.name, candidate.error, candidate.patch is not None)


def test_each_attempt_is_a_candidate() -> None:
    """Every attempt is a candidate with its number, also one that the service does not list."""
    attempts = (
        Attempt(id="a", placement=0, state=TaskState.SUCCEEDED, outcome=DONE),
        Attempt(id="c", placement=2, state=TaskState.FAILED, outcome=Outcome(error=Failure(message="no"))),
    )
    task = Task(ref=REF, state=TaskState.SUCCEEDED, attempts=attempts, attempt_total=4)
    expected = [
        ("codex:task_1/1", 1, "c" * 40, None),
        ("codex:task_1/2", 2, None, "the service does not report it"),
        ("codex:task_1/3", 3, None, "it failed: no"),
        ("codex:task_1/4", 4, None, "the service does not report it"),
    ]

    assert expected == [(each.name, each.attempt, each.base, each.error) for each in task_candidates(task)]


@pytest.mark.parametrize(
    "data",
    [
        DIFF,
        b"Subject: [PATCH] a mail\n\ntext\n---\n x | 2 +-\n\n" + DIFF + b"-- \n2.43.0\n",
        DIFF.replace(b"a/x", b"x").replace(b"b/x", b"x"),
        b"--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n",
        DIFF.replace(b"a/x", b"i/x").replace(b"b/x", b"w/x"),
    ],
)
def test_patches_are_written_as_git_writes_them(data: bytes) -> None:
    """Whatever prefixes and text a diff has, the candidate's patch names its files with a/ and b/."""
    patch = patch_candidate("./x.patch", Patch(data)).patch
    assert patch is not None
    header = bytes(patch).partition(b"@@")[0].splitlines()

    assert [b"diff --git a/x b/x", b"--- a/x", b"+++ b/x"] == header


def test_strip_level_and_folder_are_part_of_the_patch() -> None:
    """A patch that was read with -p and --directory is written with the names that these make."""
    patch = Patch.parse(DIFF.replace(b"a/x", b"a/b/x").replace(b"b/x", b"b/b/x"), strip=2, directory="sub")
    written = patch_candidate("./x.patch", patch).patch

    assert written is not None
    assert ["sub/x"] == [change.path for change in written.files]


def test_two_candidates_of_one_name_are_an_error() -> None:
    """Equal candidates count once; different ones of the same name are refused, and none is dropped."""
    one, other = Candidate(name="a", error="x"), Candidate(name="a", error="y")
    with pytest.raises(ConfigurationError, match="two different candidates are named a"):
        unique([one, other])

    assert (one,) == unique([one, Candidate(name="a", error="x")])


def hunk(old: str, body: str, path: str = "x") -> Patch:
    """Return a patch with one hunk; *old* is its range."""
    lines = body.splitlines()
    new = sum(line[0] in " +" for line in lines)
    text = f"--- a/{path}\n+++ b/{path}\n@@ -{old} +{old.partition(',')[0]},{new} @@\n{body}\n"
    return Patch(text.encode())


@pytest.mark.parametrize(
    ("patch", "intervals"),
    [
        (hunk("5,1", "-a\n+b"), [(10, 10)]),
        (hunk("5,3", " a\n-b\n+c\n d"), [(12, 12)]),
        (hunk("5,2", " a\n+b\n c"), [(11, 11)]),
        (hunk("5,4", "-a\n-b\n c\n+x\n d"), [(10, 12), (15, 15)]),
        (hunk("5,0", "+b"), [(11, 11)]),
        (Patch(b"--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+b\n"), [(0, 2**62)]),
        (Patch(b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n"), [(0, 2**62)]),
    ],
)
def test_changed_lines_are_those_of_the_base(patch: Patch, intervals: list[tuple[int, int]]) -> None:
    """Removed lines and places of insertions are intervals of the base; what has no lines is the whole file."""
    assert intervals == [each for change in patch.files for each in changed_lines(change)]


def test_one_tree_is_the_same_change() -> None:
    """Candidates whose patches make the same tree agree, also where one renames a file that another adds and deletes."""
    patches = {"rename": hunk("5,1", "-a\n+b"), "again": hunk("5,1", "-a\n+b"), "add": hunk("1,1", "-a\n+b", "y")}
    candidates = [patch_candidate(name, patch, base="1" * 40) for name, patch in patches.items()]
    found = find_agreement(candidates, trees={"again": "t", "add": "t"})

    assert {"rename": ("again", "add"), "again": ("rename", "add"), "add": ("rename", "again")} == {
        name: agreement.same_as for name, agreement in found.items()
    }


def test_agreement_is_by_change_and_by_lines() -> None:
    """The same change in another spelling is the same; changes of the same lines overlap, those of other lines do not."""
    patches = {
        "one": hunk("5,1", "-a\n+b"),
        "same": hunk("4,3", " z\n-a\n+b\n c"),
        "overlaps": hunk("5,2", "-a\n-c\n+d"),
        "after": hunk("5,1", " a\n+x"),
        "other file": hunk("5,1", "-a\n+b", "y"),
    }
    candidates = [patch_candidate(name, patch, base="1" * 40) for name, patch in patches.items()]
    other_base = patch_candidate("other base", patches["overlaps"], base="2" * 40)
    no_base = patch_candidate("no base", patches["after"])
    found = find_agreement([*candidates, other_base, no_base, Candidate(name="none", error="it failed")], base="1" * 40)
    expected = {
        "one": Agreement(("same",), ("same", "overlaps")),
        "same": Agreement(("one",), ("one", "overlaps")),
        "overlaps": Agreement(("other base",), ("one", "same", "after", "no base")),
        "after": Agreement(("no base",), ("overlaps", "no base")),
        "other file": Agreement((), ()),
        "other base": Agreement(("overlaps",), ()),
        "no base": Agreement(("after",), ("overlaps", "after")),
    }

    assert expected == found
