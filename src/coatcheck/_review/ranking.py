"""The order of candidates, each comparison explained by a sentence, and which candidate is chosen automatically. Pure.

Invariants:
- the order is that of the first criterion in `CRITERIA` in which two candidates differ, so it is the same for every order
  in which the candidates are given, except for ties, which keep that order and are named as ties;
- a candidate with a rejection (`ScoreCard.rejections`) is never chosen;
- nothing is chosen without a required check that passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, TypeAlias

from .._values.value import JsonFields, Value
from .checks import Check, Verdict
from .score_card import CandidateResult, ScoreCard

Key: TypeAlias = tuple[Any, ...]

# So many reasons are named in a sentence.
MAX_REASONS = 3


class RankingStep(Value, frozen=True, kw_only=True):
    """Why one candidate is before the next, or that they are tied."""

    higher: str
    lower: str
    reason: str
    is_tie: bool = False

    _json: ClassVar[JsonFields] = {
        "higher": "name of a candidate",
        "lower": "name of the next one",
        "reason": "why it is before it",
        "is_tie": "whether nothing distinguishes them",
    }

    def __str__(self) -> str:
        if self.is_tie:
            return f"{self.higher} and {self.lower} are tied: {self.reason}"
        return f"{self.higher} before {self.lower}: {self.reason}"


class Ranking(Value, frozen=True, kw_only=True):
    """Candidates in their order, best first.

    `places` are their places, equal for ties. `choice` is the name of the candidate that is chosen automatically, None
    where none is; `reason` is why. `base` is the commit that the candidates were checked on, `notes` are sentences
    about the review as a whole: which base was taken, which checks distinguish nothing, a scorer that failed.
    """

    cards: tuple[ScoreCard, ...] = ()
    places: tuple[int, ...] = ()
    steps: tuple[RankingStep, ...] = ()
    choice: str | None = None
    reason: str = ""
    base: str | None = None
    notes: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "choice": "name of the candidate that is chosen, null where none is",
        "reason": "why it is chosen, or why none is",
        "cards": "score card objects, best first",
        "places": "the place of each card, from 1; ties have the same",
        "steps": "why each candidate is before the next: ranking step objects",
        "base": "the commit that the candidates were checked on",
        "notes": "sentences about the review as a whole",
    }

    @property
    def chosen(self) -> ScoreCard | None:
        """Return the score card of the choice."""
        return next((card for card in self.cards if card.candidate.name == self.choice), None)

    @property
    def conclusion(self) -> str:
        """Return a sentence: which candidate is chosen and why, or why none is."""
        return f"chosen: {self.choice}: {self.reason}" if self.choice else f"nothing is chosen: {self.reason}"

    def to_markdown(self) -> str:
        """Return it as Markdown for a pull request: a table, the checks and the reasons. Names have no effect there."""
        from .report import markdown_report

        return markdown_report(self)

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it."""
        return self.to_markdown()


class Evidence(NamedTuple):
    """A score card with what its comparison needs.

    `required` and `optional` are the names of the checks that passed, `lacking` is the number of required ones that did
    not, `weight` the sum of the weights of the optional ones that passed, of `total_weight` in all. `same` and
    `overlapping` are the numbers of other candidates that make the same change, or change the same lines: of those that
    passed, or of all where none did.
    """

    card: ScoreCard
    required: Sequence[str]
    lacking: int
    optional: Sequence[str]
    weight: float
    total_weight: float
    same: int
    overlapping: int
    lines: int
    files: int
    warnings: int

    @classmethod
    def of(cls, card: ScoreCard, checks: Sequence[Check], others: frozenset[str]) -> Evidence:
        """Return the evidence of *card*; *others* are the names of the candidates whose agreement counts."""
        verdicts = {result.check: result.verdict for result in card.checks}
        passed = [check for check in checks if verdicts.get(check.name) is Verdict.PASSED]
        required = [check.name for check in passed if check.required]
        optional = [check for check in passed if not check.required]
        return cls(
            card=card,
            required=required,
            lacking=sum(check.required for check in checks) - len(required),
            optional=[check.name for check in optional],
            weight=sum(check.weight for check in optional),
            total_weight=sum(check.weight for check in checks if not check.required),
            same=len(others.intersection(card.same_as)),
            overlapping=len(others.intersection(card.overlaps)),
            lines=card.stats.added + card.stats.removed if card.stats else 0,
            files=card.stats.files if card.stats else 0,
            warnings=len(card.findings),
        )


