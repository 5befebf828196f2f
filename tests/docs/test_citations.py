from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SRC = ROOT / "src/coatcheck"
# Files that users or tasks write: they are examples in messages and help texts, or names on the wire.
EXAMPLES = {".coffee.md", "README.md", "message.md", "prompt.md", "review.md"}
PAGE = re.compile(r"[\w./-]*\w\.md\b")
SECTION = re.compile(r"((?:codex-wham|jules|services)\.md)`*,? (?:sections? )?(\d+(?:\.\d+)?)")
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
