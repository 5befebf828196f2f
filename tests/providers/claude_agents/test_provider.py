"""Claude Managed Agents: the end of a session is in its events, and its change is in files."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from coatcheck import Client, TaskSpec, TaskState, errors
from coatcheck._runtime.config import Config, ProviderSettings
from coatcheck.cloud.faults import ResetAfterAccept, html
from coatcheck.providers.claude_agents import claude_agents
from coatcheck.providers.claude_agents.endpoints import Service
from coatcheck.providers.claude_agents.provider import ClaudeAgentsProvider
from coatcheck.testing import ClaudeAgentsEmulator, EmulatorTransport
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators._sessions import BASE, PATCH
from coatcheck.testing.emulators.claude_agents import (
    Step,
    fail,
    needs_permission,
    stop,
    terminate,
    work,
)
from coatcheck.testing.fake_clock import FakeClock

from .test_conformance import PROVIDER

SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", branch="main")
TOKEN = "ghp_secret"


def connect(
    *life: Step, variant: str = "blocking", provider: Any = PROVIDER, **options: Any
) -> tuple[Any, ClaudeAgentsEmulator]:
    """Return a client and the emulator behind it."""
    clock = FakeClock()
    emulator = ClaudeAgentsEmulator(life or (work, stop("end_turn", "Done: hello")), clock=clock, **options)
    return Both(variant, provider, emulator, token=emulator.token, clock=clock), emulator


def provider_of(**settings: str) -> ClaudeAgentsProvider:
    """Return the provider with settings."""
    environ = {f"COATCHECK_CLAUDE_AGENTS_{name.upper()}": value for name, value in settings.items()}
    return claude_agents(ProviderSettings(Config(environ=environ), "claude_agents"))


def created(emulator: ClaudeAgentsEmulator) -> dict[str, Any]:
    """Return the body that created the last session."""
    body: dict[str, Any] = msgspec.json.decode(emulator.seen("create_task")[-1].body)
    return body


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_session_has_a_message_a_patch_and_a_cost(variant: str) -> None:
    """The outcome is the last message and the files; the patch is against the recorded commit, and the cost in dollars."""
    client, _ = connect(variant=variant)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, "Done: hello") == (task.state, task.outcome.text)
    assert (PATCH, BASE, 1) == (bytes(task.outcome.patch), task.outcome.base_commit, task.stats.added)
    assert ("owner/repo", "main", "claude-sonnet-5") == (task.repository, task.branch, task.model)
    assert [("usage", 0.12)] == [(notice.kind, notice.cost) for notice in task.notices]


@pytest.mark.parametrize(
    ("life", "state", "error"),
    [
        ((stop("end_turn", "Done"),), TaskState.SUCCEEDED, None),
        ((stop("budget_reached"),), TaskState.PAUSED, None),
        ((stop("refusal", patch=None),), TaskState.FAILED, "refusal"),
        ((stop("retries_exhausted"),), TaskState.FAILED, "retries_exhausted"),
        (
            (fail("repository_not_found_error", "no such repository"),),
            TaskState.FAILED,
            "repository_not_found_error: no such repository",
        ),
        ((work, terminate), TaskState.FAILED, "unknown_error: the container is lost"),
        ((stop("a_new_reason"),), TaskState.UNKNOWN, None),
    ],
)
def test_the_reason_of_the_last_stop_is_the_state(life: tuple[Step, ...], state: TaskState, error: str | None) -> None:
    """An idle session has the state of its stop's reason, with the error of the service."""
    client, _ = connect(*life)
    ref = client.create_task(SPEC).ref
    for _ in life:
        task = client.get_task(ref)
    (listed,) = client.list_tasks()

    assert (state, state, error) == (task.state, listed.state, str(task.error) if task.error else None)


def test_the_prompt_is_sent_unchanged() -> None:
    """The first text of the message is the prompt, the instructions follow it, and a question has none about files."""
    client, emulator = connect()
    client.create_task(msgspec.structs.replace(SPEC, instructions="Be brief.", model="claude-opus-5-5", title="Hello"))
    body = created(emulator)
    parts = [part["text"] for part in body["initial_events"][0]["content"]]
    client.create_task(msgspec.structs.replace(SPEC, mode="ask"))

    assert (["Say hello", "Be brief."], 3) == (parts[:2], len(parts))
    assert ("Hello", {"type": "agent_with_overrides", "id": "agent_1", "model": "claude-opus-5-5"}) == (
        body["title"],
        body["agent"],
    )
    assert {
        "type": "github_repository",
        "url": "https://github.com/owner/repo",
        "mount_path": "/workspace/repo",
        "checkout": {"type": "branch", "name": "main"},
    } == body["resources"][0]
    assert 1 == len(created(emulator)["initial_events"][0]["content"])


