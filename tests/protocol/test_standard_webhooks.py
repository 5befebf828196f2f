"""Standard Webhooks: the vectors that official libraries accept, and messages that they read differently.

The vectors were made with the reference libraries (docs/reference/protocols/webhooks.md, 3).
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol import standard_webhooks as standard

ID, TIMESTAMP, NOW = "msg_coatcheck_0001", "1764295200", 1764295210.0
BODY = b'{"type":"task.succeeded","timestamp":"2025-11-28T02:00:00Z","data":{"ref":"local:task_e_1"}}'
SECRET = "whsec_Y29hdGNoZWNrLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXM="
FORMER = "whsec_" + base64.b64encode(b"coatcheck-former-secret-32-bytes").decode()
SIGNATURE = "v1,0TUg+y0eOFu1sRdjOLmXgK7iqbBn+/iyrkPQtHf0Szo="
FORMER_SIGNATURE = "v1,3gQ4+JtwjGH+rNUmAVJASPH4xaDr27cE2kTr9p2SP4g="


def headers(signature: str = SIGNATURE, **changed: str) -> dict[str, str]:
    """Return the headers of the message of the vectors."""
    return {"webhook-id": ID, "webhook-timestamp": TIMESTAMP, "webhook-signature": signature} | {
        f"webhook-{name}": value for name, value in changed.items()
    }


def rejection(sent: dict[str, str], body: bytes = BODY, *, now: float = NOW, secret: str = SECRET) -> int:
    """Return the status with which a message is rejected."""
    with pytest.raises(errors.WebhookRejectedError) as raised:
        standard.verify(sent, body, [standard.read_secret(secret)], now=now)
    return raised.value.status


@pytest.mark.parametrize(("secret", "signature"), [(SECRET, SIGNATURE), (FORMER, FORMER_SIGNATURE)])
def test_the_signature_of_the_vectors(secret: str, signature: str) -> None:
    """A message is signed as the reference libraries sign it."""
    key = standard.read_secret(secret)

    assert signature == standard.sign(key, id=ID, timestamp=TIMESTAMP, body=BODY)


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE,
        f"{FORMER_SIGNATURE} {SIGNATURE}",
        f"v1a,unknown== {SIGNATURE}",
        f"garbage {SIGNATURE}",
        f"v1,not-base64! {SIGNATURE}",
        f"{FORMER_SIGNATURE}  {SIGNATURE}",
    ],
)
def test_a_genuine_message(signature: str) -> None:
    """One valid entry is enough; entries that cannot be read and other versions are skipped."""
    id = standard.verify(headers(signature), BODY, [standard.read_secret(SECRET)], now=NOW)

    assert ID == id


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (headers("garbage"), 401),
        (headers(SIGNATURE.removeprefix("v1,")), 401),
        (headers(SIGNATURE + ",more"), 401),
        (headers(FORMER_SIGNATURE), 401),
        (headers(""), 401),
        (headers(id="another"), 401),
        (headers(id="with.stop"), 400),
        (headers(id=""), 400),
        (headers(timestamp="1.7642952e9"), 400),
        (headers(timestamp=" 1764295200"), 400),
        (headers(timestamp="1764295200.0"), 400),
        (headers(timestamp="\uff11\uff17\uff16\uff14\uff12\uff19\uff15\uff12\uff10\uff10"), 400),
        (headers(timestamp="1764295201"), 401),
        ({}, 400),
    ],
)
def test_a_message_that_is_not_genuine(sent: dict[str, str], status: int) -> None:
    """A missing, malformed or different header is rejected, and with one exception."""
    assert status == rejection(sent)


@pytest.mark.parametrize(("seconds", "is_accepted"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_the_tolerance(seconds: int, is_accepted: bool) -> None:
    """A message may be 300 seconds old, or from a clock that is 300 seconds ahead."""
    now = float(TIMESTAMP) + seconds
    accepted = True
    try:
        standard.verify(headers(), BODY, [standard.read_secret(SECRET)], now=now)
    except errors.WebhookRejectedError:
        accepted = False

    assert is_accepted == accepted


def test_a_changed_body() -> None:
    """Any other body is rejected, also one that means the same."""
    assert 401 == rejection(headers(), BODY.replace(b":", b": "))


@given(st.binary(), st.binary(min_size=24, max_size=64), st.integers(0, 2**40))
def test_what_is_signed_is_accepted(body: bytes, key: bytes, seconds: int) -> None:
    """Any bytes can be signed and verified, UTF-8 or not."""
    sent = dict(standard.signed_headers([key, b"other key"], id="id", seconds=seconds, body=body))

    assert "id" == standard.verify(sent, body, [b"former", key], now=seconds)


@given(st.text(), st.text(), st.text())
def test_no_header_is_a_fault(id: str, timestamp: str, signature: str) -> None:
    """Any text in the headers is rejected with the one exception."""
    sent = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}

    assert rejection(sent) in (400, 401)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("whsec_MTIz", b"123"),
        ("whsec_MTI", b"12"),
        ("MTIz", b"123"),
        (SECRET, b"coatcheck-vector-secret-32-bytes"),
    ],
)
def test_the_forms_of_a_secret(text: str, key: bytes) -> None:
    """A secret is base64, with or without its prefix and its padding."""
    assert key == standard.read_secret(text)


def test_a_secret_of_openai_without_prefix_is_text() -> None:
    """The sender's library reads it as text."""
    assert b"MTIz" == standard.read_secret("MTIz", is_text=True)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_***", "not base64"])
def test_what_is_no_secret(text: str) -> None:
    """An empty secret, or one that is not base64, is an error that does not repeat it."""
    with pytest.raises(errors.ConfigurationError) as raised:
        standard.read_secret(text)

    assert not text or text not in str(raised.value)


def test_new_secrets_differ() -> None:
    """A new secret has 32 random bytes."""
    secrets = {standard.new_secret() for _ in range(10)}

    assert (10, {32}) == (len(secrets), {len(standard.read_secret(secret)) for secret in secrets})
