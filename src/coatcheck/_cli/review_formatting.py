"""Format a ranking for people: a table that fits the width, what rejects each candidate, and the reasons of the order.

Invariants:
- the table is never wider than the width: names are cut first, then columns are left out, the least useful first;
- without a terminal the width is not limited, and nothing is cut;
- the attempts of one task are named by their numbers, below the ref of the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._review.report import check_names, check_word, score_word, size_word, warnings
from .apply import MAX_WARNINGS
from .console import Line, Part, Styled, clean, indented
from .formatting import heading
from .text_width import columns, padded, shorten

if TYPE_CHECKING:
    from .._review.ranking import Ranking
    from .._review.score_card import ScoreCard

GAP = 2
# Names of candidates and of checks are not cut below these (columns).
MIN_NAME = 20
MAX_CHECK = 24
# Where there is not enough width, columns are left out in this order; then those of the checks, the last one first.
OPTIONAL = ("SCORE", "SAME", "SIZE", "#")

STYLES: Mapping[str, str] = {
    "passed": "green",
    "rejected": "yellow",
    "failed": "red",
    "unchecked": "yellow",
    "conflict": "red",
    "no patch": "red",
}


def ranking_lines(ranking: Ranking, *, width: int | None) -> list[Line]:
    """Return the table, the rejections, the warnings, the reasons of the order, and the conclusion."""
    ref = common_task(ranking)
    rejected = [(card.candidate.name, "; ".join(card.rejections)) for card in ranking.cards if card.rejections]
    sections: Mapping[str, Sequence[Line]] = {
        "Not acceptable": _named(rejected, ref),
        "Warnings": _named(_some(warnings(ranking.cards)), ref),
        "Order": [short(str(step), ref) for step in ranking.steps],
    }
    title: list[Line] = [Styled(f"Attempts of {ref}", "bold")] if ref else []
    lines = [*title, *ranking_table(ranking, width=width)]
    for name, rows in sections.items():
        lines += [*heading(name), *indented(rows)] if rows else []
    return [*lines, "", Styled(ranking.conclusion, "green" if ranking.choice else "yellow")]


def common_task(ranking: Ranking) -> str | None:
    """Return the ref of the task that all candidates are attempts of, None where there is no such task."""
    refs = {card.candidate.ref if card.candidate.attempt else None for card in ranking.cards}
    return str(*refs) if len(refs) == 1 and None not in refs else None


def short(text: str, ref: str | None) -> str:
    """Return *text* with the attempts of *ref* named by their numbers."""
    return re.sub(rf"{re.escape(ref)}/([0-9]+)", r"attempt \1", text) if ref else text


def _named(pairs: Iterable[tuple[str, str]], ref: str | None) -> list[Line]:
    return [(Styled(short(name, ref), "bold"), f": {short(text, ref)}") if name else text for name, text in pairs]


def _some(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    more = len(pairs) - MAX_WARNINGS
    return [*pairs[:MAX_WARNINGS], *([("", f"and {more} more; --json has all of them")] if more > 0 else [])]


def ranking_table(ranking: Ranking, *, width: int | None) -> list[Line]:
    """Return the score cards as a table of at most *width* columns; None is no limit."""
    if not ranking.cards:
        return []
    names, ref = check_names(ranking.cards), common_task(ranking)
    rows = [_cells(place, card, names, ref) for place, card in zip(ranking.places, ranking.cards, strict=True)]
    checks = {f"check {at}": clean(name) for at, name in enumerate(names)}
    titles = {key: checks.get(key, key) for key in rows[0] if any(_text(row[key]) for row in rows)}
    if width is not None:
        titles = {key: shorten(title, MAX_CHECK) for key, title in titles.items()}
    widths = {key: max(columns(titles[key]), *(columns(_text(row[key])) for row in rows)) for key in titles}
    shown = _fitting(widths, width)
    header = "".join(padded(shorten(titles[key], widths[key]), widths[key] + GAP) for key in shown).rstrip()
    return [Styled(header, "bold"), *(_row(row, shown, widths) for row in rows)]


def _cells(place: int, card: ScoreCard, names: Sequence[str], ref: str | None) -> dict[str, Part]:
    checks: dict[str, Part] = {f"check {at}": check_word(card, name) for at, name in enumerate(names)}
    return {
        "#": str(place),
        "CANDIDATE": clean(short(card.candidate.name, ref)),
        "RESULT": Styled(card.result.value, STYLES[card.result.value]),
        **checks,
        "SIZE": size_word(card),
        "SAME": str(len(card.same_as)) if card.same_as else "",
        "SCORE": score_word(card),
    }


def _fitting(widths: dict[str, int], width: int | None) -> Sequence[str]:
    """Return the columns that fit, and cut the width of the names in *widths* where they do not."""
    shown = list(widths)
    checks = [key for key in reversed(shown) if key.startswith("check ")]
    for key in (None, *OPTIONAL, *checks):
        if key in shown:
            shown.remove(key)
        excess = 0 if width is None else sum(widths[each] + GAP for each in shown) - GAP - width
        if excess <= 0:
            break
        if widths["CANDIDATE"] - excess >= MIN_NAME:
            widths["CANDIDATE"] -= excess
            break
    else:
        widths["CANDIDATE"] = max(1, (width or 0) - widths["RESULT"] - GAP)
    return shown


def _row(row: Mapping[str, Part], shown: Sequence[str], widths: Mapping[str, int]) -> Line:
    parts: list[Part] = []
    for key in shown:
        text = shorten(_text(row[key]), widths[key])
        cell = row[key]
        parts.append(Styled(text, cell.style) if isinstance(cell, Styled) else text)
        parts.append(" " * (widths[key] - columns(text) + GAP) if key != shown[-1] else "")
    return tuple(parts)


def _text(part: Part) -> str:
    return part.text if isinstance(part, Styled) else part
