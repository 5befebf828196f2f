"""Find a provider by name: built in, described in the user's settings, or a plug-in's.

A described service is a table ``[services.NAME]`` in the user's ``config.toml``, or in the file that the setting
``services_file`` names. A project's file may describe none: it is part of a repository, and a description names hosts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .. import errors
from .._model import provider_index
from .._protocol import registry
from .._protocol.provider import server_hints_of, settings_of, webhooks_of
from .._protocol.settings import ProviderSetting, Settings
from .config import Config, ProviderSettings, config_dir, read_tables

if TYPE_CHECKING:
    from .._protocol.provider import Provider
    from .._protocol.webhooks import Webhooks

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


def declared_settings(config: Config) -> dict[str, ProviderSetting]:
    """Return the settings that the installed providers declare, by full name ("jules.plan"), sorted.

    A provider that cannot be loaded declares none.
    """
    return {
        f"{provider.name}.{each.name}": each for provider in _declarations(config) for each in settings_of(provider)
    }


def variables_of(name: str, config: Config) -> tuple[str, ...]:
    """Return the environment variables of other programs for the setting *name*.

    A setting of a provider declares them; one that is an option of a submission has those of the configured provider.
    """
    provider, _, setting = name.rpartition(".")
    try:
        declaring = _unconfigured(provider or config.get("provider") or registry.DEFAULT_PROVIDER, config)
    except errors.CoatcheckError:
        return ()
    if not provider:
        return declaring.capabilities.option_variables.get(name, ())
    return next((each.variables for each in settings_of(declaring) if each.name == setting), ())


def settings_of_provider(name: str, config: Config) -> Mapping[str, ProviderSetting]:
    """Return the settings of the provider *name* by their names; none where there is no such provider."""
    try:
        provider = _unconfigured(name, config)
    except errors.CoatcheckError:
        return {}
    declared = (ProviderSetting("base_url", "where the service is"), *settings_of(provider))
    return {setting.name: setting for setting in declared}


def login_notes(config: Config) -> dict[str, str]:
    """Return the text of the help of `login` about the logins of the installed providers, by the name of the login."""
    logins = [provider.login for provider in _declarations(config)]
    return {login.family or login.name: login.note for login in logins if login.note}


def server_hints(config: Config, *, url: str, codex_home: str | None) -> tuple[str, ...]:
    """Return the lines that `serve` prints for the programs that can use a local cloud at *url*."""
    provider = _unconfigured(registry.LOCAL_PROVIDER, config)
    return server_hints_of(provider, url=url, codex_home=codex_home)


def webhooks_of_providers() -> Iterator[tuple[str, Webhooks]]:
    """Yield the webhooks that installed providers declare, each with its provider's name; those of plug-ins come last.

    A plug-in that cannot be loaded declares none.
    """
    plug_ins = [name for name in registry.names() if name not in registry.BUILT_IN]
    for name in (*provider_index.WEBHOOK_PROVIDERS, *plug_ins):
        with contextlib.suppress(errors.CoatcheckError):
            if (webhooks := webhooks_of(_unconfigured(name, Config(environ={})))) is not None:
                yield name, webhooks


def _declarations(config: Config) -> Iterator[Provider]:
    """Yield the installed providers by name, without their settings; what cannot be loaded is left out."""
    for name in registry.names():
        with contextlib.suppress(errors.CoatcheckError):
            yield _unconfigured(name, config)


def _unconfigured(name: str, config: Config) -> Provider:
    """Return the provider *name* as it is without settings, at a placeholder where it has no default address."""
    try:
        return provider_of(name, config, settings=_PlaceholderSettings(None))
    except errors.ConfigurationError:
        return provider_of(name, config, settings=_PlaceholderSettings("http://127.0.0.1"))


class _PlaceholderSettings:
    """The settings of a provider whose declarations are read and which sends no request."""

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the base URL, and no other setting."""
        del variable
        return self._base_url if name == "base_url" else None


def provider_of_login(name: str, config: Config) -> str:
    """Return the provider that manages the login *name*: a provider's name, or the `family` of its `Login`.

    A family is shared by several providers ("github"); the last of them by name manages it. An unknown name is
    returned as it is.
    """
    if name in registry.BUILT_IN:
        return name
    for built_in in sorted(registry.BUILT_IN, reverse=True):
        with contextlib.suppress(errors.ConfigurationError):
            if provider_of(built_in, config).login.family == name:
                return built_in
    return name


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
