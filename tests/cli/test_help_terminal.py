from __future__ import annotations

import pytest
from tests.cli.terminal import in_terminal


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}], ids=["colour", "no colour"])
def test_help_fits_the_terminal(columns: int, environ: dict[str, str]) -> None:
    """The help of a command is as wide as the terminal, at most 120 columns; examples are not broken."""
    text = in_terminal("help", "apply", columns=columns, environ=environ).partition("Examples:")[0]
    widest = max(len(line) for line in text.splitlines())

    assert (True, True) == (widest <= min(columns, 120), widest > min(columns, 120) - 25)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_summary_fits_the_terminal(columns: int) -> None:
    """The list of commands is as wide as the terminal, and no line is longer."""
    lines = in_terminal(columns=columns).splitlines()

    assert [] == [line for line in lines if len(line) > columns]
