"""Check the names in the files of settings.

Invariant: a name that no setting has is an error that names the file, with a suggestion. Providers are loaded only for
the tables that the files have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .config import SETTINGS, suggestion
from .provider_lookup import TABLE, provider_names, settings_of_provider

if TYPE_CHECKING:
    from .config import Config

# The tables of policies, which decide gates.
POLICIES = "gates.policies."


def check_names(config: Config) -> None:
    """Raise `ConfigurationError` for the first name in the files of *config* that no setting has."""
    for path, names in config.names_by_file().items():
        for name in names:
            if not is_known(name, config):
                raise unknown_setting(name, config, where=f"{path}: ")


def require_setting(name: str, config: Config) -> None:
    """Raise `ConfigurationError` where there is no setting *name*."""
    if not is_known(name, config):
        raise unknown_setting(name, config)


def is_known(name: str, config: Config) -> bool:
    """Whether there is a setting *name*; ``services.NAME.…`` and ``gates.policies.…`` are checked when they are used."""
    if name in SETTINGS or name.startswith((f"{TABLE}.", POLICIES)):
        return True
    provider, dot, setting = name.partition(".")
    return bool(dot) and setting in settings_of_provider(provider, config)


def unknown_setting(name: str, config: Config, *, where: str = "") -> errors.ConfigurationError:
    """Return the error for a name that no setting has; it suggests a similar name."""
    provider, dot, setting = name.partition(".")
    if not dot:
        remedy = suggestion(name, SETTINGS)
    elif provider == POLICIES.partition(".")[0] or setting.startswith("policies."):
        remedy = f"policies are written as tables [{POLICIES}NAME]"
    elif known := settings_of_provider(provider, config):
        near = suggestion(setting, known)
        remedy = near.replace("did you mean ", f"did you mean {provider}.")
        remedy = remedy or f"settings of {provider}: {', '.join(sorted(set(known)))}"
    else:
        near = suggestion(provider, provider_names(config))
        remedy = near.replace("?", f".{setting}?") or (f"there is no provider {provider!r}" if provider else "")
    return errors.ConfigurationError(
        f"{where}there is no setting {name!r}", remedy=remedy or "coatcheck config --all lists the settings"
    )
