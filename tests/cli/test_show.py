from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.cli_support import Cli

from coatcheck._protocol import pagination
from coatcheck.cloud.faults import OffloadedDiff, RepeatingCursor, UnknownWords
from coatcheck.cloud.models import CloudFailure, CloudResult
from coatcheck.cloud.scripted_cloud import DEFAULT_RESULT, DIFF, AttemptScript, ScriptedCloud
from coatcheck.testing import (
    AnthropicBatchEmulator,
    GithubEmulator,
    JulesEmulator,
    LambdaEmulator,
    OpenAIBatchEmulator,
)
from coatcheck.testing.fake_clock import FakeClock

OTHER = DIFF.replace("+world", "+everybody")


def script(diff: str | None, end: str = "completed") -> AttemptScript:
    """An attempt that has ended with this diff."""
    return AttemptScript(timeline=[end], result=CloudResult(messages=("Hi.",), diff=diff))


def ended(folder: Path, *diffs: str | None) -> tuple[Cli, str]:
    """Return a command line, and the ref of a task that has ended with an attempt for each diff."""
    cli = Cli(folder, ScriptedCloud(attempts=[script(diff) for diff in diffs]))
    return cli, cli.submit("--attempts", str(len(diffs)))


@pytest.mark.parametrize("form", ["{ref}", "{id}", "https://chatgpt.com/codex/tasks/{id}?x=1#y"])
def test_a_task_is_named_in_three_ways(cli: Cli, form: str) -> None:
    """A ref, a bare id and a task's page all name it."""
    ref = cli.submit()

    assert ref == cli("status", form.format(ref=ref, id=ref.partition(":")[2]), "--json").json["ref"]


def test_status_is_one_request(cli: Cli) -> None:
    """`status` sends one request."""
    ref = cli.submit()
    before = len(cli.cloud.requests)
    cli("status", ref)

    assert 1 == len(cli.cloud.requests) - before


@pytest.mark.parametrize("word", ["pending", "completed", "failed", "cancelled"])
def test_the_exit_code_of_status_is_zero_for_every_state(tmp_path: Path, word: str) -> None:
    """The exit code of `status` is 0 whatever the state is."""
    cli = Cli(tmp_path, ScriptedCloud([word]))

    assert 0 == cli("status", cli.submit()).code


def test_an_unknown_state_is_shown(tmp_path: Path) -> None:
    """The word of the service for a state that is not known is shown."""
    cloud = ScriptedCloud(["pending"])
    cli = Cli(tmp_path, cloud)
    ref = cli.submit()
    cloud.faults = [UnknownWords(on="get_task", times=None)]
    seen = cli("status", ref, "--json").json

    assert "unknown" == seen["state"]
    assert f"[unknown: {seen['raw_state']}]" in cli("status", ref).out


def test_show_has_everything(tmp_path: Path) -> None:
    """Messages, pull request, changes, and every attempt."""
    cli, ref = ended(tmp_path, DIFF, OTHER)
    out = cli("show", ref).out

    assert {"Hi.", "Pull request", "Changes", "Attempts"} <= set(out.splitlines())
    assert "  attempt 2  [succeeded]  +1/-0 • 1 file" in out.splitlines()
    assert [DIFF, OTHER] == [each["outcome"]["patch"] for each in cli("show", "--json", ref).json["attempts"]]


def test_attempts_are_listed(tmp_path: Path) -> None:
    """`attempts` has a line, and an object, for each."""
    cli, ref = ended(tmp_path, DIFF, None)

    assert ["attempt 1  [succeeded]  +1/-0 • 1 file", "attempt 2  [succeeded]  no diff"] == cli(
        "attempts", ref
    ).out.splitlines()
    assert [1, 2] == [each["number"] for each in cli("attempts", ref, "--json").json["attempts"]]


def test_diff_is_the_bytes_of_the_patch(tmp_path: Path) -> None:
    """Nothing is added to a diff or removed; --attempt chooses the attempt."""
    cli, ref = ended(tmp_path, DIFF, OTHER)

    assert [DIFF.encode(), OTHER.encode()] == [cli("diff", ref).data, cli("diff", ref, "--attempt", "2").data]


