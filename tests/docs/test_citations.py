from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SRC = ROOT / "src/coatcheck"
# Files that users or tasks write: they are examples in messages and help texts, or names on the wire.
EXAMPLES = {
    *(".coffee.md", "NAME.md", "README.md", "answer.md", "fix-issue.md", "issue.md", "message.md", "prompt.md"),
    "review.md",
}
PAGE = re.compile(r"[\w./-]*\w\.md\b")
SECTION = re.compile(r"((?:codex-wham|jules|services)\.md)`*,? (?:sections? )?(\d+(?:\.\d+)?)")
# A page with the headings that are cited: path.md, "1.1 Title" and "2 Title".
HEADINGS = re.compile(r'protocols/((?:codex-wham|jules|services)\.md), ((?:"[^"]+"(?:, | and )?)+)')
SOURCES = sorted(path for path in SRC.rglob("*.py") if ".md" in path.read_text("utf-8"))


def page_exists(name: str) -> bool:
    """Return whether *name* is a path from the root of the repository, or the name of a page somewhere in ``docs``."""
    if name.startswith("docs/"):
        return (ROOT / name).is_file()
    return any(DOCS.rglob(name))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_cited_pages_exist(path: Path) -> None:
    """Every page that a module cites is a file in ``docs``."""
    cited = {name for name in PAGE.findall(path.read_text("utf-8")) if Path(name).name not in EXAMPLES}

    assert [] == [name for name in sorted(cited) if not page_exists(name)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_cited_sections_exist(path: Path) -> None:
    """Every section number after a protocol page is the number of a heading of that page."""
    cited = set(SECTION.findall(path.read_text("utf-8")))

    assert [] == [
        f"{page} {number}"
        for page, number in sorted(cited)
        if not re.search(
            rf"^#+ {re.escape(number)}\b", (DOCS / "reference/protocols" / page).read_text("utf-8"), re.MULTILINE
        )
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_cited_headings_exist(path: Path) -> None:
    """A heading that a docstring or comment quotes is on the page, with the same number and words."""
    text = re.sub(r"\s+(?:# )?", " ", path.read_text("utf-8"))
    cited = {(page, title) for page, titles in HEADINGS.findall(text) for title in re.findall(r'"([^"]+)"', titles)}

    assert [] == sorted(each for each in cited if each[1] not in headings(each[0]))


def headings(page: str) -> set[str]:
    """Return the headings of a protocol page as a citation quotes them: without the dot of a number and backticks."""
    lines = (DOCS / "reference/protocols" / page).read_text("utf-8").splitlines()
    titles = [line.lstrip("#").strip().replace("`", "").replace('"', "'") for line in lines if line.startswith("#")]
    return {re.sub(r"^(\d+)\. ", r"\1 ", title) for title in titles}
