"""What the engine needs of a login, and how a provider describes its own as data.

Law 1. Nothing here does I/O: files, keyrings and login services are described, and `_credentials` goes there.
Law 2. No ``repr`` shows a token, an account or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import msgspec

from .._model.value import Value
from .effects import Pairs, Script


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


class Tokens(Value, frozen=True, kw_only=True):
    """What a login holds. Its ``repr`` shows no token and nobody's name.

    `expires_at` (of the access token) and `last_refresh` are in seconds since the epoch, None when nobody can say.
    `issuer` and `client_id` say which login service gave them, where the login knows.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset(
        {"access_token", "refresh_token", "id_token", "account_id", "issuer", "client_id"}
    )

    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None
    account_id: str | None = None
    plan: str | None = None
    is_fedramp: bool = False
    expires_at: float | None = None
    last_refresh: float | None = None
    issuer: str | None = None
    client_id: str | None = None

    def to_secret(self, source: str, *, is_stored: bool = True) -> Secret:
        """Return what travels with a request."""
        return Secret(
            token=self.access_token,
            account_id=self.account_id,
            is_fedramp=self.is_fedramp,
            expires_at=self.expires_at,
            source=source,
            is_stored=is_stored,
        )


class Credentials(Protocol):
    """Where secrets come from. Both methods are scripts: the driver does the reading and locking."""

    def get_secret(self) -> Script[Secret]:
        """Return a secret fit to send now. Raises `CredentialsError` with the remedy."""
        ...

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return another secret after the service rejected this one, None if there is none."""
        ...


class LoginFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a login: where another program keeps its own, and how such a file is read and written.

    `home_variable` names the folder (default `home`, ``~`` allowed). `read` turns the file's bytes into `Tokens`
    (second argument: the path as shown to people) or raises `CredentialsError`. `write` puts tokens into the file's
    bytes (None: into a new file) and keeps every key that it does not know. Both are pure. `locks` are the names of the
    lock files beside it, in the order in which its owner takes them; `owner` is the program, as people call it.
    """

    owner: str
    home_variable: str
    home: str
    name: str
    read: Callable[[bytes, str], Tokens]
    write: Callable[[bytes | None, Tokens], bytes]
    locks: tuple[str, ...] = ()


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program keeps its login in the system's keyring; `account` makes the entry's name of the home folder."""

    service: str
    account: Callable[[str], str]


class DeviceRoutes(msgspec.Struct, frozen=True, kw_only=True):
    """The paths of a login by device code: begin, ask whether it was approved, the page for people, the redirect."""

    start: str
    poll: str
    page: str
    redirect: str


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """A login service. A stored token goes to `trusted_hosts` or loopback only.

    `token_variable` and `revoke_variable` name the environment variables with which the official client is sent
    elsewhere. `refusals` are the codes that end a refresh token for good, each with what it means to people. `read`
    makes `Tokens` of the service's answer: second argument the tokens before, third the time.
    """

    issuer: str
    client_id: str
    trusted_hosts: frozenset[str]
    read: Callable[[Mapping[str, object], Tokens | None, float], Tokens]
    refusals: Mapping[str, str]
    reused: str
    token: str = "/oauth/token"  # noqa: S105 - a path
    revoke: str = "/oauth/revoke"
    authorize: str = "/oauth/authorize"
    scopes: tuple[str, ...] = ()
    parameters: Pairs = ()
    device: DeviceRoutes | None = None
    callback: str = "/auth/callback"
    ports: tuple[int, ...] = ()
    token_variable: str | None = None
    revoke_variable: str | None = None


class Whoami(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens that do not say whose they are (those that begin with `prefix`) are asked about.

    `read` makes `Tokens` of the token and the service's answer.
    """

    prefix: str
    base_url: str
    path: str
    trusted_hosts: frozenset[str]
    read: Callable[[str, Mapping[str, object]], Tokens]
    variable: str | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How people log in to a service: the environment variables, files and login service that give its tokens.

    `chain` is for services whose own tools look in many places: given the environment, it returns what looks there,
    which gives a secret that is fit to send now, None where nobody has one. Both block and are called by a driver.

    `trusted_hosts` are the only hosts (beside loopback) that a stored secret is ever sent to.
    `remedy` is the sentence that ends every "not logged in".
    """

    name: str
    remedy: str
    environment: str | None = None
    read_environment: Callable[[str], Secret] | None = None
    chain: Callable[[Mapping[str, str]], Callable[[], Secret | None]] | None = None
    file: LoginFile | None = None
    keyring: Keyring | None = None
    oauth: OAuth | None = None
    whoami: Whoami | None = None
    trusted_hosts: frozenset[str] = frozenset()