def test_diff_has_colours_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a diff has colours, and its escape sequences are text."""
    cli, ref = ended(tmp_path, DIFF.replace("+world", "+\x1b[2Jworld"))
    cli.is_terminal = True

    assert "\x1b[32m+\\x1b[2Jworld\x1b[0m" in cli("diff", ref).out.splitlines()
    assert "+\\x1b[2Jworld" in cli("diff", ref, "--no-color").out.splitlines()


def test_diff_without_a_number_is_the_first_there_is(tmp_path: Path) -> None:
    """As with the official client, the default is the first attempt that has a diff."""
    cli, ref = ended(tmp_path, None, OTHER)

    assert {"attempt": 2, "diff": OTHER} == {
        name: value for name, value in cli("diff", ref, "--json").json.items() if name in {"attempt", "diff"}
    }


def test_an_attempt_without_a_diff_is_an_error_with_both_numberings(tmp_path: Path) -> None:
    """Attempts keep their numbers; the error has the number of the official client, which counts only attempts with a diff."""
    cli, ref = ended(tmp_path, None, DIFF, OTHER)
    done = cli("diff", ref, "--attempt", "1")

    assert 1 == done.code
    assert (
        f"attempt 1 of {ref} has no diff; attempts with one: 2, 3 (the Codex CLI's attempt 1 is attempt 2 here)"
        == done.line
    )


@pytest.mark.parametrize(
    ("expected", "diffs", "number"),
    [("its attempts are: 1, 2", (DIFF, OTHER), "3"), ("its attempts are: 1", (DIFF,), "2")],
)
def test_an_attempt_that_there_is_not(tmp_path: Path, expected: str, diffs: tuple[str, ...], number: str) -> None:
    """A number that is too high is an error that lists the attempts."""
    cli, ref = ended(tmp_path, *diffs)
    done = cli("diff", ref, "--attempt", number)

    assert (2, f"{ref} has no attempt {number}; {expected}") == (done.code, done.line)


def test_no_diff_yet(cli: Cli) -> None:
    """The error for a task that still runs names the command that waits for it."""
    ref = cli.submit()

    assert f"{ref} has no diff yet: it is queued; wait with: coatcheck wait {ref}" == cli("diff", ref).line


def test_no_diff_at_all(tmp_path: Path) -> None:
    """The error for an ended task without changes is that it has no diff."""
    cli, ref = ended(tmp_path, None)

    assert f"{ref} has no diff" == cli("diff", ref).line


def test_a_diff_that_is_stored_elsewhere_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    """A diff that the service keeps elsewhere is something else than no diff."""
    cli, ref = ended(tmp_path, DIFF)
    cli.cloud.faults = [OffloadedDiff(on="get_task", times=None)]
    done = cli("diff", ref)

    assert 1 == done.code
    assert f"the service stores the diff of {ref} in another place (" in done.line


def test_list_prints_twenty_tasks_and_the_command_for_more(cli: Cli) -> None:
    """A list prints one page, and the command that prints the next one."""
    for _ in range(23):
        cli.submit()
    first = cli("list")
    with_json = cli("list", "--json").json
    rest = cli("list", "--json", "--cursor", with_json["cursor"]).json

    assert 20 == first.out.count("codex:task_e_")
    assert "There are more: coatcheck list --cursor='" in first.err
    assert (20, 3, None) == (len(with_json["tasks"]), len(rest["tasks"]), rest["cursor"])


@pytest.mark.parametrize(("expected", "options"), [(23, ["--all"]), (22, ["--limit", "22"]), (5, ["--limit", "5"])])
def test_list_shows_as_many_as_requested(cli: Cli, expected: int, options: list[str]) -> None:
    """The limit is independent of the service's page size."""
    for _ in range(23):
        cli.submit()

    assert expected == len({task["ref"] for task in cli("list", "--json", *options).json["tasks"]})


def test_list_ends_when_a_cursor_repeats(tmp_path: Path) -> None:
    """A service that sends us round in circles is left."""
    cloud = ScriptedCloud(faults=[])
    cli = Cli(tmp_path, cloud)
    for _ in range(25):
        cli.submit()
    cloud.faults = [RepeatingCursor(on="list_tasks", times=None)]

    assert 0 == cli("list", "--all").code


