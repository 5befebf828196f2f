"""Threads of Codex Cloud: submission, waiting, messages, ends, where the token goes, and what is refused."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.providers.codex_app_server.cloud.cloud_support import CONFIG, SPEC, connected, provider
from tests.providers.codex_app_server.test_provider import calls, waiting

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._cli.json_output import error_document
from coatcheck._protocol.effects import Open, Request
from coatcheck._protocol.login_contract import Secret
from coatcheck._protocol.provider import Support, Verb
from coatcheck.cloud.faults import Reset, ResetAfterAccept, Status, Timeout
from coatcheck.providers.codex_app_server import codex_app_server
from coatcheck.providers.codex_app_server.cloud.capabilities import CAPABILITIES
from coatcheck.testing.emulators.codex_cloud_threads import CLIENT_PREFIX, SUBPROTOCOL
from coatcheck.testing.emulators.codex_threads import Failed, Item, Pause, edit

COMMAND = "item/commandExecution/requestApproval"


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


class Settings:
    """The settings of the provider."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        return self._values.get(name)


# -- submitting --------------------------------------------------------------------------------------------------------


def test_a_task_is_a_thread_in_an_environment_and_a_turn(variant: str) -> None:
    """The thread starts in the environment of that label; thread and turn carry the key; the turn is sent once."""
    client, emulator = connected(variant)
    task = client.create_task(msgspec.structs.replace(SPEC, title="A title"))
    ended = client.poll_task(task.ref)
    sent = calls(emulator, "thread/start", "thread/name/set", "turn/start")
    (thread, name, turn) = (params for _, params in sent)
    key = turn["clientUserMessageId"]

    assert ["thread/start", "thread/name/set", "turn/start"] == [method for method, _ in sent]
    assert {"environments": [{"environmentConfigId": CONFIG}], "deferredEnvironment": True} == {
        name: thread[name] for name in ("environments", "deferredEnvironment")
    }
    assert f"A title (coatcheck {key})" == name["name"]
    assert [{"type": "text", "text": SPEC.prompt, "text_elements": []}] == turn["input"]
    assert (TaskState.SUCCEEDED, "A title", CONFIG, "All done.") == (
        ended.state,
        ended.title,
        ended.environment,
        ended.outcome.text,
    )


@pytest.mark.parametrize("fault", [ResetAfterAccept(on="create_task"), Timeout(on="create_task", is_accepted=True)])
@pytest.mark.parametrize("delay", [0.0, 12.0])
def test_the_turn_of_a_lost_answer_is_found(variant: str, fault: Any, delay: float) -> None:
    """The thread of a lost answer is found by its key and its turn's client id, also where its history comes late."""
    client, emulator = connected(variant, history_seconds=delay)
    other = client.create_task(SPEC)
    emulator.faults.append(fault)
    task = client.create_task(SPEC)

    assert (2, emulator.tasks[1]) == (len(emulator.tasks), task.id)
    assert other.ref != task.ref


@pytest.mark.parametrize("method", ["initialize", "thread/start", "thread/name/set"])
def test_what_is_lost_before_the_turn_is_no_submission(variant: str, method: str) -> None:
    """An answer that is lost before the turn was sent leaves nothing uncertain."""
    client, emulator = connected(variant)
    emulator.faults += [Reset(on=method)]
    with pytest.raises(errors.TransportError):
        client.create_task(SPEC)

    assert ((), [], []) == (emulator.tasks, emulator.seen("create_task"), list(client.resume_submissions()))


@pytest.mark.parametrize(
    ("change", "message", "named"),
    [
        ({"environment": "another"}, "there is no environment 'another'", "Repository"),
        ({"environment": None, "repository": "owner/repo"}, "knows no environment for owner/repo", "Repository"),
        ({"branch": "feature"}, "starts from main, not from feature", "--branch main"),
    ],
)
def test_an_environment_or_branch_that_there_is_not_is_refused(
    variant: str, change: Any, message: str, named: str
) -> None:
    """Another environment, a repository, and another branch than the environment's are errors that name what there is."""
    client, emulator = connected(variant)
    with pytest.raises(errors.ConfigurationError, match=message) as caught:
        client.create_task(msgspec.structs.replace(SPEC, **change))

    assert ((), True) == (emulator.tasks, named in str(caught.value.remedy))


# -- history -----------------------------------------------------------------------------------------------------------


