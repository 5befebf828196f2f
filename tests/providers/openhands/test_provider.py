from __future__ import annotations

import shlex
import subprocess

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck.cloud.faults import Body, Reset, ResetAfterAccept, Status, StatusAfterAccept, html
from coatcheck.provider import PatchState
from coatcheck.providers.openhands import confirmations, wire
from coatcheck.providers.openhands.endpoints import conversation_id
from coatcheck.testing.emulators.openhands import PROFILE
from coatcheck.testing.emulators.openhands_conversations import BASE, COMMAND, DIFF

from .openhands_support import SPEC, openhands

VARIANTS = ("blocking", "asynchronous")
ALWAYS = {"confirmation": "always"}


def output(exit_code: int, stdout: str = "", stderr: str = "", **options: object) -> Body:
    """Return a fault that makes the shell print this."""
    document = {"exit_code": exit_code, "stdout": stdout, "stderr": stderr}
    return Body(msgspec.json.encode(document), **options)


# -- submitting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fault", [Reset, ResetAfterAccept, StatusAfterAccept], ids=lambda fault: fault.__name__)
def test_a_create_is_repeated_with_the_same_id(variant: str, fault: type) -> None:
    """A create whose answer is lost is sent again with the same id and body, and makes one conversation."""
    client, emulator = openhands(variant, faults=[fault(on="create_task")])
    task = client.create_task(SPEC)
    bodies = {request.body for request in emulator.seen("create_task")}

    assert (1, (task.id,), "Say hello") == (len(bodies), emulator.tasks, task.prompt)


def test_a_key_is_one_conversation() -> None:
    """Two submissions with one key are one task, which has its result if it has ended meanwhile."""
    client, emulator = openhands()
    spec = msgspec.structs.replace(SPEC, key="nightly-7")
    first = client.poll_task(client.create_task(spec).ref)
    again = client.create_task(spec)

    assert ((conversation_id("nightly-7"),), DIFF) == (emulator.tasks, bytes(again.outcome.patch))
    assert (first.ref, first.state) == (again.ref, again.state)


def test_the_body_of_a_create() -> None:
    """Options are sent by the server's names; no key of a model is sent, and the server makes no title where one is given."""
    client, emulator = openhands(settings={"confirmation": "risky", "clone_url": "https://forge.test/{repository}"})
    spec = TaskSpec(
        prompt="p", repository="o/r", branch="v1", title="t", model="default", instructions="Be brief.", key="k"
    )
    task = client.create_task(spec)
    body = msgspec.json.decode(emulator.seen("create_task")[0].body)

    assert {
        "conversation_id": conversation_id("k"),
        "agent_profile_id": PROFILE,
        "agent_launch_additions": {"llm_profile_ref": "default", "system_message_suffix_append": "Be brief."},
        "workspace": {"kind": "LocalWorkspace", "working_dir": "/srv/checkouts/1"},
        "confirmation_policy": {"kind": "ConfirmRisky"},
        "autotitle": False,
        "tags": {"coatcheckrepository": "o/r", "coatcheckbranch": "v1"},
        "initial_message": {"role": "user", "content": [{"type": "text", "text": "p"}], "run": True},
    } == body
    assert ("t", "o/r", "v1") == (client.get_task(task.ref).title, task.repository, task.branch)
    assert "https://forge.test/o/r v1" in emulator.commands[0]


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (TaskSpec(prompt="p"), {}, "no repository is given"),
        (TaskSpec(prompt="p", repository="../r"), {}, "'../r' is not a repository"),
        (TaskSpec(prompt="p", environment="elsewhere"), {}, "elsewhere"),
        (TaskSpec(prompt="p", environment="/srv/app", branch="-x"), {}, "'-x' is not a branch"),
        (TaskSpec(prompt="p", environment="/srv/app", title="x" * 201), {}, "a title of 201 characters"),
        (TaskSpec(prompt="p", environment="/srv/app", title=" "), {}, "a title of 1 characters"),
        (SPEC, {"agent_profile": "none"}, "no agent profile 'none'"),
    ],
)
def test_a_task_that_cannot_be_submitted(spec: TaskSpec, settings: dict[str, str], message: str) -> None:
    """What cannot be submitted is an error that names it, and nothing is created."""
    client, emulator = openhands(settings=settings, workspaces={"app": "/srv/app"})
    with pytest.raises(errors.ConfigurationError, match=message):
        client.create_task(spec)

    assert ((), []) == (emulator.tasks, emulator.commands)


