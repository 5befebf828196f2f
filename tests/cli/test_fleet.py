"""The command `fleet`: plan, run, and decide about many tasks."""

from __future__ import annotations

import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.cli.cli_support import Cli, completed
from tests.fleet.fixtures import ENVIRONMENT, CountedDeliveries, FleetFixture, spec_of

from coatcheck import errors
from coatcheck._cli.console import Console, parts_of
from coatcheck._cli.context import CommandContext
from coatcheck._cli.fleet_progress import FleetProgress
from coatcheck._installation import upgrade_command
from coatcheck._model.fleets import FleetAccount, FleetRecord, FleetState, FleetStatus
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Fault, Status
from coatcheck.testing import ScriptedCloud, serving

FILE = """
name = "typing"
[task]
prompt = "Add types to {package}."
[items]
package = ["p0", "p1"]
[[candidates]]
provider = "codex"
environment = "env_1"
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in a folder with a fleet file, with a store of its own."""
    (tmp_path / "typing.toml").write_text(FILE)
    return Cli(tmp_path, COATCHECK_STATE_HOME=str(tmp_path / "state"), COATCHECK_LEARN="off")


@pytest.fixture
def waiting(cli: Cli, tmp_path: Path) -> Cli:
    """The command line beside a fleet whose two items wait for a person."""
    fleet = FleetFixture(tmp_path, spec_of(2, approve={"otherwise": "person"}))
    fleet.run()
    fleet.database.close()
    return cli


def test_a_plan_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    """The plan shows what would be sent to whom, and leaves no file."""
    before = sorted(tmp_path.iterdir())
    shown = cli("fleet", "plan", "typing.toml")

    assert (0, before) == (shown.code, sorted(tmp_path.iterdir()))
    assert "typing: 2 items (2 new)\n  codex: 2 new tasks\n  cost: unknown; services" in shown.out


def test_a_run_asks_first(cli: Cli, tmp_path: Path) -> None:
    """Without a terminal and without --yes nothing is stored or sent."""
    done = cli("fleet", "run", "typing.toml")

    assert (2, "typing: 2 items (2 new)", []) == (done.code, done.err.partition("\n")[0], cli.cloud.requests)
    assert "pass --yes" in done.err
    assert "No fleets; run one with: coatcheck fleet run FILE\n" == cli("fleet").out


def test_a_fleet_is_run_and_decided(tmp_path: Path) -> None:
    """A run ends where a person decides, with the exit code of that; after approval the changes are files."""
    cloud = ScriptedCloud(["completed"], environments=[ENVIRONMENT], clock=SystemClock())
    (tmp_path / "typing.toml").write_text(FILE)
    with serving(cloud) as url:
        environ = {"COATCHECK_STATE_HOME": str(tmp_path / "state"), "COATCHECK_CODEX_BASE_URL": url}
        cli = Cli(tmp_path, cloud, COATCHECK_LEARN="off", **environ)
        cli.clock = SystemClock()  # type: ignore[assignment] # requests take real time
        first = cli("fleet", "run", "typing.toml", "--yes")
        approved = cli("fleet", "approve", "typing", "--why", "read both")
        last = cli("fleet", "run", "typing.toml", "--json")

    assert (10, "approved p0\napproved p1\n", 0) == (first.code, approved.out, last.code), (first, last)
    *changes, end = map(json.loads, last.out.splitlines())
    assert ("delivered", [], True) == (end["status"]["outcome"], end["problems"], bool(changes))
    assert ["p0.patch", "p1.patch"] == sorted(path.name for path in (tmp_path / "typing-patches").iterdir())


def test_a_status_says_what_to_do_next(waiting: Cli) -> None:
    """The status names the states, and the command that goes on."""
    shown = waiting("fleet", "status", "typing")

    assert 10 == shown.code
    assert "typing: waiting\n  items: 2 waiting\n  tasks: 2 verified\n" == shown.out
    assert "2 items to decide: coatcheck fleet approve typing [KEY]..., or reject\n" == shown.err


def status_after(fleet: FleetFixture, cli: Cli) -> tuple[int, list[str]]:
    """Run a fleet; return the exit code of its status, and the lines of it."""
    fleet.run()
    fleet.database.close()
    shown = cli("fleet", "status", "typing")
    return shown.code, [*shown.out.splitlines(), *shown.err.splitlines()]