def test_a_history_that_is_empty_for_a_moment_is_not_an_end(variant: str) -> None:
    """A task whose history comes late is queued or running, is waited for, and its second turn is not taken for its first."""
    client, _ = connected(variant, history_seconds=3.0)
    ref = client.create_task(SPEC).ref
    first = client.get_task(ref).state
    client.poll_task(ref)
    client.send_message(ref, "again")
    second = client.get_task(ref).state

    assert {TaskState.RUNNING} == {first, second}
    assert TaskState.SUCCEEDED == client.poll_task(ref).state


def test_events_of_other_threads_are_not_shown(variant: str) -> None:
    """A connection is notified about every thread of the account; a watch shows those of its own thread alone."""
    unknown = Item("hologram", size=3)
    client, _ = connected(variant, waiting(unknown, edit(), Item("agentMessage", text="Done.", phase=None)))
    refs = [client.create_task(SPEC).ref for _ in range(3)]
    watched = list(client.watch_task(refs[1]))
    rest = list(client.stream_task(refs[1], after="2"))

    assert [
        "task.started",
        "task.message",
        "unknown",
        "task.tool",
        "task.message",
        "task.notice",
        "task.succeeded",
    ] == [event.type for event in watched]
    assert ({refs[1]}, ["3", "4"]) == ({event.ref for event in watched}, [event.id for event in rest])


def test_lists_show_how_tasks_ended(variant: str) -> None:
    """A list has the state of each task; archived ones cannot be listed."""
    client, _ = connected(variant)
    done = client.poll_task(client.create_task(SPEC).ref).ref
    running = client.create_task(SPEC).ref
    with pytest.raises(errors.UnsupportedError, match="no client has been observed archiving"):
        list(client.list_tasks(filter="archived"))

    assert [(running.id, TaskState.RUNNING), (done.id, TaskState.SUCCEEDED)] == [
        (task.id, task.state) for task in client.list_tasks()
    ]


def test_waiting_for_many_tasks_reads_pages(variant: str) -> None:
    """Forty tasks are waited for with a request a page, and two for each that has ended."""
    client, emulator = connected(variant, step_seconds=60.0)
    refs = [client.create_task(SPEC).ref for _ in range(40)]
    emulator.requests.clear()
    ended = list(client.poll_tasks(refs))

    assert (40, 40, 40) == (len(ended), len(emulator.seen("get_task")), len(emulator.seen("turns")))
    assert len(emulator.seen("list_tasks")) < 100


# -- acting ------------------------------------------------------------------------------------------------------------


def test_a_message_joins_the_turn_that_runs_or_starts_another(variant: str) -> None:
    """A message steers a turn that runs, by its id, and starts another turn in a thread that has ended."""
    client, emulator = connected(variant)
    ref = client.create_task(SPEC).ref
    client.send_message(ref, "and more")
    client.poll_task(ref)
    continued = client.send_message(ref, "again")
    steered = calls(emulator, "turn/steer")
    thread = emulator.threads[ref.id]

    assert ([thread.turns[0].id], TaskState.RUNNING, 2) == (
        [params["expectedTurnId"] for _, params in steered],
        continued.state,
        len(thread.turns),
    )


def test_an_interruption_is_confirmed_by_the_turn(variant: str) -> None:
    """A cancelled turn has ended; where the service answers and the turn goes on, that is a conflict; so is no turn."""
    client, emulator = connected(variant)
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)
    with pytest.raises(errors.ConflictError, match="no turn of"):
        client.cancel_task(ref)
    other = client.create_task(SPEC).ref
    emulator.step_seconds = 600.0
    emulator.threads[other.id].next_at = None
    emulator.threads[other.id].end_turn = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(errors.ConflictError, match="is still running"):
        client.cancel_task(other)

    assert TaskState.CANCELLED == client.get_task(ref).state


def test_what_waits_for_a_person_is_shown_and_not_answered(variant: str) -> None:
    """A turn that waits needs input; no client has been observed deciding, so a decision and a message are refused."""
    client, _ = connected(variant, waiting(Pause(COMMAND, command="make deploy")))
    task = client.poll_task(client.create_task(SPEC).ref)
    with pytest.raises(errors.UnsupportedError, match="no client has been observed deciding"):
        client.decide_permission(task.ref, "1", "accept")
    with pytest.raises(errors.UnsupportedError, match="no client has been observed giving one"):
        client.send_message(task.ref, "yes")

    assert (TaskState.INPUT_REQUIRED, "waitingOnApproval") == (task.state, task.raw_state)
    assert "only on Codex's pages" in str(task.progress)


