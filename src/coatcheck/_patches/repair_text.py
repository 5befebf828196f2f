"""Undo what editors, terminals, chat programs and mail programs do to the text of a patch, before its format is read.

Each function returns the lines unchanged where it finds no such damage. Characters in the lines of files are never
changed: a colour code in the middle of a line is an error, because it may be content.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import search_replace
from .repair_rows import Row, repair_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .repair_rows import Repairs

# How a text begins, longer forms first: with its byte order mark, or with two ASCII characters.
_ENCODINGS = (
    ((b"\xff\xfe\0\0", b"d\0\0\0i\0\0\0", b"-\0\0\0-\0\0\0"), "utf-32-le"),
    ((b"\0\0\xfe\xff", b"\0\0\0d\0\0\0i", b"\0\0\0-\0\0\0-"), "utf-32-be"),
    ((b"\xff\xfe", b"d\0i\0", b"-\0-\0"), "utf-16-le"),
    ((b"\xfe\xff", b"\0d\0i", b"\0-\0-"), "utf-16-be"),
)
_REMEDY = "write it with: git diff --output=FILE"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The first line of a file's part, in any format that is read.
_START = rb"(?:diff --git |diff --c|--- [^-\s]|\*\*\* (?:Begin Patch|(?:Add|Delete|Update) File: )|@@ )"
_STARTS = re.compile(_START)
_INDENTED = re.compile(rb"(?P<indent>[ \t>]++)(?:" + _START + rb"|<{5,9} SEARCH)")
_BLANKS = b" \t>"

_CODE = rb"(?:\x1b\[[\d;:]*[mK])"
_COLOURED = re.compile(_CODE + rb"+(?:diff |--- |\+\+\+ |@@|[-+ ])")
_SPLIT = re.compile(_CODE)
_RESET = (b"\x1b[m", b"\x1b[0m")
_HEADER_LINE = (b"@@", b"diff ", b"index ", b"--- ", b"+++ ")

_FENCE = re.compile(rb"(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)\Z")


def as_utf8(data: bytes, repairs: Repairs) -> bytes:
    """Convert a text in UTF-16 or UTF-32 to UTF-8. Raises `PatchError` where it is not valid."""
    encoding = next((name for marks, name in _ENCODINGS if data.startswith(marks)), None)
    if encoding is None:
        return data
    try:
        text = data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        raise repair_error(
            1, f"the text begins as {encoding.upper()} and is not: {error.reason}", remedy=_REMEDY
        ) from None
    repairs.add("encoding", 1, f"converted {encoding.upper()[:6]} to UTF-8")
    return text


def without_byte_order_mark(rows: list[Row], repairs: Repairs) -> list[Row]:
    """Remove a byte order mark before the first line."""
    if not rows or not rows[0].text.startswith(_BYTE_ORDER_MARK):
        return rows
    repairs.add("byte order mark", 1, "removed a byte order mark")
    return [Row(rows[0].text.removeprefix(_BYTE_ORDER_MARK), rows[0].number), *rows[1:]]


def without_carriage_returns(rows: list[Row], repairs: Repairs) -> list[Row]:
    """Remove the CR at the end of each line where every line has one."""
    lines = rows if rows and rows[-1].text else rows[:-1]
    if not lines or not all(row.text.endswith(b"\r") for row in lines):
        return rows
    repairs.add("line ends", rows[0].number, "removed the CR at the end of every line")
    return [Row(row.text.removesuffix(b"\r"), row.number) for row in rows]


def without_colours(rows: list[Row], repairs: Repairs) -> list[Row]:
    """Remove git's colour codes. Raises `PatchError` for a code in the middle of a line."""
    first = next((row for row in rows if _COLOURED.match(row.text)), None)
    if first is None:
        return rows
    repairs.add("colour", first.number, "removed colour codes")
    return [Row(_uncoloured(row), row.number) if b"\x1b" in row.text else row for row in rows]


