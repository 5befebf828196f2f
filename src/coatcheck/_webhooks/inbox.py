"""Keep the deliveries that arrive in the store, where processes that wait for a task see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .._store.received import repository_name

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._store.received import ReceivedStore
    from .secrets_file import SecretsFile
    from .senders import Delivery

# What is kept of one delivery: its names, and the characters of each. Longer ones are no ids of tasks.
MAX_NAMES = 20
MAX_NAME = 500


class StoreInbox:
    """An `Inbox` of a store; secrets of senders are under ``in:SENDER`` in the secrets file."""

    def __init__(self, received: ReceivedStore, secrets: SecretsFile, *, clock: Clock) -> None:
        self._received, self._secrets, self._clock = received, secrets, clock

    def secrets(self, sender: str) -> Sequence[str]:
        """Return the valid secrets of a sender."""
        return self._secrets.get(f"in:{sender}", now=self._clock.time())

    def accept(self, delivery: Delivery) -> None:
        """Keep a delivery, durably; one that was kept before changes nothing."""
        names = [name for name in _names(delivery) if name.isprintable() and len(name) <= MAX_NAME]
        self._received.receive(sender=delivery.sender, id=delivery.id, names=names[:MAX_NAMES])


def _names(delivery: Delivery) -> Iterator[str]:
    """Yield the names of what a delivery concerns: tasks, and repositories whose tasks it may concern."""
    for provider, id in delivery.tasks:
        yield f"{provider}:{id}"
    for provider, repository in delivery.repositories:
        yield repository_name(provider, repository)
