from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st

from coatcheck._cli.console import CLEAR_LINE, Console, Line, Styled, clean, diff_lines, paragraph


class Paper:
    """A screen whose output can be read."""

    def __init__(self, *, terminal: bool = False, **environ: str) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self.console = Console(self.out, self.err, environ=environ, is_terminal=terminal, is_interactive=terminal)


@given(st.text())
def test_nothing_but_characters_reaches_a_terminal(text: str) -> None:
    """Control and bidirectional characters of a service are escaped, and a line stays one line."""
    paper = Paper()
    paper.console.show(text)
    shown = paper.out.getvalue().decode()

    assert shown.endswith("\n")
    assert all(char == "\t" or (ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0) for char in shown[:-1])
    assert not set(shown) & set("\u202e\u2066\u2028")


def test_escapes_are_shown() -> None:
    """Escape sequences in an agent's text are printed as text."""
    assert "\\x1b]0;owned\\x07 done" == clean("\x1b]0;owned\x07 done")


@pytest.mark.parametrize(
    ("is_painted", "terminal", "environ"),
    [
        (False, False, {}),
        (True, True, {}),
        (False, True, {"NO_COLOR": "1"}),
        (True, True, {"NO_COLOR": ""}),
        (True, False, {"FORCE_COLOR": "1"}),
        (False, True, {"TERM": "dumb"}),
        (False, False, {"NO_COLOR": "1", "FORCE_COLOR": "1"}),
        (True, True, {"TERM": "dumb", "FORCE_COLOR": "1"}),
        (True, False, {"CLICOLOR_FORCE": "1"}),
        (False, False, {"CLICOLOR_FORCE": "0"}),
        (False, True, {"CLICOLOR": "0"}),
        (False, False, {"CLICOLOR": "1"}),
        (False, True, {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}),
    ],
)
def test_colour_is_for_terminals_unless_set(is_painted: bool, terminal: bool, environ: dict[str, str]) -> None:
    """NO_COLOR, FORCE_COLOR, CLICOLOR and CLICOLOR_FORCE have their common meaning."""
    paper = Paper(terminal=terminal, **environ)
    paper.console.show(Styled("good", "green"))

    assert (b"\x1b[32mgood\x1b[0m\n" if is_painted else b"good\n") == paper.out.getvalue()


def test_progress_is_silent_in_a_pipe() -> None:
    """A log file contains no progress."""
    paper = Paper()
    paper.console.progress(lambda: ("half",))

    assert b"" == paper.err.getvalue()


def test_progress_is_one_line_that_goes_away() -> None:
    """Progress is replaced, cut to the width of the terminal, and gone before a result is printed."""
    paper = Paper(terminal=True, COLUMNS="10")
    paper.console.progress(lambda: ("0123456789abc",))
    paper.console.show("result")

    assert f"{CLEAR_LINE}01234567…{CLEAR_LINE}" == paper.err.getvalue().decode()


def test_progress_moves_while_nothing_happens() -> None:
    """A line of progress is composed again at every tick, until something else is printed."""
    paper, seconds = Paper(terminal=True), iter(("1s", "2s", "3s"))
    paper.console.progress(lambda: (next(seconds),))
    paper.console.refresh()
    paper.console.note("done")
    paper.console.refresh()

    assert f"{CLEAR_LINE}1s{CLEAR_LINE}2s{CLEAR_LINE}done\n" == paper.err.getvalue().decode()


def test_a_progress_table_is_replaced_as_a_whole() -> None:
    """A table above the progress line is cleared with it: before the next one, and before anything else is printed."""
    paper = Paper(terminal=True, COLUMNS="9")
    heights: list[int] = []

    def table(height: int) -> list[Line]:
        heights.append(height)
        return ["0123456789", "row"]

    paper.console.progress(lambda: ("1s",), table=table)
    paper.console.refresh()
    paper.console.note("done")
    shown = "0123456…\nrow\n1s"
    up = "\r\x1b[2A\x1b[J"

    assert (f"{CLEAR_LINE}{shown}{up}{shown}{up}done\n", [22, 22]) == (paper.err.getvalue().decode(), heights)


def test_characters_outside_the_encoding_are_escaped() -> None:
    """A terminal of another encoding, or half a surrogate pair, is no error."""
    paper = Paper()
    paper.console.show("file \udcff")

    assert b"file \\udcff\n" == paper.out.getvalue()


def test_paragraphs_keep_their_lines() -> None:
    """A message keeps its lines with every kind of line end."""
    assert ["  one", "  ", "  two"] == paragraph("one\r\n\ntwo\n", indent="  ")


def test_diffs_are_painted_as_git_paints_them() -> None:
    """Headers are bold, hunks cyan, added lines green, removed lines red."""
    data = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n"
    painted = [(line.style, line.text) if isinstance(line, Styled) else line for line in diff_lines(data)]

    assert [
        ("bold", "--- a/x"),
        ("bold", "+++ b/x"),
        ("cyan", "@@ -1 +1 @@"),
        ("red", "-old"),
        ("green", "+new"),
        " same",
    ] == painted
