"""Choose an environment by the name that a user writes (docs/reference/protocols/codex-wham.md, 5). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .. import errors
from .._model.catalogue import Environment
from .repositories import repository_named

# How many environments an error lists at most; a workspace can have hundreds.
MAX_SHOWN = 10


def choose_environment(environments: Iterable[Environment], name: str) -> Environment:
    """Return the environment that *name* names: its id, else its label in any case, else its repository.

    Raises `ConfigurationError` that lists the candidates when there are several, or what there is when there is none.
    """
    known, name = tuple(environments), name.strip()
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
    """Yield the environments that *name* may refer to: by id, then by label, then by repository."""
    lower, repository = _ascii_lower(name), (repository_named(name) or name).lower()
    yield tuple(e for e in known if e.id == name)
    yield tuple(e for e in known if e.label is not None and _ascii_lower(e.label) == lower)
    yield tuple(e for e in known if repository in (r.lower() for r in e.repositories))


def _ascii_lower(text: str) -> str:
    """Return *text* with ASCII letters in lower case: ``İ`` stays ``İ``, as in the official client."""
    return text.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _shown(environments: tuple[Environment, ...]) -> str:
    names = [f"{e.label} ({e.id})" if e.label else e.id for e in environments[:MAX_SHOWN]]
    return ", ".join(names) + (f" and {len(environments) - MAX_SHOWN} more" if len(environments) > MAX_SHOWN else "")
