"""Render Markdown for terminals, with rich.

Invariants:

- what is returned are lines of the console, which escapes every control character when it prints them: also one that an
  entity such as ``&#27;`` stands for. No link of a text becomes a link of the terminal: its address is printed;
- nothing is dropped: text that is long, that rich fails on, or of which a word is missing in the result (HTML, very deep
  nesting) is returned as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._patches.hidden_characters import escape_lines
from .console import Line, Part, Styled, paragraph, parts_of

if TYPE_CHECKING:
    from rich.segment import Segment
    from rich.style import Style

# rich renders 0.5 MB/s of Markdown (2026-11, one core); a longer text is a log rather than a message.
MAX_TEXT = 50_000
# The widest line of a paragraph that reads well.
MAX_WIDTH = 120
# rich's colours of its Markdown theme -> ours.
COLOURS = {"cyan": "cyan", "blue": "blue", "magenta": "magenta", "yellow": "yellow", "green": "green", "red": "red"}
WEIGHTS = ("bold", "dim", "italic", "underline")


def rendered(text: str, *, width: int) -> list[Line]:
    """Return *text* as lines of at most *width* columns."""
    if len(text) > MAX_TEXT:
        return paragraph(text)
    try:
        lines = _rendered(escape_lines(text.replace("\r\n", "\n")), min(width, MAX_WIDTH))
    except Exception:  # noqa: BLE001 - a text that a library cannot render is shown as it is
        return paragraph(text)
    return lines if _is_whole(lines, text) else paragraph(text)


def _is_whole(lines: list[Line], text: str) -> bool:
    """Whether every word of *text* is in *lines*, but for the names of languages at the beginning of code blocks."""
    parts = (part for line in lines for part in parts_of(line))
    shown = "".join("".join(part.text if isinstance(part, Styled) else part for part in parts).split())
    words = {
        word for line in text.splitlines() if not line.lstrip().startswith(("```", "~~~")) for word in _words(line)
    }
    return all(word in shown for word in words)


def _words(line: str) -> list[str]:
    import re

    return re.findall(r"[^\W_]+", line)


def _rendered(text: str, width: int) -> list[Line]:
    import io

    from rich.console import Console
    from rich.markdown import Heading, Markdown

    console = Console(file=io.StringIO(), width=width, color_system="standard", legacy_windows=False, emoji=False)
    Heading.LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")  # rich centres the first level
    markdown = Markdown(text, hyperlinks=False, code_theme="ansi_dark")
    lines = [tuple(map(_part, line)) for line in console.render_lines(markdown, pad=False)]
    trimmed = [_trimmed(line) for line in lines]
    while trimmed and not trimmed[-1]:
        trimmed.pop()
    return list(trimmed)


def _trimmed(line: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return *line* without blanks at its end."""
    parts = list(line)
    while parts:
        last = parts.pop()
        text = (last.text if isinstance(last, Styled) else last).rstrip()
        if text:
            return (*parts, Styled(text, last.style) if isinstance(last, Styled) else text)
    return ()


def _part(segment: Segment) -> Part:
    style = _style(segment.style) if segment.style else ""
    return Styled(segment.text, style) if style else segment.text


def _style(style: Style) -> str:
    weights = [name for name in WEIGHTS if getattr(style, name)]
    name = style.color.name.removeprefix("bright_") if style.color else ""
    return " ".join([*weights, *([COLOURS[name]] if name in COLOURS else [])])
