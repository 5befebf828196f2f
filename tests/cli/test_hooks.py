"""The command `hooks`: webhooks that are sent and received."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from tests.cli.cli_support import Cli
from tests.webhooks.test_attempts import receiver

from coatcheck._protocol import standard_webhooks as standard
from coatcheck._runtime.config import state_dir
from coatcheck._store.location import open_database
from coatcheck._webhooks.senders import all_senders

LOOPBACK = ("--allow-hook", "http://127.0.0.1:*")


def added(cli: Cli, *options: str) -> str:
    """Add a hook, and return its id."""
    document = cli("hooks", "add", "http://127.0.0.1:9/x", *LOOPBACK, *options, "--json").json
    return str(document["hook"]["id"])


def test_a_hook_is_added_listed_and_removed(cli: Cli) -> None:
    """The secret is shown by `add` alone."""
    shown = cli("hooks", "add", "http://127.0.0.1:9/x", *LOOPBACK, "--events", "task.succeeded, task.failed")
    listed = cli("hooks").out
    id = shown.out.partition(" ")[0]
    removed = cli("hooks", "remove", id)

    assert ("whsec_" in shown.out, "whsec_" in listed, 0) == (True, False, removed.code)
    assert f"{id}  on  http://127.0.0.1:9/x  task.succeeded, task.failed\n" == listed
    assert "No hooks; add one with: coatcheck hooks add URL\n" == cli("hooks").out


def test_a_secret_is_replaced(cli: Cli) -> None:
    """`rotate` shows another secret of the same hook."""
    id = added(cli)
    secrets = [cli("hooks", "rotate", id, "--json").json["secret"] for _ in range(2)]

    assert 2 == len(set(secrets))


def test_a_sender_is_accepted_and_no_longer(cli: Cli) -> None:
    """The secret of a sender comes from standard input and is not shown."""
    stored = cli("hooks", "secret", "github", stdin=b"s3cret\n")
    listed = cli("hooks")
    removed = cli("hooks", "secret", "github", "--remove")
    shown = (stored, listed, removed)

    assert ([0, 0, 0], "github  received\n") == ([done.code for done in shown], listed.out)
    assert not any("s3cret" in done.out + done.err for done in shown)


def test_an_empty_log(cli: Cli) -> None:
    """Without deliveries the log is one line."""
    assert "No deliveries yet.\n" == cli("hooks", "log").out


def test_a_hook_is_switched_on_again(cli: Cli) -> None:
    """One that was switched off after failures counts them from 0, and the list names the command until then."""
    id = added(cli)
    with closing(open_database(state_dir(cli.environ))) as database, database.writing() as change:
        change.change("UPDATE hook SET state = 'off', failures = 5 WHERE id = ?", (id,))
    listed = cli("hooks").out
    switched = cli("hooks", "on", id, "--json").json["hook"]

    assert f"5 deliveries in a row failed  switch it on with: coatcheck hooks on {id}\n" in listed
    assert ("on", 0) == (switched["state"], switched["failures"])


def test_the_log_of_a_sender_is_not_an_error(cli: Cli) -> None:
    """A sender has a log before it has sent anything."""
    assert "No deliveries yet.\n" == cli("hooks", "log", "github").out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("add",), "coatcheck hooks add needs URL; for examples see: coatcheck hooks add --help"),
        (("remove",), "coatcheck hooks remove needs HOOK; for examples see: coatcheck hooks remove --help"),
        (("serve", "x"), "coatcheck hooks serve does not expect 'x'; see: coatcheck hooks serve --help"),
        (("on",), "coatcheck hooks on needs HOOK; for examples see: coatcheck hooks on --help"),
        (("on", "hook_x"), "there is no hook 'hook_x'; add one with: coatcheck hooks add URL"),
        (("log", "hook_x"), "there is no hook 'hook_x'; add one with: coatcheck hooks add URL"),
        (("remove", "hook_x"), "there is no hook 'hook_x'; add one with: coatcheck hooks add URL"),
        (("replay", "msg_x"), "there is no sent delivery 'msg_x'; see the deliveries: coatcheck hooks log"),
        (
            ("add", "http://127.0.0.1:9/"),
            "the address of a webhook is refused: it is not https on port 443; allow it: --allow-hook http://127.0.0.1:9",
        ),
        (
            ("secret", "gitlab"),
            f"there is no webhook sender 'gitlab'; known senders: {', '.join(all_senders())}",
        ),
        (("secret", "github", "--remove"), "github has no secret; see: coatcheck hooks list"),
    ],
)
def test_what_is_refused(cli: Cli, arguments: tuple[str, ...], line: str) -> None:
    """Each error is one line that names the thing and the remedy, with exit code 2."""
    done = cli("hooks", *arguments, stdin=b"x")

    assert (2, line) == (done.code, done.line)


def test_a_hook_is_tested(cli: Cli) -> None:
    """A test message is signed with the hook's secret, sent once, and is in the log."""
    with receiver(204) as (port, received):
        document = cli("hooks", "add", f"http://127.0.0.1:{port}/x", *LOOPBACK, "--json").json
        shown = cli("hooks", "test", document["hook"]["id"], *LOOPBACK, "--json").json["delivery"]
    [(headers, body)] = received
    sent = {name.lower(): value for name, value in headers.items()}
    key = standard.read_secret(document["secret"])
    id = standard.verify(sent, body, [key], now=cli.clock.time())
    message = json.loads(body)

    assert ("webhook.test", {"hook": document["hook"]["id"]}) == (message["type"], message["data"])
    assert ("sent", 204, id) == (shown["state"], shown["status"], shown["id"])


def test_a_test_that_fails(cli: Cli) -> None:
    """The status of the receiver is an error, and the attempt is in the log and not repeated."""
    with receiver(500) as (port, received):
        document = cli("hooks", "add", f"http://127.0.0.1:{port}/x", *LOOPBACK, "--json").json
        done = cli("hooks", "test", document["hook"]["id"], *LOOPBACK)
    [delivery] = cli("hooks", "log", "--json").json["deliveries"]
    id = document["hook"]["id"]

    assert (8, f"the test of {id} failed: the receiver answered 500; its log: coatcheck hooks log {id}") == (
        done.code,
        done.line,
    )
    assert ("failed", 500, None, 1) == (delivery["state"], delivery["status"], delivery["due_at"], len(received))


def test_a_test_is_guarded(cli: Cli) -> None:
    """A hook whose address is not allowed any more is not sent to."""
    id = added(cli)
    done = cli("hooks", "test", id)

    assert (2, True) == (done.code, "allow it: --allow-hook http://127.0.0.1:9" in done.line)


def test_secrets_of_the_environment(cli: Cli) -> None:
    """A sender whose secret is in the environment is accepted without a file."""
    cli.environ["COATCHECK_HOOK_SECRET_GITHUB"] = "s3cret"

    assert "github  received\n" == cli("hooks").out


def test_an_unknown_event_lists_the_known_ones(cli: Cli) -> None:
    """The remedy for a misspelt event lists the events."""
    done = cli("hooks", "add", "https://example.com/", "--events", "task.done")

    assert done.line.startswith("there is no event 'task.done'; events: action.performed, check.finished, ")


def test_a_secret_that_is_none(cli: Cli) -> None:
    """A secret that the sender cannot have is refused, and not repeated."""
    done = cli("hooks", "secret", "anthropic", stdin=b"not-base64!\n")

    assert (2, False) == (done.code, "not-base64" in done.line)
