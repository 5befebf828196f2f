"""The A2A SDK for Python: its server under our provider, and its client at our emulator, in both bindings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from subprocess import PIPE
from typing import Any

import pytest
from tests.providers.a2a.agent_support import provider

from coatcheck import Client, TaskFailed, TaskMessage, TaskState, errors
from coatcheck._protocol.intents import Intent
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._server.http_protocol import limits_here
from coatcheck._server.listener import serving_app
from coatcheck._webhooks.receiver import Receiver
from coatcheck._webhooks.senders import Delivery
from coatcheck.testing import A2AEmulator, MemoryJournal, serving

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv/peers/a2a/bin/python"
# Importing the SDK takes seconds on a busy machine.
SECONDS = 60
# No process has this number.
DEAD = 2**31 - 1
BINDINGS = ["HTTP+JSON", "JSONRPC"]


class Inbox:
    """An inbox in memory, with a secret for A2A."""

    def __init__(self) -> None:
        self.deliveries: SimpleQueue[Delivery] = SimpleQueue()

    def secrets(self, sender: str) -> Sequence[str]:
        """Return the secret."""
        return ("push-secret",) if sender == "a2a" else ()

    def accept(self, delivery: Delivery) -> None:
        """Keep the delivery."""
        self.deliveries.put(delivery)


@contextmanager
def their_agent(binding: str, journal: MemoryJournal | None = None, **settings: str) -> Iterator[tuple[Client, str]]:
    """Start an agent on the SDK, and yield a client of it, and its URL."""
    with subprocess.Popen([str(PYTHON), str(HERE / "a2a_agent.py"), binding], stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the agent did not start"
            with Client(provider(url, auth="none", **settings), journal=journal or MemoryJournal()) as client:
                yield client, url
        finally:
            process.kill()


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_task_of_the_sdks_agent_has_its_result(binding: str) -> None:
    """A task, its follow-up in the same context and its list are what the agent's executor did."""
    with their_agent(binding) as (client, _):
        task = client.poll_task(client.create_task("Say hello").ref)
        other = client.poll_task(client.send_message(task.ref, "And again").ref)
        listed = {each.ref for each in client.list_tasks()}
        assert task.outcome is not None
        seen = (
            task.outcome.text,
            [file.path for file in task.outcome.files],
            [change.path for change in task.require_patch().files],
        )

    assert (("I begin.\n\nDone: Say hello", ["hello.txt"], ["hello.txt"]), {task.ref, other.ref}) == (seen, listed)


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_question_of_the_sdks_agent_is_answered(binding: str) -> None:
    """A message to a task that needs input continues the same task."""
    with their_agent(binding) as (client, _):
        asked = client.poll_task(client.create_task("wait for the file").ref)
        ended = client.poll_task(client.send_message(asked.ref, "the second").ref)

    assert (TaskState.INPUT_REQUIRED, TaskState.SUCCEEDED, asked.ref) == (asked.state, ended.state, ended.ref)


@pytest.mark.parametrize("binding", BINDINGS)
def test_errors_of_the_sdks_agent_are_ours(binding: str) -> None:
    """A failure, a cancellation, an unknown task and an answer without a task are read as what they are."""
    with their_agent(binding) as (client, _):
        failed = client.poll_task(client.create_task("fail").ref)
        hanging = client.create_task("hang")
        client.cancel_task(hanging.ref)
        cancelled = client.get_task(hanging.ref)
        with pytest.raises(errors.ConflictError):
            client.cancel_task(hanging.ref)
        with pytest.raises(errors.NotFoundError):
            client.get_task("a2a:none")
        answered = client.create_task("answer")

    assert ("The tests never passed.", TaskState.CANCELLED, "At once.") == (
        str(failed.error),
        cancelled.state,
        answered.outcome and answered.outcome.text,
    )


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_stream_of_the_sdks_agent_is_read(binding: str) -> None:
    """The events of a task that has begun come until it is cancelled, and those of an ended task at once."""
    with their_agent(binding) as (client, _):
        hanging = client.create_task("hang")
        events = []
        for event in client.stream_task(hanging.ref, timeout=SECONDS):
            events.append(event)
            if isinstance(event, TaskMessage):
                client.cancel_task(hanging.ref)
        failed = client.poll_task(client.create_task("fail").ref)
        after = list(client.stream_task(failed.ref))

    assert ("task.cancelled", True) == (events[-1].type, isinstance(after[-1], TaskFailed))


@pytest.mark.parametrize("binding", BINDINGS)
def test_push_notifications_of_the_sdks_agent_are_deliveries(binding: str) -> None:
    """What `hooks serve` receives at /a2a names the task, and comes with the secret of the submission."""
    inbox = Inbox()
    receiver = Receiver(inbox, now=SystemClock().time)
    with (
        serving_app(receiver, limits_here(), on_stop=lambda: None) as origin,
        their_agent(binding, push_url=f"{origin}/a2a", push_secret="push-secret") as (client, _),
    ):
        task = client.create_task("Say hello")
        delivery = inbox.deliveries.get(timeout=SECONDS)

    assert ((("a2a", task.id),), True) == (delivery.tasks, delivery.type in {"task", "statusUpdate", "artifactUpdate"})


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_lost_answer_of_the_sdks_agent_is_found(binding: str) -> None:
    """The tasks of submissions whose responses were lost are found by their contexts."""
    first = MemoryJournal()
    with their_agent(binding, first) as (client, url):
        refs = [client.create_task("Say hello").ref for _ in range(3)]
        journal = MemoryJournal()
        for key in [id for act, id, _ in first.entries if act == "begin"]:
            journal.begin(Intent(id=key, provider="a2a", digest="", at=SystemClock().time(), summary="", pid=DEAD))
        with Client(provider(url, auth="none"), journal=journal) as later:
            found = [each.task and each.task.ref for each in later.resume_submissions()]

    assert refs == found


def theirs(binding: str, act: str, **options: Any) -> Any:
    """Run the SDK's client at our emulator, and return what it saw."""
    emulator = A2AEmulator(clock=SystemClock(), **options)
    with serving(emulator) as url:
        base = url.removesuffix("/backend-api")
        command = [str(PYTHON), str(HERE / "a2a_client.py"), base, emulator.token, binding, act]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_sdks_client_reads_our_emulator(binding: str) -> None:
    """The SDK sees every state, the parts of the artifact, and the task in the list of its context."""
    seen = theirs(binding, "poll")
    parts = seen["task"]["artifacts"][0]["parts"]

    assert (["SUBMITTED", "WORKING", "COMPLETED"], ["task-1"], "text/x-diff") == (
        [each.removeprefix("TASK_STATE_") for each in seen["states"]],
        seen["listed"],
        parts[1]["mediaType"],
    )


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_sdks_client_gets_the_errors_and_events_of_our_emulator(binding: str) -> None:
    """The SDK raises its typed errors, and reads the stream of a message."""
    events = ["task", "status_update", "artifact_update", "status_update"]

    assert (["TASK_STATE_CANCELED", "TaskNotCancelableError"], "TaskNotFoundError", events) == tuple(
        theirs(binding, act) for act in ("cancel", "unknown", "stream")
    )
