from __future__ import annotations

import ast
import io
import os
import re
from pathlib import Path

import click
import pytest
from tests import checkouts
from tests.cli.cli_support import Cli

import coatcheck
from coatcheck import errors
from coatcheck._cli import app
from coatcheck._cli.command_group import CommandGroup, all_commands
from coatcheck._cli.completion_types import KINDS_OF_COMMANDS
from coatcheck._cli.console import Console
from coatcheck._cli.json_output import DOCUMENTS
from coatcheck._cli.json_selection import CLASSES, LISTS_OF_COMMANDS, NAMES as FIELDS, options_with_value
from coatcheck._cli.process_env import ProcessEnv
from coatcheck._protocol.effects import Request, Response


class Broken:
    """A service whose client raises an error that is not expected."""

    def handle(self, request: Request) -> Response:
        raise ZeroDivisionError("made up")


ROOT = click.Context(app.app)
NAMES = [each.name or "" for each in all_commands(app.app, ROOT)]
GROUPS = [name for name in app.COMMANDS if isinstance(app.app.get_command(ROOT, name), CommandGroup)]


def test_every_command_has_help_and_examples(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command, those of groups included, has a sentence of help, examples that call it, and ``--json``."""
    wrong = []
    for name in NAMES:
        code = cli(*name.split(), "-h").code
        text, _, examples = capsys.readouterr().out.partition("Examples:")
        calls = (f"coatcheck {name}", f"coatcheck {name.partition(' ')[0]}\n")
        if code or "--json" not in text or not any(call in f"{examples}\n" for call in calls):
            wrong.append(name)

    assert [] == wrong


def test_every_command_has_a_document() -> None:
    """The JSON of each command is described, and nothing else is: documents, classes, fields and values to complete."""
    described = [*CLASSES, *FIELDS, *LISTS_OF_COMMANDS, *(command for command, _ in KINDS_OF_COMMANDS)]

    assert (set(NAMES), set()) == ({*DOCUMENTS}, {*described} - {*NAMES})


def test_the_help_of_a_group_lists_its_commands(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of a group is in its help with an example, and without the options of the commands."""
    wrong = []
    for group in GROUPS:
        cli(group, "--help")
        text, _, examples = capsys.readouterr().out.partition("Examples:")
        names = [name for name in NAMES if name.startswith(f"{group} ")]
        listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line[2:3].strip()]
        if (
            [name.split()[1] for name in names] != listed
            or "--json" in text
            or len(names) > examples.count("coatcheck ")
        ):
            wrong.append(group)

    assert ([], True) == (wrong, len(GROUPS) > 5)


def test_a_group_prints_its_help(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """A group without a default prints its help where no command is named."""
    cli("workflow", "--help")
    expected = capsys.readouterr().out
    cli("workflow")

    assert (expected, expected) == (capsys.readouterr().out, cli("help", "workflow").out)


def test_an_option_takes_a_value_in_all_commands_of_a_group() -> None:
    """Options may precede the command of a group, so that an option must not take a value in one of them alone."""
    wrong = []
    for group in GROUPS:
        commands = [each for each in all_commands(app.app, ROOT) if (each.name or "").startswith(f"{group} ")]
        valued = {option for each in commands for option in options_with_value(each)}
        options = {(name, name in options_with_value(each)) for each in commands for param in each.params
                   for name in param.opts if name in valued}  # fmt: skip
        wrong += [name for name, is_valued in options if not is_valued and name.startswith("-")]

    assert [] == wrong


def test_remedies_name_options_that_exist() -> None:
    """An option that a remedy names is one of some command; those of other programs follow their names."""
    params = [param for each in all_commands(app.app, ROOT) for param in each.params]
    known = {"--help", *(option for param in params for option in (*param.opts, *param.secondary_opts))}
    wrong = []
    for path in sorted(Path(coatcheck.__file__).parent.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "remedy=" in text and "--" in text else ():
            if isinstance(node, ast.keyword) and node.arg == "remedy":
                texts = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
                named = re.findall(r"(?<![\w-])--[a-z][a-z-]+", "".join(map(str, texts)))
                wrong += [(path.name, node.value.lineno, option) for option in named if option not in known]

    assert [] == wrong


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ("config --json set attempts 2", "config set attempts 2 --json"),
        ("config --project --json unset attempts", "config unset --project --json attempts"),
        ("history --json --limit 2", "history list --json --limit 2"),
        ("history --limit=2 --search x list --json", "history list --limit 2 --search x --json"),
        ("history --search list --json", "history list --search list --json"),
        ("history --json ref,title", "history list --json ref,title"),
        ("history --json ref --limit 3 list", "history list --limit 3 --json ref"),
        ("history --json list", "history list --json"),
        ("hooks -q --json", "hooks list --json -q"),
        ("history --json ref -- x", "history list --json ref x"),
        ("providers --json new", "providers new --json"),
    ],
)
def test_options_may_precede_the_command_of_a_group(cli: Cli, arguments: str, others: str) -> None:
    """The order of options and the command of a group changes nothing, and the default may be left out."""
    checkouts.mark(cli.folder)
    first, second = cli(*arguments.split()), cli(*others.split())

    assert (first.code, first.out, first.err) == (second.code, second.out, second.err)


