"""Deliveries of fleets that run while the reader does something else: one for each fleet, in a thread.

Guarantee: a delivery that is started while one of the same fleet is running starts nothing. A delivery that is killed with
the server is continued by the next one: each item is delivered once (`_fleet/delivery.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from .. import errors

if TYPE_CHECKING:
    from .._model.fleets import FleetStatus

    Deliver: TypeAlias = Callable[[Callable[[str], None]], FleetStatus]


class DeliveryJob:
    """One delivery: its notices, and at the end the status of the fleet, or why it failed."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.status: FleetStatus | None = None
        self.error: errors.CoatcheckError | None = None
        self.thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None and self.error is None

    def run(self, deliver: Deliver) -> None:
        """Deliver."""
        try:
            self.status = deliver(self.notices.append)
        except errors.CoatcheckError as error:
            self.error = error
        except BaseException as error:
            self.error = errors.ConfigurationError(f"the delivery ended with an error: {type(error).__name__}")
            raise


class DeliveryJobs:
    """The last delivery of each fleet."""

    def __init__(self) -> None:
        self._jobs: dict[str, DeliveryJob] = {}
        self._lock = threading.Lock()

    def get(self, fleet: str) -> DeliveryJob | None:
        """Return the last delivery of a fleet."""
        with self._lock:
            return self._jobs.get(fleet)

    def start(self, fleet: str, deliver: Deliver) -> bool:
        """Start a delivery; False where one is running."""
        with self._lock:
            previous = self._jobs.get(fleet)
            if previous is not None and previous.is_running:
                return False
            job = self._jobs[fleet] = DeliveryJob()
            job.thread = threading.Thread(target=job.run, args=(deliver,), name=f"delivery of {fleet}", daemon=True)
            job.thread.start()
        return True
