"""Sign and verify as Standard Webhooks 1.0.0 does, version ``v1`` (docs/reference/protocols/webhooks.md, 2). Pure.

Invariants:
- the body is signed and verified as the exact bytes of the message and is never decoded here;
- a signature is compared in constant time;
- a timestamp is ASCII digits and nothing else, at most `TOLERANCE` seconds from now in either direction;
- an entry of the signature header that cannot be read, or has another version, is skipped;
- every fault of a message is one `WebhookRejectedError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from ..errors import ConfigurationError, WebhookRejectedError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
# Seconds; all official libraries accept 300 and refuse 301 (docs/reference/protocols/webhooks.md, 2).
TOLERANCE = 300
PREFIX = "whsec_"
_KEY_BYTES = 32
# Keys have 24 to 64 bytes; official libraries accept any length but none.
_DIGITS = re.compile(r"[0-9]{1,15}")
# A full stop separates the parts of the signed text, so an id has none; other characters are those of a header.
_ID = re.compile(r"[!-\-/-~]{1,256}")


def new_secret() -> str:
    """Return a new random secret in its printed form, ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(os.urandom(_KEY_BYTES)).decode()


def read_secret(text: str, *, is_text: bool = False) -> bytes:
    """Return the key of a secret: base64 after ``whsec_``, with or without padding. Raises `ConfigurationError`.

    A secret without the prefix is base64 as well, or the key itself where *is_text* (OpenAI).
    """
    if is_text and not text.startswith(PREFIX):
        key = text.encode()
    else:
        encoded = text.removeprefix(PREFIX)
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if not key:
        raise ConfigurationError(
            "the secret of a webhook is not usable", remedy="give the secret as the sender shows it: whsec_ and base64"
        )
    return key


def sign(key: bytes, *, id: str, timestamp: str, body: bytes) -> str:
    """Return one entry of the signature header: ``v1,`` and the base64 of an HMAC-SHA256."""
    return f"v1,{base64.b64encode(_digest(key, id, timestamp, body)).decode()}"


def signed_headers(keys: Iterable[bytes], *, id: str, seconds: float, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers of a message that is sent at *seconds* since the epoch, signed with each of *keys*.

    While a secret is being replaced, a message is signed with the new and the former one.
    """
    timestamp = str(int(seconds))
    signatures = " ".join(sign(key, id=id, timestamp=timestamp, body=body) for key in keys)
    return (ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signatures)


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], *, now: float) -> str:
    """Return the id of a message, which is genuine; *now* is in seconds since the epoch.

    Header names are lower-case. Raises `WebhookRejectedError`.
    """
    id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(id) or not _DIGITS.fullmatch(timestamp):
        raise WebhookRejectedError(f"{ID} or {TIMESTAMP} is missing or malformed", status=400)
    if abs(int(timestamp) - now) > TOLERANCE:
        raise WebhookRejectedError(f"{TIMESTAMP} is more than {TOLERANCE} seconds from now", status=401)
    sent = tuple(_signatures(headers.get(SIGNATURE, "")))
    digests = [_digest(key, id, timestamp, body) for key in keys] if sent else []
    # no early end: the time does not show which signature is genuine
    if not sum(hmac.compare_digest(digest, each) for digest in digests for each in sent):
        raise WebhookRejectedError(f"no entry of {SIGNATURE} is a valid signature", status=401)
    return id


# A sender signs with two keys at most; the limit bounds the work for a hostile header.
_MAX_SIGNATURES = 16


def _signatures(header: str) -> Iterable[bytes]:
    """Yield the signatures of version 1 in a header, at most `_MAX_SIGNATURES`."""
    for entry in header.split(" ")[:_MAX_SIGNATURES]:
        version, _, encoded = entry.partition(",")
        if version != "v1":
            continue
        try:
            yield base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue


def _digest(key: bytes, id: str, timestamp: str, body: bytes) -> bytes:
    code = hmac.new(key, f"{id}.{timestamp}.".encode(), hashlib.sha256)
    code.update(body)
    return code.digest()
