"""Times as RFC 3339 writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from coatcheck._values.rfc3339 import format_time, parse_time


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_time_is_read_back(seconds: int) -> None:
    """Reading what was written gives the same time."""
    moment = parse_time(format_time(seconds))

    assert datetime.fromtimestamp(seconds, UTC) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-28T07:38:10Z", datetime(2026, 11, 28, 7, 38, 10, tzinfo=UTC)),
        ("2026-11-28T07:38:10", datetime(2026, 11, 28, 7, 38, 10, tzinfo=UTC)),
        ("2026-11-28 07:38:10.25Z", datetime(2026, 11, 28, 7, 38, 10, 250_000, tzinfo=UTC)),
        ("2026-11-28T07:38:10+02:00", datetime(2026, 11, 28, 7, 38, 10, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_the_forms_of_a_time(text: str, expected: datetime) -> None:
    """A time without a zone is in UTC; fractions and offsets are kept."""
    moment = parse_time(text)

    assert (expected, expected.utcoffset()) == (moment, moment.utcoffset())


def test_the_form_that_is_written() -> None:
    """A time is written in UTC with a Z, with the requested number of digits."""
    written = (format_time(1.5), format_time(1.5, timespec="milliseconds"))

    assert ("1970-01-01T00:00:01Z", "1970-01-01T00:00:01.500Z") == written
