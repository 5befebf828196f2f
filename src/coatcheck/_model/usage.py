"""What is used, and when it comes back. None means that the service did not say; nothing is estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .json_fields import Fields, many, maybe
from .value import Value

if TYPE_CHECKING:
    from datetime import datetime


class RateWindow(Value, frozen=True, kw_only=True):
    """A span of time in which only so much may be used.

    `name` is the service's ("primary", "secondary", ...). Read `seconds`, never assume five hours and a week:
    the windows differ by plan (codex-wham.md 7.1). Where the service tells nothing, `is_counted_here` says that `used`
    is the number of submissions that this machine has made, whatever others did with the account.
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


class Credits(Value, frozen=True, kw_only=True):
    """Credits bought beside the plan; `balance` is text because the service sends text."""

    has_credits: bool | None = None
    is_unlimited: bool | None = None
    balance: str | None = None


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

    def window(self, name: str) -> RateWindow | None:
        """Return the account's window called *name*, None where the plan has none."""
        windows = self.rate_limit.windows if self.rate_limit else ()
        return next((window for window in windows if window.name == name), None)


# --- what programs are told --------------------------------------------------------------------------------------------

WINDOW: Fields[RateWindow] = {
    "name": ("the service's name", lambda w: w.name),
    "used_percent": ("how much is used", lambda w: w.used_percent),
    "seconds": ("how long the window is", lambda w: w.seconds),
    "resets_after": ("seconds until it resets", lambda w: w.resets_after),
    "resets_at": ("when it resets", lambda w: w.resets_at),
    "limit": ("how much there is", lambda w: w.limit),
    "remaining": ("how much is left", lambda w: w.remaining),
    "used": ("how much is used", lambda w: w.used),
    "is_counted_here": (
        "whether `used` is what this machine submitted, since the service tells nothing",
        lambda w: w.is_counted_here,
    ),
}

RATE_LIMIT: Fields[RateLimit] = {
    "name": ("its name", lambda r: r.name),
    "feature": ("what it is metered under", lambda r: r.feature),
    "is_allowed": ("whether more may be asked now", lambda r: r.is_allowed),
    "is_reached": ("whether it is used up", lambda r: r.is_reached),
    "limit": ("how much there is", lambda r: r.limit),
    "remaining": ("how much is left", lambda r: r.remaining),
    "resets_after": ("seconds until it resets", lambda r: r.resets_after),
    "plan": ("the plan it belongs to", lambda r: r.plan),
    "windows": ("window objects", lambda r: many(WINDOW, r.windows)),
}

CREDITS: Fields[Credits] = {
    "has_credits": ("whether there are any", lambda c: c.has_credits),
    "is_unlimited": ("whether they never end", lambda c: c.is_unlimited),
    "balance": ("how many, as text", lambda c: c.balance),
}

SPEND_CONTROL: Fields[SpendControl] = {
    "is_reached": ("whether the ceiling is reached", lambda s: s.is_reached),
    "limit": ("the ceiling", lambda s: s.limit),
    "used": ("what is used", lambda s: s.used),
    "remaining": ("what is left", lambda s: s.remaining),
    "used_percent": ("what is used, in percent", lambda s: s.used_percent),
    "remaining_percent": ("what is left, in percent", lambda s: s.remaining_percent),
    "resets_after": ("seconds until it resets", lambda s: s.resets_after),
    "resets_at": ("when it resets", lambda s: s.resets_at),
}

USAGE: Fields[Usage] = {
    "plan": ("the plan", lambda u: u.plan),
    "rate_limit": ("the account's limit: rate limit object", lambda u: maybe(RATE_LIMIT, u.rate_limit)),
    "extra_limits": ("limits metered beside it: rate limit objects", lambda u: many(RATE_LIMIT, u.extra_limits)),
    "credits": ("credits object", lambda u: maybe(CREDITS, u.credits)),
    "spend_control": ("spend control object", lambda u: maybe(SPEND_CONTROL, u.spend_control)),
    "reached": ("the limit that stops the account now", lambda u: u.reached),
    "reset_credits": ("how often the limit may be reset", lambda u: u.reset_credits),
}
