"""Permissions that attempts wait for: decided by the API, by a gate in the store, or by nobody."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from coatcheck import GateOption, PermissionRequest, errors
from coatcheck._app.gates import Gates
from coatcheck._runtime.config import Config
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.attempts import Job
from coatcheck.cloud.permission_requests import (
    MAX_PENDING,
    DecidedError,
    PermissionRequests,
    UnknownRequestError,
)

YES, NO = GateOption(id="yes", label="Yes", effect="approve"), GateOption(id="no", label="No", effect="reject")
REQUEST = PermissionRequest(id="", title="execute make", kind="execute", options=(YES, NO), attempt=1)
# How long a test waits for a thread that hangs.
HANG = 240


def job_of(task: str = "task_1") -> Job:
    """Return an attempt of a task."""
    return Job(
        task_id=task,
        attempt_id=f"{task}~1",
        number=1,
        total=1,
        environment_id="e",
        source="",
        branch="main",
        prompt="p",
    )


class RequestsWithGates:
    """The requests of a server; what they resolve to, and what is shown, in queues."""

    def __init__(self, gates: Callable[[], Gates] | None = None) -> None:
        self.answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.changes: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.requests = PermissionRequests(
            gates=gates, on_change=lambda _, request: self.changes.put(request and request.id), interval=0.01
        )

    def add(self, task: str = "task_1") -> str:
        id = self.requests.add(job_of(task), REQUEST, seconds=60, resolve=self.answers.put)
        assert id is not None
        return id

    def answer(self) -> str | None:
        return self.answers.get(timeout=HANG)


@pytest.fixture
def opened() -> Iterator[RequestsWithGates]:
    """Return requests without a store."""
    made = RequestsWithGates()
    with closing(made.requests):
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Callable[[], Gates]:
    """Return what opens the store of a user."""
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path)}
    return lambda: Gates(Config(environ=environ), clock=SystemClock())


@contextmanager
def requests_over(store: Callable[[], Gates]) -> Iterator[tuple[RequestsWithGates, Gates]]:
    """Yield requests with a store, and another connection to the same store."""
    opened = RequestsWithGates(store)
    with closing(store()) as gates:
        try:
            yield opened, gates
        finally:
            opened.requests.close()


def test_a_decision_resolves_a_request_once(opened: RequestsWithGates) -> None:
    """The same decision again is no error, another one names the first; nothing waits any more."""
    id = opened.add()
    shown = [request.id for request in opened.requests.of_task("task_1")]
    opened.requests.decide("task_1", id, "yes")
    opened.requests.decide("task_1", id, "yes")
    with pytest.raises(DecidedError, match="was decided before: yes"):
        opened.requests.decide("task_1", id, "no")

    assert ([id], "yes", []) == (shown, opened.answer(), opened.requests.of_task("task_1"))


@pytest.mark.parametrize(("task", "id"), [("task_1", "nothing"), ("task_2", None)])
def test_a_request_is_named_by_its_task_and_id(opened: RequestsWithGates, task: str, id: str | None) -> None:
    """Another id, and the id of another task, is unknown."""
    known = opened.add()
    with pytest.raises(UnknownRequestError):
        opened.requests.decide(task, id or known, "yes")

    assert [known] == [request.id for request in opened.requests.of_task("task_1")]


def test_an_option_that_is_not_offered_is_refused(opened: RequestsWithGates) -> None:
    """The error names the options, and the request still waits."""
    id = opened.add()
    with pytest.raises(ValueError, match="its options: yes, no"):
        opened.requests.decide("task_1", id, "maybe")

    assert 1 == len(opened.requests.of_task("task_1"))


def test_the_end_of_an_attempt_withdraws_its_requests(opened: RequestsWithGates) -> None:
    """Those of other attempts stay; a decision afterwards is refused."""
    id, other = opened.add(), opened.add("task_2")
    opened.requests.withdraw_all("task_1~1")
    with pytest.raises(DecidedError, match="nobody decided in time"):
        opened.requests.decide("task_1", id, "yes")

    assert (None, [other]) == (opened.answer(), [request.id for request in opened.requests.of_task("task_2")])


def test_a_flood_of_requests_is_refused(opened: RequestsWithGates) -> None:
    """More than a person can decide are not added; other tasks have their own."""
    for _ in range(MAX_PENDING):
        opened.add()
    refused = opened.requests.add(job_of(), REQUEST, seconds=None, resolve=opened.answers.put)

    assert (None, MAX_PENDING) == (refused, len(opened.requests.of_task("task_1")))
    assert opened.add("task_2")


def test_a_gate_in_the_store_decides(store: Callable[[], Gates]) -> None:
    """The gate has the options and the deadline; its decision is the agent's answer, and is carried out."""
    with requests_over(store) as (opened, gates):
        opened.add()
        opened.changes.get(timeout=HANG)
        (gate,) = gates.list()
        gates.decide(gate, "approve", why="read it")
        answer = opened.answer()
        opened.changes.get(timeout=HANG)
    with closing(store()) as gates:
        stored = gates.store.get(gate.id)

    assert ("local:task_1", "permission", ("yes", "no")) == (gate.subject, gate.kind, tuple(o.id for o in gate.options))
    assert ("yes", "approved", True) == (answer, stored.state, stored.is_done)


