"""The senders of webhooks, as a table: how each signs, and how it names a task.

A delivery only causes a poll: a state in it is not used
(docs/reference/protocols/webhooks.md, 6).

Invariants:
- a body is verified, as the exact bytes that arrived, before it is parsed;
- signatures and tokens are compared in constant time;
- a header that arrives twice is refused, because programs differ in which one they take;
- every fault of a delivery is one `WebhookRejectedError`, whose `status` is the HTTP status to answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from .._protocol.lenient import fields, text, whole
from .._protocol.urls import encoded
from ..errors import ConfigurationError, WebhookRejectedError
from . import standard

_MIB = 1024 * 1024
# "sha256=" and the digest in lower-case hexadecimal digits; octokit refuses upper case.
_HEX = re.compile(r"sha256=([0-9a-f]{64})")
# Headers, beside those of senders, that are read here.
_SINGLE = frozenset({"content-type", "content-encoding", "authorization"})
_DELIVERY_ID = re.compile(r"[!-~]{1,256}")
Document = Mapping[str, object]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine delivery: its id, the sender's word for the event, and the tasks that it names.

    `tasks` are pairs of a provider's name and a task's id. `repository` (``owner/repo``) is given where the event may
    concern tasks of a repository that it does not name.
    """

    sender: str
    id: str
    type: str
    tasks: tuple[tuple[str, str], ...] = ()
    repository: str | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a body concerns: tasks, or a repository."""

    type: str = ""
    tasks: tuple[tuple[str, str], ...] = ()
    repository: str | None = None


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """How one sender's deliveries are verified and read.

    `verify` returns the delivery's id or raises `WebhookRejectedError`; `read_secret` returns the key of a printed
    secret; `read_subject` is given the parsed body and the headers. `max_bytes` limits the body, whose type is one of
    `media_types`. Where an event names a repository only, it concerns the repository's tasks at `repository_provider`.
    """

    name: str
    title: str
    verify: Callable[[Mapping[str, str], bytes, Sequence[bytes], float], str]
    read_secret: Callable[[str], bytes]
    read_subject: Callable[[Document, Mapping[str, str]], Subject]
    max_bytes: int = _MIB
    media_types: tuple[str, ...] = ("application/json",)
    repository_provider: str | None = None


def verify_delivery(
    sender: Sender, headers: Iterable[tuple[str, str]], body: bytes, secrets: Sequence[str], *, now: float
) -> Delivery:
    """Return the delivery in a message, which is genuine. *now* is in seconds since the epoch.

    Raises `WebhookRejectedError` with the status to answer (400, 401, 413, 415), `ConfigurationError` for a secret that
    is not one.
    """
    known = unique_headers(headers)
    check_body(sender, known, len(body))
    id = sender.verify(known, body, [sender.read_secret(secret) for secret in secrets], now)
    subject = sender.read_subject(_parsed(body), known)
    return Delivery(sender=sender.name, id=id, type=subject.type, tasks=subject.tasks, repository=subject.repository)


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


class _Data(msgspec.Struct):
    id: Any = None
    type: Any = None
    ref: Any = None


class _Repository(msgspec.Struct):
    full_name: Any = None


class _WorkflowRun(msgspec.Struct):
    id: Any = None


class _WorkflowJob(msgspec.Struct):
    run_id: Any = None


class _A2AEvent(msgspec.Struct):
    id: Any = None
    taskId: Any = None  # noqa: N815 - as it is sent


class _Body(msgspec.Struct):
    """The fields that senders' bodies are read for; the others, most of a large body, are not made into objects."""

    type: Any = None
    action: Any = None
    id: Any = None
    data: _Data | None = None
    repository: _Repository | None = None
    workflow_run: _WorkflowRun | None = None
    workflow_job: _WorkflowJob | None = None
    task: _A2AEvent | None = None
    message: _A2AEvent | None = None
    statusUpdate: _A2AEvent | None = None  # noqa: N815 - as it is sent
    artifactUpdate: _A2AEvent | None = None  # noqa: N815 - as it is sent


