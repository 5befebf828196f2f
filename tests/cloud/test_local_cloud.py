"""The local cloud with real agents: prompts in, results out."""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from coatcheck._workspaces.workspace import WorkspaceManager
from coatcheck.cloud.attempt_runner import PARTIAL, Agent
from coatcheck.cloud.demo.site import agent_command, make_site
from coatcheck.cloud.issued_tokens import Account, TokenBook, TokenSet
from coatcheck.cloud.launcher import environment
from coatcheck.cloud.local_cloud import LocalCloud
from coatcheck.cloud.models import ENDED, CloudTask
from coatcheck.cloud.oauth_server import OAuthServer
from coatcheck.cloud.router import Router
from coatcheck.cloud.task_store import Store

from .conftest import Caller, create_body


class Machine:
    """A local cloud over a demo site, as `Caller` needs it; it waits on the event stream and never sleeps."""

    def __init__(
        self,
        root: Path,
        command: tuple[str, ...],
        *,
        timeout: float | None = 20.0,
        max_parallel: int = 2,
        store: type[Store] = Store,
        **options: Any,
    ) -> None:
        self.root = root
        self.site = root / "site"
        if not self.site.exists():
            make_site(self.site, environ=os.environ)
        self.store: Any = store(root / "cloud.sqlite3")
        self.store.open()
        (root / "work").mkdir(exist_ok=True)
        agent = Agent(
            command=command, timeout=timeout, environ={**os.environ, "COATCHECK_TOKEN": "secret", "GIT_DIR": "/nowhere"}
        )
        self.environment = environment("owner/repo", self.site, environ=os.environ)
        self.cloud = LocalCloud(
            [self.environment],
            agent,
            store=self.store,
            workspaces=WorkspaceManager(root / "work", environ=os.environ),
            max_parallel=max_parallel,
            **options,
        )
        book = TokenBook(account=Account(), time=lambda: 0.0, store=self.store)
        self.tokens: TokenSet = book.issue()
        self.handle = Router(self.cloud, book=book, oauth=OAuthServer(book, time=lambda: 0.0)).handle
        self.cloud.start()
        self._open = ExitStack()
        self._open.callback(self.store.close)
        self._open.callback(self.cloud.close)

    def close(self) -> None:
        self._open.close()

    def order(self, prompt: str = "Add dark mode", *, attempts: int = 1, **new_task: object) -> dict:
        caller = Caller(self)
        return caller.post(
            "/tasks", create_body(prompt, attempts=attempts, **{"environment_id": self.environment.id, **new_task})
        )

    def finish(self, id: str) -> dict:
        """Wait for every attempt's stream to end, then return the task."""
        caller = Caller(self)
        for node in caller.get(f"/tasks/{id}/turns")["turn_mapping"].values():
            if node["turn"]["type"] == "assistant":
                stream = caller.ask("GET", f"/tasks/{id}/turns/{node['id']}/stream").stream
                while stream.read():
                    pass
        return caller.get(f"/tasks/{id}")

    def run(self, prompt: str = "Add dark mode", **options: object) -> dict:
        return self.finish(self.order(prompt, **options)["task"]["id"])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Return machines whose agent is a shell line, and end them."""
    with ExitStack() as stack:

        def make(script: str | tuple[str, ...], **options: object) -> Machine:
            command = ("sh", "-c", script, "agent", "{prompt}") if isinstance(script, str) else script
            made = Machine(tmp_path, command, **options)
            stack.callback(made.close)
            return made

        yield make


def items(details: dict) -> dict[str, dict]:
    """Return the output items by type."""
    return {item["type"]: item for item in details["current_assistant_turn"]["output_items"]}


def error_of(details: dict) -> tuple[str, str]:
    """Return a failed turn's code and message."""
    turn = details["current_assistant_turn"]
    assert turn["turn_status"] == "failed"
    return turn["error"]["code"], turn["error"]["message"]


