"""One task for several services: what is submitted to each, and how a review is continued."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from tests.cli.services_support import Broken, ManyServices

from coatcheck._cli.best_of_options import SANDBOXES
from coatcheck._review.checks import SandboxKind
from coatcheck.testing import faults
from coatcheck.testing.emulators import jules_scripts


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
    """Standard output has the refs alone; stderr has the command that continues the review."""
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


def test_what_a_quota_refused_is_sent_when_the_review_is_continued(cli: ManyServices) -> None:
    """A full quota is no final error: the next `review NAME` sends the task, once, and ranks its candidate."""
    cli.jules.faults.append(faults.Status(429, on="create_task", times=None))
    done = cli("submit", *ON[:-2], "--check", check("three"), "Add a line")
    cli.jules.faults.clear()
    before = cli.posts()
    later = [cli("review", "add-a-line", "--interval", "1", "--json", "choice") for _ in range(2)]

    assert (14, [0, 0], "jules:") == (done.code, [each.code for each in later], later[0].json["choice"][:6])
    assert (["codex", "local"], ["codex", "jules", "local"]) == (sorted({*before} - {"jules"}), sorted({*cli.posts()}))
    assert 1 == len(cli.jules.tasks)


def check(word: str) -> str:
    """Return a check that passes where the file has *word*."""
    return f"grep -q {word} hello.txt"


def test_the_sandboxes_are_those_of_reviews() -> None:
    """The kinds that the options of `run` name are those that a verification takes."""
    assert SANDBOXES == get_args(SandboxKind)


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


def test_without_a_choice_nothing_is_applied(cli: ManyServices) -> None:
    """The table is printed, the exit code is 11, and the checkout is unchanged."""
    done = cli("run", *ON, "--check", check("nothing"), "--apply-best", "Add a line")

    assert (11, True, True, "hello\n") == (
        done.code,
        "CANDIDATE" in done.out,
        "nothing was applied" in done.err,
        (cli.folder / "hello.txt").read_text(),
    )


def test_a_review_is_continued_by_its_name(cli: ManyServices) -> None:
    """`submit` begins a review, `review NAME` waits and checks; again it needs no request, and takes other checks."""
    begun = cli("submit", *ON[:-2], "--check", check("two"), "Add a line")
    first = cli("review", "add-a-line", "--interval", "1", "--json", "choice")
    requests = len(cli.codex.requests)
    again = cli("review", "add-a-line", "--check", check("one"), "--json", "choice")
    listed = cli("review", "--list").out.split("  ")

    assert (0, 0, ["codex", "jules", "local"], requests, ("codex:", "/1"), ["add-a-line", "ended", "3 tasks"]) == (
        begun.code,
        first.code,
        cli.posts(),
        len(cli.codex.requests),
        (again.json["choice"][:6], again.json["choice"][-2:]),
        [listed[0], *listed[2:4]],
    )


def test_reviews_are_forgotten_and_pruned(cli: ManyServices) -> None:
    """`review --forget` deletes the named reviews, `history prune` those that have ended; their tasks stay."""
    names = ["one", "two"]
    for name in names:
        cli("submit", *ON[:-2], "--check", check("two"), "--name", name, f"Add line {name}")
        cli("review", name, "--interval", "1")
    wrong = cli("review", "--forget", "one", "other")
    forgotten = cli("review", "--forget", "one")
    cli.clock.advance(2 * 86400)
    pruned = cli("history", "prune", "--before", "1d", "--json").json

    assert (2, "there is no review 'other'; list them with: coatcheck review --list") == (
        wrong.code, wrong.line,
    )  # fmt: skip
    assert ("1 review forgotten.\n", 1) == (forgotten.out, pruned["reviews"])
    assert "No review was begun.\n" == cli("review", "--list").out


def test_a_review_belongs_to_the_checkout_that_it_was_begun_in(cli: ManyServices) -> None:
    """From another folder it is continued on the same repository and base, and applied there."""
    cli("submit", *ON[:-2], "--check", check("two"), "Add a line")
    began, cli.folder = cli.folder, cli.folder.parent
    done = cli("review", "add-a-line", "--interval", "1", "--apply", "--json=choice")

    assert (0, "hello\ntwo\n") == (done.code, (began / "hello.txt").read_text())


def test_a_service_that_fails_is_in_the_table(cli: ManyServices) -> None:
    """The others are checked; the error is one line and a row, and the best of the others is chosen."""
    cli.services.handlers["jules"] = Broken()
    done = cli("run", *ON, "--check", check("one"), "Add a line")
    rows = [line.split()[1:3] for line in done.out.splitlines() if line[:1].isdecimal()]

    assert (0, [["jules/2", "no"]], 1) == (
        done.code,
        [row for row in rows if row[0].startswith("jules")],
        sum("no connection" in line for line in done.err.splitlines()),
    )


def test_a_task_that_needs_input_does_not_hold_the_others(cli: ManyServices) -> None:
    """Its plan waits for a person: the others are ranked, the way to decide is named, and the review goes on later."""
    cli.jules.life = jules_scripts.asking
    done = cli("run", *ON, "--check", check("three"), "Add a line")
    listed = cli("review", "--list", "--json").json["reviews"]

    assert (10, True, ["waiting"]) == (
        done.code,
        "coatcheck answer jules:" in done.err,
        [each["state"] for each in listed],
    )


def test_the_deadline_keeps_the_review(cli: ManyServices) -> None:
    """At the deadline the command ends with the name of the review, and the next one waits on."""
    cli.jules.step_seconds = 1000.0
    late = cli("run", *ON, "--timeout", "60", "--check", check("three"), "Add a line")
    done = cli("review", "add-a-line", "--timeout", "none", "--interval", "60", "--json", "choice")

    assert (4, True, 0, "jules:", ["codex", "jules", "local"]) == (
        late.code,
        "continue it with: coatcheck review add-a-line" in late.err,
        done.code,
        done.json["choice"][:6],
        cli.posts(),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "codex:0"], "'codex:0' is no service with a number of attempts"),
        (["--on", "codex:x"], "'codex:x' is no service"),
        (["--on", ":2"], "':2' is no service"),
        (["--on", "nosuch"], "there is no provider 'nosuch'"),
        (
            ["--on", "codex", "--on", "codex:2"],
            "the service codex is named twice; request the attempts together: codex:3",
        ),
        (["--on", "codex", "--provider", "jules"], "--provider and --on cannot be combined"),
        (["--on", "codex", "--attempts", "2"], "--attempts and --on cannot be combined"),
        (["--on", "codex", "--apply"], "--apply cannot be combined with --on"),
        (["--on", "codex", "--ask"], "--ask cannot be combined with --on"),
        (["--on", "codex", "--name", "codex:1"], "'codex:1' cannot be the name of a review"),
        (["--on", "codex", "--apply-best"], "--apply-best needs a check"),
        (["--on", "codex", "--check", "echo 'x"], "cannot be split into words"),
        (["--on", "codex", "--review-file", "none.toml"], "none.toml"),
    ],
)
def test_bad_input_submits_nothing(cli: ManyServices, arguments: list[str], message: str) -> None:
    """What cannot be run, checked or applied is one line before anything is submitted."""
    done = cli("run", *arguments, "Add a line")

    assert (2, True, []) == (done.code, message in done.line, cli.posts())


def test_a_service_that_returns_no_change_gets_no_task(cli: ManyServices) -> None:
    """Codex Cloud's threads cannot compete: alone they are an error, beside others they get nothing and the reason is shown."""
    cli.environ["COATCHECK_CODEX_APP_SERVER_BACKEND"] = "cloud"
    alone = cli("run", "--on", "codex_app_server", "--environment", "e", "Add a line")
    beside = cli("submit", "--on", "codex_app_server", "--on", "codex", "Add a line")
    message = "codex_app_server returns no change that can compete with others"

    assert (2, True) == (alone.code, message in alone.line)
    assert (["codex"], True) == (cli.posts(), message in beside.err)


def test_a_name_is_taken_once(cli: ManyServices) -> None:
    """A chosen name that a review has is an error; a generated one gets a number."""
    names = [cli("submit", "--on", "codex", "--json", "Add a line").json["review"] for _ in range(2)]
    taken = cli("submit", "--on", "codex", "--name", "add-a-line", "Add a line")

    assert (["add-a-line", "add-a-line-2"], 2, 2) == (names, taken.code, len(cli.services.posts))


def test_one_service_is_reviewed_too(cli: ManyServices) -> None:
    """Without --on the attempts of the configured service compete."""
    options = ("--attempts", "2", "--sandbox", "none", "--interval", "1", "--check", check("two"))
    done = cli("run", *options, "--json=choice", "Add a line")

    assert (0, "codex:", "/2") == (done.code, done.json["choice"][:6], done.json["choice"][-2:])
