"""Plans that wait for approval: decided once, approved once, and with a time limit."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from coatcheck import Plan, Task, TaskRef, TaskState
from coatcheck._engine.plan_approval import GRACE, Approvals
from coatcheck.testing.fake_clock import FakeClock

WAITING = Task(ref=TaskRef("toy", "1"), state=TaskState.INPUT_REQUIRED, plan=Plan(id="p"))


class Wait:
    """A wait with a decision, and what was done."""

    def __init__(self, *, decides: bool) -> None:
        self.clock, self.requested, self.approved = FakeClock(), 0, 0
        self._decides = decides
        self.approvals = Approvals(self.decide, self.approve, clock=self.clock)

    def decide(self, task: Task) -> bool:
        self.requested += 1
        return self._decides

    def approve(self) -> Generator[Any, Any, None]:
        self.approved += 1
        yield from ()

    def consider(self, task: Task) -> Task | None:
        """Return what ends the wait."""
        script = self.approvals.considered(task)
        try:
            while True:
                next(script)
        except StopIteration as stop:
            return stop.value


def test_a_wait_continues_after_an_approval() -> None:
    """It is decided once and approved once, however often the service shows it again."""
    wait = Wait(decides=True)

    assert [None, None] == [wait.consider(WAITING), wait.consider(WAITING)]
    assert (1, 1) == (wait.requested, wait.approved)


def test_a_plan_that_is_not_approved_ends_the_wait() -> None:
    """The task is handed out as it is."""
    wait = Wait(decides=False)

    assert (WAITING, 0) == (wait.consider(WAITING), wait.approved)


def test_an_ignored_approval_ends_the_wait_with_a_notice() -> None:
    """After the grace period the task is returned with a notice, and not approved again."""
    wait = Wait(decides=True)
    wait.consider(WAITING)
    wait.clock.advance(GRACE + 1)
    task = wait.consider(WAITING)

    assert (["approval_ignored"], 1) == ([notice.kind for notice in task.notices] if task else None, wait.approved)


@pytest.mark.parametrize(
    "task",
    [
        Task(ref=WAITING.ref, state=TaskState.INPUT_REQUIRED),
        Task(ref=WAITING.ref, state=TaskState.PAUSED, plan=Plan(id="p")),
        Task(ref=WAITING.ref, state=TaskState.SUCCEEDED, plan=Plan(id="p")),
    ],
)
def test_only_a_waiting_plan_is_decided(task: Task) -> None:
    """A question, a pause and an end are returned to the caller."""
    wait = Wait(decides=True)

    assert (task, 0) == (wait.consider(task), wait.requested)
