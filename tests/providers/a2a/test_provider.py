"""What the provider of A2A does beside what the conformance tests require, in both bindings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.providers.a2a.agent_support import BASE, Settings, provider

from coatcheck import TaskSpec, TaskState, errors
from coatcheck.cloud.faults import Body, ResetAfterAccept, Status
from coatcheck.providers.a2a.service import Service
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators.a2a import HTTP_PATH, RPC_PATH, A2AEmulator
from coatcheck.testing.fake_clock import FakeClock

BINDINGS = ("HTTP+JSON", "JSONRPC")
PUSH_URL = "https://me.example/a2a"
CARD = '{{"supportedInterfaces": [{{"url": "{url}", "protocolBinding": "{binding}", "protocolVersion": "{version}"}}]}}'


def connect(binding: str, *, variant: str = VARIANTS[0], settings: dict[str, str] | None = None, **options: Any) -> Any:
    """Return a client of an agent that has *binding* only, and the agent."""
    clock = FakeClock()
    emulator = A2AEmulator(clock=clock, bindings=(binding,), **options)
    return Both(variant, provider(**(settings or {})), emulator, token=emulator.token, clock=clock), emulator


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_completed_task_has_all_that_its_parts_hold(binding: str) -> None:
    """The message, the diff with its commit, the file and the pull request are in the outcome."""
    client, _ = connect(binding)
    task = client.poll_task(client.create_task(TaskSpec(prompt="Say hello", instructions="Be brief")).ref)
    made = task.outcome
    seen = (made.text, made.base_commit, [file.path for file in made.files], made.pull_request.number, made.stats.added)

    assert (("Done: Say hello", "f" * 40, ["hello.txt"], 1, 1), "Say hello") == (seen, task.prompt)


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("contexts", ["keep", "replace"])
def test_a_lost_answer_is_found_in_any_context(binding: str, contexts: str) -> None:
    """The task is found by its context, or by the id of its message where the agent names contexts itself."""
    client, agent = connect(binding, contexts=contexts)
    client.create_task("Say hello")
    agent.faults.append(ResetAfterAccept(on="create_task"))
    found = client.create_task("Say hello")

    assert ("task-2", 2, 2) == (found.id, len(agent.tasks), len(agent.seen("create_task")))


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_refused_context_creates_nothing_and_names_the_setting(binding: str) -> None:
    """An agent that accepts no context of a client refuses; with the setting, it names the context."""
    client, agent = connect(binding, contexts="refuse")
    with pytest.raises(errors.InvalidRequestError):
        client.create_task("Say hello")
    abandoned = client.journal.entries[-1][0]
    client, other = connect(binding, contexts="refuse", settings={"context": "agent"})
    client.create_task("Say hello")

    assert ("abandon", 0, 1) == (abandoned, len(agent.tasks), len(other.tasks))


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_message_goes_to_the_task_until_it_has_ended_and_then_to_its_context(binding: str) -> None:
    """A message continues a task that needs input; a message after its end is a new task in the same context."""
    client, agent = connect(binding, life=("SUBMITTED", "INPUT_REQUIRED", "COMPLETED"))
    asked = client.poll_task(client.create_task("Say hello").ref)
    client.send_message(asked.ref, "The second")
    ended = client.poll_task(asked.ref)
    follow_up = client.send_message(ended.ref, "And more")
    first, second = agent.tasks
    message = agent.messages()[-1]

    assert (TaskState.INPUT_REQUIRED, "Which of the two files do you mean?") == (asked.state, asked.outcome.text)

    assert (TaskState.SUCCEEDED, "task-2", first.context, ["task-1"]) == (
        ended.state,
        follow_up.id,
        second.context,
        message["referenceTaskIds"],
    )


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("life", [("WORKING",), ("COMPLETED",)])
def test_a_lost_answer_to_a_message_is_found_and_the_message_is_not_sent_again(binding: str, life: tuple[str]) -> None:
    """The task that received a message is found in its context by the id of the message."""
    client, agent = connect(binding, life=life)
    ref = client.create_task("Say hello").ref
    agent.faults.append(ResetAfterAccept(on="create_task"))
    received = client.send_message(ref, "And more")

    assert (len(agent.tasks), 2) == (int(received.id[-1]), len(agent.seen("create_task")))


def test_a_message_that_no_task_shows_raises() -> None:
    """A message that was lost before it arrived raises, and is not sent again."""
    client, agent = connect("JSONRPC")
    ref = client.create_task("Say hello").ref
    agent.faults.append(Status(502, on="create_task"))
    with pytest.raises(errors.TaskError, match="was lost, and it was not sent again"):
        client.send_message(ref, "And more")

    assert 2 == len(agent.seen("create_task"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("binding", BINDINGS)
def test_a_stream_has_what_the_agent_does_until_the_end(binding: str, variant: str) -> None:
    """The state, the message, the size of the diff and the end are events; an ended task has the same at once."""
    client, _ = connect(binding, variant=variant)
    ref = client.create_task("Say hello").ref
    live = [event.type for event in client.stream_task(ref)]
    again = [event.type for event in client.stream_task(ref)]

    end = ["task.message", "task.diff", "task.succeeded"]

    assert (["task.started", *end], end) == (live, again)


def test_no_stream_is_requested_of_an_agent_without_streams() -> None:
    """Where the card shows no streaming, the error names the command that polls."""
    client, agent = connect("HTTP+JSON", is_streaming=False)
    ref = client.create_task("Say hello").ref
    with pytest.raises(errors.UnsupportedError, match="does not stream"):
        client.stream_task(ref)

    assert [] == agent.seen("stream_task")


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_wait_requests_the_card_once_and_a_configured_binding_never(binding: str) -> None:
    """Polls remember the interface; a binding in the settings makes the base URL the interface."""
    client, agent = connect(binding)
    ref = client.create_task("Say hello").ref
    agent.requests.clear()
    client.poll_task(ref)
    path = HTTP_PATH if binding == "HTTP+JSON" else RPC_PATH
    configured, other = connect(binding, settings={"base_url": f"{BASE}{path}", "binding": binding.lower()})
    configured.poll_task(configured.create_task("Say hello").ref)

    assert (1, 0) == (len(agent.seen("get_card")), len(other.seen("get_card")))


@pytest.mark.parametrize(
    ("card", "error"),
    [
        (CARD.format(url="https://elsewhere.example/a2a", binding="JSONRPC", version="1.0"), "is not at http"),
        (CARD.format(url="http://127.0.0.1:9/x", binding="GRPC", version="1.0"), "but GRPC 1.0"),
        (CARD.format(url="http://127.0.0.1:9/x", binding="JSONRPC", version="0.3"), "but JSONRPC 0.3"),
        (CARD.format(url="http://[::1", binding="JSONRPC", version="1.0"), "is not at http"),
        (CARD.format(url="http://127.0.0.1:9/x?y", binding="JSONRPC", version="1.0"), "cannot be requested"),
        ("{}", "no interface at all"),
        ("[]", "documented shape"),
    ],
)
def test_a_card_that_names_no_usable_interface_sends_nothing(card: str, error: str) -> None:
    """An interface elsewhere, of another binding or version, or without an address is refused before any message."""
    client, agent = connect("JSONRPC")
    agent.faults.append(Body(card.encode(), on="get_card"))
    with pytest.raises(errors.CoatcheckError, match=error):
        client.create_task("Say hello")

    assert ([], "abandon") == (agent.seen("create_task"), client.journal.entries[-1][0])


def test_an_answer_without_a_task_is_the_result() -> None:
    """An agent that answers with a message has no task: it has ended, and cannot be polled."""
    client, _ = connect("JSONRPC", at_once=True)
    task = client.create_task("Say hello")
    with pytest.raises(errors.UnsupportedError, match="answered with a message"):
        client.get_task(task.ref)

    assert (TaskState.SUCCEEDED, "Done: Say hello") == (task.state, client.poll_task(task).outcome.text)


@pytest.mark.parametrize("binding", BINDINGS)
def test_errors_are_of_one_class_in_both_bindings(binding: str) -> None:
    """An ended task cannot be cancelled, an unknown one is not found, and one that needs a login has a notice."""
    client, _ = connect(binding, life=("AUTH_REQUIRED",))
    task = client.poll_task(client.create_task("Say hello").ref)
    client.cancel_task(task.ref)
    with pytest.raises(errors.ConflictError):
        client.cancel_task(task.ref)
    with pytest.raises(errors.NotFoundError):
        client.get_task("a2a:none")

    assert (TaskState.INPUT_REQUIRED, "waits_on_page") == (task.state, task.notices[0].kind)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"binding": "grpc"}, "a2a.binding cannot be 'grpc'"),
        ({"context": "none"}, "a2a.context cannot be 'none'"),
        ({"auth": "a b"}, "a2a.auth cannot be 'a b'"),
        ({"base_url": "agent.example"}, "the base URL of a2a is not usable"),
        ({"push_url": PUSH_URL, "binding": "jsonrpc", "push_secret": "s"}, "a2a.push_url needs the agent's card"),
        ({"push_url": "me.example/a2a", "push_secret": "s"}, "the base URL of a2a.push_url is not usable"),
    ],
)
def test_a_setting_that_is_none_is_refused(settings: dict[str, str], error: str) -> None:
    """A value that is not accepted is an error with the accepted ones."""
    with pytest.raises(errors.ConfigurationError, match=error):
        Service.of(Settings(**settings))


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize(("has_push", "push_url"), [(True, PUSH_URL), (True, ""), (False, PUSH_URL)])
def test_push_notifications_are_requested_of_agents_that_send_them(binding: str, has_push: bool, push_url: str) -> None:
    """Where the user wants them, with a task and with a message; the secret is in no representation."""
    settings = {"push_url": push_url, "push_secret": "newest former"}
    client, agent = connect(binding, settings=settings, has_push=has_push)
    task = client.create_task("Say hello")
    client.send_message(task.ref, "And again")
    bodies = [json.loads(each.body) for each in (*agent.seen("create_task"), *agent.seen("send_message"))]
    configurations = [body.get("params", body)["configuration"] for body in bodies]
    authentication = {"scheme": "Bearer", "credentials": "newest"}
    config = {"url": PUSH_URL, "token": "newest", "authentication": authentication}
    expected = {"returnImmediately": True, **({"taskPushNotificationConfig": config} if has_push and push_url else {})}

    assert [expected] * len(bodies) == configurations
    assert "newest" not in repr(provider(**settings))


def test_without_the_secret_of_push_notifications_nothing_is_submitted() -> None:
    """The error names the variable; what submits nothing needs no secret."""
    client, agent = connect("HTTP+JSON", settings={"push_url": PUSH_URL}, has_push=True)
    listed = list(client.list_tasks())
    with pytest.raises(errors.ConfigurationError, match=r"the secret of push notifications is not") as caught:
        client.create_task("Say hello")

    assert ([], (), "COATCHECK_HOOK_SECRET_A2A" in (caught.value.remedy or "")) == (listed, agent.tasks, True)


def test_without_a_base_url_the_error_names_the_setting() -> None:
    """Where no agent is configured, the setting is named before any request."""
    client = Both("blocking", provider(""), A2AEmulator())
    with pytest.raises(errors.ConfigurationError, match=r"no A2A agent is configured") as caught:
        client.list_tasks()

    assert "a2a.base_url" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("auth", "header", "value"), [("X-API-Key", "x-api-key", "good"), ("none", "authorization", None)]
)
def test_the_token_goes_where_the_setting_says(auth: str, header: str, value: str | None) -> None:
    """A token is sent in the header of the setting, or nowhere."""
    emulator = A2AEmulator()
    client = Both("blocking", provider(auth=auth), emulator)
    with pytest.raises(errors.AuthenticationError):
        client.list_tasks()

    assert value == dict(emulator.seen("list_tasks")[0].headers).get(header)
