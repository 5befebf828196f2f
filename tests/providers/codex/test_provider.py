from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from coatcheck import TaskRef, TaskSpec, TaskState, __version__, errors
from coatcheck._engine.optional_methods import prepare_spec
from coatcheck._engine.submit import checked
from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.login_contract import Secret
from coatcheck._protocol.provider import Support
from coatcheck._protocol.registry import load
from coatcheck.providers.codex.provider import CAPABILITIES

from .exchange_support import PROVIDER, Stream, answer, answer_exchange, recorded

TASK = "task_e_00000000000000000000000000000002"
REF = TaskRef("codex", TASK)
TURN = f"{TASK}~assttrn_e_00000000000000000000000000000001"
SECOND = f"{TASK}~assttrn_e_00000000000000000000000000000002"
SPEC = TaskSpec(prompt="Add dark mode", environment="e1", branch="main")

ENVIRONMENTS = answer(recorded("environments"))
THREE = answer(recorded("details_completed_pr_three_attempts"))
SIBLINGS = answer(recorded("sibling_turns_of_three_attempts"))
CREATED = answer(recorded("create_response"))
NO_ROUTE = answer({"detail": "Not Found"}, 404)
NO_TASK = answer(recorded("error_404"), 404)


def body_of(spec: TaskSpec) -> str:
    """Return what is posted for *spec*."""
    return answer_exchange(PROVIDER.create_task(spec), CREATED).requests[0].body.decode()


class Settings(dict[str, str]):
    """Settings of one provider, with the variables of its service's own tools."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name) or super().get(variable or "")


# -- who we are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({}, "https://chatgpt.com/backend-api"),
        ({"CODEX_CLOUD_TASKS_BASE_URL": "http://127.0.0.1:1/backend-api"}, "http://127.0.0.1:1/backend-api"),
        ({"base_url": "http://[::1]:2", "CODEX_CLOUD_TASKS_BASE_URL": "http://h"}, "http://[::1]:2"),
    ],
)
def test_our_setting_precedes_the_official_clients(settings: dict[str, str], base: str) -> None:
    """The base URL is ours, else the official client's variable, else the service's."""
    provider = load("codex")(Settings(settings))

    assert ({"api": base}, "codex") == (provider.origins, provider.name)


def test_the_local_cloud_is_the_same_provider_elsewhere() -> None:
    """`local` makes refs of its name and reads its address from the settings."""
    provider = load("local")(Settings(base_url="http://127.0.0.1:1/backend-api/"))
    task = provider.extract_response(recorded("details_failed"), None)

    assert (f"local:{TASK}", f"http://127.0.0.1:1/codex/tasks/{TASK}") == (str(task.ref), task.url)


def test_no_local_cloud_has_a_remedy() -> None:
    """Without an address there is no local cloud, and the error has the command that starts one."""
    with pytest.raises(errors.ConfigurationError) as raised:
        load("local")(Settings())

    assert "coatcheck serve" in str(raised.value.remedy)


def test_every_request_has_our_user_agent() -> None:
    """The user agent is ours, and a body is declared as JSON."""
    request = answer_exchange(PROVIDER.create_task(SPEC), CREATED).requests[0]

    assert {
        "user-agent": f"coatcheck/{__version__}",
        "accept": "application/json",
        "content-type": "application/json",
    } == dict(request.headers)


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        (Secret(token="t"), {"authorization": "Bearer t"}),
        (
            Secret(token="t", account_id="a", is_fedramp=True),
            {"authorization": "Bearer t", "chatgpt-account-id": "a", "x-openai-fedramp": "true"},
        ),
    ],
)
def test_the_secret_and_its_companions_are_headers(secret: Secret, headers: dict[str, str]) -> None:
    """An unknown account is not sent; FedRAMP is sent only where it is true.

    See docs/reference/protocols/codex-wham.md, "1.4 Request headers".
    """
    assert headers == dict(PROVIDER.authorize(Request("GET", "/x"), secret, 0.0).headers)


def test_every_verb_that_is_declared_is_there() -> None:
    """What the capabilities name, the provider has; what only third parties saw is marked."""
    assert all(callable(getattr(PROVIDER, verb)) for verb in CAPABILITIES.verbs)
    assert {Support.DOCUMENTED, Support.OBSERVED} == set(CAPABILITIES.verbs.values())


# -- submitting --------------------------------------------------------------------------------------------------------


def test_the_body_is_the_official_clients() -> None:
    """Byte for byte, keys in the same order, no `metadata` unless something is in it.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    expected = (
        '{"new_task":{"environment_id":"e1","branch":"main","run_environment_in_qa_mode":false},'
        '"input_items":[{"type":"message","role":"user","content":[{"content_type":"text","text":"Add dark mode"}]}]}'
    )

    assert expected == body_of(SPEC)