def test_an_environment_is_found_by_its_name() -> None:
    """A folder that is saved on the server is named instead of its path."""
    client, _ = openhands(workspaces={"app": "/srv/app", "other": "/srv/other"})
    task = client.create_task(TaskSpec(prompt="p", environment="app"))
    listed = client.list_tasks(environment="/srv/app")

    assert ("/srv/app", [task.ref]) == (task.environment, [each.ref for each in listed])


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (output(64, on="run_command"), errors.ConfigurationError, "/srv/app is not a git repository"),
        (output(65, on="run_command"), errors.ConfigurationError, "/srv/app has no branch 'HEAD'"),
        (output(1, stderr="x\nfatal: no space\n", on="run_command"), errors.ConfigurationError, "fatal: no space"),
        (output(-1, on="run_command"), errors.ConfigurationError, "it was stopped after 280 seconds"),
        (output(0, on="run_command"), errors.ConfigurationError, "made no checkout of /srv/app"),
        (Reset(on="run_command", times=None), errors.TransportError, "connection"),
        (Status(500, on="run_command", times=None), errors.ProviderUnavailableError, "500"),
        (html(on="run_command", times=None), errors.UnreadableResponseError, "text/html"),
    ],
    ids=["no repository", "no branch", "git fails", "time limit", "no path", "lost", "500", "HTML"],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkout_that_fails_leaves_nothing_in_doubt(
    variant: str, fault: Body, error: type[errors.CoatcheckError], message: str
) -> None:
    """Where there is no checkout no conversation is created, and the error is that of the checkout."""
    client, emulator = openhands(variant, faults=[fault])
    with pytest.raises(error, match=message) as caught:
        client.create_task(SPEC)

    assert (False, []) == (isinstance(caught.value, errors.SubmissionUncertainError), emulator.seen("create_task"))


# -- results -----------------------------------------------------------------------------------------------------------


def test_the_result_of_a_task() -> None:
    """An ended task has its patch with the commit that it is against, its message, its model and what it cost."""
    client, emulator = openhands()
    task = client.poll_task(client.create_task(SPEC).ref)
    outcome = task.outcome

    assert (DIFF, BASE, "Wrote hello.txt.") == (bytes(outcome.patch), outcome.base_commit, outcome.text)
    assert ("openai/gpt-test", 0.01, "Say hello") == (task.model, task.notices[0].cost, task.title)
    assert (DIFF.decode(), 2) == (client.get_current_diff(task.ref), len(emulator.seen("read_change")))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [("error", "LLMAuthenticationError", "the key of the model was refused"), ("stuck", "stuck", "repeats itself")],
)
def test_a_task_that_fails(status: str, code: str, message: str) -> None:
    """A failure has the server's reason, and the change that was made before."""
    client, _ = openhands(life=("idle", "running", status))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.FAILED, code, DIFF) == (task.state, task.error.code, bytes(task.outcome.patch))
    assert message in task.error.message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (output(128, stderr="fatal: not a git repository\n", on="read_change"), "fatal: not a git repository"),
        (output(0, "base 9\nYQ==\n", on="read_change"), "1 of its 9 bytes were sent"),
        (output(0, "base 9\nYQ\n", on="read_change"), "0 of its 9 bytes were sent"),
        (Status(422, on="read_change"), "HTTP 422"),
    ],
    ids=["no repository", "cut", "cut inside", "422"],
)
def test_a_change_that_cannot_be_read(fault: Body, reason: str) -> None:
    """A change that cannot be read is a notice with the reason; the task has succeeded."""
    client, _ = openhands(faults=[fault])
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, None, "no_result") == (task.state, task.outcome.patch, task.notices[0].kind)
    assert reason in task.notices[0].text


def test_a_change_on_an_older_server() -> None:
    """Where conversations have no shell of their own, that of the server reads the change in their folder."""
    client, emulator = openhands(faults=[Status(404, on="read_change", times=None)])
    task = client.poll_task(client.create_task(SPEC).ref)
    body = msgspec.json.decode(emulator.seen("run_command")[-1].body)

    assert (DIFF, "/srv/checkouts/1") == (bytes(task.outcome.patch), body["cwd"])


