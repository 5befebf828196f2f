"""Requests to a login service: refresh, authorization code, revoke, whoami. All of them are exchanges.

Invariants:

- a stored token is sent only to the login's trusted hosts over https, or to loopback; a redirect is not followed;
- no error quotes what was sent; the service's text is shortened and scrubbed;
- a refresh is answered by tokens, refused for good (`RefusedError`), refused for now, or its outcome is unknown
  (`UnansweredError`). What is not for good is a `TransportError` with ``request_sent=False``: the request that needed the
  login was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .. import errors
from .._protocol.decode import decode, detail_of, error_for
from .._protocol.effects import Exchange, Pairs, Request, Response
from .._protocol.hosts import may_go_to
from .._protocol.json_text import clean_json
from .._protocol.login_contract import OAuth, Tokens, Whoami
from .._protocol.urls import encoded_query
from .._version import __version__

# The lock is held while a refresh runs, and others wait for it (DESIGN: at most 15 s). Revoking has 10 s (6.4).
TIMEOUT, REVOKE_TIMEOUT = 15.0, 10.0
# The errors of a server that certainly did not take the token: not implemented, unavailable, HTTP version not supported
# (RFC 9110 15.6.2, 15.6.4, 15.6.6). Any other 5xx leaves open what the service, or the one behind a gateway, did.
NOT_ACCEPTED = frozenset({501, 503, 505})
# RFC 6749 5.2: the refresh token is invalid, expired or revoked.
INVALID_GRANT = "invalid_grant"

HEADERS: Pairs = (("user-agent", f"coatcheck/{__version__}"), ("accept", "application/json"))
JSON: Pairs = (*HEADERS, ("content-type", "application/json"))
FORM: Pairs = (*HEADERS, ("content-type", "application/x-www-form-urlencoded"))


class RefusedError(Exception):
    """The service refuses a refresh token for good; `code` is the service's error code."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class UnansweredError(Exception):
    """The service may have taken a refresh token, but its answer is missing or unreadable. `error` is what to raise."""

    def __init__(self, error: errors.CoatcheckError) -> None:
        self.error = passing(error)
        super().__init__(str(error))


class Endpoints(msgspec.Struct, frozen=True):
    """The URLs of one login's service: of the issuer, or from the official client's environment variables."""

    issuer: str
    client_id: str | None
    token: str
    revoke: str | None

    @classmethod
    def of(cls, oauth: OAuth, tokens: Tokens | None, *, environ: Mapping[str, str], issuer: str | None) -> Endpoints:
        """Return the endpoints for *tokens*. Raises `ConfigurationError` for a host that is not the login's."""
        base = (issuer or (tokens and tokens.issuer) or oauth.issuer).rstrip("/")
        token = _set(environ, oauth.token_variable) or base + oauth.token
        root = token.removesuffix(oauth.token) if token.endswith(oauth.token) else base
        derived = root + oauth.revoke if oauth.revoke else None
        found = cls(
            issuer=base,
            client_id=(tokens and tokens.client_id) or oauth.client_id,
            token=token,
            revoke=_set(environ, oauth.revoke_variable) or derived,
        )
        for url in filter(None, (found.issuer, found.token, found.revoke)):
            require_trusted(url, oauth.trusted_hosts)
        return found

    def given(self, tokens: Tokens) -> Tokens:
        """Return *tokens* with their issuer and client id."""
        return msgspec.structs.replace(tokens, issuer=self.issuer, client_id=self.client_id)


def require_trusted(url: str, trusted: frozenset[str]) -> None:
    """Raise `ConfigurationError` for a URL that a stored token is never sent to."""
    if not may_go_to(url, trusted):
        hosts = ", ".join(sorted(trusted))
        raise errors.ConfigurationError(
            f"a stored login is never sent to {shown(url)}", remedy=f"it may go to {hosts} or to loopback"
        )


def shown(url: str) -> str:
    """Return a URL as shown to people: without user, password, query and fragment."""
    scheme, separator, rest = url.partition("?")[0].partition("#")[0].partition("://")
    host, slash, path = (rest if separator else scheme).partition("/")
    return f"{scheme if separator else ''}{separator}{host.rpartition('@')[2]}{slash}{path}"


def refresh(oauth: OAuth, at: Endpoints, held: Tokens, *, reason: str, now: float) -> Exchange[Tokens]:
    """Exchange the refresh token of *held* for new tokens; *reason* is a value of the official client (6.4).

    Raises `RefusedError`, `UnansweredError`, or `TransportError` where the token was certainly not taken.
    """
    body = {
        "client_id": at.client_id,
        "grant_type": "refresh_token",
        "refresh_reason": None if oauth.is_form else reason,
        "refresh_token": held.refresh_token,
    }
    try:
        response: Response = yield sent(at.token, body, is_json=not oauth.is_form)
    except errors.TransportError as error:
        raise (UnansweredError(error) if error.request_sent else passing(error)) from None
    return _refreshed(oauth, response, held, now)


def is_answering(oauth: OAuth, at: Endpoints) -> Exchange[bool]:
    """Request a refresh without a token; returns whether the service responded, which ends an outage.

    The answer should be ``invalid_request`` or ``invalid_grant`` with status 400 (RFC 6749 section 5.2). Services use
    other 4xx and, like GitHub, 200; a 200 that is no JSON object is the page of a proxy.
    """
    body = {"client_id": at.client_id, "grant_type": "refresh_token", "refresh_token": ""}
    try:
        response: Response = yield sent(at.token, body, is_json=not oauth.is_form)
    except errors.TransportError:
        return False
    if response.status >= 300:
        return response.status < 500 or response.status == 501
    try:
        return bool(read_answer(response))
    except errors.UnreadableResponseError:
        return False


