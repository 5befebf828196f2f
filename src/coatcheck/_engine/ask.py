"""What the engine calls to let an exchange talk to its service."""

from __future__ import annotations

from typing import Protocol, TypeVar

from .._protocol.effects import Exchange, Script

T = TypeVar("T")


class Ask(Protocol):
    """Turn an exchange into a script: with retries, a login and redirects around each request."""

    def __call__(self, exchange: Exchange[T], /) -> Script[T]: ...
