"""Let Ctrl-C end a blocking request.

A request runs in native code, where Python's signal handlers have to wait (measured: a KeyboardInterrupt came with the
answer, three seconds later). The wake-up descriptor is written by the signal itself; a thread that reads it closes the
transport, the request ends, and the handler has its turn.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from .transport import Transport


@contextmanager
def interruptible(transport: Transport) -> Iterator[None]:
    """Close *transport* when Ctrl-C is pressed. For programs: only the main thread may do this."""
    import signal
    import socket
    from threading import Thread

    reader, writer = socket.socketpair()
    writer.settimeout(0)  # a signal must not wait
    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher = Thread(target=_watch, args=(reader, transport), name="coatcheck-interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        writer.close()
        watcher.join()
        reader.close()


def _watch(reader: socket.socket, transport: Transport) -> None:
    from signal import SIGINT

    while numbers := reader.recv(64):
        if SIGINT in numbers:
            _load_errors()
            transport.close()


def _load_errors() -> None:
    """Import what the ended request is going to raise: native code that has to while an interrupt waits gives up."""
    with suppress(ImportError):
        import pyreqwest.exceptions  # noqa: F401
