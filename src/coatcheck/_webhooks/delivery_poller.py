"""Poll the tasks that deliveries name, where no process waits for them.

Invariants:
- a delivery is handled once a wait has read it, or its task was polled and recorded after it arrived; after a crash it
  is handled by the next process, because the store has the deliveries that were not;
- a task is polled at most once in `SHORTEST` seconds, one task at a time, at most `TASKS` for one name;
- an error of a poll is logged and ends nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import errors
from .._model.tasks import TaskRef
from .._store.received import ALIVE_SECONDS, UNKNOWN_SECONDS

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._store.received import Arrival, ReceivedStore

# Seconds between two polls of a task, and before a task that another process waits for is looked at again.
SHORTEST = 1.0
# Deliveries that one round handles, and tasks of one repository that it polls.
DELIVERIES = 200
TASKS = 20


class DeliveryPoller:
    """Handles deliveries; *poll* polls a task and records it."""

    def __init__(self, received: ReceivedStore, poll: Callable[[TaskRef], object], *, clock: Clock) -> None:
        self._received, self._poll, self._clock = received, poll, clock
        self._polled_at: dict[TaskRef, float] = {}

    def handle_due(self) -> int:
        """Handle the deliveries that are due; return how many there were."""
        arrivals = self._received.unhandled(DELIVERIES)
        if arrivals:
            self._received.set_due([(arrival, self._next_due(arrival)) for arrival in arrivals])
        now = self._clock.time()
        self._polled_at = {ref: at for ref, at in self._polled_at.items() if at > now - 60}
        return len(arrivals)

    def _next_due(self, arrival: Arrival) -> float | None:
        """Handle a delivery; return when it is to be handled again, None where that is not necessary."""
        due = [self._due_of(name, arrival) for name in arrival.names]
        return min((at for at in due if at is not None), default=None)

    def _due_of(self, name: str, arrival: Arrival) -> float | None:
        refs = [TaskRef(*key) for key in self._received.tasks_named(name, limit=TASKS)]
        if refs:
            due = [self._due_of_task(ref, arrival) for ref in refs]
            return min((at for at in due if at is not None), default=None)
        now = self._clock.time()
        age = now - arrival.at
        return now + max(SHORTEST, age / 2) if age < UNKNOWN_SECONDS else None

    def _due_of_task(self, ref: TaskRef, arrival: Arrival) -> float | None:
        now, waited_at = self._clock.time(), self._received.waited_at(str(ref))
        polled_at = self._polled_at.get(ref, 0.0)
        if polled_at >= arrival.at or waited_at >= arrival.at:
            return None
        if waited_at > now - ALIVE_SECONDS:
            return now + SHORTEST  # the wait reads the delivery, or ends
        if polled_at > now - SHORTEST:
            return polled_at + SHORTEST
        self._polled_at[ref] = now
        try:
            self._poll(ref)
        except errors.CoatcheckError as error:
            logging.getLogger("coatcheck.webhooks").warning("%s was not polled: %s", ref, error)
        return None
