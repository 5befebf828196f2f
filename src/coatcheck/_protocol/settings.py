"""The settings of providers: how a factory reads them, and how a provider declares them."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Settings(Protocol):
    """The settings of one provider, by name, for its factory."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the setting *name* of this provider, None if it is not set.

        *variable* is the environment variable of the service's official tools; coatcheck's variable has precedence.
        """
        ...


class ProviderSetting(NamedTuple):
    """A setting that a provider declares: its name, what it means, its default, and the variables of other programs.

    `variables` are the environment variables of the service's official tools, in their order.
    """

    name: str
    description: str
    default: str | None = None
    variables: tuple[str, ...] = ()

    def read(self, settings: Settings) -> str | None:
        """Return the value in *settings*, the default where it is missing or empty."""
        values = (settings.get(self.name, variable=variable) for variable in self.variables or (None,))
        return next(filter(None, values), None) or self.default


# What every provider can be given (docs/guides/credentials.md), and what those with a login by OAuth can be given.
COMMON_SETTINGS = (
    ProviderSetting("credentials", "which login to use: auto, own, shared or environment", "auto"),
    ProviderSetting("rate", "requests a second that may be sent; none: as many as the service accepts"),
)
LOGIN_SETTINGS = (ProviderSetting("issuer", "the URL of the login service"),)
