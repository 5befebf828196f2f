"""Several attempts of one task: threads that are forked before their first turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.providers.codex_app_server.host_support import SPEC, connected
from tests.providers.codex_app_server.test_provider import calls, waiting

from coatcheck import PatchState, TaskState, errors
from coatcheck.cloud.faults import ResetAfterAccept
from coatcheck.testing.emulators.codex_app_server import REFUSED
from coatcheck.testing.emulators.codex_threads import CHANGE, Item, Pause, Step, edit

pytestmark = pytest.mark.parametrize("variant", VARIANTS)

THREE = msgspec.structs.replace(SPEC, key="k", attempts=3)
FOLDERS = [f"/home/codex/.codex/coatcheck/k.{number}-of-3" for number in (1, 2, 3)]
APPROVAL = "item/commandExecution/requestApproval"


def lives(*lives: Iterable[Step]) -> Any:
    """Return a life that differs from turn to turn."""
    following = iter(lives)
    return lambda _: next(following)


def say(text: str, *steps: Step) -> Iterable[Step]:
    """Return steps that end with a message."""
    return [*steps, Item("agentMessage", text=text, phase=None)]


def renamed(path: str) -> bytes:
    """Return the change of the emulator, to another file."""
    return CHANGE.replace(b"hello.txt", path.encode())


def test_attempts_are_forks_with_a_checkout_and_a_turn_each(variant: str) -> None:
    """Each attempt has a thread that was forked before any turn, a checkout at the same commit, and a turn of its own key."""
    client, emulator = connected(variant)
    task = client.create_task(THREE)
    made = calls(emulator, "thread/start", "thread/fork", "thread/name/set", "turn/start")
    forked = [params for method, params in made if method == "thread/fork"]

    assert ["thread/start", "thread/name/set", *["thread/fork", "thread/name/set"] * 2, *["turn/start"] * 3] == [
        method for method, _ in made
    ]
    assert FOLDERS == [thread.cwd for thread in emulator.threads.values()]
    assert [(task.id, FOLDERS[1], "never"), (task.id, FOLDERS[2], "never")] == [
        (params["threadId"], params["cwd"], params["approvalPolicy"]) for params in forked
    ]
    assert ["main", "425cedbf6d95f522673de1a1e6449d7f25f83895"] == sorted(
        {c["command"][-1] for c in emulator.commands} - {FOLDERS[0]}, reverse=True
    )
    assert ["k", "k/2", "k/3"] == [params["clientUserMessageId"] for method, params in made if method == "turn/start"]
    assert (3, TaskState.RUNNING) == (task.attempt_total, task.state)


def test_each_attempt_has_its_own_outcome(variant: str) -> None:
    """A wait ends with the last attempt, and each has its message and its change; the list has one task."""
    turns = [say(path, edit(change=renamed(path))) for path in ("one", "two")]
    client, _ = connected(variant, lives(*turns, say("three", *[edit(change=renamed("three"))] * 9)))
    task = client.poll_task(client.create_task(THREE).ref)
    listed = list(client.list_tasks())
    last = client.get_current_diff(task.ref, attempt=3)

    assert [(1, "one", ["one"]), (2, "two", ["two"]), (3, "three", ["three"])] == [
        (each.number, each.outcome.text, [change.path for change in each.outcome.patch.files]) for each in task.attempts
    ]
    assert [(task.ref, 3, TaskState.SUCCEEDED)] == [(each.ref, each.attempt_total, each.state) for each in listed]
    assert "+++ b/three" in last


def test_a_fork_is_a_task_by_its_own_ref(variant: str) -> None:
    """A later attempt can be read and continued by the id that the list of attempts shows."""
    client, _ = connected(variant)
    task = client.poll_task(client.create_task(THREE).ref)
    client.send_message(task.attempts[1].id, "again")
    second = client.poll_task(task.attempts[1].id)

    assert (TaskState.SUCCEEDED, None, "All done.") == (second.state, second.attempt_total, second.outcome.text)


def test_the_first_turn_of_a_lost_answer_is_found_with_its_total(variant: str) -> None:
    """Where the answer to the first turn is lost the task is found, and attempts that were not started have failed."""
    client, emulator = connected(variant)
    emulator.faults.append(ResetAfterAccept(on="create_task"))
    task = client.poll_task(client.create_task(THREE).ref)

    assert (1, 3) == (len(emulator.seen("create_task")), task.attempt_total)
    assert [(TaskState.SUCCEEDED, ""), (TaskState.FAILED, "missing"), (TaskState.FAILED, "missing")] == [
        (each.state, each.outcome.error.code if each.outcome.error else "") for each in task.attempts
    ]


def test_an_attempt_whose_answer_was_lost_is_started_once(variant: str) -> None:
    """A lost answer to a later turn is a notice of the task; the turn is not sent again, and is found by its folder."""

    def life(prompt: str) -> Iterable[Step]:
        if len(emulator.tasks) == 0:
            emulator.faults.append(ResetAfterAccept(on="create_task"))
        return say(prompt)

    client, emulator = connected(variant, life)
    task = client.create_task(THREE)
    ended = client.poll_task(task.ref)

    assert (2, "partial") == (len(emulator.seen("create_task")), task.notices[0].kind)
    assert "attempt 2 of 3 and later ones may not have been started" in task.notices[0].text
    assert ["succeeded", "succeeded", "missing"] == [
        each.raw_state if each.raw_state == "missing" else each.state.value for each in ended.attempts
    ]


def test_what_fails_before_the_first_turn_costs_nothing(variant: str) -> None:
    """A host that refuses a fork gets no turn."""
    client, emulator = connected(variant)
    emulator.refusals["thread/fork"] = REFUSED
    with pytest.raises(errors.InvalidRequestError, match="thread/fork"):
        client.create_task(THREE)

    assert ([], ()) == (emulator.seen("create_task"), emulator.tasks)


def test_the_permission_of_any_attempt_is_one_of_the_task(variant: str) -> None:
    """A wait ends where a later attempt waits for a person, and the decision reaches that attempt, once."""
    paused = Pause(APPROVAL, command="rm -r build", item=Item("commandExecution", command="rm", status="completed"))
    client, _ = connected(variant, lives(say("one"), say("two", paused), say("three")))
    ref = client.create_task(THREE).ref
    task = client.poll_task(ref)
    (permission,) = task.permission_requests
    (listed,) = client.list_tasks()
    client.decide_permission(ref, permission.id, "accept")
    client.decide_permission(ref, permission.id, "accept")
    with pytest.raises(errors.ConflictError):
        client.decide_permission(ref, permission.id, "decline")
    ended = client.poll_task(ref)

    assert (TaskState.INPUT_REQUIRED, "attempt 2: run rm -r build") == (task.state, permission.title)
    assert TaskState.INPUT_REQUIRED == listed.state
    assert (TaskState.SUCCEEDED, ["one", "two", "three"]) == (
        ended.state,
        [each.outcome.text for each in ended.attempts],
    )


def test_acting_on_a_task_acts_on_its_attempts(variant: str) -> None:
    """Cancelling, archiving and deleting reach every attempt; deleting takes forks first, with their checkouts."""
    client, emulator = connected(variant, waiting(Pause(APPROVAL, command="make")))
    ref = client.create_task(THREE).ref
    client.cancel_task(ref)
    cancelled = [attempt.state for attempt in client.list_attempts(ref)]
    client.archive_task(ref)
    archived = [list(client.list_tasks()), [task.ref for task in client.list_tasks(filter="archived")]]
    total = len(client.list_attempts(ref))
    client.unarchive_task(ref)
    client.delete_task(ref)
    removed = [command["command"][-1] for command in emulator.commands[-3:]]

    assert ([TaskState.CANCELLED] * 3, [[], [ref]], 3) == (cancelled, archived, total)
    assert (["k.3-of-3", "k.2-of-3", "k.1-of-3"], {}) == (removed, emulator.threads)


def test_an_attempt_of_a_killed_host_does_not_hold_the_task(variant: str) -> None:
    """After a restart a message continues the task, and the other attempts have been cancelled."""
    client, emulator = connected(variant, waiting(edit(), edit()))
    ref = client.create_task(THREE).ref
    emulator.restart()
    paused = client.poll_task(ref)
    client.send_message(ref, "again")
    ended = client.poll_task(ref)

    assert (TaskState.PAUSED, TaskState.SUCCEEDED) == (paused.state, ended.state)
    assert [TaskState.SUCCEEDED, TaskState.CANCELLED, TaskState.CANCELLED] == [a.state for a in ended.attempts]


def fork(client: Any, emulator: Any, id: str) -> str:
    """Fork a thread as a person does in Codex, take a turn in it, and return its id."""
    source = emulator.threads[id]
    forked = source.fork(len(emulator.threads) + 1, {"threadId": id})
    emulator.threads[forked.id] = forked
    client.send_message(forked.id, "again")
    client.poll_task(forked.id)
    return str(forked.id)


@pytest.mark.parametrize("spec", [THREE, msgspec.structs.replace(SPEC, key="k")])
def test_a_person_s_fork_is_a_task_of_its_own(variant: str, spec: Any) -> None:
    """A fork that has the name and the folder of a task is no attempt of it, and not taken for it by its key."""
    client, emulator = connected(variant)
    task = client.poll_task(client.create_task(spec).ref)
    forked = client.get_task(fork(client, emulator, task.id))

    assert (task.ref, None) == (client.create_task(spec).ref, forked.attempt_total)
    assert spec.attempts == len(client.list_attempts(task.ref))
    assert spec.attempts + 1 == len(emulator.threads)


@pytest.mark.parametrize("spec", [THREE, msgspec.structs.replace(SPEC, key="k")])
def test_a_checkout_is_kept_while_a_fork_uses_it(variant: str, spec: Any) -> None:
    """A task with a person's fork is not deleted, nor its other attempts; the fork goes without the checkout."""
    client, emulator = connected(variant)
    task = client.poll_task(client.create_task(spec).ref)
    forked = fork(client, emulator, task.id)
    with pytest.raises(errors.ConflictError, match=f"other threads work in its checkout: codex_app_server:{forked}"):
        client.delete_task(task.ref)
    kept, commands = len(emulator.threads), len(emulator.commands)
    client.delete_task(forked)
    left = len(emulator.commands)
    client.delete_task(task.ref)

    assert (spec.attempts + 1, commands) == (kept, left)
    assert ({}, spec.attempts) == (emulator.threads, len(emulator.commands) - left)