_BODY = msgspec.json.Decoder(_Body)


def _parsed(body: bytes) -> Document:
    """Return the fields of a body that are read, of any types. Raises `WebhookRejectedError` for no JSON."""
    try:
        try:
            return fields(msgspec.to_builtins(_BODY.decode(body)))
        except msgspec.ValidationError:  # JSON so far, with other types
            return fields(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise WebhookRejectedError("the body is not JSON", status=400) from None


# --- how senders sign -------------------------------------------------------------------------------------------------


def _verify_standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> str:
    return standard.verify(headers, body, keys, now=now)


def _verify_hex(
    headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float, *, signature: str, id: str
) -> str:
    """Verify ``sha256=`` and hexadecimal digits of an HMAC over the body (GitHub, Cursor); there is no timestamp."""
    del now
    delivery, sent = headers.get(id, ""), _HEX.fullmatch(headers.get(signature, ""))
    if not _DELIVERY_ID.fullmatch(delivery) or sent is None or not body:
        raise WebhookRejectedError(f"{id}, {signature} or the body is missing or malformed", status=400)
    digests = [hmac.digest(key, body, hashlib.sha256).hex() for key in keys]
    if not sum(hmac.compare_digest(digest, sent[1]) for digest in digests):
        raise WebhookRejectedError(f"{signature} is not a valid signature", status=401)
    return delivery


def _verify_token(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> str:
    """Verify the secret of an A2A agent; the body is not signed, and there is no id but its digest.

    The specification names the header Authorization (A2A 1.0, section 4.3.3); the SDKs for Python and Go send the token
    in a header of their own.
    """
    del now
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    sent = [credentials.strip()] if scheme.lower() == "bearer" else []
    sent += [value for name in _A2A_TOKENS if (value := headers.get(name))]
    if not sent or not body:
        raise WebhookRejectedError("the token of the notification, or its body, is missing", status=400)
    if not sum(hmac.compare_digest(key, value.encode("latin-1", "replace")) for key in keys for value in sent):
        raise WebhookRejectedError("the token of the notification is not valid", status=401)
    return hashlib.sha256(body).hexdigest()


# The headers of the token: of the SDK for Python (a2a-sdk 1.3), and of the one for Go (a2a-go 2.5).
_A2A_TOKENS = ("x-a2a-notification-token", "a2a-notification-token")


def _read_text_secret(secret: str) -> bytes:
    if not secret:
        raise ConfigurationError("the secret of a webhook is empty", remedy="give the secret that the sender has")
    return secret.encode()


# --- how senders name tasks -------------------------------------------------------------------------------------------


def _standard_subject(document: Document, _headers: Mapping[str, str], *, provider: str, field: str = "id") -> Subject:
    id = text(fields(document.get("data")).get(field))
    return Subject(type=text(document.get("type")) or "", tasks=((provider, id),) if id else ())


def _openai_subject(document: Document, headers: Mapping[str, str]) -> Subject:
    """Read an event of OpenAI: of a session of an agent, or of a batch; others concern no task."""
    kind = text(document.get("type")) or ""
    provider = next((name for prefix, name in _OPENAI_PROVIDERS.items() if kind.startswith(prefix)), None)
    if provider is None:
        return Subject(type=kind)
    return _standard_subject(document, headers, provider=provider)


# Whose tasks the events of OpenAI are about, by the beginning of their type (OpenAI's SDK 3.52, ``types/webhooks``).
_OPENAI_PROVIDERS = {"agent.session.": "openai_agents", "batch.": "openai_batch"}


def _anthropic_subject(document: Document, _headers: Mapping[str, str]) -> Subject:
    """Read an event of Anthropic: its type is in its data, whose id is the session in every event about one.

    See Anthropic's SDK 2.11, ``types/beta/beta_webhook_session_status_idled_event_data.py``.
    """
    data = fields(document.get("data"))
    kind, id = text(data.get("type")) or text(document.get("type")) or "", text(data.get("id"))
    is_session = kind.startswith("session.") and kind != "session.deleted"
    return Subject(type=kind, tasks=(("claude_agents", id),) if is_session and id else ())


def _coatcheck_subject(document: Document, _headers: Mapping[str, str]) -> Subject:
    """Read a delivery of coatcheck itself: its data has a ref."""
    provider, _, id = (text(fields(document.get("data")).get("ref")) or "").partition(":")
    return Subject(type=text(document.get("type")) or "", tasks=((provider, id),) if provider and id else ())


def _github_subject(document: Document, headers: Mapping[str, str]) -> Subject:
    """Read an event of GitHub: a workflow run is a task, and every event may concern the repository's Copilot tasks.

    Those have no event, but work in a workflow run and a pull request (docs/reference/protocols/webhooks.md, 5).
    """
    kind, action = headers.get("x-github-event", ""), text(document.get("action"))
    repository = text(fields(document.get("repository")).get("full_name"))
    run = whole(fields(document.get("workflow_run")).get("id"))
    run = whole(fields(document.get("workflow_job")).get("run_id")) if run is None else run
    task = f"{repository.replace('/', '~')}~{run}" if repository and run is not None else None
    return Subject(
        type=f"{kind}.{action}" if action else kind,
        tasks=(("github_actions", task),) if task else (),
        repository=repository,
    )


def _cursor_subject(document: Document, headers: Mapping[str, str]) -> Subject:
    id = text(document.get("id"))
    return Subject(type=headers.get("x-webhook-event", ""), tasks=(("cursor", id),) if id else ())


def _a2a_subject(document: Document, _headers: Mapping[str, str]) -> Subject:
    """Read an event of an A2A agent: one of the members of a StreamResponse (A2A 1.0, section 3.2.3)."""
    for kind in ("statusUpdate", "artifactUpdate", "task", "message"):
        event = fields(document.get(kind))
        if id := text(event.get("id" if kind == "task" else "taskId")):
            return Subject(type=kind, tasks=(("a2a", encoded(id)),))
    return Subject()


_TEXT_OR_BASE64 = partial(standard.read_secret, is_text=True)

SENDERS: Mapping[str, Sender] = {
    sender.name: sender
    for sender in (
        Sender(
            name="openai",
            title="OpenAI",
            verify=_verify_standard,
            read_secret=_TEXT_OR_BASE64,
            read_subject=_openai_subject,
        ),
        Sender(
            name="anthropic",
            title="Anthropic",
            verify=_verify_standard,
            read_secret=standard.read_secret,
            read_subject=_anthropic_subject,
        ),
        Sender(
            name="github",
            title="GitHub",
            verify=partial(_verify_hex, signature="x-hub-signature-256", id="x-github-delivery"),
            read_secret=_read_text_secret,
            read_subject=_github_subject,
            max_bytes=25 * _MIB,
            repository_provider="copilot",  # its tasks have no event (docs/reference/protocols/webhooks.md, 5)
        ),
        Sender(
            name="cursor",
            title="Cursor",
            verify=partial(_verify_hex, signature="x-webhook-signature", id="x-webhook-id"),
            read_secret=_read_text_secret,
            read_subject=_cursor_subject,
        ),
        Sender(
            name="a2a",
            title="the A2A agent of the setting a2a.base_url",
            verify=_verify_token,
            read_secret=_read_text_secret,
            read_subject=_a2a_subject,
            max_bytes=25 * _MIB,  # a task comes with its artifacts
            media_types=("application/json", "application/a2a+json"),
        ),
        Sender(
            name="coatcheck",
            title="coatcheck, and any sender of Standard Webhooks whose data has a ref",
            verify=_verify_standard,
            read_secret=standard.read_secret,
            read_subject=_coatcheck_subject,
        ),
    )
}


def sender_named(name: str) -> Sender:
    """Return the sender called *name*. Raises `ConfigurationError` that lists the known ones."""
    if (sender := SENDERS.get(name)) is None:
        raise ConfigurationError(f"there is no webhook sender {name!r}", remedy=f"known senders: {', '.join(SENDERS)}")
    return sender