class Criterion(NamedTuple):
    """A value that orders candidates, the smallest first, and the sentence about two candidates that differ in it."""

    key: Callable[[Evidence], Any]
    explain: Callable[[Evidence, Evidence], str]


def rank(cards: Sequence[ScoreCard], checks: Sequence[Check] = ()) -> Ranking:
    """Rank *cards*; *checks* are those of the review."""
    passed = [card for card in cards if not card.rejections]
    names = frozenset(card.candidate.name for card in passed or cards)
    keyed = [(_key(evidence), evidence) for evidence in (Evidence.of(card, checks, names) for card in cards)]
    keyed.sort(key=lambda pair: pair[0])
    steps = [_step(left, right) for left, right in pairwise(keyed)]
    ordered = [evidence for _, evidence in keyed]
    choice, reason = _choose(ordered, steps, checks)
    return Ranking(
        cards=tuple(each.card for each in ordered),
        places=_places(steps) if ordered else (),
        steps=tuple(steps),
        choice=choice,
        reason=reason,
    )


def _key(evidence: Evidence) -> Key:
    return tuple(criterion.key(evidence) for criterion in CRITERIA)


def _step(left: tuple[Key, Evidence], right: tuple[Key, Evidence]) -> RankingStep:
    """Return the comparison of two neighbours by the first criterion in which they differ."""
    (left_key, higher), (right_key, lower) = left, right
    differing = (each for each, one, other in zip(CRITERIA, left_key, right_key, strict=True) if one != other)
    criterion = next(differing, None)
    return RankingStep(
        higher=higher.card.candidate.name,
        lower=lower.card.candidate.name,
        reason=criterion.explain(higher, lower) if criterion else _tie_reason(higher.card, lower.card),
        is_tie=criterion is None,
    )


def _tie_reason(left: ScoreCard, right: ScoreCard) -> str:
    if right.candidate.name in left.same_as:
        return "they make the same change"
    return "nothing distinguishes them" if left.candidate.patch else "neither has a patch"


def _places(steps: Sequence[RankingStep]) -> tuple[int, ...]:
    places = [1]
    for number, step in enumerate(steps, 2):
        places.append(places[-1] if step.is_tie else number)
    return tuple(places)


def _choose(
    ordered: Sequence[Evidence], steps: Sequence[RankingStep], checks: Sequence[Check]
) -> tuple[str | None, str]:
    """Return the choice and its reason, or None and why nothing is chosen."""
    if not ordered:
        return None, "there is no candidate"
    if not any(each.card.candidate.patch for each in ordered):
        return None, "no candidate has a patch"
    if not any(check.required for check in checks):
        return None, "no required check was given, and only a candidate that passes one is chosen"
    best, name = ordered[0], ordered[0].card.candidate.name
    if best.lacking or best.card.result is not CandidateResult.PASSED:
        why = _joined(best.card.rejections) or "it has not passed every required check"
        return None, f"no candidate passed; the best of them, {name}: {why}"
    reason = f"it passes {_joined(best.required)}"
    tied = [step.lower for step in steps[:1] if step.is_tie]
    return name, f"{reason}; it is tied with {tied[0]} and was given first" if tied else reason


# --- criteria ---------------------------------------------------------------------------------------------------------


_ORDER = {result: place for place, result in enumerate(CandidateResult)}


def _explain_result(left: Evidence, right: Evidence) -> str:
    """Name what the lower candidate lacks."""
    card, result = right.card, right.card.result
    if result is CandidateResult.NO_PATCH:
        return f"the other has no patch: {card.candidate.error or 'the reason is not known'}"
    if result is CandidateResult.CONFLICT:
        return f"the patch of the other does not apply{_paths(card.conflicts)}"
    if result is CandidateResult.UNCHECKED:
        return f"the other is unchecked: {card.unchecked}"
    if result is CandidateResult.FAILED and (lacking := _without(left.required, right.required)):
        return _explain_lacking(lacking, card)
    return f"the other is rejected: {_joined(card.rejections)}"


