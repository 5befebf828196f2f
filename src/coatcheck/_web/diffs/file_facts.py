"""What a diff does to a file besides its lines, in words: names, modes, kind, line ends."""

from __future__ import annotations

from collections.abc import Iterator

from ..._patches.file_change import BinaryForm, ChangeStatus, FileChange

_TYPES = {0o120000: "symbolic link", 0o160000: "submodule", 0o040000: "folder"}
_EXECUTABLE = 0o111


def facts_of(change: FileChange) -> tuple[str, ...]:
    """Return short statements about the file, the most important first."""
    return tuple(_facts(change))


def _facts(change: FileChange) -> Iterator[str]:
    similarity = "" if change.similarity is None else f", {change.similarity}% unchanged"
    if change.status in (ChangeStatus.RENAMED, ChangeStatus.COPIED):
        yield f"{change.status.value}{similarity}"
    elif change.old_path is None:
        yield f"new {_kind(change.new_mode)}"
    elif change.new_path is None:
        yield f"deleted {_kind(change.old_mode)}"
    yield from _mode_facts(change)
    if change.is_submodule:
        yield "submodule"
    if change.is_combined:
        yield "merge: a sign for each parent"
    if change.header.binary is BinaryForm.DIFFERS:
        yield "binary; the diff does not contain it"
    elif change.is_binary:
        yield "binary"


def _kind(mode: int | None) -> str:
    kind = _TYPES.get((mode or 0) & 0o170000)
    return kind or ("executable file" if (mode or 0) & _EXECUTABLE else "file")


def _mode_facts(change: FileChange) -> Iterator[str]:
    old, new = change.old_mode, change.new_mode
    if old is None or new is None or old == new or change.old_path is None or change.new_path is None:
        return
    if old & 0o170000 != new & 0o170000:
        yield f"{_kind(old)} becomes {_kind(new)}"
    elif (old ^ new) & _EXECUTABLE:
        yield "now executable" if new & _EXECUTABLE else "no longer executable"
    yield f"mode {old:06o} → {new:06o}"
