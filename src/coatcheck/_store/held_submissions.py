"""Submissions that a gate holds, and that are sent once it is approved.

Invariants:
- the submission of a gate is begun at most once: the gate names its intent, in the transaction that writes the intent;
- it may be begun again only where the journal says that the former intent certainly created no task;
- a gate whose submission has a task is carried out, also where the process ended before it could record that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._model.tasks import TaskRef
from .._protocol.intents import Intent
from .gates import find_gate, record_submission
from .journal import FIELDS, SubmissionJournal, begin_intent

if TYPE_CHECKING:
    from .database import Database, Transaction

# The gate may have no intent, or one that certainly created no task.
CLAIM = (
    "UPDATE gate SET intent = ? WHERE id = ? AND state = 'approved' AND is_done = 0 AND (intent IS NULL OR EXISTS"
    " (SELECT 1 FROM submission WHERE submission.id = gate.intent AND submission.state = 'abandoned'))"
)
BEGUN = (
    f"SELECT s.task, s.state, {', '.join(f's.{name}' for name in FIELDS)}"  # noqa: S608 - ours
    " FROM gate g JOIN submission s ON s.id = g.intent WHERE g.id = ?"
)


class HeldSubmission(NamedTuple):
    """What is known about the submission of a gate: its intent, its task, or whether its outcome is unknown."""

    intent: Intent
    ref: TaskRef | None
    is_open: bool


class HeldSubmissionJournal(SubmissionJournal):
    """The journal of a client that submits what the gate *gate* holds, and nothing else."""

    def __init__(
        self,
        database: Database,
        gate: str,
        *,
        old_folder: str | None = None,
        template: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(database, old_folder=old_folder, template=template)
        self._gate = gate

    def begin(self, intent: Intent) -> None:
        """Record that the submission is about to be sent. Raises `ConflictError` where another process has begun it."""
        with self._writing() as transaction:
            if not transaction.change(CLAIM, (intent.id, self._gate)):
                raise errors.ConflictError(
                    f"the submission of gate:{self._gate} was begun before",
                    status=409,
                    remedy=f"see what became of it: coatcheck gates gate:{self._gate}",
                )
            begin_intent(transaction, self._with_template(intent))

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        """Record the task of the submission, and that the gate is carried out."""
        is_recorded = super().settle(intent, ref)
        if is_recorded:
            with self._writing() as transaction:
                _complete(transaction, self._gate, ref)
        return is_recorded


def held_submission(database: Database, gate: str) -> HeldSubmission | None:
    """Return what is known about the submission of *gate*, None where it was not begun; complete the gate of a task."""
    with database.writing() as transaction:
        row = transaction.row(BEGUN, (gate,))
        if row is None:
            return None
        task, state, *fields = row
        intent = Intent(**dict(zip(FIELDS, fields, strict=True)))
        ref = None if task is None else TaskRef(intent.provider, task)
        if ref is not None:
            _complete(transaction, gate, ref)
        return HeldSubmission(intent, ref, is_open=state == "open")


def _complete(transaction: Transaction, id: str, ref: TaskRef) -> None:
    changed = transaction.change("UPDATE gate SET is_done = 1, request = NULL WHERE id = ? AND is_done = 0", (id,))
    gate = find_gate(transaction, id)
    if changed and gate is not None and gate.submitted_via is not None:
        record_submission(transaction, str(ref), via=gate.submitted_via)
