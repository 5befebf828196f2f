"""Gates on the command line: what waits, who decides, and what a decision carries out."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli, Result
from tests.cli.test_patch import DIFF, TWO_FILES, checkout, ended, git
from tests.cli.test_plan_prompts import JulesCli

from coatcheck import errors
from coatcheck._app.gates import Gates
from coatcheck._runtime.config import Config
from coatcheck.cloud.faults import Refuse, ResetAfterAccept, Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulators import jules_scripts as lives

__all__ = ["checkout"]


def gates_of(cli: Cli) -> Gates:
    """Return the gates of the store of *cli*, as another process has them."""
    return Gates(Config(environ=cli.environ), clock=cli.clock)


def hold(cli: Cli, *options: str, prompt: str = "Add dark mode") -> str:
    """Hold a submission, and return its gate."""
    done = cli("submit", "--gate", "--environment", "owner/repo", *options, prompt)
    assert 10 == done.code, done
    return done.out.strip()


def write_settings(cli: Cli, text: str) -> None:
    """Write the user's file of settings."""
    folder = Path(cli.environ["HOME"], ".config", "coatcheck")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


def submissions(cli: Cli) -> list[bytes]:
    """Return the bodies of the submissions that were sent."""
    return [request.body for request in cli.cloud.seen("create_task")]


def log(cli: Cli) -> list[tuple[str, ...]]:
    """Return the log: what was done, by whom, by which way, and why."""
    entries = [json.loads(line)["event"] for line in cli("gates", "--log", "--json").out.splitlines()]
    return [(each["type"], *(each[name] for name in ("by", "via", "why") if each.get(name))) for each in entries]


# --- submissions ------------------------------------------------------------------------------------------------------


def test_a_held_submission_is_sent_once_it_is_approved(cli: Cli) -> None:
    """Nothing is sent before, the same is sent as without a gate, and approving again prints the same task."""
    gate = hold(cli, "--branch", "next", "--attempts", "2")
    before = submissions(cli)
    first, again = cli("approve", gate, "--why", "cheap"), cli("approve", gate)
    cli.submit("--branch", "next", "--attempts", "2")
    held, direct = submissions(cli)

    assert ([], 0, 0, direct) == (before, first.code, again.code, held)
    assert first.out == again.out
    assert f"Step 2/2: get the result with: coatcheck wait {first.out}" in first.err


def test_a_gate_says_what_is_decided_and_how(cli: Cli) -> None:
    """The list has a line, and the gate its prompt and the commands; both are objects with --json."""
    gate = hold(cli)
    line, shown = cli("gates").out, cli("gates", gate).out
    [listed] = cli("gates", "--json").json["gates"]

    assert line.startswith(f"{gate}  submission  submit a task to codex for owner/repo")
    assert all(text in shown for text in ("Add dark mode", f"coatcheck approve {gate}", f"coatcheck reject {gate}"))
    assert ("open", "submission", "cli", ["approve", "reject"]) == (
        listed["state"], listed["kind"], listed["submitted_via"], [each["id"] for each in listed["options"]],
    )  # fmt: skip


def test_a_rejected_submission_is_never_sent(cli: Cli) -> None:
    """Its prompt is deleted, and approving it names who rejected it and why."""
    gate = hold(cli)
    rejected = cli("reject", gate, "--why", "too broad")
    approved = cli("approve", gate)
    [listed] = cli("gates", "--state", "rejected", "--json").json["gates"]

    assert (0, 1, [], None) == (rejected.code, approved.code, submissions(cli), listed["detail"])
    assert "too broad" in approved.line


def test_a_deadline_rejects(cli: Cli) -> None:
    """A gate that nobody decides expires, and nothing is sent."""
    cli.environ["COATCHECK_GATE_TIMEOUT"] = "2h"
    gate = hold(cli)
    cli.clock.sleep(7201)
    done = cli("approve", gate)

    assert (1, [], "No gates.\n") == (done.code, submissions(cli), cli("gates").out)
    assert "its deadline has passed" in done.line


def test_the_log_names_a_deadline(cli: Cli) -> None:
    """In the log a gate that its deadline has rejected is not one that a person has rejected."""
    cli.environ["COATCHECK_GATE_TIMEOUT"] = "2h"
    hold(cli)
    cli.clock.sleep(7201)
    cli("gates")

    assert "  rejected at the deadline  submission  " in cli("gates", "--log").out.splitlines()[-1]


