"""The official Codex CLI and ours show the same tasks, on a real local cloud and on a scripted one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.peers.conftest import Peers, serving_scripted
from tests.peers.peer_support import COARSE, facts, git, moment, official, tree_of

from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Answer, Fault, Gzip, Status
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.responses import json_reply
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

pytestmark = pytest.mark.peer


def test_tasks_made_by_either_are_seen_by_both(peers: Peers) -> None:
    """Both list the tasks that either submitted and no others, the newest first."""
    made = [peers.theirs, peers.ours, peers.three]
    ours = [task["id"] for task in peers.clients.ours("list", "--json").json["tasks"]]
    theirs = [task["id"] for task in peers.clients.cloud("list", "--json").json["tasks"]]

    assert (made, made) == (ours, theirs)


def test_lists_are_equal(peers: Peers) -> None:
    """Every field of the official list is equal: id, page, title, status, environment, size, review, attempts."""
    ours = [facts(task) for task in peers.clients.ours("list", "--json").json["tasks"]]
    theirs = [official(task) for task in peers.clients.cloud("list", "--json").json["tasks"]]

    assert theirs == ours
    assert [1, 1, 3] == [task["attempt_total"] for task in ours]


def test_times_in_lists_are_equal(peers: Peers) -> None:
    """Times are equal to the millisecond: theirs has nanoseconds, ours microseconds, the wire a float."""
    ours = [moment(task["updated_at"]) for task in peers.clients.ours("list", "--json").json["tasks"]]
    theirs = [moment(task["updated_at"]) for task in peers.clients.cloud("list", "--json").json["tasks"]]

    assert theirs == pytest.approx(ours, abs=0.001)


def test_a_page_and_its_cursor_are_the_same(peers: Peers) -> None:
    """Pages are equal to the end of the list, and each accepts a cursor of the other."""
    ours, theirs, cursor = [], [], None
    for _ in range(3):
        options = ("--limit", "1", "--json", *(("--cursor", cursor) if cursor else ()))
        our_page, their_page = peers.clients.ours("list", *options).json, peers.clients.cloud("list", *options).json
        ours.append(([task["id"] for task in our_page["tasks"]], our_page["cursor"]))
        theirs.append(([task["id"] for task in their_page["tasks"]], their_page["cursor"]))
        cursor = our_page["cursor"]

    assert theirs == ours
    assert ([peers.theirs, peers.ours, peers.three], None) == ([id for page, _ in ours for id in page], cursor)


def test_the_next_page_is_offered_by_both(peers: Peers) -> None:
    """The hint for the next page has the same cursor in both."""
    cursor = peers.clients.ours("list", "--limit", "2", "--json").json["cursor"]
    hints = peers.clients.cloud("list", "--limit", "2").out, peers.clients.ours("list", "--limit", "2").err

    assert [True, True] == [f"--cursor='{cursor}'" in hint for hint in hints]


def test_environments_are_found_by_label_and_by_id(peers: Peers) -> None:
    """Both accept a label in any case and an id, and both refuse one that does not exist."""
    id = peers.clients.ours("environments", "--json").json["environments"][0]["id"]
    found = [
        [task["id"] for task in program("list", option, name, "--json").json["tasks"]]
        for program, option in ((peers.clients.cloud, "--env"), (peers.clients.ours, "--environment"))
        for name in ("owner/repo", "OWNER/Repo", id)
    ]
    refused = peers.clients.cloud("list", "--env", "no/such").code, peers.clients.ours("list", "-e", "no/such").code

    assert [[peers.theirs, peers.ours, peers.three]] * 6 == found
    assert (1, 2) == refused


def test_the_status_is_equal(peers: Peers) -> None:
    """The status is equal, for an id and for the address of a task's page."""
    task = peers.clients.ours("status", peers.three, "--json").json
    output = [peers.clients.cloud("status", name) for name in (peers.three, task["url"])]
    ours = peers.clients.ours("status", task["url"]).out.splitlines()

    assert [0, 0] == [done.code for done in output]
    for done in output:
        first, where, size = done.out.splitlines()
        assert f"[READY] {task['title']}" == first
        assert task["environment_label"] == where.partition("  •  ")[0] == ours[1].partition("  •  ")[0]
        assert f"{size} • 3 attempts" == ours[2]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_diffs_are_the_same_bytes(number: int, peers: Peers) -> None:
    """The diff of each attempt is equal, and the attempts differ."""
    theirs = peers.clients.cloud("diff", peers.three, "--attempt", str(number))
    ours = peers.clients.ours("diff", peers.three, "--attempt", str(number))

    assert f"+attempt {number}\n" in theirs.out
    assert (0, theirs.data) == (ours.code, ours.data)