def test_an_empty_list_is_one_line(cli: Cli) -> None:
    """Nothing is not silence."""
    assert "No tasks found.\n" == cli("list").out


def test_lists_are_filtered(cli: Cli) -> None:
    """Archived tasks are in their own list; an environment is named by its label."""
    first, second = cli.submit(), cli.submit()
    cli("archive", first)

    assert [second] == [each["ref"] for each in cli("list", "--json").json["tasks"]]
    assert [first] == [each["ref"] for each in cli("list", "--json", "--filter", "archived").json["tasks"]]
    assert 2 == len(cli("list", "--json", "--filter", "all", "-e", "OWNER/repo").json["tasks"])


def test_an_unknown_id_is_an_error_of_the_service(cli: Cli) -> None:
    """An unknown id is an error of the service."""
    done = cli("status", "task_e_nobody")

    assert (1, "not_found" in done.line or "Invalid task ID" in done.line) == (done.code, True)


def test_results_are_whole(tmp_path: Path) -> None:
    """The printed result is the whole result of the cloud."""
    made = msgspec.structs.replace(DEFAULT_RESULT, title="Title", body="Body")
    cli = Cli(tmp_path, ScriptedCloud(["completed"], result=made))
    pull = cli("show", "--json", cli.submit()).json["outcome"]["pull_request"]

    assert ("Title", "Body") == (pull["title"], pull["body"])


def test_list_all_reports_that_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without an end is stopped, with a line on stderr and the cursor in the JSON."""
    monkeypatch.setattr(pagination, "MAX_PAGES", 1)
    cli = Cli(tmp_path, ScriptedCloud(faults=[]))
    for _ in range(25):
        cli.submit()
    listed = cli("list", "--all", "--json")

    assert (0, 20, True, True) == (
        listed.code,
        len(listed.json["tasks"]),
        bool(listed.json["cursor"]),
        "there are more than 1 pages" in listed.err,
    )


EVERY_STATUS = """\
diff --git a/hello.txt b/hello.txt
index ce01362..94954ab 100644
--- a/hello.txt
+++ b/hello.txt
@@ -1 +1,2 @@
 hello
+world
diff --git a/gone.py b/gone.py
deleted file mode 100644
index ce01362..0000000
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-hello
diff --git a/new.py b/new.py
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+hello
diff --git a/old name b/new name
similarity index 100%
rename from old name
rename to new name
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
"""


def test_show_lists_every_file_of_the_diff(tmp_path: Path) -> None:
    """Each file has git's letter for what happens to it, deleted ones too."""
    cli, ref = ended(tmp_path, EVERY_STATUS)
    lines = cli("show", ref).out.splitlines()
    changes = cli("show", ref, "--json").json["outcome"]["changes"]

    assert "+2/-1 • 5 files" == lines[2]
    assert [
        "  M  hello.txt             Text",
        "  D  gone.py               Python",
        "  A  new.py                Python",
        "  R  old name => new name  unknown language",
        "  M  run.sh                Shell",
    ] == lines[lines.index("Changes") + 1 :]
    assert ["modified", "deleted", "added", "renamed", "mode changed"] == [each["status"] for each in changes]


def test_show_lists_the_files_of_the_attempt(tmp_path: Path) -> None:
    """--attempt chooses whose files are listed."""
    cli, ref = ended(tmp_path, DIFF, EVERY_STATUS)
    lists = [cli("show", *options, ref).out for options in ((), ("--attempt", "1"), ("--attempt", "2"))]

    assert [False, False, True] == ["  D  gone.py" in text for text in lists]


