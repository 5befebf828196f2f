"""The environments of a fleet's tasks: what the service must know of an item's repository, checked by the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors

if TYPE_CHECKING:
    from .._model.fleets import FleetCandidate
    from .._store.fleet_planning import PlannedCandidate, PlannedItem
    from .services import Services

# How many environments are resolved at once.
RESOLVERS = 8


class Target(NamedTuple):
    """Where the tasks of a service run: its environment, or a repository that it knows by name."""

    provider: str
    environment: str | None
    repository: str | None


def is_path(repository: str | None) -> bool:
    """Whether a repository is given by its path on this machine."""
    return repository is not None and repository.startswith(("/", "./", "../", "~"))


def target_of(candidate: PlannedCandidate | FleetCandidate, repository: str | None) -> Target:
    """Return the target of a candidate of an item with this repository."""
    environment = candidate.environment or (repository if is_path(repository) else None)
    return Target(candidate.provider, environment, None if environment else repository)


async def unknown_targets(
    services: Services, accounts: Mapping[str, str], items: Sequence[PlannedItem], known: frozenset[str]
) -> dict[Target, errors.ConfigurationError]:
    """Return the targets of new candidates that a service does not know, with the reason.

    *accounts* has an account of each service, *known* the keys of stored candidates. A service that does not answer
    refuses none here.
    """
    targets = {target_of(each, item.repository) for item in items for each in item.candidates if each.key not in known}
    slots = asyncio.Semaphore(RESOLVERS)

    async def resolve(target: Target) -> errors.ConfigurationError | None:
        async with slots:
            try:
                client = services.client(target.provider, accounts[target.provider])
                await client.resolve_environment(target.environment, target.repository)
            except errors.ConfigurationError as error:
                return _with_remedy(error, target)
            except errors.CoatcheckError:
                return None  # the submission reports what is wrong
        return None

    wanted = sorted(targets, key=repr)
    results = await asyncio.gather(*map(resolve, wanted))
    return {target: error for target, error in zip(wanted, results, strict=True) if error is not None}


def _with_remedy(error: errors.ConfigurationError, target: Target) -> errors.ConfigurationError:
    """Return an error that says how to write a repository of this machine that the service knows by another name."""
    if not is_path(target.environment):
        return error
    parts = (error.remedy, f'write its name there in items, and repositories."OWNER/NAME" = "{target.environment}"')
    return errors.ConfigurationError(str(error), remedy="; ".join(filter(None, parts)))
