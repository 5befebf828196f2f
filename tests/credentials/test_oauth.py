from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._credentials.oauth import (
    Code,
    Endpoints,
    LostError,
    RefusedError,
    code_of,
    poll_device,
    refusal,
    start_device,
)
from coatcheck._protocol.credentials import Tokens
from coatcheck._protocol.effects import Exchange, Response
from coatcheck.providers.codex.credentials import OAUTH

AT = Endpoints.of(OAUTH, None, environ={}, issuer=None)


def answer(exchange: Exchange[object], *responses: Response) -> object:
    """Let an exchange talk to somebody who says *responses*."""
    try:
        next(exchange)
        for response in responses:
            exchange.send(response)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it wants more")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"code":"refresh_token_reused"}}', "refresh_token_reused"),
        (b'{"error":"invalid_grant"}', "invalid_grant"),
        (b'{"code":"refresh_token_expired"}', "refresh_token_expired"),
        (b'{"error":{"message":"x"},"code":"y"}', ""),
        (b'{"error":{"code":"two words"}}', ""),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_the_code_is_where_the_service_puts_it(body: bytes, code: str) -> None:
    """`error.code`, else `error`, else `code` (codex-wham.md 6.4); nothing that is no word gets through."""
    assert code == code_of(Response(400, {}, body))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "", RefusedError),
        (400, "refresh_token_reused", RefusedError),
        (500, "refresh_token_expired", RefusedError),
        (400, "invalid_grant", RefusedError),
        (400, "something_else", errors.TransportError),
        (429, "", errors.TransportError),
        (503, "", errors.TransportError),
        (403, "", errors.TransportError),
        (502, "", LostError),
        (504, "", LostError),
        (522, "", LostError),
    ],
)
def test_an_answer_is_one_of_three_refusals(status: int, code: str, kind: type) -> None:
    """For good, for now, or lost."""
    assert type(refusal(OAUTH, Response(status, {}, json.dumps({"error": {"code": code}}).encode()))) is kind


@given(st.binary(max_size=40), st.integers(300, 599))
def test_no_answer_breaks_us(body: bytes, status: int) -> None:
    """Whatever is said, it is one of the three."""
    assert isinstance(refusal(OAUTH, Response(status, {}, body)), RefusedError | LostError | errors.TransportError)


@pytest.mark.parametrize(
    ("interval", "seconds"), [('"5"', 5), ('"7.5"', 7.5), ("3", 3), ('"0"', 1), ('"soon"', 5), ("1e9", 60)]
)
def test_the_interval_is_a_string_or_a_number(interval: str, seconds: float) -> None:
    """A string with this service (6.9); never so short that it floods, never so long that nobody waits."""
    body = f'{{"device_auth_id":"d","user_code":"U","interval":{interval}}}'.encode()

    assert seconds == answer(start_device(OAUTH, AT), Response(200, {}, body)).interval


def test_a_login_service_may_have_no_device_codes() -> None:
    """Some providers have a browser only."""
    with pytest.raises(errors.UnsupportedError, match="no login by device code"):
        answer(start_device(msgspec.structs.replace(OAUTH, device=None), AT))


@pytest.mark.parametrize("status", [403, 404])
def test_nobody_has_approved_yet(status: int) -> None:
    """403 and 404 mean "wait" (6.9)."""
    device = answer(start_device(OAUTH, AT), Response(200, {}, b'{"device_auth_id":"d","user_code":"U"}'))

    assert None is answer(poll_device(OAUTH, AT, device), Response(status))


def test_endpoints_follow_the_official_clients_variables() -> None:
    """The refresh override moves revoking as well, unless that has its own; the login's issuer and client are kept."""
    moved = {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://127.0.0.1:1/oauth/token"}
    own = Tokens(access_token="a", issuer="http://localhost:2/", client_id="app_mine")

    assert Endpoints(
        "https://auth.openai.com",
        "app_EMoamEEZ73f0CkXaXp7hrann",
        "http://127.0.0.1:1/oauth/token",
        "http://127.0.0.1:1/oauth/revoke",
    ) == Endpoints.of(OAUTH, None, environ=moved, issuer=None)
    assert Endpoints(
        "http://localhost:2", "app_mine", "http://localhost:2/oauth/token", "http://localhost:2/oauth/revoke"
    ) == Endpoints.of(OAUTH, own, environ={}, issuer=None)


def test_a_code_does_not_show_itself() -> None:
    """Whoever has it has the login."""
    assert "Code()" == repr(Code("c", "v", "r"))
