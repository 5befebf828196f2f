"""Read the HTML of diffs back: which elements it has, and which lines its tables show."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple

CELLS = {"tr", "td"}


class Row(NamedTuple):
    """A row of lines: its class, the numbers of its cells, their ids, and the text of its cells with code."""

    css: str
    numbers: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    classes: tuple[str, ...]


class Reader(HTMLParser):
    """Elements with their attributes in `elements`, rows of tables in `rows`. Notes that cannot be selected are left out."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.rows: list[Row] = []
        self._note = 0
        self._in_code = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        css = attributes.get("class", "")
        self.elements.append((tag, attributes))
        if tag in CELLS:
            self._note, self._in_code = 0, tag == "td" and css.split()[:1] == ["x"]
        elif tag in {"span", "a"} and (self._note or css in {"eof", "cut", "sg"}):
            self._note += 1
        if tag == "tr":
            self.rows.append(Row(css, (), tuple(filter(None, [attributes.get("id")])), (), ()))
        elif tag == "td" and self.rows:
            self._add_cell(attributes, css)

    def _add_cell(self, attributes: dict[str, str], css: str) -> None:
        row = self.rows[-1]
        if self._in_code:
            self.rows[-1] = row._replace(texts=(*row.texts, ""), classes=(*row.classes, css.removeprefix("x").strip()))
        elif "n" in css.split():
            ids = (*row.ids, *filter(None, [attributes.get("id")]))
            self.rows[-1] = row._replace(numbers=(*row.numbers, attributes.get("data-n", "")), ids=ids)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"span", "a"} and self._note:
            self._note -= 1
        if tag in {"tbody", "table"}:
            self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code and not self._note and self.rows:
            *texts, last = self.rows[-1].texts
            self.rows[-1] = self.rows[-1]._replace(texts=(*texts, last + data))

    @property
    def lines(self) -> list[Row]:
        """Return the rows with lines, without those between hunks."""
        return [row for row in self.rows if row.texts]


# What a diff may consist of: no element of these loads or runs anything but a picture of a data: URL.
ELEMENTS = frozenset(
    [
        "a",
        "bdi",
        "col",
        "colgroup",
        "details",
        "div",
        "figcaption",
        "figure",
        "h3",
        "i",
        "img",
        "input",
        "label",
        "mark",
        "p",
        "pre",
        "span",
        "summary",
        "table",
        "tbody",
        "td",
        "tr",
    ]
)
ATTRIBUTES = frozenset(
    [
        "alt",
        "aria-label",
        "class",
        "colspan",
        "data-digest",
        "data-lines",
        "data-n",
        "data-part",
        "data-viewed",
        "height",
        "href",
        "id",
        "open",
        "src",
        "title",
        "type",
        "width",
    ]
)


def foreign(html: str) -> list[tuple[str, str]]:
    """Return elements and attributes that a diff never has, and addresses that are none of ours."""
    found = []
    for tag, attributes in Reader(html).elements:
        if tag not in ELEMENTS or (tag == "input" and attributes["type"] != "checkbox"):
            found.append((tag, ""))
        for name, value in attributes.items():
            is_url = name in {"href", "data-part", "data-lines"} and not value.startswith(("/tasks/t/compare", "#f"))
            if name not in ATTRIBUTES or is_url or (name == "src" and not value.startswith("data:image/")):
                found.append((tag, name))
    return found
