"""The lines of a text that is repaired, each with its line number there.

A line that a repair adds has the number of the line that caused it, so every error names a line of the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from .._values.value import JsonFields, Value
from ..errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

P = TypeVar("P")


class Row(NamedTuple):
    """One line: its bytes without the line feed, and its line number in the input."""

    text: bytes
    number: int


class Repair(Value, frozen=True, kw_only=True):
    """One difference between the input and the repaired patch. `line` is the line of the input."""

    kind: str
    line: int
    detail: str

    _json: ClassVar[JsonFields] = {
        "kind": "the class of the repair, in a word or two",
        "line": "the line of the input, from 1",
        "detail": "what was changed, in a sentence",
    }

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}"


class RepairedPatch(NamedTuple, Generic[P]):
    """What `Patch.repair` returns: a patch that parses, and the repairs that made it so, none for a good one."""

    patch: P
    repairs: tuple[Repair, ...]


class Repairs:
    """The repairs so far."""

    def __init__(self) -> None:
        self.all: list[Repair] = []

    def add(self, kind: str, line: int, detail: str) -> None:
        """Record a repair."""
        self.all.append(Repair(kind=kind, line=line, detail=detail))


def rows_of(data: bytes) -> list[Row]:
    """Return the lines of *data*."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [Row(line, number) for number, line in enumerate(lines, 1)]


def joined(rows: Iterable[Row]) -> bytes:
    """Return *rows* as text."""
    return b"".join([row.text + b"\n" for row in rows])


def repair_error(line: int, reason: str, *, remedy: str) -> PatchError:
    """Return the error for what cannot be repaired at *line* of the input."""
    return PatchError(f"line {line}: {reason}", line=line, remedy=remedy)
