"""The provider of a Codex host: submission, waiting, approvals, messages, ends, and what a host refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.providers.codex_app_server.host_support import SPEC, connected, provider

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Open
from coatcheck.cloud.faults import Reset, ResetAfterAccept, Timeout
from coatcheck.testing.emulators.codex_threads import BASE, CHANGE, Failed, Item, Pause, Step, edit, ordinary_turn

FILES, COMMAND = "item/fileChange/requestApproval", "item/commandExecution/requestApproval"


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def calls(emulator: Any, *methods: str) -> list[tuple[str, Any]]:
    """Return the calls of *methods* with their parameters."""
    every = [(request.path[1:], request) for request in emulator.requests]
    return [(method, msgspec.json.decode(request.body)) for method, request in every if method in methods]


def test_a_task_is_a_checkout_a_named_thread_and_a_turn(variant: str) -> None:
    """Thread and turn carry the key, the turn is sent once, and the change is read by git in the checkout."""
    client, emulator = connected(variant)
    task = client.create_task(
        msgspec.structs.replace(SPEC, key="k-1", title="A title", model="gpt-x", instructions="Be brief")
    )
    ended = client.poll_task(task.ref)
    sent = dict(calls(emulator, "thread/start", "thread/name/set", "turn/start"))
    made, read = emulator.commands

    assert {
        "cwd": "/home/codex/.codex/coatcheck/k-1",
        "sandbox": "workspace-write",
        "approvalPolicy": "never",
        "model": "gpt-x",
        "developerInstructions": "Be brief",
    } == sent["thread/start"]
    assert "A title (coatcheck k-1)" == sent["thread/name/set"]["name"]
    assert ("k-1", SPEC.prompt) == (sent["turn/start"]["clientUserMessageId"], sent["turn/start"]["input"][0]["text"])
    assert ["/home/codex/.codex/coatcheck", "k-1", "/srv/repo", "", "main"] == made["command"][4:]
    assert ({"type": "dangerFullAccess"}, {"type": "workspaceWrite"}) == (made["sandboxPolicy"], read["sandboxPolicy"])
    assert (TaskState.SUCCEEDED, "A title", "All done.", CHANGE, BASE, ()) == (
        ended.state,
        ended.title,
        ended.outcome.text,
        bytes(ended.require_patch()),
        ended.outcome.base_commit,
        ended.notices,
    )


def test_the_same_key_is_one_task(variant: str) -> None:
    """A submission with a key that has a task returns that task and starts nothing."""
    client, emulator = connected(variant)
    spec = msgspec.structs.replace(SPEC, key="mine")
    first = client.create_task(spec)

    assert (first.ref, 1) == (client.create_task(spec).ref, len(emulator.seen("create_task")))


@pytest.mark.parametrize("fault", [ResetAfterAccept(on="create_task"), Timeout(on="create_task", is_accepted=True)])
def test_the_turn_of_a_lost_answer_is_found(variant: str, fault: Any) -> None:
    """The task whose answer was lost is found by its key, and no other with the same prompt is taken for it."""
    client, emulator = connected(variant)
    other = client.create_task(SPEC)
    emulator.faults.append(fault)
    task = client.create_task(SPEC)

    assert (2, emulator.tasks[1]) == (len(emulator.tasks), task.id)
    assert other.ref != task.ref


@pytest.mark.parametrize("method", ["initialize", "thread/list", "command/exec", "thread/start", "thread/name/set"])
def test_what_is_lost_before_the_turn_is_no_submission(variant: str, method: str) -> None:
    """An answer that is lost before the turn was sent leaves nothing uncertain: nothing is searched, no intent stays open."""
    client, emulator = connected(variant)
    emulator.faults += [Reset(on={"thread/list": "list_tasks", "command/exec": "command"}.get(method, method))]
    with pytest.raises(errors.TransportError):
        client.create_task(SPEC)

    assert ((), [], []) == (emulator.tasks, emulator.seen("create_task"), client.clock.sleeps)
    assert [] == list(client.resume_submissions())


def waiting(*steps: Step) -> Any:
    """Return turns with *steps*."""

    def life(prompt: str) -> Iterable[Step]:
        return ordinary_turn(prompt) if prompt == "again" else iter(steps)

    return life


def test_a_permission_is_decided_by_another_client(variant: str) -> None:
    """A turn that waits for an approval is a permission request, which any client decides; the task then goes on."""
    pause = Pause(COMMAND, command="make deploy", cwd="/srv", reason="it writes", item=edit())
    client, _ = connected(variant, waiting(pause), settings={"approval_policy": "on-request"})
    task = client.poll_task(client.create_task(SPEC).ref)
    (request,) = task.permission_requests
    with pytest.raises(errors.ConfigurationError, match="there is no option 'yes'"):
        client.decide_permission(task.ref, request.id, "yes")
    client.decide_permission(task.ref, request.id, "accept")
    ended = client.poll_task(task.ref)

    assert (TaskState.INPUT_REQUIRED, "waitingOnApproval") == (task.state, task.raw_state)
    assert ("run make deploy", "execute", "it writes; /srv") == (request.title, request.kind, request.detail)
    assert ({"decision": "accept"}, TaskState.SUCCEEDED) == (pause.answer, ended.state)


def test_a_declined_edit_is_reported(variant: str) -> None:
    """A message does not decide a permission; a rejected edit is a notice; the same decision again is no error."""
    pause = Pause(FILES, item=edit())
    client, emulator = connected(variant, waiting(pause))
    task = client.poll_task(client.create_task(SPEC).ref)
    (request,) = task.permission_requests
    client.send_message(task.ref, "use another file")
    undecided = pause.answer
    for _ in range(2):
        client.decide_permission(task.ref, request.id, "decline")
    with pytest.raises(errors.ConflictError):
        client.decide_permission(task.ref, request.id, "accept")
    ended = client.poll_task(task.ref)
    steered = [params["input"][0]["text"] for _, params in calls(emulator, "turn/steer")]

    assert (None, {"decision": "decline"}, ["use another file"]) == (undecided, pause.answer, steered)
    assert (TaskState.SUCCEEDED, ["edits were not made: hello.txt (declined)"]) == (
        ended.state,
        [notice.text for notice in ended.notices],
    )


@pytest.mark.parametrize(("option", "scope"), [("turn", "turn"), ("session", "session"), ("decline", "turn")])
def test_permissions_have_a_scope(variant: str, option: str, scope: str) -> None:
    """Permissions are granted as they were requested, for a scope; declined ones are none."""
    wanted = {"network": True}
    pause = Pause("item/permissions/requestApproval", permissions=wanted)
    client, _ = connected(variant, waiting(pause))
    task = client.poll_task(client.create_task(SPEC).ref)
    client.decide_permission(task.ref, task.permission_requests[0].id, option)

    assert {"permissions": {} if option == "decline" else wanted, "scope": scope} == pause.answer


def test_a_message_answers_questions(variant: str) -> None:
    """A question is shown with its options; a message answers each by a line where there are as many lines."""
    asked = [
        {"id": "a", "question": "Which?", "options": [{"label": "one"}, {"label": "two"}]},
        {"id": "b", "header": "Name"},
    ]
    pause = Pause("item/tool/requestUserInput", flag="waitingOnUserInput", questions=asked)
    client, _ = connected(variant, waiting(pause))
    task = client.poll_task(client.create_task(SPEC).ref)
    client.send_message(task.ref, "two\nAda")

    assert ("Which? (one, two)\nName", ()) == (task.progress, task.permission_requests)
    assert {"answers": {"a": {"answers": ["two"]}, "b": {"answers": ["Ada"]}}} == pause.answer


def test_a_request_that_is_not_known_is_shown_and_not_answered(variant: str) -> None:
    """A request of another kind needs Codex itself: the task waits, and a message is refused."""
    pause = Pause("mcpServer/elicitation/request", flag="waitingOnUserInput")
    client, _ = connected(variant, waiting(pause))
    task = client.poll_task(client.create_task(SPEC).ref)
    with pytest.raises(errors.UnsupportedError, match="only Codex itself"):
        client.send_message(task.ref, "yes")

    assert (TaskState.INPUT_REQUIRED, None) == (task.state, pause.answer)


def test_a_message_continues_a_task_that_has_ended(variant: str) -> None:
    """A message to an idle thread starts another turn, whose end is that of the task."""
    client, emulator = connected(variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    continued = client.send_message(ref, "again")
    client.poll_task(ref)

    assert (TaskState.RUNNING, 2) == (continued.state, len(emulator.threads[ref.id].turns))


def test_an_interrupted_host_is_resumed(variant: str) -> None:
    """A host that was killed leaves its task paused; a message resumes the thread and starts another turn."""
    client, emulator = connected(variant)
    ref = client.create_task(SPEC).ref
    emulator.restart()
    paused = client.poll_task(ref)
    client.send_message(ref, "again")

    assert (TaskState.PAUSED, TaskState.SUCCEEDED) == (paused.state, client.poll_task(ref).state)


def test_a_cancelled_turn_is_interrupted(variant: str) -> None:
    """Cancelling interrupts the turn that runs; where none runs it is a conflict."""
    client, _ = connected(variant)
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)
    with pytest.raises(errors.ConflictError):
        client.cancel_task(ref)

    assert TaskState.CANCELLED == client.get_task(ref).state


def test_a_failed_turn_has_the_host_s_reason(variant: str) -> None:
    """The error of a turn is that of the task, with the host's word; edits that failed are reported."""
    life = waiting(edit("failed"), Failed("the limit is reached", "usageLimitExceeded"))
    client, _ = connected(variant, life)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.FAILED, "usageLimitExceeded: the limit is reached") == (task.state, str(task.error))
    assert ["edits were not made: hello.txt (failed)"] == [notice.text for notice in task.notices]