def test_settings_are_sent_and_the_token_is_not_shown() -> None:
    """The budget is sent in cents, and the token of the repository only in the body of the request."""
    provider = provider_of(agent="agent_1", max_cost="2.5", repository_token=TOKEN)
    client, emulator = connect(provider=provider)
    task = client.create_task(SPEC)
    body = created(emulator)

    assert ({"type": "limit", "max_list_cost": {"amount": "250", "currency": "USD"}}, TOKEN) == (
        body["budget"],
        body["resources"][0]["authorization_token"],
    )
    assert TOKEN not in f"{provider!r} {task!r} {task.raw!r} {emulator.requests!r}"


@pytest.mark.parametrize(
    "life", [(stop("end_turn", patch=None),), (stop("end_turn", patch=b"diff --git a/x b/x\n@@"),)]
)
def test_a_missing_or_broken_patch_is_a_notice(life: tuple[Step, ...]) -> None:
    """What the agent did not write, and what is no patch, is a notice and no error."""
    client, _ = connect(*life)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, "no_result") == (task.state, task.notices[0].kind)


def test_an_empty_patch_is_an_attempt_that_changed_nothing() -> None:
    """An empty file is no change and no notice."""
    client, _ = connect(stop("end_turn", "Nothing to do", b""))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (None, BASE, []) == (task.outcome.patch, task.outcome.base_commit, list(task.notices))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_message_continues_an_ended_session(variant: str) -> None:
    """A queued message means that the task runs; the newest files are the change."""
    client, _ = connect(variant=variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    again = client.send_message(ref, "And in French")
    ended = client.poll_task(ref)

    assert (TaskState.RUNNING, TaskState.SUCCEEDED) == (again.state, ended.state)


def test_an_interrupt_cancels_only_a_session_that_runs() -> None:
    """A session that was interrupted is cancelled; one that had ended keeps its end; a message continues both."""
    client, _ = connect(work, work, stop("end_turn", "Done"))
    running, ended = client.create_task(SPEC).ref, client.create_task(SPEC).ref
    client.poll_task(ended)
    for ref in (running, ended):
        client.cancel_task(ref)
    states = [client.get_task(ref).state for ref in (running, ended)]
    client.send_message(running, "Go on")

    assert [TaskState.CANCELLED, TaskState.SUCCEEDED] == states
    assert TaskState.SUCCEEDED == client.poll_task(running).state


def test_a_permission_is_decided_once() -> None:
    """A tool use that waits is a permission request; the same decision twice is one event, another one a conflict."""
    client, emulator = connect(needs_permission, stop("end_turn", "Done"))
    ref = client.create_task(SPEC).ref
    waiting = client.poll_task(ref)
    (request,) = waiting.permission_requests
    for _ in range(2):
        client.decide_permission(ref, request.id, "allow")
    with pytest.raises(errors.ConflictError):
        client.decide_permission(ref, request.id, "deny")
    with pytest.raises(errors.ConflictError):
        client.decide_permission(ref, "sevt_none", "allow")

    assert (TaskState.INPUT_REQUIRED, "run rm -r build", 1) == (
        waiting.state,
        request.title,
        len(emulator.seen("send_events")),
    )
    assert TaskState.SUCCEEDED == client.poll_task(ref).state


def test_archived_sessions_keep_their_end() -> None:
    """A session that was archived after its end keeps its state, and one before its end is cancelled."""
    client, _ = connect()
    ended, running = client.create_task(SPEC).ref, client.create_task(SPEC).ref
    client.poll_task(ended)
    for ref in (ended, running):
        client.archive_task(ref)
    listed = {task.ref: task.state for task in client.list_tasks(filter="archived")}

    assert {ended: TaskState.SUCCEEDED, running: TaskState.CANCELLED} == listed
    assert [] == list(client.list_tasks())


@pytest.mark.parametrize("variant", VARIANTS)
def test_events_are_shown_once_and_unknown_ones_are_kept(variant: str) -> None:
    """A watch emits each event of the service once, in order, with those of kinds that are not known."""

    def invent(emulator: ClaudeAgentsEmulator, session: Any) -> None:
        emulator.log(session, "agent.danced", steps=3)

    client, _ = connect(work, invent, stop("end_turn", "Done"), variant=variant)
    ref = client.create_task(SPEC).ref
    seen = client.watch_task(ref)
    words = [
        getattr(event, "kind", event.type) for event in seen if event.type not in ("task.started", "task.submitted")
    ]

    assert ["task.message", "task.tool", "task.tool", "agent.danced", "task.message"] == words[:5]
    assert 1 == sum(event.type == "task.succeeded" for event in seen)
    assert ["Say hello", "make test", "3 passed", None, "Done"] == [event.text for event in client.stream_task(ref)]


def test_a_lost_response_is_found_by_the_key() -> None:
    """Of two sessions with the same prompt, the one with the key of the submission is returned; nothing is sent again."""
    client, emulator = connect()
    first = client.create_task(SPEC).ref
    emulator.faults.append(ResetAfterAccept(on="create_task"))
    second = client.create_task(SPEC).ref

    assert (2, 2, True) == (len(emulator.tasks), len(emulator.seen("create_task")), first != second)


@pytest.mark.parametrize(
    ("settings", "spec", "problem", "remedy"),
    [
        ({"agent": ""}, SPEC, "no agent is set", "claude_agents.agent"),
        ({"environment": "nowhere"}, SPEC, "there is no environment 'nowhere'", "default (env_1)"),
        ({}, msgspec.structs.replace(SPEC, environment="nowhere"), "no environment 'nowhere'", "default (env_1)"),
        ({}, msgspec.structs.replace(SPEC, repository="https://gitlab.com/a/b"), "no repository on GitHub", "--repo"),
        ({"max_cost": "free"}, SPEC, "claude_agents.max_cost cannot be 'free'", "2.50"),
        ({"max_cost": "0"}, SPEC, "claude_agents.max_cost cannot be '0'", "2.50"),
        ({"base_url": "ftp://x"}, SPEC, "the base URL of claude_agents is not usable", "http"),
    ],
)
def test_bad_input_is_refused_before_anything_is_created(
    settings: dict[str, str], spec: TaskSpec, problem: str, remedy: str
) -> None:
    """What cannot be run is one error with its remedy, and creates nothing."""
    with pytest.raises(errors.ConfigurationError, match=re.escape(problem)) as raised:
        connect(provider=provider_of(**{"agent": "agent_1", **settings}))[0].create_task(spec)

    assert remedy in f"{raised.value.remedy} {raised.value}"


def test_an_environment_is_named_where_there_are_several() -> None:
    """The only environment is taken; of several, none is."""
    client, emulator = connect(environments={"env_1": "one", "env_2": "two"})
    with pytest.raises(errors.ConfigurationError, match="there are 2 environments: one, two"):
        client.create_task(TaskSpec(prompt="Say hello"))
    client.create_task(TaskSpec(prompt="Say hello", environment="Two"))

    assert "env_2" == created(emulator)["environment_id"]


def test_html_of_an_edge_is_a_service_error() -> None:
    """A page in place of an answer is an error of the service, and the task is unharmed."""
    client, emulator = connect()
    ref = client.create_task(SPEC).ref
    emulator.faults.append(html(on="get_task", times=None))
    with pytest.raises(errors.ProviderError):
        client.get_task(ref)
    emulator.faults.clear()

    assert TaskState.SUCCEEDED == client.poll_task(ref).state


def test_many_sessions_are_polled_by_the_list() -> None:
    """A round of forty sessions that run costs one request, and each is requested when it has stopped."""
    client, emulator = connect(*[work] * 5, stop("end_turn", "Done"))
    refs = [client.create_task(SPEC).ref for _ in range(40)]
    ended = client.poll_tasks(refs)

    assert ({TaskState.SUCCEEDED}, 40, True) == (
        {task.state for task in ended},
        len(emulator.seen("get_task")),
        len(emulator.seen("list_tasks")) < 10,
    )


def test_the_settings_of_a_client_are_enough() -> None:
    """`Client("claude_agents")` reads the settings from the environment."""
    emulator = ClaudeAgentsEmulator()
    environ = {
        "COATCHECK_LEARN": "off",
        "COATCHECK_CLAUDE_AGENTS_AGENT": "agent_1",
        "ANTHROPIC_API_KEY": emulator.token,
    }
    with Client("claude_agents", transport=EmulatorTransport(emulator), clock=FakeClock(), environ=environ) as client:
        task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, Service().base_url) == (task.state, "https://api.anthropic.com")
