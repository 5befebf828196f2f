from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli, Result

from coatcheck import errors
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.faults import Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud


class InterruptedCloud(ScriptedCloud):
    """A cloud whose user presses Ctrl-C at the third poll."""

    polls = 0

    def handle(self, request: Request) -> Response:
        if request.method == "GET" and "/tasks/task_e_" in request.path:
            self.polls += 1
            if self.polls == 3:
                raise KeyboardInterrupt
        return super().handle(request)


class InterruptedList(ScriptedCloud):
    """A cloud whose tasks never end by themselves, and whose user presses Ctrl-C at the fifth list."""

    lists = 0

    def __init__(self) -> None:
        super().__init__(["pending"])

    def handle(self, request: Request) -> Response:
        self.lists += request.path.endswith("/tasks/list")
        if self.lists == 5:
            raise KeyboardInterrupt
        return super().handle(request)


def test_run_prints_the_result_of_a_prompt(cli: Cli) -> None:
    """One command from prompt to result: message, size, pull request text."""
    done = cli("run", "--environment", "owner/repo", "Add dark mode")

    assert 0 == done.code
    assert {"[succeeded] Add dark mode", "Done in `hello.txt`.", "  Say hello to the world", "+1/-0 • 1 file"} <= set(
        done.out.splitlines()
    )


def test_run_keeps_stdout_for_the_result(cli: Cli) -> None:
    """With --json there is one document; progress is nowhere in a pipe."""
    done = cli("run", "--environment", "owner/repo", "--json", "Add dark mode")

    assert ("succeeded", "") == (done.json["state"], done.err)


def test_progress_is_shown_on_a_terminal(cli: Cli) -> None:
    """A terminal shows progress."""
    cli.is_terminal = True

    assert "running" in cli("run", "--environment", "owner/repo", "Add dark mode").err


@pytest.mark.parametrize(("code", "word"), [(0, "completed"), (3, "failed"), (3, "cancelled")])
@pytest.mark.parametrize("verb", ["run", "wait"])
def test_the_exit_code_depends_on_the_state(tmp_path: Path, verb: str, code: int, word: str) -> None:
    """Success is 0, any other end is 3, and the result is printed in both."""
    cli = Cli(tmp_path, ScriptedCloud(["pending", word]))
    arguments = ["-e", "owner/repo", "x"] if verb == "run" else [cli.submit()]
    done = cli(verb, *arguments)

    assert (code, True) == (done.code, done.out.startswith("["))


def test_a_deadline_does_not_stop_the_task(tmp_path: Path) -> None:
    """The deadline has its exit code, and the message has the command that waits again."""
    cli = Cli(tmp_path, ScriptedCloud(["pending"]))
    ref = cli.submit()
    done, with_json = cli("wait", "-q", "--timeout", "90s", ref), cli("wait", "-q", "--timeout", "90s", "--json", ref)

    assert (4, 4) == (done.code, with_json.code)
    assert (
        f"{ref} has not ended within 90 seconds; it is still running; wait again with: coatcheck wait {ref}"
        == done.line
    )
    assert ref == with_json.error["ref"]


@pytest.mark.parametrize("verb", ["wait", "watch"])
def test_ctrl_c_leaves_the_task_alone(tmp_path: Path, verb: str) -> None:
    """Ctrl-C prints that the task is still running and the command that resumes; nothing is cancelled."""
    cli = Cli(tmp_path, InterruptedCloud(["pending"]))
    ref = cli.submit()
    done = cli(verb, ref)

    assert 130 == done.code
    assert f"coatcheck: interrupted; the task is still running; resume with: coatcheck wait {ref}" in done.err
    assert [] == cli.cloud.seen("cancel_task")


