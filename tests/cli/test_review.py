"""`coatcheck review`: candidates of tasks and files, the table, the choice and its application."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli
from tests.cli.test_patch import ended, git
from tests.cli.test_patch_files import no_service

from coatcheck import Candidate, CheckProgress, CheckResult, Verdict, Verification
from coatcheck._review import verifier
from coatcheck._review.verification_results import VerificationResult
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud


class WordVerifier:
    """A fake of `Verifier`: a check passes where the diff adds the word that is its command; the base fails all."""

    seen: Verification
    base: str

    def __init__(self, _repository: Path, verification: Verification, **_: object) -> None:
        WordVerifier.seen = verification

    def verify(
        self,
        candidates: Sequence[Candidate],
        *,
        base: str,
        on_progress: Callable[[CheckProgress], None],
        scope: object,
    ) -> Sequence[VerificationResult]:
        """Return what each diff contains."""
        del scope
        WordVerifier.base = base
        for check in self.seen.checks:
            on_progress(CheckProgress(candidate=None, check=check.name, state="running"))
            on_progress(CheckProgress(candidate=None, check=check.name, state="failed"))
        return [self._result(candidate) for candidate in candidates if candidate.patch]

    def _result(self, candidate: Candidate) -> VerificationResult:
        diff = bytes(candidate.patch or b"").decode()
        results = [
            CheckResult(
                check=check.name,
                verdict=Verdict.PASSED if f"+{check.run}" in diff else Verdict.FAILED,
                base_verdict=Verdict.FAILED,
                log=f"there is no {check.run}\n",
            )
            for check in self.seen.checks
        ]
        protected = ("tests/a.txt",) if "tests/a.txt" in diff else ()
        return VerificationResult(
            candidate=candidate.name, applies=True, checks=tuple(results), protected_changes=protected
        )


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check by words, without a sandbox."""
    monkeypatch.setattr(verifier, "Verifier", WordVerifier)


def adding(*lines: str, path: str = "hello.txt") -> str:
    """Return a diff that adds lines to a file of the checkout."""
    added = "".join(f"+{line}\n" for line in lines)
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1,{1 + len(lines)} @@\n hello\n{added}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, with three patches beside it."""
    folder = tmp_path / "checkout"
    (folder / "tests").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for path in ("hello.txt", "tests/a.txt"):
        (folder / path).write_text("hello\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    (tmp_path / "right.patch").write_text(adding("world"))
    (tmp_path / "wrong.patch").write_text(adding("word"))
    (tmp_path / "cheat.patch").write_text(adding("world") + adding("x", path="tests/a.txt"))
    return folder


@pytest.fixture
def cli(checkout: Path) -> Cli:
    """The command line in the checkout, without a service."""
    return Cli(checkout, no_service)


FILES = ("../wrong.patch", "../cheat.patch", "../right.patch")


def test_the_output_has_the_order_and_its_reasons(cli: Cli) -> None:
    """The candidates are printed best first, with what each check found, the reasons of the order, and the choice."""
    done = cli("review", *FILES, "--check", "world")
    expected = """\
#  CANDIDATE       RESULT    world            SIZE
1  ../right.patch  passed    failed → passed  +1/-0
2  ../cheat.patch  rejected  failed → passed  +2/-0
3  ../wrong.patch  failed    failed → failed  +1/-0

Not acceptable
  ../cheat.patch: it changes protected paths: tests/a.txt
  ../wrong.patch: it fails world as the base does: there is no world

Order
  ../right.patch before ../cheat.patch: the other is rejected: it changes protected paths: tests/a.txt
  ../cheat.patch before ../wrong.patch: it passes world, which the other fails

