"""Rules about the content that a patch adds, and about files that programs run or obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import hidden_characters
from .automation_rules import is_automation, is_lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_change import FileChange

# Every control character but the tab, the line feed, the form feed and the carriage return.
_CONTROLS = bytes((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F))
# How the UTF-8 of what `hidden_characters.hidden` finds outside of ASCII begins. Most other text has none of it.
_SUSPECT = re.compile(
    rb"\xc2[\x80-\x9f\xad]|\xcd\x8f|\xd8\x9c|\xe1[\x85\x9e\xa0]|\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])|\xe3\x85\xa4"
    rb"|\xef(?:\xb8[\x80-\x8f]|\xbb\xbf|\xbe\xa0|\xbf[\xb0-\xbb])|\xf0\x9b\xb2|\xf0\x9d\x85|\xf3\xa0"
)
_BYTE_ORDER_MARK = "\ufeff"

# The kinds of `hidden_characters.hidden` -> the rule that they break, and what is wrong.
_HIDDEN = {
    "bidirectional": ("bidirectional", "changes the order in which the text is shown"),
    "invisible": ("invisible", "is not shown"),
    "control": ("invisible", "is a control character"),
}


def path_problems(path: str) -> Iterator[tuple[str, str]]:
    """Yield rule and detail for files that do more than their text."""
    if is_automation(path):
        yield "automation", "programs run or read this file automatically"
    if is_lock_file(path):
        yield "lock-file", "this file pins what gets installed"


def hidden_in_name(path: str) -> Iterator[tuple[str, str]]:
    """Yield rule and detail for the characters of a name that its reader does not see."""
    for kind, character in dict.fromkeys(hidden_characters.hidden(path.replace("\r", "\v"))):
        rule, what = _HIDDEN[kind]
        yield rule, f"{hidden_characters.name_of(character)} in the name {what}"


def may_hide(data: bytes) -> bool:
    """Whether text with these bytes can hold characters that its reader does not see: nearly always not."""
    return (
        (not data.isascii() and _SUSPECT.search(data) is not None)
        or len(data.translate(None, _CONTROLS)) != len(data)
        or data.count(b"\r") != data.count(b"\r\n")
    )


def hidden_in_text(change: FileChange) -> Iterator[tuple[str, int, str]]:
    """Yield rule, line and detail of the first hidden character of each kind in what *change* adds, and how many more."""
    if change.is_combined or not change.added or not may_hide(bytes(change)):
        return
    places_by_kind: dict[str, list[tuple[int, str]]] = {}
    for number, content in added_lines(change):
        if may_hide(content):
            text = content.decode("utf-8", "surrogateescape")
            for kind, character in hidden_characters.hidden(
                text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
            ):
                places_by_kind.setdefault(kind, []).append((number, character))
    for kind, places in places_by_kind.items():
        rule, what = _HIDDEN[kind]
        more = f" (and {len(places) - 1:,} more in this file)" if len(places) > 1 else ""
        yield rule, places[0][0], f"{hidden_characters.name_of(places[0][1])} {what}{more}"


def added_lines(change: FileChange) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the lines that *change* adds."""
    for hunk in change.hunks:
        number = hunk.new_start
        for line in hunk.lines:
            if line.sign == "+":
                yield number, line.content
            number += line.sign != "-"
