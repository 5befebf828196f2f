"""When a service says "not before": ``Retry-After`` in every form seen, as seconds from now.

RFC 9110 section 10.2.3 (seconds or a date), Azure's ``retry-after-ms`` and ``x-ms-retry-after-ms``, Amazon's
``x-amz-retry-after`` (services.md 6), and GitHub's ``x-ratelimit-reset`` beside ``x-ratelimit-remaining: 0`` (services.md 1.4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after")


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds to wait, None when the service did not say (or said nonsense). Never negative.

    A date is measured against the answer's own ``Date`` header where there is one, so that clocks may differ.
    """
    for name in MILLISECONDS:
        if (milliseconds := _number(headers.get(name))) is not None:
            return milliseconds / 1000
    if (value := headers.get("retry-after")) is not None:
        return _seconds_or_date(value, headers, now)
    if headers.get("x-ratelimit-remaining") == "0" and (reset := _number(headers.get("x-ratelimit-reset"))) is not None:
        return max(0.0, reset - _now(headers, now))
    return None


def is_throttled(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer says "too fast": 429, or GitHub's 403 that says when to come back (services.md 1.4)."""
    says_when = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return status == 429 or (status == 403 and says_when)


def _seconds_or_date(value: str, headers: Mapping[str, str], now: float | None) -> float | None:
    seconds = _number(value)
    if seconds is not None:
        return seconds
    at = _date(value)
    return None if at is None else max(0.0, at - _now(headers, now))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _now(headers: Mapping[str, str], now: float | None) -> float:
    if now is not None:
        return now
    return _date(headers.get("date", "")) or time.time()


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # 10 ms to import, and dates are rare

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
