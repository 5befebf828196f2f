"""Change what is known about candidates: start checks of them, and record which one a person has chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from .._app.apply import ApplyOptions
from .._app.audit import record_action
from .._app.candidate_reviews import review_tools
from .._patches.revisions import find_commit
from .._review.review import ReviewRequest, checks_of, review_candidates
from .._review.review_file import ReviewFile
from .check_jobs import CheckJob

if TYPE_CHECKING:
    from .._app.audit import Channel
    from .._review.ranking import Ranking
    from .._review.verification_results import CheckProgress
    from .._workspaces.cancellation import CancelScope
    from .candidate_sets import CandidateSet, Shown
    from .check_jobs import Review
    from .site import Site


def file_of(candidates: CandidateSet) -> ReviewFile:
    """Return the checks and rules that a review was begun with, the defaults for the attempts of a task."""
    settings = candidates.review.settings if candidates.review else {}
    return ReviewFile.from_dict(settings) if settings else ReviewFile()


def commands_of(candidates: CandidateSet) -> Sequence[str]:
    """Return the commands of the required checks."""
    return [check.run for check in file_of(candidates).verification.checks if check.required]


def begin_checks(site: Site, candidates: CandidateSet, lines: Sequence[str], *, via: Channel) -> bool:
    """Start the commands *lines*; False where checks are running. Raises `ConfigurationError` where one cannot be run."""
    from msgspec.structs import replace

    commands = [line.strip() for line in lines if line.strip()]
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
    job = CheckJob(commands, candidates.key)
    is_started = site.check_jobs.start(candidates.path, job, _run(site, review))
    if is_started:
        record_action(site.events, site.clock, "check", candidates.subject, via=via, text="\n".join(commands))
    return is_started


def record_choice(site: Site, candidates: CandidateSet, chosen: Shown, *, via: Channel) -> None:
    """Record the choice of a person. Raises `ConfigurationError` where there is no review, or nothing to choose."""
    review = candidates.review
    if review is None or chosen.candidate.patch is None:
        reason = "only a review records a choice" if review is None else f"{chosen.label} has no diff"
        raise errors.ConfigurationError(reason, remedy="apply a candidate instead")
    is_final = all(each.task is None or each.task.state.is_terminal for each in candidates.shown)
    count = len(candidates.shown)
    site.reviews.record_ranking(review.name, chosen.candidate.name, candidates=count, is_final=is_final)
    record_action(site.events, site.clock, "choose", candidates.subject, via=via, text=chosen.candidate.name)


def _base(candidates: CandidateSet, repository: Path) -> str | None:
    """Return the commit at which a review was begun, where no task reports a base that is in the repository."""
    review = candidates.review
    if review is None or review.base is None or find_commit(repository, review.base) is None:
        return None
    reported = {each.candidate.base for each in candidates.shown if each.candidate.patch and each.candidate.base}
    return None if any(find_commit(repository, each) for each in reported) else review.base


def _run(site: Site, review: ReviewRequest) -> Review:
    def run(on_progress: Callable[[CheckProgress], None], scope: CancelScope) -> Ranking:
        with review_tools(site.config, clock=site.clock) as tools:
            return review_candidates(review, tools, on_progress=on_progress, scope=scope)

    return run
