"""The addresses that a diff links to: its page, and the fragments that the script loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from .file_lines import Gap


class DiffLinks(NamedTuple):
    """Addresses below *path* with the parameters *query*, which select the diff and how it is shown.

    *path* is the page; ``path/part``, ``path/lines`` and ``path/raw`` are a part of a file, lines of the base, and the text of
    a file's diff.
    """

    path: str
    query: Mapping[str, str]

    def page(self, **changes: str | None) -> str:
        """Return the page with other parameters; None removes one."""
        return self._url("", **changes)

    def file(self, anchor: str, **changes: str | None) -> str:
        """Return the page that begins with the file *anchor*."""
        return f"{self._url('', file=anchor, **changes)}#{anchor}"

    def part(self, anchor: str, number: int) -> str:
        """Return part *number* of the rows of a file."""
        return self._url("/part", file=anchor, part=str(number))

    def lines(self, anchor: str, gap: Gap, side: str) -> str:
        """Return lines of a gap: those at its *side* ("first", "last"), or "all"."""
        wanted = f"{gap.first}-{gap.last}" + (f"{gap.shift:+d}" if gap.shift else "")
        return self._url("/lines", file=anchor, lines=wanted, side=side)

    def raw(self, anchor: str) -> str:
        """Return the text of a file's diff."""
        return self._url("/raw", file=anchor)

    def _url(self, suffix: str, **changes: str | None) -> str:
        query = {name: value for name, value in {**self.query, **changes}.items() if value is not None}
        return f"{self.path}{suffix}{'?' if query else ''}{urlencode(query)}"