def test_the_diff_of_no_attempt_in_particular_is_the_same(peers: Peers) -> None:
    """Without a number both take the first attempt, of one or of three."""
    for id in (peers.ours, peers.three):
        theirs, ours = peers.clients.cloud("diff", id), peers.clients.ours("diff", id)

        assert (0, theirs.data) == (ours.code, ours.data)


def test_attempts_are_counted_alike(peers: Peers) -> None:
    """`attempts` lists as many as the official client names in its error for a number that is too high."""
    attempts = peers.clients.ours("attempts", peers.three, "--json").json["attempts"]
    too_many = peers.clients.cloud("diff", peers.three, "--attempt", "4")
    shown = peers.clients.ours("show", peers.three, "--json").json

    assert [1, 2, 3] == [attempt["number"] for attempt in attempts] == [each["number"] for each in shown["attempts"]]
    assert "Attempt 4 not available; only 3 attempt(s) found" in too_many.err
    assert [f"Attempt {n} is done." for n in (1, 2, 3)] == [
        attempt["outcome"]["messages"][0]["text"] for attempt in attempts
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_applying_gives_the_same_tree(number: int, peers: Peers, tmp_path: Path) -> None:
    """`codex cloud apply` and `coatcheck apply` give the same tree; theirs stages the changes, ours does not."""
    trees = {}
    for name, program in (("theirs", peers.clients.cloud), ("ours", peers.clients.ours)):
        checkout = cloned(peers, tmp_path / name)
        done = program("apply", peers.three, "--attempt", str(number), folder=checkout)
        assert done.code == 0, done
        trees[name] = tree_of(checkout, environ=peers.environ)

    assert trees["theirs"] == trees["ours"]
    assert tree_of(peers.site, environ=peers.environ) != trees["ours"]


def test_the_older_apply_gives_the_same_tree(peers: Peers, tmp_path: Path) -> None:
    """`codex apply`, which reads only the pull request of the diff turn, gives the same tree (docs/reference/protocols/codex-wham.md, 8.1)."""
    theirs, ours = cloned(peers, tmp_path / "theirs"), cloned(peers, tmp_path / "ours")
    done = peers.clients.codex("apply", peers.ours, folder=theirs), peers.clients.ours("apply", peers.ours, folder=ours)

    assert [0, 0] == [each.code for each in done], done
    assert tree_of(theirs, environ=peers.environ) == tree_of(ours, environ=peers.environ)


def cloned(peers: Peers, path: Path) -> Path:
    """Return a fresh checkout of the site."""
    git("clone", "-q", peers.site, path, environ=peers.environ)
    return path


def test_the_prompt_may_come_on_standard_input(peers: Peers) -> None:
    """Both submit a prompt from standard input unchanged."""
    prompt = "Line one\n\n  line three é\n"
    url = peers.clients.cloud("exec", "--env", "owner/repo", "-", input=prompt.encode()).out.strip()
    ours = peers.clients.ours("submit", "-e", "owner/repo", "-", "--json", input=prompt.encode()).json["id"]
    prompts = [peers.clients.ours("status", name, "--json").json["prompt"] for name in (url, ours)]
    for name in (url, ours):
        assert [0, 0] == [
            peers.clients.ours("wait", name, "--interval", "0.1s").code,
            peers.clients.ours("delete", "--yes", name).code,
        ]

    assert [prompt.strip()] * 2 == [output.strip() for output in prompts]


# What a task lives through -> our word. Both print it; theirs through the table of `COARSE`.
LIVES = {
    ("pending",): "queued",
    ("in_progress",): "running",
    ("completed",): "succeeded",
    ("failed",): "failed",
    ("cancelled",): "cancelled",
    ("simmering",): "unknown",
}


@pytest.mark.parametrize(("timeline", "state"), LIVES.items())
def test_every_state_is_reported_alike(timeline: tuple[str, ...], state: str, tmp_path: Path) -> None:
    """List, status and exit code agree for every state; an unknown state is not an end for either."""
    with serving_scripted(ScriptedCloud(timeline, clock=SystemClock()), tmp_path) as clients:
        id = clients.exec("Add dark mode")
        listed = clients.cloud("list", "--json").json["tasks"], clients.ours("list", "--json").json["tasks"]
        status, ours = clients.cloud("status", id), clients.ours("status", id, "--json").json

    assert (state, list(timeline)[-1]) == (ours["state"], ours["raw_state"])
    assert [official(listed[0][0])] == [facts(task) for task in listed[1]]
    assert f"[{COARSE[state].upper()}] {ours['title']}" == status.out.splitlines()[0]
    assert (state != "succeeded") == status.code


class Edited(Fault, frozen=True, kw_only=True):
    """A cloud that changes the document of every response of a route."""

    edit: Callable[[Any], object]
    times: int | None = None

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Return the changed document."""
        return json_reply(self.edit(msgspec.json.decode(answer().body)), status=200)


def without(name: str) -> Callable[[Any], object]:
    """Return an edit that takes a field out of every item of a list."""
    return lambda page: {
        **page,
        "items": [{key: value for key, value in item.items() if key != name} for item in page["items"]],
    }


def with_field(**fields: object) -> Callable[[Any], object]:
    """Return an edit that sets fields of every item of a list."""
    return lambda page: {**page, "items": [{**item, **fields} for item in page["items"]]}


# What a service may do -> what it does it with, and a command: the official client ends with an error, ours does its work.
FAULTS = {
    "compresses a list": (Gzip(on="list_tasks", times=None), ("list", "--json")),
    "compresses a task": (Gzip(on="get_task", times=None), ("diff", "{id}")),
    "leaves out has_unread_turn": (Edited(on="list_tasks", edit=without("has_unread_turn")), ("list", "--json")),
    "leaves out archived": (Edited(on="list_tasks", edit=without("archived")), ("list", "--json")),
    "gives no title": (Edited(on="list_tasks", edit=with_field(title=None)), ("list", "--json")),
    "writes times as text": (
        Edited(on="list_tasks", edit=with_field(updated_at="2026-11-20T12:00:00Z")),
        ("list", "--json"),
    ),
    "counts environments' tasks in halves": (
        Edited(on="environments", edit=lambda entries: [{**entry, "task_count": 1.5} for entry in entries]),
        ("list", "--env={environment}", "--json"),
    ),
    "has null for siblings": (
        Edited(on="sibling_turns", edit=lambda _: {"sibling_turns": None}),
        ("diff", "{id}"),
    ),
    "fails once": (Status(500, on="get_task", times=1), ("status", "{id}")),
    "is busy once": (Status(429, on="list_tasks", times=1, retry_after=0), ("list", "--json")),
}


@pytest.mark.parametrize(("fault", "command"), FAULTS.values(), ids=FAULTS)
def test_ours_reads_what_ends_the_official_client(fault: Fault, command: tuple[str, ...], tmp_path: Path) -> None:
    """Responses that end the official client with an error are read by ours."""
    cloud = ScriptedCloud(("completed",), clock=SystemClock())
    with serving_scripted(cloud, tmp_path) as clients:
        id = clients.exec("Add dark mode", attempts=2)
        words = [word.format(id=id, environment="owner/repo") for word in command]
        cloud.faults[:] = [fault]
        theirs = clients.cloud(*words)
        cloud.faults[:] = [fault]
        ours = clients.ours(*(word.replace("--env=", "--environment=") for word in words))

    assert (1, 0) == (theirs.code, ours.code), (theirs, ours)
    assert {"list": id, "diff": "diff --git ", "status": "[succeeded]"}[command[0]] in ours.out


def test_usage_is_reported_alike(tmp_path: Path) -> None:
    """Plan, credits and every window (used, length, reset) are equal."""
    with serving_scripted(ScriptedCloud(clock=SystemClock()), tmp_path) as clients:
        theirs = clients.usage_of_app_server()["result"]["rateLimits"]
        ours = clients.ours("usage", "--json").json
    windows = {
        window["name"]: {
            "usedPercent": window["used_percent"],
            "windowDurationMins": window["seconds"] / 60,
            "resetsAt": moment(window["resets_at"]),
        }
        for window in ours["rate_limit"]["windows"]
    }
    credits = {
        "hasCredits": ours["credits"]["has_credits"],
        "unlimited": ours["credits"]["is_unlimited"],
        "balance": ours["credits"]["balance"],
    }

    assert (theirs["planType"], theirs["credits"]) == (ours["plan"], credits)
    assert {"primary": theirs["primary"], "secondary": theirs["secondary"]} == windows


def test_usage_in_fractions_is_read_by_ours_alone(tmp_path: Path) -> None:
    """Ours reads fractions; the official client accepts only whole numbers of 32 bits (docs/reference/protocols/codex-wham.md, 7.1)."""
    window = {"used_percent": 12.5, "limit_window_seconds": 18_000, "reset_after_seconds": 600.5, "reset_at": 2**33}
    usage = {"plan_type": "plus", "rate_limit": {"allowed": True, "limit_reached": False, "primary_window": window}}
    with serving_scripted(ScriptedCloud(clock=SystemClock(), usage=usage), tmp_path) as clients:
        theirs = clients.usage_of_app_server()
        ours = clients.ours("usage", "--json").json

    assert "error" in theirs
    assert 12.5 == ours["rate_limit"]["windows"][0]["used_percent"]


def test_an_attempt_without_a_diff_keeps_its_number(tmp_path: Path) -> None:
    """Theirs numbers only attempts with a diff, so later numbers change (docs/reference/protocols/codex-wham.md, 4); ours keeps them."""
    scripts = [
        AttemptScript(timeline=("completed",), result=CloudResult(messages=("m",), diff=DIFFS[n])) for n in range(3)
    ]
    with serving_scripted(ScriptedCloud(attempts=scripts, clock=SystemClock()), tmp_path) as clients:
        id = clients.exec("Add dark mode", attempts=3)
        theirs = clients.cloud("diff", id, "--attempt", "2")
        ours = {number: clients.ours("diff", id, "--attempt", str(number)) for number in (2, 3)}

    assert (DIFFS[2], DIFFS[2]) == (theirs.out, ours[3].out)
    assert (1, b"") == (ours[2].code, ours[2].data)
    assert "attempt 2" in ours[2].err


DIFFS = [
    "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n",
    "",
    "diff --git a/c b/c\n--- a/c\n+++ b/c\n@@ -1 +1 @@\n-1\n+3\n",
]


def test_no_command_of_either_shows_a_token(tmp_path: Path) -> None:
    """No output of any command, successful or not, contains a part of the login."""
    cloud = ScriptedCloud(clock=SystemClock(), faults=[Status(401, times=None)])
    with serving_scripted(cloud, tmp_path) as clients:
        runs = [
            clients.ours("list"),
            clients.ours("list", "--json"),
            clients.ours("config", "--show-origin"),
            clients.cloud("list"),
        ]
        login = json.loads((tmp_path / "codex" / "auth.json").read_text())["tokens"]
    secrets = [login[name] for name in ("access_token", "refresh_token", "id_token")]

    assert [5, 5, 0, 1] == [run.code for run in runs]
    assert [] == [secret for secret in secrets for run in runs if secret in run.out + run.err]