def test_the_demo_agent_answers_each_attempt_differently(machine: Callable[..., Machine]) -> None:
    """Message, pull request text, files and a diff; three of them, all different."""
    details = machine(agent_command()).run(attempts=3)
    found = items(details)

    assert {"message", "partial_repo_snapshot", "pr"} == set(found)
    assert ("Add dark mode", "style.css", "completed") == (
        found["pr"]["pr_title"],
        found["partial_repo_snapshot"]["files"][0]["path"],
        details["task"]["task_status_display"]["latest_turn_status_display"]["turn_status"],
    )
    assert 2 == len(details["current_assistant_turn"]["sibling_turn_ids"])


def test_what_an_agent_prints_is_its_message_and_its_commit_the_title(machine: Callable[..., Machine]) -> None:
    """Without a report."""
    details = machine('echo "done: $1"; echo more >> README.md; git commit -qam "Say more"').run("x; $(touch /nowhere)")
    found = items(details)

    assert "done: x; $(touch /nowhere)" == found["message"]["content"][0]["text"]
    assert ("Say more", "done: x; $(touch /nowhere)") == (found["pr"]["pr_title"], found["pr"]["pr_message"])


def test_a_report_wins_over_what_was_printed(machine: Callable[..., Machine]) -> None:
    """Message, title, body and files."""
    report = {"message": "m", "title": "t", "body": "b", "files": [{"path": "p", "content": "c"}]}
    script = f'echo printed; echo x > new.txt; printf %s {shlex.quote(msgspec.json.encode(report).decode())} > "$COATCHECK_RESULT"'
    found = items(machine(script).run())

    assert ("m", "t", "b", "p") == (
        found["message"]["content"][0]["text"],
        found["pr"]["pr_title"],
        found["pr"]["pr_message"],
        found["partial_repo_snapshot"]["files"][0]["path"],
    )


def test_an_agent_gets_its_attempt_and_none_of_our_secrets(machine: Callable[..., Machine]) -> None:
    """COATCHECK_ and GIT_ variables of the server are not passed on."""
    script = 'echo "$COATCHECK_ATTEMPT/$COATCHECK_ATTEMPTS $COATCHECK_MODE $COATCHECK_BRANCH [$COATCHECK_TOKEN$GIT_DIR] $(cat "$COATCHECK_PROMPT_FILE")"'
    details = machine(script).run("The prompt")

    assert "1/1 code main [] The prompt" == items(details)["message"]["content"][0]["text"]


def test_without_a_place_for_it_the_prompt_is_on_standard_input(machine: Callable[..., Machine]) -> None:
    """For agents that read."""
    details = machine(("sh", "-c", "cat")).run("Read me")

    assert "Read me" == items(details)["message"]["content"][0]["text"]


def test_ask_mode_has_no_diff(machine: Callable[..., Machine]) -> None:
    """Changes of the agent are dropped."""
    details = machine("echo answer; echo x > x").run(run_environment_in_qa_mode=True)

    assert (["message"], None) == (list(items(details)), details["current_diff_task_turn"])


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo first >&2; echo last words >&2; exit 7", ("agent_exit_7", "last words")),
        ("exit 1", ("agent_exit_1", "the agent printed nothing")),
        ("kill -9 $$", ("agent_exit_-9", "the agent printed nothing")),
        ("cd ..; rm -rf work", ("workspace_gone", "the agent removed its own clone")),
    ],
)
def test_a_failure_has_code_and_message(
    script: str, expected: tuple[str, str], machine: Callable[..., Machine]
) -> None:
    """A code for programs, the last output for people."""
    assert expected == error_of(machine(script).run())


def test_a_failed_agents_changes_are_a_partial_diff(machine: Callable[..., Machine]) -> None:
    """What an agent changed before it failed is in its result, with a message that it is partial."""
    details = machine("echo printed; echo x > new.txt; exit 7").run()
    found = items(details)

    assert ("agent_exit_7", ["Notes on this result:", f"- {PARTIAL}"], True) == (
        error_of(details)[0],
        found["message"]["content"][0]["text"].splitlines(),
        "+++ b/new.txt" in found["pr"]["output_diff"]["diff"],
    )


