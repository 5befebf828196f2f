from __future__ import annotations

import pytest

from coatcheck import Attempt, Outcome, Task, TaskRef, TaskState, errors

REF = TaskRef("codex", "t")


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
