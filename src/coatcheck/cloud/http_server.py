"""Serve a cloud on loopback, and keep the record by which clients find it.

WHAM's routes keep WHAM's form of errors; `serving` mounts them, and further routes stand beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from .._files.private import make_private_folder
from .._runtime.server_record import RECORD, ServerRecord, lock_record

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from .._protocol.effects import Response
    from .._server.asgi_types import App
    from .._server.handler import Handler
    from .._server.http_protocol import Limits

BASE_PATH = "/backend-api"


def wham_error(status: int, text: str) -> Response:
    """Return an error of the server in WHAM's form."""
    from .responses import detail

    return detail(text, status=status)


@contextmanager
def serving(
    handler: Handler, *, port: int = 0, routes: Sequence[BaseRoute] = (), limits: Limits | None = None
) -> Iterator[str]:
    """Serve *handler* from another thread, and give the base URL (``http://127.0.0.1:PORT/backend-api``).

    *routes* of Starlette come first; without any, Starlette is not imported.
    """
    from .._server.handler_app import HandlerApp  # uvicorn takes 60 ms to import, and most commands serve nothing
    from .._server.http_protocol import limits_here
    from .._server.listener import serving_app

    limits = limits or limits_here()
    mounted = HandlerApp(handler, limits=limits, error=wham_error)
    with serving_app(_routed(routes, mounted), limits, port=port, on_stop=mounted.close) as origin:
        yield f"{origin}{BASE_PATH}"


def _routed(routes: Sequence[BaseRoute], mounted: App) -> App:
    if not routes:
        return mounted
    from .._server.routes import with_routes

    return with_routes(routes, mounted)


@contextmanager
def recorded(path: Path | None, record: ServerRecord) -> Iterator[None]:
    """Keep *record* at *path*, locked, while the block runs. Stale records beside it are removed."""
    if path is None:
        yield
        return
    remove_stale(path.parent.parent)
    make_private_folder(str(path.parent))
    with write_locked(path, msgspec.json.encode(record)):
        try:
            yield
        finally:
            remove_record(path)


def write_locked(path: Path, data: bytes) -> IO[bytes]:
    """Write a record that is locked before it has its name; return the file that holds the lock."""
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
