from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants

from coatcheck import errors
from coatcheck._credentials.login_sources import LoginCredentials, LoginSelection, Source
from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.login_contract import Login, Secret
from coatcheck._protocol.settings import COMMON_SETTINGS
from coatcheck.providers._chatgpt.credentials import LOCAL_LOGIN
from coatcheck.testing.fake_clock import FakeClock

EXPLICIT = Secret(token="explicit", account_id="acc-9")


@both_variants
def test_the_first_login_that_is_there_is_taken(logins: LoginEnvironment) -> None:
    """Explicit, environment, own, shared: in this order."""
    shared = logins.put(logins.issue())
    seen = [logins.secret(logins.login()).token]
    own = logins.put(logins.issue(), logins.own)
    seen.append(logins.secret(logins.login()).token)
    variable = logins.issue().access_token
    seen.append(logins.secret(logins.login(CODEX_ACCESS_TOKEN=variable)).token)
    seen.append(logins.secret(logins.login(CODEX_ACCESS_TOKEN=variable, explicit=EXPLICIT)).token)

    assert [shared.access_token, own.access_token, variable, "explicit"] == seen


@pytest.mark.parametrize("source", ["own", "shared", "shared-readonly", "environment"])
@both_variants
def test_a_setting_names_the_source(logins: LoginEnvironment, source: str) -> None:
    """The chosen source is used although others are available."""
    own, shared, variable = logins.put(logins.issue(), logins.own), logins.put(logins.issue()), logins.issue()
    expected = {"own": own, "shared": shared, "shared-readonly": shared, "environment": variable}[source]

    assert expected.access_token == logins.secret(logins.login(source, CODEX_ACCESS_TOKEN=variable.access_token)).token


@pytest.mark.parametrize("source", ["own", "shared", "shared-readonly", "environment", "auto"])
@both_variants
def test_no_login_has_a_remedy(logins: LoginEnvironment, source: str) -> None:
    """Every source without a login has the same remedy."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        logins.secret(logins.login(source))

    assert "coatcheck login codex" in (caught.value.remedy or "")


@both_variants
def test_each_account_has_a_name_and_a_file(logins: LoginEnvironment) -> None:
    """An account that is requested by name is never replaced by another login."""
    work = logins.put(logins.issue(), logins.own.with_name("work.json"))
    logins.put(logins.issue(), logins.own)

    assert work.access_token == logins.secret(logins.login(account="work", CODEX_ACCESS_TOKEN="other")).token
    with pytest.raises(errors.NotLoggedInError, match=r"home\.json"):
        logins.secret(logins.login(account="home"))


def test_a_source_is_read_whatever_its_letters() -> None:
    """A word that was written into the file by hand, in capitals, is that source."""
    selection = LoginSelection.read(" OWN ", origin="file", account=None, issuer=None)

    assert Source.OWN == selection.source


def test_every_source_can_be_set() -> None:
    """The setting's choices are the sources that a login accepts."""
    choices = next(setting.choices for setting in COMMON_SETTINGS if setting.name == "credentials")

    assert {source.value for source in Source if source is not Source.ARGUMENT} == set(choices)


@pytest.mark.parametrize(
    ("source", "account", "message"),
    [
        ("keychain", None, "no source of credentials 'keychain' .from there."),
        ("own", "../x", "not a name for an account"),
    ],
)
def test_invalid_settings_are_refused(source: str, account: str | None, message: str) -> None:
    """The error lists the valid values."""
    with pytest.raises(errors.ConfigurationError, match=message) as caught:
        LoginSelection.read(source, origin="from there", account=account, issuer=None)

    assert caught.value.remedy


@both_variants
def test_a_token_in_the_environment_that_ended_is_not_sent(logins: LoginEnvironment) -> None:
    """The error names the variable and the time."""
    with pytest.raises(errors.NotLoggedInError, match="CODEX_ACCESS_TOKEN expired at 20"):
        logins.secret(logins.login(CODEX_ACCESS_TOKEN=logins.issue(ends_in=-1).access_token))


@both_variants
def test_a_token_argument_is_not_refreshed(logins: LoginEnvironment) -> None:
    """Neither after a 401 nor on demand."""
    login = logins.login(explicit=EXPLICIT)

    assert None is logins.do(login.renew_secret(EXPLICIT))
    with pytest.raises(errors.CredentialsError, match="argument cannot be refreshed"):
        logins.do(login.refresh_tokens())


class Whoami:
    """An account service that accepts one personal access token."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append((request.method, request.url))
        if ("authorization", "Bearer at-good") not in request.headers:
            return Response(401, {}, b'{"error":{"message":"unknown token at-bad-0123456789abcdef"}}')
        answer = {
            "email": None,
            "chatgpt_account_id": "acc-7",
            "chatgpt_plan_type": "team",
            "chatgpt_account_is_fedramp": True,
        }
        return Response(200, {}, json.dumps(answer).encode())


@both_variants
def test_the_account_of_a_personal_access_token_is_requested_once(logins: LoginEnvironment) -> None:
    """The account is requested, and then sent with the token (docs/reference/protocols/codex-wham.md, 6.8)."""
    whoami = Whoami()
    logins.cloud.handle = whoami
    login = logins.login(CODEX_ACCESS_TOKEN="at-good")
    secrets = [logins.secret(login) for _ in range(3)]

    assert {("at-good", "acc-7", True)} == {(s.token, s.account_id, s.is_fedramp) for s in secrets}
    assert [("GET", "https://auth.openai.com/api/accounts/v1/user-auth-credential/whoami")] == whoami.asked


@both_variants
def test_a_personal_access_token_in_the_shared_file_works_too(logins: LoginEnvironment) -> None:
    """The official client's ``login --with-access-token`` writes it without a mode (6.1)."""
    whoami = Whoami()
    logins.cloud.handle = whoami
    logins.shared.write_text('{"OPENAI_API_KEY": null, "personal_access_token": "at-good"}')

    assert "acc-7" == logins.secret(logins.login()).account_id


