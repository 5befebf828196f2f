"""Keep the deliveries that arrive in the store, where processes that wait for a task see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._store.hooks import HookStore
    from .secrets_file import SecretsFile
    from .senders import Delivery


class StoreInbox:
    """An `Inbox` of a store; secrets of senders are under ``in:SENDER`` in the secrets file."""

    def __init__(self, hooks: HookStore, secrets: SecretsFile, *, clock: Clock) -> None:
        self._hooks, self._secrets, self._clock = hooks, secrets, clock

    def secrets(self, sender: str) -> Sequence[str]:
        """Return the valid secrets of a sender."""
        return self._secrets.get(f"in:{sender}", now=self._clock.time())

    def accept(self, delivery: Delivery) -> None:
        """Keep a delivery, durably; one that was kept before changes nothing."""
        named = [f"{provider}:{id}" for provider, id in delivery.tasks]
        self._hooks.receive(
            sender=delivery.sender, id=delivery.id, tasks=[*named, *filter(None, (delivery.repository,))]
        )
