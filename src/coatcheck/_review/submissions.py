"""Submit a review to its services and wait for all of them together; continue one that was interrupted.

Invariants:

- a submission is sent only by the process that recorded its intent for the review (`_store/reviews.py`), so that a
  review that is continued, by whatever process, sends nothing twice;
- a submission that may have created a task is searched for, and never sent again;
- an error of a service is a result of its submissions: the other services are not affected; what it may accept later,
  such as after its quota was reset, is sent when the review is continued;
- an interruption records nothing: what was under way is found by the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from .. import errors
from .._store.reviews import AlreadySubmittedError, ReviewSubmission, SubmissionState
from .candidate_sources import task_candidates
from .candidates import Candidate

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .._runtime.client import Client
    from .._store.reviews import ReviewStore, StoredReview
    from .services import Services

# Errors that may have passed when a review is continued: a quota that was used, a service that did not answer, a login
# that is missing.
TRANSIENT = (
    errors.RateLimitError,
    errors.ProviderUnavailableError,
    errors.TransportError,
    errors.CredentialsError,
    errors.AuthenticationError,
)
# The text of an error of a service.
Describe: TypeAlias = Callable[[errors.CoatcheckError, str], str]


class SubmissionResult(NamedTuple):
    """What is known about a submission now: its task as it was last seen, and the error of its service."""

    submission: ReviewSubmission
    task: Task | None = None
    error: errors.CoatcheckError | None = None

    def candidates(self) -> tuple[Candidate, ...]:
        """Return a candidate for each attempt of the task, or one with the error of the submission."""
        if self.task is not None:
            return task_candidates(self.task)
        submission = self.submission
        name = str(submission.ref) if submission.ref else f"{submission.provider}/{submission.number}"
        reason = str(self.error or submission.error or "it was not submitted")
        return (Candidate(name=name, ref=submission.ref, error=reason),)

    @property
    def is_final(self) -> bool:
        """Whether waiting again would change nothing."""
        if self.task is not None:
            return self.task.state.is_terminal
        return self.submission.state is SubmissionState.FAILED


class ReviewRun:
    """One review that is submitted and waited for, by this process. `review` is as it was stored before."""

    def __init__(
        self,
        review: StoredReview,
        *,
        store: ReviewStore,
        services: Services,
        describe: Describe | None = None,
    ) -> None:
        """*describe* returns the text of an error of a service."""
        self.review = review
        self._store, self._threads, self._journals = store, services.threads, services.journals
        self._unavailable = services.unavailable
        self._describe = describe or (lambda error, _: str(error))
        self._results: dict[int, SubmissionResult] = {}

    def submit(self, handle: Callable[[SubmissionResult], object]) -> None:
        """Send what was not sent and search for what is uncertain; call *handle* with each submission."""
        self._for_each(self.review.submissions, self._submit, handle)
        self._store.forget_specs(self.review.name)
        self._store.advance(self.review.name, "waiting", from_states=["submitting"])

    def wait(
        self,
        handle: Callable[[SubmissionResult], object],
        *,
        timeout: float | None = None,
        interval: float | None = None,
        known: Mapping[TaskRef, Task] | None = None,
        on_idle: Callable[[], float | None] | None = None,
    ) -> None:
        """Wait for all tasks; call *handle* with each as it ends or needs input, and with what cannot be waited for.

        *known* are tasks that have ended, which are not requested again. *timeout* is for all of them.
        """
        submitted = []
        for each in self.results:
            ref = each.submission.ref
            if ref is None:
                continue
            if known is not None and ref in known:
                self._results[each.submission.number] = SubmissionResult(each.submission, known[ref])
            else:
                submitted.append(each.submission)

        def work(client: Client, submissions: Sequence[ReviewSubmission]) -> Iterator[SubmissionResult]:
            return _wait(client, submissions, timeout=timeout, interval=interval)

        self._for_each(submitted, work, handle, on_idle=on_idle)

    @property
    def results(self) -> tuple[SubmissionResult, ...]:
        """What is known about each submission, by number."""
        return tuple(self._results.get(each.number, SubmissionResult(each)) for each in self.review.submissions)

    def _for_each(
        self,
        submissions: Sequence[ReviewSubmission],
        work: Callable[[Client, Sequence[ReviewSubmission]], Iterator[SubmissionResult]],
        handle: Callable[[SubmissionResult], object],
        *,
        on_idle: Callable[[], float | None] | None = None,
    ) -> None:
        groups: dict[str, list[ReviewSubmission]] = {}
        for each in submissions:
            groups.setdefault(each.provider, []).append(each)

        def record(result: SubmissionResult) -> None:
            self._results[result.submission.number] = result
            handle(result)

        for name in self._unavailable.keys() & groups:
            for each in groups.pop(name):
                record(SubmissionResult(each, error=_error_of(each, self._unavailable[name])))
        self._threads.for_each(groups, lambda name, client: work(client, groups[name]), record, on_idle=on_idle)

    # --- in the threads of the services -------------------------------------------------------------------------------

    def _submit(self, client: Client, submissions: Sequence[ReviewSubmission]) -> Iterator[SubmissionResult]:
        for submission in submissions:
            if submission.state is SubmissionState.PLANNED:
                yield self._send(client, submission)
            elif submission.state is SubmissionState.OPEN:
                yield self._search(client, submission)
            else:
                yield SubmissionResult(submission, error=_error_of(submission))

    def _send(self, client: Client, submission: ReviewSubmission) -> SubmissionResult:
        """Send a submission, and return it as the store has it afterwards."""
        if submission.spec is None:  # deleted by a process that found it sent
            return self._stored(submission)
        try:
            with self._journals[submission.provider].submitting(self.review.name, submission.number):
                task = client.create_task(submission.spec)
        except errors.StoreError:
            raise
        except (AlreadySubmittedError, errors.SubmissionUncertainError) as error:
            return self._stored(submission, error)
        except errors.CoatcheckError as error:
            return self._refused(submission, error)
        return SubmissionResult(
            msgspec.structs.replace(submission, ref=task.ref, state=SubmissionState.SUBMITTED), task
        )

    def _refused(self, submission: ReviewSubmission, error: errors.CoatcheckError) -> SubmissionResult:
        """Record that a submission certainly created no task, unless it was this process that ended it.

        After an error that passes (`TRANSIENT`) it stays planned: the next call sends it.
        """
        message = self._describe(error, submission.provider)
        if isinstance(error, TRANSIENT):
            return SubmissionResult(submission, error=errors.CoatcheckError(message))
        if not self._threads.is_stopped:
            self._store.record_error(self.review.name, submission.number, message)
        failed = msgspec.structs.replace(submission, error=message, state=SubmissionState.FAILED)
        return SubmissionResult(failed, error=error)

    def _search(self, client: Client, submission: ReviewSubmission) -> SubmissionResult:
        """Search for the task of a submission whose answer was lost."""
        error: errors.CoatcheckError | None = None
        try:
            for resumed in client.resume_submissions():
                if resumed.intent.id == submission.id and resumed.task is not None:
                    found = msgspec.structs.replace(submission, ref=resumed.task.ref, state=SubmissionState.SUBMITTED)
                    return SubmissionResult(found, resumed.task)
                if resumed.intent.id == submission.id and resumed.is_busy:
                    error = AlreadySubmittedError("another process is still submitting the task")
        except errors.StoreError:
            raise
        except errors.UnsupportedError:  # the service has no list: nothing can be found
            pass
        except errors.CoatcheckError as caught:
            error = caught
        return self._stored(submission, error)

    def _stored(self, submission: ReviewSubmission, error: errors.CoatcheckError | None = None) -> SubmissionResult:
        """Return a submission as the store has it now, with the reason why its task is not known."""
        review = self._store.get(self.review.name)
        numbered = {each.number: each for each in review.submissions} if review else {}
        current = numbered.get(submission.number, submission)
        return SubmissionResult(current, error=None if current.ref else error or _error_of(current))


def _error_of(submission: ReviewSubmission, error: errors.CoatcheckError | None = None) -> errors.CoatcheckError | None:
    """Return why a submission has no task, None for one that has; *error* is that of its service."""
    if submission.error is not None:
        return errors.CoatcheckError(submission.error)
    if error is not None or submission.ref is not None:
        return error
    return errors.SubmissionUncertainError(
        f"{submission.provider} may have created a task whose ref is not known; it was not sent again",
        spec=submission.spec,
        remedy=f"search for it with: coatcheck list --provider {submission.provider}",
    )


def _wait(
    client: Client, submissions: Sequence[ReviewSubmission], *, timeout: float | None, interval: float | None
) -> Iterator[SubmissionResult]:
    """Yield each submission with its task when that has ended or needs input, and why others have not."""
    waiting: dict[TaskRef, ReviewSubmission] = {each.ref: each for each in submissions if each.ref is not None}
    try:
        for task in client.poll_tasks(tuple(waiting), timeout=timeout, interval=interval):
            yield _with_attempts(client, SubmissionResult(waiting.pop(task.ref), task))
    except errors.CoatcheckError as error:
        for submission in waiting.values():
            yield SubmissionResult(submission, error=error)


def _with_attempts(client: Client, result: SubmissionResult) -> SubmissionResult:
    """Return *result* with the outcomes of all attempts of its task."""
    task = result.task
    if task is None or not task.state.is_terminal or (task.attempt_total or 1) < 2:
        return result
    try:
        attempts = client.list_attempts(task)
    except errors.CoatcheckError as error:
        return result._replace(task=None, error=error)
    return result._replace(task=msgspec.structs.replace(task, attempts=attempts))
