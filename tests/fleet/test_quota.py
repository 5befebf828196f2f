from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coatcheck import RateLimit, RateWindow, Usage
from coatcheck._fleet.quota import full_window

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, None),
        (RateLimit(), None),
        (RateLimit(windows=(RateWindow(name="day", limit=100, remaining=1),)), None),
        (RateLimit(windows=(RateWindow(name="day", limit=100, used=99),)), None),
        (RateLimit(windows=(RateWindow(name="day", used_percent=99.9),)), None),
        (RateLimit(windows=(RateWindow(name="day", limit=100, remaining=0, resets_after=60.0),)), 60.0),
        (RateLimit(windows=(RateWindow(name="day", limit=100, used=100, resets_at=NOW + timedelta(hours=1)),)), 3600.0),
        (
            RateLimit(windows=(RateWindow(name="5h"), RateWindow(name="week", used_percent=100.0, resets_after=9.0))),
            9.0,
        ),
        (RateLimit(is_reached=True, resets_after=5.0), 5.0),
        (RateLimit(is_allowed=False, resets_after=7.0), 7.0),
    ],
)
def test_a_full_window_has_its_time(limit: RateLimit | None, expected: float | None) -> None:
    """The first full window says for how long; a window that reports nothing is not full."""
    full = full_window(Usage(rate_limit=limit), NOW)

    assert expected == (full and full[0])
