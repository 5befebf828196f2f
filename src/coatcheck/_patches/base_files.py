"""The files that a patch is repaired against, read without following symbolic links, and the places of lines in them.

Searching the places of lines takes time proportional to the file and to the lines; beyond that it is an error.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from . import quoted_names
from .path_rules import is_inside
from .repair_rows import repair_error
from .work_tree import read_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

# The most comparisons of lines for each line of a file and of the hunks for it; beyond these the search ends with an error.
_COMPARISONS_PER_LINE = 64
# More places than these are not listed: two are ambiguous already.
MOST_PLACES = 8


class BaseFile:
    """One file: its lines without line feeds, and how it ends. With `has_crlf` every line ends with CR LF."""

    def __init__(self, data: bytes, mode: int = 0o100644) -> None:
        self.mode = mode
        self.lines = data.split(b"\n")
        self.has_final_newline = not self.lines[-1]
        if self.has_final_newline:
            self.lines.pop()
        complete = self.lines if self.has_final_newline else self.lines[:-1]
        self.has_crlf = bool(complete) and all(line.endswith(b"\r") for line in complete)
        self.has_lf = not any(line.endswith(b"\r") for line in self.lines)
        self.keys = [line.removesuffix(b"\r") for line in self.lines] if self.has_crlf else self.lines
        self._places: dict[bytes, list[int]] | None = None
        self._comparisons = _COMPARISONS_PER_LINE * (len(self.lines) + 1)

    def places_of_line(self, key: bytes) -> list[int]:
        """Return the positions of one line, from 0."""
        if self._places is None:
            self._places = {}
            for position, line in enumerate(self.keys):
                self._places.setdefault(line, []).append(position)
        return self._places.get(key, [])

    def places(self, lines: Sequence[bytes], *, start: int = 0, line: int = 0) -> list[int]:
        """Return the first positions from *start* at which *lines* are, at most `MOST_PLACES`.

        Raises `PatchError` naming *line* of the input where so many places would have to be compared that it takes
        more than linear time.
        """
        keys = self.keys_of(lines)
        if not keys or len(keys) > len(self.keys):
            return []
        offset = min(range(len(keys)), key=lambda number: len(self.places_of_line(keys[number])))
        self._comparisons += _COMPARISONS_PER_LINE * len(keys)
        found: list[int] = []
        for position in self.places_of_line(keys[offset]):
            if position - offset >= start and self._is_at(position - offset, keys, line):
                found.append(position - offset)
                if len(found) == MOST_PLACES:
                    break
        return found

    def _is_at(self, position: int, keys: Sequence[bytes], line: int) -> bool:
        if self._comparisons < 0:
            raise repair_error(
                line, "the file repeats the lines of this hunk too often to find it", remedy="add its line numbers"
            )
        for number, key in enumerate(keys):
            self._comparisons -= 1
            if position + number >= len(self.keys) or self.keys[position + number] != key:
                return False
        return True

    def keys_of(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return *lines* as they are compared: without CR where only one side has CR LF."""
        if self.has_crlf or (self.has_lf and lines and all(line.endswith(b"\r") for line in lines)):
            return [line.removesuffix(b"\r") for line in lines]
        return list(lines)

    def with_line_ends(self, line: bytes) -> bytes:
        """Return an added line with the file's line end."""
        if self.has_crlf:
            return line if line.endswith(b"\r") else line + b"\r"
        return line.removesuffix(b"\r") if self.has_lf and self.lines else line


class BaseFiles:
    """The files below a folder: the checkout's root where it is in one."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._root = _root_of(os.fspath(folder))
        self._files: dict[str, BaseFile | None] = {}

    def get(self, path: str) -> BaseFile | None:
        """Return the file at *path*, None where there is no regular file; symbolic links are not followed."""
        if path not in self._files:
            self._files[path] = self._read(path)
        return self._files[path]

    def _read(self, path: str) -> BaseFile | None:
        if not is_inside(path) or "\0" in path or self._is_below_link(path):
            return None
        whole = os.path.join(self._root, path)
        try:
            mode = os.lstat(whole).st_mode
        except OSError:
            return None
        data = read_plain(whole) if stat.S_ISREG(mode) else None
        return None if data is None else BaseFile(data, 0o100755 if mode & 0o100 else 0o100644)

    def _is_below_link(self, path: str) -> bool:
        parts = path.split("/")[:-1]
        return any(os.path.islink(os.path.join(self._root, *parts[: end + 1])) for end in range(len(parts)))

    def resolve(self, name: bytes | None, *, is_guess: bool) -> BaseFile | None:
        """Return the file that *name* means; a guessed name may have leading components that the checkout has not."""
        if name is None:
            return None
        path = quoted_names.to_text(name)
        while (file := self.get(path)) is None and is_guess and "/" in path:
            path = path.partition("/")[2]
        return file


def _root_of(folder: str) -> str:
    from .checkout import Checkout
    from .git import GitError

    try:
        return Checkout.at(folder).root
    except GitError:
        return folder
