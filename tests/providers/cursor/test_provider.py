from __future__ import annotations

import json

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck.cloud.faults import Body, Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept, html
from coatcheck.provider import PatchState
from coatcheck.providers.cursor.endpoints import agent_id
from coatcheck.testing.emulators.cursor import PUBLIC, CodedRefusal, find_route
from coatcheck.testing.emulators.cursor_runs import DIFF

from .cursor_support import SPEC, cursor

VARIANTS = ("blocking", "asynchronous")


# -- submitting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fault", [Reset, ResetAfterAccept, StatusAfterAccept], ids=lambda fault: fault.__name__)
def test_a_create_is_repeated_with_the_same_id(variant: str, fault: type) -> None:
    """A create whose answer is lost is sent again with the same id and body, and makes one agent."""
    client, emulator = cursor(variant, faults=[fault(on="create_task")])
    task = client.create_task(SPEC)
    bodies = {request.body for request in emulator.seen("create_task")}

    assert (1, (task.id,), "Say hello") == (len(bodies), emulator.tasks, task.prompt)


def test_a_key_is_one_agent() -> None:
    """Two submissions with one key are one task, and their agent's id follows from the key."""
    client, emulator = cursor()
    tasks = [client.create_task(msgspec.structs.replace(SPEC, key="nightly-7")) for _ in range(2)]

    assert [agent_id("nightly-7")] * 2 + [agent_id("nightly-7")] == [task.id for task in tasks] + list(emulator.tasks)


def test_the_body_of_a_create() -> None:
    """Options are sent by the service's names, the branch as it was named, and nothing that was not set."""
    client, emulator = cursor()
    spec = TaskSpec(
        prompt="p",
        repository="git@github.com:o/r.git",
        branch="v1",
        title="t",
        model="m",
        open_pull_request=True,
        key="k",
    )
    client.create_task(spec)
    client.create_task(TaskSpec(prompt="p", repository="o/r", key="l"))
    sent = [msgspec.json.decode(request.body) for request in emulator.seen("create_task")]
    full = {"name": "t", "model": {"id": "m"}, "autoCreatePR": True}
    repository = {"url": "https://github.com/o/r"}

    assert [
        {"agentId": agent_id("k"), "prompt": {"text": "p"}, "repos": [repository | {"startingRef": "v1"}], **full},
        {"agentId": agent_id("l"), "prompt": {"text": "p"}, "repos": [repository]},
    ] == sent


def test_a_title_that_is_too_long_is_refused() -> None:
    """A title of more than a hundred characters is an error before any request."""
    client, emulator = cursor()
    with pytest.raises(errors.ConfigurationError, match="101 characters"):
        client.create_task(msgspec.structs.replace(SPEC, title="x" * 101))

    assert [] == emulator.requests


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", [True, None], ids=["pull request", "branch"])
def test_the_diff_of_a_public_repository(pull: bool | None) -> None:
    """An ended task has the diff of its pull request or branch, which GitHub serves without the key."""
    client, emulator = cursor(files={"notes.md": b"done\n", "shot.png": b"\x89PNG\x00", "big.log": b"x" * 1_000_001})
    task = client.poll_task(client.create_task(msgspec.structs.replace(SPEC, open_pull_request=pull)).ref)
    outcome = task.outcome
    sent_key = {find_route(request)[0] for request in emulator.requests if dict(request.headers).get("authorization")}

    assert (TaskState.SUCCEEDED, DIFF, "Wrote hello.txt.") == (task.state, bytes(outcome.patch), outcome.text)
    assert ("cursor/say-hello", 7 if pull else None) == (outcome.pull_request.branch, outcome.pull_request.number)
    assert [("notes.md", "done\n"), ("shot.png", None), ("big.log", None)] == [
        (f.path, f.content) for f in outcome.files
    ]
    assert (0.05, set()) == (task.notices[0].cost, sent_key & PUBLIC)


@pytest.mark.parametrize(
    ("repository", "faults", "reason"),
    [
        ("https://gitlab.com/owner/repo", [], "it is not on github.com"),
        ("owner/private", [], "GitHub does not serve it"),
        ("owner/repo", [Status(403, on="get_diff", times=None)], "GitHub does not serve it"),
    ],
    ids=["other host", "private", "refused"],
)
def test_a_diff_that_is_not_served(repository: str, faults: list[Status], reason: str) -> None:
    """A diff that cannot be read is named with its branch and the command that reads it; the task has succeeded."""
    client, _ = cursor(faults=faults)
    task = client.poll_task(client.create_task(TaskSpec(prompt="p", environment=repository, branch="main")).ref)
    notice = task.notices[0]

    assert (TaskState.SUCCEEDED, PatchState.OFFLOADED) == (task.state, task.outcome.patch_state)
    assert ("no_result", True, True) == (
        notice.kind,
        reason in notice.text,
        "git fetch origin cursor/say" in notice.text,
    )


