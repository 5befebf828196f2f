"""Start the checks of a comparison: the commands of a form, or those that a review was begun with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from .._app.apply import ApplyOptions
from .._app.candidate_reviews import review_tools
from .._patches.revisions import find_commit
from .._review.review import ReviewRequest, checks_of, review_candidates
from .._review.review_file import ReviewFile
from .check_jobs import CheckJob, CheckJobs

if TYPE_CHECKING:
    from .._review.ranking import Ranking
    from .._review.verification_results import CheckProgress
    from .._workspaces.cancellation import CancelScope
    from .candidate_sets import CandidateSet
    from .check_jobs import Review
    from .page_request import PageRequest


def file_of(candidates: CandidateSet) -> ReviewFile:
    """Return the checks and rules that a review was begun with, the defaults for the attempts of a task."""
    settings = candidates.review.settings if candidates.review else {}
    return ReviewFile.from_dict(settings) if settings else ReviewFile()


def commands_of(candidates: CandidateSet) -> str:
    """Return the commands of the required checks, one on a line."""
    return "\n".join(check.run for check in file_of(candidates).verification.checks if check.required)


def begin_checks(request: PageRequest, candidates: CandidateSet, jobs: CheckJobs) -> bool:
    """Start the checks; False where they are running. Raises `ConfigurationError` for commands that cannot be run."""
    from msgspec.structs import replace

    commands = [line.strip() for line in request.form.text("checks").splitlines() if line.strip()]
    if not commands:
        raise errors.ConfigurationError("there is no command to run", remedy="write a command, such as: make test")
    if candidates.root is None:
        raise errors.ConfigurationError(
            "checks need a checkout of the repository", remedy="start the page in one: coatcheck web --checkout FOLDER"
        )
    file = file_of(candidates)
    known = {check.run: check for check in file.verification.checks}
    checks = checks_of([known.get(command, command) for command in commands])
    optional = tuple(check for check in file.verification.checks if not check.required and check.run not in commands)
    review = ReviewRequest(
        tuple(each.candidate for each in candidates.shown),
        Path(candidates.root),
        replace(file.verification, checks=(*checks, *optional)),
        base=_base(candidates, Path(candidates.root)),
        policy=ApplyOptions.of(reject=file.reject, ignore=file.ignore, strict=file.strict).policy(),
        allow_protected=file.allow_protected,
        scorer=file.scorer,
        workers=file.workers or 2,
    )
    return jobs.start(candidates.path, CheckJob("\n".join(commands), candidates.key), _run(request, review))


def _base(candidates: CandidateSet, repository: Path) -> str | None:
    """Return the commit at which a review was begun, where no task reports a base that is in the repository."""
    review = candidates.review
    if review is None or review.base is None or find_commit(repository, review.base) is None:
        return None
    reported = {each.candidate.base for each in candidates.shown if each.candidate.patch and each.candidate.base}
    return None if any(find_commit(repository, each) for each in reported) else review.base


def _run(request: PageRequest, review: ReviewRequest) -> Review:
    site = request.site

    def run(on_progress: Callable[[CheckProgress], None], scope: CancelScope) -> Ranking:
        with review_tools(site.config, clock=site.clock) as tools:
            return review_candidates(review, tools, on_progress=on_progress, scope=scope)

    return run
