"""The settings of providers: how a factory reads them, and how a provider declares them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .. import errors


class Settings(Protocol):
    """The settings of one provider, by name, for its factory."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the setting *name* of this provider, None if it is not set.

        *variable* is the environment variable of the service's official tools; coatcheck's variable has precedence.
        """
        ...


class ProviderSetting(NamedTuple):
    """A setting that a provider declares: its name, what it means, its default, and the variables of other programs.

    `variables` are the environment variables of the service's official tools, in their order. `choices` are the words
    that the setting can have, in small letters, where it cannot have any.
    """

    name: str
    description: str
    default: str | None = None
    variables: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    def read(self, settings: Settings) -> str | None:
        """Return the value in *settings*, the default where it is missing or empty."""
        values = (settings.get(self.name, variable=variable) for variable in self.variables or (None,))
        return next(filter(None, values), None) or self.default

    def choose(self, settings: Settings, *, of: str) -> str | None:
        """Return the choice in *settings*, of the provider *of*. Raises `ConfigurationError` for another word."""
        value = self.read(settings)
        return None if value is None else self.check(value, of=of)

    def check(self, value: str, *, of: str) -> str:
        """Return the choice that *value* is, whatever its letters. Raises `ConfigurationError` where it is none."""
        word = value.strip().lower()
        if word not in self.choices:
            raise errors.ConfigurationError(
                f"{of}.{self.name} cannot be {value!r}", remedy=f"use one of {', '.join(self.choices)}"
            )
        return word


# What every provider can be given (docs/guides/credentials.md), and what those with a login by OAuth can be given.
COMMON_SETTINGS = (
    ProviderSetting(
        "credentials",
        "which login to use: auto, environment, chain, own, shared, shared-readonly or keyring",
        "auto",
        choices=("auto", "environment", "chain", "own", "shared", "shared-readonly", "keyring"),
    ),
    ProviderSetting("rate", "requests a second that may be sent; none: as many as the service accepts"),
)
LOGIN_SETTINGS = (ProviderSetting("issuer", "the URL of the login service"),)