def test_one_attempt_is_listed_too(variant: str) -> None:
    """A task without forks has one attempt with its outcome, and no other."""
    client, _ = connected(variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    (only,) = client.list_attempts(ref)
    with pytest.raises(errors.ConfigurationError, match="has no attempt 2"):
        client.get_current_diff(ref, attempt=2)

    assert (1, TaskState.SUCCEEDED, PatchState.PRESENT) == (only.number, only.state, only.outcome.patch_state)


def test_waiting_for_attempts_is_no_busy_loop(variant: str) -> None:
    """While a later attempt runs for 50 minutes, the task that has ended itself is polled with pauses."""
    client, emulator = connected(variant, lives(say("one"), [edit()] * 300, say("three")))
    ref = client.create_task(THREE).ref
    emulator.requests.clear()
    client.poll_task(ref)

    assert len(emulator.seen("get_task")) < 200


def test_a_task_runs_while_one_of_its_attempts_does(variant: str) -> None:
    """Task, list and watch show a task as running until its last attempt has ended, and as started once."""
    client, emulator = connected(variant, lives(say("one"), say("two", *[edit()] * 9), say("three")))
    ref = client.create_task(THREE).ref
    emulator.clock.sleep(30.0)
    listed = [task.state for task in client.list_tasks()]
    read = client.get_task(ref)
    watched = [event.type for event in client.watch_task(ref)]

    assert ([TaskState.RUNNING], TaskState.RUNNING, None) == (listed, read.state, read.outcome)
    assert ["task.started", *["task.attempt"] * 3, "task.succeeded"] == [
        type for type in watched if type in ("task.started", "task.attempt", "task.succeeded")
    ]
