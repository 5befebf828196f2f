"""Operations on reviews: list them, read one with its candidates and checks, and record a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ... import errors
from ..._values.json_fields import to_object
from ..comparison import review_set
from ..review_actions import record_choice
from .bodies import Body, Limit, Short
from .candidates import CANDIDATES, CHECKS, bound, candidate_digest, get_checks, list_candidates, number_of
from .endpoints import TEXT_OR_NULL, Call, Endpoint, Schema, fields, many, ref

if TYPE_CHECKING:
    from ..candidate_sets import CandidateSet


class ReviewQuery(Body, frozen=True, kw_only=True):
    """Which reviews are listed; `cursor` is that of the page before."""

    cursor: Annotated[str, Meta(max_length=500)] | None = None
    limit: Limit = 50


class NewChoice(Body, frozen=True, kw_only=True):
    """A choice. With `digest`, that of the candidate, another patch is not chosen."""

    digest: Short | None = None


def list_reviews(call: Call) -> Any:
    """Return a page of the reviews, the newest first."""
    query: ReviewQuery = call.query
    store = call.request.site.reviews
    if query.cursor and store.get(query.cursor) is None:
        raise errors.ConfigurationError(
            f"{query.cursor!r} is not the cursor of a page", remedy="begin at the first page"
        )
    found = store.list_reviews(limit=query.limit + 1, after=query.cursor)
    page = found[: query.limit]
    cursor = page[-1].name if len(found) > query.limit else None
    return {"reviews": [to_object(each) for each in page], "cursor": cursor}


def get_review(call: Call, candidates: CandidateSet) -> Any:
    """Return a review with its candidates, and the checks of them that this server has run."""
    review = candidates.review
    assert review is not None  # noqa: S101 - the path names one
    return {"review": to_object(review), **list_candidates(call, candidates), **get_checks(call, candidates)}


def choose(call: Call, candidates: CandidateSet) -> Any:
    """Record that a person has chosen a candidate; nothing is applied."""
    chosen, digest = candidates.at(number_of(call)), call.body.digest
    if digest is not None and digest != candidate_digest(chosen):
        raise errors.ConflictError(
            f"{chosen.label} has changed since it was read", status=409, remedy="read the review again"
        )
    record_choice(call.request.site, candidates, chosen, via="api")
    return to_object(review_set(call.request).review)


REVIEW: Schema = {"allOf": [fields(review=ref("StoredReview")), CANDIDATES, CHECKS]}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/reviews", "listReviews", "The reviews in the store, the newest first", list_reviews, fields(reviews=many("StoredReview"), cursor=TEXT_OR_NULL), ReviewQuery),
    Endpoint("GET", "/reviews/{name}", "getReview", "A review with its candidates and their checks", bound(get_review, review_set), REVIEW, errors=(404,)),
    Endpoint("POST", "/reviews/{name}/candidates/{number}/choose", "chooseCandidate", "Record a choice; nothing is applied", bound(choose, review_set), ref("StoredReview"), body=NewChoice, errors=(404,)),
)  # fmt: skip
