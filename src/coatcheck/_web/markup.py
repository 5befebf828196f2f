"""Markdown that other people and agents wrote, as safe HTML.

Guarantees:

- raw HTML in it is text; links lead to http, https and mailto alone; there are no images, so no request is sent;
- hidden characters are shown as escapes;
- the end of a line is one, as in comments on GitHub (https://github.github.com/gfm/#soft-line-breaks);
- its headings come below those of the page, and skip no level;
- a text longer than `LONGEST` is cut, and a sentence after it names the cut;
- nested deeper than `NESTING` it is shown as it was written.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from .._patches.hidden_characters import escape_lines

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 100_000
# markdown-it leaves out what is nested deeper: such a text is shown as it was written.
NESTING = 50
# Headings of a message begin at this level.
FIRST_LEVEL = 3
TAGS = frozenset(
    (
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    )
)
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}}
# What scrolls where it is wide: it takes the focus, so that keys scroll it (WCAG 2.2, 2.1.1).
SCROLLED = ("pre", "table")
SCHEMES = frozenset({"http", "https", "mailto"})


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return (
        MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": NESTING})
        .enable(["table", "strikethrough"])
        .disable("image")
    )


def markdown(text: str | None) -> Markup:
    """Return Markdown as HTML."""
    import nh3

    whole = text or ""
    parser = _parser()
    tokens = parser.parse(escape_lines(whole[:LONGEST].replace("\r\n", "\n")))
    if any(token.level >= NESTING - 1 for token in tokens):
        return Markup("<pre>{}</pre>").format(escape_lines(whole[:LONGEST])) + _cut_note(len(whole))
    _fit_headings(tokens)
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    for tag in SCROLLED:
        html = html.replace(f"<{tag}>", f'<{tag} tabindex="0">')
    return Markup(html) + _cut_note(len(whole))  # noqa: S704 - nh3 has sanitized it


def _fit_headings(tokens: Sequence[Token]) -> None:
    """Change the levels of headings: they begin at `FIRST_LEVEL`, and none is skipped (WCAG 2.2, technique H42)."""
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    ranks = {tag: rank for rank, tag in enumerate(sorted({token.tag for token in headings}))}
    level = FIRST_LEVEL - 1
    for token in headings:
        if token.type == "heading_open":
            level = min(FIRST_LEVEL + ranks[token.tag], level + 1, 6)
        token.tag = f"h{level}"


def _cut_note(length: int) -> Markup:
    if length <= LONGEST:
        return Markup("")
    return Markup('<p class="note">The first {} of {} characters are shown.</p>').format(f"{LONGEST:,}", f"{length:,}")
