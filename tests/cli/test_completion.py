from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli, completed

from coatcheck import errors
from coatcheck._cli.completion import SCRIPTS, split_line
from coatcheck._cli.completion_values import DeadlineTransport
from coatcheck._protocol.effects import Request, Response
from coatcheck.testing.fake_clock import FakeClock


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        (["status"], "coatcheck sta"),
        (["--state"], "coatcheck list --sta"),
        (["succeeded"], "coatcheck list --state su"),
        (["succeeded"], "coatcheck list --state=su"),
        (["jules"], "coatcheck list --provider ju"),
        (["jules"], "coatcheck list --provider=ju"),
        (["secret"], "coatcheck apply x --reject sec"),
        (["title"], "coatcheck list --json ti"),
        (["ref,title"], "coatcheck list --json ref,ti"),
        (["bash", "zsh", "fish"], "coatcheck completion "),
        (["file"], "coatcheck submit --starting-diff x"),
        (["file"], "coatcheck submit --batch "),
        (["file"], "coatcheck message x --message-file "),
        (["dir"], "coatcheck serve --data "),
        (["file"], "coatcheck apply ./a"),
        (["file"], "coatcheck diff /tmp/a"),
        (["file"], "coatcheck attempts one.patch some/"),
        (["timeout"], "coatcheck config get tim"),
        (["attempts"], "coatcheck config set att"),
        (["jules"], "coatcheck config set provider ju"),
        (["submit"], "coatcheck help sub"),
        (["export"], "coatcheck help history ex"),
        ([], "coatcheck help history export "),
        ([], "coatcheck help nope "),
        (["list", "show", "export", "import", "forget", "prune"], "coatcheck history "),
        (["export"], "coatcheck history ex"),
        (["--since"], "coatcheck history --si"),
        (["--since"], "coatcheck history list --si"),
        ([], "coatcheck history show --si"),
        (["--before"], "coatcheck history prune --b"),
        (["is_current"], "coatcheck history --json is_cu"),
        (["is_current"], "coatcheck history show --json is_cu"),
        ([], "coatcheck history prune --json is_cu"),
        (["github"], "coatcheck hooks secret git"),
        (["github"], "coatcheck hooks log git"),
        ([], "coatcheck hooks remove "),
        (["init"], "coatcheck workflow "),
        (["--file", "--force"], "coatcheck workflow init --f"),
        (["jules"], "coatcheck history --provider ju"),
        (["failed"], "coatcheck history --state fa"),
        (["file"], "coatcheck history import ./tasks"),
        (["jules"], "coatcheck providers show ju"),
        (["codex", "codex_app_server"], "coatcheck login code"),
        (["codex", "codex_app_server"], "coatcheck auth status code"),
        (["approved"], "coatcheck gates --state app"),
        ([], "coatcheck status 'an unfinished"),
    ],
)
def test_values_are_completed(cli: Cli, expected: list[str], line: str) -> None:
    """Commands, options and their values are completed, after a blank and after an equals sign."""
    assert expected == completed(cli, line)


def test_reviews_are_completed(cli: Cli) -> None:
    """The names of reviews are completed beside refs, and services where a command takes several."""
    cli("submit", "--on", "codex", "-e", "owner/repo", "Add dark mode")

    assert (["add-dark-mode", "file"], ["jules"], ["openai_batch"]) == (
        completed(cli, "coatcheck review add"),
        completed(cli, "coatcheck run --on ju"),
        completed(cli, "coatcheck submit --on codex --on openai_b"),
    )


def test_gates_are_completed(cli: Cli) -> None:
    """Open gates are completed where a command takes one, and their events where it takes a subject."""
    gate = cli("submit", "--gate", "-e", "owner/repo", "x").out.strip()
    lines = ("approve gate:", "reject ", "gates gate:", "events gate:", "approve codex:1 gate:")

    assert [[gate]] * 5 == [completed(cli, f"coatcheck {line}") for line in lines]


def test_refs_are_completed_from_this_machine(cli: Cli) -> None:
    """Tasks that were submitted from here are completed with their prompts, and no request is sent."""
    one, other = cli.submit(prompt="first"), cli.submit(prompt="second")
    before = len(cli.cloud.requests)

    assert ([other, one], ["@last", "@2"], [one.partition(":")[2]], before) == (
        completed(cli, "coatcheck status codex:"),
        completed(cli, "coatcheck status @"),
        completed(cli, f"coatcheck status {one.partition(':')[2]}"),
        len(cli.cloud.requests),
    )


@pytest.mark.parametrize("command", ["apply", "diff", "attempts"])
def test_refs_and_files_are_completed(cli: Cli, command: str) -> None:
    """A command that takes a task or a patch file completes both; what begins with @ is a task."""
    ref = cli.submit()

    assert ([ref, "file"], ["@last"]) == (
        completed(cli, f"coatcheck {command} "),
        completed(cli, f"coatcheck {command} @"),
    )


def test_a_service_is_asked_where_nothing_is_known(cli: Cli, tmp_path: Path) -> None:
    """Environments come from the service where none was used from here, by GET requests alone."""
    values = completed(cli, "coatcheck submit -e ")

    assert (["owner/repo"], {"GET"}) == (values, {request.method for request in cli.cloud.requests})


def test_branches_and_models_are_completed(cli: Cli) -> None:
    """Branches come from git, models from the provider's list; no request is sent."""
    for arguments in (["init", "-q", "-b", "main"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q",
                      "--allow-empty", "-m", "x"], ["branch", "topic/one"]):  # fmt: skip
        subprocess.run(["git", *arguments], cwd=cli.folder, check=True)

    assert (["main", "topic/one"], []) == (sorted(completed(cli, "coatcheck submit --branch ")), cli.cloud.requests)