def test_a_program_that_is_not_there_fails_the_attempt(machine: Callable[..., Machine]) -> None:
    """With its name."""
    assert ("agent_not_started", "there is no program '/no/such'") == error_of(machine(("/no/such",)).run())


def test_a_prompt_too_long_for_an_argument_has_a_remedy(machine: Callable[..., Machine]) -> None:
    """Linux allows 128 KiB per argument."""
    code, message = error_of(machine("true").run("x" * 200_000))

    assert ("agent_not_started", True) == (code, "standard input" in message)


def test_an_unknown_branch_fails_the_attempt(machine: Callable[..., Machine]) -> None:
    """The failure names it."""
    assert ("unknown_branch", "the repository has no branch 'nope'") == error_of(machine("true").run(branch="nope"))


def test_an_agent_that_takes_too_long_is_ended(machine: Callable[..., Machine]) -> None:
    """The failure names the timeout, for any phase of the attempt."""
    code, message = error_of(machine("sleep 60", timeout=0.3).run())

    assert ("timed_out", True) == (code, "timed out after 0.3 s" in message)


def test_cancelling_ends_what_runs_and_what_waits(machine: Callable[..., Machine]) -> None:
    """The one that runs is stopped, the other never begins."""
    made = machine("echo up; sleep 60", max_parallel=1)
    created = made.order(attempts=2)
    id, turn = created["task"]["id"], created["turn"]["id"]
    caller = Caller(made)
    stream = caller.ask("GET", f"/tasks/{id}/turns/{turn}/stream").stream
    while b'"line":"up"' not in stream.read():
        pass
    caller.post(f"/tasks/{id}/cancel")
    details = made.finish(id)
    siblings = caller.get(f"/tasks/{id}/turns/{turn}/sibling_turns")["sibling_turns"]
    turns = [details["current_assistant_turn"], *siblings]

    assert ["cancelled", "cancelled"] == [each["turn_status"] for each in turns]
    assert all(each["cancellation_requested_at"] for each in turns)
    assert [True, False] == [bool(caller.get(f"/tasks/{id}/turns/{each['id']}/logs")["logs"]) for each in turns]


def test_a_task_is_in_progress_until_all_attempts_ended(machine: Callable[..., Machine]) -> None:
    """The first attempt has ended."""
    made = machine('[ "$COATCHECK_ATTEMPT" = 1 ] || sleep 60')
    created = made.order(attempts=2)
    id, turn = created["task"]["id"], created["turn"]["id"]
    caller = Caller(made)
    stream = caller.ask("GET", f"/tasks/{id}/turns/{turn}/stream").stream
    while stream.read():
        pass
    details = caller.get(f"/tasks/{id}")

    assert ("completed", "in_progress") == (
        details["current_assistant_turn"]["turn_status"],
        details["task"]["task_status_display"]["latest_turn_status_display"]["turn_status"],
    )


def test_after_a_restart_what_ran_has_failed_and_what_was_done_is_there(machine: Callable[..., Machine]) -> None:
    """With the reason; and nothing is left of its clones."""
    made = machine('[ "$1" = quick ] && echo done || { echo up; sleep 60; }')
    done = made.run("quick")["task"]["id"]
    created = made.order("slow")
    stream = Caller(made).ask("GET", f"/tasks/{created['task']['id']}/turns/{created['turn']['id']}/stream").stream
    while b'"line":"up"' not in stream.read():
        pass
    made.close()
    again = machine("true")

    assert ("server_restarted", "the server was restarted while this attempt ran") == error_of(
        again.finish(created["task"]["id"])
    )
    assert "done" == items(again.finish(done))["message"]["content"][0]["text"]
    assert [] == list((made.root / "work").glob("attempts/*"))