chosen: ../right.patch: it passes world
"""

    assert (0, expected) == (done.code, done.out)


def test_nothing_is_chosen_where_no_candidate_passes(cli: Cli, checkout: Path) -> None:
    """Where no candidate passes the exit code is 11, the table is printed, and --apply applies nothing."""
    done = cli("review", *FILES, "--check", "universe", "--apply")
    last = done.out.splitlines()[-1]

    assert (11, "nothing is chosen: no candidate passed", "") == (
        done.code,
        last.partition(";")[0],
        git(checkout, "status", "--porcelain"),
    )


def test_without_checks_nothing_is_chosen(cli: Cli) -> None:
    """Without a required check every candidate is unchecked; an optional check alone chooses nothing."""
    documents = [cli("review", "--json", *options, *FILES).json for options in ((), ("--check-optional", "world"))]

    assert [(None, {"unchecked"})] * 2 == [
        (document["choice"], {card["result"] for card in document["cards"]}) for document in documents
    ]


def test_the_choice_is_applied_and_undone(cli: Cli, checkout: Path) -> None:
    """--apply applies the chosen candidate as `apply` does, and `apply --undo` takes it back."""
    done = cli("review", *FILES, "--check", "world", "--apply", "--markdown")
    applied = (checkout / "hello.txt").read_text()
    undone = cli("apply", "--undo")

    assert (0, True, "hello\nworld\n", 0, "hello\n") == (
        done.code,
        "applied     hello.txt\n" in done.err,
        applied,
        undone.code,
        (checkout / "hello.txt").read_text(),
    )


def test_the_ranking_is_printed_where_the_choice_cannot_be_applied(checkout: Path) -> None:
    """Where the application of the choice fails, the ranking is printed before the error, and with --json both."""
    cli, ref = ended(checkout, adding("word"), adding("world"))
    cli("apply", ref, "--attempt", "1")
    text, document = (cli("review", ref, "--check", "world", "--apply", *options) for options in ((), ("--json",)))
    expected = (9, f"chosen: {ref}/2: it passes world", 9, "PatchConflictError")

    assert expected == (
        text.code,
        text.out.splitlines()[-1],
        document.code,
        document.json["applied"]["error"]["type"],
    )


def test_a_file_that_is_named_twice_is_one_candidate(cli: Cli, checkout: Path) -> None:
    """A file named in several ways is one candidate, so that it does not agree with itself."""
    (checkout / "link.patch").symlink_to("../right.patch")
    names = ("../right.patch", "./../right.patch", str(checkout.parent / "right.patch"), "link.patch")
    document = cli("review", "--json", *names, "--check", "world").json

    assert [("../right.patch", [])] == [(card["candidate"]["name"], card["same_as"]) for card in document["cards"]]


def test_warnings_of_the_policy_are_printed(cli: Cli, checkout: Path) -> None:
    """What the policy warns about is in the table's page and in Markdown; with --reject it rejects the candidate."""
    (checkout.parent / "ci.patch").write_text(
        "diff --git a/.github/workflows/a.yml b/.github/workflows/a.yml\nnew file mode 100644\n--- /dev/null\n"
        "+++ b/.github/workflows/a.yml\n@@ -0,0 +1 @@\n+world\n"
    )
    options = ((), ("--markdown",), ("--strict",))
    done = [cli("review", "../ci.patch", "--check", "world", *each) for each in options]

    assert [(0, 1, False), (0, 1, False), (11, 0, True)] == [
        (each.code, each.out.count("Warnings"), "../ci.patch: the policy rejects it" in each.out) for each in done
    ]


def test_nothing_is_applied_to_a_bare_repository(tmp_path: Path, checkout: Path) -> None:
    """--apply in a bare repository is refused before any check."""
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare.git")
    done = Cli(tmp_path, no_service)("review", "right.patch", "--check", "world", "-C", "bare.git", "--apply")

    assert (2, True) == (done.code, "bare.git is a bare repository" in done.line)


def test_a_base_that_is_no_commit_of_the_repository(checkout: Path) -> None:
    """A base that a service reports and that is no id of a commit here is not resolved: HEAD is used, and a note names both."""
    results = [CloudResult(diff=adding("world"), base_commit=base) for base in ("HEAD~0", "c" * 40)]
    for result in results:
        cli = Cli(checkout, ScriptedCloud(attempts=[AttemptScript(timeline=["completed"], result=result)]))
        document = cli("review", "--json", cli.submit(), "--check", "world").json
        head = git(checkout, "rev-parse", "HEAD").strip()
        (note,) = document["notes"]

        assert (head, True) == (document["base"], note.startswith("the base that the tasks report, "))


def test_attempts_of_a_task_compete_with_files(checkout: Path) -> None:
    """Candidates come from attempts and files at once; an attempt without a diff is in the table with its reason."""
    cli, ref = ended(checkout, adding("x"), None, adding("world", "and", "more"))
    document = cli("review", "--json", ref, "../right.patch", "--check", "world").json
    names = [(card["candidate"]["name"], card["result"]) for card in document["cards"]]
    expected = [
        ("../right.patch", "passed"),
        (f"{ref}/3", "passed"),
        (f"{ref}/1", "failed"),
        (f"{ref}/2", "no patch"),
    ]

    assert (expected, "../right.patch") == (names, document["choice"])


def test_an_attempt_is_applied_with_its_task(checkout: Path) -> None:
    """The chosen attempt is applied, and another attempt of the same task is refused afterwards, as by `apply`."""
    cli, ref = ended(checkout, adding("word"), adding("world"))
    done = cli("review", ref, "--check", "world", "--apply")
    other = cli("apply", ref, "--attempt", "1")

    assert (0, "hello\nworld\n", 9) == (done.code, (checkout / "hello.txt").read_text(), other.code)


