"""Tasks as a table that fits the width.

Invariants:

- a line is never wider than the width; the title is cut first, then columns are left out, the least useful first;
- refs are never cut: where one does not fit beside a title, a task takes three lines, as in `formatting.summary`;
- without a terminal the width is not limited, and nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .console import Line, Link, Part, Styled, clean, parts_of
from .formatting import age, short_span, state_word, summary
from .text_width import columns, padded, shorten

if TYPE_CHECKING:
    from .._model.tasks import Task

GAP = 2
# The title is not cut below this.
MIN_TITLE = 16
# The columns, in their order; a title follows them.
COLUMNS = ("REF", "STATE", "AGE", "TOOK", "SIZE", "ENVIRONMENT")
# Where there is not enough width, columns are left out in this order.
OPTIONAL = ("ENVIRONMENT", "TOOK", "SIZE", "AGE")


def task_table(tasks: Iterable[Task], now: float, *, width: int | None) -> list[Line]:
    """Return *tasks* as a table of at most *width* columns; None is no limit."""
    known = list(tasks)
    if not known:
        return []
    cells = [_cells(task, now) for task in known]
    widths = {name: max(columns(name), *(columns(_text(row[name])) for row in cells)) for name in COLUMNS}
    shown = _fitting(widths, width)
    if shown is None:
        return _blocks(known, now, width or 0)
    remaining = None if width is None else width - sum(widths[name] + GAP for name in shown)
    titles = [_cut(task.title or "<untitled>", remaining) for task in known]
    header = [padded(name, widths[name] + GAP) for name in shown]
    rows: list[Line] = [
        (*(part for name in shown for part in _padded(row[name], widths[name] + GAP)), title)
        for row, title in zip(cells, titles, strict=True)
    ]
    return [Styled("".join((*header, "TITLE")), "bold"), *rows]


def _cells(task: Task, now: float) -> dict[str, Part]:
    moment = task.updated_at or task.created_at
    word = state_word(task.state, task.raw_state)
    stats = task.stats
    return {
        "REF": Link(str(task.ref), task.url),
        "STATE": Styled(clean(word.text), word.style),
        "AGE": age(moment, now).removesuffix(" ago") if moment else "-",
        "TOOK": short_span(task.duration) if task.duration is not None else "-",
        "SIZE": f"+{stats.added}/-{stats.removed}" if stats and (stats.files or stats.added or stats.removed) else "-",
        "ENVIRONMENT": clean(task.environment_label or task.repository or task.environment or "-"),
    }


def _fitting(widths: Mapping[str, int], width: int | None) -> Sequence[str] | None:
    """Return the columns that fit beside a title, None where ref and state do not."""
    shown = list(COLUMNS)
    for name in (*OPTIONAL, None):
        if width is None or sum(widths[each] + GAP for each in shown) + MIN_TITLE <= width:
            return shown
        if name is not None:
            shown.remove(name)
    return None


def _blocks(tasks: Sequence[Task], now: float, width: int) -> list[Line]:
    lines: list[Line] = []
    for task in tasks:
        lines += [""] if lines else []
        lines.append(Link(str(task.ref), task.url, "bold"))
        lines += [_cut_line(("  ", *parts_of(line)), width) for line in summary(task, now)]
    return lines


def _cut_line(line: tuple[Part, ...], width: int) -> Line:
    """Return *line* in at most *width* columns; the parts that fit keep their styles."""
    parts: list[Part] = []
    for part in line:
        text = _cut(_text(part), width)
        parts.append(text if isinstance(part, str) else Styled(text, part.style))
        width -= columns(text)
        if text != clean(_text(part)):
            break
    return tuple(parts)


def _cut(text: str, width: int | None) -> str:
    text = clean(text)
    return text if width is None else shorten(text, width)


def _text(part: Part) -> str:
    return part.text if isinstance(part, Styled) else part


def _padded(part: Part, width: int) -> tuple[Part, ...]:
    return (part, " " * (width - columns(_text(part))))
