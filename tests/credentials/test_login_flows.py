from __future__ import annotations

import threading
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import msgspec
import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants

from coatcheck import errors
from coatcheck._credentials.device_code import DeviceCode
from coatcheck._credentials.login_flows import challenge_of, log_in_by_browser, log_in_by_device_code, log_out
from coatcheck._protocol.effects import Request
from coatcheck._runtime.callback_server import CallbackServer
from coatcheck.cloud.faults import Reset, Status


def secret_of(*values: str) -> object:
    """Return a source of "random" texts."""
    return iter(values).__next__


# -- device code -------------------------------------------------------------------------------------------------------


@both_variants
def test_a_device_login_waits_for_a_person(logins: LoginEnvironment) -> None:
    """It shows the page and the code, polls at the service's interval, and saves a login."""
    shown = []
    sleep, asleep = logins.clock.sleep, logins.clock.asleep

    def approve() -> None:
        if len(logins.clock.sleeps) == 3:
            logins.cloud.approve(shown[0].user_code)

    def person(seconds: float) -> None:
        sleep(seconds)
        approve()

    async def aperson(seconds: float) -> None:
        await asleep(seconds)
        approve()

    logins.clock.sleep, logins.clock.asleep = person, aperson
    status = logins.do(log_in_by_device_code(logins.login(), show=shown.append))

    assert ("own", "acc-1", "plus", True) == (status.source, status.account_id, status.plan, status.can_refresh)
    assert [5.0, 5.0, 5.0] == logins.clock.sleeps[:3]
    assert "https://auth.openai.com/codex/device" == shown[0].url
    assert logins.accepts(logins.secret(logins.login()))
    assert 0o600 == logins.own.stat().st_mode & 0o777
    assert 0o700 == logins.own.parent.stat().st_mode & 0o777


@both_variants
def test_a_transient_error_does_not_end_a_device_login(logins: LoginEnvironment) -> None:
    """A lost connection or a 503 is retried while a person types the code."""
    logins.cloud.faults += [Reset(on="device_token"), Status(503, on="device_token")]
    status = logins.do(log_in_by_device_code(logins.login(), show=lambda code: logins.cloud.approve(code.user_code)))

    assert status.is_logged_in


@both_variants
def test_a_device_login_without_approval_expires(logins: LoginEnvironment) -> None:
    """It ends after 15 minutes with one clear line, and nothing is saved."""
    with pytest.raises(errors.CredentialsError, match="nobody approved"):
        logins.do(log_in_by_device_code(logins.login(), show=lambda _: None))

    assert not logins.own.exists()


@both_variants
def test_a_service_without_device_codes_is_an_error(logins: LoginEnvironment) -> None:
    """404 means "not enabled" (docs/reference/protocols/codex-wham.md, 6.9)."""
    logins.cloud.faults.append(Status(404, on="device_code"))

    with pytest.raises(errors.UnsupportedError, match="not enabled"):
        logins.do(log_in_by_device_code(logins.login(), show=lambda _: None))


@both_variants
def test_a_login_that_cannot_be_saved_fails_first(logins: LoginEnvironment) -> None:
    """Where the login could not be saved, the error comes before a person has to approve."""
    logins.put(logins.issue(), logins.own)
    logins.own.chmod(0o400)

    with pytest.raises(errors.PersistenceError, match="read-only"):
        logins.do(log_in_by_device_code(logins.login(), show=lambda _: None))

    assert [] == logins.cloud.requests


def test_a_device_code_does_not_show_itself() -> None:
    """Whoever has the code and the id has the login."""
    code = DeviceCode(id="deviceauth_1", user_code="ABCD-EFGH", url="https://x.example", interval=5)

    assert "DeviceCode(url='https://x.example', interval=5)" == repr(code)


# -- browser -----------------------------------------------------------------------------------------------------------


class Browser:
    """A browser that follows the login service's redirect from a thread of its own; *change* edits what it sends."""

    def __init__(self, logins: LoginEnvironment, *, change: object = dict) -> None:
        self.logins, self.change = logins, change
        self.pages: list[tuple[int, str]] = []
        self.thread = threading.Thread()

    def __call__(self, url: str) -> None:
        self.url = url
        query = tuple((name, values[0]) for name, values in parse_qs(urlsplit(url).query).items())
        answer = self.logins.cloud.handle(Request("GET", "/oauth/authorize", query=query))
        parts = urlsplit(answer.headers["location"])
        back = self.change({name: values[0] for name, values in parse_qs(parts.query).items()})
        base = f"http://{parts.netloc}"
        self.thread = threading.Thread(target=self.visit, args=(base, parts.path, back))
        self.thread.start()

    def visit(self, base: str, path: str, query: dict[str, str]) -> None:
        for address in (f"{base}/favicon.ico", f"{base}{path}?code=x&state=guess", f"{base}{path}?{urlencode(query)}"):
            try:
                with urlopen(address, timeout=120) as page:
                    self.pages.append((page.status, page.read().decode()))
            except OSError as error:
                self.pages.append((getattr(error, "code", 0), ""))


def browse(logins: LoginEnvironment, browser: Browser) -> object:
    """Log in with a browser."""
    try:
        return logins.do(
            log_in_by_browser(
                logins.login(),
                open_browser=browser,
                listen=lambda path, _, state: CallbackServer(path, (0,), state),
                new_secret=secret_of("state-1", "verifier-1" * 5),
            )
        )
    finally:
        browser.thread.join(240)


