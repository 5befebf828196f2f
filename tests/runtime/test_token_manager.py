from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.credentials.login_environment import LoginEnvironment
from tests.toy import ToyProvider

from coatcheck import AsyncClient, AsyncTokenManager, Client, TokenManager, Tokens, errors
from coatcheck._protocol.login_contract import Secret
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.memory_journal import MemoryJournal


class Manager:
    """The token manager of a client of either variant; calls block."""

    def __init__(self, logins: LoginEnvironment, **options: Any) -> None:
        is_async = logins.variant == "asynchronous"
        kind = AsyncClient if is_async else Client
        transport = AsyncEmulatorTransport if is_async else EmulatorTransport
        options = {"provider": "codex", "environ": logins.environ, **options}
        self.client: Any = kind(
            clock=logins.clock,
            transport=transport(logins.cloud),
            journal=MemoryJournal(),
            random=lambda: 0.5,
            **options,
        )

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client.tokens, name)

        def call(*arguments: Any) -> Any:
            result = method(*arguments)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

        return call


@pytest.fixture(params=VARIANTS)
def logins(request: pytest.FixtureRequest, tmp_path: Path) -> LoginEnvironment:
    """An environment of logins."""
    return LoginEnvironment(tmp_path, variant=request.param)


def surface(manager: type) -> dict[str, object]:
    """Return the public methods with their parameters, results and docstrings."""
    return {
        name: (str(inspect.signature(member)), inspect.getdoc(member))
        for name, member in vars(manager).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def test_both_managers_offer_the_same() -> None:
    """Every public method exists on both, with the same parameters, results and docstrings."""
    assert surface(TokenManager) == surface(AsyncTokenManager)


def test_what_is_handed_out_is_what_is_sent(logins: LoginEnvironment) -> None:
    """The access token with its account and its end, refreshed if it was due; never the refresh token."""
    logins.put(logins.issue(ends_in=10))
    tokens = Manager(logins).get_token()

    assert (logins.read().access_token, "acc-1", None) == (tokens.access_token, tokens.account_id, tokens.refresh_token)
    assert 1 == logins.refreshes


def test_a_refresh_on_demand_is_one_refresh(logins: LoginEnvironment) -> None:
    """Also of a token that is fresh; and it is saved."""
    held = logins.put(logins.issue())
    tokens = Manager(logins).refresh_token()

    assert (1, True) == (logins.refreshes, held.access_token != tokens.access_token == logins.read().access_token)


def test_a_read_only_login_is_not_refreshed_on_demand_either(logins: LoginEnvironment) -> None:
    """The setting, or the file's mode, forbids it; the remedy names the program that refreshes it."""
    logins.put(logins.issue())
    with pytest.raises(errors.CredentialsError, match="used read-only") as caught:
        Manager(logins, environ=logins.environ | {"COATCHECK_CODEX_CREDENTIALS": "shared-readonly"}).refresh_token()
    logins.shared.chmod(0o400)
    with pytest.raises(errors.CredentialsError, match="is read-only"):
        Manager(logins).refresh_token()

    assert ("let the Codex CLI refresh it", 0) == (caught.value.remedy, logins.refreshes)


def test_imported_tokens_become_a_login(logins: LoginEnvironment) -> None:
    """They are saved where the next program finds them, and used from then on."""
    manager = Manager(logins)
    manager.store_tokens(logins.issue())

    assert logins.read(logins.own).access_token == manager.get_token().access_token
    assert "own" == Manager(logins).get_status().source


def test_another_accounts_tokens_replace_nothing(logins: LoginEnvironment) -> None:
    """The file of the existing account is unchanged."""
    held = logins.put(logins.issue(), logins.own)

    with pytest.raises(errors.AccountMismatchError):
        Manager(logins).store_tokens(msgspec.structs.replace(logins.issue(), account_id="acc-2"))

    assert held.access_token == logins.read(logins.own).access_token


class Custom:
    """Credentials of the caller's own."""

    def get_secret(self) -> Any:
        yield from ()
        return Secret(token="t")

    def renew_secret(self, rejected: Secret) -> Any:
        yield from ()
        return None


def test_credentials_of_the_caller_are_used_directly(logins: LoginEnvironment) -> None:
    """Credentials that the caller passes are not managed."""
    with pytest.raises(errors.UnsupportedError, match="was given its credentials"):
        Manager(logins, credentials=Custom()).get_token()


def test_a_provider_without_logins_is_an_error(logins: LoginEnvironment) -> None:
    """There is no login to create or end."""
    manager = Manager(logins, provider=ToyProvider())

    for act in (
        lambda: manager.log_in_by_device_code(lambda _: None),
        lambda: manager.log_in_by_browser(str),
        manager.log_out,
    ):
        with pytest.raises(errors.UnsupportedError, match="no login command"):
            act()


def test_tokens_show_nothing_but_times_and_the_plan() -> None:
    """Neither tokens, nor the account, nor the issuer."""
    tokens = Tokens(
        access_token="a", refresh_token="r", id_token="i", account_id="x", plan="plus", expires_at=1.0, issuer="u"
    )

    assert "Tokens(plan='plus', expires_at=1.0)" == repr(tokens) == str(tokens)