def test_an_edit_that_succeeds_later_is_no_notice(variant: str) -> None:
    """Only the last edit of a file counts."""
    client, _ = connected(variant, waiting(edit("failed"), edit()))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert () == task.notices


def test_events_are_emitted_as_they_happen_and_can_be_continued(variant: str) -> None:
    """A watch has each item once; a stream that is continued after an event begins with the next one."""
    unknown = Item("hologram", size=3)
    life = waiting(unknown, edit(), Item("agentMessage", text="Done.", phase=None))
    client, _ = connected(variant, life)
    ref = client.create_task(SPEC).ref
    watched = list(client.watch_task(ref))
    streamed = list(client.stream_task(ref))
    rest = list(client.stream_task(ref, after=streamed[1].id))

    assert ["task.started", "task.message", "unknown", "task.tool", "task.message", "task.diff", "task.succeeded"] == [
        event.type for event in watched
    ]
    assert (["1", "2", "3", "4"], ["3", "4"]) == ([event.id for event in streamed], [event.id for event in rest])
    assert ("hologram", 3, "changed hello.txt") == (streamed[1].kind, streamed[1].data["size"], streamed[2].text)


def test_many_tasks_are_watched_over_one_connection(variant: str) -> None:
    """A watch of several threads has the items of each in order and once, and each end, and polls each once by itself."""
    client, emulator = connected(variant, step_seconds=25.0)
    refs = [client.create_task(SPEC).ref for _ in range(3)]
    emulator.requests.clear()
    events = list(client.watch_tasks(refs))
    of_each = [[event.type for event in events if event.ref == ref] for ref in refs]
    opened = [request for request in emulator.requests if request.channel is not None]

    expected = ["task.started", "task.message", "task.tool", "task.tool", "task.message", "task.diff", "task.succeeded"]

    assert [expected] * 3 == of_each
    assert (3, 3) == (len(emulator.seen("get_task")), len(calls(emulator, "thread/resume")))
    assert len(opened) < 10


