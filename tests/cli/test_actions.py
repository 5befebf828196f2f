from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.faults import Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud


@pytest.mark.parametrize(
    ("verb", "options", "route"),
    [
        ("cancel", [], "cancel_task"),
        ("archive", [], "archive_task"),
        ("delete", ["--yes"], "delete_task"),
    ],
)
def test_actions_are_requested(cli: Cli, verb: str, options: list[str], route: str) -> None:
    """Each act is one request for this task, printed as a line and as an object."""
    ref, other = cli.submit(), cli.submit()
    done, with_json = cli(verb, *options, ref), cli(verb, *options, other, "--json")

    assert (0, True) == (done.code, done.out.startswith(ref))
    assert (other, verb) == (with_json.json["ref"], with_json.json["action"])
    assert ref.partition(":")[2] in cli.cloud.seen(route)[0].path


class InterruptedAfter:
    """A scripted cloud in front of which the *count*-th request of a route is interrupted."""

    def __init__(self, cloud: ScriptedCloud, route: str, count: int) -> None:
        self.cloud, self.route, self.left = cloud, route, count

    def handle(self, request: Request) -> Response:
        self.left -= request.path.endswith(self.route)
        if not self.left:
            raise KeyboardInterrupt
        return self.cloud.handle(request)


@pytest.mark.parametrize("action", ["cancel", "archive"])
def test_an_interrupted_action_prints_what_was_done(tmp_path: Path, action: str) -> None:
    """Of several tasks those that were acted on are printed, and the command that repeats the rest."""
    results = []
    for options in ([], ["--json"]):
        cloud = ScriptedCloud()
        refs = [Cli(tmp_path, cloud).submit() for _ in range(4)]
        cli = Cli(tmp_path, InterruptedAfter(cloud, action, 3), CODEX_ACCESS_TOKEN=cloud.tokens.access_token)
        results.append(cli(action, *refs, *options))
    done, with_json = results
    rest = f"repeat it with: coatcheck {action} {' '.join(refs[2:])}\n"

    assert (130, 130, refs[:2], True) == (
        done.code,
        with_json.code,
        [each["ref"] for each in with_json.json["tasks"]],
        all(ref in done.out for ref in refs[:2]) and refs[2] not in done.out,
    )
    assert (True, True) == (done.err.endswith(rest), with_json.err.endswith(rest))


def test_archiving_can_be_undone(cli: Cli) -> None:
    """Unarchive brings a task back into the list."""
    ref = cli.submit()
    cli("archive", ref)
    cli("unarchive", ref)

    assert [ref] == [task["ref"] for task in cli("list", "--json").json["tasks"]]


def test_deleting_needs_confirmation(cli: Cli) -> None:
    """Nothing is deleted for ever without being sure."""
    ref = cli.submit()
    done = cli("delete", ref)

    assert (2, f"{ref} was not deleted; delete it permanently with --yes") == (done.code, done.line)
    assert [] == cli.cloud.seen("delete_task")


@pytest.mark.parametrize("arguments", [["Use the tokens"], ["-"], []])
def test_a_message_continues_the_task(cli: Cli, arguments: list[str]) -> None:
    """The text, or standard input, is the next turn, and the command that waits for it is printed."""
    ref = cli.submit()
    cli("wait", ref)
    done = cli("message", ref, *arguments, stdin=b"Use the tokens")

    assert (0, f"{ref}\n") == (done.code, done.out)
    assert f"coatcheck wait {ref}" in done.err
    assert "Use the tokens" == cli.cloud.tasks[0].last.prompt


def test_a_blank_message_is_refused(cli: Cli) -> None:
    """A blank message is an error before any request."""
    ref = cli.submit()

    assert "the message is blank; write what the agent should do" == cli("message", ref, " ").line


def test_a_pull_request_is_requested(cli: Cli) -> None:
    """`pr` requests a draft; what the service does not support is refused before any request."""
    ref = cli.submit()
    cli("wait", ref)

    assert "a pull request" in cli("pr", ref).out
    assert "codex opens drafts only" in cli("pr", "--ready", ref).line
    assert 1 == len(cli.cloud.seen("create_pull_request"))


def test_a_route_that_the_service_denies_is_unsupported(cli: Cli) -> None:
    """A route that the service denies is reported as not supported, with its verb."""
    ref = cli.submit()
    cli.cloud.faults = [Status(404, "Not Found", on="cancel_task")]
    done = cli("cancel", ref)

    assert 2 == done.code
    assert "cancel_task" in done.line
