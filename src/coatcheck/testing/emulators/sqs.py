"""An emulator of a standard SQS queue: at-least-once delivery, no order, a visibility timeout.

Invariant: a message is delivered again after its visibility timeout, until it is deleted by its receipt handle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..._protocol.effects import Request, Response

HEADERS = {"content-type": "application/x-amz-json-1.0"}


class Message(msgspec.Struct):
    """A message; `shown_from` is when it becomes visible, in seconds since the epoch."""

    id: str
    body: str
    shown_from: float = 0.0
    receipt: str = ""
    receives: int = 0


class Queue:
    """The queue at *url*."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.messages: list[Message] = []
        self._made = 0
        self._actions: Mapping[str, Callable[[dict[str, Any], float], object]] = {
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "SendMessage": self._send,
        }

    def put(self, body: str) -> str:
        """Add a message and return its id."""
        self._made += 1
        id = f"00000000-0000-4000-8000-{self._made:012d}"
        self.messages.append(Message(id=id, body=body))
        return id

    def answer(self, request: Request, *, now: float) -> Response:
        """Return the response to a request of SQS's JSON protocol."""
        action = dict(request.headers).get("x-amz-target", "").rpartition(".")[2]
        arguments = msgspec.json.decode(request.body, type=dict[str, Any])
        if arguments.get("QueueUrl") != self.url:
            return refused("QueueDoesNotExist", "The specified queue does not exist.")
        if action not in self._actions:
            return refused("InvalidAction", f"The action {action} is not valid.")
        return Response(200, HEADERS, msgspec.json.encode(self._actions[action](arguments, now)))

    def _receive(self, arguments: dict[str, Any], now: float) -> object:
        shown = [message for message in self.messages if message.shown_from <= now]
        received = shown[: arguments.get("MaxNumberOfMessages", 1)]
        for message in received:
            message.receives += 1
            message.receipt = f"{message.id}#{message.receives}"
            message.shown_from = now + arguments.get("VisibilityTimeout", 30)
        return {"Messages": [_document(message) for message in received]} if received else {}

    def _delete(self, arguments: dict[str, Any], now: float) -> object:  # noqa: ARG002 - every action is given the time
        receipts = {entry["ReceiptHandle"]: entry["Id"] for entry in arguments["Entries"]}
        self.messages = [message for message in self.messages if message.receipt not in receipts]
        return {"Successful": [{"Id": id} for id in receipts.values()], "Failed": []}

    def _send(self, arguments: dict[str, Any], now: float) -> object:  # noqa: ARG002 - as above
        body = arguments["MessageBody"]
        return {"MessageId": self.put(body), "MD5OfMessageBody": _md5(body)}


def refused(word: str, text: str) -> Response:
    """Return a 400 response of SQS."""
    body = {"__type": f"com.amazonaws.sqs#{word}", "message": text}
    return Response(400, HEADERS, msgspec.json.encode(body))


def _document(message: Message) -> dict[str, str]:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": _md5(message.body),
        "Body": message.body,
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