def test_a_task_without_files_and_usage() -> None:
    """An account without usage, and an agent without a repository, have a complete task."""
    client, emulator = cursor(
        has_usage=False, faults=[CodedRefusal(status=404, reason="artifact_not_found", on="list_files")]
    )
    task = client.poll_task(client.create_task(TaskSpec(prompt="p")).ref)

    assert (TaskState.SUCCEEDED, (), (), PatchState.NONE, []) == (
        task.state,
        task.notices,
        task.outcome.files,
        task.outcome.patch_state,
        emulator.seen("get_diff"),
    )


@pytest.mark.parametrize(
    "url", ["", "/files", "ftp://host/x", "http://[", "http://169.254.169.254/x", "https://host:x/", "https://h\nost/"]
)
def test_addresses_of_files_that_are_refused(url: str) -> None:
    """An address of a file that is no https URL is not requested, and the task is complete without the file."""
    client, emulator = cursor(
        files={"a.txt": b"a"}, faults=[Body(json.dumps({"url": url}).encode(), on="get_file_url")]
    )
    task = client.poll_task(client.create_task(SPEC).ref)
    file = task.outcome.files[0]

    assert ("a.txt", None, []) == (file.path, file.content, emulator.seen("get_file"))
    assert "no https URL" in file.missing_reason


@pytest.mark.parametrize(
    "fault",
    [
        Status(500, on="get_agent_usage", times=None),
        Body(b"<html>", on="get_agent_usage"),
        Body(b"[]", on="get_agent_usage"),
    ],
    ids=["500", "a page", "a list"],
)
def test_usage_that_cannot_be_read(fault: Fault) -> None:
    """A task whose usage cannot be read is complete without it."""
    client, _ = cursor(faults=[fault])
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, DIFF, ()) == (task.state, bytes(task.outcome.patch), task.notices)


@pytest.mark.parametrize(
    ("repository", "url"),
    [
        ("owner/repo", "https://github.com/owner/repo"),
        ("git@github.com:owner/repo.git", "https://github.com/owner/repo"),
        ("https://gitlab.com/group/sub/repo.git", "https://gitlab.com/group/sub/repo"),
        ("https://user:s3cret@gitlab.com/o/r", None),
        ("https://gitlab.com/o/r?token=s3cret", None),
        ("git@gitlab.com:o/r.git", None),
        ("repo", None),
    ],
)
def test_the_repository_that_is_sent(repository: str, url: str | None) -> None:
    """A repository is sent as its https URL, and what may hold a password is refused and not repeated."""
    client, emulator = cursor()
    sent, message = None, ""
    try:
        client.create_task(TaskSpec(prompt="p", environment=repository))
        sent = msgspec.json.decode(emulator.seen("create_task")[0].body)["repos"][0]["url"]
    except errors.ConfigurationError as error:
        message = str(error)

    assert (url, False) == (sent, "s3cret" in message)


def test_a_failed_run_says_why() -> None:
    """The error of a run is the failure of the task, and a run that expired is expired."""
    ends = []
    for life in (("ERROR",), ("EXPIRED",), ("CANCELLED",)):
        client, _ = cursor(life=life)
        task = client.get_task(client.create_task(SPEC).ref)
        ends.append((task.state, str(task.error)))

    assert [
        (TaskState.FAILED, "agent_failed: the agent failed"),
        (TaskState.EXPIRED, "EXPIRED"),
        (TaskState.CANCELLED, "None"),
    ] == ends


# -- polling -----------------------------------------------------------------------------------------------------------


def test_a_poll_of_a_running_task_is_one_request() -> None:
    """Each poll requests the newest run alone, and the last one the rest of the task."""
    client, emulator = cursor(
        life=("CREATING", *["RUNNING"] * 4, "FINISHED"),
        faults=[CodedRefusal(status=503, reason="x", on="stream_task", times=None)],
    )
    ref = client.create_task(SPEC).ref
    client.poll_tasks([ref])
    names = [find_route(request)[0] for request in emulator.requests][1:]

    assert [
        *["list_runs"] * 5,
        "get_task",
        "get_repository",
        "get_diff",
        "list_files",
        "get_agent_usage",
    ] == names


def test_the_requests_of_watching_several_tasks() -> None:
    """Several running tasks are polled at most twelve times each in ten minutes, a tenth of every five seconds."""
    client, emulator = cursor(step_seconds=600.0)
    refs = [client.create_task(SPEC).ref for _ in range(3)]
    emulator.requests.clear()
    with pytest.raises(errors.WaitTimeoutError):
        client.poll_tasks(refs, timeout=600)

    assert len(emulator.requests) <= 12 * len(refs)


