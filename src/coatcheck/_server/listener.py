"""Serve an ASGI application on loopback, from a thread of this process.

Guarantee: it listens on 127.0.0.1 and on nothing else.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    import socket

    import uvicorn

    from .asgi_types import App
    from .http_protocol import Limits

HOST = "127.0.0.1"
# How long open responses may take to end when the server stops, in seconds.
GRACE = 2
# How long an idle connection stays (seconds): longer than any client's pause between two polls. uvicorn's own 5 is the
# pause of a device login, and the official client fails where the server closes just as it sends a request.
KEEP_ALIVE = 75
# Connections that wait to be accepted.
BACKLOG = 128


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 takes a free one. Raises `ConfigurationError`."""
    import socket  # commands that serve nothing start faster without

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        message = f"cannot listen on {HOST}:{port}: {getattr(error, 'strerror', None) or error}"
        raise errors.ConfigurationError(message, remedy="give another --port, or 0 for a free one") from None
    listener.listen(BACKLOG)
    return listener


def _uvicorn(app: App, limits: Limits) -> uvicorn.Server:
    import asyncio

    import uvicorn

    from .http_protocol import TransportProtocol, report

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # errors of the event loop itself (no more files to open) are logged, and not without limit
            asyncio.get_running_loop().set_exception_handler(report)
            await super().startup(sockets)

    return Server(
        uvicorn.Config(
            app,
            http=functools.partial(TransportProtocol, limits=limits),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            proxy_headers=False,  # there is no proxy; the headers could lie about who the client is
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=KEEP_ALIVE,
        )
    )


@contextmanager
def serving_app(
    app: App, limits: Limits, *, port: int = 0, on_stop: Callable[[], None], is_loopback_only: bool = True
) -> Iterator[str]:
    """Serve *app* from another thread while the block runs, and give its origin (``http://127.0.0.1:PORT``).

    With *is_loopback_only* a ``Host`` header must name this machine; without it, the application authenticates every
    request itself. *on_stop* is called when the server has been asked to stop, before its responses have ended.
    """
    from .middleware import CheckHead, LoopbackOnly

    listener = listen(port)
    server = _uvicorn(CheckHead(LoopbackOnly(app) if is_loopback_only else app), limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        on_stop()
        thread.join(GRACE + 5)
        listener.close()


@contextmanager
def stop_signal() -> Iterator[Callable[[], None]]:
    """Give a function that waits for SIGINT, SIGTERM or SIGHUP; main thread only.

    It waits on the wake-up socket and not on an event: the kernel may deliver a signal to any thread, and then
    nothing interrupts a main thread that waits for a lock (seen once in thirty starts).
    """
    import signal
    import socket

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.settimeout(0)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

        def wait() -> None:
            while reader.recv(1)[0] not in numbers:
                pass

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