def test_ctrl_c_in_json_is_an_object(tmp_path: Path) -> None:
    """The ref is on stdout with --json and on stderr, so that either reader can continue."""
    cli = Cli(tmp_path, InterruptedCloud(["pending"]))
    ref = cli.submit()
    done = cli("wait", ref, "--json")
    error = done.json["error"]

    assert f"coatcheck: interrupted; the task is still running; resume with: coatcheck wait {ref}\n" == done.err
    assert ("interrupted", ref) == (error["code"], error["ref"])


def test_an_interrupted_wait_prints_what_has_ended(tmp_path: Path) -> None:
    """With --json and several tasks the document has those that had ended, and stderr the interruption."""
    cloud = InterruptedList()
    cli = Cli(tmp_path, cloud)
    refs = [cli.submit(), cli.submit(), cli.submit()]
    cli("cancel", refs[1])
    done = cli("wait", "--json", *refs)

    assert (130, [refs[1]], True) == (
        done.code,
        [each["ref"] for each in done.json["tasks"]],
        f"interrupted; the 2 tasks are still running; resume with: coatcheck wait {refs[0]} {refs[2]}\n" in done.err,
    )


def test_an_attempt_that_there_will_not_be(cli: Cli) -> None:
    """A choice that cannot be is refused before it costs anything."""
    done = cli("run", "-e", "owner/repo", "--attempts", "2", "--attempt", "3", "x")

    assert (2, "the task will have no attempt 3; request more with: --attempts 3") == (done.code, done.line)
    assert () == cli.cloud.tasks


def test_ctrl_c_while_submitting_prints_the_command_that_finds_the_task(tmp_path: Path) -> None:
    """Whether the task exists is not known then; --resume finds out."""

    class Hasty(ScriptedCloud):
        def handle(self, request: Request) -> Response:
            response = super().handle(request)
            if request.method == "POST":
                raise KeyboardInterrupt
            return response

    cli = Cli(tmp_path, Hasty())
    done = cli("submit", "-e", "owner/repo", "x")

    assert 130 == done.code
    assert "interrupted; find out whether the task was submitted with: coatcheck submit --resume" == done.line


def test_transient_errors_are_retried(tmp_path: Path) -> None:
    """A 503 in the middle of a wait is retried, and not printed."""
    cloud = ScriptedCloud()
    cli = Cli(tmp_path, cloud)
    ref = cli.submit()
    cloud.faults = [Status(503, on="get_task", times=2)]

    assert 0 == cli("wait", ref).code


def test_a_task_of_another_provider_is_asked_there(cli: Cli) -> None:
    """Without --provider the provider of the ref is used."""
    done = cli("wait", "local:task_e_1")

    assert (2, True) == (done.code, done.line.startswith("no local cloud is running"))


def events(done: Any) -> list[dict[str, Any]]:
    """Return the events of a watch."""
    return [json.loads(line) for line in done.out.splitlines()]


def test_watch_streams_lines(cli: Cli) -> None:
    """Each event is one JSON line, and the last one has the terminal state."""
    seen = events(cli("watch", "--json", cli.submit()))

    assert {"coatcheck/1"} == {event["schema"] for event in seen}
    assert ("task.succeeded", "succeeded") == (seen[-1]["type"], seen[-1]["state"])


def test_a_watch_can_be_resumed(cli: Cli) -> None:
    """--after continues after an event: no event is repeated, none is left out."""
    ref = cli.submit()
    seen = events(cli("watch", "--json", ref))
    again = events(cli("watch", "--json", ref, "--after", seen[-2]["id"]))

    assert [seen[-1]["type"]] == [event["type"] for event in again]


def test_many_are_watched_at_once(cli: Cli) -> None:
    """Several refs are one stream of events, each with its task; a ref that is given twice is watched once."""
    refs = [cli.submit(), cli.submit()]
    watched = events(cli("watch", "--json", *refs, refs[0]))
    ends = [event["ref"] for event in watched if event["type"] == "task.succeeded"]

    assert sorted(refs) == sorted(ends)


