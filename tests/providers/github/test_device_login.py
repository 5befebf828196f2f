"""Logging in to GitHub by device code, client against emulator."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import Client, errors
from coatcheck._credentials.device_code import DeviceCode
from coatcheck._credentials.login_flows import log_in_by_browser, log_in_by_device_code, log_out
from coatcheck._credentials.login_sources import LoginCredentials, LoginSelection, Source
from coatcheck._credentials.login_status import LoginStatus, status_of
from coatcheck._engine.authenticate import require_permitted_host
from coatcheck._protocol.effects import Request, Response, Script
from coatcheck._protocol.login_contract import Tokens
from coatcheck._runtime.async_driver import AsyncDriver, aperform
from coatcheck._runtime.config import Config
from coatcheck._runtime.driver import Driver, perform
from coatcheck.cloud.faults import Reset, Status
from coatcheck.providers._github import device_login as github
from coatcheck.providers.copilot import copilot
from coatcheck.providers.github_actions import github_actions
from coatcheck.testing import serving
from coatcheck.testing.both_clients import VARIANTS
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_login import CLIENT_ID, LoginService
from coatcheck.testing.fake_clock import FakeClock

PROVIDERS = {"github_actions": github_actions, "copilot": copilot}


class Settings(dict[str, str]):
    """Settings with given values."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:  # type: ignore[override]
        del variable
        return super().get(name)


class LoginEnvironment:
    """A home without any login, in front of a GitHub."""

    def __init__(self, folder: Path, variant: str = "blocking") -> None:
        self.folder, self.variant, self.clock = folder, variant, FakeClock()
        self.service = GithubEmulator(clock=self.clock)
        self.environ: dict[str, str] = {"HOME": str(folder)}

    @property
    def login_service(self) -> LoginService:
        return self.service.logins

    def file(self, family: str = "github", account: str = "default") -> Path:
        """Return where our login is."""
        return self.folder / "config/logins" / family / f"{account}.json"

    def login(
        self,
        provider: str = "github_actions",
        *,
        source: Source = Source.AUTO,
        account: str | None = None,
        **given: str,
    ) -> LoginCredentials:
        """Return the credentials of a new process."""
        settings = Settings({"client_id": CLIENT_ID, **given})
        return LoginCredentials(
            PROVIDERS[provider](settings).login,
            environ=self.environ,
            clock=self.clock,
            random=lambda: 0.5,
            config_dir=str(self.folder / "config"),
            state_dir=str(self.folder / "state"),
            choice=LoginSelection(source=source, account=account, issuer=given.get("issuer")),
        )

    def do(self, script: Script[Any]) -> Any:
        """Perform a script in this variant."""
        if self.variant == "blocking":
            return perform(script, Driver(EmulatorTransport(self.service), self.clock))

        async def performed() -> Any:
            return await aperform(
                script, AsyncDriver(AsyncEmulatorTransport(self.service), self.clock, max_in_flight=4)
            )

        return asyncio.run(performed())

    def enter(self, show: Callable[[DeviceCode], object] | None = None, **options: Any) -> LoginStatus:
        """Log in; by default the user approves at once."""
        approve = show or (lambda code: self.login_service.approve(code.user_code))
        return self.do(log_in_by_device_code(self.login(**options), show=approve))


@pytest.fixture(params=VARIANTS)
def logins(request: pytest.FixtureRequest, tmp_path: Path) -> LoginEnvironment:
    """A home in each variant."""
    return LoginEnvironment(tmp_path, request.param)


def later(logins: LoginEnvironment, act: Callable[[], object], *, after: int) -> None:
    """Have a person act after so many polls."""
    handle, polls = logins.service.handle, []

    def watched(request: Request) -> Response:
        if request.path.endswith("access_token"):
            polls.append(request)
            if len(polls) == after:
                act()
        return handle(request)

    logins.service.handle = watched  # type: ignore[method-assign]


# -- logging in --------------------------------------------------------------------------------------------------------


def test_a_login_waits_for_a_person_and_is_kept(logins: LoginEnvironment) -> None:
    """At the service's pace, with the scopes that the providers need, in a file of its owner alone."""
    shown: list[DeviceCode] = []
    later(logins, lambda: logins.login_service.approve(shown[0].user_code), after=3)
    status = logins.enter(shown.append)

    assert ("https://github.com/login/device", [5.0, 5.0, 5.0]) == (shown[0].url, logins.clock.sleeps)
    assert ("own", True, "583231", False) == (status.source, status.is_logged_in, status.account_id, status.can_refresh)
    assert ["repo workflow"] == logins.login_service.scopes
    assert [0o600, 0o700] == [path.stat().st_mode & 0o777 for path in (logins.file(), logins.file().parent)]
    assert logins.login_service.accepts(logins.do(logins.login().get_secret()).token)


