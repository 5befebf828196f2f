"""The emulated login by device code behaves as GitHub documents it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.login_contract import DEVICE_GRANT
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_login import CLIENT_ID, START, TOKEN
from coatcheck.testing.fake_clock import FakeClock


class Conversation:
    """Requests to the login service, one by one."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.service = GithubEmulator(clock=self.clock)
        self.login_service = self.service.logins

    def post(self, path: str, *, accept: str = "application/json", **form: str) -> Response:
        """Send a form."""
        fields = {"client_id": CLIENT_ID, **form}
        return self.service.handle(
            Request("POST", path, headers=(("accept", accept),), body=urlencode(fields).encode())
        )

    def start(self) -> Any:
        """Begin a login."""
        return json.loads(self.post(START, scope="repo workflow").body)

    def poll(self, code: str, *, after: float = 5.0, **form: str) -> Any:
        """Poll for the token after some seconds."""
        self.clock.advance(after)
        answer = self.post(TOKEN, device_code=code, **{"grant_type": DEVICE_GRANT, **form})
        assert 200 == answer.status
        return json.loads(answer.body)

    def code(self, code: str, **options: Any) -> str:
        """Return the error code of a poll."""
        return str(self.poll(code, **options)["error"])


@pytest.fixture
def service() -> Conversation:
    """A login service and its clock."""
    return Conversation()


def test_a_login_begins_as_documented(service: Conversation) -> None:
    """Fifteen minutes, every five seconds."""
    started = service.start()

    assert {"verification_uri": "https://github.com/login/device", "expires_in": 900, "interval": 5} == {
        name: value for name, value in started.items() if not name.endswith("_code")
    }


def test_a_token_is_issued_once(service: Conversation) -> None:
    """After the approval; then the code is unknown."""
    started = service.start()
    pending = service.code(started["device_code"])
    service.login_service.approve(started["user_code"])
    given = service.poll(started["device_code"])

    assert ("authorization_pending", "bearer", "repo,workflow") == (pending, given["token_type"], given["scope"])
    assert service.login_service.accepts(given["access_token"])
    assert "incorrect_device_code" == service.code(started["device_code"])


def test_early_polls_lengthen_the_interval(service: Conversation) -> None:
    """Five seconds more each time, and the response has the interval."""
    code = service.start()["device_code"]
    answers = [service.poll(code, after=after) for after in (1, 9, 15)]

    assert [("slow_down", 10), ("slow_down", 15), ("authorization_pending", None)] == [
        (each["error"], each.get("interval")) for each in answers
    ]


def test_denial_and_expiry(service: Conversation) -> None:
    """Both have status 200."""
    denied, late = service.start(), service.start()
    service.login_service.deny(denied["user_code"])

    assert ["access_denied", "expired_token"] == [
        service.code(denied["device_code"]),
        service.code(late["device_code"], after=900),
    ]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"client_id": "unknown"}, "incorrect_client_credentials"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"device_code": "unknown"}, "incorrect_device_code"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, "bad_refresh_token"),
    ],
)
def test_errors_have_codes(service: Conversation, form: dict[str, str], code: str) -> None:
    """Each error has its documented code."""
    device = service.start()["device_code"]
    fields = {"device_code": device, "grant_type": DEVICE_GRANT, **form}

    assert code == json.loads(service.post(TOKEN, **fields).body)["error"]


def test_an_unknown_app_is_404(service: Conversation) -> None:
    """An app without the device flow is a plain error."""
    unknown = service.post(START, client_id="unknown")
    service.login_service.has_device_flow = False

    assert (404, "device_flow_disabled") == (unknown.status, service.start()["error"])


def test_tokens_may_expire(service: Conversation) -> None:
    """With a refresh token that is good once; its use ends the token before."""
    service.login_service.expires = True
    started = service.start()
    service.login_service.approve(started["user_code"])
    given = service.poll(started["device_code"])
    trade = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    fresh, again = (json.loads(service.post(TOKEN, **trade).body) for _ in range(2))

    assert (28800, 15897600, "bad_refresh_token") == (
        given["expires_in"],
        given["refresh_token_expires_in"],
        again["error"],
    )
    assert [False, True] == [service.login_service.accepts(each["access_token"]) for each in (given, fresh)]


def test_without_accept_the_response_is_a_form(service: Conversation) -> None:
    """As documented."""
    answer = service.post(TOKEN, accept="*/*", grant_type="password")

    assert ["unsupported_grant_type"] == parse_qs(answer.body.decode())["error"]


def test_a_token_is_valid_until_it_is_revoked(service: Conversation) -> None:
    """The API returns its owner."""
    started = service.start()
    service.login_service.approve(started["user_code"])
    token = service.poll(started["device_code"])["access_token"]

    def ask() -> int:
        headers = (("user-agent", "x"), ("authorization", f"Bearer {token}"))
        return service.service.handle(Request("GET", "/user", headers=headers)).status

    before = ask()
    service.login_service.revoke(token)

    assert (200, 401) == (before, ask())