def test_a_failed_turn_has_the_service_s_reason(variant: str) -> None:
    """The error of a turn is that of the task."""
    client, _ = connected(variant, waiting(Failed("the limit is reached", "usageLimitExceeded")))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.FAILED, "usageLimitExceeded: the limit is reached") == (task.state, str(task.error))


# -- what nobody has observed ------------------------------------------------------------------------------------------


def test_every_verb_is_observed_and_the_others_say_why() -> None:
    """No verb is documented, and each other one but the approval of plans names the missing observation."""
    missing = set(Verb) - {*CAPABILITIES.verbs, Verb.APPROVE_PLAN, Verb.GET_SNAPSHOT}

    assert ({Support.OBSERVED}, []) == (
        set(CAPABILITIES.verbs.values()),
        [verb for verb in missing if "no client has been observed" not in CAPABILITIES.reason(verb)],
    )


def test_the_change_of_a_task_is_unsupported_with_its_reason(variant: str) -> None:
    """The patch of a task that has ended raises `UnsupportedError` that names the missing observation, not "no patch"."""
    client, _ = connected(variant)
    task = client.poll_task(client.create_task(SPEC).ref)
    with pytest.raises(errors.UnsupportedError, match="no client has been observed fetching a change"):
        task.require_patch()

    assert ["no_result"] == [notice.kind for notice in task.notices]


# -- the token ---------------------------------------------------------------------------------------------------------

TOKEN = "eyJhbGciOiJub25lIn0.e30.c2ln"


def test_the_token_is_in_a_subprotocol_of_the_handshake_alone() -> None:
    """A handshake has the token in a subprotocol and in no header; a request has it in a header, and both the account."""
    handshake = provider().authorize(
        Open(subprotocols=(SUBPROTOCOL, f"{CLIENT_PREFIX}coatcheck")).to_request(),
        Secret(token=TOKEN, account_id="acc-1"),
        0.0,
    )
    request = provider().authorize(Request("GET", "/v1/threads"), Secret(token=TOKEN, account_id="acc-1"), 0.0)
    assert handshake.channel is not None

    assert (SUBPROTOCOL, f"{CLIENT_PREFIX}coatcheck", f"openai-bearer.{TOKEN}") == handshake.channel.subprotocols
    assert {"chatgpt-account-id": "acc-1", "x-openai-product-sku": "codex"} == dict(handshake.headers)
    assert {"authorization": f"Bearer {TOKEN}", "chatgpt-account-id": "acc-1"} == dict(request.headers)
    assert TOKEN not in f"{handshake!r}{handshake.channel!r}{request!r}"


@pytest.mark.parametrize("token", ["a b", "a,b", "a/b=", "a\nb", "ä"])
def test_a_token_that_no_subprotocol_can_hold_is_refused(token: str) -> None:
    """What RFC 6455 allows in no subprotocol is an error of the login that does not show it."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        provider().authorize(Open().to_request(), Secret(token=token), 0.0)

    assert token not in str(caught.value)


STATUSES = (401, 403, 404, 429, 500)


def test_no_token_is_shown_whatever_the_service_answers(variant: str, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, error, note, JSON document, traceback or log has the token, also where the service repeats it."""
    caplog.set_level(logging.DEBUG)
    secret = "opaque-Token.0123456789"
    client, emulator = connected(variant, token=secret)
    ref = client.create_task(SPEC).ref
    shown = [repr(each) for each in (client.client, client.journal.entries, *emulator.requests)]
    echo = f"openai-bearer.{secret} Bearer {secret}"
    for status in STATUSES:
        for name, call in (("get_task", client.get_task), ("", client.cancel_task)):
            emulator.faults[:] = [Status(status, on=name, text=echo, times=None)]
            with pytest.raises(errors.CoatcheckError) as caught:
                call(ref)
            shown += [*traceback.format_exception(caught.value), str(error_document(caught.value))]

    assert secret not in "\n".join((*shown, caplog.text))


@pytest.mark.parametrize(
    "url",
    [
        "wss://example.com",
        "ws://codex-cloud-backend.chatgpt.com",
        "wss://codex-cloud-backend.chatgpt.com:8443",
        "wss://user@codex-cloud-backend.chatgpt.com",
        "wss://codex-cloud-backend.chatgpt.com.example.com",
        "unix:///socket",
        "stdio:",
        "wss://127.0.0.1:99999",
    ],
)
def test_the_login_goes_to_no_other_address(url: str) -> None:
    """Another host, another port, plain text and every other kind of address are refused with what to set."""
    with pytest.raises(errors.ConfigurationError, match="the login goes nowhere else"):
        codex_app_server(Settings(backend="cloud", base_url=url))


