"""Highlight diffs and files: git's colours for added and removed lines, pygments' tokens for the language.

Invariants:

- colours carry no information that the signs at the beginning of lines do not carry;
- highlighting takes bounded time: text that is long, or has long lines, has only git's colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from .._patches.lexers import MAX_CALL, Lexer, lexer_for, lexer_of, style_by_prefix, token_lines
from ..errors import PatchError
from .console import Line, Part, Styled, diff_lines

if TYPE_CHECKING:
    from .._patches.diffstat import StatLine
    from .._patches.file_change import FileChange
    from .._patches.parse import Patch

# A diff of this size takes a quarter of a second (`_patches.lexers`).
MAX_BYTES = 200_000

# Kinds of tokens, the first that fits from the left. Added and removed lines keep the colour of their sign.
TOKENS: Mapping[str, str] = {
    "Token.Comment": "dim",
    "Token.Keyword": "bold",
    "Token.Operator.Word": "bold",
    "Token.Name.Tag": "bold",
    "Token.Name.Function": "blue",
    "Token.Name.Class": "blue",
    "Token.Name.Decorator": "blue",
    "Token.Literal.String": "yellow",
    "Token.Literal.Number": "magenta",
}
SIGNS: Mapping[str, str] = {"+": "green", "-": "red", " ": ""}
WEIGHTS = frozenset({"bold", "dim"})


def highlight_diff(patch: Patch) -> Iterable[Line]:
    """Return the lines of a diff, highlighted; a diff that cannot be parsed has git's colours only."""
    data = bytes(patch)
    try:
        files = patch.files if len(data) <= MAX_BYTES else ()
        return list(_diff_lines(data, files)) if files else diff_lines(data)
    except PatchError:
        return diff_lines(data)


def _diff_lines(data: bytes, files: Iterable[FileChange]) -> Iterator[Line]:
    """Yield the lines of a diff: hunks highlighted by language, lines between them in git's colours."""
    lines, position = data.split(b"\n"), 0
    for change in files:
        lexer = lexer_of(change.path)
        for hunk in change.hunks if lexer and not change.is_combined else ():
            start = hunk.line - 1
            yield from diff_lines(b"\n".join(lines[position:start]))
            yield from _hunk_lines(bytes(hunk), lexer)
            position = start + bytes(hunk).count(b"\n")
    if rest := b"\n".join(lines[position:]):
        yield from diff_lines(rest)


def _hunk_lines(body: bytes, lexer: Lexer | None) -> Iterator[Line]:
    """Tokenize both sides of a hunk, and yield each line with the tokens of its side."""
    lines = body.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n") if body else []
    new = iter(tokens("\n".join(line[1:] for line in lines if line[:1] in ("+", " ", "")), lexer))
    old = iter(tokens("\n".join(line[1:] for line in lines if line[:1] in ("-", " ", "")), lexer))
    for line in lines:
        if line[:1] == "-":
            yield _hunk_line("-", next(old, None), line)
        elif line[:1] == "+":
            yield _hunk_line("+", next(new, None), line)
        elif line[:1] == "\\":
            yield line
        else:
            next(old, None)
            yield _hunk_line(line[:1], next(new, None), line)


def _hunk_line(sign: str, parts: list[tuple[str, str]] | None, line: str) -> Line:
    colour = SIGNS.get(sign, "")
    if parts is None:
        return Styled(line, colour) if colour else line
    kept = ((style if style in WEIGHTS or not colour else "", text) for style, text in parts)
    return _parts([(colour, sign), *((f"{colour} {style}".strip(), text) for style, text in kept)])


def highlight_file(text: str, language: str | None) -> Iterable[Line]:
    """Return the lines of a file, highlighted by its language."""
    lines = text.removesuffix("\n").split("\n")
    lexer = lexer_for(language) if language and len(text) <= MAX_BYTES else None
    parts = tokens("\n".join(lines), lexer, most=MAX_BYTES)
    return [_parts(each) for each in parts] if parts else list(lines)


def _parts(tokens: Iterable[tuple[str, str]]) -> tuple[Part, ...]:
    runs = ((style, "".join(text for _, text in run)) for style, run in groupby(tokens, key=itemgetter(0)))
    return tuple(Styled(text, style) if style else text for style, text in runs if text)


def tokens(text: str, lexer: Lexer | None, *, most: int = MAX_CALL) -> list[list[tuple[str, str]]]:
    """Return (style, text) pairs line by line; an empty list where *text* cannot be highlighted."""
    return token_lines(text, lexer, lambda kind: style_by_prefix(kind, TOKENS), most=most)


def highlight_stat(line: StatLine) -> Line:
    """Return a line of a summary with a coloured graph."""
    return line.label, Styled("+" * line.pluses, "green"), Styled("-" * line.minuses, "red")
