"""What the engine needs of a login, and how a provider describes its own as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import msgspec

from .effects import Script


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What proves who we are, with what must travel beside it. Its ``repr`` shows neither.

    `expires_at` is in seconds since the epoch, None when nobody can say. `source` says in words where it came from.
    A secret that `is_stored` was read from a file or keyring, so it goes only to the provider's `trusted_hosts`
    or loopback; one that the caller passed explicitly goes to any https origin.
    """

    token: str
    account_id: str | None = None
    is_fedramp: bool = False
    expires_at: float | None = None
    source: str = "explicit"
    is_stored: bool = False

    _shown: ClassVar[tuple[str, ...]] = ("source", "expires_at", "is_stored")

    def __repr__(self) -> str:
        return f"Secret({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"


class Credentials(Protocol):
    """Where secrets come from. Both methods are scripts: the driver does the reading and locking."""

    def get_secret(self) -> Script[Secret]:
        """Return a secret fit to send now. Raises `CredentialsError` with the remedy."""
        ...

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return another secret after the service rejected this one, None if there is none."""
        ...


class LoginFile(msgspec.Struct, frozen=True, kw_only=True):
    """Another program's login file: where it is, and how to read it.

    `home_variable` names the folder (default `home`, ``~`` allowed); `read` turns its bytes into a `Secret`
    (second argument: the path as shown to people) or raises `CredentialsError`. It is pure.
    """

    home_variable: str
    home: str
    name: str
    read: Callable[[bytes, str], Secret]
    locks: tuple[str, ...] = ()


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How people log in to a service: the environment variables and files that hold its tokens.

    `trusted_hosts` are the only hosts (beside loopback) that a stored secret is ever sent to.
    `remedy` is the sentence that ends every "not logged in".
    """

    name: str
    remedy: str
    environment: str | None = None
    read_environment: Callable[[str], Secret] | None = None
    file: LoginFile | None = None
    trusted_hosts: frozenset[str] = frozenset()
