from __future__ import annotations

import msgspec
import pytest

from coatcheck import Attempt, Outcome, Patch, Task, TaskRef, TaskState, errors
from coatcheck._app.outcomes import choose_patch

REF = TaskRef("codex", "t")
DIFF = b"--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+%s\n"


@pytest.mark.parametrize(
    ("expected", "task"),
    [
        ("codex:t has no patch", Task(ref=REF, state=TaskState.SUCCEEDED, outcome=Outcome())),
        ("codex:t has no patch yet: it is running", Task(ref=REF, state=TaskState.RUNNING)),
        (
            "the service stores the patch of codex:t in file_1",
            Task(ref=REF, state=TaskState.SUCCEEDED, outcome=Outcome(external_file_id="file_1")),
        ),
    ],
)
def test_a_task_without_a_patch_names_the_reason(expected: str, task: Task) -> None:
    """`require_patch` raises an error that names the task and why there is no patch."""
    with pytest.raises(errors.TaskError) as caught:
        task.require_patch()

    assert expected == str(caught.value)


def test_an_attempt_that_does_not_exist_is_refused() -> None:
    """`require_patch` of an attempt that does not exist is a configuration error, not an empty patch."""
    attempts = (Attempt(id="a", placement=0, state=TaskState.SUCCEEDED, outcome=Outcome()),)
    task = Task(ref=REF, state=TaskState.SUCCEEDED, attempts=attempts)
    with pytest.raises(errors.ConfigurationError) as caught:
        task.require_patch(attempt=3)

    assert "codex:t has no attempt 3 (there are: 1)" == str(caught.value)


def test_patches_of_attempts_that_failed_come_last() -> None:
    """Without a number a successful attempt's patch is preferred to the partial one of an attempt that failed."""
    partial, whole = (Outcome(patch=Patch(DIFF % text)) for text in (b"partial", b"whole"))
    attempts = (
        Attempt(id="a", placement=0, state=TaskState.FAILED, outcome=partial),
        Attempt(id="b", placement=1, state=TaskState.SUCCEEDED, outcome=whole),
    )
    task = Task(ref=REF, state=TaskState.SUCCEEDED, outcome=partial, attempts=attempts)
    failed = msgspec.structs.replace(task, attempts=attempts[:1])
    chosen = choose_patch(task, attempts, None)

    assert (whole.patch, partial.patch, 2, False, True) == (
        task.require_patch(),
        failed.require_patch(),
        chosen.number,
        chosen.is_partial,
        choose_patch(task, attempts, 1).is_partial,
    )
