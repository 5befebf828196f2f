"""The engine conformance suite: what every engine does, with a service that has no idempotency keys, and counts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from pathlib import Path
from threading import Event

import pytest
from tests.engines.conftest import ENGINES
from tests.engines.engine_fixture import EngineFixture
from tests.store.postgres_server import postgres_server

from coatcheck._runtime.system_clock import SystemClock

EVERY = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@EVERY
def test_each_task_is_sent_and_delivered_once(engine: EngineFixture) -> None:
    """Every item is submitted once and delivered once, and the worker ends when the fleet is done."""
    with engine.serving(items=12):
        code = engine.start().wait(240)

    assert (engine.expected, 0, "delivered\n") == (engine.result(), code, engine.log)


@pytest.mark.slow
@EVERY
def test_killed_workers_lose_nothing(engine: EngineFixture) -> None:
    """Workers that are killed at any moment leave nothing unsent and nothing sent or delivered twice."""
    with engine.serving(items=12):
        for _ in range(2):
            worker = engine.start()
            engine.service.arm(worker.kill, within=12)
            worker.wait(240)
        engine.start().wait(240)

    assert engine.expected == engine.result()


@pytest.mark.parametrize("engine", [ENGINES[-1]], indirect=True)
def test_takeover(engine: EngineFixture) -> None:
    """Another worker finishes what a killed one had begun."""
    with engine.serving(items=24):
        killed, other = engine.start(), engine.start()
        engine.service.arm(killed.kill, within=24)
        codes = [killed.wait(240), other.wait(240)]

    assert (engine.expected, [-signal.SIGKILL, 0]) == (engine.result(), codes)


@pytest.mark.parametrize("engine", [ENGINES[-1]], indirect=True)
def test_zombie(engine: EngineFixture) -> None:
    """A worker that is stopped in the middle of submissions, and comes back after its jobs were taken, sends nothing twice."""
    with engine.serving(items=24):
        stopped, other = engine.start(), engine.start()
        is_stopped = threading.Event()

        def stop() -> None:
            stopped.send_signal(signal.SIGSTOP)
            is_stopped.set()

        engine.service.arm(stop, within=12)
        while not is_stopped.wait(0.1) and other.poll() is None:
            pass  # on a busy machine a worker takes seconds to start
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(3 * engine.heartbeat)
        stopped.send_signal(signal.SIGCONT)
        codes = [stopped.wait(240), other.wait(240)]

    assert (engine.expected, [0, 0]) == (engine.result(), codes)


class ShiftedClock(SystemClock):
    """A clock whose time was set."""

    shift = 0.0

    def time(self) -> float:
        """Return the time that was set."""
        return super().time() + self.shift


@EVERY
@pytest.mark.parametrize("shift", [3600.0, -3600.0])
def test_clock(engine: EngineFixture, shift: float) -> None:
    """A clock that is set by an hour in the middle of submissions stops nothing, and sends nothing twice."""
    clock = ShiftedClock()
    with engine.serving(items=8):
        engine.service.arm(lambda: setattr(clock, "shift", shift), within=8)
        engine.work(clock)

    assert (engine.expected, shift) == (engine.result(), clock.shift)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["loop", "pgqueuer"])
def test_restart(name: str, tmp_path: Path) -> None:
    """Workers go on by themselves after the database server was stopped at once and started again."""
    with postgres_server() as server:
        engine = EngineFixture(name, server.url, tmp_path)
        with engine.serving(items=24):
            is_stopped = Event()
            engine.service.arm(lambda: (server.stop(), is_stopped.set()), within=48)
            worker = engine.start()
            assert is_stopped.wait(240)
            while worker.poll() is None and "again" not in engine.log:
                is_stopped.wait(0.05)
            server.start()
            code = worker.wait(240)
        result = engine.result()

    assert (engine.expected, 0, False) == (result, code, "Traceback" in engine.log)


@pytest.mark.parametrize("engine", [ENGINES[-1]], indirect=True)
def test_pacing(engine: EngineFixture) -> None:
    """Two workers keep the rate of an account together: at most one in twenty submissions is refused."""
    rate, seconds, slots = 5, 3, 16
    engine.service.refuse_above(rate * seconds + slots, seconds)  # a worker that is slow sends what its slots held
    with engine.serving(items=40):
        workers = [engine.start(COATCHECK_TEST_RATE=str(rate)) for _ in range(2)]
        codes = [worker.wait(240) for worker in workers]

    assert (engine.expected, [0, 0], True) == (engine.result(), codes, engine.service.refused <= 2)


@pytest.mark.parametrize("engine", [ENGINES[-1]], indirect=True)
def test_a_run_beside_a_worker(engine: EngineFixture) -> None:
    """`fleet run` and workers may work on the same fleet at once."""
    with engine.serving(items=24):
        worker = engine.start()
        engine.name = "loop"
        codes = [engine.start().wait(240), worker.wait(240)]

    assert (engine.expected, [0, 0]) == (engine.result(), codes)
