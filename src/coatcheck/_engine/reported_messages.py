"""Which messages of a task were reported before, where its event stream and its polls report the same ones.

A stream may divide a message into paragraphs or lines that a poll shows as one. Guarantees:

- a message was reported if its lines are those of consecutive reported messages; blank lines, and white space at the ends
  of lines, do not count;
- a message that begins with the line `CUT` is the end of one: its first line may be any line of a reported message;
- messages are found in their order, so that one that an agent repeats is not taken for the first;
- no text is kept: a line is kept as its hash.
"""

from __future__ import annotations

CUT = "[…]"


class ReportedMessages:
    """The messages of one task in the order in which they were reported."""

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._starts: list[int] = []
        self._ends: set[int] = set()
        self._position = 0

    def add(self, text: str, *, is_divided: bool = False) -> None:
        """Add a message that was reported; with *is_divided* each of its lines, which may be reported alone."""
        lines = _lines(text)
        size = 1 if is_divided else max(1, len(lines))
        for first in range(0, len(lines), size):
            self._starts.append(len(self._lines))
            self._lines += lines[first : first + size]
            self._ends.add(len(self._lines))

    def from_first(self) -> ReportedMessages:
        """Return the messages that were reported until now, to be searched from the first one on."""
        messages = ReportedMessages()
        messages._lines, messages._starts, messages._ends = list(self._lines), list(self._starts), set(self._ends)
        return messages

    def unreported(self, text: str) -> str:
        """Return what of *text* was not reported: "" where all of it was, the rest where its beginning was the last."""
        is_cut = text.startswith(f"{CUT}\n")
        lines = _lines(text)[is_cut:]
        for start in range(len(self._lines)) if is_cut else self._starts:
            if start < self._position or not lines or self._lines[start] != lines[0]:
                continue
            known = self._lines[start : start + len(lines)]
            end = start + len(known)
            if known == lines[: len(known)] and end in self._ends:
                self._position = end
                return _without_lines(text, is_cut + len(known))
        return text if lines else ""


def _lines(text: str) -> list[int]:
    return [hash(line) for each in text.splitlines() if (line := each.strip())]


def _without_lines(text: str, count: int) -> str:
    """Return *text* after its first *count* lines that are not blank."""
    kept = text.splitlines(keepends=True)
    while count and kept:
        count -= bool(kept.pop(0).strip())
    return "".join(kept).strip("\n")
