"""Our provider with AWS's own runner of durable executions, runtime and SDK.

What it does not do as AWS does (names are taken more than once, no 409, no Pause, Resume or Delete) is not asked of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.peers.durable_support import FUNCTION, lambda_of_aws
from tests.peers.test_sdks import theirs

from coatcheck import Client, TaskRef, TaskSpec, TaskState, UnknownEvent, errors
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import DURABLE, Service
from coatcheck.testing import MemoryJournal

pytestmark = pytest.mark.peer

# What the function makes (`durable_handler.py`, which only AWS's SDK can import).
PATCH = "--- /dev/null\n+++ b/hello.txt\n@@ -0,0 +1 @@\n+Hello\n"
# Events that no history has: where the task is in its life, and what was said at its end.
QUICKLY = 0.05  # seconds between two looks


class Runner:
    """The runner, our client of it, and boto3."""

    def __init__(self, base: str, folder: Path) -> None:
        self.base, self.folder = base, folder
        provider = DurableProvider(
            Service(name=DURABLE, region="us-east-1", base_url=base, function=f"{FUNCTION}:live")
        )
        options: dict[str, Any] = {"journal": MemoryJournal(), "environ": {"COATCHECK_LEARN": "off"}}
        self.client = Client(provider, token="AKIDEMULATOR:emulated/secret+key", **options)

    def create(self, prompt: str) -> TaskRef:
        return self.client.create_task(TaskSpec(prompt=prompt)).ref

    def boto3(self, ref: TaskRef) -> dict[str, Any]:
        """Return the execution as boto3 reads it."""
        return theirs(self.folder, "seen", self.base, unquote(ref.id))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Run one runner for all tests."""
    folder = tmp_path_factory.mktemp("durable")
    with lambda_of_aws(folder) as base:
        runner = Runner(base, folder)
        with runner.client:
            yield runner


def test_a_function_runs_and_its_result_comes_back(runner: Runner) -> None:
    """Message and patch are those that the function returned; boto3 reads the same end and the same history."""
    ref = runner.create("Say hello")
    events = list(runner.client.watch_task(ref, interval=QUICKLY, timeout=30))
    task = runner.client.get_task(ref)
    seen = runner.boto3(ref)
    history = [event.kind for event in events if isinstance(event, UnknownEvent)]

    assert (TaskState.SUCCEEDED, "Done: Say hello", PATCH) == (
        task.state,
        task.outcome.text if task.outcome else None,
        str(task.outcome.patch if task.outcome else ""),
    )
    assert (seen["status"], seen["events"]) == (task.raw_state, history)
    assert {"message": "Done: Say hello", "patch": PATCH} == json.loads(seen["result"])


def test_a_function_that_raises_has_failed(runner: Runner) -> None:
    """The failure has the function's own message."""
    task = runner.client.poll_task(runner.create("Fail"), interval=QUICKLY, timeout=30)

    assert TaskState.FAILED is task.state
    assert "there is no such file" in str(task.error)


def test_an_execution_that_sleeps_is_stopped(runner: Runner) -> None:
    """An execution that sleeps for an hour is stopped."""
    ref = runner.create("Sleep")
    before = runner.client.get_task(ref).state
    runner.client.cancel_task(ref)
    task = runner.client.poll_task(ref, interval=QUICKLY, timeout=30)

    assert (TaskState.RUNNING, TaskState.CANCELLED, "STOPPED") == (before, task.state, runner.boto3(ref)["status"])


def test_a_message_answers_the_functions_question(runner: Runner) -> None:
    """The message that a client sends is what the function's callback returns."""
    ref = runner.create("Ask")
    for event in runner.client.watch_task(ref, interval=QUICKLY, timeout=30):
        if event.type == "unknown" and event.kind == "CallbackStarted":
            runner.client.send_message(ref, "go on")
    task = runner.client.get_task(ref)

    assert (TaskState.SUCCEEDED, "Done: Ask, and was told: go on") == (
        task.state,
        task.outcome.text if task.outcome else None,
    )


def test_many_executions_are_polled_together(runner: Runner) -> None:
    """Many executions are polled together through the function's list, although the runner's ARNs name no function."""
    refs = [runner.create(f"Say {number}") for number in range(5)]
    ended = {
        task.ref: task.outcome.text
        for task in runner.client.poll_tasks(refs, interval=QUICKLY, timeout=30)
        if task.outcome
    }

    assert {ref: f"Done: Say {number}" for number, ref in enumerate(refs)} == ended


def test_executions_are_listed_as_boto3_lists_them(runner: Runner) -> None:
    """Our list has the same executions as that of boto3, in the same order."""
    ref = runner.create("Say it again")
    runner.client.poll_task(ref, interval=QUICKLY, timeout=30)
    ours = [unquote(task.ref.id) for task in runner.client.list_tasks(environment=FUNCTION)]

    assert theirs(runner.folder, "listed", runner.base, FUNCTION)["arns"] == ours
    assert unquote(ref.id) in ours


def test_a_missing_execution_is_not_found(runner: Runner) -> None:
    """A missing execution is a 404, whatever the error's shape."""
    with pytest.raises(errors.NotFoundError):
        runner.client.get_task(f"{DURABLE}:nobody~nothing")
