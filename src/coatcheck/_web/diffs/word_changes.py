"""Which parts of changed lines changed: removed and added lines are paired by their words, and compared word by word.

Invariant: the time is proportional to the lines, times a constant: long runs of lines are paired by position, and long lines
are compared by their beginning and end only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_NAMES = re.compile(r"\w+")
# The most pairs of lines of one run whose similarity is computed, and the most pairs of words that are compared.
_MOST_PAIRS = 256
_MOST_WORDS = 10_000
# Lines that share less of their words are no versions of one line.
_LEAST_SHARED = 0.4
# Where less than this of either line is unchanged, marking words shows nothing that whole lines do not show.
_LEAST_KEPT = 0.3
# Words of a language are shorter; of longer ones (hashes, encoded data) only the characters that changed are marked.
_LONG_WORD = 60

# Start and end of each changed part.
Spans = tuple[tuple[int, int], ...]


class LinePair(NamedTuple):
    """A removed and an added line, by their positions in a run, None for a line without a counterpart.

    `old_spans` and `new_spans` are the parts that changed, empty where the lines are no versions of one line.
    """

    old: int | None
    new: int | None
    old_spans: Spans = ()
    new_spans: Spans = ()


def pair_lines(old: Sequence[str], new: Sequence[str]) -> list[LinePair]:
    """Pair the removed and the added lines of one run, in order."""
    pairs: list[LinePair] = []
    old_at = new_at = 0
    for old_end, new_end in [*_anchors(old, new), (len(old), len(new))]:
        pairs.extend(_side_by_side(range(old_at, old_end), range(new_at, new_end)))
        if old_end < len(old) and new_end < len(new):
            pairs.append(LinePair(old_end, new_end, *changed_spans(old[old_end], new[new_end])))
        old_at, new_at = old_end + 1, new_end + 1
    return pairs


def _side_by_side(old: range, new: range) -> Iterator[LinePair]:
    """Yield lines without counterparts, those of the same position in one pair."""
    for at in range(max(len(old), len(new))):
        yield LinePair(old[at] if at < len(old) else None, new[at] if at < len(new) else None)


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of lines that are versions of one line."""
    if len(old) == len(new) == 1:
        return [(0, 0)]
    old_names, new_names = [_names(line) for line in old], [_names(line) for line in new]
    if len(old) * len(new) > _MOST_PAIRS:
        positions = zip(range(len(old)), range(len(new)), strict=False)
        return [(at, at) for at, _ in positions if _shared(old_names[at], new_names[at]) >= _LEAST_SHARED]
    return _best_anchors([[_shared(one, other) for other in new_names] for one in old_names])


def _names(line: str) -> frozenset[str]:
    names = frozenset(_NAMES.findall(line[:_MOST_WORDS]))
    return names or frozenset(line.split())


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    total = len(one) + len(other)
    return 2 * len(one & other) / total if total else 1.0


def _best_anchors(shared: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the pairs, in order on both sides, that share most: Needleman and Wunsch's algorithm."""
    height, width = len(shared), len(shared[0]) if shared else 0
    best = [[0.0] * (width + 1) for _ in range(height + 1)]
    for row in range(height - 1, -1, -1):
        for column in range(width - 1, -1, -1):
            value = shared[row][column]
            paired = best[row + 1][column + 1] + value if value >= _LEAST_SHARED else 0.0
            best[row][column] = max(paired, best[row + 1][column], best[row][column + 1])
    anchors, row, column = [], 0, 0
    while row < height and column < width:
        if best[row][column] == best[row + 1][column]:
            row += 1
        elif best[row][column] == best[row][column + 1]:
            column += 1
        else:
            anchors.append((row, column))
            row, column = row + 1, column + 1
    return anchors


def changed_spans(old: str, new: str) -> tuple[Spans, Spans]:
    """Return the changed parts of two versions of a line; nothing where nearly all of it changed."""
    old_words, new_words = _WORD.findall(old), _WORD.findall(new)
    start = _common_start(old_words, new_words)
    end = _common_start(old_words[start:][::-1], new_words[start:][::-1])
    old_middle = old_words[start : len(old_words) - end]
    new_middle = new_words[start : len(new_words) - end]
    at = len("".join(old_words[:start]))
    old_spans, new_spans = [], []
    for (old_from, old_to), (new_from, new_to) in _changed_words(old_middle, new_middle):
        spans = _span(old_middle, old_from, old_to, at), _span(new_middle, new_from, new_to, at)
        old_span, new_span = _trimmed(old, new, *spans)
        old_spans.append(old_span)
        new_spans.append(new_span)
    old_result, new_result = _nonempty(old_spans), _nonempty(new_spans)
    is_clear = _kept(old, old_result) >= _LEAST_KEPT and _kept(new, new_result) >= _LEAST_KEPT
    return (old_result, new_result) if is_clear else ((), ())


def _common_start(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _changed_words(old: Sequence[str], new: Sequence[str]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return ranges of changed words; ranges with only white space between them are one."""
    if len(old) * len(new) > _MOST_WORDS or not old or not new:
        return [((0, len(old)), (0, len(new)))]
    ranges: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        is_next = ranges and not "".join(old[ranges[-1][0][1] : old_from]).strip()
        old_start, new_start = (ranges[-1][0][0], ranges[-1][1][0]) if is_next else (old_from, new_from)
        ranges[len(ranges) - bool(is_next) :] = [((old_start, old_to), (new_start, new_to))]
    return ranges


def _span(words: Sequence[str], first: int, last: int, offset: int) -> tuple[int, int]:
    start = offset + len("".join(words[:first]))
    return start, start + len("".join(words[first:last]))


def _trimmed(
    old: str, new: str, old_span: tuple[int, int], new_span: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return two changed parts without what long ones have in common at both ends."""
    one, other = old[slice(*old_span)], new[slice(*new_span)]
    if min(len(one), len(other)) < _LONG_WORD:
        return old_span, new_span
    start = _common_start(one, other)
    end = _common_start(one[start:][::-1], other[start:][::-1])
    return (old_span[0] + start, old_span[1] - end), (new_span[0] + start, new_span[1] - end)


def _nonempty(spans: Sequence[tuple[int, int]]) -> Spans:
    return tuple(span for span in spans if span[0] < span[1])


def _kept(line: str, spans: Spans) -> float:
    """Return the share of the characters, white space at the ends excepted, that did not change."""
    length = len(line.strip())
    return 1 - sum(len(line[start:end].strip()) for start, end in spans) / length if length else 1.0
