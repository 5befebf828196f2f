"""Logins to a local cloud work as with the real service, and need an approval."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest

from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.oauth_server import challenge_of
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.fake_clock import FakeClock

CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"
VERIFIER = "v" * 64


def post_json(cloud: ScriptedCloud, path: str, **fields: str) -> Response:
    """Post a JSON object."""
    return cloud.handle(
        Request("POST", path, headers=(("content-type", "application/json"),), body=msgspec.json.encode(fields))
    )


def post_form(cloud: ScriptedCloud, path: str, **fields: str) -> Response:
    """Post a form."""
    headers = (("content-type", "application/x-www-form-urlencoded"),)
    return cloud.handle(Request("POST", path, headers=headers, body=urlencode(fields).encode()))


def fields_of(response: Response) -> dict:
    """Return the document of an answer."""
    return msgspec.json.decode(response.body)


def refresh(cloud: ScriptedCloud, token: str) -> Response:
    """Request new tokens."""
    return post_json(cloud, "/oauth/token", client_id=CLIENT, grant_type="refresh_token", refresh_token=token)


def opens(cloud: ScriptedCloud, token: str) -> bool:
    """Whether a request with the token is accepted."""
    return cloud.handle(Request("GET", "/wham/usage", headers=(("authorization", f"Bearer {token}"),))).status == 200


def test_a_refresh_returns_three_valid_tokens() -> None:
    """The old access token stays valid until it expires."""
    cloud = ScriptedCloud()
    tokens = fields_of(refresh(cloud, cloud.tokens.refresh_token))

    assert {"id_token", "access_token", "refresh_token"} == set(tokens)
    assert [True, True] == [opens(cloud, token) for token in (tokens["access_token"], cloud.tokens.access_token)]


def test_a_refresh_token_is_good_once() -> None:
    """The second time is refresh_token_reused, with a 401."""
    cloud = ScriptedCloud()
    refresh(cloud, cloud.tokens.refresh_token)
    response = refresh(cloud, cloud.tokens.refresh_token)

    assert (401, "refresh_token_reused") == (response.status, fields_of(response)["error"]["code"])


@pytest.mark.parametrize(
    ("fate", "code"), [("expired", "refresh_token_expired"), ("invalidated", "refresh_token_invalidated")]
)
def test_an_ended_refresh_token_has_its_code(fate: str, code: str) -> None:
    """The code is the service's."""
    cloud = ScriptedCloud()
    cloud.book.end(cloud.tokens.refresh_token, fate)

    assert code == fields_of(refresh(cloud, cloud.tokens.refresh_token))["error"]["code"]


def test_a_revoked_token_is_refused() -> None:
    """Refresh and access tokens."""
    cloud = ScriptedCloud()
    post_json(
        cloud, "/oauth/revoke", token=cloud.tokens.refresh_token, token_type_hint="refresh_token", client_id=CLIENT
    )
    post_json(cloud, "/oauth/revoke", token=cloud.tokens.access_token)

    assert (401, False) == (refresh(cloud, cloud.tokens.refresh_token).status, opens(cloud, cloud.tokens.access_token))


def test_an_access_token_is_no_refresh_token_and_the_other_way_round() -> None:
    """Each token is accepted only for its purpose."""
    cloud = ScriptedCloud()

    assert (401, False) == (refresh(cloud, cloud.tokens.access_token).status, opens(cloud, cloud.tokens.refresh_token))


def test_a_device_login_waits_and_then_returns_tokens() -> None:
    """403 until the code is entered, then an authorization code that its verifier redeems, once."""
    cloud = ScriptedCloud()
    asked = fields_of(post_json(cloud, "/api/accounts/deviceauth/usercode", client_id=CLIENT))
    poll = {"device_auth_id": asked["device_auth_id"], "user_code": asked["user_code"]}
    before = post_json(cloud, "/api/accounts/deviceauth/token", **poll).status
    assert post_form(cloud, "/codex/device", user_code=asked["user_code"].lower()).status == 200
    granted = fields_of(post_json(cloud, "/api/accounts/deviceauth/token", **poll))
    redeem = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": granted["authorization_code"],
        "redirect_uri": "http://127.0.0.1/deviceauth/callback",
        "code_verifier": granted["code_verifier"],
    }
    tokens = fields_of(post_form(cloud, "/oauth/token", **redeem))

    assert (403, "5", True) == (before, asked["interval"], opens(cloud, tokens["access_token"]))
    assert 400 == post_form(cloud, "/oauth/token", **redeem).status