@pytest.mark.parametrize("text", ["[gates.policies.x]\ndecision = 'yes'\n", "gate_timeout = 'none'\n"])
def test_a_setting_that_cannot_be_used_holds_nothing(checkout: Path, text: str) -> None:
    """Where `submit --gate` or `apply --gate` fails because of a setting, no gate and no review is left to be approved."""
    cli = Cli(checkout)
    (checkout / "change.patch").write_text(DIFF)
    commands = [
        ("submit", "--gate", "--environment", "owner/repo", "Add dark mode"),
        ("submit", "--gate", "--environment", "owner/repo", "--on", "codex", "Add dark mode"),
        ("apply", "--gate", "change.patch"),
    ]
    write_settings(cli, text)
    codes = [cli(*words).code for words in commands]
    write_settings(cli, "")

    assert ([2, 2, 2], "No gates.\n", "No review was begun.\n") == (
        codes,
        cli("gates", "--state", "all").out,
        cli("review", "--list").out,
    )


def test_a_submission_that_failed_can_be_sent_by_approving_again(tmp_path: Path) -> None:
    """The gate stays approved while the service certainly has no task."""
    cloud = ScriptedCloud(faults=[Refuse(on="create_task", times=20)])
    cli = Cli(tmp_path, cloud)
    gate = hold(cli)
    failed = cli("approve", gate)
    cloud.faults.clear()
    done = cli("approve", gate)

    assert (8, 0, 1) == (failed.code, done.code, len(cloud.tasks))
    assert f"try again with: coatcheck approve {gate}" in failed.err


def test_a_lost_answer_sends_nothing_twice(tmp_path: Path) -> None:
    """The task is found as after `submit`; approving again prints it."""
    cli = Cli(tmp_path, ScriptedCloud(faults=[ResetAfterAccept(on="create_task")]))
    gate = hold(cli)
    first, again = cli("approve", gate), cli("approve", gate)

    assert (0, first.out, 1) == (first.code, again.out, len(cli.cloud.tasks))


@pytest.mark.parametrize(
    ("pid", "code", "hint"), [(None, 7, "submit --resume"), (1, 1, "another process is")], ids=["ended", "running"]
)
def test_a_submission_that_was_begun_is_not_sent_again(cli: Cli, pid: int | None, code: int, hint: str) -> None:
    """Its process has ended and the outcome is unknown, or its process still submits."""
    from coatcheck._app.held_work import held_task, journal_of
    from coatcheck._protocol.intents import intent_of

    gate = hold(cli)
    with closing(gates_of(cli)) as gates:
        stored = gates.find(gate)
        gates.decide(stored, "approve")
        held = held_task(gates, stored)
        intent = intent_of(held.spec, id="i1", provider="codex", at=cli.clock.time(), pid=pid or os.getpid())
        journal = journal_of(gates, stored, held, Config(environ=cli.environ))
        journal.begin(intent)
        with pytest.raises(errors.ConflictError, match="was begun before"):
            journal.begin(intent)
        begun = cli("approve", gate)
        journal.abandon(intent)
    done = cli("approve", gate)

    assert (code, 0, 1) == (begun.code, done.code, len(submissions(cli)))
    assert hint in begun.line


def test_a_submission_names_its_account_and_no_secret(cli: Cli) -> None:
    """The stored request has no token and no URL."""
    import zlib

    gate = hold(cli)
    with closing(gates_of(cli)) as gates:
        request = zlib.decompress(gates.store.request(gates.find(gate).id) or b"")

    assert not any(secret in request for secret in (cli.cloud.tokens.access_token.encode(), b"http"))


@pytest.mark.parametrize("option", ["--resume", "--batch=tasks.jsonl"])
def test_a_gate_is_of_one_task(cli: Cli, option: str) -> None:
    """With --resume or --batch a gate is refused before anything happens."""
    done = cli("submit", "--gate", option)

    assert (2, []) == (done.code, cli.cloud.requests)
    assert "--gate and" in done.line


# --- policies ---------------------------------------------------------------------------------------------------------


def test_the_first_policy_that_fits_decides(cli: Cli) -> None:
    """It is recorded like a person; what it approves is sent at once, what it rejects never."""
    write_settings(
        cli,
        "[gates.policies.ours]\ndecision = 'approve'\nkinds = ['submission']\nwhy = 'small'\n"
        "[gates.policies.rest]\ndecision = 'reject'\n",
    )
    done = cli("submit", "--gate", "--environment", "owner/repo", "Add dark mode")

    assert (0, 1) == (done.code, len(cli.cloud.tasks)), done
    assert [("gate.opened",), ("gate.decided", "policy:ours", "policy", "small")] == log(cli)


