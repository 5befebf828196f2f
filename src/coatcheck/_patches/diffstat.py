"""The summary that ``git diff --stat`` prints: a line per file with a graph, and the totals.

git's own rules are in its ``diff.c`` (``show_stats``, ``pprint_rename``, ``print_stat_summary``). A diff does not contain
the sizes of binary files, so their line has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import quoted_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .file_change import FileChange

# diff.c: the width of a stat that is not written to a terminal, and what is left of it for the graph at least.
WIDTH = 80
_NARROWEST_GRAPH = 6
_NARROWEST_NAME = 10
# The separators between name, number and graph: " ", " | ", " " and one to spare.
_BETWEEN = 6


class StatLine(NamedTuple):
    """One file: its label (`` name | 12 ``), and how many signs of each kind its graph has."""

    label: str
    pluses: int = 0
    minuses: int = 0

    def __str__(self) -> str:
        return f"{self.label}{'+' * self.pluses}{'-' * self.minuses}"


class _Columns(NamedTuple):
    name: int
    number: int
    graph: int
    most: int  # changed lines of the file that has most


def diffstat(changes: Sequence[FileChange], *, width: int = WIDTH) -> tuple[StatLine, ...]:
    """Return a line for each file in at most *width* columns; `summary` returns the totals."""
    columns = _columns(changes, width)
    return tuple(_line(change, columns) for change in changes)


def summary(changes: Sequence[FileChange]) -> str:
    """Return the last line: `` 2 files changed, 3 insertions(+), 1 deletion(-)``."""
    added, removed = sum(change.added for change in changes), sum(change.removed for change in changes)
    parts = [f" {len(changes)} file{'' if len(changes) == 1 else 's'} changed"]
    if changes and (added or not removed):
        parts.append(f"{added} insertion{'' if added == 1 else 's'}(+)")
    if changes and (removed or not added):
        parts.append(f"{removed} deletion{'' if removed == 1 else 's'}(-)")
    return ", ".join(parts)


def stat_text(changes: Sequence[FileChange]) -> str:
    """Return all of it as text."""
    return "".join(f"{line}\n" for line in (*diffstat(changes), summary(changes)))


def _columns(changes: Sequence[FileChange], width: int) -> _Columns:
    most = max((change.added + change.removed for change in changes if not change.is_binary), default=0)
    name = max((len(label_of(change)) for change in changes), default=0)
    number = max(len(str(most)), 3 if any(change.is_binary for change in changes) else 0)
    width = max(width, _NARROWEST_NAME + _BETWEEN + _NARROWEST_GRAPH + number)
    graph = most
    if name + number + _BETWEEN + graph > width:
        graph = min(graph, max(_NARROWEST_GRAPH, width * 3 // 8 - number - _BETWEEN))
        space = width - number - _BETWEEN
        name, graph = (space - graph, graph) if name > space - graph else (name, space - name)
    return _Columns(name, number, graph, most)


def _line(change: FileChange, columns: _Columns) -> StatLine:
    name = _shortened(label_of(change), columns.name).ljust(columns.name)
    if change.is_binary:
        return StatLine(f" {name} | {'Bin':>{columns.number}}")
    total = change.added + change.removed
    pluses, minuses = _scaled(change.added, change.removed, columns)
    return StatLine(f" {name} | {total:>{columns.number}}{' ' if total else ''}", pluses, minuses)


def _shortened(name: str, width: int) -> str:
    """Cut the beginning off, at a folder where there is one."""
    if len(name) <= width:
        return name
    kept = name[len(name) - max(width - 3, 0) :]
    slash = kept.find("/")
    return "..." + (kept[slash:] if slash >= 0 else kept)


def _scaled(added: int, removed: int, columns: _Columns) -> tuple[int, int]:
    """Scale to the graph's width; what is there is shown, however little it is."""
    if columns.graph > columns.most:
        return added, removed
    total = _scale(added + removed, columns)
    if total < 2 and added and removed:
        total = 2
    if added < removed:
        pluses = _scale(added, columns)
        return pluses, total - pluses
    minuses = _scale(removed, columns)
    return total - minuses, minuses


def _scale(count: int, columns: _Columns) -> int:
    return 1 + count * (columns.graph - 1) // columns.most if count else 0


def label_of(change: FileChange) -> str:
    """Return a file's name as git's summaries have it: a moved file as ``folder/{old => new}``."""
    old, new = change.header.old_path, change.header.new_path
    if old is None or new is None or old == new:
        return quoted_names.to_text(quoted_names.quote(new or old or b""))
    quoted = quoted_names.quote(old), quoted_names.quote(new)
    if quoted != (old, new):
        return quoted_names.to_text(b" => ".join(quoted))
    return quoted_names.to_text(b"".join(_moved(old, new)))


def _moved(old: bytes, new: bytes) -> Iterator[bytes]:
    """Write what two paths share once. A prefix ends with a slash, a suffix begins with one, and it may be the same."""
    prefix = _shared(old, new)
    space = min(len(old), len(new)) - (prefix - 1 if prefix else 0)
    suffix = _shared_end(old, new, space)
    middles = (path[prefix : max(prefix, len(path) - suffix)] for path in (old, new))
    middle = b" => ".join(middles)
    yield b"%s{%s}%s" % (old[:prefix], middle, old[len(old) - suffix :]) if prefix or suffix else middle


def _shared(old: bytes, new: bytes) -> int:
    length = 0
    for at, (old_byte, new_byte) in enumerate(zip(old, new, strict=False), 1):
        if old_byte != new_byte:
            break
        if old_byte == ord("/"):
            length = at
    return length


def _shared_end(old: bytes, new: bytes, space: int) -> int:
    length = 0
    for at in range(1, space + 1):
        if old[-at] != new[-at]:
            break
        if old[-at] == ord("/"):
            length = at
    return length
