from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests import checkouts
from tests.cli.cli_support import Cli

from coatcheck._cli.app import COMMANDS
from coatcheck._cli.spec_options import VERB_COMMANDS
from coatcheck._protocol.provider import Verb
from coatcheck._runtime.server_record import ServerRecord, record_path
from coatcheck.cloud.faults import Status
from coatcheck.cloud.http_server import recorded
from coatcheck.cloud.scripted_cloud import ScriptedCloud

READING = ("show", "status", "diff", "attempts", "wait", "open", "apply")


@pytest.mark.parametrize("command", READING)
def test_an_unknown_task_is_named(cli: Cli, command: str) -> None:
    """A task that the service does not know is named, with the service's message and the command that lists tasks."""
    checkouts.mark(cli.folder)
    done = cli(command, "codex:task_e_unknown")

    assert 1 == done.code
    assert done.line.startswith("codex has no task codex:task_e_unknown (HTTP 404")
    assert done.line.endswith("; see the latest tasks with: coatcheck list --provider codex")


def test_an_unknown_task_keeps_its_details(cli: Cli) -> None:
    """With --json the status and the service's message stay fields."""
    error = cli("show", "codex:task_e_unknown", "--json").error

    assert ("NotFoundError", 404) == (error["type"], error["status"])


def test_an_ended_task_cannot_be_cancelled(cli: Cli) -> None:
    """`cancel` of an ended task is an error that names its state, and no cancellation is sent."""
    ref = cli.submit()
    cli("wait", ref)
    done = cli("cancel", ref)

    assert (1, f"{ref} has already ended: succeeded; print its result with: coatcheck show {ref}") == (
        done.code,
        done.line,
    )
    assert [] == cli.cloud.seen("cancel_task")


def test_a_running_local_cloud_is_suggested(tmp_path: Path) -> None:
    """Without a login, an error names the provider of a local cloud that runs here."""
    cli = Cli(tmp_path, CODEX_ACCESS_TOKEN="")
    record = ServerRecord(url="http://127.0.0.1:9/backend-api", pid=os.getpid(), token="made-up", started=0.0)
    path = Path(record_path(cli.environ))
    with recorded(path, record):
        with_cloud = cli("list")
    without = cli("list")

    assert with_cloud.line.endswith("a local cloud runs on this machine: use it with --provider local")
    assert "local cloud" not in without.line


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    """An error that is not about the task has the service's message."""
    cli = Cli(tmp_path, ScriptedCloud(faults=[Status(404)]))

    assert "codex has no task" not in cli("usage").line


def test_errors_are_one_document(cli: Cli) -> None:
    """The error document is one object, with or without an explanation."""
    document = json.loads(cli("show", "codex:task_e_unknown", "--json").data)

    assert {"schema", "error"} == set(document)


def test_a_missing_login_names_its_provider(tmp_path: Path) -> None:
    """An error of a provider without a login names the provider and the remedy."""
    assert Cli(tmp_path)("list", "--provider", "jules").line.startswith("there is no login for jules; ")


def test_every_verb_with_a_command_is_a_verb() -> None:
    """The table from verbs to commands has names of verbs and commands only."""
    assert set() == set(VERB_COMMANDS) - {*Verb}
    assert set() == {name.partition(" ")[0] for name in VERB_COMMANDS.values()} - {*COMMANDS}


def test_a_folder_of_the_demo_that_cannot_be_created(cli: Cli) -> None:
    """A folder that cannot be created is one line that names it."""
    (cli.folder / "file").write_text("")
    done = cli("demo", "--folder", "file/inside")

    assert (2, True) == (done.code, f"the folder {cli.folder}/file/inside cannot be created" in done.line)