def test_a_task_that_cannot_be_read_is_a_candidate(checkout: Path) -> None:
    """A task that the service does not have costs only its candidate, and is an error where it is the only one."""
    cli = Cli(checkout, ScriptedCloud())
    done = cli("review", "--json", "codex:task_e_404", "../right.patch", "--check", "world")
    alone = cli("review", "codex:task_e_404", "--check", "world")
    cards = {card["candidate"]["name"]: card["result"] for card in done.json["cards"]}

    assert (0, {"../right.patch": "passed", "codex:task_e_404": "no patch"}, 1) == (done.code, cards, alone.code)


def test_a_name_that_no_review_has_is_named_as_such(checkout: Path) -> None:
    """A word that is neither a review nor the beginning of a task's id leads to the list of reviews."""
    done = Cli(checkout, ScriptedCloud())("review", "ad-dark-mode", "--check", "world")

    assert "or, if ad-dark-mode is a review: there is none of this name, see coatcheck review --list" in done.line


def test_a_task_that_runs_is_a_candidate(checkout: Path) -> None:
    """A task that has not ended is in the table with that reason."""
    script = AttemptScript(timeline=["in_progress"] * 9, result=CloudResult(diff=None))
    cli = Cli(checkout, ScriptedCloud(attempts=[script]))
    ref = cli.submit()
    document = cli("review", "--json", ref, "--check", "world").json

    assert ["it is still running"] == document["cards"][0]["rejections"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no diff", "there is no diff in this text; pass the output of git diff"),
        ("--- a/x\n+++ b/x\n@@ -1,9 +1 @@\n-a\n", "line "),
    ],
)
def test_a_malformed_file_costs_only_itself(cli: Cli, checkout: Path, text: str, problem: str) -> None:
    """A file that is no diff is a candidate without a patch; the others are checked."""
    (checkout.parent / "bad.patch").write_text(text)
    document = cli("review", "--json", "../bad.patch", "../right.patch", "--check", "world").json
    (bad,) = (card["candidate"] for card in document["cards"] if card["candidate"]["name"] == "../bad.patch")

    assert ("../right.patch", True) == (document["choice"], problem in bad["error"])


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("../nothing.patch",), 2, "there is no file ../nothing.patch"),
        (("-", "-"), 2, "standard input can be read once"),
        (("../right.patch", "--check", "a", "--check", "a"), 2, "the check 'a' is given twice"),
        (("../right.patch", "--check", "a", "--check-optional", "a"), 2, "the check 'a' is given twice"),
        (("../right.patch", "--check", ""), 2, "--check is empty"),
        (("../right.patch", "--check", " "), 2, "the check is empty"),
        (("../right.patch", "--check", "make 'test"), 2, "cannot be split into words: No closing quotation"),
        (
            ("../right.patch", "--check", "make && make test"),
            2,
            """no shell runs it; pass: sh -c 'make && make test'""",
        ),
        (
            ("../right.patch", "--check", "CI=1 make"),
            2,
            "begins with a variable, and no shell runs it; pass: env CI=1 make",
        ),
        (("../right.patch", "--setup", "a | b"), 2, "the setup 'a | b' has '|'"),
        (("../right.patch", "--scorer", "a > b"), 2, "the scorer 'a > b' has '>'"),
        (("../right.patch", "--base", "nothing"), 2, "there is no commit 'nothing' in "),
        (("../right.patch", "--base", "--all"), 2, "there is no commit '--all' in "),
        (("../right.patch", "-C", "/nothing"), 2, "there is no folder /nothing"),
        (("../right.patch", "-C", ".."), 2, "is not in a git repository"),
        (("../right.patch", "--file", "nothing.toml"), 2, "the review file nothing.toml cannot be read"),
        (("../right.patch", "--reject", "nothing"), 2, "there is no rule 'nothing'"),
        (("../right.patch", "--markdown", "--jq", "."), 2, "--markdown and --json cannot be combined"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, arguments: tuple[str, ...], code: int, problem: str) -> None:
    """What cannot be reviewed is one line with a remedy, before anything is checked."""
    done = cli("review", *arguments)

    assert (code, True, True) == (done.code, problem in done.line, ";" in done.line)


def test_a_review_file_is_read_only_where_it_is_named(cli: Cli, checkout: Path) -> None:
    """Checks and rules come from the file that --file names; options add to it, and a file of the repository is not read."""
    (checkout / "review.toml").write_text('scorer = "/no/program"\n')
    path = checkout / "mine.toml"
    path.write_text(
        'protected = ["a"]\nsandbox = "none"\n[checks]\ntests = "world"\n[checks.x]\nrun = "x"\nrequired = false\n'
    )
    document = cli("review", "--json", *FILES, "--file", path.name, "--check", "wor", "--protect", "b").json
    seen = WordVerifier.seen

    assert (["tests", "x", "wor"], ("a", "b"), "none", []) == (
        [check.name for check in seen.checks],
        seen.protected,
        seen.sandbox,
        [note for note in document["notes"] if "scorer" in note],
    )


