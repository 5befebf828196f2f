"""Servers of channels on this machine, one for each kind: they answer each message, or do what a message says."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.http11 import Request as Handshake, Response as Refusal
from websockets.sync.server import ServerConnection, serve, unix_serve

from coatcheck._protocol.effects import Open

KINDS = ("websocket", "socket", "lines", "program")
# Answers "echo X" with X, "big N" with N bytes; "end" ends the channel, and "cut" does without any order.
PROGRAM = """
import os, sys
for line in sys.stdin.buffer:
    word, _, rest = line.strip().partition(b" ")
    if word == b"echo":
        os.write(1, rest + b"\\n")
    elif word == b"big":
        left = int(rest)
        while left:
            left -= os.write(1, b"x" * min(left, 65536))
        os.write(1, b"\\n")
    elif word == b"cut":
        sys.exit("error: cut short\\n")
    elif word == b"end":
        sys.exit()
"""
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(600)"
)


class ChannelServer:
    """A server of one kind; `ended` is set when a connection has ended."""

    def __init__(self, url: str, *, command: tuple[str, ...] = (), is_lines: bool = False) -> None:
        self.url, self.ended = url, threading.Event()
        self.headers: list[dict[str, str]] = []
        self._command, self._is_lines = command, is_lines

    def open(self, **options: Any) -> Open:
        """Return the effect that opens a channel to it."""
        return Open(command=self._command, is_lines=self._is_lines, **options)

    def answer(self, connection: ServerConnection) -> None:
        """Answer the messages of one WebSocket."""
        with contextlib.suppress(Exception):
            for message in connection:
                word, _, rest = str(message).partition(" ")
                if word == "echo":
                    connection.send(rest)
                elif word == "big":
                    connection.send("x" * int(rest))
                elif word == "cut":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                elif word == "end":
                    break
        self.ended.set()

    def refuse(self, connection: ServerConnection, handshake: Handshake) -> Refusal | None:
        """Refuse the paths that are numbers with that status."""
        self.headers.append(dict(handshake.headers.raw_items()))
        status = handshake.path.strip("/")
        if not status.isdecimal():
            return None
        refusal = connection.respond(int(status), "no entry\n")
        refusal.headers["x-request-id"] = "r-1"
        refusal.headers["location"] = "/"
        return refusal


@contextlib.contextmanager
def channel_server(kind: str, folder: Path) -> Iterator[ChannelServer]:
    """Serve channels of *kind*; a socket is in *folder*."""
    path = folder / "socket"
    if kind == "program":
        yield ChannelServer("stdio:", command=(sys.executable, "-c", PROGRAM))
    elif kind == "lines":
        with _line_server(path) as server:
            yield server
    else:
        found = ChannelServer(f"unix://{path}")
        options: Any = {"process_request": found.refuse, "max_size": None, "close_timeout": 0.3}
        started = serve(found.answer, "127.0.0.1", 0, **options) if kind == "websocket" else None
        started = started or unix_serve(found.answer, str(path), **options)
        if kind == "websocket":
            found.url = f"ws://127.0.0.1:{started.socket.getsockname()[1]}"
        with started:
            thread = threading.Thread(target=started.serve_forever)
            thread.start()
            try:
                yield found
            finally:
                started.shutdown()
                thread.join()


@contextlib.contextmanager
def _line_server(path: Path) -> Iterator[ChannelServer]:
    found = ChannelServer(f"unix://{path}", is_lines=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_answer_lines, args=(listener, found), daemon=True).start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)


def _answer_lines(listener: socket.socket, server: ChannelServer) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb", buffering=0) as stream:
                for line in iter(stream.readline, b""):
                    word, _, rest = line.strip().partition(b" ")
                    if word == b"echo":
                        stream.write(rest + b"\n")
                    elif word == b"big":
                        connection.sendall(b"x" * int(rest) + b"\n")
                    else:
                        break
            server.ended.set()