def test_no_control_character_reaches_the_shell(cli: Cli) -> None:
    """A prompt with control characters is escaped in the description of its task."""
    cli.submit(prompt="a\x1b[31m\tb\nc")
    cli.environ |= {"_COATCHECK_COMPLETE": "bash", "_COATCHECK_LINE": "coatcheck status codex:"}

    assert [3, False] == [cli().out.count("\t") + 1, "\x1b" in cli().out]


class Recorder:
    """A transport that records the time limits of requests, each of which takes 0.2 seconds."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.limits = clock, list[float | None]()

    def send(self, request: Request) -> Response:
        self.limits.append(request.timeout and round(request.timeout, 3))
        self.clock.sleep(0.2)
        return Response(200)

    def close(self) -> None:
        """Do nothing."""


def test_a_completion_has_one_deadline() -> None:
    """All requests of a completion share 300 ms; after them none is sent."""
    clock = FakeClock()
    inner = Recorder(clock)
    transport = DeadlineTransport(inner, 0.3, monotonic=clock.monotonic)
    request = Request("GET", "/x")
    transport.send(request)
    transport.send(request)
    with pytest.raises(errors.TransportTimeoutError):
        transport.send(request)

    assert [0.3, 0.1] == inner.limits


def test_a_completion_refreshes_no_login() -> None:
    """A request that could change something, such as a refresh, is refused before it is sent."""
    inner = Recorder(FakeClock())
    with pytest.raises(errors.TransportTimeoutError) as caught:
        DeadlineTransport(inner, 0.3).send(Request("POST", "/oauth/token"))

    assert (False, []) == (caught.value.request_sent, inner.limits)


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ((["status"], "codex:a"), "coatcheck status codex:a"),
        ((["status"], ""), "coatcheck status "),
        (([], "sta"), "coatcheck sta"),
        ((["run"], "two words"), "coatcheck run 'two words"),
        ((["run", "a b"], "c"), 'coatcheck run "a b" c'),
        (([], ""), "coatcheck"),
    ],
)
def test_a_line_is_split_as_a_shell_does(expected: tuple[list[str], str], line: str) -> None:
    """Quotes group words, and the last word is the one to complete."""
    assert expected == split_line(line)


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_the_script_is_valid(shell: str) -> None:
    """Each shell parses the script that `completion` prints."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n"], input=SCRIPTS[shell], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


BASH = """
coatcheck() { "$PYTHON" -P -c 'from coatcheck._cli.main import main; main()' "$@"; }
eval "$(coatcheck completion bash)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_CWORD=$2; shift 2; COMP_WORDS=("$@")
_coatcheck coatcheck
printf '%s\\n' "${COMPREPLY[@]}"
"""
# The program in a shell where no `coatcheck` is installed.
RUN = "from coatcheck._cli.main import main; main()"


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("status", ["coatcheck", "sta"]),
        ("jules", ["coatcheck", "list", "--provider", "=", "ju"]),
        ("task_e_1", ["coatcheck", "status", "codex", ":", "ta"]),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_replaces_the_part_that_it_has_split(home: Path, expected: str, words: list[str]) -> None:
    """Bash splits words at colons and equals signs; what the script returns replaces the last part."""
    from coatcheck._model.tasks import TaskRef
    from coatcheck._protocol.intents import Intent
    from coatcheck._runtime.config import state_dir
    from coatcheck._store.journal import SubmissionJournal

    journal = SubmissionJournal.at(state_dir(os.environ))
    intent = Intent(id="1", provider="codex", digest="", at=1.0, summary="first")
    journal.begin(intent)
    journal.settle(intent, TaskRef("codex", "task_e_1"))
    line = " ".join(words).replace(" = ", "=").replace(" : ", ":")
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", line, str(len(words) - 1), *words],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (expected, "") == (done.stdout.strip(), done.stderr)


@pytest.mark.parametrize("words", [["apply", "./wi"], ["submit", "--prompt-file", "=", "./wi"]], ids=" ".join)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_file_whose_name_has_a_blank(home: Path, tmp_path: Path, words: list[str]) -> None:
    """A file is one value, whatever its name contains."""
    (tmp_path / "with two  blanks.patch").touch()
    line = " ".join(["coatcheck", *words]).replace(" = ", "=")
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", line, str(len(words)), "coatcheck", *words],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("./with two  blanks.patch\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("status", "coatcheck sta"),
        ("--state=failed", "coatcheck list --state=fa"),
        ("./with blank.patch", "coatcheck apply ./wi"),
        ("--prompt-file=./with blank.patch", "coatcheck submit --prompt-file=./wi"),
        ("--data=folder/", "coatcheck serve --data=fo"),
    ],
)
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_values(home: Path, tmp_path: Path, expected: str, line: str) -> None:
    """The shell fish completes values, files and folders, after an equals sign too."""
    (tmp_path / "with blank.patch").touch()
    (tmp_path / "folder").mkdir()
    program = tmp_path / "coatcheck"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -P -c '{RUN}' \"$@\"\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", _script(tmp_path, "fish"), line],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ([expected], "") == ([each.split("\t")[0] for each in done.stdout.splitlines()], done.stderr)


def _script(folder: Path, shell: str) -> str:
    path = folder / f"completion.{shell}"
    path.write_text(SCRIPTS[shell])
    return str(path)
