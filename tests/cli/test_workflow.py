"""The workflow that `workflow init` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._cli import workflows
from coatcheck._model.tasks import TaskSpec
from coatcheck.providers.github_actions.provider import _inputs
from coatcheck.providers.github_actions.workflow_settings import ARTIFACT, WORKFLOW, Service

PLACE = Path(".github/workflows/coatcheck.yml")


def declared(text: str) -> list[str]:
    """Return the inputs that a workflow declares, by their indentation."""
    block = text.partition("    inputs:\n")[2].partition("\n\n")[0]
    return [line.strip().rstrip(":") for line in block.splitlines() if line[6:7].strip()]


def test_it_is_written_to_the_folder_of_workflows(cli: Cli, tmp_path: Path) -> None:
    """The workflow is written into the checkout, and the next steps are printed."""
    done = cli("workflow", "init", "--agent", 'my-agent "$PROMPT"')
    path = Path(cli.folder) / PLACE

    assert (0, f"{PLACE}\n") == (done.code, done.out)
    assert '            my-agent "$PROMPT"\n' in path.read_text()
    assert "Commit it to the default branch" in done.err


def test_a_file_that_is_there_stays(cli: Cli) -> None:
    """Unless it is written over on purpose."""
    cli("workflow", "init", "--agent", "one")
    refused, forced = cli("workflow", "init", "--agent", "two"), cli("workflow", "init", "--agent", "two", "--force")
    other = cli("workflow", "init", "--file", "other.yaml", "--json")

    assert f"{PLACE} exists; overwrite it with --force, or pass another --file" == refused.line
    assert "            two\n" in (Path(cli.folder) / PLACE).read_text()
    assert (0, str(Path(cli.folder) / PLACE.with_name("other.yaml"))) == (forced.code, other.json["path"])


def test_every_input_that_is_sent_is_declared() -> None:
    """The workflow has the inputs of a submission, with the names that the provider uses."""
    spec = TaskSpec(
        prompt="p",
        key="k",
        title="t",
        model="m",
        instructions="i",
        starting_diff="s",
        working_branch="w",
        open_pull_request=True,
    )
    text = workflows.rendered(agent="x")
    sent = _inputs(spec, Service(base_url="", api_version=""))

    assert sorted(sent) == sorted(declared(text))
    assert ("coatcheck.yml", True) == (WORKFLOW, f"name: {ARTIFACT}\n          path:" in text)


def test_no_input_is_written_into_a_script() -> None:
    """Expressions are only in `env`, `if` and `with`, and in no command, because inputs are not trusted."""
    text = workflows.rendered(agent="x", setup="y", secrets=["KEY"])
    scripts = [part.partition("\n      - ")[0] for part in text.split("run: |\n")[1:]]

    assert 4 == len(scripts)
    assert [] == [script for script in scripts if "${{" in script.partition("\n  pull_request:")[0]]


def test_commands_and_secrets_are_in_their_places() -> None:
    """A setup is a step before the agent's, a secret is in the agent's environment alone."""
    text = workflows.rendered(agent="one\ntwo", setup="  install it", secrets=["API_KEY"])

    assert "            one\n            two\n          }" in text
    assert (
        "      - name: Install the agent\n        run: |\n          install it\n      - name: Run the agent\n" in text
    )
    assert 1 == text.count("          API_KEY: ${{ secrets.API_KEY }}\n")


def test_without_an_agent_the_workflow_fails_with_the_reason() -> None:
    """A workflow without an agent fails."""
    assert "exit 1" in workflows.rendered(agent=None)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--agent", " "), "the agent command is blank"),
        (("--agent", "x ${{ inputs.prompt }}"), "that GitHub would replace"),
        (("--setup", "a\x1bb"), "that GitHub would replace"),
        (("--secret", "GITHUB_TOKEN"), "'GITHUB_TOKEN' is not a valid secret name"),
        (("--secret", "a b"), "is not a valid secret name"),
        (("--secret", "prompt"), "is not a valid secret name"),
        (("--file", "../x.yml"), "is not a valid workflow file name"),
        (("--file", "x.txt"), "pass --file NAME.yml"),
    ],
)
def test_what_cannot_be_written_is_one_line(cli: Cli, arguments: tuple[str, ...], line: str) -> None:
    """A bad argument is an error with the remedy, and nothing is written."""
    done = cli("workflow", "init", *arguments)

    assert line in done.line
    assert not (Path(cli.folder) / ".github").exists()


def test_a_folder_that_cannot_be_written_is_one_line(cli: Cli) -> None:
    """A file where a folder should be."""
    (Path(cli.folder) / ".github").write_text("")

    assert "cannot be written" in cli("workflow", "init").line