def test_a_cut_connection_of_many_tasks_repeats_and_loses_nothing(variant: str) -> None:
    """After a cut the watch reads the items again, and emits those that came meanwhile and no other twice."""

    def life(prompt: str) -> Iterable[Step]:
        for step in ordinary_turn(prompt):
            yield step
            emulator.cut()

    client, emulator = connected(variant, life, step_seconds=25.0)
    refs = [client.create_task(SPEC).ref for _ in range(2)]
    events = list(client.watch_tasks(refs))
    shown = {ref: [(event.type, event.text or "") for event in events if event.ref == ref] for ref in refs}

    expected = [
        ("task.started", ""),
        ("task.message", SPEC.prompt),
        ("task.tool", "/bin/bash -lc 'make test'"),
        ("task.tool", "changed hello.txt"),
        ("task.message", "All done."),
        ("task.diff", ""),
        ("task.succeeded", ""),
    ]

    assert dict.fromkeys(refs, expected) == shown


def test_lists_show_how_tasks_ended(variant: str) -> None:
    """A list has the state of each task, and the archived ones where they are asked for."""
    client, _ = connected(variant)
    done = client.poll_task(client.create_task(SPEC).ref).ref
    archived = client.create_task(SPEC).ref
    client.archive_task(archived)
    running = client.create_task(SPEC).ref

    def listed(filter: str) -> list[tuple[str, TaskState]]:
        return [(task.id, task.state) for task in client.list_tasks(filter=filter)]

    assert [(running.id, TaskState.RUNNING), (done.id, TaskState.SUCCEEDED)] == listed("current")
    assert [archived.id] == [id for id, _ in listed("archived")]
    assert 3 == len(listed("all"))


