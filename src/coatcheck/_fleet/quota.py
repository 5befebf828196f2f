"""Whether the quota of an account is full, as the service reports it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .. import errors
from .._protocol.effects import Clock
from .._protocol.provider import Verb
from .services import ServiceClient

if TYPE_CHECKING:
    from .._model.usage import RateWindow, Usage

# How long what a service has reported is relied on (seconds).
FRESH_SECONDS = 300.0


class QuotaReader:
    """Reads the usage of accounts, each at most every `FRESH_SECONDS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read_at: dict[ServiceClient, float] = {}

    async def full_for(self, client: ServiceClient, *, is_refused: bool = False) -> tuple[float | None, str] | None:
        """Return for how many seconds the quota is full (None: not known) and why; None where it is not, or not known.

        After a submission that was refused (*is_refused*) the usage is read in any case.
        """
        now = self._clock.monotonic()
        if Verb.GET_USAGE not in client.capabilities.verbs:
            return None
        if not is_refused and now - self._read_at.get(client, -FRESH_SECONDS) < FRESH_SECONDS:
            return None
        self._read_at[client] = now
        try:
            usage = await client.get_usage()
        except errors.CoatcheckError:
            return None  # the submission itself reports what is wrong
        return full_window(usage, datetime.fromtimestamp(self._clock.time()).astimezone())


def full_window(usage: Usage, now: datetime) -> tuple[float | None, str] | None:
    """Return for how many seconds the first full window is full, and its name; None where none is."""
    limit = usage.rate_limit
    if limit is None:
        return None
    for window in limit.windows:
        if _is_full(window):
            resets_at = (window.resets_at - now).total_seconds() if window.resets_at else None
            seconds = window.resets_after if window.resets_after is not None else resets_at
            return seconds, f"the quota of its window {window.name} is used"
    if limit.is_reached or limit.is_allowed is False:
        return limit.resets_after, "its quota is used"
    return None


def _is_full(window: RateWindow) -> bool:
    if window.remaining is not None:
        return window.remaining <= 0
    if window.limit is not None and window.used is not None:
        return window.used >= window.limit
    return window.used_percent is not None and window.used_percent >= 100