def test_a_follow_up_starts_from_the_previous_turn(machine: Callable[..., Machine]) -> None:
    """Its diff holds both."""
    made = machine('echo "$1" >> "$1.txt"; ls *.txt | xargs')
    first = made.run("one")
    id = first["task"]["id"]
    body = create_body("two")
    body.pop("new_task")
    followed = Caller(made).post(
        "/tasks", {**body, "follow_up": {"task_id": id, "turn_id": first["current_assistant_turn"]["id"]}}
    )
    second = made.finish(followed["task"]["id"])

    assert "one.txt two.txt" == items(second)["message"]["content"][0]["text"]
    assert ["one.txt", "two.txt"] == [file["path"] for file in items(second)["partial_repo_snapshot"]["files"]]


def test_a_follow_up_of_a_running_turn_is_a_conflict(machine: Callable[..., Machine]) -> None:
    """The response is a 409."""
    made = machine("sleep 60")
    created = made.order()
    body = create_body("two")
    body.pop("new_task")
    follow_up = {"task_id": created["task"]["id"], "turn_id": created["turn"]["id"]}

    assert 409 == Caller(made).ask("POST", "/tasks", {**body, "follow_up": follow_up}).status


def test_there_is_no_host_for_pull_requests(machine: Callable[..., Machine]) -> None:
    """The request is refused with the reason."""
    made = machine("echo x > x")
    details = made.run()
    path = f"/tasks/{details['task']['id']}/turns/{details['current_assistant_turn']['id']}/pr"
    response = Caller(made).ask("POST", path, {"mode": "draft"})

    assert (400, True) == (response.status, b"no host" in response.body)


def test_nothing_is_metered(machine: Callable[..., Machine]) -> None:
    """The usage names no limit, in a form that clients accept."""
    assert ("local", None) == tuple(Caller(machine("true")).get("/usage")[key] for key in ("plan_type", "rate_limit"))


def test_deleting_a_running_task_ends_it(machine: Callable[..., Machine]) -> None:
    """The server continues."""
    made = machine('[ "$1" = quick ] || { echo up; sleep 60; }')
    created = made.order("slow")
    id, turn = created["task"]["id"], created["turn"]["id"]
    stream = Caller(made).ask("GET", f"/tasks/{id}/turns/{turn}/stream").stream
    while b'"line":"up"' not in stream.read():
        pass
    Caller(made).ask("DELETE", f"/tasks/{id}")
    while stream.read():
        pass

    assert 404 == Caller(made).ask("GET", f"/tasks/{id}").status
    assert made.run("quick")["current_assistant_turn"]["turn_status"] in ENDED


@pytest.mark.slow
def test_the_demo_change_keeps_the_sites_own_tests_passing(machine: Callable[..., Machine], tmp_path: Path) -> None:
    """The third attempt adds a test that passes, too."""
    import subprocess

    made = machine(agent_command())
    created = made.order(attempts=3)
    made.finish(created["task"]["id"])
    siblings = Caller(made).get(f"/tasks/{created['task']['id']}/turns/{created['turn']['id']}/sibling_turns")[
        "sibling_turns"
    ]
    third = next(turn for turn in siblings if turn["attempt_placement"] == 2)
    diff = next(item for item in third["output_items"] if item["type"] == "pr")["output_diff"]["diff"]
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=made.site, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "unittest"], cwd=made.site, capture_output=True, text=True, check=False
    )

    assert (0, True) == (done.returncode, "Ran 3 tests" in done.stderr)


def test_environments_have_their_branch_and_repository(tmp_path: Path) -> None:
    """The id is opaque, and is the same after a restart."""
    make_site(tmp_path / "site", environ=os.environ)
    first, second = (environment("owner/repo", tmp_path / "site", environ=os.environ) for _ in range(2))

    assert first == second
    assert ("main", "owner/repo", 32) == (first.default_branch, first.repository, len(first.id))
    assert urlsplit(first.id).path == first.id


