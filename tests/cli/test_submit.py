from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.checkouts import git
from tests.cli.cli_support import Cli

from coatcheck._protocol.intents import Intent, digest
from coatcheck._store.journal import SubmissionJournal
from coatcheck.cloud.faults import ResetAfterAccept
from coatcheck.cloud.models import CloudEnvironment, TaskOrder
from coatcheck.cloud.scripted_cloud import ScriptedCloud

DIFF = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout on the branch ``topic``, without remotes."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "topic")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def sent(cli: Cli) -> dict:
    """Return the body of the one submission."""
    (request,) = cli.cloud.seen("create_task")
    return msgspec.json.decode(request.body)


def branch(cli: Cli) -> str:
    """Return the branch of the submission."""
    return sent(cli)["new_task"]["branch"]


def test_the_ref_is_printed_with_the_next_command(cli: Cli) -> None:
    """Stdout is the ref alone; stderr has its page and the command that waits."""
    done = cli("submit", "--environment", "owner/repo", "--branch", "main", "--attempts", "3", "Add dark mode")
    ref = done.out.rstrip("\n")

    assert (0, f"codex:{cli.cloud.tasks[0].id}") == (done.code, ref)
    assert f"Step 1/2: submitted {ref}  https://chatgpt.com/codex/tasks/{cli.cloud.tasks[0].id}" in done.err
    assert f"Step 2/2: get the result with: coatcheck wait {ref}" in done.err


def test_json_is_the_task(cli: Cli) -> None:
    """With --json the task is an object, and stderr is empty."""
    done = cli(
        "submit", "--environment", "owner/repo", "--branch", "main", "--attempts", "3", "--json", "Add dark mode"
    )

    assert ("", "queued", 3) == (done.err, done.json["state"], done.json["attempt_total"])
    assert {"ref", "url", "raw_state", "title", "error", "attempts"} <= done.json.keys()


def test_options_are_sent(cli: Cli) -> None:
    """Every option reaches the service."""
    cli.submit("--branch", "main", "--attempts", "2", "--ask", "--model", "gpt-6-sol")
    body = sent(cli)

    assert ("main", True, 2, "gpt-6-sol") == (
        body["new_task"]["branch"],
        body["new_task"]["run_environment_in_qa_mode"],
        body["metadata"]["best_of_n"],
        body["metadata"]["model_slug"],
    )


@pytest.mark.parametrize("arguments", [["-"], []], ids=["dash", "missing"])
def test_the_prompt_comes_from_standard_input(cli: Cli, arguments: list[str]) -> None:
    """A prompt may be a file or another program's output."""
    cli("submit", "-e", "owner/repo", *arguments, stdin="Füge hinzu\n".encode())

    assert "Füge hinzu\n" == cli.cloud.tasks[0].last.prompt


def test_a_terminal_shows_how_to_end_the_prompt(cli: Cli) -> None:
    """Without a prompt on a terminal a line explains how to end the input."""
    cli.is_asking = True

    assert "Type the prompt, then end it with Ctrl-D." in cli("submit", "-e", "owner/repo", stdin=b"x").err


def test_a_prompt_is_text(cli: Cli) -> None:
    """Bytes that are not UTF-8 are refused before any request."""
    done = cli("submit", "-e", "owner/repo", "-", stdin=b"\xff")

    assert (2, "the prompt on standard input is not UTF-8 text") == (done.code, done.line)


def test_the_starting_diff_is_a_file(cli: Cli, tmp_path: Path) -> None:
    """--starting-diff sends the bytes of a diff."""
    (tmp_path / "x.patch").write_bytes(DIFF)
    cli.submit("--starting-diff", str(tmp_path / "x.patch"))

    assert DIFF.decode() == sent(cli)["input_items"][1]["output_diff"]["diff"]


def test_the_starting_diff_may_be_in_the_environment(tmp_path: Path) -> None:
    """CODEX_STARTING_DIFF is the starting diff, as for the official client."""
    cli = Cli(tmp_path, CODEX_STARTING_DIFF=DIFF.decode())
    cli.submit()

    assert DIFF.decode() == sent(cli)["input_items"][1]["output_diff"]["diff"]


def test_a_text_without_a_diff_is_refused(cli: Cli) -> None:
    """A starting diff that is none never reaches the service."""
    done = cli("submit", "-e", "owner/repo", "--starting-diff", "-", "x", stdin=b"not a diff\n")

    assert 9 == done.code
    assert () == cli.cloud.tasks


def test_the_checkouts_branch_is_sent(checkout: Path) -> None:
    """Without --branch the task starts from the current branch, as with the official client."""
    cli = Cli(checkout)
    cli.submit()

    assert "topic" == branch(cli)


def test_a_detached_head_leaves_it_to_the_environment(checkout: Path) -> None:
    """Where no branch is checked out, the environment's default is taken, else main."""
    git(checkout, "checkout", "-q", "--detach")
    cli = Cli(checkout)
    cli.submit()

    assert "main" == branch(cli)


