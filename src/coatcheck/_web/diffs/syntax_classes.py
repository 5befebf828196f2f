"""Colours of languages: pygments' tokens as a few CSS classes, the same for every language.

The content security policy forbids inline styles, and each class must have enough contrast on four backgrounds (context,
removed, added, changed words; light and dark), so there are few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..._patches.lexers import MAX_CALL, Lexer, style_by_prefix, token_lines

# Kinds of tokens -> class, the first that fits from the top.
CLASSES: Mapping[str, str] = {
    "Token.Comment.Preproc": "k",
    "Token.Comment": "c",
    "Token.Keyword": "k",
    "Token.Operator.Word": "k",
    "Token.Name.Tag": "k",
    "Token.Name.Function": "f",
    "Token.Name.Class": "f",
    "Token.Name.Decorator": "f",
    "Token.Name.Attribute": "f",
    "Token.Literal.String": "s",
    "Token.Literal.Number": "m",
}

# (class, text) of each part of a line; the class is empty for ordinary text.
Tokens = Sequence[tuple[str, str]]


# Files of more bytes than this are not read from their beginning: it takes a tenth of a second.
MOST_BYTES = 60_000


class FileTokens:
    """The tokens of a whole file by line, read when they are first needed.

    A string or a comment that begins above a hunk is known as one only from the beginning of the file.
    """

    def __init__(self, read: Callable[[], bytes], lexer: Lexer | None) -> None:
        self._read, self._lexer = read, lexer
        self._lines: Sequence[Tokens] | None = None

    def line(self, number: int, text: str) -> Tokens | None:
        """Return the tokens of line *number*, from 1; None where they are not those of *text*."""
        if self._lines is None:
            self._lines = self._classified()
        if not 0 < number <= len(self._lines):
            return None
        tokens = self._lines[number - 1]
        return tokens if "".join(part for _, part in tokens) == text else None

    def _classified(self) -> Sequence[Tokens]:
        data = self._read() if self._lexer is not None else b""
        if not 0 < len(data) <= MOST_BYTES:
            return ()
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        return classify_lines([line.removesuffix("\r") for line in lines], self._lexer)


def classify_lines(lines: Sequence[str], lexer: Lexer | None) -> Sequence[Tokens]:
    """Return the tokens of each line, which have no line feeds; each line is one token where there are none."""
    if lexer is None:
        return [[("", line)] for line in lines]
    found: list[Tokens] = []
    for part in _parts(lines):
        found += token_lines("\n".join(part), lexer, _class_of) or [[("", line)] for line in part]
    return found


def _parts(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield runs of lines that pygments reads at once; a run ends before a line that begins a definition, if there is one."""
    start = size = 0
    for at, line in enumerate(lines):
        size += len(line) + 1
        is_top = bool(line) and not line[0].isspace() and at > start and not lines[at - 1]
        if at > start and (size > MAX_CALL or (is_top and size > MAX_CALL // 2)):
            yield lines[start:at]
            start, size = at, len(line) + 1
    if start < len(lines):
        yield lines[start:]


def _class_of(kind: str) -> str:
    return style_by_prefix(kind, CLASSES)