def test_a_device_login_ends_after_fifteen_minutes() -> None:
    """Then the code is unknown to page and poll."""
    clock = FakeClock()
    cloud = ScriptedCloud(clock=clock)
    asked = fields_of(post_json(cloud, "/api/accounts/deviceauth/usercode", client_id=CLIENT))
    clock.sleep(901)

    assert 400 == cloud.approve(asked["user_code"]).status
    assert 404 == post_json(cloud, "/api/accounts/deviceauth/token", **asked).status


def authorization(**changes: str) -> dict[str, str]:
    """Return the parameters of a browser login."""
    return {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "http://127.0.0.1:1455/auth/callback",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "state": "s&t",
        **changes,
    }


def test_a_browser_login_redirects_with_state_and_code() -> None:
    """PKCE: another verifier gets nothing."""
    cloud = ScriptedCloud()
    codes = []
    for _ in range(2):
        response = cloud.handle(Request("GET", "/oauth/authorize", query=tuple(authorization().items())))
        back = dict(parse_qsl(urlsplit(response.headers["location"]).query))
        assert (302, "s&t") == (response.status, back["state"])
        codes.append(back["code"])
    redeem = {"grant_type": "authorization_code", "redirect_uri": "http://127.0.0.1:1455/auth/callback"}
    statuses = [
        post_form(cloud, "/oauth/token", **redeem, code=code, code_verifier=verifier).status
        for code, verifier in zip(codes, (VERIFIER, "other"), strict=True)
    ]

    assert [200, 400] == statuses


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "https://evil.example/x"},
        {"redirect_uri": "http://127.0.0.1@evil.example/"},
        {"redirect_uri": "http://["},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
    ],
)
def test_a_browser_login_goes_back_to_loopback_only(change: dict[str, str]) -> None:
    """No code ever leaves the machine."""
    response = ScriptedCloud().handle(Request("GET", "/oauth/authorize", query=tuple(authorization(**change).items())))

    assert 400 == response.status


def test_an_approval_needs_the_approval_key() -> None:
    """Other users of the machine can reach the port, and do not have the key."""
    cloud = ScriptedCloud(approval_key="secret")
    asked = fields_of(post_json(cloud, "/api/accounts/deviceauth/usercode", client_id=CLIENT))
    page = cloud.handle(Request("GET", "/oauth/authorize", query=tuple(authorization().items())))
    statuses = [
        post_form(cloud, "/codex/device", user_code=asked["user_code"]).status,
        post_form(cloud, "/codex/device", user_code=asked["user_code"], key="guess").status,
        post_form(cloud, "/oauth/authorize", **authorization(), key="guess").status,
        page.status,
        post_form(cloud, "/oauth/authorize", **authorization(), key="secret").status,
        post_form(cloud, "/codex/device", user_code=asked["user_code"], key="secret").status,
    ]

    assert [403, 403, 403, 200, 302, 200] == statuses


def test_what_is_shown_on_a_page_is_escaped() -> None:
    """Text of a query is escaped in a page."""
    cloud = ScriptedCloud(approval_key="secret")
    asked = authorization(state='"><script>alert(1)</script>')
    page = cloud.handle(Request("GET", "/oauth/authorize", query=tuple(asked.items())))

    assert b"<script>" not in page.body


def test_tokens_are_not_in_any_repr() -> None:
    """Not even in that of what holds them."""
    cloud = ScriptedCloud()
    shown = f"{cloud.tokens!r} {cloud.book!r} {cloud.requests!r}"

    assert not [
        token
        for token in (cloud.tokens.access_token, cloud.tokens.refresh_token, cloud.tokens.id_token)
        if token in shown
    ]
