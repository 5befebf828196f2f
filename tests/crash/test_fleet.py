"""A fleet that is killed at any moment: each task is submitted once, each item delivered once.

The service has no idempotency keys, and counts.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.crash import fleet_worker

from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import CloudEnvironment, ScriptedCloud, serving

# Read now: each test has an environment in which nothing is set. How many items, and how many kills.
ITEMS, KILLS = (int(each) for each in (os.environ.get("COATCHECK_FLEET") or "500,3").split(","))
WORKER = Path(fleet_worker.__file__)


class KillingService:
    """A cloud that kills the worker before or after it answers a request, whose number is chosen at random."""

    def __init__(self, source: random.Random) -> None:
        environment = CloudEnvironment(id="env_1", label="acme/api", repository="acme/api")
        self.cloud = ScriptedCloud(["in_progress", "completed"], environments=[environment], clock=SystemClock())
        self._random, self._requests, self._worker = source, 0, None

    def arm(self, worker: subprocess.Popen[str], within: int) -> None:
        """Kill *worker* at one of the next requests."""
        self._requests, self._worker = self._random.randrange(1, within), worker

    def handle(self, request: Request) -> Response:
        """Answer, and kill."""
        self._requests -= 1
        is_due, is_before = self._requests == 0, self._random.random() < 0.5
        if is_due and is_before and self._worker is not None:
            self._worker.kill()
        response = self.cloud.handle(request)
        if is_due and not is_before and self._worker is not None:
            self._worker.kill()
        return response


def check(folder: Path, items: int, kills: int) -> None:
    """Kill so many workers, let another one finish, and compare what was sent and delivered with the items."""
    service = KillingService(random.Random(items))
    with serving(service) as url:
        arguments = [sys.executable, str(WORKER), str(folder), url, service.cloud.tokens.access_token]
        killed = 0
        for number in range(kills + 1):
            with subprocess.Popen([*arguments, str(items)], stdout=subprocess.PIPE, text=True, cwd=folder) as worker:
                if number < kills:
                    service.arm(worker, within=2 * items // kills)
                printed, _ = worker.communicate()
            killed += worker.returncode != 0
    session = fleet_worker.session_of(folder, url, "")
    status = session.control.status("crash")
    events = [each.event.type for each in session.control.events("crash", limit=20 * items)]
    sent = Counter(task.rounds[0].prompt for task in service.cloud.tasks)
    session.close()

    assert ({"delivered": items}, {1}, items, items, items, kills) == (
        dict(status.items),
        set(sent.values()),
        len(sent),
        len(list((folder / "delivered").iterdir())),
        events.count("item.delivered"),
        killed,
    )
    assert printed.endswith("delivered\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_fleet_sends_and_delivers_once(tmp_path: Path) -> None:
    """Two kills; `make crash` has more of both."""
    check(tmp_path, 24, 2)


@pytest.mark.crash
@pytest.mark.timeout(3600)
def test_a_large_fleet_sends_and_delivers_once(tmp_path: Path) -> None:
    """Each task once and each delivery once, whenever the process is killed (FLEET=items,kills)."""
    check(tmp_path, ITEMS, KILLS)
