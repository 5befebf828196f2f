"""The only module that prints: results to stdout, notes and progress to stderr.

Invariants:

* No control, bidirectional or invisible character reaches a terminal (`_patches.hidden_characters` lists them). All text is
  escaped here, when it is printed; JSON and bytes are escaped where stdout is a terminal. Our own escape sequences (colours,
  links, and clearing the progress line) are added afterwards.
* A `Link` is printed as a link only on a terminal that shows links, and only to a safe URL (`hyperlinks`).
* stdout carries results and nothing else. Progress appears on a terminal only.
* Colour follows ``NO_COLOR``, ``FORCE_COLOR`` and ``CLICOLOR_FORCE``, then ``TERM=dumb`` and ``CLICOLOR=0``, then whether there
  is a terminal (https://no-color.org, https://force-color.org, https://bixense.com/clicolors). ``TERM=dumb`` has no progress
  line either.
* A result that cannot be written is an error. A note that cannot be written is dropped: there is no other place for it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, TypeAlias

from .._patches.hidden_characters import escape, escape_json, escape_lines

# ECMA-48, section 8.3.117 (SGR).
STYLES: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "underline": "4",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}

CLEAR_LINE = "\r\x1b[K"
# ECMA-48, sections 8.3.22 (CUU) and 8.3.39 (ED): so many lines up, and everything from there.
CLEAR_LINES = "\r\x1b[{}A\x1b[J"
# The lines where a terminal does not report how many it has.
DEFAULT_HEIGHT = 24
# The width where a terminal does not report one.
DEFAULT_WIDTH = 80


class OutputError(Exception):
    """Standard output cannot be written. Not an `OSError`: click would handle that itself."""

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(f"cannot write to standard output: {reason}")


class OutputClosedError(OutputError):
    """The reader of standard output closed it."""

    def __init__(self, *, remedy: str | None = None) -> None:
        super().__init__("its reader closed it", remedy=remedy)


def output_error(error: OSError, *, remedy: str | None = None) -> OutputError:
    """Return the `OutputError` for *error*, which writing to standard output raised."""
    if isinstance(error, BrokenPipeError):
        return OutputClosedError(remedy=remedy)
    reason = "it is closed" if error.errno == errno.EBADF else error.strerror or type(error).__name__
    return OutputError(reason, remedy=remedy)


class Styled:
    """A piece of text in a style of `STYLES`, or in several: "green bold"."""

    __slots__ = ("style", "text")

    def __init__(self, text: str, style: str) -> None:
        self.text, self.style = text, style

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Styled) and (self.text, self.style) == (other.text, other.style)

    def __hash__(self) -> int:
        return hash((self.text, self.style))

    def __repr__(self) -> str:
        return f"Styled({self.text!r}, {self.style!r})"


class Link(Styled):
    """Text that links to *url* on a terminal that shows links."""

    __slots__ = ("url",)

    def __init__(self, text: str, url: str | None, style: str = "") -> None:
        super().__init__(text, style)
        self.url = url


Part: TypeAlias = str | Styled
Line: TypeAlias = Part | tuple[Part, ...]


def parts_of(line: Line) -> tuple[Part, ...]:
    """Return the parts of a line."""
    return line if isinstance(line, tuple) else (line,)


def indented(lines: Iterable[Line]) -> list[Line]:
    """Return *lines* two columns to the right."""
    return [("  ", *parts_of(line)) for line in lines]


def clean(text: str) -> str:
    """Return *text* as one line in which harmful characters are escaped."""
    return escape(text)


class TextStream(io.TextIOWrapper):
    """stdout or stderr for code that prints text itself: click, `logging`, `warnings` and tracebacks.

    Harmful characters are escaped. Where writing to stdout fails, `OutputError` is raised; on stderr the text is dropped.
    """

    def __init__(self, buffer: BinaryIO, *, encoding: str, is_result: bool, is_escaped: bool) -> None:
        self._is_result, self._is_escaped = is_result, is_escaped
        super().__init__(buffer, encoding=encoding, errors="backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        """Write *text*; return its length."""
        with self._converting_errors():
            super().write(escape_lines(text) if self._is_escaped else text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._converting_errors():
            super().flush()

    @contextlib.contextmanager
    def _converting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._is_result:
                raise output_error(error) from None


class Console:
    """Where a run's output goes. Printing results raises `OutputError` where they cannot be written.

    `remedy` is added to such an error: how to get the result in another way.
    """

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
        """Create a console; *is_terminal* describes *out*, *is_interactive* describes *err*."""
        self._out, self._err, self._encoding = out, err, encoding
        self._environ = environ
        self.is_terminal, self.is_interactive = is_terminal, is_interactive
        self.is_dumb = environ.get("TERM") == "dumb"
        self.remedy: str | None = None
        self.has_colour = _has_colour(environ, is_terminal=is_terminal)
        self.is_quiet = False
        self._err_has_colour = _has_colour(environ, is_terminal=is_interactive)
        self._progress: Callable[[], tuple[Part, ...]] | None = None
        self._table: Callable[[int], list[Line]] | None = None
        self._progress_height = 1

    @functools.cached_property
    def has_links(self) -> bool:
        """Whether results may hold links: on a terminal that shows them."""
        from .hyperlinks import shows_links  # only needed on terminals

        return self.is_terminal and shows_links(self._environ)

    def show(self, *lines: Line) -> None:
        """Print result lines."""
        self.show_all(lines)

    def show_all(self, lines: Iterable[Line], *, with_colour: bool | None = None) -> None:
        """Print many result lines; *with_colour* overrides the environment."""
        self._write(b"".join(self.composed(lines, with_colour=with_colour, with_links=True)))

    def composed(
        self, lines: Iterable[Line], *, with_colour: bool | None = None, with_links: bool = False
    ) -> Iterator[bytes]:
        """Yield the bytes of each result line, with links if they are wanted and the terminal shows them."""
        colour = self.has_colour if with_colour is None else with_colour
        for line in lines:
            text = _composed(line, colour=colour, links=with_links and self.has_links)
            yield f"{text}\n".encode(self._encoding, "backslashreplace")

    def write(self, data: bytes) -> None:
        """Print a result's own bytes, nothing added. On a terminal their text is printed, line by line and escaped."""
        if self.is_terminal:
            text = escape_lines(data.decode("utf-8", "backslashreplace"))
            data = text.encode(self._encoding, "backslashreplace")
        self._write(data)

    def write_json(self, data: bytes) -> None:
        r"""Print JSON text. On a terminal harmful characters are ``\u`` escapes, and others that its encoding lacks."""
        if self.is_terminal:
            is_ascii = self._encoding.lower().replace("-", "") != "utf8"
            data = escape_json(data.decode(), is_ascii=is_ascii).encode()
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._end_progress()
        try:
            self._out.write(data)
            self._out.flush()
        except OSError as error:
            raise output_error(error, remedy=self.remedy) from None

    def note(self, *lines: Line) -> None:
        """Print notes on stderr; the progress line ends."""
        self._end_progress()
        for line in lines:
            self._write_err(_composed(line, colour=self._err_has_colour) + "\n")

    def log(self, line: Line) -> None:
        """Print a line on stderr above the progress line, which stays."""
        if self._progress is not None:
            self._write_err(self._take_progress())
        self._write_err(_composed(line, colour=self._err_has_colour) + "\n")
        self.refresh()

    def progress(
        self, compose: Callable[[], tuple[Part, ...]], *, table: Callable[[int], list[Line]] | None = None
    ) -> None:
        """Replace the progress line by what *compose* returns; nothing happens without a capable terminal, or if quiet.

        *table* returns lines above it, at most as many as it is given.
        """
        if self.is_interactive and not self.is_dumb and not self.is_quiet:
            self._progress, self._table = compose, table
            self.refresh()

    def refresh(self) -> None:
        """Compose the progress line again, if one is shown."""
        if self._progress is None:
            return
        lines = [*(self._table(self._height - 2) if self._table else ()), self._progress()]
        text = "\n".join(_composed(self._fitting(line), colour=self._err_has_colour) for line in lines)
        self._write_err(self._take_progress() + text)
        self._progress_height = len(lines)

    def _fitting(self, line: Line) -> Line:
        """Return *line*, cut where it does not fit the terminal of stderr."""
        from .text_width import columns, shorten  # only needed on terminals

        text, width = clean("".join(_text(part) for part in parts_of(line))), self._width(self._err)
        return line if columns(text) < width else shorten(text, width - 1)

    def _take_progress(self) -> str:
        """Return the sequence that clears the progress that is shown."""
        height, self._progress_height = self._progress_height, 1
        return CLEAR_LINES.format(height - 1) if height > 1 else CLEAR_LINE

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress = self._table = None
            self._write_err(self._take_progress())

    @property
    def _height(self) -> int:
        """The lines of the terminal of stderr."""
        try:
            return os.get_terminal_size(self._err.fileno()).lines or DEFAULT_HEIGHT
        except (OSError, ValueError):
            return DEFAULT_HEIGHT

    def _write_err(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._err.write(text.encode(self._encoding, "backslashreplace"))
            self._err.flush()

    def fits(self, lines: Iterable[Line]) -> bool:
        """Whether the terminal shows *lines* and a prompt at once."""
        from .text_width import columns

        try:
            height = os.get_terminal_size(self._out.fileno()).lines
        except (OSError, ValueError):
            return False
        width = self.width
        return sum(1 + (columns(_composed(line, colour=False)) - 1) // width for line in lines) < height - 1

    @property
    def width(self) -> int:
        """The columns of results: the terminal's, or git's default without one."""
        return self._width(self._out) if self.is_terminal else DEFAULT_WIDTH

    @property
    def max_width(self) -> int | None:
        """The columns that a table may take: those of the terminal, None without one."""
        return self.width if self.is_terminal else None

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
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def _composed(line: Line, *, colour: bool, links: bool = False) -> str:
    return "".join(_composed_part(part, colour=colour, links=links) for part in parts_of(line))


def _composed_part(part: Part, *, colour: bool, links: bool) -> str:
    text = clean(_text(part))
    if not (text and isinstance(part, Styled)):
        return text
    if colour and part.style:
        codes = ";".join(STYLES[style] for style in part.style.split())
        text = f"\x1b[{codes}m{text}\x1b[0m"
    return _link(text, part.url) if links and isinstance(part, Link) and part.url else text


def _link(text: str, url: str) -> str:
    from .._protocol.safe_links import is_safe_url
    from .hyperlinks import linked

    return linked(text, url) if is_safe_url(url) else text


def _text(part: Part) -> str:
    return part.text if isinstance(part, Styled) else part


def paragraph(text: str, *, indent: str = "") -> list[Line]:
    """Return *text* as lines."""
    return [indent + line for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]


# Prefix of a line of a diff -> its style; the first that matches. File headers precede added and removed lines.
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
    """Yield the lines of a diff in git's colours."""
    for line in data.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n"):
        style = next((style for prefix, style in DIFF_STYLES.items() if line.startswith(prefix)), None)
        yield Styled(line, style) if style else line
