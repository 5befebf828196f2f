"""Choose an environment (docs/reference/protocols/codex-wham.md, "2.5 Environments" and "5 Environments"). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...provider import Environment, errors, repository_named


def merged(*lists: Iterable[Environment]) -> tuple[Environment, ...]:
    """Return the environments of several lists, each id once: the first label counts, a pin anywhere counts.

    See docs/reference/protocols/codex-wham.md, "5 Environments".
    """
    by_id: dict[str, Environment] = {}
    for environment in (environment for some in lists for environment in some):
        known = by_id.setdefault(environment.id, environment)
        if known is not environment:
            by_id[environment.id] = _merged(known, environment)
    return tuple(by_id.values())


def _merged(first: Environment, second: Environment) -> Environment:
    return Environment(
        id=first.id,
        label=first.label or second.label,
        repositories=first.repositories or second.repositories,
        default_branch=first.default_branch or second.default_branch,
        is_pinned=first.is_pinned or second.is_pinned,
        task_count=second.task_count if first.task_count is None else first.task_count,
    )


class RequestedEnvironment(msgspec.Struct, frozen=True):
    """Where a task should run: the name of an environment, and the repository that it names if any."""

    name: str
    repository: str | None = None


def requested(environment: str | None, repository: str | None) -> RequestedEnvironment:
    """Return the environment of a spec if it names one, else its repository.

    Raises `ConfigurationError` when the repository is none of github.com.
    """
    name = (environment or "").strip()
    if name:
        return RequestedEnvironment(
            name=name, repository=repository_named(name) or (repository and repository_named(repository)) or None
        )
    by_id = repository_named(repository or "")
    if by_id is None:
        raise errors.ConfigurationError(
            f"{repository!r} is no repository on github.com", remedy="give OWNER/REPO, or an environment by id or label"
        )
    return RequestedEnvironment(by_id, by_id)


def at_home(environments: Iterable[Environment], repository: str) -> tuple[Environment, ...]:
    """Return what the service found by *repository*, so that each of them names it."""
    return tuple(e if e.repositories else msgspec.structs.replace(e, repositories=(repository,)) for e in environments)


def of_repository(environments: Iterable[Environment], repository: str) -> tuple[Environment, ...]:
    """Return the environments of *repository*; the service's names have no case."""
    return tuple(e for e in environments if repository.lower() in (name.lower() for name in e.repositories))
