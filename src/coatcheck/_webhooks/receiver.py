"""An ASGI application that takes deliveries at ``POST /{sender}``.

Invariants:
- the body is read within the sender's limit of size, within a time, and within memory that all requests share;
- a body is verified in a thread, at most `VERIFYING` at once, because GitHub sends up to 25 MB;
- 204 is sent after the delivery was kept (`Inbox.accept` has returned), and for one that was kept before;
- refusals are problem documents (RFC 9457): 400, 401, 404, 405, 408, 410, 413 and 415;
- a delivery that cannot be kept (a full disk) is answered 503, so that its sender repeats it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from .. import errors
from .._protocol.effects import Response
from .._server.asgi_requests import body_size, reset_connection
from .._server.asgi_types import Receive, Scope, Send
from .._server.middleware import BODY_TOO_LARGE, BODY_TOO_SLOW, send_response
from .._server.problems import closing, problem
from .._server.request_bodies import BodyBudget
from .senders import Delivery, Sender, all_senders, check_body, unique_headers, verify_delivery

# Seconds in which a body has to arrive; senders wait 10 to 30 seconds for the whole answer.
BODY_SECONDS = 10.0
# Bytes of all bodies that are being read or verified.
BODY_MEMORY = 64 * 1024 * 1024
# Deliveries that are verified at the same time.
VERIFYING = 2

NO_CONTENT = Response(status=204)
NOT_KEPT = closing(problem(503, "The delivery cannot be kept now"))
NOT_FOUND = problem(404, "There is no such sender")
NOT_WANTED = closing(problem(410, "No secret is set for this sender, so its deliveries are not accepted"))
NOT_ALLOWED = problem(405, "Deliveries are sent by POST", headers={"allow": "POST"})


class Inbox(Protocol):
    """Where deliveries are kept, and the secrets of their senders. Both methods block."""

    def secrets(self, sender: str) -> Sequence[str]:
        """Return the secrets of a sender, none where its deliveries are not wanted."""
        ...

    def accept(self, delivery: Delivery) -> None:
        """Keep a delivery, durably; one that was kept before changes nothing."""
        ...


class Receiver:
    """The application. *now* returns the seconds since the epoch."""

    def __init__(self, inbox: Inbox, *, now: Callable[[], float]) -> None:
        self._inbox, self._now = inbox, now
        self._senders = all_senders()
        self._bodies = BodyBudget(BODY_MEMORY)
        self._verifying = asyncio.Semaphore(VERIFYING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        sender = self._senders.get(scope["path"].strip("/"))
        if sender is None:
            return await send_response(NOT_FOUND, send)
        if scope["method"] != "POST":
            return await send_response(NOT_ALLOWED, send)
        try:
            response = await self._answer(sender, scope, receive)
        except errors.TransportError:
            return reset_connection(scope)
        except errors.CoatcheckError as error:  # of the store or of the file of secrets; senders repeat the delivery
            logging.getLogger("coatcheck.webhooks").warning("a delivery of %s was not kept: %s", sender.name, error)
            response = NOT_KEPT
        return await send_response(response, send)

    async def _answer(self, sender: Sender, scope: Scope, receive: Receive) -> Response:
        secrets = await asyncio.to_thread(self._inbox.secrets, sender.name)
        if not secrets:
            return NOT_WANTED
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        try:
            check_body(sender, unique_headers(headers), body_size(scope) or 0)
        except errors.WebhookRejectedError as error:
            return closing(problem(error.status, str(error)))
        return await self._read_and_verify(sender, headers, secrets, receive)

    async def _read_and_verify(
        self, sender: Sender, headers: Sequence[tuple[str, str]], secrets: Sequence[str], receive: Receive
    ) -> Response:
        try:
            async with self._bodies.reading(receive, limit=sender.max_bytes, timeout=BODY_SECONDS) as body:
                if body is None:
                    return BODY_TOO_LARGE
                async with self._verifying:
                    delivery = await asyncio.to_thread(verify_delivery, sender, headers, body, secrets, now=self._now())
        except TimeoutError:
            return BODY_TOO_SLOW
        except errors.WebhookRejectedError as error:
            return problem(error.status, str(error))
        await asyncio.to_thread(self._inbox.accept, delivery)
        return NO_CONTENT
