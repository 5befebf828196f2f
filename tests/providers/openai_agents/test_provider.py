"""OpenAI's Agents API: the end of a session is in its turns, and its change is in artifacts."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._runtime.config import Config, ProviderSettings
from coatcheck.cloud.faults import Reset, ResetAfterAccept, html
from coatcheck.providers.openai_agents import openai_agents
from coatcheck.providers.openai_agents.provider import OpenAIAgentsProvider
from coatcheck.testing import OpenAIAgentsEmulator
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators._sessions import BASE, PATCH
from coatcheck.testing.emulators.openai_agents import (
    Step,
    complete,
    fail,
    fail_session,
    needs_permission,
    work,
)
from coatcheck.testing.fake_clock import FakeClock

from .test_conformance import PROVIDER

SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", branch="main")
TOKEN = "ghp_secret"


def connect(*life: Step, variant: str = "blocking", provider: Any = PROVIDER) -> tuple[Any, OpenAIAgentsEmulator]:
    """Return a client and the emulator behind it."""
    clock = FakeClock()
    emulator = OpenAIAgentsEmulator(life or (work, complete()), clock=clock)
    return Both(variant, provider, emulator, token=emulator.token, clock=clock), emulator


def provider_of(**settings: str) -> OpenAIAgentsProvider:
    """Return the provider with settings."""
    environ = {f"COATCHECK_OPENAI_AGENTS_{name.upper()}": value for name, value in settings.items()}
    return openai_agents(ProviderSettings(Config(environ=environ), "openai_agents"))


def created(emulator: OpenAIAgentsEmulator) -> dict[str, Any]:
    """Return the body that created the last session."""
    body: dict[str, Any] = msgspec.json.decode(emulator.seen("create_task")[-1].body)
    return body


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_session_has_a_message_a_patch_and_a_cost(variant: str) -> None:
    """The outcome is the final message and the artifacts; the patch is against the recorded commit."""
    client, _ = connect(variant=variant, provider=provider_of(model="gpt-test", max_cost="5"))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, "Done: hello") == (task.state, task.outcome.text)
    assert (PATCH, BASE, 1) == (bytes(task.outcome.patch), task.outcome.base_commit, task.stats.added)
    assert ("owner/repo", "main", "gpt-test", "Say hello") == (task.repository, task.branch, task.model, task.title)
    assert [("usage", 0.04)] == [(notice.kind, notice.cost) for notice in task.notices]


@pytest.mark.parametrize(
    ("life", "state", "error"),
    [
        ((complete(),), TaskState.SUCCEEDED, None),
        ((fail("sandbox_error", "it is lost"),), TaskState.FAILED, "sandbox_error: it is lost"),
        ((fail_session,), TaskState.FAILED, "the environment is lost"),
        ((needs_permission,), TaskState.INPUT_REQUIRED, None),
        ((work, work), TaskState.RUNNING, None),
    ],
)
def test_the_newest_turn_is_the_state(life: tuple[Step, ...], state: TaskState, error: str | None) -> None:
    """An idle session has the state of its newest turn, with the error of the service; a list shows the same."""
    client, _ = connect(*life)
    task = client.poll_task(client.create_task(SPEC).ref) if state.ends_wait else client.create_task(SPEC)
    (listed,) = client.list_tasks()

    assert (state, state, error) == (task.state, listed.state, str(task.error) if task.error else None)


def test_settings_are_sent_and_the_token_is_not_shown() -> None:
    """The limit is sent in cents; the token is only in the confidential command, encoded, that clones the repository."""
    settings = {
        "agent": "agent_7",
        "max_cost": "2.5",
        "repository_token": TOKEN,
        "allowed_domains": "github.com, packages.example",
    }
    client, emulator = connect(provider=provider_of(**settings))
    task = client.create_task(SPEC)
    body = created(emulator)
    (command,) = (each["command"] for each in body["environment"]["setup_commands"])

    assert ({"limit": 250}, "agent_7", None) == (body["spend_control"], body["agent_id"], body.get("agent"))
    assert {"access": "restricted", "allowed_domains": ["github.com", "packages.example"]} == body["environment"][
        "network"
    ]
    assert command.endswith("clone --branch main https://github.com/owner/repo /workspace/repo")
    assert ("Authorization: Basic" in command, TOKEN in f"{command} {task!r} {task.raw!r} {emulator.requests!r}") == (
        True,
        False,
    )


def test_the_prompt_is_sent_unchanged() -> None:
    """The first text of the message is the prompt, the instructions follow it, and a question has none about files."""
    client, emulator = connect()
    client.create_task(msgspec.structs.replace(SPEC, instructions="Be brief.", model="gpt-other"))
    body = created(emulator)
    parts = [part["text"] for part in body["input"][0]["content"]]
    client.create_task(msgspec.structs.replace(SPEC, mode="ask"))

    assert (["Say hello", "Be brief."], 3, {"model": "gpt-other"}) == (parts[:2], len(parts), body["agent"])
    assert 1 == len(created(emulator)["input"][0]["content"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_message_continues_an_ended_session(variant: str) -> None:
    """A message starts a turn of a session that has ended or was cancelled."""
    client, _ = connect(work, work, complete(), variant=variant)
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)
    cancelled = client.get_task(ref)
    again = client.send_message(ref, "Go on")
    ended = client.poll_task(ref)

    assert [TaskState.CANCELLED, TaskState.RUNNING, TaskState.SUCCEEDED] == [
        cancelled.state,
        again.state,
        ended.state,
    ]


def test_a_permission_is_decided_once() -> None:
    """A decision has a key: it is repeated after a lost connection, and the same one twice is performed once."""
    client, emulator = connect(needs_permission, complete())
    ref = client.create_task(SPEC).ref
    waiting = client.poll_task(ref)
    (request,) = waiting.permission_requests
    emulator.faults.append(ResetAfterAccept(on="send_events"))
    client.decide_permission(ref, request.id, "approve")
    client.decide_permission(ref, request.id, "approve")
    with pytest.raises(errors.InvalidRequestError):
        client.decide_permission(ref, request.id, "deny")

    assert (TaskState.INPUT_REQUIRED, "Close issue 7?", "waits for a permission: Close issue 7?") == (
        waiting.state,
        request.title,
        waiting.progress,
    )
    assert TaskState.SUCCEEDED == client.poll_task(ref).state


def test_a_message_is_not_repeated() -> None:
    """A message has no key: after a lost connection it is not sent again, and the error says so."""
    client, emulator = connect()
    ref = client.create_task(SPEC).ref
    emulator.faults.append(Reset(on="send_events"))
    with pytest.raises(errors.TransportError):
        client.send_message(ref, "And in French")

    assert 1 == len(emulator.seen("send_events"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_items_are_shown_once_and_unknown_ones_are_kept(variant: str) -> None:
    """A watch emits each item once, in order, with those of kinds that are not known."""

    def invent(emulator: OpenAIAgentsEmulator, session: Any) -> None:
        emulator.save(session, "dance", steps=3)

    client, _ = connect(work, invent, complete(), variant=variant)
    ref = client.create_task(SPEC).ref
    seen = client.watch_task(ref)
    words = [getattr(event, "kind", event.type) for event in seen]
    words = [word for word in words if word not in ("task.started", "task.submitted")]

    assert ["task.message", "task.tool", "dance", "task.message", "task.message"] == words[:5]
    assert ["Say hello", "make test", None, "I look at the repository.", "Done: hello"] == [
        event.text for event in client.stream_task(ref)
    ]


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
        ({"model": ""}, SPEC, "no model is set", "openai_agents.model"),
        ({}, msgspec.structs.replace(SPEC, environment="env"), "openai_agents has no environments", "--environment"),
        ({}, msgspec.structs.replace(SPEC, repository="https://gitlab.com/a/b"), "no repository on GitHub", "--repo"),
        ({"max_cost": "free"}, SPEC, "openai_agents.max_cost cannot be 'free'", "2.50"),
        ({"base_url": "ftp://x"}, SPEC, "the base URL of openai_agents is not usable", "http"),
    ],
)
def test_bad_input_is_refused_before_anything_is_created(
    settings: dict[str, str], spec: TaskSpec, problem: str, remedy: str
) -> None:
    """What cannot be run is one error with its remedy, and creates nothing."""
    with pytest.raises(errors.ConfigurationError, match=re.escape(problem)) as raised:
        connect(provider=provider_of(**{"model": "gpt-test", **settings}))[0].create_task(spec)

    assert remedy in f"{raised.value.remedy} {raised.value}"


def test_html_of_an_edge_is_a_service_error() -> None:
    """A page in place of an answer is an error of the service, and the task is unharmed."""
    client, emulator = connect()
    ref = client.create_task(SPEC).ref
    emulator.faults.append(html(on="get_task", times=None))
    with pytest.raises(errors.ProviderError):
        client.get_task(ref)
    emulator.faults.clear()

    assert TaskState.SUCCEEDED == client.poll_task(ref).state