def test_every_option_has_its_place_in_the_body() -> None:
    """Attempts and model are metadata, ask mode is a flag of the task, a starting patch is an input item."""
    spec = msgspec.structs.replace(SPEC, attempts=3, model="m", mode="ask", starting_diff="diff --git a/x b/x\n")
    sent = json.loads(body_of(spec))

    assert (
        {"environment_id": "e1", "branch": "main", "run_environment_in_qa_mode": True},
        {"type": "pre_apply_patch", "output_diff": {"diff": "diff --git a/x b/x\n"}},
        {"best_of_n": 3, "model_slug": "m"},
    ) == (sent["new_task"], sent["input_items"][1], sent["metadata"])


def test_creating_is_one_post_and_gives_a_created_task() -> None:
    """One POST; its response has the ref, the state, and the counters of the rate limit."""
    returned = answer_exchange(PROVIDER.create_task(SPEC), CREATED)
    task = returned.result

    assert ["POST /wham/tasks"] == returned.lines
    assert task.ref == TaskRef("codex", "task_e_00000000000000000000000000000009")
    assert (TaskState.QUEUED, "pending", "Add dark mode", "e1", 1282.43) == (
        task.state,
        task.raw_state,
        task.prompt,
        task.environment,
        task.rate_limit.remaining,
    )


@pytest.mark.parametrize(
    "body", [{"id": "t"}, {"task": {"id": "t"}}, {"task": {"id": "t"}, "turn": 5}, {"task": 1, "id": "t"}]
)
def test_a_created_task_is_returned_for_an_odd_response(body: object) -> None:
    """The ref is returned although other parts of the response are invalid.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    assert TaskRef("codex", "t") == answer_exchange(PROVIDER.create_task(SPEC), answer(body, 201)).result.ref


@pytest.mark.parametrize("body", [{}, {"task": {"id": ""}}, [], b"", b"<html>", {"task": {"id": 5}}])
def test_an_answer_without_an_id_is_unreadable(body: object) -> None:
    """A response without an id is unreadable, and no other error is raised."""
    with pytest.raises(errors.UnreadableResponseError):
        answer_exchange(PROVIDER.create_task(SPEC), answer(body))


def test_an_unprepared_spec_is_not_sent() -> None:
    """An environment that is still a name is never posted."""
    with pytest.raises(errors.ConfigurationError):
        answer_exchange(PROVIDER.create_task(TaskSpec(prompt="x", repository="o/r")))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": " \n"},
        {"prompt": "\udc80"},
        {"starting_diff": "\udc80"},
        {"attempts": 0},
        {"attempts": 5},
        {"mode": "yolo"},
        {"title": "t"},
        {"instructions": "i"},
        {"environment": None},
        {"environment": " "},
        {"environment": None, "repository": "no repository"},
        {"environment": None, "repository": "https://ghe.example/o/r"},
    ],
)
def test_what_cannot_be_sent_is_refused_before_any_request(change: dict[str, Any]) -> None:
    """A spec that the service would refuse raises `ConfigurationError` before any request."""
    with pytest.raises(errors.ConfigurationError):
        answer_exchange(prepare_spec(PROVIDER, checked(msgspec.structs.replace(SPEC, **change), CAPABILITIES, "codex")))


@pytest.mark.parametrize(
    ("spec", "answers", "environment", "branch"),
    [
        ({"environment": "BETA"}, [ENVIRONMENTS], "e0000000000000000000000000000002", "main"),
        ({"environment": "f" * 32}, [ENVIRONMENTS], "f" * 32, "main"),
        ({"repository": "owner/repo", "branch": "dev"}, [ENVIRONMENTS] * 2, "e0000000000000000000000000000001", "dev"),
        ({"environment": "owner/repo"}, [answer({}, 400), ENVIRONMENTS], "e0000000000000000000000000000001", "main"),
        ({"repository": "o/new"}, [answer([{"id": "n"}]), answer({}, 500)], "n", "main"),
        ({"repository": "git@github.com:o/r"}, [answer([{"id": "n"}]), answer([{"id": "x"}])], "n", "main"),
    ],
)
def test_names_become_ids(spec: dict[str, Any], answers: list[Response], environment: str, branch: str) -> None:
    """Id, label in any case, or repository; a failure of the list by repository is ignored.

    See docs/reference/protocols/codex-wham.md, "2.5 Environments" and "5 Environments".
    """
    prepared = answer_exchange(prepare_spec(PROVIDER, TaskSpec(prompt="x", **spec)), *answers).result

    assert (environment, branch) == (prepared.environment, prepared.branch)


def test_the_environments_branch_is_the_default() -> None:
    """Without a branch the environment's default branch is used."""
    entry = {"id": "e", "repo_map": {"r": {"repository_full_name": "o/r", "default_branch": "trunk"}}}

    assert (
        "trunk"
        == answer_exchange(prepare_spec(PROVIDER, TaskSpec(prompt="x", environment="e")), answer([entry])).result.branch
    )


