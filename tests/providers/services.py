"""The services that the providers' tests describe, and a server that changes the bytes of an emulator's responses.

A folder of tests with a module ``service.py`` describes services in its mapping ``SERVICES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.providers.service import Service
from tests.runtime.servers import Connection, Received, Server

from coatcheck._protocol.effects import Request, Response

FOLDERS = sorted(path.parent.name for path in Path(__file__).parent.glob("*/service.py"))
SERVICES: Mapping[str, Service] = {
    name: service
    for folder in FOLDERS
    for name, service in importlib.import_module(f"tests.providers.{folder}.service").SERVICES.items()
}

Change = Callable[[Request, Response], "Changed"]


class Changed(NamedTuple):
    """A response as it is sent, with header lines of any bytes."""

    response: Response
    header_lines: tuple[bytes, ...] = ()


def serve(emulator: Any, change: Change) -> Server:
    """Return a server of *emulator* whose responses are sent as *change* returns them."""

    def script(connection: Connection) -> None:
        try:
            while (received := connection.receive()) is not None:
                request = request_of(received)
                sent = change(request, emulator.handle(request))
                connection.send(message(sent.response, sent.header_lines))
        finally:  # an exception of the emulator must not leave the client waiting
            connection.sock.close()

    return Server(script)


def request_of(received: Received) -> Request:
    """Return a request in the form of an emulator."""
    parts = urlsplit(received.target)
    headers = tuple((name.lower(), value) for name, value in received.headers)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Request(received.method, parts.path, query=query, headers=headers, body=received.body)


def message(response: Response, header_lines: tuple[bytes, ...]) -> bytes:
    """Return *response* as HTTP/1.1."""
    body = response.body
    while response.stream is not None and (chunk := response.stream.read()):
        body += chunk
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    lines = [f"{name}: {value}".encode("latin-1") for name, value in kept.items()]
    head = [f"HTTP/1.1 {response.status} X".encode(), *lines, *header_lines, b"content-length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