def _uncoloured(row: Row) -> bytes:
    plain = _SPLIT.sub(b"", row.text)
    if plain.startswith(_HEADER_LINE) or _is_from_git(row.text, _SPLIT.split(row.text), _SPLIT.findall(row.text)):
        return plain
    raise repair_error(
        row.number,
        "a colour code in the middle of a line, which may belong to the file",
        remedy="write the diff without colours: git diff --no-color",
    )


def _is_from_git(text: bytes, pieces: Sequence[bytes], codes: Sequence[bytes]) -> bool:
    """Whether all *codes*, which part *text* into *pieces*, are where git writes them (diff.c, ws_check_emit).

    git colours a whole line, writes its sign apart (reset, colour), and marks blanks at the start and end of a line.
    """
    signed = pieces[0] or (pieces[1] if len(pieces) > 1 else b"")
    first = 1 if pieces[0] else 2  # the first code behind the sign
    inner = [signed[1:], *pieces[first:]]
    words = [at for at, piece in enumerate(inner) if piece.strip(b" \t\r")]
    if (words and any(not piece.strip(b" \t\r") for piece in inner[words[0] + 1 : words[-1]])) or len(words) > 1:
        return False
    behind_sign = codes[first - 1 :]
    if behind_sign and not signed[1:] and behind_sign[0] not in _RESET:
        return False
    return text.count(b"\x1b") == len(codes) and not any(
        not inner[at] and not inner[at + 1] for at in range(1, len(inner) - 2)
    )


def without_indentation(rows: list[Row], repairs: Repairs) -> list[Row]:
    """Remove an indentation (blanks, or the ``>`` of a quoted mail) that all lines of the patch have."""
    if any(_STARTS.match(row.text) or search_replace.MARKER.match(row.text) for row in rows):
        return rows
    match, row = next(((found, row) for row in rows if (found := _INDENTED.match(row.text))), (None, None))
    if match is None or row is None:
        return rows
    indent = match["indent"]
    repairs.add("indentation", row.number, f"removed {len(indent)} characters of indentation")
    return list(_dedented(rows, indent))


def _dedented(rows: Sequence[Row], indent: bytes) -> Iterator[Row]:
    """Yield the lines of the indented parts; other lines are text around them."""
    is_part = False
    for row in rows:
        if row.text.startswith(indent):
            rest = row.text[len(indent) :]
            is_part = is_part or bool(_STARTS.match(rest) or rest.startswith((b"`", b"<")))
            yield Row(rest, row.number)
        elif not row.text.strip(_BLANKS) and is_part:
            yield Row(b"", row.number)
        else:
            is_part = False
            yield Row(row.text if _is_text(row.text) else b"", row.number)


def _is_text(line: bytes) -> bool:
    """Whether a line outside of an indented part cannot be taken for a line of a hunk."""
    return bool(line) and line[:1] not in (b" ", b"+", b"-", b"\\", b"@")


def without_fences(rows: list[Row], repairs: Repairs) -> list[Row]:
    """Return what is inside of Markdown code blocks, if they hold all of the patch."""
    inside, outside = _fenced(rows)
    if not inside or not any(_STARTS.match(row.text) for row in inside):
        return rows
    if any(_STARTS.match(row.text) for row in outside):
        return rows
    repairs.add("fence", inside[0].number - 1, "took the patch out of a Markdown code block")
    return inside


def _fenced(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the lines inside of code blocks that hold a part of a patch, and the other lines."""
    inside, outside, block = list[Row](), list[Row](), list[Row]()
    fence = b""
    for row in (*rows, Row(b"", 0)):
        match = _FENCE.match(row.text)
        is_end = not row.number or (match and match["fence"].startswith(fence) and not match["info"].strip())
        if not fence:
            if match:
                fence, block = match["fence"], []
            elif row.number:
                outside.append(row)
        elif is_end:
            (inside if any(_STARTS.match(each.text) or each.text[:2] == b"@@" for each in block) else outside).extend(
                block
            )
            fence = b""
        else:
            block.append(row)
    return inside, outside
