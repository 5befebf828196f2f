"""Find a login: passed explicitly, in the environment, our own, or another program's that we share.

Invariants:

- constructors read nothing; the login is chosen when the first secret is needed, and not changed afterwards;
- a secret that has expired is never sent; the error says when it expired and what renews it;
- each account has a file, chosen by name; a login never changes to another account by itself.
"""

from __future__ import annotations

import enum
import os
import re
import threading
from collections.abc import Callable, Mapping

import msgspec

from .. import errors
from .._protocol.effects import Call, Clock, Script
from .._protocol.login_contract import Login, LoginFile, LoginFormat, OAuth, Secret, Tokens
from . import oauth_requests as service
from .login_store import FileStore, KeyringStore, Store
from .refresh import LoginLocation
from .refresh_log import RefreshLog
from .refresh_policy import Mode, moment
from .stored_credentials import StoredCredentials
from .successors import Successors

# A name becomes the name of a file.
_ACCOUNT = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


class Source(enum.StrEnum):
    """The source of a login. AUTO is the first that exists: argument, environment, chain, own, shared.

    CHAIN is where the service's own tools find it.
    """

    AUTO = "auto"
    ARGUMENT = "argument"
    ENVIRONMENT = "environment"
    OWN = "own"
    SHARED = "shared"
    READONLY = "shared-readonly"
    KEYRING = "keyring"
    CHAIN = "chain"


MODES: Mapping[Source, Mode] = {
    Source.OWN: Mode.OWN,
    Source.SHARED: Mode.SHARED,
    Source.READONLY: Mode.READONLY,
    Source.KEYRING: Mode.SHARED,
}


