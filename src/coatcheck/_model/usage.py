"""Usage and rate limits, and when they reset. None where the service reports nothing; nothing is estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime


class RateWindow(Value, frozen=True, kw_only=True):
    """A span of time in which only so much may be used.

    `name` is the service's ("primary", "secondary", ...). Read `seconds`, never assume five hours and a week:
    the windows differ by plan (docs/reference/protocols/codex-wham.md, 7.1). Where the service reports nothing, `used`
    is the number of submissions of this machine and `is_counted_here` is True; other uses of the account are not
    counted.
    """

    name: str
    used_percent: float | None = None
    seconds: int | None = None
    resets_after: float | None = None
    resets_at: datetime | None = None
    limit: float | None = None
    remaining: float | None = None
    used: float | None = None
    is_counted_here: bool = False

    _json: ClassVar[JsonFields] = {
        "name": "the service's name",
        "used_percent": "how much is used",
        "seconds": "how long the window is",
        "resets_after": "seconds until it resets",
        "resets_at": "when it resets",
        "limit": "how much there is",
        "remaining": "how much is left",
        "used": "how much is used",
        "is_counted_here": "whether `used` counts the submissions of this machine, since the service reports nothing",
    }


class RateLimit(Value, frozen=True, kw_only=True):
    """One limit with its windows. `name` is for people, `feature` is the key it is metered under."""

    name: str | None = None
    feature: str | None = None
    is_allowed: bool | None = None
    is_reached: bool | None = None
    limit: float | None = None
    remaining: float | None = None
    resets_after: float | None = None
    plan: str | None = None
    windows: tuple[RateWindow, ...] = ()

    _json: ClassVar[JsonFields] = {
        "name": "its name",
        "feature": "what it is metered under",
        "is_allowed": "whether more requests are allowed now",
        "is_reached": "whether it is used up",
        "limit": "how much there is",
        "remaining": "how much is left",
        "resets_after": "seconds until it resets",
        "plan": "the plan it belongs to",
        "windows": "window objects",
    }


class Credits(Value, frozen=True, kw_only=True):
    """Credits bought beside the plan; `balance` is text because the service sends text."""

    has_credits: bool | None = None
    is_unlimited: bool | None = None
    balance: str | None = None

    _json: ClassVar[JsonFields] = {
        "has_credits": "whether there are any",
        "is_unlimited": "whether they never end",
        "balance": "how many, as text",
    }


class SpendControl(Value, frozen=True, kw_only=True):
    """A ceiling that a workspace set for this member."""

    is_reached: bool | None = None
    limit: str | None = None
    used: str | None = None
    remaining: str | None = None
    used_percent: float | None = None
    remaining_percent: float | None = None
    resets_after: float | None = None
    resets_at: datetime | None = None

    _json: ClassVar[JsonFields] = {
        "is_reached": "whether the ceiling is reached",
        "limit": "the ceiling",
        "used": "what is used",
        "remaining": "what is left",
        "used_percent": "what is used, in percent",
        "remaining_percent": "what is left, in percent",
        "resets_after": "seconds until it resets",
        "resets_at": "when it resets",
    }


class Usage(Value, frozen=True, kw_only=True):
    """What the account has used.

    `rate_limit` is the account's own limit, `extra_limits` the ones metered beside it; `reached` is the service's
    word for the limit that stops the account now.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"raw"})

    plan: str | None = None
    rate_limit: RateLimit | None = None
    extra_limits: tuple[RateLimit, ...] = ()
    credits: Credits | None = None
    spend_control: SpendControl | None = None
    reached: str | None = None
    reset_credits: int | None = None
    raw: bytes = b""

    _json: ClassVar[JsonFields] = {
        "plan": "the plan",
        "rate_limit": "the account's limit: rate limit object",
        "extra_limits": "limits metered beside it: rate limit objects",
        "credits": "credits object",
        "spend_control": "spend control object",
        "reached": "the limit that stops the account now",
        "reset_credits": "how often the limit may be reset",
    }

    def window(self, name: str) -> RateWindow | None:
        """Return the account's window called *name*, None where the plan has none."""
        windows = self.rate_limit.windows if self.rate_limit else ()
        return next((window for window in windows if window.name == name), None)
