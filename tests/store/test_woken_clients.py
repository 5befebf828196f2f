"""Clients whose waits end with deliveries that another process writes into the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import History, TaskState
from coatcheck._store.location import open_database
from coatcheck._store.received import ReceivedStore
from coatcheck.testing import FakeClock


class EventfulClock(FakeClock):
    """A clock that calls a function once, at a time in seconds after the start."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self._at = self.time() + at
        self.start = self.time()
        self.action: Callable[[], object] | None = None

    def _run_due(self) -> None:
        if self.action is not None and self.time() >= self._at:
            action, self.action = self.action, None
            action()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._run_due()

    async def asleep(self, seconds: float) -> None:
        await super().asleep(seconds)
        self._run_due()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("has_server", [True, False])
def test_a_wait_ends_within_a_second_of_a_delivery(variant: str, has_server: bool, tmp_path: Path) -> None:
    """A wait with a pause of five minutes ends when another process has received a delivery."""
    clock = EventfulClock(at=100.0)
    database = open_database(str(tmp_path))
    received = ReceivedStore(database, time=clock.time)
    service = ToyService(states=("working", "done"))
    service.create({"prompt": "p", "attempts": 1})
    history = History(str(tmp_path), clock=clock)
    client = Both(variant, ToyProvider(), service, clock=clock, wakes=history.wakes)

    def deliver() -> None:
        if has_server:
            received.beat("p1")
        received.receive(sender="coatcheck", id="d1", names=["toy:t1"])

    clock.action = deliver
    task = client.poll_task("t1", interval=300.0)
    seconds = clock.time() - clock.start
    history.close()
    database.close()

    assert (TaskState.SUCCEEDED, True) == (task.state, 100.0 <= seconds <= 101.0)
