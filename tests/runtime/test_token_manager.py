from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.credentials.household import Household
from tests.toy import ToyProvider

from coatcheck import AsyncClient, AsyncTokenManager, Client, TokenManager, Tokens, errors
from coatcheck._protocol.login_contract import Secret
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.memory_journal import MemoryJournal


class Manager:
    """The token manager of a client of either colour; calls block."""

    def __init__(self, house: Household, **options: Any) -> None:
        is_async = house.colour == "asynchronous"
        kind = AsyncClient if is_async else Client
        transport = AsyncEmulatorTransport if is_async else EmulatorTransport
        options = {"provider": "codex", "environ": house.environ, **options}
        self.client: Any = kind(
            clock=house.clock, transport=transport(house.cloud), journal=MemoryJournal(), random=lambda: 0.5, **options
        )

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client.tokens, name)

        def call(*arguments: Any) -> Any:
            result = method(*arguments)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

        return call


@pytest.fixture(params=VARIANTS)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Household:
    return Household(tmp_path, colour=request.param)


def surface(manager: type) -> dict[str, object]:
    """Return the public methods with their parameters, results and docstrings."""
    return {
        name: (str(inspect.signature(member)), inspect.getdoc(member))
        for name, member in vars(manager).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def test_both_managers_offer_the_same() -> None:
    """Every public method exists on both, with the same parameters, results and words."""
    assert surface(TokenManager) == surface(AsyncTokenManager)


def test_what_is_handed_out_is_what_is_sent(house: Household) -> None:
    """The access token with its account and its end, refreshed if it was due; never the refresh token."""
    house.put(house.issue(ends_in=10))
    tokens = Manager(house).get_token()

    assert (house.read().access_token, "acc-1", None) == (tokens.access_token, tokens.account_id, tokens.refresh_token)
    assert 1 == house.refreshes


def test_a_refresh_on_demand_is_one_refresh(house: Household) -> None:
    """Also of a token that is fresh; and it is saved."""
    held = house.put(house.issue())
    tokens = Manager(house).refresh_token()

    assert (1, True) == (house.refreshes, held.access_token != tokens.access_token == house.read().access_token)


def test_a_read_only_login_is_not_refreshed_on_demand_either(house: Household) -> None:
    """The setting, or the file's mode, says so; the remedy names who does it."""
    house.put(house.issue())
    with pytest.raises(errors.CredentialsError, match="used read-only") as caught:
        Manager(house, environ=house.environ | {"COATCHECK_CODEX_CREDENTIALS": "shared-readonly"}).refresh_token()
    house.shared.chmod(0o400)
    with pytest.raises(errors.CredentialsError, match="is read-only"):
        Manager(house).refresh_token()

    assert ("let the Codex CLI refresh it", 0) == (caught.value.remedy, house.refreshes)


def test_tokens_from_elsewhere_become_our_own_login(house: Household) -> None:
    """Saved where the next program finds them, and used from then on."""
    manager = Manager(house)
    manager.store_tokens(house.issue())

    assert house.read(house.own).access_token == manager.get_token().access_token
    assert "own" == Manager(house).get_status().source


def test_another_accounts_tokens_replace_nothing(house: Household) -> None:
    """The file of the account that is there stays as it is."""
    held = house.put(house.issue(), house.own)

    with pytest.raises(errors.AccountMismatchError):
        Manager(house).store_tokens(msgspec.structs.replace(house.issue(), account_id="acc-2"))

    assert held.access_token == house.read(house.own).access_token


class Custom:
    """Credentials of the caller's own."""

    def get_secret(self) -> Any:
        yield from ()
        return Secret(token="t")

    def renew_secret(self, rejected: Secret) -> Any:
        yield from ()
        return None


def test_credentials_of_the_callers_own_are_asked_directly(house: Household) -> None:
    """We do not manage what we were given."""
    with pytest.raises(errors.UnsupportedError, match="was given its credentials"):
        Manager(house, credentials=Custom()).get_token()


def test_a_provider_without_logins_says_so(house: Household) -> None:
    """There is nothing to log in to or out of."""
    manager = Manager(house, provider=ToyProvider())

    for act in (
        lambda: manager.log_in_by_device_code(lambda _: None),
        lambda: manager.log_in_by_browser(str),
        manager.log_out,
    ):
        with pytest.raises(errors.UnsupportedError, match="no login command"):
            act()


def test_tokens_show_nothing_but_times_and_the_plan() -> None:
    """Neither tokens, nor the account, nor who gave them."""
    tokens = Tokens(
        access_token="a", refresh_token="r", id_token="i", account_id="x", plan="plus", expires_at=1.0, issuer="u"
    )

    assert "Tokens(plan='plus', expires_at=1.0)" == repr(tokens) == str(tokens)
