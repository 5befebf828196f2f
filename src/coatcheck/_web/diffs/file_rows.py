"""The rows of one file's diff as HTML tables, unified or split, in parts of bounded size.

Invariants:
- the parts, in order, have every line of every hunk once;
- the ids of rows are ``ANCHOR-L7`` and ``ANCHOR-R9``: line 7 before the change, line 9 after it, in every view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from ..._patches.file_change import FileChange, Hunk
from ..._patches.lexers import Lexer, lexer_of
from .base_files import content_with
from .file_lines import SPACE, Gap, NumberedLine, Run, gaps_of, numbered, numbered_lines, runs_of
from .line_html import LineStyle, line_html
from .links import DiffLinks
from .long_lines import MOST_CHARACTERS
from .syntax_classes import FileTokens, Tokens, classify_lines
from .visible_text import to_attribute, to_html
from .word_changes import LinePair, Spans, pair_lines

UNIFIED, SPLIT = "unified", "split"
VIEWS = (UNIFIED, SPLIT)

# A part has no more lines, nor bytes, than these; a browser lays it out in less than 100 ms.
MOST_LINES = 200
MOST_BYTES = 30_000
# So many lines of a gap are shown at once.
EXPANDED_LINES = 20
# A gap of more lines than this is not shown as a whole.
MOST_EXPANDED = 1_000
# Parts of more rows than the first are laid out when they come into view; the second is for a better guess of the height.
_DEFERRED_ROWS, _MANY_ROWS = 40, 120


class Slice(NamedTuple):
    """The lines *first* to *last* (not included) of a hunk."""

    hunk: int
    first: int
    last: int


class FileRows:
    """The rows of *change*; *base* are the lines before it, for what is between its hunks, where they are known.

    With *has_all_context* the lines between hunks are shown, as far as `MOST_EXPANDED` allows.
    """

    def __init__(
        self,
        change: FileChange,
        anchor: str,
        links: DiffLinks,
        *,
        view: str = UNIFIED,
        base: Sequence[bytes] | None = None,
        has_all_context: bool = False,
        hides_space: bool = False,
    ) -> None:
        self.anchor = anchor
        self._links = links
        self._view = view
        self._base = base
        self._has_all_context = has_all_context
        self._hides_space = hides_space
        self._hunks: Sequence[Hunk] = change.hunks
        self._gaps = gaps_of(change, self._hunks, length=None if base is None else len(base))
        self._lexer: Lexer | None = None if change.is_combined or change.is_submodule else lexer_of(change.path)
        self._old_tokens = self._new_tokens = None
        if base is not None:
            self._old_tokens = FileTokens(lambda: b"".join(base), self._lexer)
            self._new_tokens = FileTokens(lambda: content_with(self._hunks, base), self._lexer)
        self._style = LineStyle(links.raw(anchor), shows_returns=_has_mixed_ends(self._hunks))
        self._parts = list(_parts(self._hunks))

    @property
    def part_count(self) -> int:
        """Return the number of parts, 0 for a file without lines."""
        return len(self._parts)

    def part(self, number: int) -> str:
        """Return the HTML of part *number*, from 0; empty where there is none. All but the last end with a link to the next."""
        if not 0 <= number < len(self._parts):
            return ""
        tables = [self._table(each) for each in self._parts[number]]
        is_last = number + 1 == len(self._parts)
        if is_last:
            tables.append(self._last_gap())
        html = _deferred("".join(tables), sum(each.last - each.first for each in self._parts[number]))
        # The link is outside: what is in a part that is not laid out never comes into view.
        return html if is_last else html + self._link_to_part(number + 1)

    def lines(self, gap: Gap, side: str) -> str:
        """Return rows for lines of a gap, and for what remains of it. Empty where the base is not known."""
        if self._base is None or gap.last is None:
            return ""
        first, last = max(gap.first, 1), min(gap.last, len(self._base))
        gap = gap._replace(first=first, last=last)
        if side == "first":
            shown = range(first, min(first + EXPANDED_LINES, last + 1))
            rest = gap._replace(first=shown.stop)
            return self._context(shown, gap.shift) + self._gap_row(rest)
        if side == "last":
            shown = range(max(last - EXPANDED_LINES + 1, first), last + 1)
            return self._gap_row(gap._replace(last=shown.start - 1)) + self._context(shown, gap.shift)
        return self._context(range(first, min(last, first + MOST_EXPANDED) + 1), gap.shift)

    def _table(self, part: Slice) -> str:
        hunk = self._hunks[part.hunk]
        every = list(numbered_lines(hunk))
        lines = every[part.first : part.last]
        rows = "".join(self._rows(lines))
        head = self._gap(self._gaps[part.hunk], hunk) if part.first == 0 else ""
        return self._in_table(head + rows)

    def _in_table(self, rows: str) -> str:
        columns = (
            '<col class="cn"><col class="cx">' * 2
            if self._view == SPLIT
            else '<col class="cn"><col class="cn"><col class="cx">'
        )
        return f'<div class="d {self._view}"><table><colgroup>{columns}</colgroup><tbody>{rows}</tbody></table></div>'

    def _rows(self, lines: Sequence[NumberedLine]) -> Iterator[str]:
        old = iter(self._classified([line for line in lines if line.kind == "-"], self._old_tokens))
        new = iter(self._classified([line for line in lines if line.kind != "-"], self._new_tokens))
        write = self._without_space if self._hides_space else self._write
        for run in runs_of(lines):
            removed = [(line, next(old)) for line in run.removed]
            others = [(line, next(new)) for line in run.lines if line.kind != "-"]
            yield from write(run, removed, others)

    def _write(
        self, run: Run, removed: Sequence[tuple[NumberedLine, Tokens]], others: Sequence[tuple[NumberedLine, Tokens]]
    ) -> Iterator[str]:
        return (self._split_run if self._view == SPLIT else self._unified_run)(run, removed, others)

    def _without_space(
        self, run: Run, removed: Sequence[tuple[NumberedLine, Tokens]], others: Sequence[tuple[NumberedLine, Tokens]]
    ) -> Iterator[str]:
        """Yield the rows of a run, with lines that differ in white space alone as unchanged."""
        if not run.is_change:
            yield from self._write(run, removed, others)
            return
        pairs = _pairs(removed, others)
        for is_same, group in groupby(pairs, key=lambda pair: _differs_in_space(pair, removed, others)):
            members = list(group)
            old = [removed[pair.old] for pair in members if pair.old is not None]
            new = [others[pair.new] for pair in members if pair.new is not None]
            if is_same:
                same = [
                    (line._replace(sign=SPACE, old=before.old), tokens)
                    for (before, _), (line, tokens) in zip(old, new, strict=True)
                ]
                yield from self._write(Run(is_change=False, lines=[line for line, _ in same]), (), same)
            else:
                yield from self._write(Run(is_change=True, lines=[line for line, _ in (*old, *new)]), old, new)

    def _classified(self, lines: Sequence[NumberedLine], whole: FileTokens | None) -> Sequence[Tokens]:
        """Return the tokens of lines of one side: those of the whole file where it is known."""
        if whole is not None:
            numbers = [(line.old if line.kind == "-" else line.new) or 0 for line in lines]
            found = [whole.line(number, line.text) for number, line in zip(numbers, lines, strict=True)]
            if None not in found:
                return [tokens for tokens in found if tokens is not None]
        return classify_lines([line.text for line in lines], self._lexer)

    def _unified_run(
        self, run: Run, removed: Sequence[tuple[NumberedLine, Tokens]], others: Sequence[tuple[NumberedLine, Tokens]]
    ) -> Iterator[str]:
        pairs = _pairs(removed, others) if run.is_change else ()
        old_spans = {pair.old: pair.old_spans for pair in pairs}
        new_spans = {pair.new: pair.new_spans for pair in pairs}
        for at, (line, tokens) in enumerate(removed):
            yield self._unified_row(line, tokens, old_spans.get(at, ()))
        for at, (line, tokens) in enumerate(others):
            yield self._unified_row(line, tokens, new_spans.get(at, ()))

    def _unified_row(self, line: NumberedLine, tokens: Tokens, spans: Spans) -> str:
        html = line_html(line, tokens, spans, self._style)
        return (
            f'<tr id="{self._id(line)}"{_ROW_CLASSES[line.kind]}>{_number(line.old)}{_number(line.new)}'
            f'<td class="x">{_merge_sign(line)}{html}'
        )

    def _split_run(
        self, run: Run, removed: Sequence[tuple[NumberedLine, Tokens]], others: Sequence[tuple[NumberedLine, Tokens]]
    ) -> Iterator[str]:
        if not run.is_change:
            for line, tokens in others:
                html = line_html(line, tokens, (), self._style)
                old, new = _number(line.old), _number(line.new)
                yield f'<tr id="{self._id(line)}" class="b">{old}<td class="x">{html}{new}<td class="x">{html}'
            return
        for pair in _pairs(removed, others):
            left = self._half(removed[pair.old], pair.old_spans) if pair.old is not None else _EMPTY_HALF
            right = self._half(others[pair.new], pair.new_spans) if pair.new is not None else _EMPTY_HALF
            yield f"<tr>{left}{right}"

    def _half(self, line_and_tokens: tuple[NumberedLine, Tokens], spans: Spans) -> str:
        line, tokens = line_and_tokens
        css, number = _CLASSES[line.kind], line.old if line.kind == "-" else line.new
        html = line_html(line, tokens, spans, self._style)
        return (
            f'<td class="n {css}" id="{self._id(line)}" data-n="{number}"><td class="x {css}">{_merge_sign(line)}{html}'
        )

    def _id(self, line: NumberedLine) -> str:
        return f"{self.anchor}-R{line.new}" if line.new is not None else f"{self.anchor}-L{line.old}"

    def _context(self, numbers: range, shift: int) -> str:
        from ..._patches.file_change import Line

        base = self._base or ()
        lines = [numbered(Line(" ", base[number - 1]), number, number + shift) for number in numbers]
        return "".join(self._rows(lines))

    def _gap(self, gap: Gap, hunk: Hunk | None = None) -> str:
        is_shown = self._has_all_context and not gap.is_empty and gap.last is not None and self._base is not None
        if is_shown and gap.last - gap.first < MOST_EXPANDED:  # type: ignore[operator]  # it is not None
            return self.lines(gap, "all")
        return self._gap_row(gap, hunk)

    def _gap_row(self, gap: Gap, hunk: Hunk | None = None) -> str:
        if gap.is_empty and (hunk is None or hunk.new_start <= 1):
            return ""
        columns = 4 if self._view == SPLIT else 3
        text = f'<span class="at">{_ranges(hunk)}</span> ' if hunk else ""
        section = f'<span class="fn">{to_html(gap.section[:200])}</span>' if gap.section else ""
        return f'<tr class="g"><td colspan="{columns}">{self._expanders(gap)}{text}{section}'

    def _expanders(self, gap: Gap) -> str:
        if gap.is_empty or gap.last is None:
            return ""
        count = gap.last - gap.first + 1
        if self._base is None:
            return f'<span class="un">{count:,} unchanged line{"" if count == 1 else "s"}</span> '
        if count <= EXPANDED_LINES:
            return self._expander(gap, "all", f"Show {count} unchanged line{'' if count == 1 else 's'}")
        first = self._expander(gap, "first", f"↓ next {EXPANDED_LINES}") if gap.first > 1 else ""
        is_end = gap.last == len(self._base)
        last = "" if is_end else self._expander(gap, "last", f"↑ previous {EXPANDED_LINES}")
        if count > MOST_EXPANDED:
            return f'{first}{last}<span class="un">of {count:,} unchanged lines</span> '
        return first + last + self._expander(gap, "all", f"Show all {count:,} unchanged lines")

    def _expander(self, gap: Gap, side: str, text: str) -> str:
        page = to_attribute(self._links.file(self.anchor, context="all"))
        lines = to_attribute(self._links.lines(self.anchor, gap, side))
        return f'<a class="ex" href="{page}" data-lines="{lines}">{text}</a> '

    def _last_gap(self) -> str:
        gap = self._gaps[-1]
        if gap.is_empty or gap.last is None:
            return ""
        return self._in_table(self._gap(gap))

    def _link_to_part(self, number: int) -> str:
        lines = sum(each.last - each.first for part in self._parts[number:] for each in part)
        part = to_attribute(self._links.part(self.anchor, number))
        page = to_attribute(self._links.file(self.anchor, part=str(number + 1)))
        return f'<p class="lazy"><a href="{page}" data-part="{part}">Show the other {lines:,} line{"" if lines == 1 else "s"} of this file</a></p>'


_CLASSES = {" ": "", "+": "a", "-": "r"}
_ROW_CLASSES = {" ": "", "+": ' class="a"', "-": ' class="r"'}
_EMPTY_HALF = '<td class="n e"><td class="x e">'


def _deferred(html: str, rows: int) -> str:
    """Return a part as an element that browsers lay out when it comes into view (CSS Containment 2, section 4)."""
    if rows <= _DEFERRED_ROWS:
        return html
    css = "rows many" if rows > _MANY_ROWS else "rows"
    return f'<div class="{css}">{html}</div>'


def _number(number: int | None) -> str:
    return '<td class="n">' if number is None else f'<td class="n" data-n="{number}">'


def _merge_sign(line: NumberedLine) -> str:
    """Return the signs of a merge's diff, which has one for each parent."""
    return f'<span class="sg">{line.sign.replace(" ", "&nbsp;")}</span>' if len(line.sign) > 1 else ""


