"""Rows of text as a table that fits the width."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from tests.cli.cli_support import Cli
from tests.cli.terminal import in_terminal
from tests.cli.test_terminal import WIDTHS

from coatcheck._cli.console import Line, Styled
from coatcheck._cli.tables import table
from coatcheck._cli.text_width import columns, wrapped

WORDS = st.lists(st.text("abé日", min_size=1, max_size=9), max_size=20).map(" ".join)


def text_of(line: Line) -> str:
    """Return the text of a line of a table."""
    return line.text if isinstance(line, Styled) else str(line)


def test_tables_are_aligned() -> None:
    """Each column is as wide as its widest cell, and lines have no blanks at their end."""
    lines = table(("A", "LONG"), [("wide", "x"), ("y", "")], width=None)

    assert [Styled("A     LONG", "bold"), "wide  x", "y"] == lines


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5), width=st.integers(60, 90))
def test_no_line_is_wider_and_no_word_is_lost(rows: list[tuple[str, str, str]], width: int) -> None:
    """At every width each word of each cell is printed, and only a first cell without a blank is wider."""
    lines = [text_of(line) for line in table(("ONE", "TWO", "THREE"), rows, width=width)]
    words = sorted(word for row in rows for cell in row for word in cell.split())
    wide = [line for line in lines if columns(line) > width and line not in {row[0] for row in rows}]

    assert [] == wide
    assert words == sorted(word for line in lines for word in line.split() if word not in ("ONE", "TWO", "THREE"))


@given(text=WORDS, width=st.integers(1, 40))
def test_wrapping_keeps_the_text(text: str, width: int) -> None:
    """The lines with blanks between them are the text."""
    assert text == " ".join(wrapped(text, width))


@pytest.mark.parametrize("columns_of_terminal", WIDTHS)
@pytest.mark.parametrize("arguments", [("providers",), ("config", "--all")])
def test_a_wide_table_fits_a_terminal(arguments: tuple[str, ...], columns_of_terminal: int) -> None:
    """In a real terminal no line is wider than it."""
    output = in_terminal(*arguments, columns=columns_of_terminal, environ={"NO_COLOR": "1"})

    assert "codex" in output
    assert [] == [line for line in output.splitlines() if len(line) > columns_of_terminal]


@pytest.mark.parametrize("arguments", [("models",), ("environments",), ("providers", "show", "local")])
def test_tables_of_services_fit_narrow_terminals(cli: Cli, arguments: tuple[str, ...]) -> None:
    """What a service calls its things is wrapped, not cut."""
    cli.is_terminal, cli.environ["COLUMNS"], cli.environ["NO_COLOR"] = True, "60", "1"
    done = cli(*arguments)

    assert 0 == done.code, done
    assert [] == [line for line in done.out.splitlines() if len(line) > 60]
