"""Channels: what a provider does with the answer to `Open`.

Invariants:

- opening a channel performs nothing, so an error of it never leaves a submission in doubt;
- what only reads is repeated over a new channel where the channel was lost, as a GET request is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .. import errors
from .decode import PAGE_REMEDY, check, is_page
from .effects import Exchange, Open, Response

T = TypeVar("T")


def channel_of(response: Response) -> Any:
    """Return the channel in the answer to `Open`. Raises the error of a service that opened none."""
    if response.status == 101 and response.stream is not None:
        return response.stream
    check(response)
    raise errors.UnreadableResponseError(
        f"the service answered HTTP {response.status} and opened no channel",
        status=response.status,
        remedy=PAGE_REMEDY if is_page(response) else "check the base URL",
    )


def open_channel(wish: Open) -> Generator[Open, Response, Any]:
    """Open a channel and return it. Raises the error of a service that opens none."""
    response = yield wish
    return channel_of(response)


def repeatable(read: Callable[[], Exchange[T]]) -> Exchange[T]:
    """Run the exchange that *read* makes, and once more where its channel was lost. It must change nothing."""
    try:
        return (yield from read())
    except errors.TransportTimeoutError:  # the next one would take as long
        raise
    except errors.TransportError:
        return (yield from read())