def _pairs(
    removed: Sequence[tuple[NumberedLine, Tokens]], added: Sequence[tuple[NumberedLine, Tokens]]
) -> Sequence[LinePair]:
    return pair_lines([line.text for line, _ in removed], [line.text for line, _ in added])


def _differs_in_space(
    pair: LinePair, removed: Sequence[tuple[NumberedLine, Tokens]], added: Sequence[tuple[NumberedLine, Tokens]]
) -> bool:
    if pair.old is None or pair.new is None:
        return False
    old, new = removed[pair.old][0], added[pair.new][0]
    is_whole = not (old.cut or new.cut or old.skipped or new.skipped)
    return is_whole and "".join(old.text.split()) == "".join(new.text.split())


def _ranges(hunk: Hunk) -> str:
    old = " ".join(f"-{start},{count}" for start, count in hunk.old_ranges)
    at = "@" * (len(hunk.old_ranges) + 1)
    return f"{at} {old} +{hunk.new_start},{hunk.new_lines} {at}"


def _has_mixed_ends(hunks: Iterable[Hunk]) -> bool:
    """Whether some lines end with a carriage return and others do not."""
    bodies = [bytes(hunk) for hunk in hunks]
    returns = sum(body.count(b"\r\n") for body in bodies)
    return bool(returns) and returns != sum(body.count(b"\n") - body.count(b"\n\\") for body in bodies)


def _parts(hunks: Sequence[Hunk]) -> Iterator[list[Slice]]:
    """Yield slices of hunks for each part."""
    part: list[Slice] = []
    lines = size = 0
    for at, hunk in enumerate(hunks):
        count = hunk.old_lines + hunk.added if len(hunk.old_ranges) == 1 else bytes(hunk).count(b"\n")
        length = min(len(bytes(hunk)), count * MOST_CHARACTERS)
        if part and (lines + count > MOST_LINES or size + length > MOST_BYTES):
            yield part
            part, lines, size = [], 0, 0
        *whole, last = _slices(at, count, length)
        yield from ([each] for each in whole)
        part.append(last)
        lines, size = lines + last.last - last.first, size + length * (last.last - last.first) // max(count, 1)
    if part:
        yield part


def _slices(hunk: int, count: int, length: int) -> list[Slice]:
    """Cut a hunk into slices that are parts; the last one may be short."""
    pieces = max(-(-count // MOST_LINES), min(-(-length // MOST_BYTES), count), 1)
    step = -(-count // pieces)
    return [Slice(hunk, first, min(first + step, count)) for first in range(0, max(count, 1), step or 1)]
