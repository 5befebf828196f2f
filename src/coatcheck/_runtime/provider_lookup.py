"""Find a provider by name: built in, described in the user's settings, or a plug-in's.

A described service is a table ``[services.NAME]`` in the user's ``config.toml``, or in the file that the setting
``services_file`` names. A project's file may describe none: it comes with a repository, and a description names hosts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .. import errors
from .._protocol import registry
from .._protocol.registry import Settings
from .config import Config, ProviderSettings, config_dir, read_tables

if TYPE_CHECKING:
    from .._protocol.provider import Provider

TABLE = "services"
# Where each described service is described: the file, and its tables by name.
Files: TypeAlias = list[tuple[str, Mapping[str, Any]]]


def provider_of(name: str, config: Config, *, settings: Settings | None = None) -> Provider:
    """Return the provider *name*. Raises `ConfigurationError` for one that is unknown, broken or badly described."""
    settings = settings or ProviderSettings(config, name)
    if name in registry.BUILT_IN:
        return registry.load(name)(settings)
    files = _files(config)
    for path, tables in files:
        if (table := tables.get(name)) is not None:
            return _described(name, table, settings, path)
    return registry.load(name, others=_names(files))(settings)


def require_provider(name: str, config: Callable[[], Config]) -> None:
    """Raise `ConfigurationError` unless a provider *name* exists. *config* is called only for a name that is not built in."""
    if name in registry.BUILT_IN:
        return
    files = _files(config())
    if name not in _names(files):
        registry.load(name, others=_names(files))  # finds the entry point without loading it


def provider_names(config: Config) -> tuple[str, ...]:
    """Return the names of all providers, sorted: installed and described."""
    return tuple(sorted({*registry.names(), *_names(_files(config))}))


def _names(files: Files) -> list[str]:
    return [name for _, tables in files for name in tables]


def _files(config: Config) -> Files:
    """Return what each file describes, the one that was named first. Raises `ConfigurationError`."""
    named = config.get("services_file")
    user = os.path.join(config_dir(config.environ), "config.toml")
    return [(path, _tables(path, is_named=path == named)) for path in (named, user) if path]


def _tables(path: str, *, is_named: bool) -> Mapping[str, Any]:
    content = read_tables(path)
    if content is None and is_named:
        raise errors.ConfigurationError(
            f"{path} does not exist", remedy="services_file names a file with [services.NAME]"
        )
    tables = (content or {}).get(TABLE, {})
    if not isinstance(tables, dict):
        raise errors.ConfigurationError(f"{path}: {TABLE} is not a table", remedy=f"write [{TABLE}.NAME]")
    for name, table in tables.items():
        _check(name, table, path)
    return tables


def _check(name: str, table: object, path: str) -> None:
    if name in registry.BUILT_IN:
        raise errors.ConfigurationError(f"{path}: {TABLE}.{name}: this is the name of a built-in provider")
    if not name.isascii() or not name.replace("_", "").replace("-", "").isalnum() or name != name.lower():
        raise errors.ConfigurationError(
            f"{path}: {TABLE}.{name}: not a name for a provider", remedy="use small letters, digits, - and _"
        )
    if not isinstance(table, dict):
        raise errors.ConfigurationError(f"{path}: {TABLE}.{name} is not a table", remedy=f"write [{TABLE}.{name}]")


def _described(name: str, table: Mapping[str, Any], settings: Settings, path: str) -> Provider:
    from ..providers.generic_http import described  # most providers are built in

    return cast("Provider", described(name, table, settings, origin=path))
