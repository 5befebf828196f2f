"""The webhooks of a service, as its provider declares them: how they are signed, and which tasks they are about.

A delivery only causes a poll: a state in it is not used (docs/reference/protocols/webhooks.md, 6).

Invariants:
- signatures and tokens are compared in constant time;
- every fault of a delivery is one `WebhookRejectedError`, whose `status` is the HTTP status to answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TypeAlias

import msgspec

from ..errors import ConfigurationError, WebhookRejectedError
from . import standard_webhooks
from .lenient import fields, text

# "sha256=" and the digest in lower-case hexadecimal digits; octokit refuses upper case.
_HEX = re.compile(r"sha256=([0-9a-f]{64})")
_DELIVERY_ID = re.compile(r"[!-~]{1,256}")


class WebhookSignature(msgspec.Struct, frozen=True, kw_only=True):
    """How the deliveries of a sender are signed.

    `verify(headers, body, keys, now)` returns the id of a genuine delivery or raises `WebhookRejectedError`; names of
    headers are in lower case, *now* is in seconds since the epoch. `read_secret` returns the key of a printed secret;
    `secret` describes that secret in the documentation.
    """

    verify: Callable[[Mapping[str, str], bytes, Sequence[bytes], float], str]
    read_secret: Callable[[str], bytes]
    secret: str = "`whsec_…`"  # noqa: S105 - a description


class WebhookSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery is about: the event as the sender names it, and the ids of tasks of the provider.

    `repository` (``owner/repo``) is given where a delivery may concern tasks of a repository that it does not name.
    """

    type: str = ""
    tasks: tuple[str, ...] = ()
    repository: str | None = None


# Reads the body and the headers of a delivery.
Reader: TypeAlias = Callable[[Mapping[str, object], Mapping[str, str]], WebhookSubject]


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """The webhooks of a service, which `coatcheck hooks serve` receives at ``/SENDER``.

    Providers of one company declare the same `sender`. `about` are the tasks of the provider that deliveries concern, in
    the plural. `read(body, headers)` returns what a delivery is about; it gets the `fields` of the body, paths like
    "data.id", with values of any types. `max_bytes` limits the body, whose type is one of `media_types`.
    """

    sender: str
    title: str
    about: str
    signature: WebhookSignature
    fields: tuple[str, ...]
    read: Reader
    max_bytes: int = 1024 * 1024
    media_types: tuple[str, ...] = ("application/json",)


def data_id(prefix: str) -> Reader:
    """Return a `Webhooks.read` for bodies with a ``type`` and the id of a task at ``data.id``.

    An event whose type does not begin with *prefix* is about no task.
    """

    def read(body: Mapping[str, object], _headers: Mapping[str, str]) -> WebhookSubject:
        kind, id = text(body.get("type")) or "", text(fields(body.get("data")).get("id"))
        return WebhookSubject(type=kind, tasks=(id,) if id and kind.startswith(prefix) else ())

    return read


def _verify_standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> str:
    return standard_webhooks.verify(headers, body, keys, now=now)


def _verify_hex(
    headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float, *, signature: str, id: str
) -> str:
    del now  # there is no timestamp
    delivery, sent = headers.get(id, ""), _HEX.fullmatch(headers.get(signature, ""))
    if not _DELIVERY_ID.fullmatch(delivery) or sent is None or not body:
        raise WebhookRejectedError(f"{id}, {signature} or the body is missing or malformed", status=400)
    digests = [hmac.digest(key, body, hashlib.sha256).hex() for key in keys]
    if not sum(hmac.compare_digest(digest, sent[1]) for digest in digests):
        raise WebhookRejectedError(f"{signature} is not a valid signature", status=401)
    return delivery


def _verify_token(
    headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float, *, further: tuple[str, ...]
) -> str:
    del now  # neither the body nor the time is signed
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    sent = [credentials.strip()] if scheme.lower() == "bearer" else []
    sent += [value for name in further if (value := headers.get(name))]
    if not sent or not body:
        raise WebhookRejectedError("the token of the delivery, or its body, is missing", status=400)
    if not sum(hmac.compare_digest(key, value.encode("latin-1", "replace")) for key in keys for value in sent):
        raise WebhookRejectedError("the token of the delivery is not valid", status=401)
    return hashlib.sha256(body).hexdigest()


def _read_text_secret(secret: str) -> bytes:
    if not secret:
        raise ConfigurationError("the secret of a webhook is empty", remedy="give the secret that the sender has")
    return secret.encode()


# Standard Webhooks 1.0.0, with secrets of base64; and with secrets that are the key itself unless they begin with whsec_.
STANDARD_WEBHOOKS = WebhookSignature(verify=_verify_standard, read_secret=standard_webhooks.read_secret)
STANDARD_WEBHOOKS_OR_TEXT = WebhookSignature(
    verify=_verify_standard, read_secret=partial(standard_webhooks.read_secret, is_text=True)
)


@cache  # signatures of the same headers are equal
def sha256_signature(header: str, *, id: str) -> WebhookSignature:
    """Return the signature of a *header* ``sha256=`` with the digits of an HMAC over the body (GitHub, Cursor).

    *id* is the header with the id of the delivery. Names are in lower case.
    """
    return WebhookSignature(
        verify=partial(_verify_hex, signature=header, id=id),
        read_secret=_read_text_secret,
        secret="the secret of the webhook",  # noqa: S106 - a description
    )


@cache
def bearer_token(*further: str, secret: str) -> WebhookSignature:
    """Return the check of a secret that is sent as a bearer token, or in one of the *further* headers (A2A).

    The body is not signed, so the id of a delivery is the digest of its body. *secret* describes the secret in the
    documentation.
    """
    return WebhookSignature(
        verify=partial(_verify_token, further=further), read_secret=_read_text_secret, secret=secret
    )
