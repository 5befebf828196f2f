"""`fleet init` and `fleet work` on a PostgreSQL database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli
from tests.fleet.fixtures import ENVIRONMENT
from tests.store.postgres_server import new_schema

from coatcheck._installation import install_command
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import ScriptedCloud, serving

pytestmark = pytest.mark.peer

FILE = """
name = "typing"
[task]
prompt = "Add types to {package}."
[items]
package = ["p0", "p1"]
[[candidates]]
provider = "codex"
environment = "env_1"
[approve.auto]
required = false
"""


@pytest.fixture
def cli(tmp_path: Path, postgres_url: str) -> Iterator[Cli]:
    """The command line with a fleet file, a service and an empty database."""
    (tmp_path / "typing.toml").write_text(FILE)
    cloud = ScriptedCloud(["completed"], environments=[ENVIRONMENT], clock=SystemClock())
    with serving(cloud) as url, new_schema(postgres_url) as database:
        environ = {"COATCHECK_STATE_HOME": str(tmp_path / "state"), "COATCHECK_CODEX_BASE_URL": url}
        cli = Cli(tmp_path, cloud, COATCHECK_LEARN="off", COATCHECK_DATABASE=database, **environ)
        cli.clock = SystemClock()  # type: ignore[assignment] # requests take real time
        yield cli


def test_a_fleet_is_stored_and_worked_on(cli: Cli, tmp_path: Path) -> None:
    """`init` creates the tables and stores the plan, `work` ends when all is delivered; both may be repeated."""
    first = cli("fleet", "init", "typing.toml", "--yes", "--json")
    second = cli("fleet", "init", "typing.toml", "--json")
    done = cli("fleet", "work", "typing.toml")
    again = cli("fleet", "work", "typing.toml", "--json")
    outcomes = [status["outcome"] for status in again.json["statuses"]]

    assert (True, False, ["typing"]) == (first.json["is_new"], second.json["is_new"], second.json["fleets"])
    assert ((0, 0), "typing: delivered", ["delivered"]) == ((done.code, again.code), done.out.splitlines()[0], outcomes)
    assert ["p0.patch", "p1.patch"] == sorted(path.name for path in (tmp_path / "typing-patches").iterdir())


def test_what_was_not_prepared_is_named(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that was not stored, tables that are missing, another version of the file and a missing extra: one line each."""
    lines = [cli("fleet", "work", "typing.toml").err]
    cli("fleet", "run", "typing.toml", "--yes")
    lines.append(cli("fleet", "work", "typing.toml").err)
    (tmp_path / "typing.toml").write_text(FILE.replace('"p1"', '"p2"'))
    lines.append(cli("fleet", "work", "typing.toml").err)
    monkeypatch.setitem(sys.modules, "pgqueuer", None)
    lines.append(cli("fleet", "init").err)
    expected = [
        "the fleet typing is not in the store; plan it there first: coatcheck fleet init FILE",
        "create them with: coatcheck fleet init",
        "was stored from another version of its file; give its workers the file that it was run with",
        install_command("workers"),
    ]

    assert [(True, 1)] * 4 == [(part in line, line.count("\n")) for part, line in zip(expected, lines, strict=True)]


def test_a_database_that_refuses_is_one_line(cli: Cli, postgres_url: str) -> None:
    """A user that the server does not know ends `init` with one line, which shows no password."""
    cli.environ["COATCHECK_DATABASE"] = postgres_url.replace("postgres@", "nobody:hunter2@")
    done = cli("fleet", "init")

    assert (15, 1, False) == (done.code, done.err.count("\n"), "hunter2" in done.err), done


def test_a_queue_that_refuses_is_one_line(cli: Cli) -> None:
    """Tables of another version of PgQueuer end a worker with one line that names the remedy."""
    import psycopg

    cli("fleet", "init", "typing.toml", "--yes")
    with psycopg.connect(cli.environ["COATCHECK_DATABASE"]) as connection:
        connection.execute("ALTER TABLE pgqueuer DROP COLUMN headers")
    done = cli("fleet", "work", "typing.toml")
    cli("fleet", "init")
    again = cli("fleet", "work", "typing.toml")

    assert (15, 1, 0) == (done.code, done.err.count("\n"), again.code), (done, again)
    assert "with: coatcheck fleet init" in done.err