class LoginSelection(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a login; `origin` is where they were set. `account` is a name of ours."""

    source: Source = Source.AUTO
    origin: str = "default"
    account: str | None = None
    issuer: str | None = None

    @classmethod
    def read(cls, source: str | None, *, origin: str, account: str | None, issuer: str | None) -> LoginSelection:
        """Return the settings as a choice; raises `ConfigurationError` for words that are none."""
        words = [word.value for word in Source if word is not Source.ARGUMENT]
        word = (source or "auto").strip().lower()
        if word not in words:
            message = f"there is no source of credentials {source!r} ({origin})"
            raise errors.ConfigurationError(message, remedy=f"use one of {', '.join(words)}")
        if account and not re.fullmatch(_ACCOUNT, account):
            raise errors.ConfigurationError(
                f"{account!r} is not a name for an account", remedy="use letters, digits, dots, dashes and @"
            )
        return cls(source=Source(word), origin=origin, account=account or None, issuer=issuer or None)


class FixedCredentials:
    """One secret that was passed in: it is used unchanged and never renewed."""

    def __init__(self, secret: Secret, *, clock: Clock, remedy: str) -> None:
        self._secret, self._clock, self._remedy = secret, clock, remedy

    def get_secret(self) -> Script[Secret]:
        """Return the secret; raises `NotLoggedInError` once it has ended."""
        yield from ()
        secret = self._secret
        if secret.expires_at is not None and secret.expires_at <= self._clock.time():
            message = f"the token from {secret.source} expired at {moment(secret.expires_at)}"
            raise errors.NotLoggedInError(message, remedy=self._remedy)
        return secret

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:  # noqa: ARG002 - there is no other
        """Return None: there is no other."""
        yield from ()
        return None


class ChainCredentials:
    """The login that the service's official tools would use. They keep it fresh, so it is read for each secret."""

    def __init__(self, login: Login, *, environ: Mapping[str, str]) -> None:
        self._login, self._environ = login, environ
        self._chain: Callable[[], Secret | None] | None = None
        self._opening = threading.Lock()

    def get_secret(self) -> Script[Secret]:
        """Return the current secret; raises `NotLoggedInError` if there is none."""
        secret: Secret | None = yield Call(self._current)
        if secret is None:
            raise errors.NotLoggedInError(f"there is no login for {self._login.name}", remedy=self._login.remedy)
        return secret

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Open the chain again; None if it has the same secret."""
        self._chain = None
        secret = yield from self.get_secret()
        return None if secret == rejected else secret

    def _current(self) -> Secret | None:
        with self._opening:  # opened once by several threads
            chain = self._chain = self._chain or self._open()
        return chain()

    def _open(self) -> Callable[[], Secret | None]:
        if self._login.chain is None:
            raise errors.UnsupportedError(f"{self._login.name} has no chain login", remedy=self._login.remedy)
        return self._login.chain(self._environ)


class LoginCredentials:
    """The credentials of one provider. *config_dir* holds own logins, *state_dir* notes and the second place."""

    def __init__(
        self,
        login: Login,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        random: Callable[[], float],
        config_dir: str,
        state_dir: str,
        explicit: Secret | None = None,
        choice: LoginSelection | None = None,
        on_trouble: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.login, self.choice = login, choice or LoginSelection()
        self.on_change: Callable[[], object] = lambda: None
        self.on_trouble = on_trouble
        self._environ, self.clock, self._random = environ, clock, random
        self._config_dir, self._state_dir = config_dir, state_dir
        self._explicit = explicit
        self._chosen: FixedCredentials | StoredCredentials | ChainCredentials | None = None
        self._identified: dict[str, Secret] = {}
        self._choosing, self._looking = threading.Lock(), threading.Lock()
        self._stored_source: Source | None = None  # where a login is stored, once that is known
        self.source = self.choice.source

    # -- for the engine ----------------------------------------------------------------------------------------------

    def get_secret(self) -> Script[Secret]:
        """Return a secret fit to send now; raises `NotLoggedInError` where there is none."""
        chosen = self._chosen or (yield from self.find())
        secret = yield from chosen.get_secret()
        if secret.account_id is None:
            return (yield from self._identify(secret))
        return secret

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return another secret after the service rejected this one, None if there is none."""
        chosen = self._chosen or (yield from self.find())
        secret = yield from chosen.renew_secret(rejected)
        if secret is not None and secret.account_id is None:
            return (yield from self._identify(secret))
        return secret

    # -- for users ---------------------------------------------------------------------------------------------------

    def get_tokens(self) -> Script[Tokens]:
        """Return what is sent now, without the refresh token."""
        secret = yield from self.get_secret()
        return Tokens(
            access_token=secret.token,
            account_id=secret.account_id,
            is_fedramp=secret.is_fedramp,
            expires_at=secret.expires_at,
        )

    def refresh_tokens(self) -> Script[Tokens]:
        """Refresh now, and return what `get_tokens` does. Raises `CredentialsError` where there is nothing to refresh."""
        chosen = self._chosen or (yield from self.find())
        if not isinstance(chosen, StoredCredentials):
            raise errors.CredentialsError(
                f"a token from {self.source.value} cannot be refreshed", remedy="log in instead, or pass a new one"
            )
        yield from chosen.refresh_tokens()
        return (yield from self.get_tokens())

    def store_tokens(self, tokens: Tokens, *, source: Source | None = None) -> Script[None]:
        """Save *tokens* as the login of *source*: by default the source that the settings name, else our own."""
        named = self.choice.source if self.choice.source in MODES else Source.OWN
        yield from self.stored(source or named).store_tokens(tokens)
        self._chosen = self._stored_source = None

    def keep_fresh(self) -> Script[None]:
        """Refresh whenever it is due, as long as there is something to refresh."""
        if isinstance(self._chosen, StoredCredentials):
            yield from self._chosen.keep_fresh()

    @property
    def problem(self) -> str | None:
        """The last error that was not raised."""
        return self._chosen.problem if isinstance(self._chosen, StoredCredentials) else None

    def _changed(self) -> None:
        self.on_change()  # which another client of these credentials may have replaced

    def _troubled(self, text: str) -> None:
        self.on_trouble(text)

    # -- choosing ----------------------------------------------------------------------------------------------------

    def find(self) -> Script[FixedCredentials | StoredCredentials | ChainCredentials]:
        """Find the login and keep using it. Raises `NotLoggedInError`, `ConfigurationError`."""
        source = yield from self._find_source()
        with self._choosing:  # several threads may get here at the same time
            if self._chosen is None:
                self.source = source
                self._chosen = self._credentials_of(source)
            return self._chosen

    def _credentials_of(self, source: Source) -> FixedCredentials | StoredCredentials | ChainCredentials:
        if source in MODES:
            stored = self.stored(source)
            stored.on_change, stored.on_trouble = self._changed, self._troubled
            return stored
        if source is Source.CHAIN:
            return ChainCredentials(self.login, environ=self._environ)
        secret = self._explicit if source is Source.ARGUMENT else self._of_environment()
        if secret is None:
            raise self._not_logged_in()
        return FixedCredentials(secret, clock=self.clock, remedy=self.login.remedy)

    def _find_source(self) -> Script[Source]:
        if self._explicit is not None:
            return Source.ARGUMENT
        requested = self.choice.source
        if requested is not Source.AUTO:
            return requested
        if self.choice.account is not None:
            return Source.OWN
        if self._variable():
            return Source.ENVIRONMENT
        stored_source: Source = yield Call(self._find_stored_once)
        return stored_source

    def _find_stored_once(self) -> Source:
        """Return `_find_stored`, computed by the first of several threads. Blocks."""
        with self._looking:
            self._stored_source = self._stored_source or self._find_stored()
            return self._stored_source

    def _find_stored(self) -> Source:
        """Return where a login is stored; the tools of the service have precedence."""
        has_own = self.has_own and self._has_our_login()
        if self.login.chain and not (has_own and self._is_chain_empty()):
            return Source.CHAIN
        if has_own:
            return Source.OWN
        if self.login.file is None:
            raise self._not_logged_in()
        return Source.SHARED

    @property
    def has_own(self) -> bool:
        """Whether this service has logins that we create."""
        return self.login.oauth is not None and self._format(Source.OWN) is not None

    def stored(self, source: Source) -> StoredCredentials:
        """Return the stored login of *source*. Raises `UnsupportedError` where the service has none."""
        login, file = self.login, self._format(source)
        if file is None or login.oauth is None:
            raise errors.UnsupportedError(f"{login.name} has no {source.value} login", remedy=login.remedy)
        store = self._store(source)
        place = LoginLocation(
            store=store,
            file=file,
            oauth=login.oauth,
            notes=RefreshLog(os.path.join(self._state_dir, "refreshes"), beside=store.folder),
            successors=Successors(os.path.join(self._state_dir, "unsaved-logins")),
            clock=self.clock,
            environ=self._environ,
            remedy=login.remedy,
            # Without flock a login cannot be shared safely, so on Windows it is only read.
            mode=MODES[source] if os.name == "posix" else Mode.READONLY,
            issuer=self.choice.issuer,
        )
        return StoredCredentials(place, random=self._random)

    def endpoints(self, oauth: OAuth, tokens: Tokens | None = None) -> service.Endpoints:
        """Return where the login service is."""
        return service.Endpoints.of(oauth, tokens, environ=self._environ, issuer=self.choice.issuer)

    def path_of(self, file: LoginFile) -> str:
        """Return where another program keeps *file*."""
        return os.path.join(self._home(file), file.name)

    @property
    def own_path(self) -> str:
        """Where our own login is."""
        family = self.login.family or self.login.name
        return os.path.join(self._config_dir, "logins", family, f"{self.choice.account or 'default'}.json")

    def _format(self, source: Source) -> LoginFormat | None:
        """Return how the login of *source* is written: another program's in that program's format."""
        own = self.login.own if source is Source.OWN else None
        return own or self.login.file

    def _store(self, source: Source) -> Store:
        file = self.login.file
        if source is Source.OWN or file is None:
            return FileStore(self.own_path, locks=(os.path.basename(self.own_path) + ".lock",))
        if source is not Source.KEYRING:
            return FileStore(self.path_of(file), locks=file.locks)
        if self.login.keyring is None:
            raise errors.UnsupportedError(f"{self.login.name} keeps no login in a keyring")
        return KeyringStore(self.login.keyring, home=self._home(file), locks=file.locks)

    def _home(self, file: LoginFile) -> str:
        home = self._environ.get("HOME") or os.path.expanduser("~")
        return self._environ.get(file.home_variable) or file.home.replace("~", home, 1)

    def _has_our_login(self) -> bool:
        return os.path.exists(self.own_path)

    def _is_chain_empty(self) -> bool:
        """Whether the tools of the service have nothing that may go to where this provider is."""
        found = self.login.chain(self._environ)() if self.login.chain else None
        return found is None or (found.hosts is not None and found.hosts.isdisjoint(self.login.trusted_hosts))

    def _variable(self) -> str:
        return self._environ.get(self.login.environment, "").strip() if self.login.environment else ""

    def _of_environment(self) -> Secret | None:
        value, variable = self._variable(), self.login.environment
        if not value or variable is None:
            return None
        read = self.login.read_environment
        return read(value) if read else Secret(token=value, source=variable)

    def _identify(self, secret: Secret) -> Script[Secret]:
        """Request the account of a token without account claims, once (docs/reference/protocols/codex-wham.md, 6.8)."""
        whoami = self.login.whoami
        if whoami is None or whoami.only_at_login or not secret.token.startswith(whoami.prefix):
            return secret
        known = self._identified.get(secret.token)
        if known is None:
            tokens = yield from service.request_whoami(whoami, secret.token, environ=self._environ)
            known = tokens.to_secret(secret.source, is_stored=secret.is_stored)
            self._identified[secret.token] = known
        return known

    def name_owner(self, tokens: Tokens) -> Script[Tokens]:
        """Return *tokens* of a new login with their account, requested where they have no claim."""
        whoami = self.login.whoami
        if whoami is None or tokens.account_id is not None or not whoami.only_at_login:
            return tokens
        known = yield from service.request_whoami(whoami, tokens.access_token, environ=self._environ)
        return msgspec.structs.replace(tokens, account_id=known.account_id)

    def _not_logged_in(self) -> errors.NotLoggedInError:
        wanted = self.choice.source
        message = f"there is no login for {self.login.name}"
        if wanted is not Source.AUTO:
            message = f"not logged in to {self.login.name}: no token in {self.login.environment}"
        return errors.NotLoggedInError(message, remedy=self.login.remedy)
