"""The commands `fleet init` and `fleet work`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli
from tests.cli.test_fleet import FILE
from tests.fleet.fixtures import FleetFixture, spec_of

HEAVY = {"psycopg", "asyncpg", "pgqueuer", "pydantic"}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in a folder with a fleet file, with a store of its own."""
    (tmp_path / "typing.toml").write_text(FILE)
    return Cli(tmp_path, COATCHECK_STATE_HOME=str(tmp_path / "state"), COATCHECK_LEARN="off")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("work", "typing.toml"), "workers share a PostgreSQL database, and the store is a folder"),
        (("init",), "workers share a PostgreSQL database, and the store is a folder"),
        (("work",), "fleet work needs FILE"),
        (("work", "typing.toml", "--kinds", "submit,verfy"), "there is no kind of job 'verfy'; did you mean verify?"),
        (
            ("work", "typing.toml", "--yes"),
            "coatcheck fleet work has no option --yes; it is an option of: coatcheck fleet run, coatcheck fleet cancel, coatcheck fleet init",
        ),
        (("work", "none.toml"), "none.toml"),
    ],
)
def test_what_cannot_work_is_refused(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    """One line, the exit code of a wrong usage, nothing stored and nothing sent."""
    done = cli("fleet", *arguments)

    assert message in done.err
    assert (2, 1, [], False) == (
        done.code,
        done.err.count("\n"),
        cli.cloud.requests,
        Path(cli.folder, "state").exists(),
    )


def test_a_status_imports_no_database_library(tmp_path: Path) -> None:
    """Without a PostgreSQL database neither its libraries nor those of workers are imported."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    fleet.database.close()
    environ = {**os.environ, "COATCHECK_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    command = [sys.executable, "-X", "importtime", "-m", "coatcheck", "fleet", "status", "typing"]
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True, timeout=240)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert 13 == done.returncode
    assert "typing: stopped: no process works on it\n  items: 2 open\n  tasks: 2 planned\n" == done.stdout
    assert set() == imported & HEAVY
