"""One line of a diff as HTML: tokens with their colours, changed words marked, white space at the end marked.

Invariant: the text content of the HTML is the line, with hidden characters written as escapes; what is added to it (signs,
notes) is in attributes, or in elements that are not selected with the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .file_lines import SPACE, NumberedLine
from .syntax_classes import Tokens
from .visible_text import to_attribute, to_html
from .word_changes import Spans

_BLANKS = {" ": '<i class="sp"> </i>', "\t": '<i class="tb">\t</i>'}


class LineStyle(NamedTuple):
    """What the lines of a file have in common: the address of the whole text, and whether carriage returns are shown."""

    raw_url: str
    shows_returns: bool


def line_html(line: NumberedLine, tokens: Tokens, spans: Spans, style: LineStyle) -> str:
    """Return the content of a line's cell."""
    text = line.text
    if line.kind == "+" and text[-1:] in (" ", "\t") and not line.cut:
        html = _with_blanks_at_end(text, tokens, spans)
    else:
        html = _tokens_html(tokens, spans)
    if line.end and style.shows_returns:
        html += to_html(line.end)
    if line.skipped:
        html = f'<span class="cut">{line.skipped:,} characters before …</span>{html}'
    if line.cut:
        url = to_attribute(style.raw_url)
        html += f'<a class="cut" href="{url}">… {line.cut:,} more characters: show the text of the diff</a>'
    if line.sign == SPACE:
        html += '<span class="eof">white space differs</span>'
    if not line.has_newline:
        html += '<span class="eof">no newline at end of file</span>'
    return html


def _with_blanks_at_end(text: str, tokens: Tokens, spans: Spans) -> str:
    end = len(text.rstrip(" \t"))
    return _tokens_html(tokens, spans, end=end) + f'<span class="ws" title="white space at the end">{text[end:]}</span>'


def _tokens_html(tokens: Tokens, spans: Spans, *, end: int | None = None) -> str:
    if not spans and end is None:
        return "".join(
            [f'<span class="{css}">{to_html(text)}</span>' if css else to_html(text) for css, text in tokens]
        )
    return "".join(_marked(tokens, spans, end))


def _marked(tokens: Tokens, spans: Spans, end: int | None) -> Iterator[str]:
    """Yield tokens cut at the ends of *spans*, each changed part in a ``<mark>``."""
    position = at = 0
    line = "".join(text for _, text in tokens)
    blanks = {number for number, (first, last) in enumerate(spans) if not line[first:last].strip(" \t")}
    for css, whole in tokens:
        text = whole if end is None else whole[: max(end - position, 0)]
        start = 0
        while start < len(text):
            while at < len(spans) and spans[at][1] <= position + start:
                at += 1
            is_changed = at < len(spans) and spans[at][0] <= position + start
            border = spans[at][1 if is_changed else 0] - position if at < len(spans) else len(text)
            stop = min(border, len(text))
            yield _part(css, text[start:stop], is_changed=is_changed, is_blank=is_changed and at in blanks)
            start = stop
        position += len(whole)


def _part(css: str, text: str, *, is_changed: bool, is_blank: bool) -> str:
    html = "".join(map(_BLANKS.__getitem__, text)) if is_blank else to_html(text)
    if css:
        html = f'<span class="{css}">{html}</span>'
    return f"<mark>{html}</mark>" if is_changed else html
