from __future__ import annotations

import pytest
from coatcheck._cli.wait_progress import ProgressClock

from coatcheck._cli import progress_clock


def test_a_long_sleep_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep is as long as it was asked to be, and tells every tick of it."""
    monkeypatch.setattr(progress_clock, "TICK", 0.002)
    ticks: list[float] = []
    clock = ProgressClock(lambda: ticks.append(clock.monotonic()))
    start = clock.monotonic()
    clock.sleep(0.01)

    assert ticks[-1] - start >= 0.01
    assert len(ticks) >= 2
