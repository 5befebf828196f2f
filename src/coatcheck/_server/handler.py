"""The interface of what answers requests, in a server or in a test's transport."""

from __future__ import annotations

from typing import Protocol

from .._protocol.effects import Request, Response

# Every request but a submission fits in this (a login, a mark); such bodies need no reservation of memory.
SMALL_BODY = 64 * 1024


class Handler(Protocol):
    """An object that answers requests."""

    def handle(self, request: Request) -> Response:
        """Return the response, or raise `TransportError`."""
        ...