def test_waiting_for_many_tasks_reads_pages(variant: str) -> None:
    """Forty tasks are waited for with a request a page, and one for each that has ended."""
    client, emulator = connected(variant, step_seconds=60.0)
    refs = [client.create_task(SPEC).ref for _ in range(40)]
    emulator.requests.clear()
    ended = list(client.poll_tasks(refs))

    assert (40, 40) == (len(ended), len(emulator.seen("get_task")))
    assert len(emulator.seen("list_tasks")) < 100


def test_a_deleted_task_is_gone_with_its_checkout(variant: str) -> None:
    """Deleting removes the thread, and the checkout only where it was made for a task."""
    client, emulator = connected(variant)
    ref = client.create_task(msgspec.structs.replace(SPEC, key="gone")).ref
    client.delete_task(ref)
    removed = emulator.commands[-1]["command"][4:]
    with pytest.raises(errors.NotFoundError):
        client.get_task(ref)

    assert ["/home/codex/.codex/coatcheck", "gone"] == removed


def test_usage_is_that_of_the_host_s_login(variant: str) -> None:
    """Limits are those of the account on the host; without one there is no usage."""
    limits = {"planType": "pro", "primary": {"usedPercent": 12.5, "windowDurationMins": 300, "resetsAt": 1795875635}}
    client, _ = connected(variant, rate_limits=limits)
    usage = client.get_usage()
    without, _ = connected(variant)
    with pytest.raises(errors.UnsupportedError, match="not logged in"):
        without.get_usage()
    (window,) = usage.rate_limit.windows

    assert ("pro", 12.5, 18000) == (usage.plan, window.used_percent, window.seconds)


def test_models_are_those_of_the_host(variant: str) -> None:
    """The host lists its models, with their efforts; hidden ones are not listed."""
    client, emulator = connected(variant)
    models = client.list_models()

    assert [("gpt-test", ("low", "high"), True), ("old", ("low", "high"), False)] == [
        (model.id, model.reasoning, model.is_listed) for model in models
    ]
    assert 1 == len(emulator.seen("list_models"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TaskSpec(prompt="p"), "no repository is given"),
        (TaskSpec(prompt="p", repository="../.."), "is not a repository"),
        (TaskSpec(prompt="p", environment="repo"), "is not a path on the host"),
        (TaskSpec(prompt="p", environment="/repo", branch="--upload-pack=x"), "is not a branch"),
    ],
)
def test_a_repository_that_cannot_be_named_is_refused_here(variant: str, spec: TaskSpec, message: str) -> None:
    """What cannot be a repository or a branch is an error before anything is sent."""
    client, emulator = connected(variant)
    with pytest.raises(errors.ConfigurationError, match=message):
        client.create_task(spec)

    assert [] == emulator.requests


def test_a_wrong_token_is_an_error_of_the_login(variant: str) -> None:
    """A host that refuses the token raises `AuthenticationError` with what to set."""
    client, emulator = connected(variant)
    emulator.token = "another"
    with pytest.raises(errors.AuthenticationError) as caught:
        client.get_task("x")

    assert "CODEX_APP_SERVER_TOKEN" in str(caught.value.remedy)


def test_a_program_streams_nothing() -> None:
    """A program serves one call at a time, so it has no stream, and its channel is that of its command."""
    program = provider(base_url="stdio:", command=("codex", "app-server"))

    assert (False, False) == (
        program.capabilities.has_resumable_stream,
        "stream_events" in {verb.value for verb in program.capabilities.verbs},
    )
    assert Open(command=("codex", "app-server"), is_public=True) == program.service.open()
