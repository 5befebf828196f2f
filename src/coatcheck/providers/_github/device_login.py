"""How one logs in to a GitHub by device code, and how that login is kept (docs.github.com, "Authorizing OAuth apps").

Invariants:

- The app is the user's: no client id is built in, and no other program's is borrowed.
- A login is bound to the site that issued it: its file is of that site, and refused for any other.
- No message names anything that the file holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...provider import DeviceRoutes, LoginFormat, OAuth, Tokens, Whoami, clean_json, decode_json, errors, number, text

# What runs of workflows and the coding agent need (docs.github.com, "Scopes for OAuth apps"); GitHub apps ignore scopes.
SCOPES = ("repo", "workflow")
AGAIN = "try again: coatcheck login github"
NO_APP = ("GitHub knows no app with this client id", "check it in the settings of the app")
UNABLE = ("the app has no device flow", 'tick "Enable Device Flow" in the settings of the app')

# What ends a login by device code (docs.github.com, "Error codes for the device flow"), with a description and a remedy.
DENIALS: Mapping[str, tuple[str, str]] = {
    "404": NO_APP,
    "incorrect_client_credentials": NO_APP,
    "device_flow_disabled": UNABLE,
    "unsupported_grant_type": UNABLE,
    "access_denied": ("the login was denied", AGAIN),
    "expired_token": ("the code expired before anybody approved it", AGAIN),
    "incorrect_device_code": ("GitHub does not know this login any more", AGAIN),
}

# What ends a refresh token (docs.github.com, "Refreshing user access tokens").
REFUSALS: Mapping[str, str] = {
    "bad_refresh_token": "was used, has expired or was revoked",
    "incorrect_client_credentials": "is of another app than its client id says",
}


def family_of(site: str) -> str:
    """Return the name under which logins to *site* are kept: one for each, whichever provider uses it."""
    host = urlsplit(site).netloc.lower()
    return "github" if host == "github.com" else "github-" + re.sub(r"[^a-z0-9.-]", "_", host)


def oauth_of(site: str, *, client_id: str | None, scopes: str | None, remedy: str) -> OAuth:
    """Return the login service of *site*. It revokes tokens only for a client that has the app's secret, which coatcheck does not have."""
    return OAuth(
        issuer=site,
        client_id=client_id,
        client_remedy=remedy,
        trusted_hosts=hosts_of(site),
        read=read_grant,
        refusals=REFUSALS,
        reused="bad_refresh_token",
        token="/login/oauth/access_token",  # noqa: S106 - a path
        revoke=None,
        revoke_page="/settings/applications",
        authorize=None,
        is_form=True,
        scopes=tuple(scopes.replace(",", " ").split()) if scopes is not None else SCOPES,
        device=DeviceRoutes(start="/login/device/code", poll="/login/oauth/access_token", refusals=DENIALS),
    )


def whoami_of(base_url: str) -> Whoami:
    """Return the request of the API at *base_url* that returns the owner of a token."""
    return Whoami(
        prefix="",
        base_url=base_url,
        path="/user",
        trusted_hosts=hosts_of(base_url),
        read=read_user,
        only_at_login=True,
    )


def hosts_of(url: str) -> frozenset[str]:
    """Return the one host of *url*."""
    return frozenset({(urlsplit(url).hostname or "").lower()})


def read_user(token: str, answer: Mapping[str, object]) -> Tokens:
    """Return a token with whose it is; names change, numbers do not."""
    id = answer.get("id")
    if not isinstance(id, int):
        raise errors.UnreadableResponseError("GitHub did not return the owner of this token", path="$.id")
    return Tokens(access_token=token, account_id=str(id))


def read_grant(answer: Mapping[str, object], before: Tokens | None, now: float) -> Tokens:
    """Return the tokens in *answer*: one that lasts, or of an app whose tokens expire a pair.

    An access token that cannot be used leaves the one *before*, so that the new refresh token is not lost.
    Raises `UnreadableResponseError` where there is none that can be sent.
    """
    token, successor = text(answer.get("access_token")), text(answer.get("refresh_token"))
    if token is None or not is_sendable(token):
        if before is not None and successor is not None:  # the access token is lost, the login is not
            return msgspec.structs.replace(before, refresh_token=successor, last_refresh=now)
        raise errors.UnreadableResponseError("GitHub gave no usable access_token", path="$.access_token")
    lasts, held = number(answer.get("expires_in")), before or Tokens(access_token=token)
    return Tokens(
        access_token=token,
        refresh_token=successor or held.refresh_token,
        account_id=held.account_id,
        expires_at=None if lasts is None else now + lasts,
        last_refresh=now,
        issuer=held.issuer,
        client_id=held.client_id,
    )


class _LoginFile(msgspec.Struct, omit_defaults=True):
    """The file of a login."""

    issuer: str
    access_token: str
    client_id: str | None = None
    account_id: str | None = None
    refresh_token: str | None = None
    expires_at: float | None = None
    last_refresh: float | None = None

    def __repr__(self) -> str:
        return "_LoginFile()"


def format_of(site: str, *, remedy: str) -> LoginFormat:
    """Return how logins to *site* are kept."""

    def read(data: bytes, where: str) -> Tokens:
        return _read(data, where, site=site, remedy=remedy)

    def write(data: bytes | None, tokens: Tokens) -> bytes:
        return _written(data, tokens, site=site)

    return LoginFormat(read=read, write=write)


def _read(data: bytes, where: str, *, site: str, remedy: str) -> Tokens:
    try:
        kept = decode_json(clean_json(data), _LoginFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise errors.NotLoggedInError(f"{where} is no login to GitHub of ours", remedy=remedy) from None
    if kept.issuer != site:
        raise errors.NotLoggedInError(f"{where} holds no login to {site}, but to another site", remedy=remedy)
    if not is_sendable(kept.access_token):
        raise errors.NotLoggedInError(f"{where} holds no usable token", remedy=remedy)
    return Tokens(**msgspec.structs.asdict(kept))


def _written(data: bytes | None, tokens: Tokens, *, site: str) -> bytes:
    if tokens.issuer not in (None, site):
        message = f"a login to another site is not kept as one to {site}"
        raise errors.ConfigurationError(
            message, remedy="leave out --issuer, and set the address of the API: --base-url"
        )
    written = {name: getattr(tokens, name) for name in _LoginFile.__struct_fields__} | {"issuer": site}
    existing: dict[str, Any] = msgspec.json.decode(clean_json(data), type=dict[str, msgspec.Raw]) if data else {}
    kept = {name: value for name, value in (existing | written).items() if value is not None}
    return msgspec.json.format(msgspec.json.encode(kept), indent=2)


def is_sendable(token: str) -> bool:
    """Whether *token* can be sent in a header: printable ASCII without blanks."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
