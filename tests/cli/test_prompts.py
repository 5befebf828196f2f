from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._cli.prompts import CUT
from coatcheck.cloud.faults import Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud

SUBMIT = ("submit", "--environment", "owner/repo")


def editor(folder: Path, script: str) -> str:
    """Return an editor that runs *script*, a shell's; ``$1`` is the file."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def writes(folder: Path, text: str) -> str:
    """Return an editor that puts *text* before what the file holds, and keeps a copy of it."""
    (folder / "text").write_text(text)
    return editor(folder, f'cp "$1" {folder}/template; cat {folder}/text {folder}/template > "$1"')


def prompts(cli: Cli) -> list[str | None]:
    """Return the prompts that the service received."""
    return [task.last.prompt for task in cli.cloud.tasks]


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ('the prompt is 3 words that are not quoted; quote it: coatcheck submit "Add dark mode"', "Add dark mode"),
        ("quote it: coatcheck submit 'print $HOME now'", "print $HOME now"),
        ("quote it: coatcheck submit 'a `b`'", "a `b`"),
    ],
)
def test_words_that_are_not_quoted(cli: Cli, expected: str, words: str) -> None:
    """Several words are an error that prints the command with quotes, and nothing is submitted."""
    done = cli("submit", *words.split())

    assert 2 == done.code
    assert done.line.endswith(expected)
    assert [] == cli.cloud.requests


@pytest.mark.parametrize("command", [("run",), ("message", "codex:task_e_1")])
def test_words_of_other_commands(cli: Cli, command: tuple[str, ...]) -> None:
    """`run` and `message` print their own command with quotes."""
    assert f'quote it: coatcheck {" ".join(command)} "do it"' in cli(*command, "do", "it").line


def test_a_prompt_file(cli: Cli) -> None:
    """--prompt-file reads the file, whatever its first character is."""
    (cli.folder / "p.md").write_text("# Dark mode\n\nAdd it.\n")
    cli(*SUBMIT, "--prompt-file", "p.md")

    assert ["# Dark mode\n\nAdd it.\n"] == prompts(cli)


def test_a_prompt_file_may_be_standard_input(cli: Cli) -> None:
    """--prompt-file - reads standard input."""
    cli(*SUBMIT, "--prompt-file", "-", stdin=b"Add it")

    assert ["Add it"] == prompts(cli)


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("the prompt cannot be read from nope.md: No such file or directory", ["--prompt-file", "nope.md"]),
        ("the prompt in latin.md is not UTF-8 text", ["--prompt-file", "latin.md"]),
        ("the prompt cannot be read from .: it is a folder", ["--prompt-file", "."]),
        ("the prompt is given twice", ["--prompt-file", "latin.md", "x"]),
        ("the prompt is blank", ["--prompt-file", "blank.md"]),
        ("standard input cannot be both", ["--prompt-file", "-", "--starting-diff", "-"]),
    ],
)
def test_a_prompt_file_that_cannot_be_used(cli: Cli, expected: str, arguments: list[str]) -> None:
    """An unusable prompt file is one line that names it."""
    (cli.folder / "latin.md").write_bytes(b"\xe4")
    (cli.folder / "blank.md").write_bytes(b" \n")
    done = cli(*SUBMIT, *arguments)

    assert (2, True) == (done.code, expected in done.line)
    assert [] == prompts(cli)


def test_the_editor_writes_the_prompt(tmp_path: Path) -> None:
    """On a terminal the editor opens, and what is above the line is submitted."""
    cli = Cli(tmp_path, EDITOR=writes(tmp_path, "# Add dark mode\n"), PATH="/usr/bin:/bin")
    cli.is_asking = True
    done = cli(*SUBMIT)

    assert 0 == done.code, done
    assert ["# Add dark mode\n"] == prompts(cli)


def test_the_template_helps(tmp_path: Path) -> None:
    """The editor shows where the task runs, and what a task should name."""
    cli = Cli(tmp_path, VISUAL=writes(tmp_path, "x"), EDITOR="false", PATH="/usr/bin:/bin")
    cli.is_asking = True
    cli(*SUBMIT, "--branch", "main", "--attempts", "2")
    template = (tmp_path / "template").read_text()

    assert CUT in template
    assert template.endswith("Provider: codex\nEnvironment: owner/repo\nBranch: main\nAttempts: 2\n")


def test_the_template_names_the_checkout(tmp_path: Path) -> None:
    """Without options the editor shows the repository and the branch of the checkout."""
    for arguments in (["init", "-q", "-b", "topic"], ["remote", "add", "origin", "https://github.com/owner/repo"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    cli = Cli(tmp_path, EDITOR=writes(tmp_path, "x"), PATH="/usr/bin:/bin")
    cli.is_asking = True
    cli("submit")
    template = (tmp_path / "template").read_text()

    assert template.endswith("Provider: codex\nEnvironment: owner/repo\nBranch: topic\nAttempts: 1\n")


@pytest.mark.parametrize("script", ["true", 'printf "" > "$1"'], ids=["unchanged", "emptied"])
def test_an_empty_text_submits_nothing(tmp_path: Path, script: str) -> None:
    """Nothing is submitted where nothing was written."""
    cli = Cli(tmp_path, EDITOR=editor(tmp_path, script), PATH="/usr/bin:/bin")
    cli.is_asking = True
    done = cli(*SUBMIT)

    assert (2, []) == (done.code, prompts(cli))
    assert "the prompt is empty, and nothing was submitted" in done.line


def test_the_prompt_is_kept_when_submitting_fails(tmp_path: Path) -> None:
    """A prompt from the editor is in a file after an error, which the command that sends it again names."""
    cloud = ScriptedCloud(faults=[Status(400, on="create_task")])
    cli = Cli(tmp_path, cloud, EDITOR=writes(tmp_path, "Add dark mode\n"), PATH="/usr/bin:/bin")
    cli.is_asking = True
    done = cli(*SUBMIT)
    path = Path(cli.environ["HOME"], ".local/state/coatcheck/prompt.md")

    assert 0 != done.code
    assert f"The prompt is kept: coatcheck submit --prompt-file {path}" in done.err
    assert path.read_text().startswith("Add dark mode\n")


def test_a_kept_prompt_can_be_sent_again(tmp_path: Path) -> None:
    """A kept file is submitted without the lines of the template."""
    (tmp_path / "kept.md").write_text(f"Add it\n\n\n{CUT}\nWrite the task\n")
    cli = Cli(tmp_path)
    cli(*SUBMIT, "--prompt-file", str(tmp_path / "kept.md"))

    assert ["Add it\n"] == prompts(cli)


def test_without_an_editor_the_terminal_is_read(cli: Cli) -> None:
    """Where no editor is configured, the prompt is typed."""
    cli.is_asking = True
    cli(*SUBMIT, stdin=b"Add it")

    assert ["Add it"] == prompts(cli)


def test_the_editor_writes_a_message(tmp_path: Path) -> None:
    """`message` opens the editor as `submit` does."""
    cli = Cli(tmp_path, EDITOR=writes(tmp_path, "Use the tokens\n"), PATH="/usr/bin:/bin")
    ref = cli.submit()
    cli.is_asking = True
    cli("message", ref)

    assert f"Task: {ref}\n" in (tmp_path / "template").read_text()
