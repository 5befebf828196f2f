"""Which services of a fleet cannot be used now, and why: one that is not running, that lacks a setting, or has no login.

Invariants:

- a service that cannot be used costs only its own candidates: they are left out until it can be used;
- an outage is not a reason: a service that answers with an error, or not in time, is tried when its tasks are due.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import errors
from .services import ServiceClient, Services


async def unusable_services(
    services: Services, accounts: Iterable[tuple[str, str]]
) -> dict[str, errors.CoatcheckError]:
    """Return by service why none of its accounts can be used. Raises `ConfigurationError` for an unknown service."""
    problems: dict[str, errors.CoatcheckError] = {}
    usable = set()
    for provider, account in accounts:
        error = await problem_of(services.client(provider, account))
        if error is None:
            usable.add(provider)
        else:
            problems.setdefault(provider, error)
    return {provider: error for provider, error in problems.items() if provider not in usable}


async def problem_of(client: ServiceClient) -> errors.CoatcheckError | None:
    """Return why no task can be submitted with a client, None where nothing is known to prevent it."""
    try:
        status = await client.login_status()
    except errors.CoatcheckError as error:  # a local cloud that is not running, a missing setting
        return error
    if status is None or status.is_logged_in:
        return None
    reason = "; ".join(status.problems) or f"there is no login for {status.provider}"
    return errors.NotLoggedInError(reason.rstrip("."))


def message_of(error: errors.CoatcheckError) -> str:
    """Return an error with its remedy as one line."""
    return f"{error}; {error.remedy}" if error.remedy and error.remedy not in str(error) else str(error)


def no_service(problems: dict[str, errors.CoatcheckError]) -> errors.CoatcheckError:
    """Return the error of a fleet none of whose services can be used."""
    first = next(iter(problems.values()))
    if len(problems) == 1:
        return first
    reasons = "; ".join(f"{provider}: {error}" for provider, error in problems.items())
    return errors.ConfigurationError(f"no service of the fleet can be used: {reasons}", remedy=first.remedy)
