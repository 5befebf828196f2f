from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._credentials.oauth_requests import (
    Code,
    Endpoints,
    RefusedError,
    UnansweredError,
    code_of,
    is_answering as service_answers,
    refresh,
    refusal,
    revoke,
    sent,
    shown,
)
from coatcheck._protocol.effects import Response
from coatcheck._protocol.login_contract import Tokens
from coatcheck.providers._chatgpt.credentials import OAUTH

AT = Endpoints.of(OAUTH, None, environ={}, issuer=None)


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
def test_the_code_has_three_places(body: bytes, code: str) -> None:
    """`error.code`, else `error`, else `code`; text that is no identifier is dropped.

    See docs/reference/protocols/codex-wham.md, 6.4.
    """
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
        (502, "", UnansweredError),
        (504, "", UnansweredError),
        (522, "", UnansweredError),
        (500, "", UnansweredError),
        (507, "", UnansweredError),
        (501, "", errors.TransportError),
        (302, "", errors.TransportError),
    ],
)
def test_an_answer_is_one_of_three_refusals(status: int, code: str, kind: type) -> None:
    """For good, for now, or lost."""
    assert type(refusal(OAUTH, Response(status, {}, json.dumps({"error": {"code": code}}).encode()))) is kind


@given(st.binary(max_size=40), st.integers(300, 599))
def test_any_response_is_one_of_three_errors(body: bytes, status: int) -> None:
    """Any response is one of the three errors."""
    assert isinstance(
        refusal(OAUTH, Response(status, {}, body)), RefusedError | UnansweredError | errors.TransportError
    )


def test_a_web_page_with_401_is_no_refusal() -> None:
    """The 401 of a proxy is no verdict about the refresh token."""
    page = Response(401, {"content-type": "text/html"}, b"<!doctype html><title>Log in to the network</title>")

    assert errors.TransportError is type(refusal(OAUTH, page))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_login_service_is_not_followed(status: int) -> None:
    """The one request goes to the login service; its redirect to another origin is an error, and nothing is sent there."""
    exchange = refresh(OAUTH, AT, Tokens(access_token="a", refresh_token="rt_secret"), reason="forced", now=1.0)
    request = next(exchange)
    with pytest.raises(errors.TransportError) as caught:
        exchange.send(Response(status, {"location": "https://evil.example/oauth/token"}, b""))

    assert "https://auth.openai.com/oauth/token" == request.url
    assert "rt_secret" not in f"{request!r}{caught.value!r}{caught.value}"


@pytest.mark.parametrize(
    ("status", "body", "is_answering"),
    [
        (400, b'{"error": "invalid_request"}', True),
        (401, b"", True),
        (404, b"<html>", True),
        (429, b"", True),
        (501, b"<html>", True),
        (200, b'{"error": "bad_refresh_token"}', True),
        (200, b"<html>", False),
        (200, b"{", False),
        (204, b"", False),
        (500, b"", False),
        (502, b"<html>", False),
        (503, b"", False),
    ],
)
def test_an_outage_ends_with_an_answer_of_the_login_service(status: int, body: bytes, is_answering: bool) -> None:
    """An empty refresh token is sent; a server error and the page of a proxy are no response of the login service."""
    exchange = service_answers(OAUTH, AT)
    request = next(exchange)
    with pytest.raises(StopIteration) as stopped:
        exchange.send(Response(status, {}, body))

    assert ("", is_answering) == (json.loads(request.body)["refresh_token"], stopped.value.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:secret@evil.example/x?token=secret#secret", "https://evil.example/x"),
        ("user:secret@evil.example", "evil.example"),
        ("http://evil.example:80/a@b", "http://evil.example:80/a@b"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, text: str) -> None:
    """Neither user nor password, query or fragment."""
    assert text == shown(url)


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


def test_a_form_leaves_out_what_there_is_not() -> None:
    """JSON keeps the null that the official client sends."""
    fields = {"a": "1 &", "b": None}

    assert (b"a=1+%26", b'{"a":"1 &","b":null}') == tuple(
        sent("https://x.example", fields, is_json=is_json).body for is_json in (False, True)
    )


def test_a_service_without_revocation_gets_no_request() -> None:
    """The result is False at once."""
    at = msgspec.structs.replace(AT, revoke=None)
    with pytest.raises(StopIteration) as stopped:
        next(revoke(at, Tokens(access_token="a")))

    assert False is stopped.value.value
