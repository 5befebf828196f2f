"""The one task of an asynchronous client: it keeps the login fresh between ``__aenter__`` and `aclose`.

Law 1. It begins when a login was read, and sleeps until that login needs something; without a login there is no task.
Law 2. Whatever goes wrong is told (`on_trouble`), never raised into the program, and never ends the client.
Law 3. `aclose` ends it and waits for its end.
"""

from __future__ import annotations

import asyncio
from functools import partial

from .. import errors
from .._credentials.login_sources import LoginCredentials
from .._protocol.login_contract import Credentials
from .async_driver import AsyncDriver, aperform


class BackgroundRefresh:
    """The supervisor of the refresh task."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def look_after(self, credentials: Credentials, driver: AsyncDriver) -> None:
        """Keep *credentials* fresh from the moment at which their tokens are known; those of a caller's own keep themselves."""
        if isinstance(credentials, LoginCredentials):
            credentials.on_change = partial(self._start, credentials, driver)

    def _start(self, login: LoginCredentials, driver: AsyncDriver) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(_keep_fresh(login, driver), name="coatcheck-keeps-the-login-fresh")

    async def aclose(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


async def _keep_fresh(login: LoginCredentials, driver: AsyncDriver) -> None:
    try:
        await aperform(login.keep_fresh(), driver)
    except Exception as error:  # noqa: BLE001 - a failure here is told and never ends the program
        told = error if isinstance(error, errors.CoatcheckError) else type(error).__name__
        login.on_trouble(f"the login is no longer kept fresh in the background: {told}")