@both_variants
def test_an_unknown_personal_access_token_is_refused(logins: LoginEnvironment) -> None:
    """The error does not quote it."""
    logins.cloud.handle = Whoami()

    with pytest.raises(errors.NotLoggedInError, match="does not accept the personal access token") as caught:
        logins.secret(logins.login(CODEX_ACCESS_TOKEN="at-bad"))

    assert "at-bad" not in str(caught.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "https://evil.example/oauth/token"},
        {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://auth.openai.com/oauth/token"},
        {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "https://auth.openai.com.evil.example/oauth/token"},
        {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "https://auth.openai.com@evil.example/oauth/token"},
    ],
)
@both_variants
def test_a_refresh_token_goes_to_its_login_service_only(logins: LoginEnvironment, environ: dict[str, str]) -> None:
    """Another host, or plain http, is refused before anything is sent."""
    logins.put(logins.issue(ends_in=10))

    with pytest.raises(errors.ConfigurationError, match="never sent to"):
        logins.secret(logins.login(**environ))

    assert [] == logins.cloud.requests


@both_variants
def test_a_file_that_names_another_issuer_is_refused(logins: LoginEnvironment) -> None:
    """`oauth_provenance` may name the login service or loopback, and no other."""
    logins.put(logins.issue(ends_in=10))
    document = json.loads(logins.shared.read_bytes())
    document["tokens"]["oauth_provenance"] = {"issuer": "https://evil.example", "client_id": "x"}
    logins.shared.write_text(json.dumps(document))

    with pytest.raises(errors.ConfigurationError, match="never sent to"):
        logins.secret(logins.login())

    assert [] == logins.cloud.requests


@both_variants
def test_the_official_clients_variable_moves_the_refresh(logins: LoginEnvironment) -> None:
    """To loopback, as its own tests do."""
    logins.put(logins.issue(ends_in=-10))
    with pytest.raises(errors.TransportError, match="404"):
        logins.secret(logins.login(CODEX_REFRESH_TOKEN_URL_OVERRIDE="http://127.0.0.1:9/somewhere/oauth/token"))

    assert "/somewhere/oauth/token" == logins.cloud.requests[-1].path


def test_a_login_to_the_local_cloud_is_an_error(logins: LoginEnvironment) -> None:
    """The local cloud has a token and no login."""
    login = LoginCredentials(
        LOCAL_LOGIN,
        environ=logins.environ,
        clock=logins.clock,
        random=lambda: 0.5,
        config_dir="",
        state_dir="",
        choice=LoginSelection(source=Source.OWN),
    )

    with pytest.raises(errors.UnsupportedError, match="local has no own login"):
        logins.secret(login)


def test_a_variable_without_a_reader_is_the_token(logins: LoginEnvironment) -> None:
    """A provider needs no code for the simplest login there is."""
    login = LoginCredentials(
        Login(name="toy", remedy="log in", environment="TOY"),
        environ={"TOY": " t "},
        clock=logins.clock,
        random=lambda: 0.5,
        config_dir="",
        state_dir="",
    )

    assert "t" == logins.secret(login).token


def chained(*found: Secret | None) -> Login:
    """A login whose tools find these, one after the other."""
    left = list(found)
    return msgspec.structs.replace(CHAIN, chain=lambda _environ: lambda: left.pop(0) if len(left) > 1 else left[0])


CHAIN = Login(name="chained", remedy="run: tools configure", trusted_hosts=frozenset({"chained.example"}))


def chain_secret(login: Login, *, renewed: bool = False) -> Secret | None:
    """Return the secret of such a login, or the one after a rejection."""
    credentials = LoginCredentials(
        login, environ={}, clock=FakeClock(), random=lambda: 0.5, config_dir="", state_dir=""
    )
    secret = perform(credentials.get_secret())
    return perform(credentials.renew_secret(secret)) if renewed else secret


def perform(script: Any) -> Any:
    """Run a script that only calls."""
    try:
        wish = next(script)
        while True:
            wish = script.send(wish.function())
    except StopIteration as stop:
        return stop.value


def test_a_chain_is_read_for_each_secret() -> None:
    """The service's official tools refresh their secret, so the current one is sent."""
    assert EXPLICIT == chain_secret(chained(EXPLICIT))


def test_an_empty_chain_has_a_remedy() -> None:
    """No secret found means not logged in."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        chain_secret(chained(None))

    assert "run: tools configure" == caught.value.remedy


def test_a_refused_secret_of_a_chain_is_replaced_by_another_one_only() -> None:
    """After a rejection the chain is read again; the same secret is not sent again."""
    other = Secret(token="other", account_id="acc-9")

    assert (None, other) == (
        chain_secret(chained(EXPLICIT), renewed=True),
        chain_secret(chained(EXPLICIT, other), renewed=True),
    )


def test_a_service_without_a_chain_is_an_error() -> None:
    """A setting that names a missing chain is one clear line."""
    choice = LoginSelection(source=Source.CHAIN)
    credentials = LoginCredentials(
        CHAIN, environ={}, clock=FakeClock(), random=lambda: 0.5, config_dir="", state_dir="", choice=choice
    )

    with pytest.raises(errors.UnsupportedError, match="chained has no chain login"):
        perform(credentials.get_secret())
