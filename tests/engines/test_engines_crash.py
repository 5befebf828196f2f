"""What takes minutes: ``make crash ENGINE=pgqueuer FLEET=5000,10`` kills a large fleet, CRASH=200,20 stops 20 workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading

import pytest
from tests.engines.engine_fixture import EngineFixture
from tests.store.conftest import TEST_DATABASE
from tests.store.postgres_server import BINARIES

# Read now: each test has an environment in which nothing is set.
NAME = os.environ.get("COATCHECK_ENGINE") or "pgqueuer"
ITEMS, KILLS = (int(each) for each in (os.environ.get("COATCHECK_FLEET") or "500,3").split(","))
ROUNDS = int((os.environ.get("COATCHECK_CRASH") or "200,20").split(",")[1])
CHOSEN = {"loop": "loop-sqlite"}.get(NAME, NAME)  # or "loop-postgres"
HAS_POSTGRES = bool(TEST_DATABASE) or BINARIES.is_dir()

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(
        CHOSEN != "loop-sqlite" and not HAS_POSTGRES,
        reason="there is no PostgreSQL: run make peers, or set COATCHECK_TEST_DATABASE",
    ),
]


@pytest.mark.parametrize("engine", [CHOSEN], indirect=True)
def test_a_large_fleet_survives_kills(engine: EngineFixture) -> None:
    """Each task once and each delivery once, whenever its workers are killed."""
    with engine.serving(items=ITEMS):
        for _ in range(KILLS):
            worker = engine.start()
            engine.service.arm(worker.kill, within=2 * ITEMS // KILLS)
            worker.wait(3600)
        engine.start().wait(7200)

    assert engine.expected == engine.result()


@pytest.mark.skipif(CHOSEN != "pgqueuer", reason="one process works on the fleets of a folder")
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("engine", ["pgqueuer"], indirect=True)
def test_stopped_workers_come_back(engine: EngineFixture, number: int) -> None:
    """A worker that is stopped at any moment, and comes back after its jobs were taken, sends and delivers nothing twice."""
    engine.service.seed(number)
    with engine.serving(items=40):
        stopped, other = engine.start(), engine.start()
        is_stopped = threading.Event()

        def stop() -> None:
            stopped.send_signal(signal.SIGSTOP)
            is_stopped.set()

        engine.service.arm(stop, within=80)
        while not is_stopped.wait(0.1) and other.poll() is None:
            pass
        engine.service.arm(lambda: None, within=1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(3 * engine.heartbeat)
        stopped.send_signal(signal.SIGCONT)
        codes = [stopped.wait(600), other.wait(600)]

    assert (engine.expected, [0, 0]) == (engine.result(), codes)
