"""Keys of submissions: a submission that is repeated is the task of the first one.

Guarantees:
- of two submissions with the same key in `KEY_SECONDS`, or with the same content in `REPEAT_SECONDS`, one is sent,
  whichever process is faster: the key is written in the transaction of the intent, one such transaction after the other;
- a submission that certainly created no task can be sent again;
- the way by which a task was submitted is stored with its intent, before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from .. import errors
from .._model.tasks import TaskRef
from .._protocol.intents import Intent
from .journal import FIELDS, SubmissionJournal

if TYPE_CHECKING:
    from .._model.gates import Via
    from .database import Database, Transaction

# Stripe keeps idempotency keys for at least as long (https://docs.stripe.com/api/idempotent_requests).
KEY_SECONDS = 24 * 3600.0
# A caller that lost an answer repeats its call within minutes.
REPEAT_SECONDS = 600.0

_SELECT = (
    f"SELECT s.task, k.digest, {', '.join(f's.{name}' for name in FIELDS)}"  # noqa: S608 - ours
    " FROM submission_key k JOIN submission s ON s.id = k.submission WHERE s.state <> 'abandoned' AND "
)
_SAME_CONTENT = "k.digest = ? AND k.at > ?"
_NAMED = f"k.name = ? AND k.at > ? OR {_SAME_CONTENT} AND k.name IS NULL"


class SubmissionKey(NamedTuple):
    """What identifies a submission: the digest of its content, and the name that the caller chose for it, if any."""

    digest: str
    name: str | None = None


class EarlierSubmission(NamedTuple):
    """The submission that has a key already; `ref` is None while its outcome is not known."""

    intent: Intent
    ref: TaskRef | None
    is_same_content: bool


class RepeatedSubmissionError(errors.ConflictError):
    """Nothing was sent: `earlier` is the submission with the same key."""

    def __init__(self, earlier: EarlierSubmission) -> None:
        self.earlier = earlier
        super().__init__("this was submitted before", status=409)


class KeyedSubmissionJournal(SubmissionJournal):
    """The journal of a client that submits one task, which came by *via*.

    `begin` raises `RepeatedSubmissionError` for a task whose `key` an earlier submission has. Set `key` before it.
    """

    key: SubmissionKey

    def __init__(
        self,
        database: Database,
        *,
        via: Via,
        old_folder: str | None = None,
        template: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(database, old_folder=old_folder, template=template)
        self._via = via

    def on_begin(self, transaction: Transaction, intent: Intent) -> None:
        """Store the key of *intent*, unless an earlier submission has it."""
        transaction.lock_events()  # without it two transactions of PostgreSQL would both find no earlier one
        earlier = _earlier(transaction, self.key, intent.at)
        if earlier is not None:
            raise RepeatedSubmissionError(earlier)
        transaction.change(
            "INSERT INTO submission_key (digest, name, at, submission, via) VALUES (?, ?, ?, ?, ?)",
            (self.key.digest, self.key.name, intent.at, intent.id, self._via),
        )


def find_earlier(database: Database, key: SubmissionKey, *, now: float) -> EarlierSubmission | None:
    """Return the submission that has *key*, None where a submission with it would be sent."""
    with database.reading() as transaction:
        return _earlier(transaction, key, now)


def origin_of(transaction: Transaction, subject: str) -> Via | None:
    """Return the way by which the task *subject* was submitted, None where it is not recorded."""
    provider, _, id = subject.partition(":")
    row = transaction.row(
        "SELECT k.via FROM submission s JOIN submission_key k ON k.submission = s.id"
        " WHERE s.provider = ? AND s.task = ?",
        (provider, id),
    )
    return None if row is None else cast("Via", row[0])


def _earlier(transaction: Transaction, key: SubmissionKey, now: float) -> EarlierSubmission | None:
    """Return the latest submission with *key*: one with another name has another key."""
    condition, parameters = _SAME_CONTENT, [key.digest, now - REPEAT_SECONDS]
    if key.name is not None:
        condition, parameters = _NAMED, [key.name, now - KEY_SECONDS, *parameters]
    row = transaction.row(f"{_SELECT}({condition}) ORDER BY k.number DESC LIMIT 1", parameters)
    if row is None:
        return None
    task, digest, *fields = row
    intent = Intent(**dict(zip(FIELDS, fields, strict=True)))
    ref = None if task is None else TaskRef(intent.provider, task)
    return EarlierSubmission(intent, ref, digest == key.digest)
