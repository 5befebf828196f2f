"""Calls of both clients record the tasks that they observe in a `History`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import History, TaskRef, TaskState, errors

REF = TaskRef("toy", "t1")


class Recorded:
    """A client with a history, in front of the example service."""

    def __init__(self, variant: str, history: Any, **service: Any) -> None:
        self.service, self.history = ToyService(**service), history
        self.both = Both(variant, ToyProvider(), self.service, store=history)

    def create(self, text: str = "It is done.", **body: Any) -> None:
        """Create a task elsewhere: no call of this client has observed it."""
        self.service.create({"prompt": "Add dark mode", "attempts": 1, **body})
        self.service.tasks["t1"] = msgspec.structs.replace(self.service.tasks["t1"], text=text)

    @property
    def state(self) -> TaskState | None:
        entry = self.history.get(REF)
        return entry.task.state if entry else None

    @property
    def is_current(self) -> bool:
        entry = self.history.get(REF)
        return bool(entry and entry.is_current)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """A history."""
    history = History(str(tmp_path / "state"))
    yield history
    history.close()


OBSERVING = {
    "get_task": lambda both: both.get_task("t1"),
    "get_task_status": lambda both: both.get_task_status("t1"),
    "poll_task": lambda both: both.poll_task("t1"),
    "poll_tasks": lambda both: both.poll_tasks(["t1"]),
    "watch_task": lambda both: both.watch_task("t1"),
    "watch_tasks": lambda both: both.watch_tasks(["t1"]),
    "list_tasks": lambda both: both.list_tasks(),
    "get_page": lambda both: both.get_page(),
    "list_attempts": lambda both: both.list_attempts("t1"),
}


@pytest.mark.parametrize("name", OBSERVING)
def test_each_call_that_observes_a_task_records_it(variant: str, history: History, name: str) -> None:
    """A task that a call has observed is in the history."""
    recorded = Recorded(variant, history)
    recorded.create()
    recorded.service.attempt_states = [["done"]]
    OBSERVING[name](recorded.both)

    assert recorded.state is not None


def test_a_submission_is_recorded_with_its_prompt(variant: str, history: History) -> None:
    """A submitted task is found by its prompt, whatever the service's response has."""
    recorded = Recorded(variant, history)
    task = recorded.both.create_task("Add dark mode")

    assert [task.ref] == [entry.task.ref for entry in history.search("dark").items]


@pytest.mark.parametrize("name", ["poll_task", "poll_tasks", "watch_task", "watch_tasks"])
def test_a_wait_records_each_change(variant: str, history: History, name: str) -> None:
    """The events of a wait are stored as it observes them, and its result is current at its end."""
    recorded = Recorded(variant, history)
    recorded.create()
    OBSERVING[name](recorded.both)
    kinds = dict.fromkeys(each.event.type for each in history.events.read())

    assert (["task.submitted", "task.message", "task.started", "task.succeeded"], True) == (
        list(kinds),
        recorded.is_current,
    )


CHANGING = {
    "send_message": lambda both: both.send_message("t1", "And the footer"),
    "cancel_task": lambda both: both.cancel_task("t1"),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_call_that_changes_a_task_invalidates_it(variant: str, history: History, name: str) -> None:
    """A stored task is not current after a call that may have changed it, until it is fetched again."""
    recorded = Recorded(variant, history, states=("done",))
    recorded.create()
    recorded.both.get_task("t1")
    before = recorded.is_current
    CHANGING[name](recorded.both)
    after = recorded.is_current
    recorded.both.get_task("t1")

    assert (True, False, True) == (before, after, recorded.is_current)


def test_a_call_that_fails_invalidates_as_well(variant: str, history: History) -> None:
    """A message whose response was lost may have arrived."""
    recorded = Recorded(variant, history, states=("done",))
    recorded.create()
    recorded.both.get_task("t1")
    recorded.service.script = [errors.TransportError("the connection was reset")]
    with pytest.raises(errors.TransportError):
        recorded.both.send_message("t1", "And the footer")

    assert not recorded.is_current


def test_a_task_of_the_caller_is_no_observation(variant: str, history: History) -> None:
    """A wait for a `Task` that has ended requests nothing, and does not make the stored one current again."""
    recorded = Recorded(variant, history, states=("done",))
    recorded.create()
    task = recorded.both.get_task("t1")
    recorded.both.send_message("t1", "And the footer")
    recorded.service.attempt_states = [["done"]]
    recorded.both.poll_task(task)
    recorded.both.list_attempts(task)

    assert not recorded.is_current


def test_an_unreported_state_is_not_recorded(variant: str, history: History) -> None:
    """A list that does not report states does not replace a state that is known."""
    recorded = Recorded(variant, history, states=("done",))
    recorded.create()
    recorded.both.get_task("t1")
    recorded.service.tasks["t1"] = msgspec.structs.replace(recorded.service.tasks["t1"], state="")
    recorded.both.get_page()

    assert (TaskState.SUCCEEDED, True) == (recorded.state, recorded.is_current)


class BrokenStore:
    """A store that cannot be used."""

    def record_all(self, tasks: object) -> None:
        raise errors.StoreError("the disk is full", remedy="free space on its disk")

    def invalidate(self, ref: object) -> None:
        raise errors.StoreError("the disk is full", remedy="free space on its disk")


def test_a_store_that_cannot_be_used_fails_no_call(variant: str, caplog: pytest.LogCaptureFixture) -> None:
    """A task that cannot be recorded is returned all the same, with one warning."""
    caplog.set_level(logging.WARNING, "coatcheck")
    recorded = Recorded(variant, BrokenStore(), states=("working", "done"))
    task = recorded.both.create_task("Add dark mode")
    ended = recorded.both.poll_task(task)
    recorded.both.cancel_task(task.ref)

    assert (
        TaskState.SUCCEEDED,
        ["the task cannot be recorded in the history: the disk is full; free space on its disk"],
    ) == (
        ended.state,
        [record.getMessage() for record in caplog.records],
    )


def test_without_a_store_nothing_is_recorded(variant: str, home: Path) -> None:
    """A client without a store writes no history."""
    both = Both(variant, ToyProvider(), ToyService())
    both.create_task("Add dark mode")

    assert [] == list(home.rglob("*.sqlite3"))