def test_the_branch_of_another_repository_is_not_sent(checkout: Path) -> None:
    """With --repo, the branch of a checkout of something else is not sent."""
    git(checkout, "remote", "add", "origin", "https://github.com/other/thing.git")
    cli = Cli(checkout)
    done = cli("submit", "--repo", "owner/repo", "x")

    assert (0, "main") == (done.code, branch(cli))


def test_the_remote_names_the_repository(checkout: Path) -> None:
    """Without --environment the remote of the checkout names the repository, also from a folder inside."""
    git(checkout, "remote", "add", "origin", "ssh://git@github.com/owner/repo.git")
    (checkout / "inside").mkdir()
    cli = Cli(checkout / "inside")

    assert 0 == cli("submit", "x").code
    assert ("e0000000000000000000000000000001", "topic") == (sent(cli)["new_task"]["environment_id"], branch(cli))


def test_the_only_environment_of_several_remotes_is_chosen(checkout: Path) -> None:
    """A fork and its origin: if only one of them has an environment, that is it."""
    git(checkout, "remote", "add", "origin", "git@github.com:me/fork.git")
    git(checkout, "remote", "add", "upstream", "https://github.com/owner/repo")
    cli = Cli(checkout)

    assert 0 == cli("submit", "x").code
    assert "e0000000000000000000000000000001" == sent(cli)["new_task"]["environment_id"]


def test_several_environments_are_an_error(checkout: Path) -> None:
    """Two remotes with environments are an error that lists both."""
    git(checkout, "remote", "add", "origin", "git@github.com:me/fork.git")
    git(checkout, "remote", "add", "upstream", "https://github.com/owner/repo")
    both = [
        CloudEnvironment(id=f"e{i}", label=name, repository=name) for i, name in enumerate(("me/fork", "owner/repo"))
    ]
    cli = Cli(checkout, ScriptedCloud(environments=both))
    done = cli("submit", "x")

    assert 2 == done.code
    assert "name 2 repositories (me/fork, owner/repo)" in done.line
    assert "environments: me/fork (e0), owner/repo (e1)" in done.line


@pytest.mark.parametrize(
    ("expected", "folder"),
    [("this folder is not in a git checkout", "."), ("no remote of this checkout is a repository", "checkout")],
)
def test_no_target_lists_the_environments(checkout: Path, expected: str, folder: str) -> None:
    """Without a target the error lists the environments."""
    done = Cli(checkout.parent / folder)("submit", "x")

    assert 2 == done.code
    assert expected in done.line
    assert "pass --environment or --repo; environments: owner/repo (e0000000000000000000000000000001)" in done.line


def test_the_project_file_names_the_environment(checkout: Path) -> None:
    """coatcheck.toml at the top of the checkout sets environment, branch and attempts."""
    (checkout / "coatcheck.toml").write_text('environment = "owner/repo"\nbranch = "release"\nattempts = 2\n')
    (checkout / "inside").mkdir()
    cli = Cli(checkout / "inside")

    assert 0 == cli("submit", "x").code
    assert ("release", 2) == (branch(cli), sent(cli)["metadata"]["best_of_n"])


def test_the_project_file_sets_nothing_dangerous(checkout: Path) -> None:
    """A project's file cannot set the address to which a login is sent."""
    (checkout / "coatcheck.toml").write_text('[codex]\nbase_url = "https://evil.example"\n')
    done = Cli(checkout)("submit", "-e", "owner/repo", "x")

    assert 2 == done.code
    assert "sets 'codex.base_url', which a project file may not" in done.line


def test_a_lost_answer_is_found_again(tmp_path: Path) -> None:
    """A connection that breaks after the task was created leaves one task, whose ref is printed."""
    cloud = ScriptedCloud(faults=[ResetAfterAccept(on="create_task")])
    cli = Cli(tmp_path, cloud)

    assert f"codex:{cloud.tasks[0].id if cloud.tasks else 'task_e_' + '1'.zfill(32)}" == cli.submit()
    assert 1 == len(cloud.tasks)


def test_resume_reports_a_submission(cli: Cli) -> None:
    """A crash after the POST left an intent: --resume finds its task."""
    ref = cli.submit()
    journal = SubmissionJournal.at(f"{cli.environ['HOME']}/.local/state/coatcheck")
    crashed = Intent(
        id="crashed",
        provider="codex",
        digest=digest("Another task", "e0000000000000000000000000000001", "main"),
        at=cli.clock.time(),
        summary="Another task",
        pid=99_999_999,  # nobody has it (Linux: pid_max is at most 2**22)
    )
    cli.cloud.add_task(
        TaskOrder(prompt="Another task", environment_id="e0000000000000000000000000000001", branch="main")
    )
    journal.begin(crashed)
    done = cli("submit", "--resume", "--json")

    assert ["found"] == [each["verdict"] for each in done.json["submissions"]]
    assert ref != done.json["submissions"][0]["task"]["ref"]
    assert "No submission is open.\n" == cli("submit", "--resume").out