@pytest.mark.parametrize(("end", "state"), [("decide", "rejected"), ("withdraw", "withdrawn")])
def test_a_gate_follows_its_request(store: Callable[[], Gates], end: str, state: str) -> None:
    """A decision by the API is stored; a request that is withdrawn withdraws its gate."""
    with requests_over(store) as (opened, gates):
        id = opened.add()
        opened.changes.get(timeout=HANG)
        (gate,) = gates.list()
        if end == "decide":
            opened.requests.decide("task_1", id, "no")
        else:
            opened.requests.withdraw(id)
        answer = opened.answer()
    with closing(store()) as gates:
        stored = gates.store.get(gate.id)

    assert ("no" if end == "decide" else None, state) == (answer, stored.state)


def test_a_policy_decides_before_a_request_is_shown(tmp_path: Path, store: Callable[[], Gates]) -> None:
    """Nobody sees it as waiting, and the log has the policy."""
    (tmp_path / "coatcheck").mkdir()
    policy = '[gates.policies.no-make]\ndecision = "reject"\nkinds = ["permission"]\ntitles = ["*make*"]\n'
    (tmp_path / "coatcheck" / "config.toml").write_text(policy)
    with requests_over(store) as (opened, gates):
        opened.add()
        answer = opened.answer()
        opened.requests.close()
        (gate,) = gates.list(state="rejected")

    assert ("no", "policy:no-make", True) == (answer, gate.decision and gate.decision.by, opened.changes.empty())


def test_a_store_that_cannot_be_used_leaves_the_api(caplog: pytest.LogCaptureFixture) -> None:
    """The request is shown, and decided by the API; the log has the reason."""

    class Broken:
        def open(self, _: object) -> Any:
            raise errors.StoreError("the disk is full")

        def close(self) -> None: ...

    opened = RequestsWithGates(Broken)  # type: ignore[arg-type] # as much of it as is used
    id = opened.add()
    opened.changes.get(timeout=HANG)
    opened.requests.decide("task_1", id, "yes")
    opened.requests.close()

    assert ("yes", True) == (opened.answer(), "the disk is full" in caplog.text)


def test_gates_of_an_earlier_server_are_withdrawn(store: Callable[[], Gates]) -> None:
    """Those of other tasks stay open."""
    with requests_over(store) as (opened, _):
        for task in ("task_1", "task_2"):
            opened.add(task)
            opened.changes.get(timeout=HANG)
        later = RequestsWithGates(store)
        later.requests.withdraw_stored("task_1")
        later.requests.close()
        with closing(store()) as gates:
            subjects = [gate.subject for gate in gates.list()]

    assert ["local:task_2"] == subjects
