"""The emulated login by device code says what GitHub's documentation says."""

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


class Talk:
    """Somebody who talks to the desk by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.service = GithubEmulator(clock=self.clock)
        self.desk = self.service.logins

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
        """Ask for the token after some seconds."""
        self.clock.advance(after)
        answer = self.post(TOKEN, device_code=code, **{"grant_type": DEVICE_GRANT, **form})
        assert 200 == answer.status
        return json.loads(answer.body)

    def code(self, code: str, **options: Any) -> str:
        """Return the error code of a poll."""
        return str(self.poll(code, **options)["error"])


@pytest.fixture
def talk() -> Talk:
    """A desk and its clock."""
    return Talk()


def test_a_login_begins_as_documented(talk: Talk) -> None:
    """Fifteen minutes, every five seconds."""
    started = talk.start()

    assert {"verification_uri": "https://github.com/login/device", "expires_in": 900, "interval": 5} == {
        name: value for name, value in started.items() if not name.endswith("_code")
    }


def test_a_token_is_given_once(talk: Talk) -> None:
    """After the person's yes; then the code is unknown."""
    started = talk.start()
    pending = talk.code(started["device_code"])
    talk.desk.approve(started["user_code"])
    given = talk.poll(started["device_code"])

    assert ("authorization_pending", "bearer", "repo,workflow") == (pending, given["token_type"], given["scope"])
    assert talk.desk.accepts(given["access_token"])
    assert "incorrect_device_code" == talk.code(started["device_code"])


def test_who_asks_too_soon_waits_longer(talk: Talk) -> None:
    """Five seconds more each time, and the answer says how long."""
    code = talk.start()["device_code"]
    answers = [talk.poll(code, after=after) for after in (1, 9, 15)]

    assert [("slow_down", 10), ("slow_down", 15), ("authorization_pending", None)] == [
        (each["error"], each.get("interval")) for each in answers
    ]


def test_a_no_and_the_end_of_time(talk: Talk) -> None:
    """Both are said with 200."""
    denied, late = talk.start(), talk.start()
    talk.desk.deny(denied["user_code"])

    assert ["access_denied", "expired_token"] == [
        talk.code(denied["device_code"]),
        talk.code(late["device_code"], after=900),
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
def test_what_is_wrong_is_said(talk: Talk, form: dict[str, str], code: str) -> None:
    """By its code."""
    device = talk.start()["device_code"]
    fields = {"device_code": device, "grant_type": DEVICE_GRANT, **form}

    assert code == json.loads(talk.post(TOKEN, **fields).body)["error"]


def test_an_unknown_app_is_404(talk: Talk) -> None:
    """An app without the device flow is a plain error."""
    unknown = talk.post(START, client_id="unknown")
    talk.desk.has_device_flow = False

    assert (404, "device_flow_disabled") == (unknown.status, talk.start()["error"])


def test_tokens_may_expire(talk: Talk) -> None:
    """With a refresh token that is good once; its use ends the token before."""
    talk.desk.expires = True
    started = talk.start()
    talk.desk.approve(started["user_code"])
    given = talk.poll(started["device_code"])
    trade = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    fresh, again = (json.loads(talk.post(TOKEN, **trade).body) for _ in range(2))

    assert (28800, 15897600, "bad_refresh_token") == (
        given["expires_in"],
        given["refresh_token_expires_in"],
        again["error"],
    )
    assert [False, True] == [talk.desk.accepts(each["access_token"]) for each in (given, fresh)]


def test_who_does_not_ask_for_json_gets_a_form(talk: Talk) -> None:
    """As the documentation warns."""
    answer = talk.post(TOKEN, accept="*/*", grant_type="password")

    assert ["unsupported_grant_type"] == parse_qs(answer.body.decode())["error"]


def test_a_token_is_good_for_the_api_until_a_person_ends_it(talk: Talk) -> None:
    """The API knows whose it is."""
    started = talk.start()
    talk.desk.approve(started["user_code"])
    token = talk.poll(started["device_code"])["access_token"]

    def ask() -> int:
        headers = (("user-agent", "x"), ("authorization", f"Bearer {token}"))
        return talk.service.handle(Request("GET", "/user", headers=headers)).status

    before = ask()
    talk.desk.revoke(token)

    assert (200, 401) == (before, ask())
