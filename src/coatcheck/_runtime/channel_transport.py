"""How channels are opened: a blocking and an asynchronous protocol, implemented by `channel_opener` and by emulators."""

from __future__ import annotations

from typing import Protocol

from .._protocol.effects import Request, Response


class ChannelTransport(Protocol):
    """What opens channels."""

    def open_channel(self, request: Request) -> Response:
        """Return the answer to `Open`: of status 101 with a channel as its `stream`, or the one of a service that refuses.

        A channel has ``send(message)``, ``receive(timeout)``, ``close()`` and a `session` for the protocol spoken over it.
        Raises `errors.TransportError` and `errors.ConfigurationError`.
        """
        ...

    def close_channels(self) -> None:
        """Close every channel; may be called more than once."""
        ...


class AsyncChannelTransport(Protocol):
    """`ChannelTransport` for asyncio; a channel has ``asend``, ``areceive`` and ``aclose``."""

    async def open_channel(self, request: Request) -> Response:
        """Return the answer to `Open`."""
        ...

    async def aclose_channels(self) -> None:
        """Close every channel; may be called more than once."""
        ...