@pytest.mark.parametrize(
    "options",
    [
        ("--limit", "1"),
        ("--filter", "all", "--limit", "1"),
        ("--provider", "codex", "-e", "owner/repo", "--filter", "all", "--limit", "1"),
        ("--base-url", "https://chatgpt.com/backend-api", "--limit", "1"),
    ],
    ids=" ".join,
)
def test_the_next_page_keeps_the_options(cli: Cli, options: tuple[str, ...]) -> None:
    """The command for the next page has all given options, and prints that page."""
    refs = [cli.submit() for _ in range(3)][::-1]
    pages = [cli("list", *options)]
    for _ in range(2):
        words = shlex.split(pages[-1].err.partition("coatcheck ")[2].partition(" (or --all)")[0])
        pages.append(cli(*words))

    assert refs == [page.out.splitlines()[1].split()[0] for page in pages]
    assert "" == pages[-1].err
    assert set(options) - {"-e"} <= set(shlex.split(pages[0].err.partition("coatcheck ")[2].partition(" (or")[0]))


def test_other_commands_keep_the_options(cli: Cli) -> None:
    """The command that resumes has the given address."""
    done = cli("submit", "-e", "owner/repo", "--base-url", "https://chatgpt.com/backend-api", "go")

    assert f"coatcheck wait {done.out.strip()} --base-url https://chatgpt.com/backend-api\n" in done.err


@pytest.mark.parametrize(
    ("provider", "emulator", "environment", "secrets"),
    [
        ("copilot", GithubEmulator, "owner/repo", ("GITHUB_TOKEN",)),
        ("github_actions", GithubEmulator, "owner/repo", ("GITHUB_TOKEN",)),
        ("jules", JulesEmulator, "owner/repo", ("JULES_API_KEY",)),
        ("openai_batch", OpenAIBatchEmulator, "owner/repo", ("OPENAI_API_KEY",)),
        ("anthropic_batch", AnthropicBatchEmulator, "owner/repo", ("ANTHROPIC_API_KEY",)),
        ("aws_lambda", LambdaEmulator, "agent:live", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    ],
)
def test_every_provider_lists_by_environment(
    tmp_path: Path, provider: str, emulator: Any, environment: str, secrets: tuple[str, ...]
) -> None:
    """A provider without a list of environments uses the name as it is."""
    service = emulator()
    environ = {**dict.fromkeys(secrets, getattr(service, "token", "made-up")), "AWS_REGION": "us-east-1"}
    done = Cli(tmp_path, service, **environ)("list", "--provider", provider, "--environment", environment, "--json")

    assert (0, []) == (done.code, done.json["tasks"])


MESSAGE = "# Summary\n\nI added dark mode."


@pytest.mark.parametrize(
    ("once", "attempt"),
    [
        (
            "agent_exit_3: boom",
            AttemptScript(timeline=["failed"], error=CloudFailure(code="agent_exit_3", message="boom")),
        ),
        ("no diff", script(None)),
        ("+1/-0 • 1 file", script(DIFF)),
        (
            "I added dark mode.",
            AttemptScript(
                timeline=["completed"],
                result=CloudResult(messages=(MESSAGE,), diff=DIFF, title="Dark mode", body=f"{MESSAGE}\n"),
            ),
        ),
    ],
    ids=["error", "no diff", "size", "pull request text"],
)
@pytest.mark.parametrize("command", ["show", "wait"])
def test_nothing_is_printed_twice(tmp_path: Path, command: str, once: str, attempt: AttemptScript) -> None:
    """An error, the size of a change and a message that is the pull request's text are printed once."""
    cli = Cli(tmp_path, ScriptedCloud(attempts=[attempt]))

    assert 1 == cli(command, cli.submit()).out.count(once)


def test_show_prints_the_size_of_a_chosen_attempt(tmp_path: Path) -> None:
    """The size of an attempt that differs from the task's is printed above its files."""
    cli, ref = ended(tmp_path, DIFF, EVERY_STATUS)
    lines = cli("show", "--attempt", "2", ref).out.splitlines()

    assert "  +2/-1 • 5 files" == lines[lines.index("Changes") + 1]


@pytest.mark.parametrize("command", ["show", "status", "wait"])
def test_the_time_that_a_task_took_is_printed(tmp_path: Path, command: str) -> None:
    """Every command that describes an ended task prints how long it took."""
    clock = FakeClock()
    cli = Cli(tmp_path, ScriptedCloud([(0.0, "in_progress"), (252.0, "completed")], clock=clock))
    cli.clock = clock
    ref = cli.submit()
    clock.sleep(252)

    assert "took 4m 12s" in cli(command, ref).out
