"""Requests to GitHub's coding agent, and how its responses are read.

Sections are those of docs/reference/protocols/services.md.
"""

from __future__ import annotations

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck.cloud.faults import Reset, Status
from coatcheck.testing.both_clients import VARIANTS
from coatcheck.testing.emulators.github_runs import PATCH

from .agent_support import SPEC, agent, provider, recorded


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def kinds(task: object) -> list[str]:
    """Return the kinds of the notices."""
    return [notice.kind for notice in task.notices]  # type: ignore[attr-defined]


# -- submitting --------------------------------------------------------------------------------------------------------


def test_a_task_is_one_post(variant: str) -> None:
    """The branch is the repository's default; fields that are not set are not sent."""
    client, github = agent(variant)
    task = client.create_task(SPEC)
    (sent,) = github.seen("create_task")

    assert ("/agents/repos/owner/repo/tasks", {"prompt": "Say hello", "base_ref": "main"}) == (
        sent.path,
        msgspec.json.decode(sent.body),
    )
    assert (TaskState.QUEUED, "owner/repo", "main") == (task.state, task.environment, task.branch)


def test_what_is_requested_has_the_services_words(variant: str) -> None:
    """Model, branches, a pull request, and an agent of the repository's own."""
    client, github = agent(variant, settings={"custom_agent": "tidy", "repository": "owner/repo"})
    client.create_task(TaskSpec(prompt="p", branch="next", model="m", working_branch="w", open_pull_request=False))
    (sent,) = github.seen("create_task")

    assert {
        "prompt": "p",
        "base_ref": "next",
        "model": "m",
        "head_ref": "w",
        "create_pull_request": False,
        "custom_agent": "tidy",
    } == msgspec.json.decode(sent.body)


# -- what a task made --------------------------------------------------------------------------------------------------


def test_the_number_of_a_pull_request_is_requested_of_its_node(variant: str) -> None:
    """The task names a node and no number; the diff is the pull request's, and a lost answer is requested again.

    See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
    """
    client, github = agent(variant, pull="PR_7")
    github.add_pull(7, branch="copilot/x", diff=PATCH.encode())
    github.faults.append(Reset(on="graphql"))
    task = client.poll_task(client.create_task(SPEC).ref)
    (pull,) = task.pull_requests

    assert (7, "https://github.com/owner/repo/pull/7", "copilot/x", "main", "open") == (
        pull.number,
        pull.url,
        pull.branch,
        pull.base,
        pull.state,
    )
    assert (PATCH, 1, []) == (str(task.outcome.patch), task.stats.files, kinds(task))


@pytest.mark.parametrize("has_global_id", [False, True])
def test_without_its_node_it_is_found_by_the_branch(variant: str, *, has_global_id: bool) -> None:
    """The branch is used where the task has no node, or GraphQL does not find it."""
    client, github = agent(variant, pull="PR_unknown", has_global_id=has_global_id)
    task = client.create_task(SPEC)
    github.add_pull(9, branch=f"copilot/{task.ref.id[:8]}", diff=PATCH.encode())

    assert [9] == [pull.number for pull in client.poll_task(task.ref).pull_requests]


def test_a_branch_alone_is_compared_with_its_base(variant: str) -> None:
    """Without a pull request, the change is that of the branch."""
    client, github = agent(variant)
    task = client.create_task(SPEC)
    github.compares[f"main...copilot/{task.ref.id[:8]}"] = PATCH.encode()
    ended = client.poll_task(task.ref)

    assert (PATCH, ()) == (str(ended.outcome.patch), ended.pull_requests)
    assert [] == github.seen("graphql") + github.seen("list_pulls")


def test_a_task_without_changes_has_a_notice(variant: str) -> None:
    """No pull request, no change."""
    client, _ = agent(variant)

    assert ["nothing_made"] == kinds(client.poll_task(client.create_task(SPEC).ref))


def test_a_poll_while_it_works_is_one_request(variant: str) -> None:
    """The result is requested at the end."""
    client, github = agent(variant, states=("queued", "in_progress", "in_progress"), pull="PR_7")
    ref = client.create_task(SPEC).ref
    before = len(github.requests)
    client.get_task(ref)

    assert 1 == len(github.requests) - before


@pytest.mark.parametrize("state", ["idle", "waiting_for_user"])
def test_a_task_that_needs_input_ends_the_wait(variant: str, state: str) -> None:
    """It needs input on its page, since the API accepts no reply; its outcome so far is shown."""
    client, github = agent(variant, states=("queued", state), pull="PR_7")
    github.add_pull(7, branch="x", diff=PATCH.encode())
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.INPUT_REQUIRED, state, ["waits_on_page"]) == (task.state, task.raw_state, kinds(task))
    assert PATCH == str(task.outcome.patch)


