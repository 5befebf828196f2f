from __future__ import annotations

import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.docs.example_environment import example_environment
from tests.docs.examples import Shell, check_output, coatcheck_commands, commands_of, read_command_line, read_page
from tests.fork_server import ForkServer

import coatcheck
from coatcheck import Client

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
# Page -> the further environments of the local cloud that it starts.
LABELS = {"fleets.md": [f"acme/site-{number}" for number in range(1, 9)]}
# Modules of other programs: what runs the command line, servers, tests.
NOT_IMPORTED = {"__main__", "_mcp", "_web", "cloud", "testing"}
WITH_EXAMPLES = [
    page for page in PAGES if re.search(r"^```(?:console|python|sh|yaml)$", page.read_text("utf-8"), re.MULTILINE)
]


def is_read_first(page: Path) -> bool:
    """Return whether *page* is one of those that a new user reads first."""
    return page.name == "README.md" or page.parent.name == "start"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, bare_environment: None) -> Iterator[Path]:
    """Return a folder with a `coatcheck` that a fork server runs."""
    folder = tmp_path_factory.mktemp("bin")
    server = ForkServer("coatcheck._cli.main", *imports_of_commands())
    server.write_program(folder / "coatcheck")
    yield folder
    server.close()


def imports_of_commands() -> list[str]:
    """Return every module that a command may import: what the server has not imported, each run would."""
    modules = (module.name for module in pkgutil.walk_packages(coatcheck.__path__, "coatcheck."))
    return [name for name in modules if name.split(".")[1] not in NOT_IMPORTED]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if is_read_first(page) else [pytest.mark.slow]) for page in WITH_EXAMPLES],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_example_runs(
    page: Path, programs: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example of a page prints what the page shows."""
    labels = LABELS.get(page.name, ())
    with example_environment(tmp_path, home, monkeypatch, programs=programs, labels=labels), Shell() as shell:
        document = read_page(page)
        document.namespace["shell"] = shell
        for example in document.examples():
            example.evaluate()


def test_the_script_of_the_guide_is_an_agent(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script in the guide works as an agent."""
    page = (ROOT / "docs/guides/local-cloud.md").read_text("utf-8")
    [script] = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    agent = tmp_path / "agent.sh"
    agent.write_text(script)
    agent.chmod(0o755)
    with example_environment(tmp_path, home, monkeypatch, agent=(str(agent),)), Client("local") as client:
        outcome = client.create_task_and_wait("Feed the cat", repository="owner/repo").outcome

    assert ("I noted it in TODO.md.", "- [ ] Feed the cat\n") == (outcome.text, outcome.files[0].content)


# --- how examples are run -----------------------------------------------------------------------------------------------


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
def test_an_ellipsis_matches_any_text(shown: str, printed: str) -> None:
    """An ellipsis in a line matches any text, and an ellipsis alone matches any lines."""
    check_output(shown, printed, where="here")


@pytest.mark.parametrize(
    ("shown", "printed"), [("one", "two"), ("one …\ntwo", "one\n1.5\ntwo"), ("one", "one\ntwo"), ("", "one")]
)
def test_other_output_is_refused(shown: str, printed: str) -> None:
    """Output that differs from the page is an error."""
    with pytest.raises(AssertionError, match="the page shows"):
        check_output(shown, printed, where="here")


def test_a_console_block_is_commands_with_output() -> None:
    """A command of a console block begins with a dollar sign, and continues after a backslash."""
    block = "$ one \\\n    --two\nshown\n$ three\n"

    assert [("one \\\n    --two", "shown\n"), ("three", "")] == list(commands_of(block))


def test_commands_share_a_shell() -> None:
    """The commands of a page share variables, and each has the exit code of the program."""
    with Shell() as shell:
        seen = [shell.run(command) for command in ("x=1", "echo $x", "false", "echo $?")]

    assert [(0, ""), (0, "1"), (1, ""), (0, "1")] == seen


def test_unknown_options_are_errors() -> None:
    """A command line that is not run is checked for unknown options."""
    with pytest.raises(click.UsageError, match="--nope"):
        read_command_line(["serve", "--nope"])


SCRIPT = """\
#!/bin/sh
# A comment with coatcheck nothing.
ref=$(coatcheck submit "Add dark mode; then stop" 2>/dev/null)
git diff | coatcheck submit --starting-diff - "Finish" > "ref.txt" && coatcheck wait $ref \\
    --first
"""


def test_commands_are_found_in_scripts() -> None:
    """Every coatcheck command of a script is found, in pipes, lists and substitutions."""
    expected = [
        ["submit", "Add dark mode; then stop"],
        ["submit", "--starting-diff", "-", "Finish"],
        ["wait", "1", "--first"],
    ]

    assert expected == list(coatcheck_commands(SCRIPT))


def test_a_named_block_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that begins with a file name is saved, and is executable if it has an interpreter line."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```sh\n#!/bin/sh\n# run.sh\necho done\n```\n\n```console\n$ ./run.sh\ndone\n```\n")
    with Shell() as shell:
        document = read_page(page)
        document.namespace["shell"] = shell
        for example in document.examples():
            example.evaluate()

    assert os.access("run.sh", os.X_OK)
