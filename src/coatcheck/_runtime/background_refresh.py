"""The background refresh of an asynchronous client: one task between ``__aenter__`` and `aclose`.

Invariants:

- the task starts when a login was read, and sleeps until that login needs something; without a login there is no task;
- errors are reported through `on_trouble`; they are never raised into the program and never end the client;
- `aclose` cancels the task and waits for its end, and no new one is started afterwards, also not by a refresh that
  was under way at the time.
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
        self._is_closed = False

    def refresh_when_known(self, credentials: Credentials, driver: AsyncDriver) -> None:
        """Keep *credentials* fresh as soon as their tokens are known; credentials of the caller's own are left alone."""
        if isinstance(credentials, LoginCredentials):
            credentials.on_change = partial(self._start, credentials, driver)

    def _start(self, login: LoginCredentials, driver: AsyncDriver) -> None:
        if not self._is_closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(_keep_fresh(login, driver), name="coatcheck-keeps-the-login-fresh")

    async def aclose(self) -> None:
        """Cancel the task, wait for its end, and start no other."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


async def _keep_fresh(login: LoginCredentials, driver: AsyncDriver) -> None:
    try:
        await aperform(login.keep_fresh(), driver)
    except Exception as error:  # noqa: BLE001 - a failure here is reported and never ends the program
        reason = error if isinstance(error, errors.CoatcheckError) else type(error).__name__
        login.on_trouble(f"the login is no longer refreshed in the background: {reason}")