def test_a_failing_list_is_fatal_only_alone() -> None:
    """When neither route finds anything, the list's own error is raised."""
    with pytest.raises(errors.AuthenticationError):
        answer_exchange(prepare_spec(PROVIDER, TaskSpec(prompt="x", repository="o/r")), answer([]), answer({}, 401))


# -- looking -----------------------------------------------------------------------------------------------------------


def test_a_poll_is_one_request() -> None:
    """`get_task` is exactly one GET, and keeps the ref that was requested."""
    returned = answer_exchange(PROVIDER.get_task(TaskRef("codex", "a~b")), THREE)

    assert (["GET /wham/tasks/a~b"], TaskRef("codex", "a~b")) == (returned.lines, returned.result.ref)


def test_a_poll_that_shows_nothing_new_returns_the_known_task() -> None:
    """The same bytes are not decoded again; other bytes are, with the ref that was requested."""
    known = answer_exchange(PROVIDER.get_task(REF), THREE).result
    same, other = (
        answer_exchange(PROVIDER.get_task_again(known), each).result
        for each in (THREE, answer(recorded("details_failed")))
    )

    assert same is known
    assert (REF, TaskState.FAILED) == (other.ref, other.state)


@pytest.mark.parametrize(("id", "path"), [("a/b?", "a%2Fb%3F"), ("ü%", "%C3%BC%25"), ("..", "%252E%252E")])
def test_ids_never_leave_their_segment(id: str, path: str) -> None:
    """An opaque id stays one segment of the path."""
    assert [f"GET /wham/tasks/{path}"] == answer_exchange(PROVIDER.get_task(TaskRef("codex", id)), THREE).lines


def test_attempts_need_one_more_request() -> None:
    """The current turn's attempt is in the task, the others in its siblings, in the order of their numbers."""
    task = answer_exchange(PROVIDER.get_task(REF), THREE).result
    returned = answer_exchange(PROVIDER.list_attempts(task), SIBLINGS)

    assert [f"GET /wham/tasks/{TASK}/turns/{TURN}/sibling_turns"] == returned.lines
    assert [(1, TaskState.SUCCEEDED), (2, TaskState.SUCCEEDED), (3, TaskState.FAILED)] == [
        (attempt.number, attempt.state) for attempt in returned.result
    ]


def test_attempts_of_a_listed_task_need_its_details() -> None:
    """A list item has no turn, so its details are requested first."""
    listed = answer_exchange(PROVIDER.list_tasks(), answer(recorded("list_page_1"))).result.items[1]

    assert 3 == len(answer_exchange(PROVIDER.list_attempts(listed), THREE, SIBLINGS).result)


def test_a_task_without_a_turn_has_no_siblings() -> None:
    """Without a turn's id no sibling request is made.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """
    assert (
        ()
        == answer_exchange(PROVIDER.list_attempts(PROVIDER.extract_response(b'{"task":{"id":"t"}}')), answer({})).result
    )


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, "limit=20&task_filter=current"),
        ({"limit": 100}, "limit=20&task_filter=current"),
        (
            {"limit": 3, "filter": "archived", "cursor": "+R:~a==#", "environment": "e"},
            "limit=3&task_filter=archived&cursor=+R:~a==#&environment_id=e",
        ),
    ],
)
def test_a_page_is_never_larger_than_the_service_allows(options: dict[str, Any], query: str) -> None:
    """More than 20 is refused by the service, so it is never requested.

    See docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list".
    """
    returned = answer_exchange(PROVIDER.list_tasks(**options), answer(recorded("list_page_1")))

    assert ([f"GET /wham/tasks/list?{query}"], "+RID:~abc==#RT:1#TRC:2#RTD:xyz") == (
        returned.lines,
        returned.result.cursor,
    )


