"""Reviews in the store: named groups of submissions whose candidates compete.

Invariants:

- a review with all its submissions is in the store before the first of them is sent;
- the intent of a submission and the row that names it are written in one transaction, and only once: of two processes
  that continue a review, one sends a submission (`ReviewJournal`);
- what became of a submission is read from the journal of submissions, the only place that records it;
- the prompt is kept while a submission may have to be sent, and deleted afterwards (`forget_specs`);
- a review that is held has no prompts and sends nothing until it is released, which happens once (`release`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import msgspec

from .. import errors
from .._model.review_events import ReviewRanked
from .._model.tasks import TaskRef, TaskSpec
from .._values.value import JsonFields, Value
from .database import UniqueError
from .events import append_events
from .gates import GateStore
from .journal import SubmissionJournal

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._protocol.intents import Intent
    from .database import Database, Row, Transaction

ReviewState: TypeAlias = Literal["held", "submitting", "waiting", "ended"]

_REVIEW = "name, state, created_at, title, root, base, settings, choice"
_SUBMISSION = (
    "m.number, m.provider, m.attempts, m.spec, m.submission, m.error, s.state, s.task"
    " FROM review_submission m LEFT JOIN submission s ON s.id = m.submission"
)


class SubmissionState(enum.StrEnum):
    """What is known about one submission of a review.

    "planned" was not sent; "open" may have created a task; "submitted" has one; "failed" has none, and is not sent.
    """

    PLANNED = "planned"
    OPEN = "open"
    SUBMITTED = "submitted"
    FAILED = "failed"


class ReviewSubmission(Value, frozen=True, kw_only=True):
    """One submission of a review. `id` is that of its intent, `spec` what is sent, None where it need not be sent."""

    number: int
    provider: str
    attempts: int = 1
    state: SubmissionState = SubmissionState.PLANNED
    ref: TaskRef | None = None
    error: str | None = None
    id: str | None = None
    spec: TaskSpec | None = None

    _hidden: ClassVar[frozenset[str]] = frozenset({"spec"})
    _json: ClassVar[JsonFields] = {
        "number": "number in the review, from 1",
        "provider": "the provider's name",
        "attempts": "how many attempts were requested",
        "state": "planned, open (it may have created a task), submitted or failed",
        "ref": "its task",
        "error": "why there is no task",
    }


class StoredReview(Value, frozen=True, kw_only=True):
    """A review: its name, its submissions, and how its candidates are checked.

    `state` is "held" (by a gate), "submitting", "waiting" or "ended". `root` is the checkout it was begun in and `base` the commit of it
    at that time. `settings` are those of the checks, as the caller gave them; `choice` is the candidate that was
    chosen.
    """

    name: str
    state: ReviewState = "submitting"
    created_at: datetime
    title: str = ""
    root: str | None = None
    base: str | None = None
    settings: Mapping[str, Any] = {}
    choice: str | None = None
    submissions: tuple[ReviewSubmission, ...] = ()

    _json: ClassVar[JsonFields] = {
        "name": "its name",
        "state": "held (by a gate), submitting, waiting or ended",
        "created_at": "when it was begun",
        "title": "the beginning of the prompt",
        "root": "the checkout that it was begun in",
        "base": "the commit of that checkout at that time",
        "choice": "name of the candidate that was chosen",
        "submissions": "what was submitted, and to which service: objects with number, provider, attempts, state, ref, error",
    }

    @property
    def refs(self) -> tuple[TaskRef, ...]:
        """The tasks of its submissions."""
        return tuple(each.ref for each in self.submissions if each.ref is not None)


class ReviewStore:
    """The reviews in a database."""

    def __init__(self, database: Database, *, clock: Clock, old_folder: str | None = None) -> None:
        """*old_folder* is where versions before the store kept their journal."""
        self._database, self._clock, self._old_folder = database, clock, old_folder

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def create(
        self,
        names: Iterator[str],
        submissions: Sequence[ReviewSubmission],
        *,
        title: str,
        root: str | None = None,
        base: str | None = None,
        settings: Mapping[str, Any] | None = None,
        is_held: bool = False,
    ) -> StoredReview:
        """Store a review under the first of *names* that no review has. Raises `ConfigurationError` for no such name.

        With *is_held* its prompts are not stored: `release` adds them.
        """
        review = StoredReview(
            name="",
            state="held" if is_held else "submitting",
            created_at=datetime.fromtimestamp(self._clock.time(), UTC),
            title=title,
            root=root,
            base=base,
            settings=settings or {},
            submissions=tuple(submissions),
        )
        last = ""
        for last in names:
            named = msgspec.structs.replace(review, name=last)
            if self._insert(named):
                return named
        raise errors.ConfigurationError(
            f"there is a review with the name {last!r}",
            remedy=f"choose another with --name, or continue it with: coatcheck review {last}",
        )

    def release(self, name: str, specs: Mapping[int, TaskSpec]) -> bool:
        """Let a review that is held be submitted, with *specs* by the numbers of submissions; False where it is not."""
        with self._database.writing() as transaction:
            row = transaction.row(
                "UPDATE review SET state = 'submitting' WHERE name = ? AND state = 'held' RETURNING name", (name,)
            )
            for number, spec in specs.items() if row is not None else ():
                transaction.change(
                    "UPDATE review_submission SET spec = ? WHERE review = ? AND number = ? AND error IS NULL",
                    (_text(spec), name, number),
                )
        return row is not None

    def get(self, name: str) -> StoredReview | None:
        """Return a review, None where there is none."""
        with self._database.reading() as transaction:
            row = transaction.row(f"SELECT {_REVIEW} FROM review WHERE name = ?", (name,))  # noqa: S608 - ours
            return None if row is None else _review(row, _submissions(transaction, name))

    def list_reviews(self, *, limit: int = 50, after: str | None = None) -> Sequence[StoredReview]:
        """Return the newest reviews; with *after* those that are listed after the review of this name."""
        older = "WHERE (created_at, name) < (SELECT created_at, name FROM review WHERE name = ?)" if after else ""
        query = f"SELECT {_REVIEW} FROM review {older} ORDER BY created_at DESC, name DESC LIMIT ?"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (after, limit) if after else (limit,))
            return [_review(row, _submissions(transaction, row[0])) for row in rows]

    def record_error(self, name: str, number: int, error: str) -> bool:
        """Record why a submission has no task, and that it is not sent; False where that was recorded before."""
        with self._database.writing() as transaction:
            row = transaction.row(
                "UPDATE review_submission SET error = ?, spec = NULL"
                " WHERE review = ? AND number = ? AND error IS NULL RETURNING number",
                (error, name, number),
            )
        return row is not None

    def advance(self, name: str, state: ReviewState, *, from_states: Sequence[ReviewState]) -> bool:
        """Change the state of a review, if it has one of *from_states*; False where it has not."""
        marks = ", ".join("?" * len(from_states))
        with self._database.writing() as transaction:
            row = transaction.row(
                f"UPDATE review SET state = ? WHERE name = ? AND state IN ({marks}) RETURNING name",  # noqa: S608 - ours
                (state, name, *from_states),
            )
        return row is not None

    def record_ranking(self, name: str, choice: str | None, *, candidates: int, is_final: bool) -> bool:
        """Record which candidate was chosen, None for none, and the event of it; False for a choice that was recorded.

        *is_final* ends the review: no task of it is still running.
        """
        now = self._clock.time()
        state = "ended" if is_final else "waiting"
        event = ReviewRanked(
            subject=f"review:{name}", at=datetime.fromtimestamp(now, UTC), chosen=choice, candidates=candidates
        )
        with self._database.writing() as transaction:
            transaction.lock_events()
            row = transaction.row(
                "UPDATE review SET state = ?, choice = ? WHERE name = ?"
                " AND (state <> ? OR COALESCE(choice, '') <> ?) RETURNING name",
                (state, choice, name, state, choice or ""),
            )
            if row is not None:
                append_events(transaction, [event], at=now)
        return row is not None

    def forget_specs(self, name: str) -> None:
        """Delete the prompts of submissions that need not be sent again."""
        with self._database.writing() as transaction:
            transaction.change(
                "UPDATE review_submission SET spec = NULL WHERE review = ? AND submission IS NOT NULL", (name,)
            )

    def delete(self, names: Sequence[str]) -> int:
        """Delete reviews; their tasks and the journal of their submissions stay. Return how many there were.

        Gates that hold them are withdrawn.
        """
        gates, count = GateStore(self._database, time=self._clock.time), 0
        for name in names:
            gates.withdraw_all(f"review:{name}", why="the review was deleted", kinds=["submission"])
        with self._database.writing() as transaction:
            for name in names:
                transaction.change("DELETE FROM review_submission WHERE review = ?", (name,))
                count += transaction.change("DELETE FROM review WHERE name = ?", (name,))
        return count

    def journal(self, *, template: tuple[str, str] | None = None) -> ReviewJournal:
        """Return a journal for the submissions of one thread; *template* is the one of their prompt, and its digest."""
        return ReviewJournal(self._database, old_folder=self._old_folder, template=template)

    def _insert(self, review: StoredReview) -> bool:
        document = msgspec.json.encode(review.settings).decode()
        times = review.created_at.timestamp()
        try:
            with self._database.writing() as transaction:
                transaction.change(
                    f"INSERT INTO review ({_REVIEW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
                    (review.name, review.state, times, review.title, review.root, review.base, document, review.choice),
                )
                for each in review.submissions:
                    spec = None if review.state == "held" else _text(each.spec)
                    transaction.change(
                        "INSERT INTO review_submission (review, number, provider, attempts, spec, error)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (review.name, each.number, each.provider, each.attempts, spec, each.error),
                    )
        except UniqueError:
            return False
        return True


class AlreadySubmittedError(errors.CoatcheckError):
    """Another process has sent this submission."""


class ReviewJournal(SubmissionJournal):
    """The journal of submissions, which also records which submission of a review an intent is for."""

    # The review and the number of the submission that is sent now.
    _current: tuple[str, int] | None = None

    @contextmanager
    def submitting(self, review: str, number: int) -> Iterator[None]:
        """Record intents for the submission *number* of *review*."""
        self._current = (review, number)
        try:
            yield
        finally:
            self._current = None

    def on_begin(self, transaction: Transaction, intent: Intent) -> None:
        """Record the intent as that of the submission. Raises `AlreadySubmittedError` where it has one."""
        if self._current is None:
            return
        row = transaction.row(
            "UPDATE review_submission SET submission = ?"
            " WHERE review = ? AND number = ? AND submission IS NULL AND error IS NULL RETURNING number",
            (intent.id, *self._current),
        )
        if row is None:
            raise AlreadySubmittedError(remedy=f"continue it with: coatcheck review {self._current[0]}")

    def on_abandon(self, transaction: Transaction, intent: Intent) -> None:
        """Record that the submission, which certainly created no task, may be sent."""
        if self._current is not None:
            transaction.change(
                "UPDATE review_submission SET submission = NULL WHERE review = ? AND number = ? AND submission = ?",
                (*self._current, intent.id),
            )


def _submissions(transaction: Transaction, name: str) -> tuple[ReviewSubmission, ...]:
    rows = transaction.rows(f"SELECT {_SUBMISSION} WHERE m.review = ? ORDER BY m.number", (name,))
    return tuple(map(_submission, rows))


def _submission(row: Row) -> ReviewSubmission:
    number, provider, attempts, spec, id, error, state, task = row
    return ReviewSubmission(
        number=number,
        provider=provider,
        attempts=attempts,
        state=_state(id, error, state, task),
        ref=None if task is None else TaskRef(provider, task),
        error=error,
        id=id,
        spec=None if spec is None else TaskSpec.from_dict(msgspec.json.decode(spec)),
    )


def _state(id: str | None, error: str | None, state: str | None, task: str | None) -> SubmissionState:
    """Return the state of a submission; one whose intent was closed without a task is never sent again."""
    if task is not None:
        return SubmissionState.SUBMITTED
    if error is not None or state == "abandoned":
        return SubmissionState.FAILED
    return SubmissionState.PLANNED if id is None else SubmissionState.OPEN


def _review(row: Row, submissions: tuple[ReviewSubmission, ...]) -> StoredReview:
    name, state, created_at, title, root, base, settings, choice = row
    return StoredReview(
        name=name,
        state=state,
        created_at=datetime.fromtimestamp(created_at, UTC),
        title=title,
        root=root,
        base=base,
        settings=msgspec.json.decode(settings),
        choice=choice,
        submissions=submissions,
    )


def prune_reviews(transaction: Transaction, before: float) -> int:
    """Delete the reviews that have ended and were begun before a time (seconds since the epoch); how many there were.

    A review whose gate was rejected, or whose deadline has passed, has ended.
    """
    gates = "SELECT 1 FROM gate WHERE subject = 'review:' || review.name AND gate.state IN ('open', 'approved')"
    ended = f"(state = 'ended' OR (state = 'held' AND NOT EXISTS ({gates}))) AND created_at < ?"
    transaction.change(
        f"DELETE FROM review_submission WHERE review IN (SELECT name FROM review WHERE {ended})",  # noqa: S608 - ours
        (before,),
    )
    return transaction.change(f"DELETE FROM review WHERE {ended}", (before,))  # noqa: S608 - ours


def _text(spec: TaskSpec | None) -> str | None:
    return None if spec is None else msgspec.json.encode(spec.to_dict()).decode()
