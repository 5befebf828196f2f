from __future__ import annotations

import json

import msgspec
import pytest
from tests.cli.cli_support import Cli, Result

from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept, Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud

OPTIONS = ("--environment", "owner/repo", "--branch", "main")


def batch(cli: Cli, *lines: object, arguments: tuple[str, ...] = ()) -> Result:
    """Submit *lines*: bytes as they are, anything else as JSON."""
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (cli.folder / "tasks.jsonl").write_bytes(data)
    return cli("submit", "--batch", "tasks.jsonl", *OPTIONS, *arguments)


def bodies(cli: Cli) -> list[dict]:
    """Return the bodies of the submissions."""
    return [msgspec.json.decode(request.body) for request in cli.cloud.seen("create_task")]


def prompts(cli: Cli) -> list[str | None]:
    """Return the prompts that the service received, the first one first."""
    return [body["input_items"][0]["content"][0]["text"] for body in bodies(cli)]


def test_a_ref_for_each_line(cli: Cli) -> None:
    """Each line is submitted once, and its ref is printed in the order of the lines."""
    done = batch(cli, "one", {"prompt": "two"}, b"", "three")

    assert (0, "") == (done.code, done.err)
    assert ["one", "two", "three"] == prompts(cli)
    assert 3 == len(set(done.out.split()))


def test_fields_of_a_line_override_the_options(cli: Cli) -> None:
    """A field of a line replaces the option; the other lines have the option."""
    batch(cli, {"prompt": "a", "branch": "next", "attempts": 2, "mode": "ask"}, "b", arguments=("--attempts", "3"))
    sent = [(body["new_task"]["branch"], body["metadata"]["best_of_n"]) for body in bodies(cli)]

    assert [("next", 2), ("main", 3)] == sent
    assert [True, False] == [body["new_task"]["run_environment_in_qa_mode"] for body in bodies(cli)]


def test_a_starting_diff_of_a_line(cli: Cli) -> None:
    """The starting diff of a line is sent."""
    diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"
    batch(cli, {"prompt": "a", "starting_diff": diff})

    assert diff == bodies(cli)[0]["input_items"][1]["output_diff"]["diff"]


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("a task has no field 'promt'; did you mean prompt?", {"promt": "x"}),
        ("a task has no field 'zzz'; use: prompt, environment", {"prompt": "x", "zzz": 1}),
        ("not a task: object missing required field `prompt`", {"branch": "x"}),
        ("not a task: expected `int | null`, got `str` - at `$.attempts`", {"prompt": "x", "attempts": "2"}),
        ("not a task: JSON is malformed", b"{prompt}"),
        ("not a task: expected `object`, got `int`", 3),
        ("not a task", b"[" * 100_000),
        ("not a task", b'"\xff"'),
        ("the prompt is blank", ""),
        ("9 attempts are out of range", {"prompt": "x", "attempts": 9}),
        ("codex does not support --title", {"prompt": "x", "title": "t"}),
        ("the starting diff cannot be read: line 1: there is no diff", {"prompt": "x", "starting_diff": "nonsense"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_failed_line_does_not_stop_the_next(cli: Cli, expected: str, line: object) -> None:
    """A line that cannot be submitted is named with the reason, and the other lines are submitted."""
    done = batch(cli, "one", line, "three")

    assert (14, ["one", "three"]) == (done.code, prompts(cli))
    assert "coatcheck: tasks.jsonl, line 2: " in done.err
    assert expected in done.err
    assert done.err.endswith("submitted 2 of 3 lines; failed lines: 2\n")
    assert 2 == len(done.out.splitlines())


def test_json_is_a_document_for_each_line(cli: Cli) -> None:
    """With --json each line is one document: its number, and the task or the error."""
    done = batch(cli, "one", 3, "three", arguments=("--json",))
    documents = [json.loads(line) for line in done.out.splitlines()]

    assert (14, "") == (done.code, done.err)
    assert [(1, False), (2, True), (3, False)] == [(each["line"], "error" in each) for each in documents]
    assert all("ref" in each["task"] for each in documents if "task" in each)


@pytest.mark.parametrize("fault", [Status(400, on="create_task"), Reset(on="create_task", times=None)], ids=repr)
def test_a_refused_submission_is_one_line(cli: Cli, fault: Fault) -> None:
    """A line that the service refuses, or whose outcome is unknown, is reported, and sent once."""
    cli = Cli(cli.folder, ScriptedCloud(faults=[fault]))
    done = batch(cli, "one", "two")

    assert 14 == done.code
    assert "tasks.jsonl, line 1: " in done.err
    assert ["one", "two"] == prompts(cli)


def test_a_lost_answer_does_not_send_a_line_twice(cli: Cli) -> None:
    """A line whose answer was lost is found again in the list, and its ref is printed."""
    cli = Cli(cli.folder, ScriptedCloud(faults=[ResetAfterAccept(on="create_task")]))
    done = batch(cli, "one", "two")

    assert (0, 2, 2) == (done.code, len(cli.cloud.tasks), len(done.out.splitlines()))


def test_without_a_login_the_batch_stops(cli: Cli) -> None:
    """A login that the service does not accept stops the batch, and the lines that were not tried are named."""
    cli = Cli(cli.folder, ScriptedCloud(faults=[Status(401, times=None)]))
    done = batch(cli, "one", "two", "three")

    assert 5 == done.code
    assert "submitted 0 of 3 lines; failed lines: 1; lines from 2 on were not tried" in done.err


def test_a_batch_continues_at_a_line(cli: Cli) -> None:
    """--from-line leaves out the lines before it, and numbers stay those of the file."""
    done = batch(cli, "one", "two", 3, arguments=("--from-line", "2"))

    assert ["two"] == prompts(cli)
    assert "line 3: not a task" in done.err


def test_a_batch_from_standard_input(cli: Cli) -> None:
    """--batch - reads standard input."""
    done = cli("submit", "--batch", "-", *OPTIONS, stdin=b'"one"\r\n"two"\r\n')

    assert (0, ["one", "two"]) == (done.code, prompts(cli))


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("the batch nope cannot be read: No such file or directory", ["--batch", "nope"]),
        ("standard input has no line to submit", ["--batch", "-"]),
        ("--batch and PROMPT cannot be combined", ["--batch", "-", "x"]),
        ("--batch and --prompt-file cannot be combined", ["--batch", "-", "--prompt-file", "x"]),
        ("--batch and --resume cannot be combined", ["--batch", "-", "--resume"]),
        ("--from-line needs --batch", ["--from-line", "2", "x"]),
        ("--from-line needs a whole number of at least 1, not 0", ["--batch", "-", "--from-line", "0"]),
    ],
)
def test_a_batch_that_cannot_be_read(cli: Cli, expected: str, arguments: list[str]) -> None:
    """An unusable batch is one line, and no request is sent."""
    done = cli("submit", *arguments)

    assert (2, []) == (done.code, cli.cloud.requests)
    assert expected in done.line
