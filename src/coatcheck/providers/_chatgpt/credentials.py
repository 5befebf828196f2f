"""The login to Codex, and how the official client's file is read and written. Pure.

Invariants:

- no message contains anything from the file, except the mode and the names of keys;
- for any bytes, the result is `Tokens` or one `CredentialsError` with the remedy;
- a JWT's signature is not checked: the service does that, we only read its expiry and its owner
  (docs/reference/protocols/codex-wham.md, "6.2 JWT claims used");
- what is written keeps every unknown key, byte for byte and in its place (but half of a surrogate pair becomes U+FFFD);
  the account never changes, and a refresh token is never removed (docs/reference/protocols/codex-wham.md, "6.6 Rules
  for a second program sharing the file").
"""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from ...provider import (
    DeviceRoutes,
    Keyring,
    Login,
    LoginFile,
    OAuth,
    Secret,
    Tokens,
    Whoami,
    clean_json,
    errors,
    fields,
    format_time,
    instant,
    number,
    text,
)

REMEDY = "log in with: coatcheck login codex (or codex login, or set CODEX_ACCESS_TOKEN)"
LOCAL_REMEDY = "start a local cloud with: coatcheck serve --environment owner/repo=PATH --agent 'COMMAND {prompt}'"

# Where a login read from a file may be sent: the hosts that the official client trusts
# (docs/reference/protocols/codex-wham.md, "1.3 The guard in 0.152.0+").
TRUSTED_HOSTS = frozenset({"chatgpt.com", "chat.openai.com", "chatgpt-staging.com"})

# The namespace of OpenAI's own claims (docs/reference/protocols/codex-wham.md, "6.2 JWT claims used").
AUTH_CLAIM = "https://api.openai.com/auth"

CHATGPT, PERSONAL = "chatgpt", "personalAccessToken"

# The last second that a calendar of four-digit years has. What ends later is used as if it ended then.
LAST_SECOND = 253_402_300_799.0
# From here on a time is in milliseconds: 2001 in milliseconds, the year 33,658 in seconds.
FIRST_MILLISECONDS = 1e12

TOKENS = ("access_token", "id_token", "refresh_token")

# How a personal access token begins (docs/reference/protocols/codex-wham.md, "6.8 Other credentials").
PERSONAL_PREFIX = "at-"

# Logins of other kinds, by `auth_mode` (docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json"): their
# descriptions.
OTHER_MODES: Mapping[str, str] = {
    "apikey": "an API key, which Codex Cloud does not take",
    "chatgptAuthTokens": "tokens that another program lends, which are never in a file",
    "agentIdentity": "an agent identity, which only the official client can use",
    "bedrockApiKey": "a Bedrock API key, which Codex Cloud does not take",
}

# Where there is no `auth_mode`, the first of these keys that is not null determines the mode
# (docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json").
MODE_OF_KEY: Mapping[str, str] = {
    "personal_access_token": "personalAccessToken",
    "agent_identity": "agentIdentity",
    "OPENAI_API_KEY": "apikey",
}


def read_auth_file(data: bytes, where: str) -> Tokens:
    """Return the login in the official client's ``auth.json``; *where* is its path for messages.

    Raises `CredentialsError` with the remedy for what is no ChatGPT login and no personal access token.
    """
    login = _object(data, where)
    mode = _mode(login)
    if mode == PERSONAL:
        return Tokens(access_token=_sendable(login.get("personal_access_token"), "personal_access_token", where))
    _require_chatgpt(mode, where)
    tokens = fields(login.get("tokens"))
    token = _sendable(tokens.get("access_token"), "access token", where)
    id_token = text(tokens.get("id_token"))
    if id_token is None or (claims := claims_of(id_token)) is None:
        _refuse(f"{where} holds no readable id_token")
    account, provenance = tokens.get("account_id"), fields(tokens.get("oauth_provenance"))
    return Tokens(
        access_token=token,
        refresh_token=_usable(tokens, "refresh_token"),
        id_token=id_token,
        account_id=_sendable(account, "account_id", where) if account else None,
        expires_at=expiry_of(token),
        last_refresh=_seconds(login.get("last_refresh")),
        issuer=text(provenance.get("issuer")),
        client_id=text(provenance.get("client_id")),
        **_account_of(claims),
    )