def test_a_repository_has_no_policies(checkout: Path) -> None:
    """A project's file that has one is refused."""
    (checkout / "coatcheck.toml").write_text("[gates.policies.all]\ndecision = 'approve'\nkinds = ['apply']\n")
    done = Cli(checkout)("submit", "--gate", "--environment", "owner/repo", "x")

    assert 2 == done.code
    assert "which a project file may not" in done.line


# --- plans and questions ----------------------------------------------------------------------------------------------


def plan_that_waits(tmp_path: Path, **options: Any) -> tuple[JulesCli, str]:
    """Return a command line and the ref of a task whose plan waits."""
    cli = JulesCli(tmp_path, **options)
    ref = cli("submit", "--repo", "owner/repo", "--plan-approval", "Say hello").out.strip()
    assert 10 == cli("wait", ref).code
    return cli, ref


def test_a_wait_opens_the_gate_of_a_plan(tmp_path: Path) -> None:
    """The gate holds at its deadline; `approve` with the task's ref decides it, and the wait continues."""
    cli, ref = plan_that_waits(tmp_path)
    gate = cli("wait", "--json", ref).json["gate"]
    approved, waited = cli("approve", ref, "--why", "read it"), cli("wait", ref)

    assert ("plan", "hold", "1. Read the code\n2. Say hello") == (gate["kind"], gate["on_expiry"], gate["detail"])
    assert (0, 0, 1) == (approved.code, waited.code, len(cli.jules.seen("approve_plan")))
    assert log(cli)[-1][3:] == ("read it",)


def test_a_plan_that_was_decided_elsewhere_is_approved_by_the_wait(tmp_path: Path) -> None:
    """A decision of another process before the wait is carried out by it."""
    cli, ref = plan_that_waits(tmp_path)
    with closing(gates_of(cli)) as gates:
        gates.decide(gates.list()[0], "approve")
    waited = cli("wait", ref)

    assert (0, 1) == (waited.code, len(cli.jules.seen("approve_plan")))


def test_two_people_who_approve_a_plan_send_it_once(tmp_path: Path) -> None:
    """While the approval of one is being sent, that of another is recorded and not sent; a wait continues as well."""
    cli, ref = plan_that_waits(tmp_path)
    answer, others = cli.jules.handle, list[Result]()

    def handle(request: Any) -> Any:
        if request.url.endswith(":approvePlan"):
            cli.jules.handle = answer  # type: ignore[method-assign]
            others.append(cli("approve", ref))
            others.append(cli("wait", ref, "--timeout", "1s"))
        return answer(request)

    cli.jules.handle = handle  # type: ignore[method-assign]
    first = cli("approve", ref)

    assert [0, 0, 4] == [first.code, *(each.code for each in others)], first
    assert f"another process is approving the plan of {ref}" in others[0].out
    assert 1 == len(cli.jules.seen("approve_plan"))


def test_an_approval_that_was_not_sent_is_sent_by_approving_again(tmp_path: Path) -> None:
    """After an approval that failed the same command sends it."""
    cli, ref = plan_that_waits(tmp_path)
    cli.jules.faults.append(Status(500, on="approve_plan"))
    failed, again = cli("approve", ref), cli("approve", ref)

    assert (True, 0, 2) == (failed.code > 0, again.code, len(cli.jules.seen("approve_plan")))


def test_a_plan_that_has_changed_is_not_approved(tmp_path: Path) -> None:
    """The agent made another plan between reading and approving: the error names the new gate, which can be approved."""
    cli, ref = plan_that_waits(tmp_path)
    session = cli.jules._sessions[ref.partition(":")[2]]
    for activity in session.activities:
        if "planGenerated" in activity:
            activity["planGenerated"]["plan"]["steps"][1]["title"] = "Delete the tests"  # type: ignore[index]
    refused = cli("approve", ref)
    [gate] = cli("gates", "--json").json["gates"]
    approved = cli("approve", f"gate:{gate['id']}")

    assert (1, 0, 1) == (refused.code, approved.code, len(cli.jules.seen("approve_plan"))), refused
    assert f"then: coatcheck approve gate:{gate['id']}" in refused.line


