from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.login_contract import Secret
from coatcheck.providers._chatgpt.credentials import (
    AUTH_CLAIM,
    LOCAL_LOGIN,
    LOGIN,
    claims_of,
    read_access_token,
    read_auth_file,
    read_local_token,
)

WHERE = "~/.codex/auth.json"


def jwt(**claims: object) -> str:
    """Return an unsigned token with *claims*."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


ACCESS = jwt(exp=2_000_000_000)
TOKENS = {"id_token": jwt(email="p@example.com"), "access_token": ACCESS, "refresh_token": "rt", "account_id": "acc"}
LOGIN_FILE = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": TOKENS, "last_refresh": "2026-01-01T00:00:00Z"}


def file(*, tokens: object = TOKENS, **changes: object) -> bytes:
    """Return a login file."""
    return json.dumps(LOGIN_FILE | {"tokens": tokens} | changes, indent=2).encode()


def test_a_login_is_read_whole() -> None:
    """Tokens, account, expiry and the last refresh are read, and the secret is marked as stored.

    See docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json".
    """
    tokens = read_auth_file(file(), WHERE)

    assert ("rt", TOKENS["id_token"], 1_767_225_600.0) == (tokens.refresh_token, tokens.id_token, tokens.last_refresh)
    assert Secret(token=ACCESS, account_id="acc", expires_at=2e9, source=WHERE, is_stored=True) == tokens.to_secret(
        WHERE
    )


def test_an_older_file_without_a_mode_is_a_chatgpt_login() -> None:
    """Without `auth_mode`, without a key and without other logins, the tokens count.

    See docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json".
    """
    document = {key: value for key, value in LOGIN_FILE.items() if key != "auth_mode"}

    assert ACCESS == read_auth_file(json.dumps(document).encode(), WHERE).access_token


@pytest.mark.parametrize(
    ("claim", "expected"),
    [({"chatgpt_account_is_fedramp": True}, True), ({"chatgpt_account_is_fedramp": "true"}, False), ("x", False)],
)
def test_fedramp_is_a_claim_of_the_id_token(claim: object, expected: bool) -> None:
    """Only the claim `true` in the id_token makes a FedRAMP account.

    See docs/reference/protocols/codex-wham.md, "1.4 Request headers".
    """
    assert expected == read_auth_file(file(tokens=TOKENS | {"id_token": jwt(**{AUTH_CLAIM: claim})}), WHERE).is_fedramp


@pytest.mark.parametrize("account", [None, ""])
def test_an_absent_account_is_not_sent(account: object) -> None:
    """The account is not taken from a claim: the official client omits the header then.

    See docs/reference/protocols/codex-wham.md, "1.4 Request headers".
    """
    assert read_auth_file(file(tokens=TOKENS | {"account_id": account}), WHERE).account_id is None


def test_a_token_without_expiry_claim_has_no_end() -> None:
    """An opaque access token is usable, and its end is unknown.

    See docs/reference/protocols/codex-wham.md, "6.3 When it refreshes".
    """
    assert read_auth_file(file(tokens=TOKENS | {"access_token": "opaque"}), WHERE).expires_at is None


PROBLEMS: dict[str, bytes] = {
    "is empty": b" \n",
    "is not JSON": b"auth",
    "or only a part of it": file()[:80],
    "is not a JSON object": b"[]",
    "an API key": b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-x"}',
    "holds an API key": json.dumps({"OPENAI_API_KEY": "sk-x", "tokens": TOKENS}).encode(),
    "no usable personal_access_token": b'{"OPENAI_API_KEY":null,"personal_access_token":"at- x"}',
    "an agent identity": b'{"agent_identity":{}}',
    "tokens that another program lends": file(auth_mode="chatgptAuthTokens"),
    "a Bedrock API key": file(auth_mode="bedrockApiKey"),
    "a login of an unknown kind": file(auth_mode="a_new_word"),
    "no usable access token": file(tokens=None),
    "holds no usable access token": file(tokens=TOKENS | {"access_token": ""}),
    "~/.codex/auth.json holds no usable access token": file(tokens=TOKENS | {"access_token": "two words"}),
    "no readable id_token": file(tokens=TOKENS | {"id_token": "not-a-jwt"}),
    "holds no readable id_token": file(tokens={key: value for key, value in TOKENS.items() if key != "id_token"}),
    "no usable account_id": file(tokens=TOKENS | {"account_id": 5}),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_problem_is_one_line_with_its_remedy(problem: str) -> None:
    """What is wrong, where, and what to do; nothing of what the file holds.

    See docs/reference/protocols/codex-wham.md, "6.1 $CODEX_HOME/auth.json".
    """
    with pytest.raises(errors.NotLoggedInError) as raised:
        read_auth_file(PROBLEMS[problem], WHERE)
    message = f"{raised.value} {raised.value.remedy}"

    assert problem in message
    assert WHERE in message
    assert "codex login" in message
    assert not [secret for secret in ("eyJ", "sk-x", "at-x", "a_new_word", "\n") if secret in message]


anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["auth_mode", "OPENAI_API_KEY", "tokens", "personal_access_token", "agent_identity", "x"])
TOKEN_KEYS = st.sampled_from(["id_token", "access_token", "refresh_token", "account_id", "x"])


@given(
    st.dictionaries(KEYS, anything, max_size=3),
    st.none() | st.dictionaries(TOKEN_KEYS, anything, max_size=3),
    st.data(),
)
def test_any_file_gives_a_secret_or_one_clear_error(
    top: dict[str, object], tokens: dict[str, object] | None, data: Any
) -> None:
    """Any JSON, any key missing or of a wrong type: a secret, or a credentials error."""
    document = LOGIN_FILE | ({} if tokens is None else {"tokens": TOKENS | tokens}) | top
    if data.draw(st.booleans()):
        document.pop(data.draw(KEYS), None)
    try:
        remedy = read_auth_file(json.dumps(document).encode(), WHERE) and None
    except errors.CredentialsError as error:
        remedy = error.remedy

    assert remedy is None or "codex login" in remedy


@given(st.binary(max_size=80))
def test_any_bytes_are_no_login(data: bytes) -> None:
    """Bytes that are no login raise a credentials error and nothing else."""
    with pytest.raises(errors.CredentialsError):
        read_auth_file(data, WHERE)


def test_a_token_in_the_environment_is_sent_as_it_is() -> None:
    """A JWT counts with the account that it names; it is the caller's own, so it is not bound to trusted hosts.

    See docs/reference/protocols/codex-wham.md, "6.8 Other credentials".
    """
    token = jwt(exp=2_000_000_000, **{AUTH_CLAIM: {"chatgpt_account_id": "acc", "chatgpt_account_is_fedramp": True}})

    assert Secret(
        token=token, account_id="acc", is_fedramp=True, expires_at=2e9, source="CODEX_ACCESS_TOKEN"
    ) == read_access_token(f" {token}\n")


@pytest.mark.parametrize("value", ["sk-abc", "", "  ", "two words", "with\nnewline", "ümlaut"])
def test_other_tokens_in_the_environment_have_a_remedy(value: str) -> None:
    """A token that the task routes do not accept is refused without being shown."""
    with pytest.raises(errors.NotLoggedInError) as raised:
        read_access_token(value)

    assert "abc" not in f"{raised.value}{raised.value.remedy}"


def test_the_local_cloud_accepts_its_token() -> None:
    """Any printable token is sent; for an empty one the error shows how to start a cloud."""
    assert "t" == read_local_token("t\n").token
    with pytest.raises(errors.NotLoggedInError) as raised:
        read_local_token("")
    assert LOCAL_LOGIN.remedy == raised.value.remedy


@pytest.mark.parametrize("token", ["", "a.b", "a..c", "a.b.c", "a.b.c.d", "a.e30.", "a.W10.c", "a.!!!.c", "a.é.c"])
def test_other_text_has_no_claims(token: str) -> None:
    """Three non-empty parts, the middle one a JSON object in base64url; anything else has no claims.

    See docs/reference/protocols/codex-wham.md, "6.2 JWT claims used".
    """
    assert claims_of(token) is None


def test_the_login_names_the_official_clients_places() -> None:
    """The same variable, folder, file and locks as the official client, and only its hosts.

    See docs/reference/protocols/codex-wham.md, "1.3 The guard in 0.152.0+", "6.1 $CODEX_HOME/auth.json" and "6.5 How
    the file is written and locked".
    """
    assert ("CODEX_ACCESS_TOKEN", "CODEX_HOME", "~/.codex", "auth.json", ("auth.lock", "auth.json.lock")) == (
        LOGIN.environment,
        LOGIN.file.home_variable,
        LOGIN.file.home,
        LOGIN.file.name,
        LOGIN.file.locks,
    )
    assert {"chatgpt.com", "chat.openai.com", "chatgpt-staging.com"} == LOGIN.trusted_hosts