def test_a_change_that_is_too_large_stays_on_the_server() -> None:
    """A change of more than the limit is named with its place and its size."""
    client, _ = openhands(faults=[output(0, "base 99999999\n", on="read_change")])
    outcome = client.poll_task(client.create_task(SPEC).ref).outcome

    assert (PatchState.OFFLOADED, "/srv/checkouts/1 (99999999 bytes)") == (
        outcome.patch_state,
        outcome.external_file_id,
    )


# -- permissions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("option", ["accept", "reject"])
def test_a_permission_is_decided(variant: str, option: str) -> None:
    """A task waits with the command in full; once decided it continues, and the same decision again is no error."""
    client, emulator = openhands(variant, settings=ALWAYS)
    waiting = client.poll_task(client.create_task(SPEC).ref)
    (request,) = waiting.permission_requests
    for _ in range(2):
        client.decide_permission(waiting.ref, request.id, option)
    other = "reject" if option == "accept" else "accept"
    with pytest.raises(errors.ConflictError):
        client.decide_permission(waiting.ref, request.id, other)
    ended = client.poll_task(waiting.ref)
    kinds = {event["kind"] for event in emulator.conversation(waiting.id).events}

    assert (TaskState.INPUT_REQUIRED, f"run {COMMAND}", "execute") == (waiting.state, request.title, request.kind)
    assert ("A file is missing.\n" + COMMAND + "\nrisk: LOW", TaskState.SUCCEEDED) == (request.detail, ended.state)
    assert (option == "reject") == ("UserRejectObservation" in kinds)


def test_a_message_does_not_approve() -> None:
    """A message to a task that waits for a permission is refused: the server would take it for an approval."""
    client, emulator = openhands(settings=ALWAYS)
    waiting = client.poll_task(client.create_task(SPEC).ref)
    with pytest.raises(errors.ConflictError, match="which a message would take for an approval"):
        client.send_message(waiting.ref, "go on")

    assert (TaskState.INPUT_REQUIRED, []) == (client.get_task(waiting.ref).state, emulator.seen("send_message"))


def test_a_message_to_an_agent_that_may_come_to_wait() -> None:
    """A message to a running agent with confirmations does not start it; one that has ended meanwhile is started."""
    client, emulator = openhands(settings=ALWAYS)
    waiting = client.poll_task(client.create_task(SPEC).ref)
    client.decide_permission(waiting.ref, waiting.permission_requests[0].id, "accept")
    client.send_message(waiting.ref, "and more")
    sent = msgspec.json.decode(emulator.seen("send_message")[0].body)

    assert (False, 1) == (sent["run"], len(emulator.seen("run")))


def test_actions_of_one_step_are_one_permission() -> None:
    """Actions that wait together are one request with all of their texts; those that were answered are not in it."""
    newest = [
        wire.Event(id="3", kind="ActionEvent", tool_name="file_editor", action={"command": "create", "path": "/srv/b"}),
        wire.Event(id="2", kind="ActionEvent", tool_name="terminal", action={"command": "ls\npwd"}),
        wire.Event(id="x", kind="ObservationEvent", action_id="1"),
        wire.Event(id="1", kind="ActionEvent", tool_name="terminal", action={"command": "old"}),
    ]
    request = confirmations.permission(confirmations.pending(newest))

    assert request is not None
    assert ("2", "run ls and 1 more", ("/srv/b",)) == (request.id, request.title, request.paths)
    assert 'ls\npwd\n\n{"command":"create","path":"/srv/b"}' == request.detail


# -- acting on a task --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("settings", [{}, ALWAYS], ids=["running", "waiting"])
def test_a_cancelled_task_has_ended_until_a_message(variant: str, settings: dict[str, str]) -> None:
    """A task that runs or waits is cancelled, in the list as well; a second time is a conflict; a message continues it."""
    client, _ = openhands(variant, settings=settings, life=("idle", "running", "running", "running", "finished"))
    ref = client.create_task(SPEC).ref
    for _ in range(2):
        client.get_task(ref)
    client.cancel_task(ref)
    states = [client.get_task(ref).state, *(each.state for each in client.list_tasks())]
    with pytest.raises(errors.ConflictError, match="has ended"):
        client.cancel_task(ref)
    continued = client.send_message(ref, "go on").state

    assert ([TaskState.CANCELLED] * 2, TaskState.RUNNING) == (states, continued)