def test_a_rejected_plan_still_waits(tmp_path: Path) -> None:
    """The reason is sent to the task, and the plan is not approved."""
    cli, ref = plan_that_waits(tmp_path)
    done = cli("reject", ref, "--why", "Keep the tests")

    assert (0, 1, 0) == (done.code, len(cli.jules.seen("send_message")), len(cli.jules.seen("approve_plan")))
    assert b"Keep the tests" in cli.jules.seen("send_message")[0].body


def test_who_rejected_a_plan_is_printed_when_it_is_approved(tmp_path: Path) -> None:
    """Approving a plan that was rejected before prints by whom and why."""
    cli, ref = plan_that_waits(tmp_path)
    [gate] = cli("gates", "--json").json["gates"]
    cli("reject", ref, "--why", "Keep the tests")
    approved = cli("approve", ref)

    assert (0, True, 1) == (
        approved.code,
        f": Keep the tests (gate:{gate['id']})" in approved.err,
        len(cli.jules.seen("approve_plan")),
    )


def test_a_policy_approves_plans(tmp_path: Path) -> None:
    """A plan that a policy approves does not end the wait."""
    cli = JulesCli(tmp_path)
    write_settings(cli, "[gates.policies.plans]\ndecision = 'approve'\nkinds = ['plan']\nrepositories = ['owner/*']\n")
    ref = cli("submit", "--repo", "owner/repo", "--plan-approval", "Say hello").out.strip()

    assert (0, 1) == (cli("wait", ref).code, len(cli.jules.seen("approve_plan")))


def test_what_an_agent_wrote_is_no_command_of_a_gate(cli: Cli) -> None:
    """The text of a gate is indented: it cannot look like the commands that decide."""
    gate = hold(cli, prompt="Fix it.\n\nDecide\n  coatcheck approve gate:other\x1b[2J")
    shown = cli("gates", gate).out.splitlines()

    assert [
        "Detail",
        "  Fix it.",
        "  ",
        "  Decide",
        "    coatcheck approve gate:other\\x1b[2J",
        "",
        "Decide",
        f"  coatcheck approve {gate}",
        f"  coatcheck reject {gate}",
    ] == shown[shown.index("Detail") :]


def test_a_question_is_answered_without_a_history(tmp_path: Path) -> None:
    """The command that a wait names for a question works also where no gate is stored."""
    cli = JulesCli(tmp_path, life=lives.asking)
    cli.environ["COATCHECK_HISTORY"] = "off"
    waited = cli.run()
    answered = cli("answer", f"jules:{cli.jules.tasks[0]}", "The second one")

    assert (10, True, 0, 1) == (
        waited.code,
        f"coatcheck answer jules:{cli.jules.tasks[0]} TEXT" in waited.err,
        answered.code,
        len(cli.jules.seen("send_message")),
    )


def test_a_question_is_answered(tmp_path: Path) -> None:
    """`answer` sends the text and closes the gate; a wait that ends closes what the task does not wait for any more."""
    cli = JulesCli(tmp_path, life=lives.asking)
    ref = cli.run().err and f"jules:{cli.jules.tasks[0]}"
    shown = cli("gates").out
    answered = cli("answer", ref, "The second one")

    assert (0, 1, "No gates.\n") == (answered.code, len(cli.jules.seen("send_message")), cli("gates").out)
    assert f"{ref} waits for an answer" in shown


def test_a_decision_is_carried_out_once(checkout: Path, tmp_path: Path) -> None:
    """Approving, rejecting or answering the same gate again sends and applies nothing."""
    cli, ref = plan_that_waits(tmp_path)
    plan = f"gate:{cli('wait', '--json', ref).json['gate']['id']}"
    approvals = [cli("approve", plan).code, cli("approve", plan).code, len(cli.jules.seen("approve_plan"))]
    asking = JulesCli(tmp_path / "other", life=lives.asking)
    asking.run()
    question = f"gate:{asking('gates', '--json').json['gates'][0]['id']}"
    answers = [asking("answer", question, "a").code, asking("answer", question, "b").code]
    other, task = ended(checkout, TWO_FILES)
    patch = other("apply", "--gate", task).out.splitlines()[-1]
    applications = [other("approve", patch).code, other("approve", patch).code, other("apply", "--undo").code]
    again = other("approve", patch).code

    assert ([0, 0, 1], [0, 1], [0, 0, 0], 0) == (approvals, answers, applications, again)
    assert (1, "") == (len(asking.jules.seen("send_message")), git(checkout, "status", "--porcelain"))


