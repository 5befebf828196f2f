"""Find a provider by its name: built in, or an entry point in the group ``coatcheck.providers``.

A factory takes `Settings` and returns a provider. Entry points are read only for names that are not built in:
reading every installed package's metadata costs 30 ms (``bench/imports.py``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias, cast

from .. import errors
from .._model import provider_index

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .provider import Provider
    from .settings import Settings

GROUP = "coatcheck.providers"

# The provider that is used where neither an option nor a setting names one, and the provider of the local cloud.
DEFAULT_PROVIDER = "codex"
LOCAL_PROVIDER = "local"

# Entry points by the name of the provider, as `docs/project/tools/generate_provider_index.py` finds them in the folders.
BUILT_IN = provider_index.BUILT_IN

Factory: TypeAlias = "Callable[[Settings], Provider]"


def load(name: str, *, others: Iterable[str] = ()) -> Factory:
    """Return the factory of the provider *name*. Raises `ConfigurationError` that lists the known ones, and *others*."""
    if (target := BUILT_IN.get(name)) is None:
        return _load_plugin(name, others)
    module, _, attribute = target.partition(":")
    return cast("Factory", getattr(importlib.import_module(module), attribute))


def names() -> tuple[str, ...]:
    """Return the names of all installed providers, sorted."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in _entry_points())}))


def _load_plugin(name: str, others: Iterable[str]) -> Factory:
    for entry in _entry_points():
        if entry.name == name:
            return _guarded(entry)
    raise unknown_provider(name, {*names(), *others})


def unknown_provider(name: str, known: Iterable[str]) -> errors.ConfigurationError:
    """Return the error for a provider that does not exist; it suggests a similar name, and lists the *known* ones."""
    from difflib import get_close_matches  # only a misspelling needs it

    ordered = sorted(known)
    near = get_close_matches(name, ordered, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return errors.ConfigurationError(
        f"there is no provider {name!r}", remedy=f"{hint}known providers: {', '.join(ordered)}"
    )


def _guarded(entry: EntryPoint) -> Factory:
    """Return the factory of a plug-in; any error of it is one `ConfigurationError`."""

    def factory(settings: Settings) -> Provider:
        from .provider import Capabilities  # not needed to look up names

        try:
            provider = cast("Factory", entry.load())(settings)
            can: object = provider.capabilities
            is_one = provider.name == entry.name and isinstance(can, Capabilities)
        except errors.CoatcheckError:
            raise
        except Exception as error:  # a plug-in may fail in any way
            message = f"the provider {entry.name!r} of {entry.value} cannot be loaded: {type(error).__name__}: {error}"
            raise errors.ConfigurationError(message) from error
        if not is_one:
            message = f"the provider {entry.name!r} of {entry.value} is not a provider of that name"
            raise errors.ConfigurationError(message)
        return provider

    return factory


def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # 30 ms, and only plug-ins need it

    return tuple(entry_points(group=GROUP))
