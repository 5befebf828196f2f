"""Check and rank the candidates of an item in its repository, with the checks of the fleet file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._model.fleets import FleetItem
from .._review.candidates import Candidate
from .._review.checks import Verification
from .._review.ranking import Ranking, rank
from .._review.review import ReviewRequest, ReviewTools, review_candidates
from .._review.score_card import CandidateResult
from .._review.score_cards import Rules, make_score_cards
from .repositories import Repositories
from .reviewing import ItemReview

if TYPE_CHECKING:
    from .._store.check_results import CheckResults
    from .._workspaces.cancellation import CancelScope


class RepositoryReview:
    """Reviews candidates with *verification*; *folder* is private and is kept between runs."""

    def __init__(
        self,
        repositories: Repositories,
        verification: Verification,
        *,
        folder: Path,
        environ: Mapping[str, str],
        results: CheckResults | None = None,
    ) -> None:
        self._repositories, self._verification = repositories, verification
        self._tools = ReviewTools(folder, environ, results)

    def __call__(self, item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
        """Return the ranking of the candidates, and which one may be delivered."""
        if item.repository is None:
            rules = Rules(self._verification.checks)
            return review_of(rank(make_score_cards(candidates, rules), rules.checks))
        base = item.base_commit
        commit = base or next((each.base for each in candidates if each.base), None)
        request = ReviewRequest(
            candidates,
            self._repositories.mirror(item.repository, commit),
            self._verification,
            base=base,
            workers=max(1, (os.cpu_count() or 2) // 2),
        )
        return review_of(review_candidates(request, self._tools, scope=scope))


def review_of(ranking: Ranking) -> ItemReview:
    """Return what a ranking means for an item.

    Without an automatic choice the best candidate is proposed to a person where nothing speaks against it but that it
    was not checked; one that fails a required check, does not apply or is rejected is never proposed.
    """
    document = ranking.to_dict()
    if ranking.choice is not None:
        return ItemReview(choice=ranking.choice, is_automatic=True, why=ranking.reason, document=document)
    best = ranking.cards[0] if ranking.cards else None
    if best is not None and best.result is CandidateResult.UNCHECKED:
        return ItemReview(choice=best.candidate.name, is_automatic=False, why=ranking.reason, document=document)
    return ItemReview(choice=None, is_automatic=False, why=ranking.reason, document=document)
