"""The in-process transports return what a real one would."""

from __future__ import annotations

import gzip

import pytest

from coatcheck import errors
from coatcheck._protocol.effects import Request, Response
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport


class Canned:
    """A handler that always answers the same."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.received: list[Request] = []

    def handle(self, request: Request) -> Response:
        self.received.append(request)
        return self.response


def test_an_absolute_url_arrives_as_its_path_and_query() -> None:
    """A server does not see its own host in the path."""
    handler = Canned(Response(status=200))
    EmulatorTransport(handler).send(Request("GET", "/x", url="http://h:1/backend-api/x?a=1%2F2", query=(("b", "2"),)))

    assert ("/backend-api/x", (("a", "1/2"), ("b", "2"))) == (handler.received[0].path, handler.received[0].query)


def test_a_stream_is_read_and_closed() -> None:
    """A body is one chunk, then the end."""
    response = EmulatorTransport(Canned(Response(status=200, body=b"abc"))).send(Request("GET", "/", stream=True))
    chunks = [response.stream.read(), response.stream.read()]
    response.stream.close()

    assert [b"abc", b""] == chunks


@pytest.mark.anyio
async def test_the_asynchronous_transport_does_the_same() -> None:
    """Whole responses and streams."""
    transport = AsyncEmulatorTransport(Canned(Response(status=200, body=b"abc")))
    whole = await transport.send(Request("GET", "/"))
    streamed = await transport.send(Request("GET", "/", stream=True))
    chunks = [await streamed.stream.aread(), await streamed.stream.aread()]
    await transport.aclose()

    assert (b"abc", [b"abc", b""], True) == (whole.body, chunks, transport.is_closed)


def test_an_error_is_read_whole_even_where_a_stream_was_requested() -> None:
    """The body of an error is read completely where a stream was requested, so that its reason can be shown."""
    response = EmulatorTransport(Canned(Response(status=404, body=b"no"))).send(Request("GET", "/", stream=True))

    assert (b"no", None) == (response.body, response.stream)


def test_a_gzip_bomb_is_not_inflated_beyond_the_limit() -> None:
    """A body that inflates beyond the limit is a transport error."""
    bomb = Response(status=200, headers={"content-encoding": "gzip"}, body=gzip.compress(bytes(1_000_000)))
    with pytest.raises(errors.TransportError, match="larger than 1000 bytes"):
        EmulatorTransport(Canned(bomb), max_body=1000).send(Request("GET", "/"))
