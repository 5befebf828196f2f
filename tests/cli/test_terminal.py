from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from tests.cli.terminal import in_terminal

from coatcheck._cli.prompts import CUT

WIDTHS = [60, 80, 200]
COLOURS = [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}]
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def editor(folder: Path, script: str) -> str:
    """Return an editor that runs *script*, a shell's; ``$1`` is the file."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("environ", COLOURS, ids=["colour", "no colour", "dumb"])
def test_settings_in_a_terminal(columns: int, environ: dict[str, str]) -> None:
    """Settings are printed in every terminal, with colours only where they are allowed."""
    output = in_terminal("config", "--show-origin", columns=columns, environ=environ)

    assert "provider" in ESCAPE.sub("", output)
    assert (environ == {}) is bool(ESCAPE.search(output))


@pytest.mark.parametrize("columns", WIDTHS)
def test_an_error_is_one_line_in_a_terminal(columns: int) -> None:
    """An error is one line that the terminal wraps, at every width."""
    output = in_terminal("submit", "Add", "dark", "mode", columns=columns)

    assert (
        'coatcheck: the prompt is 3 words that are not quoted; quote it: coatcheck submit "Add dark mode"\n' == output
    )


def test_the_editor_opens_in_a_terminal(tmp_path: Path) -> None:
    """The editor has the terminal, and the text above the line is the prompt that is kept after an error."""
    seen = tmp_path / "seen"
    program = editor(tmp_path, f'test -t 0 -a -t 1 && cp "$1" {seen}; echo "Add it" > "$1"')
    output = in_terminal("submit", "--provider", "jules", "--repo", "owner/repo", environ={"EDITOR": program})

    assert CUT in seen.read_text()
    assert "coatcheck: there is no login for jules" in output
    assert "The prompt is kept: coatcheck submit --prompt-file" in output


def test_settings_are_edited_in_a_terminal(tmp_path: Path) -> None:
    """`config edit` opens the file in the terminal, and prints its path."""
    program = editor(tmp_path, 'test -t 0 && echo "attempts = 3" >> "$1"')
    output = in_terminal("config", "edit", environ={"VISUAL": program})
    path = Path(os.environ["XDG_CONFIG_HOME"], "coatcheck", "config.toml")

    assert f"{path}\n" == output
    assert path.read_text().endswith("attempts = 3\n")