def test_the_base_is_what_tasks_report_else_head(checkout: Path, cli: Cli) -> None:
    """Files are checked on HEAD, and a note names it; --base chooses another commit."""
    head = git(checkout, "rev-parse", "HEAD").strip()
    git(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    default, chosen = (cli("review", "--json", *FILES, *options).json for options in ((), ("--base", "HEAD~1")))
    second = git(checkout, "rev-parse", "HEAD").strip()

    assert ((second, [f"no base is reported; the candidates are checked on HEAD, {second[:10]}"]), (head, [])) == (
        (default["base"], default["notes"]),
        (chosen["base"], chosen["notes"]),
    )


def test_a_repository_may_be_elsewhere_and_bare(tmp_path: Path, checkout: Path) -> None:
    """-C names another checkout, or a bare repository."""
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare.git")
    cli = Cli(tmp_path, no_service)
    done = [cli("review", "--json", "right.patch", "--check", "world", "-C", name) for name in ("checkout", "bare.git")]

    assert [(0, "right.patch")] * 2 == [(each.code, each.json["choice"]) for each in done]


def test_a_scorer_orders_what_passed(cli: Cli, checkout: Path) -> None:
    """A scorer's scores order candidates that passed the checks, and one that fails is a note."""
    (checkout.parent / "longer.patch").write_text(adding("world", "wide"))
    script = checkout.parent / "score.py"
    script.write_text(
        "import json, sys\nnames = [c['name'] for c in json.load(sys.stdin)['candidates']]\n"
        "print(json.dumps({'scores': {name: float('longer' in name) for name in names}}))\n"
    )
    names = ("../right.patch", "../longer.patch", "--check", "world")
    scored = cli("review", "--json", *names, "--scorer", f"{sys.executable} {script}").json
    failed = cli("review", "--json", *names, "--scorer", f"{sys.executable} -c pass").json

    assert ("../longer.patch", "../right.patch", True) == (
        scored["choice"],
        failed["choice"],
        any("ranked without scores" in note for note in failed["notes"]),
    )


def test_fields_and_markdown(cli: Cli) -> None:
    """--json FIELDS prints some fields of the ranking, and --markdown a table for a pull request."""
    fields = cli("review", *FILES, "--check", "world", "--json", "choice,places")
    markdown = cli("review", *FILES, "--check", "world", "--markdown")
    rows = [line for line in markdown.out.splitlines() if line.startswith("|")]

    assert (
        {"choice": "../right.patch", "places": [1, 2, 3]},
        "| 1 | ` ../right.patch ` | passed | failed → passed | +1/-0 | 0 |",
    ) == (
        json.loads(fields.data),
        rows[2],
    )


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_table_fits_the_width(cli: Cli, width: int) -> None:
    """On a terminal no line of the table is wider than it, whatever the names are."""
    cli.is_terminal = True
    cli.environ |= {"COLUMNS": str(width), "NO_COLOR": "1", "PAGER": "cat"}
    long = "a check with a name that is much longer than any column of a table may be"
    done = cli("review", *FILES, "--check", "world", "--check-optional", long)
    table = done.out.split("\n\n")[0].splitlines()

    assert (4, True) == (len(table), all(len(line.rstrip()) <= width for line in table))


def test_progress_is_shown_on_a_terminal(cli: Cli) -> None:
    """While checks run, a terminal shows a table of them and how many have ended; --quiet shows nothing."""
    cli.is_terminal = True
    cli.environ |= {"NO_COLOR": "1"}
    shown, quiet = (cli("review", *FILES, "--check", "world", *options).err for options in ((), ("-q",)))
    tables = [
        "      world\nbase  running\n0s • 0 checks ended • 1 running",
        "      world\nbase  failed\n0s • 1 check ended, 1 failed",
    ]
    lines = [re.sub(r" +\n", "\n", part) for part in re.split(r"\r(?:\x1b\[2A\x1b\[J|\x1b\[K)", shown)]

    assert (["", "0s • 0 checks ended", *tables], "") == (lines[:4], quiet)


def test_hostile_names_are_escaped(cli: Cli, checkout: Path) -> None:
    """Control characters of a name do not reach the terminal, in the table or in Markdown."""
    name = "../\x1b[31mred.patch"
    (checkout / name).write_text(adding("world"))
    cli.is_terminal = True
    cli.environ |= {"NO_COLOR": "1", "PAGER": "cat"}
    done: list[Any] = [cli("review", name, "--check", "world", *options) for options in ((), ("--markdown",))]

    assert [False, False] == ["\x1b[31m" in each.out for each in done]
