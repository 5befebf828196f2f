"""Choose an environment (codex-wham.md 2.5 and 5). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...provider import Environment, errors, repository_named

# What ambiguity shows at most; a workspace can have hundreds.
MAX_SHOWN = 10


def merged(*lists: Iterable[Environment]) -> tuple[Environment, ...]:
    """Return the environments of several lists, each id once: the first label counts, a pin anywhere counts (5)."""
    found: dict[str, Environment] = {}
    for environment in (environment for some in lists for environment in some):
        known = found.setdefault(environment.id, environment)
        if known is not environment:
            found[environment.id] = _merged(known, environment)
    return tuple(found.values())


def _merged(first: Environment, second: Environment) -> Environment:
    return Environment(
        id=first.id,
        label=first.label or second.label,
        repositories=first.repositories or second.repositories,
        default_branch=first.default_branch or second.default_branch,
        is_pinned=first.is_pinned or second.is_pinned,
        task_count=second.task_count if first.task_count is None else first.task_count,
    )


def choose(environments: Iterable[Environment], wanted: str) -> Environment:
    """Return the environment that *wanted* names: its id, else its label in any case, else its repository (5).

    Raises `ConfigurationError` that lists the candidates when there are several, or what there is when there is none.
    """
    known = tuple(environments)
    name = wanted.strip()
    for candidates in _readings(known, name):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise errors.ConfigurationError(
                f"{name!r} names {len(candidates)} environments: {_shown(candidates)}",
                remedy="give the id of the one you mean",
            )
    if not known:
        raise errors.ConfigurationError(
            "no cloud environments are available for this workspace",
            remedy="create one in the service's settings, or start a local cloud with: coatcheck serve",
        )
    raise errors.ConfigurationError(f"there is no environment {name!r}", remedy=f"there are: {_shown(known)}")


def _readings(known: tuple[Environment, ...], name: str) -> Iterable[tuple[Environment, ...]]:
    """Yield what *name* could mean, the strictest reading first."""
    lower, repository = _ascii_lower(name), (repository_named(name) or name).lower()
    yield tuple(e for e in known if e.id == name)
    yield tuple(e for e in known if e.label is not None and _ascii_lower(e.label) == lower)
    yield tuple(e for e in known if repository in (r.lower() for r in e.repositories))


def _ascii_lower(text: str) -> str:
    """Return *text* with ASCII letters in lower case: labels are compared so, ``İ`` stays ``İ`` (5)."""
    return text.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _shown(environments: tuple[Environment, ...]) -> str:
    names = [f"{e.label} ({e.id})" if e.label else e.id for e in environments[:MAX_SHOWN]]
    return ", ".join(names) + (f" and {len(environments) - MAX_SHOWN} more" if len(environments) > MAX_SHOWN else "")


class Wanted(msgspec.Struct, frozen=True):
    """Where a task should run: the words to choose an environment by, and the repository they name if any."""

    name: str
    repository: str | None = None


def wanted(environment: str | None, repository: str | None) -> Wanted:
    """Return what a spec asks for: the environment where one is named, else the repository.

    Raises `ConfigurationError` when the repository is none of github.com.
    """
    name = (environment or "").strip()
    if name:
        return Wanted(
            name=name, repository=repository_named(name) or (repository and repository_named(repository)) or None
        )
    found = repository_named(repository or "")
    if found is None:
        raise errors.ConfigurationError(
            f"{repository!r} is no repository on github.com", remedy="give OWNER/REPO, or an environment by id or label"
        )
    return Wanted(found, found)


def at_home(environments: Iterable[Environment], repository: str) -> tuple[Environment, ...]:
    """Return what the service found by *repository*, so that each of them names it."""
    return tuple(e if e.repositories else msgspec.structs.replace(e, repositories=(repository,)) for e in environments)


def of_repository(environments: Iterable[Environment], repository: str) -> tuple[Environment, ...]:
    """Return the environments of *repository*; the service's names have no case."""
    return tuple(e for e in environments if repository.lower() in (name.lower() for name in e.repositories))
