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
    """A service with attempts gets one task, one without gets a task for each, and the refs are those of the history."""
    done = cli("submit", "--on", "codex:2", "--on", "jules:2", "--on", "local", "Add dark mode", "--json")
    submissions = done.json["submissions"]
    listed = cli("history", "--json").json["tasks"]

    assert (
        0,
        "add-dark-mode",
        [("codex", 2), ("jules", 1), ("jules", 1), ("local", 1)],
        ["codex", "jules", "jules", "local"],
        True,
    ) == (
        done.code,
        done.json["review"],
        [(each["provider"], each["attempts"]) for each in submissions],
        cli.posts(),
        {each["ref"] for each in listed} == {each["ref"] for each in submissions},
    )
