"""A patch as a notebook shows it, and the code blocks that hold hostile text: nothing in them is rendered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._values.markdown_text import fenced
from ..errors import PatchError
from .hidden_characters import escape_lines

if TYPE_CHECKING:
    from .file_change import FileChange

# A longer text is cut: a notebook saves what it shows.
MAX_TEXT = 20_000


def block(text: str, word: str = "text") -> str:
    """Return *text* as a code block; a long one is cut, and that is written below it."""
    shown = fenced(escape_lines(text[:MAX_TEXT]), word)
    return f"{shown}\n\n*{len(text) - MAX_TEXT:,} more characters are not shown*" if len(text) > MAX_TEXT else shown


def of_patch(data: bytes, files: Callable[[], Sequence[FileChange]]) -> str:
    """Return the summary of a patch and its diff; *files* raises `PatchError` where it cannot be read."""
    from .diffstat import stat_text

    diff = block(data.decode("utf-8", "replace"), "diff")
    try:
        return f"{block(stat_text(files()))}\n\n{diff}\n"
    except PatchError:
        return f"{diff}\n"