def _explain_required(left: Evidence, right: Evidence) -> str:
    if lacking := _without(left.required, right.required):
        return _explain_lacking(lacking, right.card)
    return f"it passes {len(left.required)} required checks, the other {len(right.required)}"


def _explain_lacking(lacking: Sequence[str], card: ScoreCard) -> str:
    verdict = next((result.verdict for result in card.checks if result.check == lacking[0]), None)
    what = "fails" if verdict in (Verdict.FAILED, Verdict.ERROR) else "has not passed"
    return f"it passes {_joined(lacking)}, which the other {what}"


def _explain_weight(left: Evidence, right: Evidence) -> str:
    lacking = _without(left.optional, right.optional)
    weights = f"{left.weight:g} against {right.weight:g} of {left.total_weight:g}"
    return f"it passes {_joined(lacking)}, which the other does not (weight of the optional checks: {weights})"


def _explain_score(left: Evidence, right: Evidence) -> str:
    if right.card.score is None:
        return "it has a score of the scorer, the other has none"
    return f"the scorer gives it {left.card.score:.15g}, the other {right.card.score:.15g}"


def _explain_same(left: Evidence, right: Evidence) -> str:
    return f"{_others(left.same)} make{'s' if left.same == 1 else ''} the same change as it, and {_others(right.same)} as the other"


def _explain_overlaps(left: Evidence, right: Evidence) -> str:
    count, other = left.overlapping, _others(right.overlapping)
    return f"{_others(count)} change{'s' if count == 1 else ''} the same lines as it, and {other} as the other"


def _explain_lines(left: Evidence, right: Evidence) -> str:
    return f"it changes {left.lines} line{'' if left.lines == 1 else 's'}, the other {right.lines}"


def _explain_files(left: Evidence, right: Evidence) -> str:
    return f"it changes {left.files} file{'' if left.files == 1 else 's'}, the other {right.files}"


def _explain_warnings(left: Evidence, right: Evidence) -> str:
    return f"the rules of patches find {left.warnings or 'nothing'} in it, and {right.warnings} in the other"


def _moment(each: Evidence) -> tuple[bool, float]:
    ended_at = each.card.candidate.ended_at
    return ended_at is None, ended_at.timestamp() if ended_at else 0.0


def _explain_moment(left: Evidence, right: Evidence) -> str:
    if right.card.candidate.ended_at is None:
        return "it is known when it ended, and not when the other did"
    is_same = right.card.candidate.name in left.card.same_as
    return "it makes the same change and ended earlier" if is_same else "it ended earlier"


# In the order of their importance (docs/guides/review.md).
CRITERIA = (
    Criterion(lambda each: _ORDER[each.card.result], _explain_result),
    Criterion(lambda each: -len(each.required), _explain_required),
    Criterion(lambda each: -each.weight, _explain_weight),
    Criterion(lambda each: (each.card.score is None, -(each.card.score or 0.0)), _explain_score),
    Criterion(lambda each: -each.same, _explain_same),
    Criterion(lambda each: -each.overlapping, _explain_overlaps),
    Criterion(lambda each: each.lines, _explain_lines),
    Criterion(lambda each: each.files, _explain_files),
    Criterion(lambda each: each.warnings, _explain_warnings),
    Criterion(_moment, _explain_moment),
)


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in names if name not in others]


def _others(count: int) -> str:
    return f"{count or 'no'} other candidate{'' if count == 1 else 's'}"


def _joined(names: Sequence[str]) -> str:
    more = len(names) - MAX_REASONS
    return ", ".join(names[:MAX_REASONS]) + (f" and {more} more" if more > 0 else "")


def _paths(paths: Sequence[str]) -> str:
    return f" ({_joined(paths)})" if paths else ""