def test_help_names_every_command(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists every command once, in the order of `COMMANDS`, under the titles of the groups."""
    cli("--help")
    listed = capsys.readouterr().out.partition("Options:")[2].partition("One task:")[2].split("\n")
    rows = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " " and "COMMAND:" not in line]

    assert [*app.COMMANDS] == [name for name in rows if name in app.COMMANDS]


def test_help_has_whole_sentences(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """No summary in the help is cut."""
    cli("--help")

    assert "..." not in capsys.readouterr().out.partition("One task:")[2]


@pytest.mark.parametrize("arguments", [(), ("-h",), ("help",)])
def test_help_is_the_same_by_every_way(
    cli: Cli, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """No argument, --help and `help` print the same text."""
    cli("--help")
    expected = capsys.readouterr().out
    done = cli(*arguments)

    assert expected == done.out + capsys.readouterr().out


@pytest.mark.parametrize("name", ["submit", "config", "open", "history export"])
def test_help_of_a_command(cli: Cli, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help COMMAND` prints what `COMMAND --help` does."""
    cli(*name.split(), "--help")
    expected = capsys.readouterr().out
    document = cli("help", *name.split(), "--json").json

    assert (expected, name, expected) == (cli("help", *name.split()).out, document["command"], document["help"] + "\n")


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("there is no command 'sbmit'; did you mean submit?", "sbmit"),
        ("coatcheck history has no command 'exprot'; did you mean export?", "history exprot"),
        ("coatcheck list has no commands; run: coatcheck help list", "list x"),
        ("coatcheck history export has no commands; run: coatcheck help history export", "history export x"),
    ],
)
def test_help_of_an_unknown_command(cli: Cli, expected: str, name: str) -> None:
    """`help` of a misspelled command suggests the right one."""
    done = cli("help", *name.split())

    assert (2, expected) == (done.code, done.line)


