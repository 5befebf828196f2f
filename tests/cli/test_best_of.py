"""One task for several services: what is submitted to each, and how a review is continued."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.services_support import Broken, ManyServices

from coatcheck.testing import faults


@pytest.fixture
def cli(tmp_path: Path) -> ManyServices:
    """The command line in front of three services."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return ManyServices(folder)


def test_a_task_is_submitted_to_several_services(cli: ManyServices) -> None:
    """A service with attempts gets one task, one without gets a task for each, and the history has them all."""
    done = cli("submit", "--on", "codex:2", "--on", "jules:2", "--on", "local", "Add dark mode", "--json")
    submissions = done.json["submissions"]
    listed = cli("history", "--json").json["tasks"]

    assert (
        0,
        "add-dark-mode",
        [("codex", 2), ("jules", 1), ("jules", 1), ("local", 1)],
        ["codex", "jules", "jules", "local"],
        {each["ref"] for each in listed},
    ) == (
        done.code,
        done.json["review"],
        [(each["provider"], each["attempts"]) for each in submissions],
        cli.posts(),
        {each["ref"] for each in submissions},
    )


def test_refs_are_printed_for_scripts(cli: ManyServices) -> None:
    """Standard output has the refs alone; stderr says how to continue the review."""
    done = cli("submit", "--on", "jules", "--on", "codex", "--name", "dark", "Add dark mode")

    assert (0, ["codex:", "jules:"], True) == (
        done.code,
        sorted(line[:6] for line in done.out.split()),
        "coatcheck review dark" in done.err,
    )


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("unreachable", "no connection"),
        ("no login", "there is no login for jules"),
        ("out of quota", "429"),
        ("not supported", "jules does not support --model; leave it out"),
    ],
)
def test_a_service_that_fails_costs_only_its_own(cli: ManyServices, service: str, message: str) -> None:
    """The other services get the task; the error is one line that names the service, and the exit code is 14."""
    options = ["--model", "m"] if service == "not supported" else []
    if service == "unreachable":
        cli.services.handlers["jules"] = Broken()
    elif service == "no login":
        cli.environ["JULES_API_KEY"] = ""
    elif service == "out of quota":
        cli.jules.faults.append(faults.Status(429, on="create_task", times=None))
    done = cli("submit", "--on", "jules", "--on", "codex", "--on", "local", *options, "Add dark mode")
    (line,) = (line for line in done.err.splitlines() if line.startswith("coatcheck: ") and "retrying" not in line)

    assert (14, ["codex:", "local:"], True, True) == (
        done.code,
        sorted(each[:6] for each in done.out.split()),
        "jules" in line,
        message in line,
    )


def check(word: str) -> str:
    """Return a check that passes where the file has *word*."""
    return f"grep -q {word} hello.txt"


ON = ("--on", "codex:2", "--on", "jules", "--on", "local", "--sandbox", "none", "--interval", "1")


def test_the_best_of_several_services_is_applied(cli: ManyServices) -> None:
    """The result that passes the check is applied to the checkout, and may be undone."""
    done = cli("run", *ON, "--check", check("three"), "--apply-best", "--json", "Add a line")
    applied = (cli.folder / "hello.txt").read_text()

    undone = cli("apply", "--undo")

    assert (0, 4, "jules:", "hello\nthree\n", 0, "hello\n") == (
        done.code,
        len(done.json["cards"]),
        done.json["choice"][:6],
        applied,
        undone.code,
        (cli.folder / "hello.txt").read_text(),
    )
