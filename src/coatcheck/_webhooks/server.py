"""Receive deliveries and send those that are due, from one process."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import errors
from .._server.http_protocol import limits_here
from .._server.listener import serving_app
from .._store.events import EventLog
from .inbox import StoreInbox
from .outbox import Outbox
from .receiver import Receiver

if TYPE_CHECKING:
    from .settings import WebhookSettings

# Seconds between two searches for deliveries that are due.
SEND_EVERY = 0.5


@contextmanager
def serving_hooks(settings: WebhookSettings, *, port: int, allowed: Sequence[str]) -> Iterator[str]:
    """Receive deliveries on loopback, and send those that are due, while the block runs; gives the origin.

    The ``Host`` header is not checked, because a tunnel passes the public name; every delivery is signed.
    """
    inbox = StoreInbox(settings.hooks, settings.secrets, clock=settings.clock)
    outbox = Outbox(
        settings.hooks,
        EventLog(settings.database, time=settings.clock.time),
        settings.secrets,
        clock=settings.clock,
        random=random.random,
        allowed=allowed,
    )
    receiver = Receiver(inbox, now=settings.clock.time)
    with (
        _repeating(outbox.send_due),
        serving_app(receiver, limits_here(), port=port, on_stop=lambda: None, is_loopback_only=False) as origin,
    ):
        yield origin


@contextmanager
def _repeating(send_due: Callable[[], int]) -> Iterator[None]:
    """Call *send_due* again and again in a thread; an error of the store is logged, and tried again."""
    stopping = threading.Event()

    def repeat() -> None:
        while not stopping.is_set():
            try:
                send_due()
            except errors.CoatcheckError as error:
                logging.getLogger("coatcheck.webhooks").warning("%s", error)
            stopping.wait(SEND_EVERY)

    thread = threading.Thread(target=repeat, name="outbox", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(timeout=20)