def test_a_limit_of_nothing_is_refused() -> None:
    """A limit below one is an error before any request."""
    with pytest.raises(errors.ConfigurationError):
        answer_exchange(PROVIDER.list_tasks(limit=0))


def test_environments_keep_nothing_that_could_be_secret() -> None:
    """Only what is needed to choose one is kept of an environment.

    See docs/reference/protocols/codex-wham.md, "2.5 Environments".
    """
    entry = {"id": "e", "label": "l", "task_count": 2.0, "env_vars": {"KEY": "hunter2"}, "secrets": {"S": "hunter2"}}
    found = answer_exchange(PROVIDER.list_environments(), answer([entry])).result

    assert ("e", 2) == (found[0].id, found[0].task_count)
    assert "hunter2" not in repr(found)


def test_environments_of_a_repository_are_from_both_routes() -> None:
    """By repository and by list, each id once, others left out."""
    returned = answer_exchange(
        PROVIDER.list_environments(repository="https://github.com/Owner/Repo"), answer([{"id": "n"}]), ENVIRONMENTS
    )

    assert ["GET /wham/environments/by-repo/github/Owner/Repo", "GET /wham/environments"] == returned.lines
    assert ["n", "e0000000000000000000000000000001", "e0000000000000000000000000000002"] == [
        e.id for e in returned.result
    ]


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("error_400_validation", 400, errors.InvalidRequestError),
        ("error_401", 401, errors.AuthenticationError),
        ("error_404", 404, errors.NotFoundError),
        ("error_500", 500, errors.ProviderUnavailableError),
        ("error_500", 429, errors.RateLimitError),
    ],
)
def test_each_status_has_its_error(name: str, status: int, error: type[Exception]) -> None:
    """Every verb that polls raises the error of the status.

    See docs/reference/protocols/codex-wham.md, "2.9 Error bodies".
    """
    refused = answer(recorded(name), status)
    for exchange in (PROVIDER.get_task(REF), PROVIDER.list_tasks(), PROVIDER.get_usage(), PROVIDER.list_environments()):
        with pytest.raises(error):
            answer_exchange(exchange, refused)


@pytest.mark.parametrize(
    ("detail", "status", "has_remedy"),
    [
        ("Not Found", 404, True),
        ("Gone", 410, True),
        ("This workspace was migrated", 403, True),
        ("Legacy tasks are no longer available", 400, True),
        ("Invalid task ID", 404, False),
        ("Not allowed", 403, False),
        ("<!doctype html><title>Not Found</title>", 404, False),
        ("Bad gateway", 502, False),
    ],
)
@pytest.mark.parametrize("verb", ["create_task", "list_tasks", "get_task", "get_usage"])
def test_an_account_that_may_have_moved_has_a_remedy(verb: str, detail: str, status: int, has_remedy: bool) -> None:
    """A route that is gone, and a refusal that says why, name the setting of the newer service; of the local cloud none."""
    arguments = {"create_task": (SPEC,), "get_task": (REF,)}.get(verb, ())
    body = detail.encode() if detail.startswith("<") else {"detail": detail}
    remedies = []
    for provider in (PROVIDER, load("local")(Settings(base_url="http://127.0.0.1:1"))):
        with pytest.raises(errors.ProviderError) as caught:
            answer_exchange(getattr(provider, verb)(*arguments), answer(body, status))
        remedies.append("codex_app_server.backend" in str(caught.value.remedy))

    assert [has_remedy, False] == remedies


def test_a_web_page_is_not_an_answer() -> None:
    """HTML with status 200 is unreadable, and the error quotes its content type."""
    page = Response(200, {"content-type": "text/html"}, b"<html>")
    for exchange in (PROVIDER.get_task(REF), PROVIDER.list_tasks(), PROVIDER.get_usage(), PROVIDER.list_environments()):
        with pytest.raises(errors.UnreadableResponseError, match="text/html"):
            answer_exchange(exchange, page)


# -- acting ------------------------------------------------------------------------------------------------------------

ACTIONS = {
    "cancel_task": f"POST /wham/tasks/{TASK}/cancel",
    "archive_task": f"POST /wham/tasks/{TASK}/archive",
    "unarchive_task": f"POST /wham/tasks/{TASK}/recover",
    "delete_task": f"DELETE /wham/tasks/{TASK}",
}