def _refreshed(oauth: OAuth, response: Response, held: Tokens, now: float) -> Tokens:
    if response.status >= 300 or code_of(response) in oauth.refusals:  # GitHub refuses with 200
        raise refusal(oauth, response)
    try:
        return oauth.read(_grant(response), held, now)
    except errors.UnreadableResponseError as error:  # the token was taken, and its successor cannot be read
        raise UnansweredError(error) from None


def _grant(response: Response) -> Mapping[str, object]:
    """Return the fields of an answer that is no error with a status of success."""
    answer = read_answer(response)
    if (code := code_of(response)) and "access_token" not in answer:
        raise errors.UnreadableResponseError(f"the login service answered {code}", path="$.access_token")
    return answer


def read_answer(response: Response) -> Mapping[str, object]:
    """Return the fields of an answer; raises the error of its status, `UnreadableResponseError`."""
    return decode(msgspec.structs.replace(response, body=clean_json(response.body)), dict[str, object])


def refusal(oauth: OAuth, response: Response) -> Exception:
    """Return what a status of 300 or more means for a refresh token."""
    code = code_of(response)
    if code in oauth.refusals or code == INVALID_GRANT:
        return RefusedError(code)
    if response.status == 401 and not _is_page(response):
        return RefusedError(code or "unauthorized")
    error = error_for(response)
    is_lost = response.status >= 500 and response.status not in NOT_ACCEPTED
    return UnansweredError(error) if is_lost else passing(error)


def _is_page(response: Response) -> bool:
    """Whether a proxy answered with a web page, and not the login service."""
    return response.body.lstrip()[:1] == b"<"


def code_of(response: Response) -> str:
    """Return the service's code: ``error.code``, ``error`` or ``code`` (6.4); "" where there is none."""
    try:
        body = msgspec.json.decode(clean_json(response.body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    error = fields.get("error")
    code = error.get("code") if isinstance(error, dict) else error or fields.get("code")
    return code if isinstance(code, str) and code.isidentifier() and len(code) < 64 else ""


def passing(error: errors.CoatcheckError) -> errors.TransportError:
    """Return *error* as a transient one."""
    kind = type(error) if isinstance(error, errors.TransportError) else errors.TransportError
    return kind(f"the login could not be refreshed: {error}", request_sent=False, remedy=error.remedy)


class Code(msgspec.Struct, frozen=True):
    """An authorization code with what redeems it. Its ``repr`` shows nothing."""

    code: str
    verifier: str
    redirect: str

    def __repr__(self) -> str:
        return "Code()"


def redeem(oauth: OAuth, at: Endpoints, code: Code, *, now: float) -> Exchange[Tokens]:
    """Exchange an authorization code for the tokens of a new login (6.9)."""
    form = {
        "grant_type": "authorization_code",
        "client_id": at.client_id,
        "code": code.code,
        "redirect_uri": code.redirect,
        "code_verifier": code.verifier,
    }
    response = yield sent(at.token, form, is_json=False)
    return at.given(oauth.read(read_answer(response), None, now))


def revoke(at: Endpoints, tokens: Tokens) -> Exchange[bool]:
    """Revoke a login at the service (6.4); returns whether it succeeded, and never raises."""
    if at.revoke is None:
        return False
    body = {"token": tokens.refresh_token, "token_type_hint": "refresh_token", "client_id": at.client_id}
    request = post(at.revoke, msgspec.json.encode(body), headers=JSON)
    try:
        response: Response = yield msgspec.structs.replace(request, timeout=REVOKE_TIMEOUT)
    except errors.TransportError:
        return False
    return response.status < 300


def request_whoami(whoami: Whoami, token: str, *, environ: Mapping[str, str]) -> Exchange[Tokens]:
    """Request the account of a token (6.8). Raises `NotLoggedInError` for an unknown token."""
    url = (_set(environ, whoami.variable) or whoami.base_url).rstrip("/") + whoami.path
    require_trusted(url, whoami.trusted_hosts)
    headers = (*HEADERS, ("authorization", f"Bearer {token}"))
    response = yield Request("GET", "", headers=headers, url=url, timeout=TIMEOUT)
    if response.status in (401, 403):
        raise errors.NotLoggedInError(
            f"the login service does not accept the personal access token (HTTP {response.status})"
            + (f": {detail}" if (detail := detail_of(response)) else ""),
            remedy="make a new token",
        )
    return whoami.read(token, read_answer(response))


def sent(url: str, fields: Mapping[str, str | None], *, is_json: bool) -> Request:
    """Return a request with *fields*; those that are None are left out of a form."""
    if is_json:
        return post(url, msgspec.json.encode(fields), headers=JSON)
    form = {name: value for name, value in fields.items() if value is not None}
    return post(url, encoded_query(tuple(form.items())).encode(), headers=FORM)


def post(url: str, body: bytes, *, headers: Pairs) -> Request:
    """Return a request to a login service."""
    return Request("POST", "", headers=headers, body=body, url=url, timeout=TIMEOUT)


def _set(environ: Mapping[str, str], variable: str | None) -> str | None:
    return (environ.get(variable, "").strip() or None) if variable else None
