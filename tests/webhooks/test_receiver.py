"""The receiver of deliveries: statuses, what is kept, and its limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from coatcheck import errors
from coatcheck._protocol import standard_webhooks as standard
from coatcheck._webhooks.receiver import Receiver
from coatcheck._webhooks.senders import Delivery

NOW = 1764295210.0
SECRET = "whsec_Y29hdGNoZWNrLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXM="
BODY = b'{"type":"batch.completed","data":{"id":"batch_1"}}'
MIB = 1024 * 1024
Header = tuple[bytes, bytes]


class MemoryInbox:
    """An inbox in memory, with a secret for OpenAI."""

    def __init__(self) -> None:
        self.accepted: list[Delivery] = []

    def secrets(self, sender: str) -> Sequence[str]:
        """Return the secret."""
        return (SECRET,) if sender == "openai" else ()

    def accept(self, delivery: Delivery) -> None:
        """Keep the delivery."""
        self.accepted.append(delivery)


def headers(body: bytes, **changed: str | None) -> list[Header]:
    """Return the headers of a genuine delivery; None removes one."""
    key = standard.read_secret(SECRET)
    known: dict[str, str | None] = dict(standard.signed_headers([key], id="d1", seconds=NOW, body=body))
    known |= {"content-type": "application/json", "content-length": str(len(body))}
    known |= {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name.encode(), value.encode()) for name, value in known.items() if value is not None]


async def send(
    receiver: Receiver, path: str, sent: list[Header], chunks: Sequence[bytes], *, method: str = "POST"
) -> list[dict[str, Any]]:
    """Return the messages with which the application answers a request."""
    scope = {"type": "http", "method": method, "path": path, "headers": sent, "extensions": {}}
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages = [*messages, {"type": "http.request", "body": b"", "more_body": False}]
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def collect(message: dict[str, Any]) -> None:
        answered.append(message)

    await receiver(scope, receive, collect)
    return answered


def answer(path: str, sent: list[Header], *chunks: bytes, method: str = "POST") -> tuple[int, list[Delivery], bytes]:
    """Return the status, the deliveries that were kept, and the body of the response."""
    inbox = MemoryInbox()
    messages = asyncio.run(send(Receiver(inbox, now=lambda: NOW), path, sent, chunks, method=method))
    return messages[0]["status"], inbox.accepted, messages[-1]["body"]


def test_a_genuine_delivery_is_kept() -> None:
    """A delivery that arrives in pieces is answered 204 without a body once it was kept."""
    kept = Delivery(sender="openai", id="d1", type="batch.completed", tasks=(("openai_batch", "batch_1"),))

    assert (204, [kept], b"") == answer("/openai", headers(BODY), BODY[:10], b"", BODY[10:])


@pytest.mark.parametrize(
    ("path", "sent", "method", "status"),
    [
        ("/openai", headers(BODY, webhook_signature="v1,AAAA"), "POST", 401),
        ("/openai", headers(BODY, webhook_timestamp="1764290000"), "POST", 401),
        ("/openai", headers(BODY, webhook_id=None), "POST", 400),
        ("/openai", headers(BODY, content_type="text/plain"), "POST", 415),
        ("/openai", headers(BODY, content_encoding="gzip"), "POST", 415),
        ("/openai", headers(BODY, content_length=str(2 * MIB)), "POST", 413),
        ("/openai", [*headers(BODY), (b"webhook-id", b"d2")], "POST", 400),
        ("/openai", headers(BODY), "GET", 405),
        ("/github", headers(BODY), "POST", 410),
        ("/", headers(BODY), "POST", 404),
        ("/gitlab", headers(BODY), "POST", 404),
        ("/openai/x", headers(BODY), "POST", 404),
    ],
)
def test_what_is_refused(path: str, sent: list[Header], method: str, status: int) -> None:
    """Nothing else is kept, and the response is a problem document with the status."""
    answered, kept, body = answer(path, sent, BODY, method=method)

    assert (status, [], status) == (answered, kept, json.loads(body)["status"])


class FullInbox(MemoryInbox):
    """An inbox that cannot keep anything."""

    def accept(self, delivery: Delivery) -> None:
        """Raise the error of a full disk."""
        raise errors.StoreError("database or disk is full")


def test_a_delivery_that_cannot_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    """It is answered 503 without details, so that the sender repeats it, and the reason is logged."""
    messages = asyncio.run(send(Receiver(FullInbox(), now=lambda: NOW), "/openai", headers(BODY), [BODY]))

    assert (503, False) == (messages[0]["status"], b"disk" in messages[-1]["body"])
    assert ["a delivery of openai was not kept: database or disk is full"] == caplog.messages


def test_a_body_without_a_length_is_limited() -> None:
    """A chunked body is read up to the limit and no further."""
    chunk = bytes(MIB // 2 + 1)

    assert 413 == answer("/openai", headers(BODY, content_length=None), chunk, chunk, chunk)[0]


def test_many_large_deliveries_at_once() -> None:
    """Deliveries that share the memory are all verified."""

    async def run() -> tuple[set[int], int]:
        inbox = MemoryInbox()
        receiver = Receiver(inbox, now=lambda: NOW)
        body = b'"' + b"x" * (MIB - 2) + b'"'
        answers = await asyncio.gather(*(send(receiver, "/openai", headers(body), [body]) for _ in range(20)))
        return {messages[0]["status"] for messages in answers}, len(inbox.accepted)

    assert ({204}, 20) == asyncio.run(run())