def test_a_question_is_not_approved(tmp_path: Path) -> None:
    """The error names the command that answers, and the question stays open."""
    cli = JulesCli(tmp_path, life=lives.asking)
    cli.run()
    ref = f"jules:{cli.jules.tasks[0]}"
    done = cli("approve", ref)

    assert (2, f"answer it with: coatcheck answer {ref} TEXT" in done.line) == (done.code, True)
    assert f"{ref} waits for an answer" in cli("gates").out


def test_what_a_task_waited_for_before_is_not_decided(tmp_path: Path) -> None:
    """A task whose plan was approved elsewhere cannot be rejected: its gate is withdrawn."""
    cli, ref = plan_that_waits(tmp_path)
    with closing(gates_of(cli)) as gates:
        plan = gates.list()[0]
    cli.jules._sessions[ref.partition(":")[2]].approve(now=cli.clock.time())
    done = cli("reject", ref)
    by_gate = cli("approve", plan.address)

    assert (1, 1, []) == (done.code, by_gate.code, cli.jules.seen("approve_plan"))
    assert "does not wait" in done.line


def test_a_task_that_does_not_wait_has_nothing_to_reject(cli: Cli) -> None:
    """The error names the state of the task."""
    ref = cli.submit()

    assert "does not wait for a decision" in cli("reject", ref).line


def test_without_history_a_plan_is_approved_and_nothing_stored(tmp_path: Path) -> None:
    """The setting history = off holds for gates of tasks."""
    cli = JulesCli(tmp_path)
    cli.environ["COATCHECK_HISTORY"] = "off"
    ref = cli("submit", "--repo", "owner/repo", "--plan-approval", "Say hello").out.strip()
    waited, approved = cli("wait", ref), cli("approve", ref)

    assert (10, 0, "No gates.\n") == (waited.code, approved.code, cli("gates", "--state", "all").out)


@pytest.mark.parametrize(
    "text", ["[gates.policies.x]\ndecision = 'yes'\n", "gate_timeout = 'soon'\n", "gate_timeout = 'none'\n"]
)
def test_a_setting_that_cannot_be_used_loses_no_result(tmp_path: Path, text: str) -> None:
    """The wait ends as without gates, and a line names the setting."""
    cli = JulesCli(tmp_path)
    write_settings(cli, text)
    ref = cli("submit", "--repo", "owner/repo", "--plan-approval", "Say hello").out.strip()
    waited = cli("wait", ref)

    assert (10, 1) == (waited.code, waited.err.count("could not be stored"))
    assert "1. Read the code" in waited.out


def test_the_first_decision_holds_while_a_person_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process rejects the plan while the question is on the terminal: the plan is not approved."""
    cli = JulesCli(tmp_path)
    cli.is_asking = True

    def confirm(*_: object, **__: object) -> bool:
        with closing(gates_of(cli)) as gates:
            gates.decide(gates.list()[0], "reject", why="no")
        return True

    monkeypatch.setattr("click.confirm", confirm)
    done = cli.run("--approve-plan", "ask")

    assert (10, []) == (done.code, cli.jules.seen("approve_plan"))
    assert "was rejected by" in done.err


def test_reading_gates_creates_no_store(cli: Cli) -> None:
    """Neither the list nor the log, nor the wait for a task that needs no decision."""
    codes = [cli(*words).code for words in (("gates",), ("gates", "--log"), ("gates", "gate:1"), ("approve", "gate:1"))]

    assert ([0, 0, 2, 2], False) == (codes, Path(cli.environ["HOME"]).exists())


# --- patches ----------------------------------------------------------------------------------------------------------


def test_a_held_patch_is_applied_once_it_is_approved(checkout: Path) -> None:
    """The size is shown, nothing is changed before, and the approval applies it to that checkout."""
    cli, ref = ended(checkout, TWO_FILES)
    held = cli("apply", "--gate", ref)
    before = git(checkout, "status", "--porcelain")
    gate = held.out.splitlines()[-1]
    done = cli("approve", gate)

    assert (10, "", 0) == (held.code, before, done.code)
    assert "2 files changed, 2 insertions(+)" in held.out
    assert " M hello.txt\n?? new.txt\n" == git(checkout, "status", "--porcelain")


def test_apply_again_uses_the_approval(checkout: Path) -> None:
    """An approval that another process stored is carried out by the same command, of the same options alone."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--gate", ref)
    with closing(gates_of(cli)) as gates:
        gates.decide(gates.list()[0], "approve")
    other = cli("apply", "--gate", "--exclude", "new.txt", ref)
    done = cli("apply", "--gate", ref)

    assert (10, 0) == (other.code, done.code)
    assert " M hello.txt\n?? new.txt\n" == git(checkout, "status", "--porcelain")


