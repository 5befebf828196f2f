"""Read and write times as RFC 3339 does; the only module that does so.

`parse_time` also reads the other forms of ISO 8601 that `datetime.fromisoformat` reads, because services send them.
"""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: str) -> datetime:
    """Return the time in *text*, in UTC where it names no zone. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(seconds: float, *, timespec: str = "seconds") -> str:
    """Return a time in seconds since the epoch as RFC 3339, in UTC with a "Z" (section 5.6).

    *timespec* is as in `datetime.isoformat`.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
