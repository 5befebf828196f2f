from __future__ import annotations

import pytest

from coatcheck import errors
from coatcheck._app.actions import cancel_task
from coatcheck._app.field_errors import FieldError
from coatcheck._app.wait import WaitOptions, plan_decision, unique_refs, wait_for_task, watch_tasks
from coatcheck._model.tasks import TaskRef
from coatcheck._runtime.client import Client


def test_a_wait_returns_the_ended_task(client: Client) -> None:
    """A wait returns the task with its attempts when it has ended."""
    task = client.create_task("Add it", environment="owner/repo", attempts=2)
    changes: list[str] = []
    ended = wait_for_task(client, task.ref, WaitOptions(), on_change=lambda task: changes.append(task.state.value))

    assert ("succeeded", 2) == (ended.state.value, len(ended.attempts))
    assert "succeeded" == changes[-1]


def test_a_watch_ends_with_the_task(client: Client) -> None:
    """The last event of a watch is the end of the task."""
    task = client.create_task("Add it", environment="owner/repo")
    events = list(watch_tasks(client, [task.ref], WaitOptions()))

    assert task.ref == events[-1].ref


def test_several_tasks_have_no_stream(client: Client) -> None:
    """A stream, and the event to continue after, are for one task."""
    refs = [TaskRef("codex", "a"), TaskRef("codex", "b")]
    with pytest.raises(FieldError, match="is_streamed is for one task, not 2"):
        watch_tasks(client, refs, WaitOptions(), is_streamed=True)
    with pytest.raises(FieldError, match="after is for one task, not 2"):
        watch_tasks(client, refs, WaitOptions(), after="x")


def test_tasks_of_several_providers() -> None:
    """Tasks are watched for one provider, each once."""
    one, other = TaskRef("codex", "a"), TaskRef("jules", "a")
    with pytest.raises(errors.ConfigurationError, match="these tasks belong to codex and jules"):
        unique_refs([one, other])

    assert [one] == unique_refs([one, one])


def test_a_provider_without_plans(client: Client) -> None:
    """A choice about plans is an error where the provider has none, and no choice is none."""
    assert None is plan_decision(client, "codex", None, lambda _: True)
    with pytest.raises(errors.UnsupportedError, match="codex has no approve_plan"):
        plan_decision(client, "codex", "auto", lambda _: True)


def test_an_ended_task_cannot_be_cancelled(client: Client) -> None:
    """Cancelling an ended task is an error that names the task and its state."""
    task = client.create_task("Add it", environment="owner/repo")
    client.poll_task(task.ref)
    with pytest.raises(errors.TaskError, match="has already ended: succeeded") as caught:
        cancel_task(client, task.ref)

    assert task.ref == caught.value.ref
