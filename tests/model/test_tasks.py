"""Task references, states and values."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, strategies as st

from coatcheck import Attempt, Task, TaskRef, TaskState, errors

REF = TaskRef("codex", "task_e_1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("codex:task_e_1", TaskRef("codex", "task_e_1")),
        ("task_e_1", TaskRef("codex", "task_e_1")),
        (" task_e_1\n", TaskRef("codex", "task_e_1")),
        ("https://chatgpt.com/codex/tasks/task_e_1", TaskRef("codex", "task_e_1")),
        ("https://chatgpt.com/codex/tasks/task_e_1/?x=1#y", TaskRef("codex", "task_e_1")),
        ("http://127.0.0.1:8080/codex/tasks/task_e_1", TaskRef("codex", "task_e_1")),
        ("jules:12345", TaskRef("jules", "12345")),
        ("aws:arn:aws:lambda", TaskRef("aws", "arn:aws:lambda")),
        ("codex:ä~b", TaskRef("codex", "ä~b")),
    ],
)
def test_every_form_of_a_reference_is_read(text: str, expected: TaskRef) -> None:
    """A reference is read as printed, as a bare id, and as a task's URL."""
    assert expected == TaskRef.parse(text, provider="codex")


@pytest.mark.parametrize(
    "text", ["", " ", "codex:", ":x", "a b", "a/b", "x?y", "x#y", "a\tb", "a\x00b", "https://", "co dex:x", "a\u2028b"]
)
def test_anything_else_is_an_error(text: str) -> None:
    """A reference with blanks, control characters, slashes, ? or # is none."""
    with pytest.raises(errors.ConfigurationError, match="not a task reference"):
        TaskRef.parse(text, provider="codex")


def test_a_bare_id_needs_a_provider() -> None:
    """A bare id without a provider is an error."""
    with pytest.raises(errors.ConfigurationError):
        TaskRef.parse("task_e_1")


@given(
    st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/?#"), min_size=1).filter(str.isprintable),
)
def test_a_reference_survives_printing(provider: str, id: str) -> None:
    """`parse(str(ref))` is `ref`, for every id."""
    assert TaskRef(provider, id) == TaskRef.parse(str(TaskRef(provider, id)))


@pytest.mark.parametrize("state", TaskState)
def test_only_ends_are_terminal(state: TaskState) -> None:
    """Only the four ends are terminal; UNKNOWN is not."""
    ends = {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED}

    assert (state in ends) is state.is_terminal


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED])
def test_an_end_without_success_is_raised_when_asked(state: TaskState) -> None:
    """The error of `raise_for_state` has the task."""
    task = Task(ref=REF, state=state)

    with pytest.raises(errors.TaskFailedError) as caught:
        task.raise_for_state()

    assert (task, REF) == (caught.value.task, caught.value.ref)


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.UNKNOWN])
def test_anything_else_is_the_task_itself(state: TaskState) -> None:
    """`raise_for_state` returns the task where it does not raise."""
    task = Task(ref=REF, state=state)

    assert task is task.raise_for_state()


def test_an_attempts_number_is_its_placement_plus_one() -> None:
    """The number of an attempt is its placement plus one, with or without a diff."""
    task = Task(ref=REF, state=TaskState.RUNNING, attempts=(Attempt(id="a", placement=2, state=TaskState.RUNNING),))

    assert "a" == task.attempt(3).id
    with pytest.raises(errors.ConfigurationError, match=r"no attempt 1 \(there are: 3\)"):
        task.attempt(1)


def test_a_tasks_repr_is_short() -> None:
    """The repr names the task, without the response of the service."""
    task = Task(ref=REF, state=TaskState.RUNNING, title="Add dark mode", raw=b"x" * 10_000)

    assert "<Task codex:task_e_1 running 'Add dark mode'>" == repr(task)


def test_values_are_frozen_compared_and_pickled() -> None:
    """A value cannot be changed, is equal to its copy, and can be pickled."""
    task = Task(ref=REF, state=TaskState.RUNNING, title="t")

    with pytest.raises(AttributeError):
        task.title = "u"  # type: ignore[misc]

    assert task == pickle.loads(pickle.dumps(task))
