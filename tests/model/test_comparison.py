from __future__ import annotations

from coatcheck import Attempt, DiffStats, Outcome, Patch, Task, TaskRef, TaskState, compare_attempts

ONE_LINE = DiffStats(files=1, added=1)


def diff(path: str, line: str, *, context: str = "") -> str:
    """Return a diff that adds a line to a file."""
    count = 1 + bool(context)
    body = f" {context}\n+{line}\n" if context else f"+{line}\n"
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,{count - 1} +1,{count} @@\n{body}"


def attempts(*diffs: str | None) -> tuple[Attempt, ...]:
    """Return an attempt for each diff."""
    return tuple(
        Attempt(
            id=f"turn_{at}",
            placement=at,
            state=TaskState.SUCCEEDED,
            outcome=None if text is None else Outcome(patch=Patch(text.encode())),
        )
        for at, text in enumerate(diffs)
    )


MANY = attempts(
    diff("a.py", "x = 1"),
    None,
    diff("a.py", "x = 1", context="first"),
    diff("a.py", "x = 1") + diff("b.css", "y"),
    "",
    "@@ -1 +1 @@\n",
)


def test_attempts_are_compared_by_their_numbers() -> None:
    """A comparison has equal changes, sizes per language and files that only one attempt touches; attempts without a diff are left out."""
    compared = compare_attempts(MANY)

    assert (((1, 3),), [1, 3, 4], ("b.css",), {"Python": ONE_LINE, "CSS": ONE_LINE}, (6,)) == (
        compared.same,
        [each.number for each in compared.changes],
        compared.changes[-1].only,
        compared.changes[-1].stats.by_language,
        compared.unreadable,
    )


def test_every_two_are_compared() -> None:
    """Each pair has the share of common lines and the files of both and of each."""
    pairs = {(pair.left, pair.right): pair for pair in compare_attempts(MANY).pairs}

    assert ([(1, 3), (1, 4), (3, 4)], 1.0, 0.5, ("a.py",), (), ("b.css",)) == (
        sorted(pairs),
        pairs[1, 3].share,
        pairs[1, 4].share,
        pairs[1, 4].both,
        pairs[1, 4].left_only,
        pairs[1, 4].right_only,
    )


def test_a_task_compares_its_attempts() -> None:
    """A task compares its own attempts."""
    task = Task(ref=TaskRef("codex", "t"), state=TaskState.SUCCEEDED, attempts=MANY)

    assert compare_attempts(MANY) == task.compare_attempts()


def test_outcomes_are_compared() -> None:
    """Two outcomes are compared: same change, overlap, difference."""
    first, same, more = (each.outcome or Outcome() for each in (MANY[0], MANY[2], MANY[3]))

    assert (True, False, 0.5, "", True, 1.0) == (
        first.is_same_change(same),
        first.is_same_change(more),
        first.overlap(more).share,
        first.diff_of_diffs(same),
        "+++ B/b.css\n" in first.diff_of_diffs(more, names=("A", "B")),
        Outcome().overlap(Outcome()).share,
    )
