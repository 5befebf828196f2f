"""The tokens of a client, for programs that need them themselves: one set of scripts, performed in both colours."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .. import errors
from .._credentials import login_flows as _login
from .._credentials.device_code import DeviceCode
from .._credentials.login_sources import LoginCredentials
from .._credentials.login_status import LoginStatus, status_of
from .._protocol.effects import Script
from .._protocol.login_contract import Tokens

if TYPE_CHECKING:
    from .._protocol.login_contract import Credentials
    from .async_driver import AsyncDriver
    from .driver import Driver

T = TypeVar("T")


class TokenManager:
    """The login of a client: `Client.tokens`."""

    def __init__(self, login: LoginCredentials, driver: Driver) -> None:
        self._login, self._driver = login, driver

    def __repr__(self) -> str:
        return f"<TokenManager {self._login.login.name!r}>"

    def get_token(self) -> Tokens:
        """Return what is sent with a request now: the access token and its account, refreshed if it was due.

        Raises `NotLoggedInError`, `RefreshError` and other `CredentialsError`.
        """
        return self._do(self._login.get_tokens())

    def refresh_token(self) -> Tokens:
        """Refresh the login now, unless another caller just did, and return what `get_token` does.

        Raises `RefreshError` when the service refuses, `PersistenceError` when the fresh login could not be saved
        (`get_token` then has it until the program ends).
        """
        return self._do(self._login.refresh_tokens())

    def store_tokens(self, tokens: Tokens) -> None:
        """Save tokens that you got elsewhere as our own login (or the shared one, where the settings name that).

        Raises `AccountMismatchError` where another account's login is, `PersistenceError`.
        """
        self._do(self._login.store_tokens(tokens))

    def get_status(self) -> LoginStatus:
        """Return the status of the login, without secrets; never raises for a damaged login."""
        return self._do(status_of(self._login))

    def log_in_by_device_code(self, show: Callable[[DeviceCode], object]) -> LoginStatus:
        """Log in from a machine without a browser; *show* is called with the address and the code for the user."""
        return self._do(_login.log_in_by_device_code(self._login, show=show))

    def log_in_by_browser(self, open_browser: Callable[[str], object]) -> LoginStatus:
        """Log in with a browser on this machine; *open_browser* is given the page to open."""
        return self._do(by_browser(self._login, open_browser))

    @property
    def has_browser_login(self) -> bool:
        """Whether `log_in_by_browser` works for this service."""
        return _login.has_browser(self._login)

    @property
    def revocation_page(self) -> str | None:
        """The page on which a person ends a login; None where `log_out` ends it."""
        return _login.revocation_page(self._login)

    def log_out(self) -> bool:
        """End our own login and delete it; returns whether the service revoked it."""
        return self._do(_login.log_out(self._login))

    def _do(self, script: Script[T]) -> T:
        from .driver import perform

        return perform(script, self._driver)


class AsyncTokenManager:
    """The login of a client: `AsyncClient.tokens`."""

    def __init__(self, login: LoginCredentials, driver: AsyncDriver) -> None:
        self._login, self._driver = login, driver

    def __repr__(self) -> str:
        return f"<AsyncTokenManager {self._login.login.name!r}>"

    async def get_token(self) -> Tokens:
        """Return what is sent with a request now: the access token and its account, refreshed if it was due.

        Raises `NotLoggedInError`, `RefreshError` and other `CredentialsError`.
        """
        return await self._do(self._login.get_tokens())

    async def refresh_token(self) -> Tokens:
        """Refresh the login now, unless another caller just did, and return what `get_token` does.

        Raises `RefreshError` when the service refuses, `PersistenceError` when the fresh login could not be saved
        (`get_token` then has it until the program ends).
        """
        return await self._do(self._login.refresh_tokens())

    async def store_tokens(self, tokens: Tokens) -> None:
        """Save tokens that you got elsewhere as our own login (or the shared one, where the settings name that).

        Raises `AccountMismatchError` where another account's login is, `PersistenceError`.
        """
        await self._do(self._login.store_tokens(tokens))

    async def get_status(self) -> LoginStatus:
        """Return the status of the login, without secrets; never raises for a damaged login."""
        return await self._do(status_of(self._login))

    async def log_in_by_device_code(self, show: Callable[[DeviceCode], object]) -> LoginStatus:
        """Log in from a machine without a browser; *show* is called with the address and the code for the user."""
        return await self._do(_login.log_in_by_device_code(self._login, show=show))

    async def log_in_by_browser(self, open_browser: Callable[[str], object]) -> LoginStatus:
        """Log in with a browser on this machine; *open_browser* is given the page to open."""
        return await self._do(by_browser(self._login, open_browser))

    @property
    def has_browser_login(self) -> bool:
        """Whether `log_in_by_browser` works for this service."""
        return _login.has_browser(self._login)

    @property
    def revocation_page(self) -> str | None:
        """The page on which a person ends a login; None where `log_out` ends it."""
        return _login.revocation_page(self._login)

    async def log_out(self) -> bool:
        """End our own login and delete it; returns whether the service revoked it."""
        return await self._do(_login.log_out(self._login))

    async def _do(self, script: Script[T]) -> T:
        from .async_driver import aperform

        return await aperform(script, self._driver)


def by_browser(login: LoginCredentials, open_browser: Callable[[str], object]) -> Script[LoginStatus]:
    """Log in with the real loopback server and real randomness."""
    from .callback_server import CallbackServer  # http.server takes 20 ms, and only this needs it

    return _login.log_in_by_browser(
        login, open_browser=open_browser, listen=CallbackServer, new_secret=lambda: os.urandom(32).hex()
    )


def login_of(credentials: Credentials) -> LoginCredentials:
    """Return the login behind *credentials*; raises `UnsupportedError` for credentials of the caller's own."""
    if isinstance(credentials, LoginCredentials):
        return credentials
    raise errors.UnsupportedError("the client was given its credentials", remedy="use the object that you passed")