def test_one_login_serves_both_providers(logins: LoginEnvironment) -> None:
    """Actions and the coding agent are one GitHub."""
    logins.enter(provider="copilot")
    secrets = [logins.do(logins.login(provider).get_secret()) for provider in PROVIDERS]

    assert secrets[0] == secrets[1]


def test_slow_down_is_obeyed(logins: LoginEnvironment) -> None:
    """The interval grows by five seconds each time, and stays so."""
    shown: list[DeviceCode] = []

    def show(code: DeviceCode) -> None:
        shown.append(code)
        next(iter(logins.login_service._devices.values())).interval = 12

    later(logins, lambda: logins.login_service.approve(shown[0].user_code), after=3)
    logins.enter(show)

    assert [5.0, 17.0, 17.0] == logins.clock.sleeps


def test_a_no_is_final(logins: LoginEnvironment) -> None:
    """The error is one line; no request is repeated and nothing is stored."""
    with pytest.raises(errors.CredentialsError, match="the login was denied"):
        logins.enter(lambda code: logins.login_service.deny(code.user_code))

    assert ([5.0], False) == (logins.clock.sleeps, logins.file().exists())


def test_a_code_that_is_not_entered_expires(logins: LoginEnvironment) -> None:
    """It expires after the time that the service names."""
    with pytest.raises(errors.CredentialsError, match="the code expired") as caught:
        logins.enter(lambda _: None)

    assert (900.0, "try again: coatcheck login github") == (sum(logins.clock.sleeps), caught.value.remedy)


def test_a_hiccup_is_requested_again(logins: LoginEnvironment) -> None:
    """A lost connection and a 503 while a person types."""
    logins.service.faults += [Reset(on="device_token"), Status(503, on="device_token")]

    assert logins.enter().is_logged_in


def test_scopes_are_a_setting(logins: LoginEnvironment) -> None:
    """Commas or blanks between them; none at all where the setting is empty."""
    for scopes in ("public_repo,workflow", " "):
        logins.enter(scopes=scopes)

    assert ["public_repo workflow", ""] == logins.login_service.scopes


@pytest.mark.parametrize("client_id", ["", "unknown"])
def test_an_app_is_the_users(logins: LoginEnvironment, client_id: str) -> None:
    """Without a client id nothing is requested; a wrong one is an error. Nothing is written before."""
    with pytest.raises(errors.ConfigurationError) as caught:
        logins.enter(client_id=client_id)

    words = "needs the client id of an OAuth app" if not client_id else "knows no app with this client id"
    assert words in str(caught.value)
    assert (0 if not client_id else 1) == len(logins.service.requests)


def test_the_remedy_names_the_other_ways(logins: LoginEnvironment) -> None:
    """The setting, a token in the environment, and GitHub's own command line."""
    with pytest.raises(errors.ConfigurationError) as caught:
        logins.enter(client_id="")

    remedy = caught.value.remedy or ""
    assert all(
        word in remedy for word in ("github_actions.client_id", "COATCHECK_GITHUB_CLIENT_ID", "GITHUB_TOKEN", "gh ")
    )


def test_an_app_may_have_no_device_flow(logins: LoginEnvironment) -> None:
    """The remedy names the setting of the app."""
    logins.login_service.has_device_flow = False
    with pytest.raises(errors.UnsupportedError, match="no device flow") as caught:
        logins.enter()

    assert "Enable Device Flow" in (caught.value.remedy or "")


def test_there_is_no_login_by_browser(logins: LoginEnvironment) -> None:
    """It needs the secret of an app."""
    with pytest.raises(errors.UnsupportedError, match="no login by browser") as caught:
        logins.do(log_in_by_browser(logins.login(), open_browser=print, listen=lambda *_: None, new_secret=str))  # type: ignore[arg-type,return-value]

    assert "log in with --device-code" == caught.value.remedy


def test_a_login_never_replaces_another_persons(logins: LoginEnvironment) -> None:
    """The owner of a new token is requested; logins of two accounts are kept under different names."""
    logins.enter()
    before, logins.login_service.user_id = logins.file().read_bytes(), 2
    with pytest.raises(errors.AccountMismatchError):
        logins.enter()
    logins.enter(account="work")

    assert (before, True) == (logins.file().read_bytes(), logins.file(account="work").exists())


def test_tokens_are_shown_nowhere(logins: LoginEnvironment) -> None:
    """In no repr of what holds them, no status, no error."""
    logins.enter()
    login = logins.login()
    shown = f"{login.login!r} {logins.do(status_of(login))!r} {logins.do(login.get_tokens())!r} {logins.do(login.get_secret())!r}"

    assert "gho_" not in shown


