from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._credentials.device_code import DeviceCode, poll_device, require_device, start_device
from coatcheck._credentials.oauth_requests import Endpoints
from coatcheck._protocol.effects import Exchange, Request, Response
from coatcheck._protocol.login_contract import DEVICE_GRANT, DeviceRoutes, Tokens
from coatcheck.providers._chatgpt.credentials import OAUTH

AT = Endpoints.of(OAUTH, None, environ={}, issuer=None)
# A service that speaks as RFC 8628 has it, and gives the tokens at once.
PLAIN = msgspec.structs.replace(
    OAUTH,
    scopes=("a", "b"),
    read=lambda answer, before, now: Tokens(access_token=str(answer["access_token"]), last_refresh=now),
    device=DeviceRoutes(start="/start", poll="/poll", refusals={"access_denied": ("somebody said no", "ask nicely")}),
)
DEVICE = DeviceCode(id="d", user_code="U", url="https://x.example", interval=5.0)


def answer(exchange: Exchange[object], *responses: Response) -> object:
    """Run an exchange against a service that sends *responses*."""
    try:
        next(exchange)
        for response in responses:
            exchange.send(response)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it wants more")


def response_of(status: int = 200, **fields: object) -> Response:
    """Return an answer of the service."""
    return Response(status, {}, json.dumps(fields).encode())


def poll(response: Response, oauth: Any = PLAIN) -> Any:
    """Poll once with the given response."""
    return answer(poll_device(oauth, AT, DEVICE, now=7.0), response)


@pytest.mark.parametrize(
    ("interval", "seconds"), [('"5"', 5), ('"7.5"', 7.5), ("3", 3), ('"0"', 1), ('"soon"', 5), ("1e9", 60)]
)
def test_the_interval_is_a_string_or_a_number(interval: str, seconds: float) -> None:
    """The interval is a string here (6.9) and a number elsewhere, and is kept between a minimum and a maximum."""
    body = f'{{"device_auth_id":"d","user_code":"U","interval":{interval}}}'.encode()

    assert seconds == answer(start_device(OAUTH, AT), Response(200, {}, body)).interval


def test_a_login_service_may_have_no_device_codes() -> None:
    """Some providers have a browser only."""
    with pytest.raises(errors.UnsupportedError, match="no login by device code"):
        answer(start_device(msgspec.structs.replace(OAUTH, device=None), AT))


@pytest.mark.parametrize("status", [403, 404])
def test_pending_approval(status: int) -> None:
    """403 and 404 mean "wait" (6.9)."""
    device = answer(start_device(OAUTH, AT), Response(200, {}, b'{"device_auth_id":"d","user_code":"U"}'))

    assert device == answer(poll_device(OAUTH, AT, device, now=0.0), Response(status))


@pytest.mark.parametrize(
    ("exchange", "kind", "body"),
    [
        (start_device(OAUTH, AT), "application/json", b'{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}'),
        (poll_device(OAUTH, AT, DEVICE, now=0.0), "application/json", b'{"device_auth_id":"d","user_code":"U"}'),
        (
            start_device(PLAIN, AT),
            "application/x-www-form-urlencoded",
            b"client_id=app_EMoamEEZ73f0CkXaXp7hrann&scope=a+b",
        ),
        (
            poll_device(PLAIN, AT, DEVICE, now=0.0),
            "application/x-www-form-urlencoded",
            f"client_id={AT.client_id}&device_code=d&grant_type={quote(DEVICE_GRANT, safe='')}".encode(),
        ),
    ],
)
def test_each_service_gets_the_fields_of_its_routes(exchange: Exchange[object], kind: str, body: bytes) -> None:
    """The fields that the routes name, as JSON or as a form."""
    request = next(exchange)
    assert isinstance(request, Request)

    assert (kind, body) == (dict(request.headers)["content-type"], request.body)


def test_the_response_gives_page_and_lifetime() -> None:
    """Where the routes name no page (RFC 8628 3.2); no code is valid for longer than a quarter of an hour."""
    fields = {"device_code": "d", "user_code": "U", "verification_uri": "https://x.example/device", "interval": 7}
    devices = [answer(start_device(PLAIN, AT), response_of(**fields, expires_in=each)) for each in (600, 1e9)]

    assert [("https://x.example/device", 7.0, 600.0), ("https://x.example/device", 7.0, 900.0)] == [
        (each.url, each.interval, each.expires_in) for each in devices
    ]


@pytest.mark.parametrize(
    ("fields", "interval"),
    [
        ({"error": "authorization_pending"}, 5.0),
        ({"error": "slow_down"}, 10.0),
        ({"error": "slow_down", "interval": 12}, 12.0),
        ({"error": "slow_down", "interval": 1}, 10.0),
        ({"error": "slow_down", "interval": "soon"}, 10.0),
        ({"error": "slow_down", "interval": 1e9}, 60.0),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_polling_follows_the_services_interval(status: int, fields: dict[str, object], interval: float) -> None:
    """``slow_down`` adds five seconds, or uses the interval sent; GitHub sends it with 200, RFC 8628 with 400."""
    assert msgspec.structs.replace(DEVICE, interval=interval) == poll(response_of(status, **fields))


@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_has_a_remedy(status: int) -> None:
    """The remedy is that of the routes."""
    with pytest.raises(errors.CredentialsError) as caught:
        poll(response_of(status, error="access_denied"))

    assert ("somebody said no", "ask nicely") == (str(caught.value), caught.value.remedy)


def test_tokens_have_their_issuer() -> None:
    """Tokens have the issuer and the client id that they were issued to."""
    tokens = poll(response_of(access_token="t"))

    assert ("t", 7.0, AT.issuer, AT.client_id) == (
        tokens.access_token,
        tokens.last_refresh,
        tokens.issuer,
        tokens.client_id,
    )


@pytest.mark.parametrize("missing", ["device_code", "user_code", "verification_uri"])
def test_what_is_needed_is_named(missing: str) -> None:
    """With its path."""
    fields = {"device_code": "d", "user_code": "U", "verification_uri": "https://x.example"}
    with pytest.raises(errors.UnreadableResponseError) as caught:
        answer(start_device(PLAIN, AT), response_of(**{**fields, missing: None}))

    assert f"$.{missing}" == caught.value.path


@given(st.binary(max_size=40), st.integers(200, 599))
def test_any_response_is_a_documented_error(body: bytes, status: int) -> None:
    """Any response raises an error of this package."""
    with pytest.raises(errors.CoatcheckError) as caught:
        answer(start_device(PLAIN, AT), Response(status, {}, body))

    assert isinstance(caught.value, errors.CoatcheckError)


def test_no_request_without_an_app() -> None:
    """One line names the missing setting, and nothing is sent."""
    with pytest.raises(errors.ConfigurationError, match="needs the client id of an OAuth app") as caught:
        require_device(
            msgspec.structs.replace(PLAIN, client_remedy="make one"), msgspec.structs.replace(AT, client_id=None)
        )

    assert "make one" == caught.value.remedy
