"""Write an outcome as Markdown. An agent's text is kept unchanged, and code cannot end its block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._values.markdown_text import fenced, one_line
from ..errors import PatchError

if TYPE_CHECKING:
    from .._patches.parse import Patch

__all__ = ["facts", "fenced", "one_line", "page", "section", "summary"]


def summary(patch: Patch) -> str | None:
    """Return the summary of what *patch* changes, None where it cannot be read."""
    from .._patches.diffstat import stat_text

    try:
        return fenced(stat_text(patch.files), "text")
    except PatchError:
        return None


def section(title: str, *paragraphs: str | None, level: int = 2) -> str:
    """Return a section; empty where it has no paragraph."""
    kept = [paragraph.strip("\n") for paragraph in paragraphs if paragraph]
    return "\n\n".join((f"{'#' * level} {one_line(title)}", *kept)) if kept else ""


def page(*sections: str) -> str:
    """Return the sections that are not empty, a blank line between two."""
    return "\n\n".join(filter(None, (each.strip("\n") for each in sections))) + "\n"


def facts(pairs: dict[str, str | None]) -> str:
    """Return the pairs that have a value as a list."""
    return "\n".join(f"- {name}: {one_line(value)}" for name, value in pairs.items() if value)
