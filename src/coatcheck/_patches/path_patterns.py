"""Paths chosen by pattern, as in a ``.gitignore``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .file_change import FileChange

_PIECES = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\])")
_AT_ROOT = re.compile(r"(?:\./+)+")
_MEANINGS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def matcher(*, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Callable[[FileChange], bool]:
    """Return a test of changes: either path matches *include* (all, when empty) and neither *exclude*."""
    wanted, unwanted = _any_of(include), _any_of(exclude)

    def is_wanted(change: FileChange) -> bool:
        paths = [path for path in (change.old_path, change.new_path) if path is not None]
        is_in = wanted is None or any(map(wanted, paths))
        return is_in and not (unwanted is not None and any(map(unwanted, paths)))

    return is_wanted


def path_matcher(patterns: Iterable[str], *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a test of paths: whether one matches any of *patterns*, none where there are none."""
    matches = _any_of(patterns, re.IGNORECASE if ignore_case else re.NOFLAG)
    return lambda path: matches is not None and bool(matches(path))


def _any_of(patterns: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> Callable[[str], object] | None:
    alternatives = "|".join(translate(pattern) for pattern in patterns)
    return re.compile(alternatives, re.DOTALL | flags).fullmatch if alternatives else None


def translate(pattern: str) -> str:
    """Return the regular expression of one pattern; ``./`` before it means the root, as a leading ``/`` does."""
    is_anchored = "/" in pattern.rstrip("/")
    pieces = _PIECES.split(_AT_ROOT.sub("", pattern).strip("/"))
    body = "".join(
        _MEANINGS.get(piece) or (_character_class(piece) if at % 2 else re.escape(piece))
        for at, piece in enumerate(pieces)
    )
    return f"{'' if is_anchored else '(?:.*/)?'}{body}(?:/.*)?"


def _character_class(piece: str) -> str:
    inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
