"""How people log in to Codex, and how the official client's login is read (codex-wham.md 6). Pure.

Law 1. No message names anything that the file holds, but the mode and the names of keys.
Law 2. Whatever the bytes are, the result is a `Secret` or one `CredentialsError` with the remedy.
Law 3. A JWT's signature is never checked: the service does that, we only look when it ends and whose it is (6.2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from ... import errors
from ..._protocol.credentials import Login, LoginFile, Secret
from ..._protocol.loose import fields, number, text

REMEDY = "log in with: codex login (or set CODEX_ACCESS_TOKEN)"
LOCAL_REMEDY = "start one with: coatcheck serve --environment owner/repo=PATH --agent 'COMMAND {prompt}'"

# Where a login read from a file may go: the hosts that the official client trusts (1.3).
TRUSTED_HOSTS = frozenset({"chatgpt.com", "chat.openai.com", "chatgpt-staging.com"})

# The namespace of OpenAI's own claims (6.2).
AUTH_CLAIM = "https://api.openai.com/auth"

CHATGPT = "chatgpt"

# Logins of other kinds, by `auth_mode` (6.1): what they are, in words.
OTHER_MODES: Mapping[str, str] = {
    "apikey": "an API key, which Codex Cloud does not take",
    "chatgptAuthTokens": "tokens that another program lends, which are never in a file",
    "agentIdentity": "an agent identity, which only the official client can use",
    "personalAccessToken": "a personal access token, which this version cannot exchange yet",
    "bedrockApiKey": "a Bedrock API key, which Codex Cloud does not take",
}

# Where there is no `auth_mode`, the first of these keys that is not null says the mode (6.1).
MODE_OF_KEY: Mapping[str, str] = {
    "personal_access_token": "personalAccessToken",
    "agent_identity": "agentIdentity",
    "OPENAI_API_KEY": "apikey",
}


def read_auth_file(data: bytes, where: str) -> Secret:
    """Return the login in the official client's ``auth.json``; *where* is its path as shown to people.

    Raises `CredentialsError` with the remedy for what is no ChatGPT login.
    """
    login = _object(data, where)
    _require_chatgpt(login, where)
    tokens = fields(login.get("tokens"))
    token, id_token = text(tokens.get("access_token")), text(tokens.get("id_token"))
    if token is None or not _is_sendable(token):
        _refuse(f"{where} holds no access token")
    if id_token is None or (claims := claims_of(id_token)) is None:
        _refuse(f"{where} holds no readable id_token")
    account = tokens.get("account_id")
    if account is not None and not (isinstance(account, str) and _is_sendable(account)):
        _refuse(f"{where} holds an account_id that is none")
    return Secret(
        token=token,
        account_id=account or None,
        is_fedramp=fields(claims.get(AUTH_CLAIM)).get("chatgpt_account_is_fedramp") is True,
        expires_at=expiry_of(token),
        source=where,
        is_stored=True,
    )


def read_access_token(value: str) -> Secret:
    """Return the login in ``CODEX_ACCESS_TOKEN``. A JWT is sent as it is; that is our extension of 6.8.

    Raises `NotLoggedInError` for tokens that the task routes do not take.
    """
    token = value.strip()
    for start, kind in {
        "at-": "a personal access token, which this version cannot exchange yet",
        "sk-": OTHER_MODES["apikey"],
    }.items():
        if token.startswith(start):
            _refuse(
                f"CODEX_ACCESS_TOKEN holds {kind}",
                remedy="set it to a ChatGPT access token (a JWT), or log in with: codex login",
            )
    if not token or not _is_sendable(token):
        _refuse("CODEX_ACCESS_TOKEN holds no token")
    owner = fields((claims_of(token) or {}).get(AUTH_CLAIM))
    return Secret(
        token=token,
        account_id=text(owner.get("chatgpt_account_id")),
        is_fedramp=owner.get("chatgpt_account_is_fedramp") is True,
        expires_at=expiry_of(token),
        source="CODEX_ACCESS_TOKEN",
    )


def read_local_token(value: str) -> Secret:
    """Return the login in ``COATCHECK_LOCAL_TOKEN``, as a local cloud printed it."""
    token = value.strip()
    if not token or not _is_sendable(token):
        _refuse("COATCHECK_LOCAL_TOKEN holds no token", remedy=LOCAL_REMEDY)
    return Secret(token=token, expires_at=expiry_of(token), source="COATCHECK_LOCAL_TOKEN")


def claims_of(token: str) -> Mapping[str, object] | None:
    """Return what a JWT says, None for what is no JWT: three non-empty parts, the middle one a JSON object (6.2)."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=dict[str, object])
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def expiry_of(token: str) -> float | None:
    """Return when a token ends, in seconds since the epoch; None where it does not say (6.3)."""
    return number((claims_of(token) or {}).get("exp"))


def _object(data: bytes, where: str) -> Mapping[str, object]:
    if not data.strip():
        _refuse(f"{where} is empty", remedy=f"another program may be writing it: try again; else {REMEDY}")
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.ValidationError:
        _refuse(f"{where} is not a JSON object")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _refuse(
            f"{where} is not JSON, or only a part of it",
            remedy=f"another program may be writing it: try again; else {REMEDY}",
        )


def _require_chatgpt(login: Mapping[str, object], where: str) -> None:
    mode = _mode(login)
    if mode == CHATGPT:
        return
    kind = OTHER_MODES.get(mode) if isinstance(mode, str) else None
    _refuse(f"{where} holds {kind}" if kind else f"{where} holds a login of an unknown kind")


def _mode(login: Mapping[str, object]) -> object:
    stated = login.get("auth_mode")
    if stated is not None:
        return stated
    return next((mode for key, mode in MODE_OF_KEY.items() if login.get(key) is not None), CHATGPT)


def _is_sendable(token: str) -> bool:
    """Whether *token* can stand in a header: printable ASCII without blanks."""
    return token.isascii() and token.isprintable() and " " not in token


def _refuse(message: str, *, remedy: str = REMEDY) -> NoReturn:
    raise errors.NotLoggedInError(message, remedy=remedy) from None


LOGIN = Login(
    name="codex",
    remedy=REMEDY,
    environment="CODEX_ACCESS_TOKEN",
    read_environment=read_access_token,
    file=LoginFile(
        home_variable="CODEX_HOME",
        home="~/.codex",
        name="auth.json",
        read=read_auth_file,
        locks=("auth.lock", "auth.json.lock"),
    ),
    trusted_hosts=TRUSTED_HOSTS,
)

LOCAL_LOGIN = Login(
    name="local",
    remedy=LOCAL_REMEDY,
    environment="COATCHECK_LOCAL_TOKEN",
    read_environment=read_local_token,
)
