"""Receive deliveries, send those that are due, and poll the tasks that deliveries name, from one process.

Invariants:
- the store shows that this process receives: it is recorded before the first delivery is accepted, again every `HEARTBEAT`
  seconds, and removed at the end;
- sending, polling and receiving do not wait for one another.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .. import errors
from .._server.http_protocol import limits_here
from .._server.listener import serving_app
from .._store.events import EventLog
from .._store.gates import GateStore
from .._store.received import ALIVE_SECONDS
from .delivery_handler import DeliveryHandler
from .inbox import StoreInbox
from .outbox import Outbox
from .receiver import Receiver
from .task_poller import TaskPoller

if TYPE_CHECKING:
    from .settings import HookSettings, WebhookSettings

# Seconds between two searches for what is due, and between two records that this process receives.
SEARCH_EVERY = 0.5
# How often the deadlines of gates are looked up (seconds).
DEADLINE_SECONDS = 5.0
HEARTBEAT = ALIVE_SECONDS / 3
# How long a message or a poll that is under way may delay the end of the process (seconds): it is repeated later.
END_SECONDS = 0.3


@contextmanager
def serving_hooks(settings: WebhookSettings, *, port: int, allowed: Sequence[str]) -> Iterator[str]:
    """Receive deliveries on loopback, send those that are due, and poll named tasks while the block runs.

    The block gets the origin. The ``Host`` header is not checked, because a tunnel passes the public name; every delivery is
    signed.
    """
    received, clock = settings.received, settings.clock
    inbox = StoreInbox(received, settings.secrets, clock=clock)
    poller = TaskPoller(settings.workspace, settings.location, clock=clock)
    handler = DeliveryHandler(received, poller.poll, clock=clock)
    receiver = Receiver(inbox, now=clock.time)
    with ExitStack() as stack:
        stack.callback(poller.close)
        stack.enter_context(_shown_as_receiving(settings))
        stack.enter_context(repeating(outbox_of(settings, allowed).send_due, name="outbox"))
        gates = GateStore(settings.database, time=settings.clock.time)
        stack.enter_context(repeating(gates.expire, name="deadlines", seconds=DEADLINE_SECONDS))
        stack.enter_context(repeating(handler.handle_due, name="handler"))
        yield stack.enter_context(
            serving_app(receiver, limits_here(), port=port, on_stop=lambda: None, is_loopback_only=False)
        )


def outbox_of(settings: HookSettings, allowed: Sequence[str]) -> Outbox:
    """Return what sends the deliveries of a store."""
    return Outbox(
        settings.hooks,
        EventLog(settings.database, time=settings.clock.time),
        settings.secrets,
        clock=settings.clock,
        random=random.random,
        allowed=allowed,
    )


@contextmanager
def _shown_as_receiving(settings: WebhookSettings) -> Iterator[None]:
    id, received = f"{os.getpid()}-{os.urandom(6).hex()}", settings.received
    received.record_server(id)
    try:
        with repeating(lambda: received.record_server(id), name="heartbeat", seconds=HEARTBEAT):
            yield
    finally:
        try:
            received.remove_server(id)
        except errors.CoatcheckError as error:
            _log(error)


@contextmanager
def repeating(action: Callable[[], object], *, name: str, seconds: float = SEARCH_EVERY) -> Iterator[None]:
    """Call *action* again and again in a thread.

    An error is logged, once until the action succeeds or fails with another error, and the action is called again.
    """
    stopping = threading.Event()

    def repeat() -> None:
        logged = ""
        while not stopping.is_set():
            try:
                action()
                logged = ""
            except Exception as error:  # noqa: BLE001 - one error must not end the thread
                if repr(error) != logged:
                    _log(error)
                logged = repr(error)
            stopping.wait(seconds)

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(END_SECONDS)


def _log(error: Exception) -> None:
    is_known = isinstance(error, errors.CoatcheckError)
    logging.getLogger("coatcheck.webhooks").warning("%s", error, exc_info=None if is_known else error)
