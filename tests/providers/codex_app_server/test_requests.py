"""How many requests a watch of many threads takes, of a host and of Codex Cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import pytest
from tests.providers.codex_app_server import host_support
from tests.providers.codex_app_server.cloud import cloud_support

from coatcheck import errors
from coatcheck.testing.emulators.codex_threads import Item, Step

TASKS, SECONDS, POLL = 20, 600.0, 5.0
# A tenth of one poll of each task every five seconds.
GOAL = TASKS * SECONDS / POLL / 10


@pytest.mark.parametrize("support", [host_support, cloud_support], ids=["host", "cloud"])
@pytest.mark.parametrize(("step_seconds", "ended"), [(12.0, TASKS), (2 * SECONDS, 0)], ids=["ending", "running"])
def test_a_watch_takes_a_tenth_of_polling(support: Any, step_seconds: float, ended: int) -> None:
    """Ten minutes of a watch take at most a tenth of polling, and twenty ends at different times no twenty pages."""
    count = iter(range(TASKS))

    def life(prompt: str) -> Iterable[Step]:
        for number in range(next(count)):
            yield Item("agentMessage", text=f"Message {number}", phase=None)

    client, emulator = support.connected("blocking", life, step_seconds=step_seconds)
    refs = [client.create_task(support.SPEC).ref for _ in range(TASKS)]
    emulator.requests.clear()
    ends = []
    with contextlib.suppress(errors.WaitTimeoutError):
        ends = [event for event in client.watch_tasks(refs, timeout=SECONDS) if event.type == "task.succeeded"]
    pages = emulator.seen("list_tasks")

    assert (ended, True, True) == (len(ends), len(emulator.requests) <= GOAL, len(pages) <= 2 + 2 * SECONDS / 60)
