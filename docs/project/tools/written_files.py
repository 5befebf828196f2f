"""Write a generated file, or with ``--check`` in the arguments compare it and name the command that writes it."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_compare(path: Path, text: str, script: str) -> int:
    """Write *text* to *path*, or with --check compare it; return the exit code."""
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.exists() and path.read_text("utf-8") == text:
        return 0
    print(f"out of date: {path.name}; run: python docs/project/tools/{Path(script).name}")
    return 1


def with_block(page: str, name: str, block: str) -> str:
    """Return *page* with *block* between its comments ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``."""
    before, opening, rest = page.partition(f"<!-- {name}: ")
    comment, closing, rest = rest.partition("-->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not (opening and closing and end):
        raise ValueError(f"the page has no comments around the block {name}")
    return f"{before}{opening}{comment}{closing}{block}{end}{after}"
