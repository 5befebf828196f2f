"""When tokens must be read again or refreshed: one table, no I/O.

- An own login is refreshed early, so that no request waits for it.
- A shared login is first read again (its owner may refresh it), and refreshed only in the last minute.
- A login that is only read is never refreshed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime

from .._protocol.login_contract import Tokens
from .._values.hashes import hash_function

# The official client refreshes from five minutes before the end (docs/reference/protocols/codex-wham.md, 6.3), so a
# shared login that has less left is probably being refreshed by another program.
EARLY = 300.0
# The longest request that we make takes a minute; a token that ends during one is a 401.
LATE = 60.0
# Tokens without an expiry are refreshed at this age (6.3).
SCHEDULE = 8 * 86_400.0
# How often a shared login is read again while its owner may refresh it, and how soon a token that has
# a very short life is checked again (seconds). Thousands of polls need a secret; the file is read ten times a minute.
CHECK_EVERY = 6.0
# The pause after an early refresh failed, before jitter (seconds): four or five tries before it becomes mandatory.
TRY_EVERY = 50.0


class Mode(enum.Enum):
    """Who refreshes a login: we do, we do in the last minute, or only its owner."""

    OWN = "own"
    SHARED = "shared"
    READONLY = "shared-readonly"


class RefreshNeed(enum.IntEnum):
    """What a login needs now: nothing, reading it again, an early refresh, a refresh in the last minute."""

    NOTHING = 0
    READ = 1
    TRY = 2
    MUST = 3


# mode -> what the time from `EARLY` on, from `LATE` on, and after `SCHEDULE` requires
NEEDS: Mapping[Mode, tuple[RefreshNeed, RefreshNeed, RefreshNeed]] = {
    Mode.OWN: (RefreshNeed.TRY, RefreshNeed.MUST, RefreshNeed.TRY),
    Mode.SHARED: (RefreshNeed.READ, RefreshNeed.MUST, RefreshNeed.TRY),
    Mode.READONLY: (RefreshNeed.READ, RefreshNeed.READ, RefreshNeed.NOTHING),
}


def need_of(tokens: Tokens, *, mode: Mode, now: float) -> RefreshNeed:
    """Return what *tokens* need at *now*; without a refresh token they can only be read again."""
    early, late, scheduled = NEEDS[mode if tokens.refresh_token else Mode.READONLY]
    if tokens.expires_at is None:
        is_due = tokens.last_refresh is not None and tokens.last_refresh + SCHEDULE <= now
        return scheduled if is_due else RefreshNeed.NOTHING
    if tokens.expires_at <= now + LATE:
        return late
    return early if tokens.expires_at <= now + EARLY else RefreshNeed.NOTHING


def due_at(tokens: Tokens) -> float:
    """Return when *tokens* first need something; never is infinity."""
    if tokens.expires_at is not None:
        return tokens.expires_at - EARLY
    return float("inf") if tokens.last_refresh is None else tokens.last_refresh + SCHEDULE


def next_check(tokens: Tokens, *, now: float, pause: float = CHECK_EVERY) -> float:
    """Return when to check tokens again that were checked *now*: when they are due, or after *pause* if they are.

    Never later than the moment at which a refresh becomes mandatory, unless that is past as well.
    """
    if (due := due_at(tokens)) > now:
        return due
    late = float("inf") if tokens.expires_at is None else tokens.expires_at - LATE
    return min(now + pause, late) if late > now else now + min(pause, CHECK_EVERY)


def has_ended(tokens: Tokens, now: float) -> bool:
    """Whether the access token has expired."""
    return tokens.expires_at is not None and tokens.expires_at <= now


def same_account(one: Tokens, other: Tokens) -> bool:
    """Whether both name the same account; where only one names any, they may be two people's."""
    return one.account_id == other.account_id


def is_newer(found: Tokens, held: Tokens) -> bool:
    """Whether *found* is something other than what we hold."""
    return (found.access_token, found.refresh_token) != (held.access_token, held.refresh_token)


def fingerprint(token: str) -> str:
    """Return what may be stored to recognize a token: 128 bits of its SHA-256."""
    digest: str = hash_function("sha256")(token.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:32]


def to_datetime(seconds: float | None) -> datetime | None:
    """Return a time in UTC; None where there is none or the calendar has no such year."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moment(seconds: float | None) -> str:
    """Return a time as shown to people."""
    time = to_datetime(seconds)
    return time.strftime("%Y-%m-%d %H:%M UTC") if time else "an unknown time"
