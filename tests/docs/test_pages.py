"""Properties of every page of the documentation: headings, links and the contrast of pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
WITH_TEXT = [page for page in PAGES if not page.read_text("utf-8").startswith("```{include}")]
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))
# WCAG 2.2, success criterion 1.4.3.
CONTRAST = 4.5


def prose_of(page: Path) -> str:
    """Return the text of a page without its code blocks; of a page that includes another, that of the other."""
    if included := re.match(r"```\{include\} (\S+)", page.read_text("utf-8")):
        return prose_of(page.parent / included[1])
    return re.sub(r"^(```+).*?^\1$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings_of(page: Path) -> list[tuple[int, str]]:
    """Return the level and the text of every heading."""
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.*)$", prose_of(page), re.MULTILINE)]


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links_of(page: Path) -> list[str]:
    """Return the targets of the links and pictures of a page that are files of the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose_of(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2, definition of relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_headings_are_a_tree() -> None:
    """A page has one title, and no heading skips a level."""
    wrong = []
    for page in WITH_TEXT:
        headings = headings_of(page)
        levels = [level for level, _ in headings]
        wrong += [
            (page, text) for (level, text), above in zip(headings, [0, *levels], strict=False) if level > above + 1
        ]
        wrong += [(page, "titles")] if levels.count(1) != 1 else []

    assert [] == wrong


def test_links_lead_to_files_and_headings() -> None:
    """Every link to a file of the repository leads to one that exists, and to a heading that exists."""
    assert [] == [(page, target) for page in WITH_TEXT for target in links_of(page) if is_broken(page, target)]


def is_broken(page: Path, target: str) -> bool:
    """Return whether a link of a page leads to no file, or to no heading of a file."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    return not path.exists() or bool(anchor and anchor not in {anchor_of(text) for _, text in headings_of(path)})


def test_titles_are_unique() -> None:
    """No two pages have the same title."""
    titles = [headings_of(page)[0][1] for page in WITH_TEXT if page != ROOT / "README.md"]

    assert [] == sorted({title for title in titles if titles.count(title) > 1})


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_text_in_pictures_has_contrast(picture: Path) -> None:
    """Every colour of text in a picture differs enough from the background."""
    svg = picture.read_text("utf-8")
    background = re.findall(r'<rect fill="(#\w{6})"', svg)[0]
    colours = set(re.findall(r"\.[\w-]+-r\d+ \{ fill: (#\w{6})", svg))

    assert (True, []) == (bool(colours), [colour for colour in colours if contrast(colour, background) < CONTRAST])


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_have_no_network_and_a_text(picture: Path) -> None:
    """A picture loads nothing, runs nothing and has its text as a description."""
    svg = picture.read_text("utf-8")

    assert ([], True) == (re.findall(r"<script|url\(http|@import|href=\"http", svg), '<desc id="text">$ ' in svg)


SOURCE = "".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
QUOTED = re.findall(r'^"([^"]+)"', (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("message", QUOTED)
def test_quoted_messages_exist(message: str) -> None:
    """Every message that the page of symptoms quotes is a message of the program, apart from names and numbers."""
    parts = [part.strip() for part in re.split(r"…|[A-Z]{4,}|\d+", message)]

    assert [] == [part for part in parts if part not in SOURCE]
