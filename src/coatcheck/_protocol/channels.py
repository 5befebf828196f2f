"""Channels: what a provider does with the answer to `Open`.

Invariant: opening a channel performs nothing, so an error of it never leaves a submission in doubt.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .. import errors
from .decode import check
from .effects import Open, Response


def channel_of(response: Response) -> Any:
    """Return the channel in the answer to `Open`. Raises the error of a service that opened none."""
    if response.status == 101 and response.stream is not None:
        return response.stream
    check(response)
    raise errors.UnreadableResponseError(
        f"the service answered HTTP {response.status} and opened no channel",
        status=response.status,
        remedy="check the address",
    )


def open_channel(wish: Open) -> Generator[Open, Response, Any]:
    """Open a channel and return it. Raises the error of a service that opens none."""
    response = yield wish
    return channel_of(response)