def test_a_status_names_what_failed(cli: Cli, tmp_path: Path) -> None:
    """Items that failed are named with the reason and the remedy, some of many; the exit code is that of failures."""
    fleet = FleetFixture(tmp_path, spec_of(8))
    refused = errors.ConfigurationError("the branch may not be pushed", remedy="get the permission")
    fleet.deliveries = CountedDeliveries(*[refused] * 7)
    code, lines = status_after(fleet, cli)

    assert (14, ["typing: failures", "  items: 1 delivered, 7 failed"]) == (code, lines[:2])
    assert 5 == sum("the branch may not be pushed; get the permission" in line for line in lines)
    assert "  and 2 more; see all with: coatcheck fleet report typing" in lines


@pytest.mark.parametrize(
    ("sections", "faults", "expected"),
    [
        ({}, [Status(429, retry_after=1800, on="create_task", times=50)], (12, "codex: no submission before 20")),
        ({"budget": {"tasks": 1}}, [], (13, "typing: stopped: its budget of 1 task is used (budget.tasks)")),
    ],
    ids=["quota", "budget"],
)
def test_what_a_fleet_waits_for_has_an_exit_code(
    cli: Cli, tmp_path: Path, sections: dict[str, object], faults: list[Fault], expected: tuple[int, str]
) -> None:
    """A full quota, with its time, and a budget that is used have exit codes and lines of their own."""
    code, lines = status_after(FleetFixture(tmp_path, spec_of(2, **sections), faults=faults), cli)

    assert expected == (code, next((expected[1] for line in lines if expected[1] in line), lines))


def test_an_item_is_shown_with_its_prompt(waiting: Cli) -> None:
    """`show` has the state, the candidate that was chosen, and the prompt."""
    lines = waiting("fleet", "show", "typing", "p1").out.splitlines()

    assert ("p1: waiting: a person decides: it passes tests", "Add types to p1.") == (lines[0], lines[-1])
    assert any(line.startswith(" * codex/1  verified  codex:task_e_") for line in lines)


def test_items_are_listed(waiting: Cli) -> None:
    """`show` without a key has a line for each item."""
    why = "waiting    %s: a person decides: it passes tests"

    assert "".join(f"  {why % key}\n" for key in ("p0", "p1")) == waiting("fleet", "show", "typing").out


def test_names_and_keys_are_completed(waiting: Cli) -> None:
    """Commands, fleets, and the items of the fleet that is named are completed."""
    lines = ("fleet appr", "fleet approve ty", "fleet show typing p", "fleet retry typing p0 ", "help fleet rej")

    assert [["approve"], ["typing"], ["p0", "p1"], ["p1"], ["reject"]] == [
        completed(waiting, f"coatcheck {line}") for line in lines
    ]


def test_what_was_decided_is_printed_as_it_is_now(waiting: Cli) -> None:
    """`approve` and `reject` return items in the state that they have afterwards."""
    rejected = waiting("fleet", "reject", "typing", "p1", "--json").json["items"]
    approved = waiting("fleet", "approve", "typing", "--json").json["items"]

    assert [("p1", "rejected"), ("p0", "approved")] == [(each["key"], each["state"]) for each in rejected + approved]


def test_fields_of_items(waiting: Cli) -> None:
    """`show` has the fields of items, with a KEY those of a report; `list` those of fleets."""
    assert (
        [{"key": "p0", "state": "waiting"}, {"key": "p1", "state": "waiting"}],
        {"prompt", "candidates"},
        [{"name": "typing"}],
    ) == (
        waiting("fleet", "show", "typing", "--json", "key,state").json,
        set(waiting("fleet", "show", "typing", "p0", "--json", "prompt,candidates").json),
        waiting("fleet", "--json", "name").json,
    )


