"""Serve a cloud on loopback, and keep the record by which clients find it.

Guarantee: it listens on 127.0.0.1 and on nothing else.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from .. import errors
from .._runtime.server_record import RECORD, ServerRecord, lock_record

if TYPE_CHECKING:
    import socket

    import uvicorn

    from .._server.handler import Handler
    from .._server.http_protocol import Limits
    from .asgi import CloudApp, Pages

HOST = "127.0.0.1"
BASE_PATH = "/backend-api"

# How long open answers may take to end when the server stops, in seconds; agents have been ended before that.
GRACE = 2
# How long an idle connection stays (seconds): longer than any client's pause between two polls. uvicorn's own 5 is the
# pause of a device login, and the official client fails where the server closes just as it asks.
KEEP_ALIVE = 75
# Connections that wait to be accepted.
BACKLOG = 128


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 takes a free one. Raises `ConfigurationError`."""
    import socket  # the commands that only read the record start faster without

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


def _uvicorn(app: CloudApp, limits: Limits) -> uvicorn.Server:
    import asyncio

    import uvicorn

    from .._server.http_protocol import TransportProtocol, report

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # what goes wrong in the event loop itself (no more files to open) is logged, and not without limit
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
            proxy_headers=False,  # nobody stands between a client and us; the headers could lie about who asks
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=KEEP_ALIVE,
        )
    )


@contextmanager
def serving(
    handler: Handler, *, port: int = 0, pages: Pages | None = None, limits: Limits | None = None
) -> Iterator[str]:
    """Serve *handler* from another thread, and give the base URL (``http://127.0.0.1:PORT/backend-api``)."""
    from .._server.http_protocol import limits_here
    from .asgi import CloudApp  # uvicorn takes 60 ms to import, and most commands serve nothing

    limits = limits or limits_here()
    listener = listen(port)
    app = CloudApp(handler, pages=pages, limits=limits)
    server = _uvicorn(app, limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="cloud-server", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}{BASE_PATH}"
    finally:
        server.should_exit = True
        app.close()
        thread.join(GRACE + 5)
        listener.close()


@contextmanager
def recorded(path: Path | None, record: ServerRecord) -> Iterator[None]:
    """Keep *record* at *path*, locked, while the block runs. Stale records beside it are removed."""
    if path is None:
        yield
        return
    remove_stale(path.parent.parent)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with write_locked(path, msgspec.json.encode(record)):
        try:
            yield
        finally:
            remove_record(path)


def write_locked(path: Path, data: bytes) -> IO[bytes]:
    """Write a record that is locked before anybody sees it; return the file that holds the lock."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "r+b")
    lock_record(file.fileno())
    file.write(data)
    file.flush()
    temporary.replace(path)
    return file


def remove_stale(folder: Path) -> None:
    """Remove the records of servers that do not run any more."""
    for path in folder.glob(f"*/{RECORD}"):
        try:
            with path.open("rb") as file:
                if lock_record(file.fileno()):
                    remove_record(path)
        except OSError:  # another server has just removed it
            continue


def remove_record(path: Path) -> None:
    """Remove a record and its folder; what is left of it means nothing without the record."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def ready_line(record: ServerRecord, *, is_json: bool) -> str:
    """Return the one line that says where the server is."""
    if is_json:
        return msgspec.json.encode({"url": record.url, "pid": record.pid, "approval_key": record.approval_key}).decode()
    return f"Serving {record.url} (approval key for logins: {record.approval_key}; Ctrl-C ends it)"


@contextmanager
def stop_signal() -> Iterator[Callable[[], None]]:
    """Give a function that waits for SIGINT, SIGTERM or SIGHUP; main thread only.

    The wait is on the wake-up socket and not on an event: the kernel may hand a signal to any thread, and then
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