def test_version_is_a_command(cli: Cli) -> None:
    """`version` prints the version, with --json as a field."""
    assert f"coatcheck {coatcheck.__version__}\n" == cli("version").out
    assert coatcheck.__version__ == cli("version", "--json").json["version"]


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("there is no command 'lsit'; did you mean list", ["lsit"]),
        ("there is no command 'xyzzy'; see: coatcheck --help", ["xyzzy"]),
        ("coatcheck list has no option --lmit; did you mean --limit?", ["list", "--lmit", "3"]),
        ("coatcheck list has no option --xyzzy; see: coatcheck list --help", ["list", "--xyzzy"]),
        ("--provider is an option of a command; write it after the command", ["--provider", "local", "list"]),
        ("coatcheck has no option --xyzzy; see: coatcheck --help", ["--xyzzy"]),
        ("--limit needs a whole number of at least 1, not 0", ["list", "--limit", "0"]),
        ("--limit needs a whole number of at least 1, not 'x'", ["list", "--limit", "x"]),
        ("--attempt needs a whole number from 1 to 3, not 9", ["demo", "--attempt", "9"]),
        ("--attempts needs a whole number, not 'two'", ["submit", "--attempts", "two", "x"]),
        (
            "--filter is 'archivd'; use one of: current, archived, all (did you mean archived?)",
            ["list", "--filter", "archivd"],
        ),
        ("coatcheck status needs REF: a task; coatcheck list shows the latest ones", ["status"]),
        ("coatcheck workflow has no command 'ini'; did you mean init?", ["workflow", "ini"]),
        ("coatcheck workflow has no option --xyzzy; see: coatcheck workflow --help", ["workflow", "--xyzzy"]),
        (
            "--agent is an option of a command; write it after the command: coatcheck workflow COMMAND --agent",
            ["workflow", "--agent", "x"],
        ),
        ("coatcheck history has no command 'lst'; did you mean list?", ["history", "--limit", "3", "lst"]),
        ("coatcheck history list has no option --lmit; did you mean --limit?", ["history", "--lmit", "3"]),
        ("coatcheck serve needs --environment OWNER/REPO=PATH", ["serve", "--agent", "x"]),
        ("coatcheck list does not expect 'a b'", ["list", "a", "b"]),
        ("--environment is empty; give it a value, or leave the option out", ["submit", "--environment", "", "x"]),
        ("--repo is empty", ["environments", "--repo", ""]),
        ("--provider is empty", ["list", "--provider", ""]),
        ("--include is empty", ["apply", "--include", "a", "--include", "", "x"]),
        ("--resume submits nothing and takes no prompt", ["submit", "--resume", "x"]),
        ("--interval: '0' is not a duration", ["wait", "x", "--interval", "0"]),
        ("anthropic_batch does not support `usage`", ["usage", "--provider", "anthropic_batch"]),
        ("codex does not support --title; leave it out", ["submit", "-e", "x", "--title", "t", "x"]),
        ("there is no command ''", [""]),
        ("--jq needs a value; for examples see: coatcheck list --help", ["list", "--jq"]),
        ("--limit needs a value; for examples see: coatcheck list --help", ["list", "--limit"]),
    ],
)
def test_bad_usage_is_one_line(cli: Cli, expected: str, arguments: list[str]) -> None:
    """An error of usage is one line that names the argument and the remedy, and no request is sent."""
    done = cli(*arguments)

    assert done.code == 2
    assert expected in done.line
    assert [] == cli.cloud.requests


def test_bad_usage_is_an_object_with_json(cli: Cli) -> None:
    """With --json an error of usage is a JSON document."""
    done = cli("list", "--lmit", "3", "--json")

    assert (2, "usage") == (done.code, done.error["code"])


def test_json_after_a_double_dash_is_an_argument(cli: Cli) -> None:
    """``--`` ends options: a prompt may be ``--json``."""
    cli("submit", "-e", "owner/repo", "--", "--json")

    assert ["--json"] == [task.rounds[0].prompt for task in cli.cloud.tasks]


@pytest.mark.parametrize("arguments", [["--search", "--json"], ["--json", "--search", "--json"]])
def test_json_as_the_value_of_an_option_is_a_value(cli: Cli, arguments: list[str]) -> None:
    """An option takes the next word as its value, also ``--json``."""
    ref = cli.submit(prompt="Support --json")
    cli.submit(prompt="Something else")
    done = cli("list", *arguments)

    assert (True, 1) == (ref in done.out, done.out.count("codex:task_e_"))


def test_an_unexpected_error_is_a_bug(tmp_path: Path) -> None:
    """An unexpected error is reported as a bug in one line, with the variable that shows the traceback."""
    done = Cli(tmp_path, Broken())("list")

    assert done.code == 70
    assert "this is a bug in coatcheck: ZeroDivisionError: made up; COATCHECK_DEBUG=1 shows where" == done.line


def test_a_bug_has_a_traceback_on_request(tmp_path: Path) -> None:
    """With COATCHECK_DEBUG the error is raised with its traceback."""
    with pytest.raises(ZeroDivisionError):
        Cli(tmp_path, Broken(), COATCHECK_DEBUG="1")("list")


def test_a_closed_pipe_is_not_reported(tmp_path: Path) -> None:
    """``coatcheck … | head`` ends in silence with the shells' exit code for SIGPIPE."""

    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    kept = os.dup(1)
    try:
        console = Console(Closed(), io.BytesIO(), environ={})
        code = app.run(
            ["config"],
            ProcessEnv(environ={"HOME": str(tmp_path)}, folder=str(tmp_path), stdin=io.BytesIO(), console=console),
        )
    finally:
        os.dup2(kept, 1)
        os.close(kept)

    assert 141 == code


def test_messages_are_one_line() -> None:
    """A message of several lines is printed as one line."""
    error = errors.NotFoundError("no\nsuch\r\n\ttask", status=404, remedy="look again")

    assert "no such task; look again" == app.one_line(error, app.exit_code_of(error))