def test_a_paused_task_is_not_cancelled() -> None:
    """A pause by somebody else leaves the task paused, and it can be cancelled."""
    client, emulator = openhands(life=("idle", "running", "running", "finished"))
    ref = client.create_task(SPEC).ref
    emulator.conversation(ref.id).pause()
    paused = client.get_task(ref)
    client.cancel_task(ref)

    assert (TaskState.PAUSED, TaskState.CANCELLED) == (paused.state, client.get_task(ref).state)


def test_a_message_starts_another_run() -> None:
    """A message to a task that has ended starts its agent again, with another model where one is named."""
    client, emulator = openhands()
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    task = client.send_message(ref, "And tests", model="default")
    body = msgspec.json.decode(emulator.seen("switch_model")[0].body)

    assert (TaskState.RUNNING, {"profile_name": "default"}) == (task.state, body)
    assert TaskState.SUCCEEDED == client.poll_task(ref).state


def test_a_conversation_without_a_message_waits_for_one() -> None:
    """A conversation that others have created without a message needs input."""
    client, emulator = openhands()
    ref = client.create_task(SPEC).ref
    known = emulator.conversation(ref.id)
    known.last_message, known.events[1:] = None, []

    assert TaskState.INPUT_REQUIRED == client.get_task(ref).state


def test_a_deleted_task_leaves_no_checkout() -> None:
    """A deletion removes the conversation and the checkout that has its id, and no other folder."""
    client, emulator = openhands()
    ours, other = (client.create_task(msgspec.structs.replace(SPEC, key=key)).ref for key in "ab")
    emulator.conversation(ours.id).asked["workspace"]["working_dir"] = f"/srv/checkouts/{ours.id}"
    emulator.commands.clear()
    for ref in (ours, other):
        client.delete_task(ref)

    assert ((), 1) == (emulator.tasks, len(emulator.commands))
    assert f"coatcheck /srv/checkouts {ours.id}" in emulator.commands[0]


def test_unknown_tasks_and_wrong_keys() -> None:
    """An unknown task is not found, what is no id is named, and a key that is refused is an error of the login."""
    client, emulator = openhands()
    with pytest.raises(errors.NotFoundError):
        client.get_task(f"openhands:{conversation_id('none')}")
    with pytest.raises(errors.ConfigurationError, match="'none' is not the id of a conversation"):
        client.get_task("openhands:none")
    emulator.token = "another"
    with pytest.raises(errors.AuthenticationError):
        client.list_models()

    assert 2 == len(emulator.requests)


def test_a_model_that_is_not_stored() -> None:
    """A model that the server does not have is an error with its remedy, and leaves no checkout and no doubt."""
    client, emulator = openhands()
    with pytest.raises(errors.InvalidRequestError, match="LLM profile 'x' not found") as refused:
        client.create_task(msgspec.structs.replace(SPEC, model="x"))
    with pytest.raises(errors.ConfigurationError, match="the server has no model 'x'"):
        client.send_message(client.create_task(SPEC).ref, "more", model="x")

    assert ("coatcheck models --provider openhands" in refused.value.remedy, 1) == (True, len(emulator.tasks))


def test_a_full_server_is_a_rate_limit() -> None:
    """A server without a free run answers 429, and the create is sent again."""
    client, emulator = openhands(faults=[Status(429, on="create_task", times=2)])

    assert (client.create_task(SPEC).id,) == emulator.tasks


def test_the_command_of_a_checkout_is_one_for_any_text() -> None:
    """A shell reads the arguments of a checkout as they are, whatever characters they contain."""
    client, emulator = openhands(settings={"workspaces": "/tmp/it's $HOME"})
    client.create_task(TaskSpec(prompt="p", environment="/srv/a b;'$(x)", branch="f'o;o"))
    words = shlex.split(emulator.commands[0])
    arguments = words[words.index("coatcheck") + 1 : words.index("&&")]
    ran = subprocess.run(["sh", "-n", "-c", emulator.commands[0]], check=False)

    assert (["/srv/a b;'$(x)", "", "f'o;o"], 0) == (arguments[2:], ran.returncode)
    assert "/tmp/it's $HOME" == arguments[0]
