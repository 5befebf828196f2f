"""The journal of a fleet's submissions, which several workers write.

Invariants:

- an intent is begun once: a worker that was stopped before it wrote one finds that of the worker that took over, and does
  not send; only an intent that certainly made no task is begun again;
- a worker closes the intent that it wrote, and not a later one with the same id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .journal import BEGIN, FIELDS, SubmissionJournal, with_process

if TYPE_CHECKING:
    from .._protocol.intents import Intent

BEGIN_ONCE = f"{BEGIN} WHERE submission.state = 'abandoned'"


class FleetJournal(SubmissionJournal):
    """The journal in a database that the workers of a fleet share."""

    def begin(self, intent: Intent) -> None:
        """Record that a submission is about to be sent. Raises `ConflictError` where another worker has begun it."""
        intent = with_process(intent)
        with self._writing() as transaction:
            if not transaction.change(BEGIN_ONCE, [getattr(intent, name) for name in FIELDS]):
                raise errors.ConflictError(
                    f"the submission {intent.id} was begun before",
                    status=409,
                    remedy="nothing: what became of it is found in the journal",
                )

    def abandon(self, intent: Intent) -> None:
        """Record that a submission certainly created no task, unless it was begun again meanwhile."""
        with self._writing() as transaction:
            transaction.change(
                "UPDATE submission SET state = 'abandoned' WHERE id = ? AND state = 'open' AND at = ? AND pid = ?",
                (intent.id, intent.at, intent.pid),
            )