def write_auth_file(data: bytes | None, tokens: Tokens) -> bytes:
    """Return *data* with *tokens* in it, as the official client writes such a file: two spaces, no line end.

    See docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json".
    """
    login: dict[str, object] = {**_raw(data)} if data else {"auth_mode": CHATGPT, "OPENAI_API_KEY": None}
    held = {**_raw(login.get("tokens"))} or _new_login(tokens)
    fresh = {"id_token": tokens.id_token, "access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
    login["tokens"] = held | {name: token for name, token in fresh.items() if token}
    login["last_refresh"] = format_time(_seconds(tokens.last_refresh) or 0.0, timespec="microseconds")
    return msgspec.json.format(msgspec.json.encode(login), indent=2)


def read_grant(answer: Mapping[str, object], before: Tokens | None, now: float) -> Tokens:
    """Return the tokens after *answer* of the login service; every field is optional if there were some *before*.

    The account is never changed by a refresh, even if the new tokens name another one. A token that cannot be used
    leaves the one before, so that a good refresh token beside it is not lost.
    Raises `UnreadableResponseError` where a token is missing or none can be used.

    See docs/reference/protocols/codex-wham.md, "6.4 Refresh protocol".
    """
    value_read: dict[str, Any] = {name: _granted(answer, name, before) for name in TOKENS}
    if before is not None and any(answer.get(name) for name in TOKENS) and not any(_usable(answer, n) for n in TOKENS):
        raise errors.UnreadableResponseError("the login service gave no usable token", path="$.access_token")
    claims = claims_of(value_read["id_token"]) or {}
    account = text(fields(claims.get(AUTH_CLAIM)).get("chatgpt_account_id"))
    kept: dict[str, Any] = {} if before is None else {"issuer": before.issuer, "client_id": before.client_id}
    return Tokens(
        **value_read,
        **kept,
        account_id=account if before is None else before.account_id,
        expires_at=_granted_until(value_read["access_token"], answer, now),
        last_refresh=now,
        **_account_of(claims),
    )


def read_whoami(token: str, answer: Mapping[str, object]) -> Tokens:
    """Return a personal access token with whose it is.

    See docs/reference/protocols/codex-wham.md, "6.8 Other credentials".
    """
    account = text(answer.get("chatgpt_account_id"))
    if account is None or not _is_sendable(account):
        raise errors.UnreadableResponseError(
            "the login service did not return the owner of this token", path="$.chatgpt_account_id"
        )
    return Tokens(
        access_token=token,
        account_id=account,
        plan=text(answer.get("chatgpt_plan_type")),
        is_fedramp=answer.get("chatgpt_account_is_fedramp") is True,
    )


def keyring_entry(home: str) -> str:
    """Return the name of the login in the keyring: ``cli|`` and 16 hex of the folder's SHA-256.

    See docs/reference/protocols/codex-wham.md, "6.7 Storage modes".
    """
    import hashlib  # for those who keep their login in a keyring

    return f"cli|{hashlib.sha256(home.encode()).hexdigest()[:16]}"


def read_access_token(value: str) -> Secret:
    """Return the login in ``CODEX_ACCESS_TOKEN``. A JWT is sent as it is; an extension of docs/reference/protocols/codex-wham.md, "6.8 Other credentials".

    Raises `NotLoggedInError` for tokens that the task routes do not take.
    """
    token = value.strip()
    if token.startswith("sk-"):
        _refuse(
            f"CODEX_ACCESS_TOKEN holds {OTHER_MODES['apikey']}",
            remedy="set it to a ChatGPT access token (a JWT), or log in with: coatcheck login codex",
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
    """Return the claims of a JWT, None for anything else: three non-empty parts, the middle one a JSON object.

    See docs/reference/protocols/codex-wham.md, "6.2 JWT claims used".
    """
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return None
    try:
        encoded = parts[1].replace("-", "+").replace("_", "/")  # RFC 4648, section 5
        payload = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
        return msgspec.json.decode(clean_json(payload), type=dict[str, object])
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def expiry_of(token: str) -> float | None:
    """Return when a token expires, in seconds since the epoch; None where it has no expiry.

    ``exp`` is a number of seconds (RFC 7519 section 2). Milliseconds, a text and a date are understood too; what no
    calendar has is the first or the last second of ours.

    See docs/reference/protocols/codex-wham.md, "6.3 When it refreshes".
    """
    return _seconds((claims_of(token) or {}).get("exp"))


def _seconds(value: object) -> float | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**300:
        return LAST_SECOND if value > 0 else 0.0  # which is too large for a float
    value_read = number(value)
    if value_read is None:
        date = instant(value) if isinstance(value, str) else None
        return None if date is None else max(0.0, date.timestamp())
    if value_read >= FIRST_MILLISECONDS:
        value_read /= 1000
    return min(max(value_read, 0.0), LAST_SECOND)


def _granted_until(token: str, answer: Mapping[str, object], now: float) -> float | None:
    """Return when a token that was just given expires by the local clock, which may be wrong."""
    ends = expiry_of(token)
    if ends is None or ends > now or _usable(answer, "access_token") != token:
        return ends
    issued = _seconds((claims_of(token) or {}).get("iat"))
    lifetime = ends - issued if issued is not None else number(answer.get("expires_in")) or 0.0
    return now + lifetime if lifetime > 0 else ends


def _object(data: bytes, where: str) -> Mapping[str, object]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _refuse(f"{where} is UTF-16, not UTF-8", remedy=f"save it as UTF-8; else {REMEDY}")
    data = clean_json(data)
    if not data.strip():
        _refuse(f"{where} is empty", remedy=f"another program may be writing it: try again; else {REMEDY}")
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.ValidationError:
        _refuse(
            f"{where} holds a number out of range" if data.lstrip()[:1] == b"{" else f"{where} is not a JSON object"
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _refuse(
            f"{where} is not JSON, or only a part of it",
            remedy=f"another program may be writing it: try again; else {REMEDY}",
        )


def _require_chatgpt(mode: object, where: str) -> None:
    if mode == CHATGPT:
        return
    kind = OTHER_MODES.get(mode) if isinstance(mode, str) else None
    _refuse(f"{where} holds {kind}" if kind else f"{where} holds a login of an unknown kind")


def _mode(login: Mapping[str, object]) -> object:
    stated = login.get("auth_mode")
    if stated is not None:
        return stated
    return next((mode for key, mode in MODE_OF_KEY.items() if login.get(key) is not None), CHATGPT)


def _account_of(claims: Mapping[str, object]) -> dict[str, Any]:
    """Return the owner's fields of an id_token (docs/reference/protocols/codex-wham.md, "6.2 JWT claims used")."""
    owner = fields(claims.get(AUTH_CLAIM))
    return {
        "plan": text(owner.get("chatgpt_plan_type")),
        "is_fedramp": owner.get("chatgpt_account_is_fedramp") is True,
    }


def _granted(answer: Mapping[str, object], name: str, before: Tokens | None) -> str:
    value = _usable(answer, name) or (getattr(before, name) if before else None)
    if value is None:
        raise errors.UnreadableResponseError(f"the login service gave no usable {name}", path=f"$.{name}")
    return str(value)


def _usable(answer: Mapping[str, object], name: str) -> str | None:
    value = text(answer.get(name))
    return value if value is not None and _is_sendable(value) else None


def _raw(data: object) -> Mapping[str, msgspec.Raw]:
    """Return an object whose values are kept as they were written."""
    if not isinstance(data, (bytes, msgspec.Raw)):
        return {}
    clean = data if isinstance(data, msgspec.Raw) else clean_json(data)
    return msgspec.json.decode(clean, type=dict[str, msgspec.Raw] | None) or {}


def _new_login(tokens: Tokens) -> dict[str, object]:
    """Return the part of a new file that no refresh ever changes, in the order of 6.1."""
    login: dict[str, object] = {"id_token": "", "access_token": "", "refresh_token": ""}
    if tokens.issuer:
        login["oauth_provenance"] = {"issuer": tokens.issuer, "client_id": tokens.client_id}
    return {**login, "account_id": tokens.account_id}


def _sendable(token: object, what: str, where: str) -> str:
    if not isinstance(token, str) or not token or not _is_sendable(token):
        _refuse(f"{where} holds no usable {what}")
    return token


def _is_sendable(token: str) -> bool:
    """Whether *token* can be sent in a header: printable ASCII without blanks."""
    return token.isascii() and token.isprintable() and " " not in token


def _refuse(message: str, *, remedy: str = REMEDY) -> NoReturn:
    raise errors.NotLoggedInError(message, remedy=remedy) from None


# Where tokens are refreshed, revoked and given out (docs/reference/protocols/codex-wham.md, "6.4 Refresh protocol",
# "6.8 Other credentials" and "6.9 Login flows").
LOGIN_HOSTS = frozenset({"auth.openai.com"})

OAUTH = OAuth(
    issuer="https://auth.openai.com",
    client_id="app_EMoamEEZ73f0CkXaXp7hrann",
    trusted_hosts=LOGIN_HOSTS,
    read=read_grant,
    reused="refresh_token_reused",
    refusals={
        "refresh_token_expired": "has expired",
        "refresh_token_reused": "was already used",
        "refresh_token_invalidated": "was revoked",
    },
    scopes=("openid", "profile", "email", "offline_access", "api.connectors.read", "api.connectors.invoke"),
    parameters=(
        ("id_token_add_organizations", "true"),
        ("codex_cli_simplified_flow", "true"),
        ("originator", "coatcheck"),
    ),
    device=DeviceRoutes(
        start="/api/accounts/deviceauth/usercode",
        poll="/api/accounts/deviceauth/token",
        id="device_auth_id",
        start_fields=("client_id",),
        poll_fields=("device_auth_id", "user_code"),
        is_json=True,
        page="/codex/device",
        redirect="/deviceauth/callback",
        waiting=frozenset({"403", "404"}),
        refusals={"404": ("login by device code is not enabled for this account", "log in with --browser")},
    ),
    ports=(1455, 1457),
    token_variable="CODEX_REFRESH_TOKEN_URL_OVERRIDE",  # noqa: S106 - the name of a variable
    revoke_variable="CODEX_REVOKE_TOKEN_URL_OVERRIDE",
)

LOGIN = Login(
    name="codex",
    remedy=REMEDY,
    environment="CODEX_ACCESS_TOKEN",
    read_environment=read_access_token,
    file=LoginFile(
        owner="the Codex CLI",
        home_variable="CODEX_HOME",
        home="~/.codex",
        name="auth.json",
        read=read_auth_file,
        write=write_auth_file,
        locks=("auth.lock", "auth.json.lock"),
    ),
    keyring=Keyring(service="Codex Auth", account=keyring_entry),
    oauth=OAUTH,
    whoami=Whoami(
        prefix=PERSONAL_PREFIX,
        base_url="https://auth.openai.com/api/accounts",
        path="/v1/user-auth-credential/whoami",
        trusted_hosts=LOGIN_HOSTS,
        read=read_whoami,
        variable="CODEX_AUTHAPI_BASE_URL",
    ),
    trusted_hosts=TRUSTED_HOSTS,
)

LOCAL_LOGIN = Login(
    name="local",
    remedy=LOCAL_REMEDY,
    environment="COATCHECK_LOCAL_TOKEN",
    read_environment=read_local_token,
)
