from __future__ import annotations

import math

from hypothesis import given, strategies as st

from coatcheck._runtime.system_clock import GRID, LONG, round_to_grid

moments = st.floats(0, 1e9)
long_naps = st.floats(LONG, 1e6)


@given(moments, long_naps)
def test_a_long_sleep_is_rounded_up_to_a_tick(now: float, seconds: float) -> None:
    """It is never shortened."""
    rounded = round_to_grid(seconds, now=now)

    assert seconds - 1e-6 <= rounded <= seconds + 1 / GRID + 1e-6


@given(moments, long_naps, st.floats(0, 1 / GRID))
def test_sleeps_that_end_in_one_tick_end_together(now: float, seconds: float, later: float) -> None:
    """A sleep that started a moment later ends at the same time, or one tick later."""
    first, second = (at + round_to_grid(seconds, now=at) for at in (now, now + later))

    assert min(abs(second - first), abs(second - first - 1 / GRID)) < 1e-6


@given(moments, st.floats(-1, LONG, exclude_max=True))
def test_a_short_sleep_is_exact(now: float, seconds: float) -> None:
    """Sleeps shorter than a limit are not rounded."""
    assert max(0.0, seconds) == round_to_grid(seconds, now=now)


def test_an_infinite_sleep_is_no_error() -> None:
    """A wait without an end is not an error."""
    assert math.inf == round_to_grid(math.inf, now=1.0)
