"""The header ``Retry-After`` and its relatives."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.retry_after import http_date, is_throttled, retry_after

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"
NOW = 1795168800.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": DATE}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT"}, 60.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}, 60.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ms-retry-after-ms": "500"}, 0.5),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 30:.0f}"}, 30.0),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": f"{NOW + 30:.0f}"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 0.0),
    ],
)
def test_every_form_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, dates, milliseconds and GitHub's reset are read; anything else counts as missing."""
    assert seconds == retry_after(headers, now=NOW)


@pytest.mark.parametrize(
    ("status", "headers", "is_limit"),
    [
        (429, {}, True),
        (403, {}, False),
        (403, {"retry-after": "60"}, True),
        (403, {"x-ratelimit-remaining": "0"}, True),
        (403, {"x-ratelimit-remaining": "7"}, False),
        (404, {"x-ratelimit-remaining": "0"}, False),
    ],
)
def test_a_rate_limit_may_be_403(status: int, headers: dict[str, str], *, is_limit: bool) -> None:
    """A 403 with a time is a rate limit of GitHub; a 403 without one is a refusal."""
    assert is_limit == is_throttled(status, headers)


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    """A date is compared with the response's Date header, so a wrong clock has no effect."""
    assert 30.0 == retry_after(
        {"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}
    )


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-remaining", "date"]),
        st.text(max_size=40),
    )
)
def test_any_header_is_read(headers: dict[str, str]) -> None:
    """Any header gives None or a number that is not negative."""
    seconds = retry_after(headers, now=NOW)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    "value",
    [
        "Fri, 20 Nov 2026 10:02:00 GMT",
        "Friday, 20-Nov-26 10:02:00 GMT",
        "Fri Nov 20 10:02:00 2026",
        "Fri, 20 Nov 2026 10:02:00",
        "Fri, 20 Nov 2026 10:02:00 -0000",
        "Fri, 20 Nov 2026 12:02:00 +0200",
        "Fri, 20 Nov 2026 05:02:00 -0500",
        "fri, 20 nov 2026 10:02:00 utc",
        "120",
        " 120\t",
        "000120",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_every_legal_form_is_utc_in_any_zone(value: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three forms of dates and seconds have the same meaning in any local time zone (RFC 9110, 5.6.7)."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        seconds = retry_after({"retry-after": value}, now=NOW)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert 120.0 == seconds


ALL_NAMES = ("retry-after", "retry-after-ms", "x-ms-retry-after-ms", "x-ratelimit-reset")


@pytest.mark.parametrize(
    "value",
    [
        *("1e3", "+5", "-5", "0x10", "1_000", "\uff17", "\u0667\u0660\u0660", "1.5", ".5", "5.", "5s", "5 5", "5, 6"),
        *("nan", "inf", "Infinity", "", " ", "\u00a05", "9" * 5000, str(2**31 + 1), "soon", "true", "null"),
        *("2026-11-20T10:02:00Z", "Fri, 32 Nov 2026 10:02:00 GMT", "Fri, 20 Foo 2026 10:02:00 GMT"),
        *("Fri, 20 Nov 2026 10:02:00 EST", "Fri, 20 Nov 2026 25:02:00 GMT", "Fri, 20 Nov 9999 10:02:00 GMT"),
        *("Fri, 20 Nov 2026", "20 Nov 2026 10:02:00 GMT", "Fri, 2\u0660 Nov 2026 10:02:00 GMT"),
    ],
)
def test_anything_else_counts_as_missing(value: str) -> None:
    """Text that neither grammar allows counts as missing."""
    names = ("retry-after",) if value == str(2**31 + 1) else ALL_NAMES  # a legal number of milliseconds
    headers = [{name: value, "x-ratelimit-remaining": "0"} for name in names]

    assert [None] * len(names) == [retry_after(each, now=NOW) for each in headers]


@pytest.mark.parametrize(("year", "whole"), [("94", 1994), ("76", 2076), ("77", 1977), ("00", 2000), ("26", 2026)])
def test_a_year_of_two_digits_is_at_most_fifty_years_ahead(year: str, whole: int) -> None:
    """A year of two digits that would be more than fifty years ahead is in the past (RFC 9110, 5.6.7)."""
    at = http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT", now=NOW)

    assert datetime(whole, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp() == at
