"""The use of an account whose service reports none: the submissions that the journal has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from .._model.usage import RateWindow, Usage
from .._protocol.effects import Call, Script
from .._protocol.intents import Journal


def with_counts(usage: Usage, provider: str, *, journal: Callable[[], Journal], now: float) -> Script[Usage]:
    """Return *usage* with every window counted that the service does not count; *now* is seconds since the epoch."""
    if usage.rate_limit is None or not any(window.is_counted_here for window in usage.rate_limit.windows):
        return usage

    def count(window: RateWindow) -> int:
        return journal().count_since(provider, now - (window.seconds or 0))

    windows = list(usage.rate_limit.windows)
    for place, window in enumerate(windows):
        if window.is_counted_here:
            used = yield Call(partial(count, window))
            percent = 100 * used / window.limit if window.limit else None
            windows[place] = msgspec.structs.replace(window, used=used, used_percent=percent)
    limit = msgspec.structs.replace(usage.rate_limit, windows=tuple(windows))
    return msgspec.structs.replace(usage, rate_limit=limit)