def test_decisions_are_events(waiting: Cli) -> None:
    """Who decided, and why, is in the events, which resume by their numbers."""
    waiting("fleet", "reject", "typing", "p0", "--why", "too large")
    shown = waiting("fleet", "events", "typing").out.splitlines()
    lines = waiting("fleet", "events", "typing", "--json").data.splitlines()

    assert len(shown) == len(lines)
    assert "item.rejected  p0  by " in shown[-1]
    assert shown[-1].endswith("too large")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["plan"], "coatcheck fleet plan needs FILE"),
        (["status"], "coatcheck fleet status needs NAME"),
        (["plan", "none.toml"], "none.toml cannot be read"),
        (["plan", "typing.toml", "p0"], "coatcheck fleet plan does not expect 'p0'"),
        (
            ["plan", "typing.toml", "--why", "x"],
            "coatcheck fleet plan has no option --why; it is an option of: coatcheck fleet approve, coatcheck fleet reject",
        ),
        (["show", "typing", "p0", "p1"], "coatcheck fleet show does not expect 'p1'"),
        (["status", "typo"], "there is no fleet 'typo'; did you mean typing?"),
        (["show", "typing", "p9"], "the fleet typing has no item 'p9'; list them with: coatcheck fleet show typing"),
        (["approve", "typing", "p9"], "the fleet typing has no item 'p9'"),
        (["retry", "typing", "p0"], "the item 'p0' cannot be retried: it is waiting"),
        (["cancel", "typing"], "the fleet typing was not cancelled; pass --yes"),
    ],
)
def test_bad_usage_is_one_line(waiting: Cli, arguments: list[str], expected: str) -> None:
    """What cannot be done is one line with exit code 2, and nothing was changed."""
    done = waiting("fleet", *arguments)

    assert 2 == done.code
    assert expected in done.line


def test_a_paused_fleet_is_not_run(waiting: Cli) -> None:
    """A fleet that a person paused is continued by a person."""
    paused = waiting("fleet", "pause", "typing")
    again = waiting("fleet", "pause", "typing")
    refused = waiting("fleet", "run", "typing.toml", "--yes")
    resumed = waiting("fleet", "resume", "typing")

    assert ("typing is paused.\n", "typing was not running.\n") == (paused.out, again.out)
    assert "the fleet typing is paused; continue it with: coatcheck fleet resume typing" in refused.err
    assert "typing may run again: coatcheck fleet run FILE\n" == resumed.out


def test_a_cancelled_fleet_names_what_still_runs(cli: Cli, tmp_path: Path) -> None:
    """Cancelling stops what was not sent; tasks that run at a service are named with the command that stops them."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    candidate = fleet.control.store.candidates(fleet.fleet.id)[0]
    from coatcheck import CandidateState, TaskRef
    from coatcheck._store.fleet_submissions import SubmissionBudget

    fleet.control.submissions.claim(fleet.fleet.id, candidate, "", SubmissionBudget())
    ref = TaskRef("codex", "task_e_1")
    fleet.control.submissions.record_task(candidate.id, ref, before=CandidateState.SUBMITTING)
    fleet.database.close()
    done = cli("fleet", "cancel", "typing", "--yes")

    assert (0, "typing is cancelled.\n") == (done.code, done.out)
    assert "still running: coatcheck cancel codex:task_e_1\n" == done.err


def test_two_runs_at_once_are_refused(cli: Cli, tmp_path: Path) -> None:
    """A second process does not work on the fleets of the same folder."""
    from coatcheck._fleet.loop import fleet_lock

    with fleet_lock(str(tmp_path / "state")):
        done = cli("fleet", "run", "typing.toml", "--yes")

    assert 2 == done.code
    assert "another process works on the fleets of" in done.line


def test_a_fleet_in_an_event_loop_is_refused(tmp_path: Path) -> None:
    """`Fleet` blocks; in an event loop the error names the class that does not."""
    import asyncio

    from coatcheck import Fleet

    fleet = Fleet(
        name="x",
        task={"prompt": "p"},
        items=[{"id": "1"}],
        candidates=[{"provider": "codex"}],
        environ={"COATCHECK_STATE_HOME": str(tmp_path)},
    )

    async def plan() -> None:
        fleet.plan()

    with pytest.raises(errors.ConfigurationError, match="cannot run in an event loop"):
        asyncio.run(plan())


def test_a_report_is_printed_or_written(waiting: Cli, tmp_path: Path) -> None:
    """The report is Markdown, HTML or JSON; a file's ending chooses its format, and the file is complete."""
    printed = waiting("fleet", "report", "typing")
    written = waiting("fleet", "report", "typing", "--output", "out.html")
    document = waiting("fleet", "report", "typing", "--json")

    assert printed.out.startswith("# Fleet typing\n\n- Outcome: waiting\n")
    assert "coatcheck fleet approve typing p1" in printed.out
    assert ("wrote out.html\n", "<!doctype html>") == (written.out, (tmp_path / "out.html").read_text()[:15])
    assert document.json == waiting("fleet", "report", "typing", "--format", "json").json
    assert ["waiting", "waiting"] == [each["kind"] for each in document.json["unfinished"]]


