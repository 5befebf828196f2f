"""Read how long a service wants clients to wait: ``Retry-After`` in every legal form, as seconds from now.

Invariants:
- seconds are ASCII digits and nothing else (RFC 9110, section 10.2.3): a sign, an exponent, a fraction or the digits of
  another script are no number, and more than 2^31 seconds is an overflow (RFC 9111, section 1.2.2);
- dates have one of the three forms of RFC 9110, section 5.6.7, and are UTC where they name no other zone;
- anything else counts as a missing header.

Read as well: Azure's ``retry-after-ms`` and ``x-ms-retry-after-ms``, Amazon's ``x-amz-retry-after``
(docs/reference/protocols/services.md, 6), and GitHub's ``x-ratelimit-reset`` beside ``x-ratelimit-remaining: 0``
(docs/reference/protocols/services.md, 1.4).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after")
MAX_SECONDS = 2**31

_DIGITS = r"[0-9]{1,20}"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# The grammar names GMT alone; "-0000" and a numeric zone (RFC 5322, section 3.3) are what mail libraries write.
_ZONE = r"(?: (?:gmt|utc?|z|(?P<sign>[+-])(?P<zone_hours>[0-9]{2})(?P<zone_minutes>[0-9]{2})))?"


@cache
def _dates() -> tuple[re.Pattern[str], ...]:
    """Return the three forms of a date, compiled when the first header is read."""
    forms = (
        rf"[a-z]{{3}}, (?P<day>[0-9]{{1,2}}) (?P<month>[a-z]{{3}}) (?P<year>[0-9]{{4}}) {_TIME}{_ZONE}",
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-(?P<month>[a-z]{{3}})-(?P<year>[0-9]{{2}}) {_TIME}{_ZONE}",
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) +(?P<day>[0-9]{{1,2}}) {_TIME} (?P<year>[0-9]{{4}}){_ZONE}",
    )
    return tuple(re.compile(form, re.IGNORECASE | re.ASCII) for form in forms)


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds to wait, None without a legal header. Never negative.

    A date is measured against the answer's own ``Date`` header where there is one, so that clocks may differ.
    """
    for name in MILLISECONDS:
        if (milliseconds := _number(headers.get(name))) is not None:
            return milliseconds / 1000
    if (value := headers.get("retry-after")) is not None:
        return _seconds_or_date(value, headers, now)
    if headers.get("x-ratelimit-remaining") == "0" and (reset := _number(headers.get("x-ratelimit-reset"))) is not None:
        return _until(float(reset), headers, now)
    return None


def is_throttled(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a response is a rate limit: 429, or GitHub's 403 with the time of the reset.

    See docs/reference/protocols/services.md, 1.4.
    """
    has_time = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return status == 429 or (status == 403 and has_time)


def _seconds_or_date(value: str, headers: Mapping[str, str], now: float | None) -> float | None:
    seconds = _number(value)
    if seconds is not None:
        return float(seconds) if seconds <= MAX_SECONDS else None
    at = http_date(value, now=now)
    return None if at is None else _until(at, headers, now)


def _until(at: float, headers: Mapping[str, str], now: float | None) -> float | None:
    seconds = max(0.0, at - _now(headers, now))
    return seconds if seconds <= MAX_SECONDS else None


def _number(text: str | None) -> int | None:
    text = (text or "").strip(" \t")  # optional white space round a field's value is none of it (RFC 9110, 5.5)
    return int(text) if re.fullmatch(_DIGITS, text) else None


def _now(headers: Mapping[str, str], now: float | None) -> float:
    if now is not None:
        return now
    date = http_date(headers.get("date", ""))
    return time.time() if date is None else date


def http_date(text: str, *, now: float | None = None) -> float | None:
    """Return a date of RFC 9110, section 5.6.7, in seconds since the epoch; None for anything else."""
    text = text.strip(" \t")
    found = next((match for form in _dates() if (match := form.fullmatch(text))), None)
    if found is None or (month := found["month"].lower()) not in _MONTHS:
        return None
    try:
        # A leap second (:60) is read as the second before it, which datetime can hold.
        time_of_day = int(found["hour"]), int(found["minute"]), min(int(found["second"]), 59)
        year = _whole_year(found["year"], now)
        at = datetime(year, _MONTHS.index(month) + 1, int(found["day"]), *time_of_day, tzinfo=UTC)
        return (at - _offset(found)).timestamp()
    except (ValueError, OverflowError):
        return None


def _whole_year(year: str, now: float | None) -> int:
    """Return a year of two digits as the last one that is at most 50 years ahead (RFC 9110, section 5.6.7)."""
    if len(year) == 4:
        return int(year)
    this_year = datetime.fromtimestamp(time.time() if now is None else now, UTC).year
    whole = this_year - this_year % 100 + int(year)
    if whole > this_year + 50:
        return whole - 100
    return whole + 100 if whole <= this_year - 50 else whole


def _offset(found: re.Match[str]) -> timedelta:
    if found["sign"] is None:
        return timedelta()
    offset = timedelta(hours=int(found["zone_hours"]), minutes=int(found["zone_minutes"]))
    return -offset if found["sign"] == "-" else offset
