"""A home folder with logins and the cloud that issued them, for the tests of credentials."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coatcheck._credentials.login_sources import LoginCredentials, LoginSelection, Source
from coatcheck._credentials.refresh_policy import fingerprint
from coatcheck._protocol.effects import Request, Script
from coatcheck._protocol.login_contract import Secret, Tokens
from coatcheck._runtime.async_driver import AsyncDriver, aperform
from coatcheck._runtime.driver import Driver, perform
from coatcheck.cloud.issued_tokens import Account, TokenBook, TokenSet
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers._chatgpt.credentials import LOGIN, read_auth_file, write_auth_file
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

VARIANTS = ("blocking", "asynchronous")
# Runs a test of `LoginEnvironment` with each driver.
both_variants = pytest.mark.parametrize("variant", VARIANTS)


class LoginEnvironment:
    """A folder with a Codex home, our config and state, and a login service in the same process."""

    def __init__(
        self,
        folder: Path,
        *,
        lifetime: float = 3600.0,
        clock: Any = None,
        variant: str = "blocking",
        device_interval: int = 5,
    ) -> None:
        self.folder, self.variant = folder, variant
        self.random: Callable[[], float] = lambda: 0.5
        self.clock = clock or FakeClock()
        self.cloud = ScriptedCloud(
            clock=self.clock,
            device_interval=device_interval,
            account=Account(plan="plus", email="p@example.com", account_id="acc-1"),
        )
        self.cloud.book.lifetime = lifetime
        self.environ = {
            "HOME": str(folder),
            "CODEX_HOME": str(folder / "codex"),
            "COATCHECK_CONFIG_HOME": str(folder / "config"),
            "COATCHECK_STATE_HOME": str(folder / "state"),
        }
        self.shared = folder / "codex" / "auth.json"
        self.shared.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own = folder / "config" / "logins" / "codex" / "default.json"

    # -- files -------------------------------------------------------------------------------------------------------

    def issue(self, *, ends_in: float = 3600.0, book: TokenBook | None = None) -> Tokens:
        """Return new tokens, as a login returns them."""
        book = book or self.cloud.book
        return tokens_of(book.issue(lifetime=ends_in), self.clock.time() - 3600, book.account.account_id)

    def put(self, tokens: Tokens, path: Path | None = None, **extra: object) -> Tokens:
        """Write a login file, by default the shared one, with *extra* keys."""
        path = path or self.shared
        path.parent.mkdir(parents=True, exist_ok=True)
        document = json.loads(write_auth_file(None, tokens)) | extra
        path.write_text(json.dumps(document, indent=2))
        path.chmod(0o600)
        return tokens

    def read(self, path: Path | None = None) -> Tokens:
        """Return what is in a login file."""
        return read_auth_file((path or self.shared).read_bytes(), "the file")

    # -- logins ------------------------------------------------------------------------------------------------------

    def login(
        self, source: str = "auto", *, explicit: Secret | None = None, account: str | None = None, **environ: str
    ) -> LoginCredentials:
        """Return the credentials of a new process of ours."""
        return LoginCredentials(
            LOGIN,
            environ=self.environ | environ,
            clock=self.clock,
            random=self.random,
            config_dir=self.environ["COATCHECK_CONFIG_HOME"],
            state_dir=self.environ["COATCHECK_STATE_HOME"],
            explicit=explicit,
            choice=LoginSelection(source=Source(source), account=account),
        )

    def do(self, script: Script[Any]) -> Any:
        """Perform a script in the logins's variant."""
        if self.variant == "asynchronous":
            return asyncio.run(self.ado(script))
        return perform(script, Driver(EmulatorTransport(self.cloud), self.clock))

    async def ado(self, script: Script[Any]) -> Any:
        """Perform a script in the running loop."""
        return await aperform(script, AsyncDriver(AsyncEmulatorTransport(self.cloud), self.clock, max_in_flight=32))

    def secret(self, login: LoginCredentials) -> Secret:
        """Return what a request would be sent with now."""
        return self.do(login.get_secret())

    # -- what happened -----------------------------------------------------------------------------------------------

    @property
    def presented(self) -> Counter[str]:
        """The presentations of each refresh token, by fingerprint; empty ones test whether the service responds."""
        bodies = [
            msgspec.json.decode(r.body) for r in self.cloud.requests if r.path == "/oauth/token" and r.body[:1] == b"{"
        ]
        return Counter(fingerprint(body["refresh_token"]) for body in bodies if body["refresh_token"])

    @property
    def refreshes(self) -> int:
        """The number of refresh requests that the service received."""
        return self.presented.total()

    def accepts(self, secret: Secret) -> bool:
        """Whether the service accepts a secret."""
        return self.cloud.book.accepts(secret.token)


def is_ours(request: Request) -> bool:
    """Whether a request is one of ours and not of an official client."""
    return dict(request.headers).get("user-agent", "").startswith("coatcheck/")


def tokens_of(issued: TokenSet, last_refresh: float, account_id: str) -> Tokens:
    """Return issued tokens as ours."""
    return Tokens(
        access_token=issued.access_token,
        refresh_token=issued.refresh_token,
        id_token=issued.id_token,
        account_id=account_id,
        plan="plus",
        expires_at=float(int(issued.expires_at)),
        last_refresh=last_refresh,
    )
