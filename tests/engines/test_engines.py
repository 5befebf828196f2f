"""The engine conformance suite: what every engine does, with a service that has no idempotency keys, and counts."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import pytest
from tests.engines.conftest import ENGINES
from tests.engines.engine_fixture import EngineFixture

EVERY = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@EVERY
def test_each_task_is_sent_and_delivered_once(engine: EngineFixture) -> None:
    """Every item is submitted once and delivered once, and the worker ends when the fleet is done."""
    with engine.serving(items=12):
        code = engine.start().wait(240)

    assert (engine.expected, 0, "delivered\n") == (engine.result(), code, engine.log)


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
        engine.service.arm(lambda: stopped.send_signal(signal.SIGSTOP), within=12)
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(3 * engine.heartbeat)
        stopped.send_signal(signal.SIGCONT)
        codes = [stopped.wait(240), other.wait(240)]

    assert (engine.expected, [0, 0]) == (engine.result(), codes)
