"""The senders of webhooks: coatcheck itself, and those that providers declare.

Invariants:
- a body is verified, as the exact bytes that arrived, before it is parsed;
- a header that arrives twice is refused, because programs differ in which one they take;
- a plug-in replaces neither the signature of another provider's sender nor this program's own, and its errors are warnings;
- every fault of a delivery is one `WebhookRejectedError`, whose `status` is the HTTP status to answer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from .._protocol.lenient import fields, text
from .._protocol.webhooks import STANDARD_WEBHOOKS, Webhooks, WebhookSignature, WebhookSubject
from .._runtime.provider_lookup import webhooks_of_providers
from ..errors import ConfigurationError, WebhookRejectedError

_logger = logging.getLogger("coatcheck.webhooks")
# The sender of this program's own webhooks: a delivery names a ref, of any provider.
COATCHECK = "coatcheck"
# A name is a part of the address of the receiver.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine delivery: its id, the sender's word for the event, and the tasks that it names.

    `tasks` are pairs of a provider's name and a task's id; `repositories` are pairs of a provider's name and a
    repository (``owner/repo``), of whose tasks each may be concerned.
    """

    sender: str
    id: str
    type: str
    tasks: tuple[tuple[str, str], ...] = ()
    repositories: tuple[tuple[str, str], ...] = ()


