"""Any content of a login file is credentials or one clear error; writing changes only the tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from tests.credentials.login_environment import LoginEnvironment

from coatcheck import errors
from coatcheck._credentials.login_status import status_of
from coatcheck._credentials.refresh_policy import moment
from coatcheck._protocol.decode import scrub
from coatcheck._protocol.login_contract import Tokens
from coatcheck.providers._chatgpt.credentials import (
    LAST_SECOND,
    expiry_of,
    keyring_entry,
    read_auth_file,
    write_auth_file,
)
from coatcheck.testing.fake_clock import FakeClock

anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", "personal_access_token", "agent_identity"]
TOKEN_KEYS = ["id_token", "access_token", "refresh_token", "account_id", "oauth_provenance", "login_owner_id"]


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory) -> LoginEnvironment:
    """One environment for all examples: each writes a file and uses an account of its own."""
    return LoginEnvironment(tmp_path_factory.mktemp("logins"), clock=FakeClock())


def outcome(logins: LoginEnvironment, data: bytes) -> str:
    """Return what a new process reads from a file: "secret", or the one line of its error."""
    logins.shared.write_bytes(data)
    try:
        logins.secret(logins.login())
    except (errors.CredentialsError, errors.ConfigurationError) as error:
        return str(error) if error.remedy else "no remedy"
    except errors.TransportError as error:
        return str(error)
    return "secret"


@given(st.binary(max_size=60))
def test_any_bytes_are_one_clear_error(logins: LoginEnvironment, data: bytes) -> None:
    """Bytes that are no login raise a credentials error, in one line, and stay on the disk as they are."""
    said = outcome(logins, data)

    assert "\n" not in said
    assert said not in ("secret", "no remedy")
    assert data == logins.shared.read_bytes()


@given(data=st.data(), ends_in=st.sampled_from([-10, 10, 200, 4000]))
def test_any_login_is_credentials_or_one_clear_error(logins: LoginEnvironment, data: Any, ends_in: float) -> None:
    """Any key missing or of a wrong type: a secret, or one line; and what could not be read is never written."""
    document = json.loads(write_auth_file(None, logins.issue(ends_in=ends_in)))
    for keys, target in ((KEYS, document), (TOKEN_KEYS, document["tokens"])):
        for key in data.draw(st.lists(st.sampled_from(keys), max_size=2)):
            if data.draw(st.booleans()):
                target.pop(key, None)
            else:
                target[key] = data.draw(anything)
    before = json.dumps(document).encode()
    said = outcome(logins, before)

    assert "\n" not in said
    assert said == scrub(said) != "no remedy"
    if said != "secret":
        assert before == logins.shared.read_bytes()
    else:
        assert account_of(document) == account_of(json.loads(logins.shared.read_bytes()))


def account_of(document: dict[str, Any]) -> object:
    """Return the account that a file names."""
    return (document.get("tokens") or {}).get("account_id")


@given(
    top=st.dictionaries(st.text(max_size=8).filter(lambda key: key not in KEYS), anything, max_size=4),
    inner=st.dictionaries(st.text(max_size=8).filter(lambda key: key not in TOKEN_KEYS), anything, max_size=4),
    indent=st.sampled_from([None, 1, 4]),
)
def test_writing_changes_nothing_but_the_tokens(top: dict[str, Any], inner: dict[str, Any], indent: int | None) -> None:
    """Unknown keys keep their values and places; reading returns what was written."""
    old = Tokens(access_token="a", refresh_token="r", id_token="x.e30.x", account_id="acc", last_refresh=1.0)
    document = json.loads(write_auth_file(None, old))
    document = top | document | {"tokens": inner | document["tokens"]}
    fresh = msgspec.structs.replace(old, access_token="b", refresh_token="s", last_refresh=2.5)
    written = write_auth_file(json.dumps(document, indent=indent).encode(), fresh)
    after = json.loads(written)

    assert (list(document), list(document["tokens"])) == (list(after), list(after["tokens"]))
    assert fresh == read_auth_file(written, "the file")
    document["tokens"] |= {"access_token": "b", "refresh_token": "s"}
    assert document | {"last_refresh": after["last_refresh"]} == after


def test_a_refresh_token_is_never_blanked() -> None:
    """Tokens without one leave the one that is there (docs/reference/protocols/codex-wham.md, 6.6)."""
    old = Tokens(access_token="a", refresh_token="r", id_token="x.e30.x", account_id="acc")
    written = write_auth_file(write_auth_file(None, old), Tokens(access_token="b"))

    assert ("b", "r", "acc") == (
        (found := read_auth_file(written, "the file")).access_token,
        found.refresh_token,
        found.account_id,
    )


def test_a_new_file_is_as_the_official_client_writes_it() -> None:
    """The keys and their order, two spaces, no line end, RFC 3339 in UTC (6.1)."""
    tokens = Tokens(
        access_token="a",
        refresh_token="r",
        id_token="i",
        account_id="acc",
        last_refresh=1_790_000_000.25,
        issuer="https://auth.openai.com",
        client_id="app",
    )

    assert """\
{
  "auth_mode": "chatgpt",
  "OPENAI_API_KEY": null,
  "tokens": {
    "id_token": "i",
    "access_token": "a",
    "refresh_token": "r",
    "oauth_provenance": {
      "issuer": "https://auth.openai.com",
      "client_id": "app"
    },
    "account_id": "acc"
  },
  "last_refresh": "2026-09-21T14:13:20.250000Z"
}""" == write_auth_file(None, tokens).decode()


def test_a_time_to_the_nanosecond_is_read() -> None:
    """The official client writes nine digits."""
    tokens = Tokens(access_token="a", refresh_token="r", id_token="x.e30.x", last_refresh=1.0)
    written = write_auth_file(None, tokens).replace(b"01.000000Z", b"01.123456789Z")

    assert 1.123456 == read_auth_file(written, "the file").last_refresh


def jwt(payload: bytes) -> str:
    """Return a JWT whose claims are *payload*."""
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", payload, b"s"))


@pytest.mark.parametrize(
    ("exp", "expires_at"),
    [
        ("1790000000", 1_790_000_000.0),
        ("1790000000.5", 1_790_000_000.5),
        ("1.79e9", 1_790_000_000.0),
        ('"1790000000"', 1_790_000_000.0),
        ('"2026-09-21T14:13:20Z"', 1_790_000_000.0),
        ("1790000000000", 1_790_000_000.0),
        ("99999999999", 99_999_999_999.0),
        ("999999999999", LAST_SECOND),
        ("9999999999999999", LAST_SECOND),
        ("1e300", LAST_SECOND),
        ("1" + "0" * 400, LAST_SECOND),
        ("-1" + "0" * 400, 0.0),
        ("-5", 0.0),
        ("-1e300", 0.0),
        ("0", 0.0),
        ("null", None),
        ("true", None),
        ("[1]", None),
        ('"soon"', None),
        ('"NaN"', None),
        ('"Infinity"', None),
        ("NaN", None),
        ("1e999", None),
    ],
)
def test_any_expiry_is_read_as_a_time_of_the_calendar_or_as_none(exp: str, expires_at: float | None) -> None:
    """Seconds (RFC 7519 section 2) and what services send instead are read as a date, or as no expiry."""
    found = expiry_of(jwt(b'{"exp": ' + exp.encode() + b"}"))

    assert expires_at == found
    assert moment(found)


@pytest.mark.parametrize("last_refresh", [1e300, 10**400, -1e300, [], "0001-01-01T00:00:00+14:00", True])
def test_any_time_of_the_last_refresh_can_be_read_and_shown(logins: LoginEnvironment, last_refresh: object) -> None:
    """A working login has a status for any value of `last_refresh`."""
    logins.put(logins.issue())
    document = json.loads(logins.shared.read_bytes()) | {"last_refresh": last_refresh}
    logins.shared.write_text(json.dumps(document))

    assert logins.do(status_of(logins.login())).is_logged_in


def test_a_byte_order_mark_and_half_a_surrogate_are_read(logins: LoginEnvironment) -> None:
    """RFC 8259 sections 8.1 and 8.2: the login is used and refreshed, and written without them."""
    held = logins.put(logins.issue(ends_in=-10), note="HALF")
    data = logins.shared.read_bytes().replace(b"HALF", rb"a \ud83d \ud83d\ude00 \\ud83d b")
    logins.shared.write_bytes(b"\xef\xbb\xbf" + data)
    secret = logins.secret(logins.login())
    after = json.loads(logins.shared.read_bytes())

    assert held.access_token != secret.token == after["tokens"]["access_token"]
    assert "a \ufffd \U0001f600 \\ud83d b" == after["note"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_one_clear_error(logins: LoginEnvironment, encoding: str) -> None:
    """A file that an editor saved in UTF-16 is named as that, and stays as it is."""
    logins.put(logins.issue())
    data = logins.shared.read_text().encode(encoding)

    assert ("UTF-16" in outcome(logins, data), data) == (encoding != "utf-16-le", logins.shared.read_bytes())


@pytest.mark.parametrize("key", ["access_token", "refresh_token", "id_token", "account_id"])
def test_half_a_surrogate_in_a_login_is_never_sent(logins: LoginEnvironment, key: str) -> None:
    """It is refused in one line, or the login is used without being refreshed."""
    logins.put(logins.issue(ends_in=-10))
    document = json.loads(logins.shared.read_bytes())
    document["tokens"][key] = "a\ud83db"
    before = logins.refreshes

    assert "secret" != outcome(logins, json.dumps(document).encode())
    assert before == logins.refreshes


def test_the_keyring_entry_is_named_after_the_folder() -> None:
    """`cli|` and the first 16 hex of the SHA-256 of its canonical path (6.7)."""
    assert "cli|7616cc814b62d7d6" == keyring_entry("/home/me/.codex")