def test_lines_of_many_tasks_name_the_task(cli: Cli) -> None:
    """In text each line of many tasks names its task, and a message has the name above it."""
    one, other = cli.submit(), cli.submit()
    lines = cli("watch", one, other).out.splitlines()

    words = [line.split("  ") for line in lines]
    messages = {before[1] for before, line in pairwise(words) if line == ["Done in `hello.txt`."]}

    assert ({one, other}, {one, other}) == ({word[1] for word in words if word[2:] == ["succeeded"]}, messages)


def test_many_are_watched_of_one_provider_and_from_the_beginning(cli: Cli) -> None:
    """What does not go together is one line, before any request."""
    mixed, resumed = cli("watch", "codex:a", "jules:1"), cli("watch", "codex:a", "codex:b", "--after", "x")

    assert "these tasks belong to codex and jules; watch the tasks of one provider at a time" == mixed.line
    assert "--after is for one task, not 2; name one task" == resumed.line
    assert (2, 2, []) == (mixed.code, resumed.code, cli.cloud.requests)


def test_ctrl_c_leaves_many_alone(tmp_path: Path) -> None:
    """Nothing is cancelled, and the command that resumes names every task."""
    cli = Cli(tmp_path, InterruptedCloud(["in_progress"]))
    refs = [cli.submit() for _ in range(3)]
    done = cli("watch", *refs)
    line = f"coatcheck: interrupted; the 3 tasks are still running; resume with: coatcheck watch {' '.join(refs)}"

    assert (130, line, []) == (done.code, done.err.splitlines()[-1], cli.cloud.seen("cancel_task"))


class UnreachableCloud(ScriptedCloud):
    """A cloud that cannot be reached for two minutes after the first poll, by the clock that it is given."""

    clock: Any = None
    begins = 0.0

    def handle(self, request: Request) -> Response:
        if self.clock is not None and self.begins < self.clock.monotonic() < self.begins + 120:
            raise errors.TransportError("refused", request_sent=False)
        return super().handle(request)


def waiting_through_an_outage(folder: Path, *options: str, is_terminal: bool) -> Result:
    """Wait for a task whose service cannot be reached for two minutes."""
    cli = Cli(folder, UnreachableCloud())
    ref = cli.submit()
    cli.is_terminal = is_terminal
    cli.cloud.clock, cli.cloud.begins = cli.clock, cli.clock.monotonic()
    return cli("wait", ref, *options)


def test_an_outage_is_printed_while_it_lasts(tmp_path: Path) -> None:
    """In a pipe lines name the host and the time, at growing intervals; the wait then ends as usual."""
    done = waiting_through_an_outage(tmp_path, is_terminal=False)
    lines = done.err.splitlines()
    outages = [line for line in lines if re.fullmatch(r"coatcheck: cannot reach \S+ for \d+ s, retrying", line)]
    others = [line for line in lines if line not in outages and not line.startswith("coatcheck: codex:task_e_")]

    assert (0, [], True) == (done.code, others, 1 <= len(outages) <= 6)


def test_an_outage_is_shown_in_the_progress_line(tmp_path: Path) -> None:
    """The progress line has the outage, and is cleared before the result."""
    done = waiting_through_an_outage(tmp_path, is_terminal=True)

    assert (0, True, False) == (done.code, "cannot reach " in done.err, "coatcheck: cannot reach" in done.err)


def test_an_outage_keeps_json_one_document(tmp_path: Path) -> None:
    """During an outage, stdout stays one JSON document."""
    done = waiting_through_an_outage(tmp_path, "--json", is_terminal=False)

    assert (0, "succeeded") == (done.code, done.json["state"])


def test_watch_prints_events_as_lines(cli: Cli) -> None:
    """In text an event is a line, a message its own lines."""
    out = cli("watch", cli.submit()).out

    assert {"started", "Done in `hello.txt`.", "diff  +1/-0 • 1 file", "succeeded"} <= {
        re.sub(r"^\S+:\d\d  ", "", line) for line in out.splitlines()
    }
