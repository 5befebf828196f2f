"""The interface of a login, and the data with which a provider describes its logins.

Invariants:

- Nothing here does I/O: files, keyrings and login services are described, and `_credentials` goes there.
- No ``repr`` shows a token, an account or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import msgspec

from .._values.value import Value
from .effects import Pairs, Script


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A token with the data that is sent beside it. Its ``repr`` shows neither.

    `expires_at` is in seconds since the epoch, None if unknown. `source` describes its origin.
    A secret that `is_stored` was read from a file or keyring, so it goes only to the provider's `trusted_hosts`
    (or to `hosts`, where those are given) or loopback; one that the caller passed explicitly goes to any https origin.
    """

    token: str
    account_id: str | None = None
    is_fedramp: bool = False
    expires_at: float | None = None
    source: str = "explicit"
    is_stored: bool = False
    hosts: frozenset[str] | None = None

    _shown: ClassVar[tuple[str, ...]] = ("source", "expires_at", "is_stored")

    def __repr__(self) -> str:
        return f"Secret({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"


class Tokens(Value, frozen=True, kw_only=True):
    """The tokens of a login. Its ``repr`` shows no token and no name.

    `expires_at` (of the access token) and `last_refresh` are in seconds since the epoch, None if unknown.
    `issuer` and `client_id` identify the login service that issued them, where known.
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
        """Return the secret that is sent with a request."""
        return Secret(
            token=self.access_token,
            account_id=self.account_id,
            is_fedramp=self.is_fedramp,
            expires_at=self.expires_at,
            source=source,
            is_stored=is_stored,
        )


class Credentials(Protocol):
    """A source of secrets. Both methods are scripts: the driver reads and locks."""

    def get_secret(self) -> Script[Secret]:
        """Return a secret fit to send now. Raises `CredentialsError` with the remedy."""
        ...

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return another secret after the service rejected this one, None if there is none."""
        ...


class LoginFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How the file of a login is read and written. Both are pure.

    `read` turns the file's bytes into `Tokens` (second argument: the path as shown to people) or raises
    `CredentialsError`. `write` puts tokens into the file's bytes (None: into a new file) and keeps every key that is
    unknown here. `owner` is the name of the program whose file it is.
    """

    read: Callable[[bytes, str], Tokens]
    write: Callable[[bytes | None, Tokens], bytes]
    owner: str = "coatcheck"


class LoginFile(LoginFormat, frozen=True, kw_only=True):
    """The file in which another program keeps a login that we share.

    `home_variable` names the folder (default `home`, ``~`` allowed). `locks` are the names of the lock files beside it,
    in the order in which its owner takes them.
    """

    home_variable: str
    home: str
    name: str
    owner: str = "another program"
    locks: tuple[str, ...] = ()


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program keeps its login in the system's keyring; `account` makes the entry's name of the home folder."""

    service: str
    account: Callable[[str], str]


# RFC 8628 3.4.
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class DeviceRoutes(msgspec.Struct, frozen=True, kw_only=True):
    """The routes and fields of a device code login, and how they differ from RFC 8628.

    `start` and `poll` are the paths that start the login and poll it. `id` is the service's name of the device code;
    `start_fields` and `poll_fields` are the fields that are sent: that one, and of ``client_id``, ``scope``,
    ``user_code`` and ``grant_type``. `page` is the verification page where the service does not send it. A service with
    a `redirect` sends an authorization code, which is exchanged with it; others send the tokens directly.

    `waiting` are the codes and statuses that mean that the login is not approved yet; ``slow_down`` among them lengthens the
    interval. `refusals` are those that end it, each with an explanation and a remedy.
    """

    start: str
    poll: str
    id: str = "device_code"
    start_fields: tuple[str, ...] = ("client_id", "scope")
    poll_fields: tuple[str, ...] = ("client_id", "device_code", "grant_type")
    is_json: bool = False
    page: str | None = None
    redirect: str | None = None
    waiting: frozenset[str] = frozenset({"authorization_pending", "slow_down"})
    refusals: Mapping[str, tuple[str, str]] = {}


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """A login service. A stored token goes to `trusted_hosts` or loopback only.

    Without a `client_id` there is no login; `client_remedy` then explains how to get one. `token_variable` and
    `revoke_variable` name the environment variables that replace these URLs in the official client. `refusals` are
    the codes after which a refresh token is invalid, each with an explanation. `read` makes `Tokens` of the
    service's response: second argument the tokens before, third the time. A refresh `is_form`, or else JSON.

    A service without `authorize` has no login by browser; one without `revoke` cannot revoke tokens by
    request: that is done on `revoke_page`.
    """

    issuer: str
    client_id: str | None
    trusted_hosts: frozenset[str]
    read: Callable[[Mapping[str, object], Tokens | None, float], Tokens]
    refusals: Mapping[str, str]
    reused: str
    client_remedy: str | None = None
    token: str = "/oauth/token"  # noqa: S105 - a path
    revoke: str | None = "/oauth/revoke"
    revoke_page: str | None = None
    authorize: str | None = "/oauth/authorize"
    is_form: bool = False
    scopes: tuple[str, ...] = ()
    parameters: Pairs = ()
    device: DeviceRoutes | None = None
    callback: str = "/auth/callback"
    ports: tuple[int, ...] = ()
    token_variable: str | None = None
    revoke_variable: str | None = None


class Whoami(msgspec.Struct, frozen=True, kw_only=True):
    """The request that finds the account of a token that does not contain it (one that begins with `prefix`).

    `read` makes `Tokens` of the token and the service's response. `only_at_login` is for services whose requests need
    no account: it is requested once, so that a login never replaces that of another account.
    """

    prefix: str
    base_url: str
    path: str
    trusted_hosts: frozenset[str]
    read: Callable[[str, Mapping[str, object]], Tokens]
    variable: str | None = None
    only_at_login: bool = False


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How people log in to a service: the environment variables, files and login service that give its tokens.

    `chain` is for services whose own tools search many places: given the environment, it returns a function
    that returns a secret that is valid now, None where there is none. Both block and are called by a driver.

    coatcheck's own logins are stored in the format `own`, or else in that of `file`; providers with the same `family` share theirs.
    `trusted_hosts` are the only hosts (beside loopback) that a stored secret is ever sent to.
    `remedy` is the remedy of the error "not logged in"; `note` is a sentence about the login for the help of
    `coatcheck login`.
    """

    name: str
    remedy: str
    environment: str | None = None
    read_environment: Callable[[str], Secret] | None = None
    chain: Callable[[Mapping[str, str]], Callable[[], Secret | None]] | None = None
    file: LoginFile | None = None
    own: LoginFormat | None = None
    family: str | None = None
    keyring: Keyring | None = None
    oauth: OAuth | None = None
    whoami: Whoami | None = None
    trusted_hosts: frozenset[str] = frozenset()
    note: str = ""
