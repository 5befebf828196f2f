"""A ranking in words: those that the command line and Markdown share, and the Markdown. Pure.

`Ranking` is typed `Any`, because its module imports this one.

Names, titles and reasons are of agents and services: in Markdown they are escaped and have no effect. Text that hosts may
take for the name of a person or of an issue is a code span, where they do not look for any
(https://docs.github.com/get-started/writing-on-github, "Mentioning people and teams").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._export import notebook
from .._patches.hidden_characters import escape
from .._values.markdown_text import code_span, one_line, table
from .checks import CheckResult

if TYPE_CHECKING:
    from .score_card import ScoreCard


def check_names(cards: Iterable[ScoreCard]) -> tuple[str, ...]:
    """Return the names of the checks that were run, in the order of the first card that has each."""
    return tuple(dict.fromkeys(result.check for card in cards for result in card.checks))


def check_word(card: ScoreCard, check: str) -> str:
    """Return what a check found: "failed → passed" for base and candidate."""
    result = next((result for result in card.checks if result.check == check), None)
    return "" if result is None else verdict_words(result)


def verdict_words(result: CheckResult) -> str:
    """Return the verdicts of base and candidate, the candidate's alone where the base was not checked."""
    before = "" if result.base_verdict is None else f"{result.base_verdict.value} → "
    return f"{before}{result.verdict.value}"


def size_word(card: ScoreCard) -> str:
    """Return the size of the change: "+3/-1"."""
    return f"+{card.stats.added}/-{card.stats.removed}" if card.stats else ""


def score_word(card: ScoreCard) -> str:
    """Return the score of the scorer."""
    return "" if card.score is None else f"{card.score:g}"


def safe(text: str) -> str:
    """Return *text* on one line without any effect."""
    return code_span(escape(one_line(text))) if "@" in text or "#" in text else notebook.safe(text)


def warnings(cards: Iterable[ScoreCard]) -> list[tuple[str, str]]:
    """Return the name of the candidate and the finding, for each finding of the policy that does not reject it."""
    return [
        (card.candidate.name, str(finding)) for card in cards for finding in card.findings if finding.severity == "warn"
    ]


def name(text: str) -> str:
    """Return a name as code, without any effect."""
    return code_span(escape(one_line(text)))


def markdown_report(ranking: Any) -> str:
    """Return the ranking as Markdown: the choice, a table, the reasons."""
    names = check_names(ranking.cards)
    has_scores = any(card.score is not None for card in ranking.cards)
    header = (
        "Place",
        "Candidate",
        "Result",
        *map(name, names),
        "Lines",
        "Same change",
        *(["Score"] if has_scores else []),
    )
    rows = [
        _row(place, card, names, has_scores=has_scores)
        for place, card in zip(ranking.places, ranking.cards, strict=True)
    ]
    chosen = f"{ranking.choice}: {ranking.reason}" if ranking.choice else ranking.reason
    title = f"**{'Chosen' if ranking.choice else 'Nothing is chosen'}:** {safe(chosen)}"
    parts = [title, table(header, rows) if rows else "", *_lists(ranking)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _row(place: int, card: ScoreCard, names: Sequence[str], *, has_scores: bool) -> tuple[str, ...]:
    checks = (check_word(card, each) or "—" for each in names)
    scores = (score_word(card) or "—",) if has_scores else ()
    same = str(len(card.same_as)) if card.candidate.patch else "—"
    return (str(place), name(card.candidate.name), card.result.value, *checks, size_word(card) or "—", same, *scores)


def _lists(ranking: Any) -> Iterator[str]:
    """Yield a list of the rejections, one of the comparisons and one of the notes, each where there is something."""
    rejected = [
        f"- {name(card.candidate.name)}: {safe('; '.join(card.rejections))}"
        for card in ranking.cards
        if card.rejections
    ]
    subjects = {
        "Not acceptable": rejected,
        "Warnings": [f"- {name(each)}: {safe(finding)}" for each, finding in warnings(ranking.cards)],
        "Order": [f"- {safe(str(step))}" for step in ranking.steps],
        "Notes": [f"- {safe(note)}" for note in ranking.notes],
    }
    for subject, lines in subjects.items():
        if lines:
            yield f"**{subject}**\n\n" + "\n".join(lines)
