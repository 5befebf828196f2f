from __future__ import annotations

import pytest

from coatcheck._cli import context
from coatcheck._cli.context import ProgressClock


def test_a_long_sleep_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep takes as long as requested, and calls back at every tick."""
    monkeypatch.setattr(context, "TICK", 0.002)
    ticks: list[float] = []
    clock = ProgressClock(lambda: ticks.append(clock.monotonic()))
    start = clock.monotonic()
    clock.sleep(0.01)

    assert ticks[-1] - start >= 0.01
    assert len(ticks) >= 2
