"""Servers of raw bytes: each connection is a script that the test drives step by step."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    import subprocess
    from collections.abc import Callable

# Longer than any test takes on a busy machine: a script that still waits then belongs to a failed one.
TIME_LIMIT = 120.0


@dataclass(frozen=True)
class Received:
    """One request as received."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return what was sent under *name*."""
        return [value for other, value in self.headers if other.lower() == name]


class Connection:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock, self._server, self._buffer = sock, server, b""

    def receive(self) -> Received | None:
        """Return the next request, None when the other side hung up."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        length = int(next((value for name, value in headers if name.lower() == "content-length"), "0"))
        while len(self._buffer) < length and self._more():
            pass
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(method, target, headers, body)
        self._server.requests.append(received)
        return received

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Use TLS from here on."""
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.sock.settimeout(TIME_LIMIT)

    def wait_for_end(self) -> None:
        """Wait until the client closes the connection; return whether it did."""
        with contextlib.suppress(ConnectionError):
            while self._more():
                pass
        self._server.has_lost_client.set()

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)


class Server:
    """A loopback server that runs *script* for each connection, over TLS if it has a *context*."""

    def __init__(self, script: Callable[[Connection], None], *, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.has_request = threading.Event()
        self.has_lost_client = threading.Event()
        self.may_go_on = threading.Event()
        self._script, self._context = script, context
        self._open: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]

    def url(self, path: str = "/") -> str:
        """Return the address of *path* here."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}{path}"

    def wait_for_request(self, program: subprocess.Popen[str]) -> None:
        """Wait until *program* has sent a request. Raises with what it wrote where it ends without one."""
        while not self.has_request.wait(0.1):
            has_ended = program.poll() is not None
            assert not has_ended or self.has_request.is_set(), (program.returncode, *program.communicate())

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.may_go_on.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(TIME_LIMIT)  # so that no connection is accepted after those below were closed
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIME_LIMIT)

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.settimeout(TIME_LIMIT)
                self.connections += 1
                self._open.append(Connection(sock, self))
                self._start(self._serve, self._open[-1])

    def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):  # the client may hang up whenever it likes
            if self._context is not None:
                connection.start_tls(self._context)
            self._script(connection)
        connection.sock.close()


def answer(body: bytes = b"", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """Return a whole answer with its length."""
    lines = (f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


def chunked(*headers: str) -> bytes:
    """Return the head of an answer in chunks."""
    return "\r\n".join(("HTTP/1.1 200 OK", *headers, "transfer-encoding: chunked", "", "")).encode()


def chunk(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answering(*answers: bytes) -> Callable[[Connection], None]:
    """Return a script that sends these responses in turn, and the last one from then on."""

    def script(connection: Connection) -> None:
        remaining = list(answers)
        while connection.receive() is not None:
            connection.send(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return script


def saying(data: bytes) -> Callable[[Connection], None]:
    """Return the script that answers one request with these bytes and hangs up."""

    def script(connection: Connection) -> None:
        if connection.receive() is not None:
            connection.send(data)

    return script


def silent(connection: Connection) -> None:
    """Read a request and send no response."""
    connection.receive()
    connection._server.has_request.set()
    connection.wait_for_end()