def test_a_rejected_patch_is_not_applied(checkout: Path) -> None:
    """Neither by approving nor by applying again with --gate."""
    cli, ref = ended(checkout, DIFF)
    gate = cli("apply", "--gate", ref).out.splitlines()[-1]
    codes = [cli(*words).code for words in (("reject", gate), ("approve", gate), ("apply", "--gate", ref))]

    assert ([0, 1, 1], "") == (codes, git(checkout, "status", "--porcelain"))


def test_a_patch_file_that_has_changed_is_not_applied(checkout: Path, tmp_path: Path) -> None:
    """The approval is of the bytes that the file had."""
    file = tmp_path / "change.patch"
    file.write_text(TWO_FILES)
    cli = Cli(checkout)
    gate = cli("apply", "--gate", str(file)).out.splitlines()[-1]
    file.write_text(TWO_FILES.replace("+new\n", "+other\n"))
    refused = cli("approve", gate)
    file.write_text(TWO_FILES)
    done = cli("approve", gate)

    assert (1, 0) == (refused.code, done.code)
    assert "has changed since" in refused.line


def test_a_policy_of_paths_approves_a_patch(checkout: Path) -> None:
    """Every file must fit, and the size."""
    cli, ref = ended(checkout, TWO_FILES)
    write_settings(cli, "[gates.policies.text]\ndecision = 'approve'\npaths = ['hello.txt']\n")
    one = cli("apply", "--gate", ref)
    write_settings(cli, "[gates.policies.text]\ndecision = 'approve'\npaths = ['*.txt']\nmax_lines = 2\n")
    both = cli("apply", "--gate", "--index", ref)

    assert (10, 0) == (one.code, both.code)
    assert "M  hello.txt\nA  new.txt\n" == git(checkout, "status", "--porcelain")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("apply", "--gate", "--check", "x.patch"), "--gate and --check"),
        (("apply", "--gate", "-"), "standard input cannot wait"),
        (("approve", "gate:00000000"), "there is no gate"),
        (("approve", "gate:"), "there is no gate"),
        (("approve", "NONSENSE"), "there is no open gate of codex:NONSENSE, and codex has no plans to approve"),
        (("gates", "--log", "--state", "all"), "--state and --log cannot be combined"),
        (("gates", "--after", "3"), "--after needs --log"),
    ],
)
def test_bad_input_is_one_line(checkout: Path, arguments: tuple[str, ...], message: str) -> None:
    """The exit code is 2, and nothing is stored or sent."""
    cli = Cli(checkout)
    done = cli(*arguments, stdin=DIFF.encode())

    assert (2, []) == (done.code, cli.cloud.requests), done
    assert message in done.line


def test_a_decision_can_require_a_digest(cli: Cli) -> None:
    """A digest of another state of the gate is refused."""
    gate = hold(cli)
    digest = cli("gates", "--json").json["gates"][0]["digest"]
    refused, done = cli("approve", gate, "--digest", "0" * 64), cli("approve", gate, "--digest", digest)

    assert (1, 0) == (refused.code, done.code)
    assert "is about something else by now" in refused.line


def test_a_gate_can_be_named_by_its_beginning(cli: Cli) -> None:
    """The beginning of the id of one open gate names it."""
    gate = hold(cli)
    done: Result = cli("reject", gate[:-2])

    assert 0 == done.code, done


def test_the_log_is_read_from_a_number_on(cli: Cli) -> None:
    """Its entries are in the order of the decisions, with who made them."""
    cli("reject", hold(cli), "--why", "no")
    entries = [json.loads(line) for line in cli("gates", "--log", "--json").out.splitlines()]
    rest = cli("gates", "--log", "--json", "--after", str(entries[0]["id"])).out.splitlines()

    assert ["gate.decided"] == [json.loads(line)["event"]["type"] for line in rest]
    assert "rejected" not in cli("gates").out
    assert "rejected  submission" in cli("gates", "--log").out