def test_a_report_that_cannot_be_written_is_one_line(waiting: Cli, tmp_path: Path) -> None:
    """Where the file cannot be written the error names it, and nothing is left."""
    refused = waiting("fleet", "report", "typing", "--output", "none/out.html")
    both = waiting("fleet", "report", "typing", "--json", "--format", "html")
    (tmp_path / "folder.md").mkdir()
    folder = waiting("fleet", "report", "typing", "--output", "folder.md")

    assert "none/out.html cannot be written: No such file or directory" in refused.line
    assert "--json and --format html exclude each other" in both.error["message"]
    assert (2, []) == (folder.code, [*tmp_path.glob(".*tmp")])


def status_of(**items: int) -> FleetStatus:
    """Return the status of a fleet that runs, with so many items in each state, and an account without quota."""
    at = datetime(2026, 11, 28, 9, tzinfo=UTC)
    fleet = FleetRecord(id=1, name="typing", digest="", state=FleetState.RUNNING, created_at=at)
    account = FleetAccount(provider="codex", name="work", parked_until=at + timedelta(hours=1), reason="full")
    return FleetStatus(fleet=fleet, items=items, candidates={"planned": 4, "running": 2}, accounts=(account,))


def test_progress_has_states_rate_quota_and_rest(cli: Cli) -> None:
    """The table has a row for each state and each account that waits; the line the rate and the rest."""
    run, progress = progress_of(cli)
    progress.show(status_of(delivered=2, open=18))
    cli.clock.advance(60.0)
    progress.show(status_of(delivered=12, open=8))

    rows = ["".join(getattr(part, "text", part) for part in parts_of(row)) for row in progress.table(20)]
    assert [
        "items               tasks",
        "   12 delivered         4 planned",
        "    8 open              2 running",
    ] == rows[:3]
    assert "codex/work: no submission before 2026-11-28 10:00:00Z" == rows[3]
    line = "12 of 20 items • 8 open • 2 tasks running • quota of codex/work • 1m • 10.0 a minute • about 48s left"
    assert ("typing: ", line) == progress.line()
    assert not run.console.is_interactive


def test_progress_without_a_terminal_is_a_line_a_minute(cli: Cli) -> None:
    """Without a terminal nothing is printed for a minute, and then one line."""
    run, progress = progress_of(cli)
    printed = []
    for _ in range(3):
        progress.show(status_of(open=3))
        printed.append(run.console._err.getvalue().count(b"\n"))
        cli.clock.advance(59.0)

    assert [0, 0, 1] == printed