def test_the_service_is_off_unless_asked_for() -> None:
    """Without the setting there is no provider of the service; its address alone is refused with the setting to make."""
    with pytest.raises(errors.ConfigurationError, match="is Codex Cloud, not a host") as caught:
        codex_app_server(Settings(base_url="wss://codex-cloud-backend.chatgpt.com"))
    with pytest.raises(errors.ConfigurationError, match="cannot be 'clouds'"):
        codex_app_server(Settings(backend="clouds"))
    in_cloud = codex_app_server(Settings(backend="cloud"))

    assert "codex_app_server.backend" in str(caught.value.remedy)
    assert {"https://codex-cloud-backend.chatgpt.com", "wss://codex-cloud-backend.chatgpt.com"} == set(
        in_cloud.origins.values()
    )
    assert frozenset({"codex-cloud-backend.chatgpt.com"}) == in_cloud.login.trusted_hosts


# -- refusals ----------------------------------------------------------------------------------------------------------

PAGE, ACCOUNT = "from a proxy or the network edge", "may not have Codex Cloud's threads"


@pytest.mark.parametrize(
    ("fault", "kind", "remedy"),
    [
        (Status(403, is_html=True, text="Just a moment...", times=None), errors.PermissionDeniedError, PAGE),
        (Status(200, is_html=True, text="Sign in", times=None), errors.UnreadableResponseError, PAGE),
        (
            Status(403, text="challenge", headers=(("cf-mitigated", "challenge"),), times=None),
            errors.PermissionDeniedError,
            PAGE,
        ),
        (Status(403, text="not provisioned", times=None), errors.PermissionDeniedError, ACCOUNT),
        (Status(404, text="not found", times=None), errors.NotFoundError, ACCOUNT),
        (Status(401, text="no", times=None), errors.AuthenticationError, "codex login"),
    ],
)
def test_a_refusal_has_its_error_and_its_remedy(variant: str, fault: Any, kind: Any, remedy: str) -> None:
    """A web page of the edge, an account without threads and a refused token differ, over HTTPS and in a handshake."""
    client, emulator = connected(variant)
    remedies = []
    for name, call in (("list_tasks", client.list_tasks), ("create_task", lambda: client.create_task(SPEC))):
        emulator.faults[:] = [msgspec.structs.replace(fault, on=name)]
        with pytest.raises(kind) as caught:
            call()
        remedies.append(str(caught.value.remedy))

    assert ([True, True], ()) == ([remedy in each for each in remedies], emulator.tasks), remedies


def test_a_call_that_is_not_authorized_is_an_error_of_the_login(variant: str) -> None:
    """The code -32002 in an answer over the WebSocket is `AuthenticationError`, and nothing was submitted."""
    client, emulator = connected(variant)
    emulator.refusals["thread/start"] = -32002
    with pytest.raises(errors.AuthenticationError) as caught:
        client.create_task(SPEC)

    assert (True, ()) == ("codex login" in str(caught.value.remedy), emulator.tasks)


def test_a_thread_that_there_is_not_is_not_found(variant: str) -> None:
    """An unknown id is `NotFoundError`, without the remedy for an account."""
    client, _ = connected(variant)
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_task("01a22287-0000-7a11-8a76-637ef3d6cde3")

    assert (404, None) == (caught.value.status, caught.value.remedy)


def test_environments_of_both_scopes_are_listed_without_their_secrets(variant: str) -> None:
    """Environments of the user and of the workspace are listed once, with the branch of their repository."""
    client, emulator = connected(variant)
    emulator.configs["workspace"] += [*emulator.configs["user"], {"id": "acc-1~asenvcfg_2", "name": None}]
    environments = client.list_environments()

    assert [(CONFIG, "Repository", "main"), ("acc-1~asenvcfg_2", None, None)] == [
        (each.id, each.label, each.default_branch) for each in environments
    ]
    assert "not-shown" not in repr(environments)


def test_models_are_those_of_the_service(variant: str) -> None:
    """The service lists its models; none can be chosen, as nobody has observed that."""
    client, _ = connected(variant)
    with pytest.raises(errors.UnsupportedError, match="does not support model"):
        client.create_task(TaskSpec(prompt="p", environment=CONFIG, model="gpt-cloud"))

    assert ["gpt-cloud"] == [model.id for model in client.list_models()]
