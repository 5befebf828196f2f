"""The only module that prints: results to stdout, notes and progress to stderr.

Law 1. Whatever comes from a service or an agent is cleaned here, at the last moment: a control character, an escape
       sequence or a change of writing direction is shown, never sent to the terminal. Colour is put on afterwards.
Law 2. stdout carries results and nothing else, so that it can be piped. Progress appears on a terminal only.
Law 3. Colour obeys ``NO_COLOR`` and ``FORCE_COLOR`` (no-color.org, force-color.org), then asks whether there is a
       terminal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, TypeAlias

# ECMA-48, section 8.3.117 (SGR).
STYLES: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}

# C0 and C1 controls, and the characters that turn text around (trojansource.codes, CVE-2021-42574).
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
_HARMFUL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    code: f"\\u{code:04x}" for code in _TURNING
}
_HARMFUL[ord("\t")] = "\t"

CLEAR_LINE = "\r\x1b[K"
# What a terminal has when it does not say.
DEFAULT_WIDTH = 80


class ReaderGoneError(Exception):
    """Whoever read our output went away. click would take a `BrokenPipeError` for its own business."""


class Painted:
    """A piece of text in a style of `STYLES`, or in several: "green bold"."""

    __slots__ = ("style", "text")

    def __init__(self, text: str, style: str) -> None:
        self.text, self.style = text, style

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Painted) and (self.text, self.style) == (other.text, other.style)

    def __hash__(self) -> int:
        return hash((self.text, self.style))

    def __repr__(self) -> str:
        return f"Painted({self.text!r}, {self.style!r})"


Part: TypeAlias = str | Painted
Line: TypeAlias = Part | tuple[Part, ...]


def parts_of(line: Line) -> tuple[Part, ...]:
    """Return what a line is made of."""
    return line if isinstance(line, tuple) else (line,)


def indented(lines: Iterable[Line]) -> list[Line]:
    """Return *lines* two columns to the right."""
    return [("  ", *parts_of(line)) for line in lines]


def clean(text: str) -> str:
    """Return *text* as one line that only shows characters: controls are made visible."""
    return text if text.isprintable() else text.translate(_HARMFUL)


class Screen:
    """Where a run's output goes. Printing results raises `ReaderGoneError` when nobody reads them any more."""

    def __init__(
        self,
        out: BinaryIO,
        err: BinaryIO,
        *,
        environ: Mapping[str, str],
        encoding: str = "utf-8",
        is_terminal: bool = False,
        is_interactive: bool = False,
    ) -> None:
        """Make a screen: *is_terminal* says it of *out*, *is_interactive* of *err*."""
        self._out, self._err, self._encoding = out, err, encoding
        self._environ = environ
        self.is_terminal, self.is_interactive = is_terminal, is_interactive
        self.has_colour = _has_colour(environ, is_terminal=is_terminal)
        self._err_has_colour = _has_colour(environ, is_terminal=is_interactive)
        self._progress: Callable[[], tuple[Part, ...]] | None = None
        self._interjection: Callable[[], tuple[Part, ...]] | None = None

    def show(self, *lines: Line) -> None:
        """Print result lines."""
        self.show_all(lines)

    def show_all(self, lines: Iterable[Line], *, with_colour: bool | None = None) -> None:
        """Print many result lines; *with_colour* overrides what the environment says."""
        self.write(b"".join(self.composed(lines, with_colour=with_colour)))

    def composed(self, lines: Iterable[Line], *, with_colour: bool | None = None) -> Iterator[bytes]:
        """Yield the bytes that stand for each result line."""
        colour = self.has_colour if with_colour is None else with_colour
        for line in lines:
            yield f"{_composed(line, colour=colour)}\n".encode(self._encoding, "backslashreplace")

    def write(self, data: bytes) -> None:
        """Print a result's own bytes, nothing added."""
        self._end_progress()
        try:
            self._out.write(data)
            self._out.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None

    def note(self, *lines: Line) -> None:
        """Tell the person who waits, on stderr."""
        self._end_progress()
        for line in lines:
            self._tell(_composed(line, colour=self._err_has_colour) + "\n")

    def progress(self, compose: Callable[[], tuple[Part, ...]]) -> None:
        """Replace the line of progress by what *compose* returns now; nothing happens without a terminal."""
        if self.is_interactive:
            self._progress = compose
            self.refresh()

    def interject(self, compose: Callable[[], tuple[Part, ...]] | None) -> None:
        """Show what *compose* returns in place of the progress that is shown, until this is called with None."""
        self._interjection = compose
        self.refresh()

    def refresh(self) -> None:
        """Compose the line of progress again, if one is shown."""
        if self._progress is None:
            return
        parts = (self._interjection or self._progress)()
        whole = "".join(_text(part) for part in parts)
        width = self._width(self._err)
        line = parts if len(whole) < width else (whole[: width - 2] + "…",)
        self._tell(CLEAR_LINE + _composed(line, colour=self._err_has_colour))

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress = None
            self._tell(CLEAR_LINE)

    def _tell(self, text: str) -> None:
        self._err.write(text.encode(self._encoding, "backslashreplace"))
        self._err.flush()

    @property
    def width(self) -> int:
        """How many columns results have: a terminal's, or what git takes where there is none."""
        return self._width(self._out) if self.is_terminal else DEFAULT_WIDTH

    def _width(self, stream: BinaryIO) -> int:
        if (columns := self._environ.get("COLUMNS", "")).isdecimal() and int(columns) > 2:
            return int(columns)
        try:
            return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
        except (OSError, ValueError):
            return DEFAULT_WIDTH


def _has_colour(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_terminal and environ.get("TERM") != "dumb"


def _composed(line: Line, *, colour: bool) -> str:
    return "".join(_composed_part(part, colour=colour) for part in parts_of(line))


def _composed_part(part: Part, *, colour: bool) -> str:
    text = clean(_text(part))
    if not (colour and isinstance(part, Painted) and text):
        return text
    codes = ";".join(STYLES[style] for style in part.style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def _text(part: Part) -> str:
    return part.text if isinstance(part, Painted) else part


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[Line]:
    """Return *rows* under *header*, each column as wide as its widest cell; the last one runs free."""
    cells = [tuple(clean(cell) for cell in row) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [Painted(lines[0], "bold"), *lines[1:]]


def paragraph(text: str, *, indent: str = "") -> list[Line]:
    """Return *text* as lines."""
    return [indent + line for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]


# How a line of a diff is painted: the first prefix that fits. File headers come before added and removed lines.
DIFF_STYLES: Mapping[str, str] = {
    "diff --git ": "bold",
    "index ": "bold",
    "--- ": "bold",
    "+++ ": "bold",
    "@@": "cyan",
    "+": "green",
    "-": "red",
}


def diff_lines(data: bytes) -> Iterable[Line]:
    """Yield the lines of a diff, painted as git paints them."""
    for line in data.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n"):
        style = next((style for prefix, style in DIFF_STYLES.items() if line.startswith(prefix)), None)
        yield Painted(line, style) if style else line