@both_variants
def test_a_browser_login_verifies_the_callback(logins: LoginEnvironment) -> None:
    """PKCE with S256 and a state: other requests on the port are rejected, the right one logs in."""
    browser = Browser(logins)
    status = browse(logins, browser)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(browser.url).query).items()}

    assert [404, 400, 200] == [page[0] for page in browser.pages]
    assert ("own", True) == (status.source, status.is_logged_in)
    assert ("S256", challenge_of("verifier-1" * 5), "state-1") == (
        asked["code_challenge_method"],
        asked["code_challenge"],
        asked["state"],
    )
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert logins.accepts(logins.secret(logins.login()))


@both_variants
def test_a_refused_browser_login_has_the_reason(logins: LoginEnvironment) -> None:
    """The error quotes the service's reason without secrets."""

    def refuse(back: dict[str, str]) -> dict[str, str]:
        return {"state": back["state"], "error": "access_denied", "error_description": "p@example.com said no"}

    with pytest.raises(errors.CredentialsError, match=r"refused: \[hidden\] said no"):
        browse(logins, Browser(logins, change=refuse))


def test_ports_are_tried_in_order() -> None:
    """The second port is used where the first is occupied; if both are, the error is one clear line."""
    first = CallbackServer("/x", (0,), "s")
    second = CallbackServer("/x", (0,), "s")
    ports = [int(urlsplit(server.redirect).port or 0) for server in (first, second)]
    second.close()
    fallback = CallbackServer("/x", tuple(ports), "s")
    try:
        assert f"http://127.0.0.1:{ports[1]}/x" == fallback.redirect
        with pytest.raises(errors.CredentialsError, match="are taken"):
            CallbackServer("/x", tuple(ports), "s")
    finally:
        first.close()
        fallback.close()


# -- logging in again, and out -----------------------------------------------------------------------------------------


@both_variants
def test_a_login_never_replaces_another_accounts(logins: LoginEnvironment) -> None:
    """The remedy names the way to keep both."""
    import msgspec

    logins.put(msgspec.structs.replace(logins.issue(), account_id="acc-2"), logins.own)
    before = logins.own.read_bytes()

    with pytest.raises(errors.AccountMismatchError) as caught:
        logins.do(log_in_by_device_code(logins.login(), show=lambda code: logins.cloud.approve(code.user_code)))

    assert "--account" in (caught.value.remedy or "")
    assert before == logins.own.read_bytes()


@both_variants
def test_logging_out_revokes_and_deletes(logins: LoginEnvironment) -> None:
    """The refresh token is revoked at the service and deleted from the disk."""
    held = logins.put(logins.issue(), logins.own)
    shared = logins.put(logins.issue())
    is_revoked = logins.do(log_out(logins.login()))

    assert (True, False) == (is_revoked, logins.own.exists())
    assert "refresh_token_invalidated" == refusal_of(logins, held.refresh_token or "")
    assert shared == logins.read()


def refusal_of(logins: LoginEnvironment, refresh_token: str) -> str:
    """Return why the service refuses a refresh token."""
    from coatcheck.cloud.issued_tokens import RefusedTokenError

    with pytest.raises(RefusedTokenError) as caught:
        logins.cloud.book.rotate(refresh_token)
    return caught.value.code


@pytest.mark.parametrize("fault", [Reset(on="revoke"), Status(500, on="revoke")])
@both_variants
def test_logging_out_deletes_without_a_response(logins: LoginEnvironment, fault: object) -> None:
    """Revoking is best effort."""
    logins.put(logins.issue(), logins.own)
    logins.cloud.faults.append(fault)

    assert (False, False) == (logins.do(log_out(logins.login())), logins.own.exists())


@both_variants
def test_a_broken_login_can_be_logged_out(logins: LoginEnvironment) -> None:
    """What cannot be read is deleted all the same."""
    logins.own.parent.mkdir(parents=True)
    logins.own.write_bytes(b"[]")

    assert (False, False) == (logins.do(log_out(logins.login())), logins.own.exists())


@both_variants
def test_another_programs_login_is_not_ended(logins: LoginEnvironment) -> None:
    """The shared login belongs to the Codex CLI, and the remedy names its command."""
    logins.put(logins.issue())

    with pytest.raises(errors.UnsupportedError, match="belongs to the Codex CLI"):
        logins.do(log_out(logins.login("shared")))
    with pytest.raises(errors.NotLoggedInError, match="nothing was logged out: coatcheck has no login at"):
        logins.do(log_out(logins.login()))

    assert logins.shared.exists()


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"tokens": 5}'])
@both_variants
def test_a_new_login_replaces_a_file_of_ours_that_is_no_login(logins: LoginEnvironment, broken: bytes) -> None:
    """A login that a person has just approved is not lost because the old file is broken."""
    logins.own.parent.mkdir(parents=True)
    logins.own.write_bytes(broken)
    fresh = logins.issue()
    logins.do(logins.login().store_tokens(fresh))

    assert fresh.access_token == logins.secret(logins.login()).token


@both_variants
def test_tokens_that_are_no_text_are_refused_before_they_are_saved(logins: LoginEnvironment) -> None:
    """Half a surrogate pair cannot be written or sent: one clear error, and the login that is there stays."""
    held = logins.put(logins.issue(), logins.own)
    for broken in ("a\ud83d", "a b", ""):
        with pytest.raises(errors.CredentialsError):
            logins.do(logins.login().store_tokens(msgspec.structs.replace(logins.issue(), access_token=broken)))

    assert held.access_token == logins.read(logins.own).access_token
