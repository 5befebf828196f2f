"""HTML and SVG elements. Text is escaped when it is put into an element, and only `Markup` is not. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable

from .._patches.hidden_characters import escape
from .._protocol.safe_links import is_safe_url


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return *text* as it is shown: without markup, and without control, bidirectional or invisible characters."""
    return Markup(html.escape(escape(text)))


def element(name: str, *content: str, **attributes: str | float | None) -> Markup:
    """Return an element; ``class_`` is the attribute ``class``, and one that is None is left out."""
    inner = "".join(each if isinstance(each, Markup) else escaped(each) for each in content)
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_number(value) if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{pairs}>{inner}</{name}>")


def joined(parts: Iterable[Markup]) -> Markup:
    """Return parts one after the other."""
    return Markup("".join(parts))


def linked(text: str, url: str | None = None) -> Markup:
    """Return *text* as a link where its URL (*text* itself without *url*) is one that may be linked."""
    target = text if url is None else url
    return element("a", text, href=target, rel="noreferrer") if is_safe_url(target) else escaped(text)


def table(header: Iterable[str], rows: Iterable[Iterable[str]], *, class_: str | None = None) -> Markup:
    """Return a table that scrolls sideways where it is wider than the page; the first cell of a row is its header."""
    head = element("tr", *(element("th", each, scope="col") for each in header))
    body = joined(element("tr", *_cells(row)) for row in rows)
    whole = element("table", element("thead", head), element("tbody", body), class_=class_)
    return element("div", whole, class_="scroll", tabindex="0", role="group")


def _cells(row: Iterable[str]) -> Iterable[Markup]:
    first, *rest = row
    return (element("th", first, scope="row"), *(element("td", each) for each in rest))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
