"""Diffs for tests, and what shows them."""

from __future__ import annotations

import difflib

from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.base_files import split_lines
from coatcheck._web.diffs.file_section import FileView
from coatcheck._web.diffs.links import DiffLinks

LINKS = DiffLinks("/tasks/t/compare", {"candidate": "1"})


class Files:
    """A base of files in memory."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files = files or {}

    def read(self, path: str, blob: str | None) -> bytes | None:
        """Return the file at *path*."""
        del blob
        return self._files.get(path)


def diff(old: bytes, new: bytes, *, context: int = 3, path: str = "f") -> bytes:
    """Return the unified diff of one file, with git's notes about the end of the file."""
    sides = [[line.decode("latin-1") for line in split_lines(side)] for side in (old, new)]
    lines = difflib.unified_diff(*sides, f"a/{path}", f"b/{path}", n=context)
    return b"".join(
        line.encode("latin-1") + (b"" if line.endswith("\n") else b"\n\\ No newline at end of file\n") for line in lines
    )


def view(name: str = "unified", files: dict[str, bytes] | None = None, *, has_all_context: bool = False) -> FileView:
    """Return how files are shown, with the base *files*."""
    return FileView(LINKS, name, None if files is None else Files(files), has_all_context)


def only_file(text: bytes | str) -> Patch:
    """Return a patch of one file."""
    return Patch.parse(text)
