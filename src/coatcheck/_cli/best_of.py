"""`run` and `submit` with several services: submit the task to each, wait for all, and compare what they made.

Invariants:

- the review is in the store before anything is submitted, and from then on an error or an interruption names the
  command that continues it;
- an error of a service is one line on stderr.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .. import errors
from .._app.review_plan import PlannedService, begin_review, plan_service
from .._app.stored_reviews import known_reviews, open_reviews
from .._app.submit import attempt_count
from .._model.states import TaskState
from .._review.service_reviews import raise_at_deadline
from .._review.services import open_services
from .._review.submissions import ReviewRun, SubmissionResult
from .._review.targets import Target, names_of, parse_targets
from .console import Styled
from .exit_codes import ExitCode, exit_code_of
from .formatting import age, plural
from .json_output import to_object
from .spec_options import option_of, with_options
from .text_width import columns, padded
from .wait_progress import print_next_step

if TYPE_CHECKING:
    from .._app.candidate_reviews import CandidateSource
    from .._app.submit import SubmitOptions
    from .._app.wait import WaitOptions
    from .._model.tasks import Task, TaskRef
    from .._protocol.intents import Journal
    from .._review.ranking import Ranking
    from .._review.review import ReviewRequest
    from .._review.services import Services
    from .._runtime.client import Client
    from .._store.reviews import ReviewStore, StoredReview
    from .console import Line
    from .context import CommandContext


# Options of `submit` and `run` that are for one task -> what to do instead.
REFUSED: Mapping[str, str] = {
    "mode": "a question has no diff to compare: leave them out, and use one service",
    "attempt": "the ranking chooses the attempt: pass --apply-best",
    "is_applied": "pass --apply-best, which applies the result that is chosen",
    "approve_plan": "decide about a plan with: coatcheck approve REF",
    "resume": "continue a review with: coatcheck review NAME",
    "batch": "a review is one task for several services: submit each line with a command of its own",
}
OPTION_FIELDS = {"is_applied": "apply"}
# Options that choose one service, or are for one -> what to do with several.
ON_REMEDIES: Mapping[str, str] = {
    "--attempts": "write the attempts of each service as --on PROVIDER:N",
    "--provider": "name it with --on",
    "--account": "set the account of each service in its settings",
    "--base-url": "set the address of a service with: coatcheck config set PROVIDER.base_url URL",
}


class ReviewOptions(NamedTuple):
    """The options of a review: those of each submission, its name, and the settings of the checks."""

    submission: SubmitOptions
    name: str | None
    checks: Mapping[str, Any]
    template: tuple[str, str] | None = None

    @property
    def target(self) -> str | None:
        """The environment or the repository that was chosen."""
        return self.submission.environment or self.submission.repository


class ReviewSession:
    """What a command uses to begin or to continue a review: the store, and a client with a journal for each service."""

    def __init__(self, run: CommandContext, store: ReviewStore, services: Services) -> None:
        self.run, self.store, self.services = run, store, services
        self._printed: set[str] = set()
        # Options of the command that continues the review.
        self.words: tuple[str, ...] = ()

    @classmethod
    @contextmanager
    def opened(
        cls,
        run: CommandContext,
        tasks: Mapping[str, Sequence[TaskRef]],
        *,
        environment: str | None = None,
        template: tuple[str, str] | None = None,
    ) -> Iterator[ReviewSession]:
        """Open a session with the services of *tasks*, which are those that are known of each.

        *template* is the one of the prompt, and its digest.
        """

        def open_client(name: str, journal: Journal) -> AbstractContextManager[Client]:
            return run.client(name, environment=environment, waits=True, refs=tasks[name], journal=journal)

        with (
            closing(open_reviews(run.config, clock=run.process_env.clock)) as store,
            open_services(list(tasks), store, open_client, template=template) as services,
        ):
            yield cls(run, store, services)

    @classmethod
    @contextmanager
    def continued(
        cls, run: CommandContext, review: StoredReview, *, template: tuple[str, str] | None = None
    ) -> Iterator[ReviewSession]:
        """Open a session with the services of a review; *template* is the one of its prompt, and its digest."""
        tasks: dict[str, list[TaskRef]] = {}
        for each in review.submissions:
            tasks.setdefault(each.provider, []).extend([each.ref] if each.ref else [])
        environment = next((each.spec.environment for each in review.submissions if each.spec), None)
        with cls.opened(run, tasks, environment=environment, template=template) as session:
            yield session

    def complete(self, review: StoredReview, options: WaitOptions, *, is_refreshed: bool = False) -> ReviewRun:
        """Submit what is to be submitted, and wait for all. Raises `WaitTimeoutError` where a task still runs."""
        submitted = self.submit(review)
        self.wait(submitted, options, is_refreshed=is_refreshed)
        raise_at_deadline(review.name, submitted.results)
        return submitted

    def plan(self, targets: Sequence[Target], prompt: str, options: SubmitOptions) -> list[PlannedService]:
        """Return what each service gets, in the order of *targets*."""
        by_name = {target.provider: target for target in targets}
        unavailable = self.services.unavailable
        planned = {name: PlannedService(by_name[name], error=error) for name, error in unavailable.items()}
        workspace = self.run.workspace

        def work(name: str, client: Client) -> Iterator[PlannedService]:
            yield plan_service(workspace, client, by_name[name], prompt, options)

        available = [name for name in by_name if name not in unavailable]
        self.services.threads.for_each(available, work, lambda each: planned.update({each.target.provider: each}))
        return [planned[target.provider] for target in targets]

    def begin(
        self, targets: Sequence[Target], prompt: str, options: ReviewOptions, *, is_held: bool = False
    ) -> StoredReview:
        """Store a review of *targets*, and print what their agents will not see of the checkout."""
        names = names_of(options.name, prompt)
        services = self.plan(targets, prompt, options.submission)
        for warning in dict.fromkeys(each.warning for each in services if each.warning):
            self.run.warn(f"warning: {warning}")
        return begin_review(
            self.store,
            services,
            names,
            prompt=prompt,
            workspace=self.run.workspace,
            settings=options.checks,
            describe=self._describe,
            is_held=is_held,
        )

    def submit(self, review: StoredReview) -> ReviewRun:
        """Send what is to be sent, print each ref, and return the run."""
        expect_interruption(self.run, review.name, *self.words)
        progress = ReviewRun(
            review,
            store=self.store,
            services=self.services,
            describe=self._describe,
        )
        self.run.console.progress(lambda: ("submitting",))
        submitted_before = {each.number for each in review.submissions if each.ref is not None}

        def handle(result: SubmissionResult) -> None:
            if result.submission.number not in submitted_before or result.error is not None:
                self._print_submission(result)

        progress.submit(handle)
        if any(each.ref is None for each in review.submissions):  # else it was continued, and nothing was sent
            name = Styled(review.name, "bold")
            self.run.note(
                ("The review is ", name, f"; continue it with: {self.run.hint('review', review.name, *self.words)}")
            )
        return progress

    def wait(self, review: ReviewRun, options: WaitOptions, *, is_refreshed: bool = False) -> None:
        """Wait for all tasks, and print the errors of services. Tasks that have ended are read from the history."""
        refs = [each.submission.ref for each in review.results if each.submission.ref is not None]
        known = {} if is_refreshed else self._ended(refs)
        progress = (
            self.run.start_progress(*(ref for ref in refs if ref not in known)) if len(known) < len(refs) else None
        )

        def handle(result: SubmissionResult) -> None:
            if result.task is not None and progress is not None:
                progress.record_event(result.task.ref, "", result.task.state)
            self._print_end(result)

        def on_idle() -> float | None:
            if progress is None:
                return None
            progress.refresh()
            return progress.tick

        review.wait(handle, timeout=options.timeout, interval=options.interval, known=known, on_idle=on_idle)

    def _ended(self, refs: Sequence[TaskRef]) -> dict[TaskRef, Task]:
        """Return the tasks that have ended and whose results are in the history."""
        found = {ref: self.run.history.find(ref) for ref in refs}
        known = {ref: stored.entry for ref, stored in found.items() if stored is not None}
        self.run.read_from_history.update({ref: entry.recorded_at for ref, entry in known.items()})
        return {ref: entry.task for ref, entry in known.items()}

    def _print_end(self, result: SubmissionResult) -> None:
        """Print why a service has made nothing, and how a task that waits for a person continues."""
        task = result.task
        if task is None:
            if not isinstance(result.error, errors.WaitTimeoutError):  # of which there is one error for all
                self._print_error(result)
        elif task.state.is_interrupted:
            print_next_step(self.run, task)
        elif task.state.is_terminal and task.state is not TaskState.SUCCEEDED:
            reason = f": {task.error}" if task.error and str(task.error) else ""
            self.run.console.note(f"coatcheck: {task.ref}: it ended without success ({task.state.value}){reason}")

    def _print_submission(self, result: SubmissionResult) -> None:
        if result.error is not None:
            self._print_error(result)
            return
        count = result.submission.attempts
        attempts = f" ({count} attempts)" if count > 1 else ""
        url = f"  {result.task.url}" if result.task is not None and result.task.url else ""
        self.run.note(("submitted ", Styled(str(result.submission.ref), "bold"), f"{attempts}{url}"))

    def _print_error(self, result: SubmissionResult) -> None:
        if result.error is None:
            return
        line = self._describe(result.error, result.submission.provider)
        if line not in self._printed:  # one error of a service is that of all its submissions
            self._printed.add(line)
            self.run.console.note(f"coatcheck: {line}")

    def _describe(self, error: errors.CoatcheckError, provider: str) -> str:
        """Return one line about an error of a service, which names the service."""
        from .app import one_line

        named = self.run.in_context(error, provider=provider, refs=())
        line = one_line(with_options(named), exit_code_of(named))
        is_named = re.search(rf"(?<![\w./-]){re.escape(provider)}(?![\w./-])", line)
        return line if is_named else f"{provider}: {line}"


def expect_interruption(run: CommandContext, name: str, *words: str) -> None:
    """Set what an interruption of the review *name* reports; *words* are options of the command that continues it."""
    run.outages.are_shown = True
    command = run.hint("review", name, *words)
    run.process_env.interruption.expect(f"the review {name} is kept; continue it with: {command}")
    run.console.remedy = f"continue the review with: {command}"


def targets_of(run: CommandContext, options: Mapping[str, Any]) -> tuple[Target, ...]:
    """Return the services of a review. Raises `ConfigurationError` for options that are for one service.

    Without ``--on`` it is the service of the command, with its attempts.
    """
    for name, remedy in REFUSED.items():
        if options.get(name):
            option = option_of(OPTION_FIELDS.get(name, name))
            raise errors.ConfigurationError(f"{option} cannot be combined with --on, --check, --name", remedy=remedy)
    if not options["on"]:
        return (Target(run.provider, attempt_count(run.config, options["attempts"])),)
    common = click.get_current_context().params
    given = {
        "--attempts": common.get("attempts"),
        **{f"--{name}": common.get(name) for name in ("provider", "account")},
    }
    given["--base-url"] = run.base_url
    for option, value in given.items():
        if value is not None:
            raise errors.ConfigurationError(f"{option} and --on cannot be combined", remedy=ON_REMEDIES[option])
    return parse_targets(options["on"], run.config, attempts=attempt_count(run.config, options["attempts"]))


def submit_review(run: CommandContext, targets: Sequence[Target], prompt: str, options: ReviewOptions) -> int:
    """Submit a task to several services, print its refs, and return the exit code."""
    tasks: Mapping[str, Sequence[TaskRef]] = {target.provider: () for target in targets}
    with ReviewSession.opened(run, tasks, environment=options.target, template=options.template) as session:
        review = session.begin(targets, prompt, options)
        results = session.submit(review).results
    return answer_with_submissions(run, submission_document(review.name, results), results)


def answer_with_submissions(run: CommandContext, document: dict[str, Any], results: Sequence[SubmissionResult]) -> int:
    """Print the refs of a review that was submitted, as JSON *document*; return the exit code."""
    run.answer(lambda: document, lambda: [str(ref) for ref in refs_of(results)])
    failed = next((each.error for each in results if each.error is not None), None)
    if failed is None:
        return ExitCode.DONE
    return ExitCode.FAILURES if refs_of(results) else exit_code_of(failed)


class EndedReview(NamedTuple):
    """A review whose tasks were waited for, and the store in which its choice is recorded."""

    store: ReviewStore
    submitted: ReviewRun

    @property
    def review(self) -> StoredReview:
        """The review as it was stored."""
        return self.submitted.review

    @property
    def needs_input(self) -> bool:
        """Whether a task waits for a person."""
        return any(each.task is not None and each.task.state.is_interrupted for each in self.submitted.results)

    def record(self, ranking: Ranking) -> None:
        """Record the choice; the review has ended where none of its tasks can still change."""
        is_final = all(each.is_final for each in self.submitted.results)
        self.store.record_ranking(self.review.name, ranking.choice, candidates=len(ranking.cards), is_final=is_final)

    def document(self) -> dict[str, Any]:
        """Return the JSON form of the review."""
        return {
            "name": self.review.name,
            "submissions": [to_object(each.submission) for each in self.submitted.results],
        }


def sources_of(results: Sequence[SubmissionResult]) -> list[CandidateSource]:
    """Return a source for each candidate of the submissions."""
    from .._app.candidate_reviews import CandidateSource

    return [CandidateSource(candidate, task=each.task) for each in results for candidate in each.candidates()]


def base_of(run: CommandContext, review: StoredReview, request: ReviewRequest) -> str | None:
    """Return the commit of the checkout when the review was begun, None where a task reports a base that is there."""
    from .._patches.revisions import find_commit
    from .._review.bases import SHORT_ID

    if review.base is None or find_commit(request.repository, review.base) is None:
        return None
    reported = {each.base for each in request.candidates if each.patch and each.base}
    if any(find_commit(request.repository, each) for each in reported):
        return None
    problem = "no task reports a base" if not reported else "the base that the tasks report is not in the checkout"
    run.note(f"{problem}; the candidates are checked on {review.base[:SHORT_ID]}, where the review was begun")
    return review.base


def list_reviews(run: CommandContext) -> int:
    """Print the reviews, the newest first."""
    reviews = known_reviews(run.config)
    run.answer(
        lambda: {"reviews": [to_object(each) for each in reviews]},
        lambda: _review_table(run, reviews) or ["No review was begun."],
        is_long=True,
    )
    return ExitCode.DONE


def _review_table(run: CommandContext, reviews: Sequence[StoredReview]) -> list[Line]:
    """Return a line for each review: its name, its age, its state, its tasks and what was chosen."""
    rows = [
        (each.name, age(each.created_at, run.now), each.state, f"{plural(len(each.refs), 'task')}", each.choice or "")
        for each in reviews
    ]
    widths = [max((columns(row[place]) for row in rows), default=0) for place in range(4)]
    return ["  ".join((*map(padded, row, widths), row[4])).rstrip() for row in rows]


def refs_of(results: Sequence[SubmissionResult]) -> list[TaskRef]:
    """Return the refs of the tasks that were submitted."""
    return [each.submission.ref for each in results if each.submission.ref is not None]


def submission_document(name: str, results: Sequence[SubmissionResult]) -> dict[str, Any]:
    """Return the JSON form of the review *name*, which was submitted."""
    return {
        "review": name,
        "submissions": [
            {**to_object(each.submission), "task": each.task and to_object(each.task, is_summary=True)}
            for each in results
        ],
    }
