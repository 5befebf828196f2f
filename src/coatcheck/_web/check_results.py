"""What the checks of candidates that this server has run found: score cards, and the output of a check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._app.candidate_reviews import check_output
from .page_errors import PageNotFoundError

if TYPE_CHECKING:
    from .._app.outcomes import ChosenPatch
    from .._model.tasks import TaskRef
    from .._review.score_card import ScoreCard
    from .candidate_sets import CandidateSet
    from .site import Site


def card_of(site: Site, ref: TaskRef, chosen: ChosenPatch) -> ScoreCard | None:
    """Return the newest score card of the patch of an attempt, None where it was not checked."""
    rankings = (job.ranking for job in site.check_jobs.newest_first() if job.ranking is not None)
    for card in (card for ranking in rankings for card in ranking.cards):
        candidate, patch = card.candidate, chosen.outcome.patch
        if (candidate.ref, candidate.attempt) == (ref, chosen.number) and candidate.patch and patch:
            return card if bytes(candidate.patch) == bytes(patch) else None
    return None


def check_log(site: Site, candidates: CandidateSet, number: int, check: str) -> str:
    """Return what a check of candidate *number* has printed. Raises `PageNotFoundError` where it was not run."""
    shown, job = candidates.at(number), site.check_jobs.get(candidates.path)
    cards = job.ranking.cards if job is not None and job.ranking is not None else ()
    results = (result for card in cards if card.candidate.name == shown.candidate.name for result in card.checks)
    result = next((each for each in results if each.check == check), None)
    if result is None:
        raise PageNotFoundError(f"{shown.label} has no result of the check {check!r}", remedy="run the checks first")
    return check_output(site.config, result, clock=site.clock).decode("utf-8", "replace")
