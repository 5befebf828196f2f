from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from tests.docs.examples import Shell, check_output, commands_of, read_command_line, read_page
from tests.docs.world import world

from coatcheck import Client

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/guides").glob("*.md")),
    *sorted((ROOT / "docs/reference").rglob("*.md")),
]
WITH_EXAMPLES = [
    page for page in PAGES if re.search(r"^```(?:console|python|sh)$", page.read_text("utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_example_runs(page: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page says to type does what the page shows."""
    with world(tmp_path, home, monkeypatch), Shell() as shell:
        document = read_page(page)
        document.namespace["shell"] = shell
        for example in document.examples():
            example.evaluate()


def test_the_script_of_the_guide_is_an_agent(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four lines that the guide calls a whole agent are one."""
    page = (ROOT / "docs/guides/local-cloud.md").read_text("utf-8")
    [script] = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    agent = tmp_path / "agent.sh"
    agent.write_text(script)
    agent.chmod(0o755)
    with world(tmp_path, home, monkeypatch, agent=(str(agent),)), Client("local") as client:
        made = client.create_task_and_wait("Feed the cat", repository="owner/repo").outcome

    assert ("I noted it in TODO.md.", "- [ ] Feed the cat\n") == (made.text, made.files[0].content)


# --- the laws of how examples are run ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("one\ntwo", "one\ntwo"),
        ("one …\ntwo", "one and a half\ntwo"),
        ("one\n…\nfour", "one\ntwo\nthree\nfour"),
        ("…\nfour", "four"),
        ("", ""),
    ],
)
def test_an_ellipsis_stands_for_anything(shown: str, printed: str) -> None:
    """Within a line for anything in it, alone for any lines."""
    check_output(shown, printed, where="here")


@pytest.mark.parametrize(
    ("shown", "printed"), [("one", "two"), ("one …\ntwo", "one\n1.5\ntwo"), ("one", "one\ntwo"), ("", "one")]
)
def test_other_output_is_refused(shown: str, printed: str) -> None:
    """A page that shows something else fails."""
    with pytest.raises(AssertionError, match="the page shows"):
        check_output(shown, printed, where="here")


def test_a_console_block_is_commands_with_output() -> None:
    """A command begins with a dollar sign, and may go on after a backslash."""
    block = "$ one \\\n    --two\nshown\n$ three\n"

    assert [("one \\\n    --two", "shown\n"), ("three", "")] == list(commands_of(block))


def test_the_shell_remembers() -> None:
    """What one command sets, the next one sees; the exit code is the command's."""
    with Shell() as shell:
        seen = [shell.run(command) for command in ("x=1", "echo $x", "false", "echo $?")]

    assert [(0, ""), (0, "1"), (1, ""), (0, "1")] == seen


def test_a_wrong_option_is_found() -> None:
    """A command line that is only shown must still be one."""
    with pytest.raises(click.UsageError, match="--nope"):
        read_command_line(["serve", "--nope"])
