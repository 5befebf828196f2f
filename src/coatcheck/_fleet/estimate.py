"""How long a fleet takes at the quotas of its services, and which limit binds. Pure.

Each limit alone gives a time; the longest one binds. Nothing is estimated that is not known: a service without a known
quota is limited by its concurrency alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from .._values.value import JsonFields, Value

# GitHub: at most 80 requests a minute and 500 an hour that make content (docs.github.com, "Rate limits for the REST API").
PULL_REQUESTS_PER_HOUR = 500
# How long the checks of one candidate take where nothing is known (seconds).
CHECK_SECONDS = 180.0


class ServiceLoad(NamedTuple):
    """What a service has to do: new tasks of *seconds* each, so many at once (None: not limited) on each account.

    *quota* is how many tasks an account may submit in *window* seconds, of which *remaining* are left now.
    """

    provider: str
    tasks: int
    seconds: float
    accounts: int = 1
    concurrent: int | None = None
    quota: float | None = None
    window: float | None = None
    remaining: float | None = None


class Estimate(Value, frozen=True, kw_only=True):
    """How many hours one limit allows the work in. `advice` says what would change it."""

    limit: str
    hours: float
    advice: str = ""

    _json: ClassVar[JsonFields] = {
        "limit": "what limits",
        "hours": "how long it takes at this limit alone",
        "advice": "what would change it",
    }


def estimate(loads: Iterable[ServiceLoad], *, reviews: int, workers: int, pull_requests: int) -> tuple[Estimate, ...]:
    """Return the time at each limit, the binding one first. *reviews* are candidates that are checked."""
    estimates = [each for load in loads if load.tasks for each in _of_service(load)]
    if reviews:
        hours = reviews * CHECK_SECONDS / max(1, workers) / 3600
        limit = f"checks ({workers} at once, where each takes {CHECK_SECONDS / 60:.0f} minutes)"
        estimates.append(Estimate(limit=limit, hours=hours, advice="run them on more machines"))
    if pull_requests:
        hours = pull_requests / PULL_REQUESTS_PER_HOUR
        estimates.append(Estimate(limit=f"pull requests ({PULL_REQUESTS_PER_HOUR} an hour)", hours=hours))
    return tuple(sorted(estimates, key=lambda each: -each.hours))


def _of_service(load: ServiceLoad) -> Iterable[Estimate]:
    accounts = max(1, load.accounts)
    again = f"another account: {accounts}/{accounts + 1} of the time"
    if load.concurrent is not None:
        rounds = -(-load.tasks // (load.concurrent * accounts))
        yield Estimate(
            limit=f"{load.provider}: {load.concurrent} tasks at once",
            hours=rounds * load.seconds / 3600,
            advice=again,
        )
    else:
        yield Estimate(limit=f"{load.provider}: one task", hours=load.seconds / 3600)
    if load.quota and load.window:
        now = load.quota if load.remaining is None else load.remaining
        later = max(0.0, load.tasks - now * accounts)
        windows = -(-later // (load.quota * accounts))
        yield Estimate(
            limit=f"{load.provider}: {load.quota:g} tasks in {load.window / 3600:g} h",
            hours=(windows * load.window + load.seconds) / 3600,
            advice=again,
        )
