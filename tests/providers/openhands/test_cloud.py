from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept, Status
from coatcheck.provider import PatchState
from coatcheck.providers.openhands.endpoints import conversation_id
from coatcheck.testing.emulators.openhands_conversations import DIFF

from .openhands_support import cloud

VARIANTS = ("blocking", "asynchronous")
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", branch="main", title="Greeting", key="k")


class Address(Fault, frozen=True, kw_only=True):
    """Give sandboxes another *address*."""

    address: str
    on: str = "get_task"
    times: int | None = None

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Put it in."""
        (document,) = msgspec.json.decode(answer().body)
        if document and document["conversation_url"]:
            document["conversation_url"] = self.address
        return Response(200, body=msgspec.json.encode([document]))


def test_the_body_of_a_create() -> None:
    """Options are sent by the service's names, with our id; the task is queued while its sandbox starts."""
    client, emulator = cloud()
    task = client.create_task(msgspec.structs.replace(SPEC, model="m", instructions="Be brief."))
    body = msgspec.json.decode(emulator.seen("create_task")[0].body)

    assert {
        "conversation_id": conversation_id("k"),
        "initial_message": {"role": "user", "content": [{"type": "text", "text": "Say hello"}], "run": True},
        "selected_repository": "owner/repo",
        "selected_branch": "main",
        "title": "Greeting",
        "llm_model": "m",
        "system_message_suffix": "Be brief.",
    } == body
    assert (conversation_id("k"), TaskState.QUEUED, "WORKING") == (task.id, task.state, task.raw_state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lost_answer_is_found_by_the_id(variant: str) -> None:
    """A create whose answer is lost is not repeated: its conversation is found while it is being started."""
    client, emulator = cloud(variant, faults=[ResetAfterAccept(on="create_task")])
    task = client.create_task(SPEC)

    assert (conversation_id("k"), 1, 1) == (task.id, len(emulator.seen("create_task")), len(emulator.tasks))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_task(variant: str) -> None:
    """A task is started, works in its sandbox and has its change; it is listed all the time."""
    client, emulator = cloud(variant)
    ref = client.create_task(SPEC).ref
    listed = [[each.ref for each in client.list_tasks(environment="owner/repo")]]
    task = client.poll_task(ref)
    listed.append([each.ref for each in client.list_tasks(environment="owner/repo")])
    keys = {dict(request.headers).get("x-session-api-key") for request in emulator.sandboxes.requests}

    assert ([[ref]] * 2, TaskState.SUCCEEDED, DIFF) == (listed, task.state, bytes(task.outcome.patch))
    assert ("Greeting", "owner/repo", "main", 0.01) == (task.title, task.repository, task.branch, task.notices[0].cost)
    assert (f"http://127.0.0.1:9/conversations/{ref.id.replace('-', '')}", {emulator.sandboxes.token}) == (
        task.url,
        keys,
    )
    assert "merge-base HEAD origin/main" in emulator.sandboxes.commands[0]


def test_a_start_that_fails() -> None:
    """A start that fails is a failed task with the service's reason, in the list as well."""
    client, _ = cloud(start=("WORKING", "ERROR"))
    task = client.poll_task(client.create_task(SPEC).ref)
    listed = [each.state for each in client.list_tasks()]

    assert (TaskState.FAILED, "no sandbox is free", [TaskState.FAILED]) == (task.state, task.error.message, listed)


@pytest.mark.parametrize("status", ["PAUSED", "MISSING", "STOPPED"])
def test_an_ended_task_without_its_sandbox(status: str) -> None:
    """A task that has ended has its message after its sandbox has gone, and its change is said to be elsewhere."""
    client, emulator = cloud()
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    emulator.states[ref.id] = status
    task = client.get_task(ref)

    assert (TaskState.SUCCEEDED, "Wrote hello.txt.", PatchState.OFFLOADED) == (
        task.state,
        task.outcome.text,
        task.outcome.patch_state,
    )
    assert ("no_result", True) == (task.notices[0].kind, f"its sandbox is {status.lower()}" in task.notices[0].text)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PAUSED", TaskState.PAUSED),
        ("MISSING", TaskState.EXPIRED),
        ("ERROR", TaskState.FAILED),
        ("STARTING", TaskState.QUEUED),
        ("NEW", TaskState.UNKNOWN),
    ],
)
def test_a_run_that_lost_its_sandbox(status: str, expected: TaskState) -> None:
    """A run whose sandbox is gone has the state of the sandbox."""
    client, emulator = cloud(life=("idle", "running", "running", "running", "running"))
    ref = client.create_task(SPEC).ref
    while client.get_task(ref).state is not TaskState.RUNNING:
        pass
    emulator.states[ref.id] = status

    assert expected == client.get_task(ref).state


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_task_is_acted_upon_in_its_sandbox(variant: str) -> None:
    """A task is cancelled, continued by a message and deleted; a paused sandbox is resumed first."""
    client, emulator = cloud(variant, life=("idle", "running", "running", "running", "finished"))
    ref = client.create_task(SPEC).ref
    with pytest.raises(errors.ConflictError, match="is being started"):
        client.cancel_task(ref)
    while client.get_task(ref).state is not TaskState.RUNNING:
        pass
    client.cancel_task(ref)
    cancelled = client.get_task(ref).state
    emulator.states[ref.id] = "PAUSED"
    with pytest.raises(errors.ConflictError, match="is being resumed"):
        client.send_message(ref, "go on")
    continued = client.send_message(ref, "go on")
    diff = client.get_current_diff(ref)
    client.delete_task(ref)
    with pytest.raises(errors.NotFoundError):
        client.get_task(ref)

    assert (TaskState.CANCELLED, TaskState.RUNNING, ref, DIFF.decode()) == (
        cancelled,
        continued.state,
        continued.ref,
        diff,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_watch_has_the_events_of_the_sandbox(variant: str) -> None:
    """The messages and tools of the agent are read with the polls, each once."""
    client, _ = cloud(variant)
    watched = list(client.watch_task(client.create_task(SPEC).ref))
    shown = [event.text for event in watched if event.type in ("task.message", "task.tool")]

    assert (4, "Wrote hello.txt.", {"openhands_cloud"}) == (len(shown), shown[-1], {e.ref.provider for e in watched})


@pytest.mark.parametrize(
    "address",
    [
        "http://sandbox.test/api/conversations/x",
        "ftp://s.test/api/conversations/x",
        "x",
        "https://[/api/conversations/x",
    ],
)
def test_an_address_that_is_not_safe_is_sent_no_key(address: str) -> None:
    """A sandbox at an address without encryption is not sent its key."""
    client, emulator = cloud()
    ref = client.create_task(SPEC).ref
    for _ in range(3):
        client.get_task(ref)
    before = len(emulator.requests)
    emulator.faults.append(Address(address=address))
    with pytest.raises(errors.UnreadableResponseError, match="address of the sandbox"):
        client.get_task(ref)

    assert 1 == len(emulator.requests) - before


@pytest.mark.parametrize("status", [401, 404])
def test_a_sandbox_that_was_replaced_is_polled_again(status: int) -> None:
    """A sandbox that does not know its conversation or its key is an outage, and no answer about the task."""
    client, emulator = cloud(life=("idle", "running", "running", "finished"))
    task = client.create_task(SPEC)
    while (task := client.get_task(task.ref)).state is not TaskState.RUNNING:
        pass
    emulator.sandboxes.faults.append(Status(status, on="get_task"))

    assert (TaskState.SUCCEEDED, []) == (client.poll_task(task).state, emulator.sandboxes.faults)


def test_what_is_no_repository_is_refused() -> None:
    """An environment that is no repository is an error before any request."""
    client, emulator = cloud(faults=[Reset(on="")])
    with pytest.raises(errors.ConfigurationError, match="is not a repository"):
        client.create_task(TaskSpec(prompt="p", environment="/srv/app"))

    assert [] == emulator.requests


def test_every_conversation_that_is_being_started_is_listed() -> None:
    """More starts than a page has are listed, and pages of the list replace requests for each task afterwards."""
    client, emulator = cloud(step_seconds=3600.0)
    refs = [client.create_task(msgspec.structs.replace(SPEC, key=f"k{number}")).ref for number in range(250)]
    emulator.requests.clear()
    with pytest.raises(errors.WaitTimeoutError):
        list(client.poll_tasks(refs, timeout=600))
    paths = [request.path.rpartition("/")[2] for request in emulator.requests]

    assert ({"search"}, 3) == (set(paths), sum("start-tasks" in each.path for each in emulator.requests[:4]))
