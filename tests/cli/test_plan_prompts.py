"""Plans, notices and standing still, in front of an emulated Jules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli, Result

from coatcheck.testing.emulators import jules_scripts as lives
from coatcheck.testing.emulators.jules import JulesEmulator


class JulesCli(Cli):
    """The command line in front of a Jules."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.jules = JulesEmulator(**options)
        super().__init__(folder, self.jules, COATCHECK_PROVIDER="jules", COATCHECK_LEARN="off")
        self.environ["JULES_API_KEY"] = self.jules.token
        self.environ["COATCHECK_JULES_BASE_URL"] = "http://127.0.0.1:9/v1alpha"
        self.jules.clock = self.clock

    def run(self, *options: str, stdin: bytes = b"") -> Result:
        return self("run", "--repo", "owner/repo", *options, "Say hello", stdin=stdin)


def test_a_plan_is_shown_and_not_approved_without_a_terminal(tmp_path: Path) -> None:
    """Without a terminal the answer is no: the plan is printed, and how to approve it; exit code 10."""
    cli = JulesCli(tmp_path)
    done = cli.run("--approve-plan", "ask")

    assert (10, []) == (done.code, cli.jules.seen("approve_plan"))
    assert "  1. Read the code\n  2. Say hello" in done.out
    assert f"It waits for the approval of its plan: coatcheck approve jules:{cli.jules.tasks[0]}" in done.err


@pytest.mark.parametrize(("answer", "code", "approvals"), [("y", 0, 1), ("n", 10, 0)])
def test_a_person_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, approvals: int
) -> None:
    """The plan is shown before the question."""
    cli = JulesCli(tmp_path)
    cli.is_asking = True
    monkeypatch.setattr("click.confirm", lambda *_, **__: answer == "y")
    done = cli.run("--approve-plan", "ask")

    assert (code, approvals) == (done.code, len(cli.jules.seen("approve_plan"))), done
    assert "1. Read the code" in done.err


def test_auto_approves_unseen(tmp_path: Path) -> None:
    """With auto no approval is requested, and a plan that waits is approved."""
    cli = JulesCli(tmp_path)
    done = cli.run("--approve-plan", "auto", "--title", "T", "--open-pr")

    assert 0 == done.code, done
    assert b'"requirePlanApproval"' not in cli.jules.seen("create_task")[0].body
    assert "https://github.com/owner/repo/pull/7" in done.out


def test_never_stops_at_the_plan_and_approve_continues(tmp_path: Path) -> None:
    """With never the run ends with the plan; `approve` and `wait` continue the task."""
    cli = JulesCli(tmp_path)
    planned = cli.run("--approve-plan", "never")
    ref = f"jules:{cli.jules.tasks[0]}"
    approved, ended = cli("approve", ref), cli("wait", ref)

    assert (10, 0, 0) == (planned.code, approved.code, ended.code)
    assert f"the plan of {ref} is approved; wait for it with: coatcheck wait {ref}\n" == approved.out
    assert "Done in `hello.txt`." in ended.out


def test_submit_may_require_a_plan_first(tmp_path: Path) -> None:
    """`wait` ends with the plan and prints the command that approves it; with --json it is an object."""
    cli = JulesCli(tmp_path)
    ref = cli("submit", "--repo", "owner/repo", "--plan-approval", "Say hello").out.strip()
    waited = cli("wait", "--json", ref)

    assert (10, "input_required", False) == (waited.code, waited.json["state"], waited.json["plan"]["is_approved"])
    assert ["Read the code", "Say hello"] == [step["title"] for step in waited.json["plan"]["steps"]]


def test_a_provider_without_plans_is_refused_before_submitting(tmp_path: Path) -> None:
    """A provider without plans is one line before any request."""
    cli = Cli(tmp_path)

    assert "codex does not support `approve`" in cli("run", "-e", "owner/repo", "--approve-plan", "auto", "x").line
    assert [] == cli.cloud.requests


def test_cancelling_offers_archiving(tmp_path: Path) -> None:
    """Jules has no cancellation: the error names the closest command."""
    assert "jules does not support `cancel`" in (line := JulesCli(tmp_path)("cancel", "jules:1").line)
    assert "archive_task pauses it" in line


@pytest.mark.parametrize(
    ("life", "code", "said"),
    [
        (lives.paused, 10, "a message may resume it: coatcheck message"),
        (lives.asking, 10, "It waits for an answer: coatcheck answer"),
        (lives.nothing_made, 0, "note: it completed and made nothing"),
        (lives.failed, 3, "The tests need a database."),
    ],
)
def test_the_end_of_a_wait_is_printed(tmp_path: Path, life: lives.Life, code: int, said: str) -> None:
    """A task that waits has its exit code, and a line with the next command."""
    done = JulesCli(tmp_path, life=life).run()

    assert code == done.code
    assert said in done.out + done.err


def test_a_folder_that_is_no_checkout_is_no_obstacle(tmp_path: Path) -> None:
    """Jules needs no repository."""
    cli = JulesCli(tmp_path)

    assert 0 == cli("run", "Write a poem").code
    assert b"sourceContext" not in cli.jules.seen("create_task")[0].body


def test_usage_counts_what_was_submitted_from_here(tmp_path: Path) -> None:
    """Usage is counted against the configured plan, and is described as counted here."""
    cli = JulesCli(tmp_path)
    cli.environ["COATCHECK_JULES_PLAN"] = "free"
    for _ in range(3):
        cli("submit", "--repo", "owner/repo", "Say hello")
    (window,) = cli("usage", "--json").json["rate_limit"]["windows"]

    assert (3, 15, 20, True) == (window["used"], window["limit"], window["used_percent"], window["is_counted_here"])
    assert "3 of 15 submitted from here; the service reports nothing" in cli("usage").out


def test_a_watch_prints_plans_and_artifacts(tmp_path: Path) -> None:
    """Activities are lines of text, and objects with --json."""
    cli = JulesCli(tmp_path)
    ref = cli("submit", "--repo", "owner/repo", "Say hello").out.strip()
    watched = cli("watch", ref)
    streamed = cli("watch", "--stream", "--json", ref)

    assert "plan  1. Read the code" in watched.out
    assert '"kind":"command","command":"make test"' in streamed.out


def test_sources_are_environments(tmp_path: Path) -> None:
    """With the repository and the default branch."""
    assert "sources/github/owner/repo" in (out := JulesCli(tmp_path)("environments").out)
    assert "owner/repo" in out