@pytest.mark.parametrize("verb", ACTIONS)
def test_an_action_is_one_request(verb: str) -> None:
    """Each of the routes that others observed is one request.

    See docs/reference/protocols/codex-wham.md, "2.8 Server routes no open client calls".
    """
    returned = answer_exchange(getattr(PROVIDER, verb)(REF), answer({"success": True}))

    assert ([ACTIONS[verb]], None) == (returned.lines, returned.result)


@pytest.mark.parametrize("verb", ACTIONS)
def test_a_route_that_is_gone_is_unsupported(verb: str) -> None:
    """A 404 whose text does not name the task means that the service has no such route."""
    with pytest.raises(errors.UnsupportedError, match=verb):
        answer_exchange(getattr(PROVIDER, verb)(REF), NO_ROUTE)


@pytest.mark.parametrize("verb", ACTIONS)
def test_an_unknown_task_is_not_found(verb: str) -> None:
    """A 404 whose text names the task means that the task is unknown."""
    with pytest.raises(errors.NotFoundError):
        answer_exchange(getattr(PROVIDER, verb)(REF), NO_TASK)


def test_a_message_continues_the_current_turn() -> None:
    """One poll for the current turn, then one POST that names it.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    returned = answer_exchange(PROVIDER.send_message(REF, "and the footer", mode="ask", model="m"), THREE, CREATED)
    sent = json.loads(returned.requests[1].body)

    assert [f"GET /wham/tasks/{TASK}", "POST /wham/tasks"] == returned.lines
    assert {"task_id": TASK, "turn_id": TURN, "environment_mode": "ask"} == sent["follow_up"]
    assert ("and the footer", {"model_slug": "m"}) == (sent["input_items"][0]["content"][0]["text"], sent["metadata"])


@pytest.mark.parametrize(("attempt", "answers", "turn"), [(None, [], TURN), (1, [], TURN), (2, [SIBLINGS], SECOND)])
def test_a_pull_request_is_of_one_attempt(attempt: int | None, answers: list[Response], turn: str) -> None:
    """The turn is found by the attempt's number; only a draft is ever requested."""
    returned = answer_exchange(
        PROVIDER.create_pull_request(REF, attempt=attempt), THREE, *answers, answer({"success": True})
    )

    assert (f"POST /wham/tasks/{TASK}/turns/{turn}/pr", b'{"mode":"draft","add_codex_tag":false}') == (
        returned.lines[-1],
        returned.requests[-1].body,
    )


def test_an_unknown_attempt_is_named() -> None:
    """The error lists the known numbers, and nothing is posted."""
    with pytest.raises(errors.ConfigurationError, match="1, 2, 3"):
        answer_exchange(PROVIDER.create_pull_request(REF, attempt=9), THREE, SIBLINGS)


def test_nothing_is_merged() -> None:
    """The only other known mode merges automatically, so it is not offered."""
    with pytest.raises(errors.UnsupportedError):
        answer_exchange(PROVIDER.create_pull_request(REF, draft=False))


def test_the_stream_reports_what_the_turn_does() -> None:
    """Thread events and log lines become events in order; what is no JSON is passed over; the end is just the end."""
    delta = b'data: {"id":"1","item_type":"thread_event","event":{"method":"item/agentMessage/delta","params":{"delta":"Hel"}}}\n\n'
    log = b'data: {"id":"2","item_type":"log","key":{"type":"UserSetupScript","created_at":1790723653},"line":"npm ci"}\n\n'
    whole = b": hello\n\n" + delta + b"data: {torn\n\n" + log
    response = Response(200, stream=Stream([whole[:50], whole[50:]]))
    returned = answer_exchange(PROVIDER.stream_events(REF), THREE, response)

    assert [("item/agentMessage/delta", "Hel", "1"), ("task.log", "npm ci", "2")] == [
        (getattr(event, "kind", event.type), event.text, event.id) for event in returned.emitted
    ]
    assert f"GET /wham/tasks/{TASK}/turns/{TURN}/stream?item_type=thread_event&item_type=log" == returned.lines[1]


def test_a_stream_needs_a_turn() -> None:
    """A task whose details name no turn has nothing to stream."""
    with pytest.raises(errors.UnreadableResponseError) as raised:
        answer_exchange(PROVIDER.stream_events(REF), answer({"task": {"id": TASK}}))

    assert "$.current_assistant_turn.id" == raised.value.path
