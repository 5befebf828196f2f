"""The journal of submissions in the store.

Invariants:

- a task is recorded by one intent only, whichever process is faster: a unique index excludes the others;
- what a method has written is on the disk when it returns;
- an intent names the host, the boot and the process that wrote it (`processes.py`);
- journals of versions before the store are read whenever they have changed (`old_journal.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .._files.processes import boot_id, host_id, start_time
from .._model.tasks import TaskRef
from .._protocol.intents import Intent
from .database import UniqueError
from .location import open_database
from .old_journal import OldJournal
from .submission_origins import traceparent_of

if TYPE_CHECKING:
    from .database import Database, Row, Transaction

FIELDS = (
    *("id", "provider", "digest", "at", "summary", "environment", "branch", "pid", "host", "boot", "started"),
    *("template", "template_digest", "traceparent"),
)
COLUMNS = ", ".join(FIELDS)
BEGIN = (
    f"INSERT INTO submission ({COLUMNS}, state) VALUES ({', '.join('?' * len(FIELDS))}, 'open')"  # noqa: S608 - ours
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in FIELDS[1:])},"
    " task = NULL, state = 'open'"
)


class Submission(NamedTuple):
    """A task that was submitted from here; `summary` is the beginning of its prompt, `at` seconds since the epoch."""

    ref: TaskRef
    summary: str
    at: float
    environment: str | None
    branch: str | None


class SubmissionState(NamedTuple):
    """What the journal has of one submission: "open", "settled" with a task, or "abandoned"."""

    intent: Intent
    state: str
    ref: TaskRef | None


class SubmissionJournal:
    """The journal in *database*; *old_folder* is where versions before the store kept theirs.

    *template* is the name and the digest of the prompt template of what is submitted.
    """

    def __init__(
        self, database: Database, *, old_folder: str | None = None, template: tuple[str, str] | None = None
    ) -> None:
        self._database, self._template = database, template
        self._old = None if old_folder is None else OldJournal(old_folder)

    @classmethod
    def at(cls, location: str, *, old_folder: str | None = None) -> SubmissionJournal:
        """Return the journal in a folder or at a URL, as `open_database` takes it."""
        return cls(open_database(location), old_folder=old_folder)

    def begin(self, intent: Intent) -> None:
        """Record that a submission is about to be sent; one under the same id continues an earlier one."""
        with self._writing() as transaction:
            self.on_begin(transaction, intent)
            begin_intent(transaction, self._with_template(intent))

    def _with_template(self, intent: Intent) -> Intent:
        name, digest = self._template or (None, None)
        return msgspec.structs.replace(intent, template=name, template_digest=digest)

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        """Record the task of a submission; False if another intent already has that task."""
        try:
            with self._writing() as transaction:
                changed = transaction.change(
                    "UPDATE submission SET task = ?, state = 'settled' WHERE id = ? AND (task IS NULL OR task = ?)",
                    (ref.id, intent.id, ref.id),
                )
        except UniqueError:
            return False
        return changed == 1

    def abandon(self, intent: Intent) -> None:
        """Record that a submission certainly created no task."""
        with self._writing() as transaction:
            self.on_abandon(transaction, intent)
            transaction.change(
                "UPDATE submission SET state = 'abandoned' WHERE id = ? AND state = 'open'", (intent.id,)
            )

    def on_begin(self, transaction: Transaction, intent: Intent) -> None:
        """Do more in the transaction of `begin`; for subclasses."""

    def on_abandon(self, transaction: Transaction, intent: Intent) -> None:
        """Do more in the transaction of `abandon`; for subclasses."""

    def open_intents(self, provider: str) -> Sequence[Intent]:
        """Return the submissions whose outcome is unknown, oldest first."""
        query = f"SELECT {COLUMNS} FROM submission WHERE provider = ? AND state = 'open' ORDER BY at"  # noqa: S608 - ours
        return [Intent(**dict(zip(FIELDS, row, strict=True))) for row in self._rows(query, (provider,))]

    def find(self, id: str) -> SubmissionState | None:
        """Return the submission with this id, None where there is none."""
        query = f"SELECT {COLUMNS}, state, task FROM submission WHERE id = ?"  # noqa: S608 - ours
        for *fields, state, task in self._rows(query, (id,)):
            intent = Intent(**dict(zip(FIELDS, fields, strict=True)))
            return SubmissionState(intent, state, TaskRef(intent.provider, task) if task else None)
        return None

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:
        """Return those of *refs* that an intent has recorded."""
        self._read_old()
        query = "SELECT 1 FROM submission WHERE provider = ? AND task = ?"
        with self._database.reading() as transaction:
            return {ref for ref in refs if transaction.rows(query, (ref.provider, ref.id))}

    def traceparent(self, ref: TaskRef) -> str | None:
        """Return the trace context in which a task was submitted, None where it was submitted without one."""
        with self._database.reading() as transaction:
            return traceparent_of(transaction, ref)

    def count_since(self, provider: str, since: float) -> int:
        """Return how many submissions since then may have made a task (seconds since the epoch)."""
        query = "SELECT count(*) FROM submission WHERE provider = ? AND at >= ? AND state <> 'abandoned'"
        ((count,),) = self._rows(query, (provider, since))
        return int(str(count))

    def latest(self, limit: int, *, provider: str | None = None, prefix: str = "") -> Sequence[Submission]:
        """Return the latest submissions that created a task, the newest first; of a provider, with ids that begin so."""
        condition, parameters = ("", ()) if provider is None else (" AND provider = ?", (provider,))
        query = (
            "SELECT provider, task, summary, at, environment, branch FROM submission WHERE task IS NOT NULL"  # noqa: S608 - ours
            f"{condition} AND substr(task, 1, ?) = ? ORDER BY at DESC{self._newest_first} LIMIT ?"
        )
        rows = self._rows(query, (*parameters, len(prefix), prefix, limit))
        return [Submission(TaskRef(name, id), *others) for name, id, *others in rows]

    @property
    def _newest_first(self) -> str:
        """The order of submissions of one moment: SQLite numbers its rows as they are inserted."""
        return ", rowid DESC" if self._database.dialect == "sqlite" else ", id DESC"

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _rows(self, query: str, parameters: Sequence[object]) -> list[Row]:
        self._read_old()
        return self._database.read(query, parameters)

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        self._read_old()
        with self._database.writing() as transaction:
            yield transaction

    def _read_old(self) -> None:
        if self._old is not None:
            self._old.read_into(self._database)


class NoJournal:
    """A journal that keeps nothing, for callers who keep a record of what they submit."""

    def begin(self, intent: Intent) -> None:
        """Do nothing."""

    def settle(self, intent: Intent, ref: TaskRef) -> bool:  # noqa: ARG002 - the protocol's signature
        """Return that no other intent has the task."""
        return True

    def abandon(self, intent: Intent) -> None:
        """Do nothing."""

    def open_intents(self, provider: str) -> Sequence[Intent]:  # noqa: ARG002 - the protocol's signature
        """Return nothing."""
        return ()

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:  # noqa: ARG002 - the protocol's signature
        """Return nothing."""
        return set()

    def count_since(self, provider: str, since: float) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0."""
        return 0


def begin_intent(transaction: Transaction, intent: Intent) -> None:
    """Write an intent in *transaction*; one under the same id continues an earlier one."""
    intent = with_process(intent)
    transaction.change(BEGIN, [getattr(intent, name) for name in FIELDS])


def with_process(intent: Intent) -> Intent:
    """Return *intent* with the host, the boot and the start time of this process, if it is the one that submits."""
    if intent.pid != os.getpid() or intent.host is not None:
        return intent
    host, boot, started = _this_process(intent.pid)
    return msgspec.structs.replace(intent, host=host, boot=boot, started=started)


@lru_cache(maxsize=4)
def _this_process(pid: int) -> tuple[str, str | None, str | None]:
    return host_id(), boot_id(), start_time(pid)
