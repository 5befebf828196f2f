from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SRC = ROOT / "src/coatcheck"
# Files that users or tasks write: they are examples in messages and help texts, or names on the wire.
EXAMPLES = {
    *(".coffee.md", "NAME.md", "README.md", "answer.md", "fix-issue.md", "issue.md", "message.md", "prompt.md"),
    "review.md",
}
PAGE = re.compile(r"[\w./-]*\w\.md\b")
SECTION = re.compile(r"((?:codex-app-server|codex-wham|jules|services)\.md)`*,? (?:sections? )?(\d+(?:\.\d+)?)")
# A page with the headings that are cited: path.md, "1.1 Title" and "2 Title".
HEADINGS = re.compile(r'protocols/((?:codex-app-server|codex-wham|jules|services)\.md), ((?:"[^"]+"(?:, | and )?)+)')
SOURCES = {path.relative_to(SRC).as_posix(): path.read_text("utf-8") for path in SRC.rglob("*.py")}


def page_exists(name: str) -> bool:
    """Return whether *name* is a path from the root of the repository, or the name of a page somewhere in ``docs``."""
    if name.startswith("docs/"):
        return (ROOT / name).is_file()
    return any(DOCS.rglob(name))


def test_cited_pages_exist() -> None:
    """Every page that a module cites is a file in ``docs``."""
    cited = {(path, name) for path, text in SOURCES.items() for name in PAGE.findall(text)}
    missing = {name for _, name in cited if Path(name).name not in EXAMPLES and not page_exists(name)}

    assert [] == sorted((path, name) for path, name in cited if name in missing)


def test_cited_sections_exist() -> None:
    """Every section number after a protocol page is the number of a heading of that page."""
    cited = {(path, *citation) for path, text in SOURCES.items() for citation in SECTION.findall(text)}

    assert [] == sorted(
        (path, page, number)
        for path, page, number in cited
        if not re.search(rf"^#+ {re.escape(number)}\b", protocol_page(page), re.MULTILINE)
    )


def test_cited_headings_exist() -> None:
    """A heading that a docstring or comment quotes is on the page, with the same number and words."""
    cited = {
        (path, page, title)
        for path, text in SOURCES.items()
        for page, titles in HEADINGS.findall(re.sub(r"\s+(?:# )?", " ", text))
        for title in re.findall(r'"([^"]+)"', titles)
    }

    assert [] == sorted(each for each in cited if each[2] not in headings(each[1]))


@cache
def protocol_page(name: str) -> str:
    """Return the text of a page about a protocol."""
    return (DOCS / "reference/protocols" / name).read_text("utf-8")


@cache
def headings(page: str) -> set[str]:
    """Return the headings of a protocol page as a citation quotes them: without the dot of a number and backticks."""
    lines = [line for line in protocol_page(page).splitlines() if line.startswith("#")]
    titles = [line.lstrip("#").strip().replace("`", "").replace('"', "'") for line in lines]
    return {re.sub(r"^(\d+)\. ", r"\1 ", title) for title in titles}