# -- where a login goes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "family", "start"),
    [
        ("https://github.com", "github", "https://github.com/login/device/code"),
        ("https://ghe.example.com", "github-ghe.example.com", "https://ghe.example.com/login/device/code"),
        ("https://octo.ghe.com", "github-octo.ghe.com", "https://octo.ghe.com/login/device/code"),
        ("http://127.0.0.1:9", "github-127.0.0.1_9", "http://127.0.0.1:9/login/device/code"),
    ],
)
def test_each_site_has_a_login(logins: LoginEnvironment, base_url: str, family: str, start: str) -> None:
    """It is requested at the site, kept under its name, and sent to its API alone."""
    logins.enter(base_url=base_url)
    login, provider = logins.login(base_url=base_url), github_actions(Settings(base_url=base_url))
    require_permitted_host(provider.origins["api"], logins.do(login.get_secret()), provider.login)

    assert (start, True) == (logins.service.requests[0].url, logins.file(family).exists())


@pytest.mark.parametrize("base_url", ["https://ghe.example.com", "https://octo.ghe.com", "https://evil.example/api/v3"])
def test_a_login_is_sent_to_no_other_site(logins: LoginEnvironment, base_url: str) -> None:
    """It is not found there, a copied file is refused, and `require_permitted_host` stops its secret."""
    logins.enter()
    secret = logins.do(logins.login().get_secret())
    other = github_actions(Settings(base_url=base_url))
    with pytest.raises(errors.NotLoggedInError):
        logins.do(logins.login(base_url=base_url).get_secret())
    copy = logins.file(other.login.family or "")
    copy.parent.mkdir(parents=True)
    copy.write_bytes(logins.file().read_bytes())
    with pytest.raises(errors.NotLoggedInError, match="but to another site"):
        logins.do(logins.login(base_url=base_url).get_secret())
    with pytest.raises(errors.ConfigurationError, match="is never sent to"):
        require_permitted_host(other.origins["api"], secret, github_actions(Settings()).login)

    assert ("https://github.com/login/device/code", "https://api.github.com/user") == (
        logins.service.requests[0].url,
        logins.service.requests[-1].url,
    )


def test_another_login_service_is_refused(logins: LoginEnvironment) -> None:
    """Neither a foreign one, nor a login from loopback as one to github.com."""
    with pytest.raises(errors.ConfigurationError, match="never sent to"):
        logins.enter(issuer="https://evil.example")
    with pytest.raises(errors.ConfigurationError, match="not kept as one to"):
        logins.enter(issuer="http://127.0.0.1:9")

    assert not logins.file().exists()


def test_a_repository_cannot_name_the_app(tmp_path: Path) -> None:
    """The file of a checkout cannot set the client id (`docs/guides/settings.md`)."""
    project = tmp_path / "coatcheck.toml"
    for name in ("client_id", "scopes"):
        project.write_text(f"github_actions.{name} = 'x'")
        with pytest.raises(errors.ConfigurationError, match="which a project file may not"):
            Config(environ={"HOME": str(tmp_path)}, project=str(project)).get(f"github_actions.{name}")

    assert "x" == Config(environ={"COATCHECK_GITHUB_CLIENT_ID": "x"}).get(
        "copilot.client_id", variable="COATCHECK_GITHUB_CLIENT_ID"
    )


def test_official_tools_have_precedence(logins: LoginEnvironment) -> None:
    """A variable, then gh's file, then our login, unless the settings name another order."""
    logins.enter()
    gh = logins.folder / "gh"
    gh.mkdir()
    (gh / "hosts.yml").write_text("github.com:\n    oauth_token: gho_of_gh\n")
    found = [logins.do(logins.login().get_secret()).source]
    logins.environ["GH_CONFIG_DIR"] = str(gh)
    found += [logins.do(logins.login().get_secret()).source]
    found += [logins.do(logins.login(source=Source.OWN).get_secret()).source]
    logins.environ["COATCHECK_GITHUB_TOKEN"] = "ghp_x"
    found += [logins.do(logins.login().get_secret()).source]

    assert [str(logins.file()), str(gh / "hosts.yml"), str(logins.file()), "COATCHECK_GITHUB_TOKEN"] == found


def test_what_gh_has_for_github_com_hides_no_other_login(logins: LoginEnvironment) -> None:
    """A token of github.com is no use at a server."""
    server = {"base_url": "https://ghe.example.com"}
    logins.enter(**server)
    (logins.folder / "hosts.yml").write_text("github.com:\n    oauth_token: gho_of_gh\n")
    logins.environ["GH_CONFIG_DIR"] = str(logins.folder)

    assert str(logins.file("github-ghe.example.com")) == logins.do(logins.login(**server).get_secret()).source