def test_a_message_starts_another_run() -> None:
    """A wait that has polled one run goes on with the run that a message starts."""
    client, _ = cursor()
    ref = client.create_task(SPEC).ref
    first = client.poll_task(ref)
    again = client.send_message(ref, "and the world")
    last = client.poll_task(ref)

    assert [TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.SUCCEEDED] == [first.state, again.state, last.state]


def test_the_list_has_archived_agents_where_wanted() -> None:
    """Each filter lists its agents, by pages, and of one repository where that is wanted."""
    client, _ = cursor()
    refs = [client.create_task(TaskSpec(prompt="p", repository=f"o/{name}")).ref for name in "aab"]
    client.archive_task(refs[0])
    listed = {
        filter: [task.ref for task in client.list_tasks(filter=filter)] for filter in ("current", "archived", "all")
    }
    of_a = [task.ref for task in client.list_tasks(filter="all", environment="o/a")]

    assert {"current": refs[:0:-1], "archived": refs[:1], "all": refs[::-1]} == listed
    assert refs[1::-1] == of_a


# -- acting ------------------------------------------------------------------------------------------------------------


def test_cancelling_and_deleting() -> None:
    """A running task is cancelled, an ended one is not, and a deleted one is unknown."""
    client, _ = cursor()
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)
    state = client.get_task(ref).state
    with pytest.raises(errors.ConflictError) as ended:
        client.cancel_task(ref)
    client.delete_task(ref)
    with pytest.raises(errors.NotFoundError) as deleted:
        client.get_task(ref)

    assert (TaskState.CANCELLED, f"its run has ended; see: coatcheck show {ref}") == (state, ended.value.remedy)
    assert "it was deleted" in str(deleted.value.remedy)


def test_messages_that_are_refused() -> None:
    """A message while a run is active, and one to an archived agent, name what to do."""
    client, _ = cursor()
    ref = client.create_task(SPEC).ref
    remedies = []
    for act in (lambda: None, lambda: client.archive_task(ref)):
        act()
        with pytest.raises(errors.ConflictError) as refused:
            client.send_message(ref, "more")
        remedies.append(refused.value.remedy)
    client.unarchive_task(ref)

    assert [
        f"wait for its run to end, or stop it: coatcheck cancel {ref}",
        f"take it back first: coatcheck unarchive {ref}",
    ] == remedies
    assert False is client.get_task(ref).is_archived


@pytest.mark.parametrize(
    ("status", "reason", "kind", "remedy"),
    [
        (400, "invalid_model", errors.InvalidRequestError, "coatcheck models --provider cursor"),
        (400, "repository_required", errors.InvalidRequestError, "--repo OWNER/REPO"),
        (401, "unauthorized", errors.AuthenticationError, "CURSOR_API_KEY"),
        (403, "plan_required", errors.PermissionDeniedError, "paid plan"),
        (403, "repository_access", errors.PermissionDeniedError, "coatcheck environments"),
        (429, "usage_limit_exceeded", errors.RateLimitError, "limit of the plan"),
    ],
)
def test_refused_submissions(status: int, reason: str, kind: type[errors.ProviderError], remedy: str) -> None:
    """A refused submission is the error of its status with the remedy of its code, and creates nothing."""
    client, emulator = cursor(faults=[CodedRefusal(status=status, reason=reason, on="create_task", times=None)])
    with pytest.raises(kind) as refused:
        client.create_task(SPEC)

    assert (True, ()) == (remedy in str(refused.value.remedy), emulator.tasks)


def test_the_page_that_the_service_names() -> None:
    """The page of a refusal is its remedy, unless it is no https address of printable characters."""
    remedies = []
    for url in ("https://cursor.com/integrations", "javascript:alert(1)", "https://x\x1b[2J"):
        fault = CodedRefusal(status=403, reason="integration_not_connected", help_url=url, on="create_task")
        client, _ = cursor(faults=[fault])
        with pytest.raises(errors.PermissionDeniedError) as refused:
            client.create_task(SPEC)
        remedies.append(refused.value.remedy)

    assert [
        "see https://cursor.com/integrations",
        *["connect the code host of the repository: https://cursor.com/dashboard"] * 2,
    ] == remedies


def test_a_page_of_html_is_unreadable() -> None:
    """A web page in place of JSON is an error that says so."""
    client, _ = cursor(faults=[html(on="list_models")])
    with pytest.raises(errors.UnreadableResponseError, match="text/html instead of JSON"):
        client.list_models()


def test_models_and_repositories() -> None:
    """Models and repositories are listed; one repository is chosen by its name or its remote."""
    client, _ = cursor()
    every = [environment.label for environment in client.list_environments()]
    one = [environment.id for environment in client.list_environments(repository="git@github.com:owner/repo.git")]

    assert (["composer-2", "gpt-test"], ["owner/repo", "owner/empty"], ["https://github.com/owner/repo"]) == (
        [model.id for model in client.list_models()],
        every,
        one,
    )