def test_a_failed_task_has_its_error(variant: str) -> None:
    """The error is that of the newest session."""
    client, _ = agent(variant, states=("queued", "failed"), error="no runner")
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.FAILED, "failed: no runner") == (task.state, str(task.error))


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        ({"type": "ai_credits", "amount": 1_549_999_999}, "it used 1.5 AI credits"),
        ({"type": "premium_requests", "amount": 1.5}, "it used 1.5 premium requests"),
    ],
)
def test_what_it_used_is_a_notice(variant: str, usage: dict[str, object], text: str) -> None:
    """Credits come in billionths."""
    client, _ = agent(variant, usage=usage)
    task = client.get_task(client.create_task(SPEC).ref)

    assert [text] == [notice.text for notice in task.notices]


def test_all_sessions_are_summed_before_they_are_rounded() -> None:
    """Three times 0.04 is 0.1."""
    document = msgspec.json.decode(recorded("agent_task"))
    document["sessions"][0]["usage"]["amount"] = 40_000_000
    document["sessions"] = [*document["sessions"] * 3]
    task = provider().extract_response(msgspec.json.encode(document), None)

    assert "it used 0.1 AI credits" in [notice.text for notice in task.notices]


# -- lists -------------------------------------------------------------------------------------------------------------


def test_lists_are_of_a_repository_or_of_everything(variant: str) -> None:
    """Newest first, archived ones where they are requested."""
    client, github = agent(variant)
    refs = [client.create_task(TaskSpec(prompt="p", repository=each)).ref for each in ("owner/a", "owner/b", "owner/a")]
    github.agents.tasks[0].is_archived = True

    assert [refs[2], refs[1]] == [task.ref for task in client.list_tasks()]
    assert [refs[2]] == [task.ref for task in client.list_tasks(environment="owner/a")]
    assert [refs[0]] == [task.ref for task in client.list_tasks(filter="archived")]
    assert [refs[2], refs[1], refs[0]] == [task.ref for task in client.list_tasks(filter="all")]


def test_many_tasks_are_reported_by_pages(variant: str) -> None:
    """A page has the states, and only stopped tasks are polled by themselves."""
    client, github = agent(variant, states=("queued",))
    refs = [client.create_task(SPEC).ref for _ in range(5)]
    for task in github.agents.tasks:
        task.state = "completed"

    assert set(refs) == {task.ref for task in client.poll_tasks(refs)}
    assert 1 == len(github.seen("list_tasks"))


def test_usage_is_of_the_api(variant: str) -> None:
    """The quota of the agent is not reported."""
    client, _ = agent(variant)

    assert 5000 == client.get_usage().window("core").limit


def test_models_are_those_of_the_description(variant: str) -> None:
    """With the day on which they were read."""
    client, _ = agent(variant)

    assert ("claude-sonnet-4.6", "2026-11-20") == (client.list_models()[0].id, client.list_models()[0].as_of)


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "a user with Copilot Business or Enterprise"),
        (403, "the permission agent_tasks=write"),
        (404, "that the agent is enabled for it and for you"),
    ],
)
def test_refusals_name_the_requirements(variant: str, status: int, remedy: str) -> None:
    """The service's refusals do not name them."""
    client, github = agent(variant)
    github.faults.append(Status(status, on="create_task"))
    with pytest.raises(errors.ProviderError) as caught:
        client.create_task(SPEC)

    assert remedy in (caught.value.remedy or "")


def test_a_missing_permission_is_named(variant: str) -> None:
    """A header of the response names it."""
    client, github = agent(variant)
    header = (("x-accepted-github-permissions", "agent_tasks=write"),)
    github.faults.append(Status(403, on="create_task", headers=header))
    with pytest.raises(errors.PermissionDeniedError) as caught:
        client.create_task(SPEC)

    assert "the token needs the permission agent_tasks=write" == caught.value.remedy


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("cancel_task", "the API cannot stop a task; its page can"),
        ("send_message", "the API takes no reply; a task that waits for one is answered on its page"),
    ],
)
def test_what_the_api_cannot_do_is_declared(variant: str, verb: str, reason: str) -> None:
    """Unsupported verbs make no request."""
    client, github = agent(variant)
    with pytest.raises(errors.UnsupportedError, match=reason):
        getattr(client, verb)("copilot:x", *(["more"] if verb == "send_message" else []))

    assert [] == github.requests


def test_a_repository_is_needed(variant: str) -> None:
    """Without a repository nothing is requested."""
    client, github = agent(variant)
    with pytest.raises(errors.ConfigurationError, match="no repository configured"):
        client.create_task("p")

    assert [] == github.requests


def test_a_server_has_no_agent() -> None:
    """An enterprise server is refused before any request."""
    with pytest.raises(errors.ConfigurationError, match="GitHub Enterprise Server has no coding agent"):
        provider(base_url="https://github.example.com")


@pytest.mark.parametrize("artifact", [{"type": "pull", "data": {"head_ref": "x", "base_ref": "y"}}, {"type": "pull"}])
def test_an_artifact_of_another_form_is_ignored(artifact: dict[str, object]) -> None:
    """Alternatives of the description are accepted in any order.

    See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
    """
    document = {**msgspec.json.decode(recorded("agent_task")), "artifacts": [artifact]}

    assert TaskState.SUCCEEDED is provider().extract_response(msgspec.json.encode(document), None).state