class Sender:
    """A sender, with what each of its providers declares."""

    def __init__(self, name: str, declared: Mapping[str, Webhooks]) -> None:
        first = next(iter(declared.values()))
        self.name, self.title = name, first.title
        self.signature: WebhookSignature = first.signature
        self.max_bytes = max(webhooks.max_bytes for webhooks in declared.values())
        self.media_types = sorted({type for webhooks in declared.values() for type in webhooks.media_types})
        self._declared = declared
        self._decoder = decoder_of({path for webhooks in declared.values() for path in webhooks.fields})

    def read(self, id: str, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Return what a genuine body is about. Raises `WebhookRejectedError` where it is not JSON."""
        document = _parsed(self._decoder, body)
        subjects = {name: _subject(name, each, document, headers) for name, each in self._declared.items()}
        return Delivery(
            sender=self.name,
            id=id,
            type=next((subject.type for subject in subjects.values() if subject.type), ""),
            tasks=tuple(pair for provider, subject in subjects.items() for pair in _pairs(provider, subject.tasks)),
            repositories=tuple(
                (provider, subject.repository) for provider, subject in subjects.items() if subject.repository
            ),
        )


def _subject(
    provider: str, webhooks: Webhooks, document: Mapping[str, object], headers: Mapping[str, str]
) -> WebhookSubject:
    """Return what *provider* reads in a delivery; any error of a plug-in is a delivery about nothing, and a warning."""
    try:
        return webhooks.read(document, headers)
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way
        _logger.warning("%s cannot read a delivery of %s: %s", provider, webhooks.sender, type(error).__name__)
        return WebhookSubject()


def _pairs(provider: str, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of tasks; the sender `COATCHECK` gives refs in place of ids."""
    for id in ids:
        name, _, task = id.partition(":") if provider == COATCHECK else (provider, "", id)
        if name and task:
            yield name, task


def _read_own(document: Mapping[str, object], _headers: Mapping[str, str]) -> WebhookSubject:
    ref = text(fields(document.get("data")).get("ref"))
    return WebhookSubject(type=text(document.get("type")) or "", tasks=(ref,) if ref else ())


OWN = Webhooks(
    sender=COATCHECK,
    title="coatcheck, and any sender of Standard Webhooks whose data has a ref",
    about="the task of the ref",
    signature=STANDARD_WEBHOOKS,
    fields=("type", "data.ref"),
    read=_read_own,
)


def _warn(provider: str, reason: str) -> None:
    _logger.warning("the webhooks of %s are not received: %s", provider, reason)


@cache
def all_senders() -> Mapping[str, Sender]:
    """Return the senders by name: those of the installed providers, sorted, and this program's own."""
    declared: dict[str, dict[str, Webhooks]] = {COATCHECK: {COATCHECK: OWN}}
    for provider, webhooks in webhooks_of_providers():
        others = declared.get(webhooks.sender, {})
        if webhooks.sender == COATCHECK or any(other.signature != webhooks.signature for other in others.values()):
            _warn(provider, f"another provider declares the sender {webhooks.sender} with another signature")
        elif not _NAME.fullmatch(webhooks.sender):
            _warn(provider, f"{webhooks.sender!r} is no name of a sender: use small letters, digits, - and _")
        else:
            declared[webhooks.sender] = {**others, provider: webhooks}
    names = sorted(declared, key=lambda name: (name == COATCHECK, name))
    return {name: Sender(name, declared[name]) for name in names}


def sender_named(name: str) -> Sender:
    """Return the sender called *name*. Raises `ConfigurationError` that lists the known ones."""
    if (sender := all_senders().get(name)) is None:
        known = ", ".join(all_senders())
        raise ConfigurationError(f"there is no webhook sender {name!r}", remedy=f"known senders: {known}")
    return sender


def verify_delivery(
    sender: Sender, headers: Iterable[tuple[str, str]], body: bytes, secrets: Sequence[str], *, now: float
) -> Delivery:
    """Return the delivery in a message, which is genuine. *now* is in seconds since the epoch.

    Raises `WebhookRejectedError` with the status to answer (400, 401, 413, 415), `ConfigurationError` for a secret that
    is not one.
    """
    known = unique_headers(headers)
    check_body(sender, known, len(body))
    signature = sender.signature
    id = signature.verify(known, body, [signature.read_secret(secret) for secret in secrets], now)
    return sender.read(id, body, known)


# Headers, beside those of senders, that are read here.
_SINGLE = frozenset({"content-type", "content-encoding", "authorization"})


def unique_headers(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return *headers* by lower-case name. Raises `WebhookRejectedError` for one that is read here and was sent twice."""
    known: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()  # noqa: PLW2901 - the same header
        if name in known and (name.startswith(("webhook-", "x-", "a2a-")) or name in _SINGLE):
            raise WebhookRejectedError(f"the header {name} was sent twice", status=400)
        known[name] = value
    return known


def check_body(sender: Sender, headers: Mapping[str, str], size: int) -> None:
    """Raise `WebhookRejectedError` for a body that is too large, compressed or not JSON."""
    if size > sender.max_bytes:
        raise WebhookRejectedError(f"the body has more than {sender.max_bytes} bytes", status=413)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise WebhookRejectedError("a compressed body is not supported", status=415)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in sender.media_types:
        raise WebhookRejectedError(f"the body must be {' or '.join(sender.media_types)}", status=415)


# --- bodies -----------------------------------------------------------------------------------------------------------


def decoder_of(paths: Iterable[str]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of the fields at *paths*; the others, most of a large body, are not made into objects."""
    return msgspec.json.Decoder(_struct("Body", sorted(path.split(".") for path in paths)))


def _struct(name: str, paths: Sequence[Sequence[str]]) -> type[msgspec.Struct]:
    """Return a type with a field for each first part of *paths*, whose type has the further parts."""
    inner: dict[str, list[Sequence[str]]] = {}
    for first, *rest in paths:
        inner.setdefault(first, []).extend([rest] if rest else [])
    return msgspec.defstruct(
        name, [(first, _struct(first, rest) | None if rest else Any, None) for first, rest in inner.items()]
    )


def _parsed(decoder: msgspec.json.Decoder[Any], body: bytes) -> Mapping[str, object]:
    """Return the fields of a body that are read, of any types. Raises `WebhookRejectedError` for no JSON."""
    try:
        try:
            return fields(msgspec.to_builtins(decoder.decode(body)))
        except msgspec.ValidationError:  # JSON so far, with other types
            return fields(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise WebhookRejectedError("the body is not JSON", status=400) from None
