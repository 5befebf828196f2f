"""Find a provider by its name. Ours go through the same door as anybody's: an entry point in ``coatcheck.providers``.

A factory takes `Settings` and returns a provider. Entry points are read only for names that are not built in:
reading every installed package's metadata costs 30 ms (``bench/imports.py``); a test holds the table against the entry points.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from .. import errors

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .provider import Provider

GROUP = "coatcheck.providers"

BUILT_IN = {
    "codex": "coatcheck.providers.codex:codex",
    "jules": "coatcheck.providers.jules:jules",
    "local": "coatcheck.providers.codex:local",
}


class Settings(Protocol):
    """What a factory may ask for: the settings of its own provider, by name."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the setting *name* of this provider, None when nobody set it.

        *variable* is the environment variable by which the service's own tools know it; ours comes first.
        """
        ...


Factory: TypeAlias = "Callable[[Settings], Provider]"


def load(name: str) -> Factory:
    """Return the factory of the provider *name*. Raises `ConfigurationError` that lists the known ones."""
    if (target := BUILT_IN.get(name)) is None:
        return _load_plugin(name)
    module, _, attribute = target.partition(":")
    return cast("Factory", getattr(importlib.import_module(module), attribute))


def names() -> tuple[str, ...]:
    """Return the names of all installed providers, sorted."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in _entry_points())}))


def _load_plugin(name: str) -> Factory:
    for entry in _entry_points():
        if entry.name == name:
            try:
                return cast("Factory", entry.load())
            except Exception as error:  # a plug-in may fail in any way
                message = f"the provider {name!r} of {entry.value} cannot be loaded: {error}"
                raise errors.ConfigurationError(message) from error
    message = f"there is no provider {name!r}"
    raise errors.ConfigurationError(message, remedy=f"known providers: {', '.join(names())}")


def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # 30 ms, and only plug-ins need it

    return tuple(entry_points(group=GROUP))