def progress_of(cli: Cli) -> tuple[CommandContext, FleetProgress]:
    """Return the progress of a fleet on a console without a terminal."""
    console = Console(io.BytesIO(), io.BytesIO(), environ={})
    run = SimpleNamespace(console=console, monotonic=cli.clock.monotonic, is_json=False)
    context = cast("CommandContext", run)
    return context, FleetProgress(context, "typing")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[task]\nprompt", "[task]\nprompts", "there is no key task.prompts; did you mean prompt?"),
        ("[items]", "[item]", "there is no key item; did you mean items?"),
        ('"codex"', '"codx"', "there is no provider 'codx'; did you mean codex?"),
        ("Add types to {package}.", "{pakage}", "pakage"),
        ("Add types to {package}.", " ", "the prompt of the item 'p0' is blank"),
        ('"p1"]', '"p0"]', "p0"),
        ('name = "typing"', 'name = "a b"', "name is not usable"),
        ("[items]", "[items", "typing.toml"),
    ],
)
def test_a_wrong_file_is_one_line_and_sends_nothing(
    cli: Cli, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    """What is wrong in a file is one line that names it, for `plan` and for `run`; nothing is stored or sent."""
    path = tmp_path / "typing.toml"
    path.write_text(path.read_text().replace(old, new))
    done = [cli("fleet", "plan", "typing.toml"), cli("fleet", "run", "typing.toml", "--yes")]

    assert [2, 2] == [each.code for each in done]
    assert expected in done[0].line
    assert ([], done[0].line) == (cli.cloud.requests, done[1].line)


def test_a_status_names_what_was_left_out(tmp_path: Path) -> None:
    """A status says why items were left out of the last plan, with the exit code of a fleet with failures."""
    fixture = FleetFixture(tmp_path, spec_of(1))
    fixture.run()
    reasons = {"p1": "./gone does not exist", "p2": "./gone does not exist"}
    fixture.control.store.save("typing", spec="{}", digest="", items=(), left_out=reasons)
    fixture.database.close()
    done = Cli(tmp_path, COATCHECK_STATE_HOME=str(tmp_path / "state"), COATCHECK_LEARN="off")(
        "fleet", "status", "typing"
    )

    assert (14, "  left out: p1, p2: ./gone does not exist") == (done.code, done.out.splitlines()[-1])
    assert "Correct what was left out" in done.err


def test_a_store_of_a_newer_version_is_refused(waiting: Cli, tmp_path: Path) -> None:
    """A store that only a newer version may write is refused by each action, with the remedy."""
    with sqlite3.connect(tmp_path / "state/coatcheck.sqlite3") as connection:
        connection.execute("UPDATE schema SET version = 99, oldest_writer = 99")
    connection.close()
    actions = [("run", "typing.toml", "--yes"), ("status", "typing"), ("report", "typing"), ("approve", "typing")]
    done = [waiting("fleet", *action) for action in actions]

    assert [15] * 4 == [each.code for each in done]
    assert all("changed by a newer coatcheck" in each.line and upgrade_command() in each.line for each in done)


def test_a_dry_run_shows_the_merge_order_and_delivers_nothing(waiting: Cli) -> None:
    """The items are shown in their order, as lines and as a merge plan, and stay as they are."""
    lines = waiting("fleet", "deliver", "typing", "--dry-run")
    plan = json.loads(waiting("fleet", "deliver", "typing", "--dry-run", "--json").out)
    done = waiting("fleet", "deliver", "typing")

    assert (0, "   1  waiting   p0\n   2  waiting   p1  (overlaps with p0)\n") == (lines.code, lines.out)
    assert [None, "p0"] == [each["overlaps"] for each in plan["items"]]
    assert (10, "2 waiting") == (done.code, done.out.partition("items: ")[2].partition("\n")[0])


def test_a_service_that_cannot_be_used_is_named(cli: Cli, tmp_path: Path) -> None:
    """A plan with a service that is not running names it with the command that starts it, and has an exit code of its own."""
    (tmp_path / "typing.toml").write_text(FILE + '[[candidates]]\nprovider = "local"\n')
    shown = cli("fleet", "plan", "typing.toml")
    asked = cli("fleet", "run", "typing.toml")

    assert (14, "  codex: 2 new tasks") == (shown.code, shown.out.splitlines()[1])
    assert shown.out.splitlines()[2].startswith(
        "  local: no tasks: no local cloud is running; start a local cloud with:"
    )
    assert "local gets no tasks: no local cloud is running" in asked.err


def test_decisions_about_waves_are_shown(cli: Cli, tmp_path: Path) -> None:
    """A wave that is rejected or approved is named, and cancelling a fleet that has ended prints that nothing changed."""
    fleet = FleetFixture(tmp_path, spec_of(2, rollout={"waves": [1, "100%"]}))
    fleet.run()
    rejected = cli("fleet", "reject", "typing")
    fleet.plan()
    fleet.run()
    approved = cli("fleet", "approve", "typing").out
    fleet.run()
    fleet.database.close()

    assert ("rejected wave 2\n", "approved wave 2\n") == (rejected.out, approved)
    assert "typing had ended: nothing was cancelled.\n" == cli("fleet", "cancel", "typing", "--yes").out