def test_a_cloud_closes_before_it_starts(tmp_path: Path) -> None:
    """A server that fails before its start is closed as any other."""
    store = Store(tmp_path / "cloud.sqlite3")
    store.open()
    workspaces = WorkspaceManager(tmp_path, environ=os.environ)
    LocalCloud([], Agent(command=("true",)), store=store, workspaces=workspaces, max_parallel=1).close()
    store.close()


class FullStore(Store):
    """A store whose disk may be full."""

    is_full = False

    def change_task(self, id: str, change: Callable[[CloudTask], CloudTask]) -> CloudTask | None:
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().change_task(id, change)


def test_an_attempt_whose_end_is_refused_is_shown_as_failed_until_it_is_kept(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    """A full disk leaves no attempt running: clients get the reason at once, and it is kept when there is space."""
    made = machine('until [ -e "$GO" ]; do :; done'.replace("$GO", str(tmp_path / "go")), store=FullStore, pauses=())
    created = made.order("full")
    id = created["task"]["id"]
    while Caller(made).get(f"/tasks/{id}")["current_assistant_turn"]["turn_status"] != "in_progress":
        pass
    made.store.is_full = True
    (made.root / "go").touch()
    shown = made.finish(id)
    listed = Caller(made).get("/tasks/list")["items"][0]["task_status_display"]["latest_turn_status_display"]
    made.store.is_full = False
    made.cloud._runner._reports.retry()
    kept = made.store.get_task(id)

    assert ("result_not_kept", "failed", "failed", {}) == (
        error_of(shown)[0],
        listed["turn_status"],
        kept and kept.last.state,
        made.cloud._unsaved,
    )


def test_a_start_that_cannot_be_stored_fails_the_attempt(machine: Callable[..., Machine]) -> None:
    """An attempt whose start the store refuses fails, and does not stay queued."""
    made = machine("true", store=FullStore, pauses=())
    made.store.is_full = True
    shown = made.run()

    assert "not_started" == error_of(shown)[0]


def test_a_task_that_cannot_be_announced_is_accepted(machine: Callable[..., Machine]) -> None:
    """A closed terminal of the server refuses no submission: the client would send it again."""

    def announce(_task: object) -> None:
        raise BrokenPipeError

    made = machine("true", on_task=announce)

    assert "completed" == made.run()["current_assistant_turn"]["turn_status"]


OUTPUTS = {
    "nothing, its pipes closed": "exec <&- >&- 2>&-",
    "random bytes": "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2",
    "half characters and controls": "printf '\\355\\240\\200\\377\\033]0;x\\007\\000\\r\\b'; printf '\\xe2\\x80'",
    "many megabytes": "head -c 100000000 /dev/zero; head -c 10000000 /dev/zero | tr '\\0' '\\n' >&2",
    "a process that keeps its pipes": "setsid sleep 300 & disown 2>/dev/null",
    "stopped children": "sleep 300 & kill -STOP $!",
    "a changed limit of files": "ulimit -n 8",
    "another folder to work in": "cd /",
    "a locked tree": "chattr -R +i . 2>/dev/null; chattr -R +a .. 2>/dev/null",
    "a report that is a folder": 'mkdir "$COATCHECK_RESULT"',
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "many megabytes")) for name in OUTPUTS]
)
def test_work_is_collected_for_any_output(name: str, machine: Callable[..., Machine]) -> None:
    """The attempt completes with the diff, responses are JSON, and its folder is removed."""
    made = machine(f"echo more >>index.html\n{OUTPUTS[name]}\ntrue", timeout=200.0)
    details = made.run()
    diff = items(details)["pr"]["output_diff"]["diff"]

    assert ("completed", True, []) == (
        details["current_assistant_turn"]["turn_status"],
        "+more" in diff,
        list((made.root / "work" / "attempts").iterdir()),
    )