# -- keeping it, and out ------------------------------------------------------------------------------------------------


def test_tokens_that_expire_are_refreshed(logins: LoginEnvironment) -> None:
    """Tokens of a GitHub app are refreshed once before their end, with the client id that they were issued to."""
    logins.login_service.expires = True
    logins.enter()
    first = logins.do(logins.login().get_secret())
    logins.clock.advance(28_700)
    login = logins.login(client_id="")
    second = logins.do(login.get_secret())

    assert (True, False) == (logins.login_service.accepts(second.token), logins.login_service.accepts(first.token))
    assert second == logins.do(logins.login().get_secret())
    assert "583231" == logins.do(status_of(login)).account_id


def test_a_refresh_that_is_refused_is_not_tried_again(logins: LoginEnvironment) -> None:
    """GitHub refuses with status 200; the error is one line."""
    logins.login_service.expires = True
    logins.enter()
    logins.login_service._refreshes.clear()
    for _ in range(2):
        with pytest.raises(errors.RefreshError, match="was used, has expired or was revoked"):
            logins.do(logins.login().refresh_tokens())

    polls = [each for each in logins.service.seen("device_token") if b"refresh_token" in each.body]
    assert 1 == len(polls)


def test_a_login_that_was_revoked_is_one_line(tmp_path: Path) -> None:
    """The service answers 401, and there is nothing to renew the login with."""
    logins = LoginEnvironment(tmp_path)
    logins.enter()
    login = logins.login()
    secret = logins.do(login.get_secret())

    assert None is logins.do(login.renew_secret(secret))


def test_logging_out_deletes_what_it_cannot_revoke(logins: LoginEnvironment) -> None:
    """A revocation needs the secret of the app: nothing is requested."""
    logins.enter()
    asked = len(logins.service.requests)

    assert (False, False) == (logins.do(log_out(logins.login())), logins.file().exists())
    assert asked == len(logins.service.requests)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_unknown_fields_of_a_file_are_kept() -> None:
    """A refresh token that is absent from new tokens is removed."""
    form = github.format_of("https://github.com", remedy="")
    first = form.write(b'{"theirs": [1,  2]}', Tokens(access_token="a", refresh_token="r", client_id="c"))
    second = form.write(first, Tokens(access_token="b"))

    assert {"theirs": [1, 2], "issuer": "https://github.com", "access_token": "b"} == {
        name: value for name, value in json.loads(second).items() if name not in ("refresh_token", "client_id")
    }
    assert "r" != json.loads(second).get("refresh_token")


@given(st.binary(max_size=60))
def test_any_file_is_tokens_or_one_line(data: bytes) -> None:
    """Any content is tokens, or one line."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        github.format_of("https://github.com", remedy="again").read(data, "the file")

    assert "again" == caught.value.remedy


@given(
    st.dictionaries(
        st.sampled_from(["access_token", "expires_in", "refresh_token"]), st.text() | st.integers() | st.none()
    )
)
def test_no_grant_breaks_us(answer: dict[str, object]) -> None:
    """Tokens that can be sent, or an unreadable answer."""
    try:
        token = github.read_grant(answer, None, 0.0).access_token
    except errors.UnreadableResponseError as error:
        token = error.path or ""

    assert github.is_sendable(token)


def test_the_repr_of_a_login_has_no_secret() -> None:
    """Tracebacks may be published."""
    assert "_LoginFile()" == repr(github._LoginFile(issuer="i", access_token="gho_1"))


# -- for real ----------------------------------------------------------------------------------------------------------


def test_a_login_over_loopback(tmp_path: Path) -> None:
    """A client, a server, and a request that the new login is good for."""
    clock = FakeClock()
    service = GithubEmulator(clock=clock)
    environ = {"HOME": str(tmp_path), "COATCHECK_GITHUB_CLIENT_ID": CLIENT_ID, "PATH": os.defpath}
    with (
        serving(service) as url,
        Client(
            "github_actions",
            base_url=url.removesuffix("/backend-api"),
            environ=environ,
            clock=clock,
            config=Config(environ=environ),
        ) as client,
    ):
        status = client.tokens.log_in_by_device_code(lambda code: service.logins.approve(code.user_code))
        client.get_usage()

    assert (True, "own") == (status.is_logged_in, status.source)
    assert service.logins.accepts(dict(service.requests[-1].headers)["authorization"].removeprefix("Bearer "))


def test_a_status_is_a_value(tmp_path: Path) -> None:
    """It can be sent on as JSON, and holds no token."""
    logins = LoginEnvironment(tmp_path)

    assert b"gho_" not in msgspec.json.encode(logins.enter())
