from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._protocol.registry import load
from coatcheck.cloud.faults import RepeatingCursor, Reset, Status
from coatcheck.providers.jules.endpoints import Service
from coatcheck.providers.jules.provider import CAPABILITIES, JulesProvider
from coatcheck.testing.emulators import jules_rpc as rpc, jules_scripts as lives
from coatcheck.testing.emulators.jules_scripts import DIFF

from .jules_support import PROVIDER, SPEC, jules, recorded


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def sent(emulator: Any, name: str) -> list[dict[str, Any]]:
    """Return the bodies of the requests of a verb."""
    return [msgspec.json.decode(request.body or b"{}") for request in emulator.seen(name)]


def with_approval(**options: Any) -> TaskSpec:
    """Return a spec that requires approval."""
    return msgspec.structs.replace(SPEC, requires_approval=True, **options)


# -- submitting --------------------------------------------------------------------------------------------------------


def test_a_task_runs_from_submission_to_pull_request(variant: str) -> None:
    """Created task, wait, diff, new file, pull request with the number of its URL, commit message, messages."""
    client, _ = jules(variant)
    ticket = client.create_task(msgspec.structs.replace(SPEC, open_pull_request=True))
    task = client.poll_task(ticket.ref)
    made = task.outcome

    assert (TaskState.QUEUED, "sources/github/owner/repo", "main") == (ticket.state, ticket.environment, ticket.branch)
    assert (TaskState.SUCCEEDED, "COMPLETED", ()) == (task.state, task.raw_state, task.notices)
    assert (DIFF.encode(), "Done in `hello.txt`.") == (bytes(made.patch), made.text)
    assert [("hello.txt", "hello\nworld\n", True)] == [(f.path, f.content, f.is_whole) for f in made.files]
    assert (7, "main", "Say hello to the world") == (
        made.pull_request.number,
        made.pull_request.base,
        made.pull_request.commit_message,
    )


def test_the_body_is_flat() -> None:
    """Fields that are not set are not sent: the service refuses unknown ones."""
    provider = JulesProvider(Service("http://127.0.0.1:9/v1alpha", environment_variables=True))
    client, emulator = jules(provider=provider)
    client.create_task(SPEC)
    client.create_task(with_approval(title="T", open_pull_request=True, branch="next", working_branch="w"))
    context = {
        "source": "sources/github/owner/repo",
        "githubRepoContext": {"startingBranch": "main"},
        "environmentVariablesEnabled": True,
    }
    more = {**context, "githubRepoContext": {"startingBranch": "next"}, "workingBranch": "w"}

    assert [
        {"prompt": "Say hello", "sourceContext": context},
        {
            "prompt": "Say hello",
            "title": "T",
            "sourceContext": more,
            "requirePlanApproval": True,
            "automationMode": "AUTO_CREATE_PR",
        },
    ] == sent(emulator, "create_task")


def test_a_session_needs_no_repository(variant: str) -> None:
    """Without one nothing is requested first; the diff has no base commit."""
    client, emulator = jules(variant)
    task = client.poll_task(client.create_task("Write a poem").ref)

    assert ([{"prompt": "Write a poem"}], []) == (sent(emulator, "create_task"), emulator.seen("get_environment"))
    assert (DIFF.encode(), None, None) == (bytes(task.outcome.patch), task.outcome.base_commit, task.environment)


@pytest.mark.parametrize("status", [500, 503])
def test_a_create_is_never_replayed_on_a_server_error(variant: str, status: int) -> None:
    """A lost submission is not repeated: the list is searched, and otherwise the outcome is uncertain."""
    client, emulator = jules(variant, faults=[Status(status, on="create_task")])
    with pytest.raises(errors.SubmissionUncertainError):
        client.create_task(SPEC)

    assert 1 == len(emulator.seen("create_task"))


def test_a_create_is_sent_again_after_429(variant: str) -> None:
    """A throttled request was not performed."""
    client, emulator = jules(variant, faults=[Status(429, on="create_task")])
    client.create_task(SPEC)

    assert (2, 1) == (len(emulator.seen("create_task")), len(emulator.tasks))


# -- sources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    ["owner/repo", "sources/github/owner/repo", "github/owner/repo", "https://github.com/owner/repo.git", "Owner/Repo"],
)
def test_a_source_is_found_by_any_of_its_names(wanted: str) -> None:
    """By repository, remote, name or id, in any case."""
    client, _ = jules()

    assert "sources/github/owner/repo" == client.create_task(TaskSpec(prompt="p", environment=wanted)).environment


def test_a_source_of_another_form_is_found_in_the_list() -> None:
    """The documentation shows names with dashes: the service's list decides."""
    dashed = rpc.source("owner", "repo", branches=("main",), name="github-owner-repo")
    client, _ = jules(sources=[dashed])

    assert "sources/github-owner-repo" == client.create_task(SPEC).environment


def test_an_unknown_source_is_one_line_with_the_remedy(variant: str) -> None:
    """Nothing is created, and the error says where repositories are connected."""
    client, emulator = jules(variant)
    with pytest.raises(errors.ConfigurationError, match="Jules has no source for 'owner/nowhere'") as caught:
        client.create_task(TaskSpec(prompt="p", repository="owner/nowhere"))

    assert "connect the repository at https://jules.google.com" in str(caught.value.remedy)
    assert [] == emulator.seen("create_task")


def test_a_branch_that_is_unknown_must_be_named(variant: str) -> None:
    """The service would report only "invalid argument"."""
    client, emulator = jules(variant)
    with pytest.raises(errors.ConfigurationError, match="default branch of owner/empty is not known"):
        client.create_task(TaskSpec(prompt="p", repository="owner/empty"))

    assert [] == emulator.seen("create_task")


def test_sources_are_listed_through_all_pages_and_without_branches(variant: str) -> None:
    """A mask leaves the branches out; 250 sources come in three pages."""
    many = [rpc.source("o", f"r{number}", branches=("main",)) for number in range(250)]
    client, emulator = jules(variant, sources=many)
    found = client.list_environments()

    assert (250, 3) == (len(found), len(emulator.requests))
    assert ("o/r0", ("o/r0",), "main") == (found[0].label, found[0].repositories, found[0].default_branch)
    assert {True} == {"branches" not in dict(request.query)["fields"] for request in emulator.requests}


def test_a_service_without_masks_is_requested_without(variant: str) -> None:
    """A 400 for a mask is followed by a request without it."""
    client, _ = jules(variant, masks=False)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (["owner/repo", "owner/empty"], TaskState.SUCCEEDED) == (
        [source.label for source in client.list_environments()],
        task.state,
    )


def test_environments_of_a_repository(variant: str) -> None:
    """One, or none where it is not connected."""
    client, _ = jules(variant)

    assert ["owner/repo"] == [source.label for source in client.list_environments(repository="owner/repo")]
    assert () == client.list_environments(repository="owner/nowhere")


def test_a_list_of_sources_that_goes_round_in_circles_ends() -> None:
    """The same token twice is the end."""
    again = RepeatingCursor(on="list_environments", cursor="again", parameter="pageToken", key="nextPageToken")
    client, _ = jules(faults=[again])

    assert 2 == len(client.list_environments())


# -- states (docs/reference/protocols/jules.md, 2.3 and 3.1) --------------------------------------------------------------


def test_a_plan_that_waits_ends_the_wait_and_is_shown(variant: str) -> None:
    """INPUT_REQUIRED with the plan; after an approval the session continues to its end."""
    client, _ = jules(variant)
    ref = client.create_task(with_approval()).ref
    waiting = client.poll_task(ref)
    client.approve_plan(ref)
    ended = client.poll_task(ref)

    assert (TaskState.INPUT_REQUIRED, False) == (waiting.state, waiting.plan.is_approved)
    assert ["Read the code", "Say hello"] == [step.title for step in waiting.plan.steps]
    assert (TaskState.SUCCEEDED, True) == (ended.state, ended.plan.is_approved)


def test_completed_with_only_a_plan_still_waits_for_approval(variant: str) -> None:
    """The service reports COMPLETED after ten minutes; the native state is kept, and the state is `INPUT_REQUIRED`."""
    client, _ = jules(variant, life=lives.plan_only)
    task = client.poll_task(client.create_task(with_approval()).ref)

    assert (TaskState.INPUT_REQUIRED, "COMPLETED", ()) == (task.state, task.raw_state, task.notices)
    assert task == client.get_task(task.ref)


def test_an_approval_that_changes_nothing_is_reported(variant: str) -> None:
    """Five of six such approvals have no effect: the wait ends."""
    client, emulator = jules(variant, life=lives.plan_only)
    ref = client.create_task(with_approval()).ref
    task = client.poll_task(ref, approve=lambda _: True)

    assert (TaskState.INPUT_REQUIRED, ["approval_ignored"]) == (task.state, [each.kind for each in task.notices])
    assert 1 == len(emulator.seen("approve_plan"))


@pytest.mark.parametrize(("word", "state"), [(True, TaskState.SUCCEEDED), (False, TaskState.INPUT_REQUIRED)])
def test_a_wait_may_decide_about_the_plan(variant: str, word: bool, state: TaskState) -> None:
    """The callback gets the plan once; its decision continues or ends the wait."""
    client, emulator = jules(variant)
    shown: list[str] = []

    def decide(task: Any) -> bool:
        shown.append(task.plan.id)
        return word

    task = client.create_task_and_wait(with_approval(), approve=decide)

    assert (state, 1, int(word)) == (task.state, len(shown), len(emulator.seen("approve_plan")))


def test_completed_without_output_is_an_empty_outcome(variant: str) -> None:
    """It succeeded without a result: an empty outcome, and a notice."""
    client, _ = jules(variant, life=lives.nothing_made)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, True, ["nothing_made"]) == (
        task.state,
        task.outcome.is_empty,
        [notice.kind for notice in task.notices],
    )


def test_a_change_without_outputs_is_found_in_the_activities(variant: str) -> None:
    """The last change set with a diff is the complete one; empty ones do not count."""
    client, _ = jules(variant, life=lives.without_outputs)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (DIFF.encode(), ()) == (bytes(task.outcome.patch), task.notices)


def test_paused_ends_the_wait(variant: str) -> None:
    """A paused session ends a wait; a message restarts it."""
    client, _ = jules(variant, life=lives.paused)
    ref = client.create_task(SPEC).ref
    paused = client.poll_task(ref)
    woken = client.send_message(ref, "continue")

    assert (TaskState.PAUSED, TaskState.RUNNING) == (paused.state, woken.state)


def test_a_question_ends_the_wait_and_is_reported(variant: str) -> None:
    """The newest message is the question; after an answer the session continues."""
    client, _ = jules(variant, life=lives.asking)
    ref = client.create_task(SPEC).ref
    asking = client.poll_task(ref)
    client.send_message(ref, "hello")

    assert (TaskState.INPUT_REQUIRED, "AWAITING_USER_FEEDBACK") == (asking.state, asking.raw_state)
    assert "Which greeting?" == asking.outcome.messages[-1].text
    assert TaskState.SUCCEEDED is client.poll_task(ref).state


def test_a_failure_has_the_last_message(variant: str) -> None:
    """The failure has the service's reason and the agent's last message."""
    client, _ = jules(variant, life=lives.failed)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert "Jules was unable to complete the task.: The tests need a database." == task.error.message
    with pytest.raises(errors.TaskFailedError, match="tests need a database"):
        task.raise_for_state()


def test_a_stall_is_reported_and_waited_for(variant: str) -> None:
    """A quarter of an hour without activity is reported once; the wait continues to its deadline."""
    client, emulator = jules(variant, life=lives.stalled)
    ref = client.create_task(SPEC).ref
    heard: list[list[str]] = []
    with pytest.raises(errors.WaitTimeoutError):
        client.poll_task(
            ref, timeout=3600, interval=60, on_change=lambda task: heard.append([n.kind for n in task.notices])
        )

    assert [[], [], ["stalled"]] == heard[-3:]
    assert len(emulator.seen("list_activities")) < len(emulator.seen("get_task"))


def test_a_revival_is_reported(variant: str) -> None:
    """The activity after the end made its change over later merges."""
    client, emulator = jules(variant, life=lives.revived)
    ref = client.create_task(SPEC).ref
    first = client.poll_task(ref)
    emulator.advance(ref.id)
    running = client.get_task(ref)
    again = client.poll_task(ref)

    assert ((), TaskState.RUNNING, ["revived"]) == (
        first.notices,
        running.state,
        [notice.kind for notice in again.notices],
    )


def test_a_new_sessions_activities_may_be_denied(variant: str) -> None:
    """404 for the activities of a new session means that there are none yet; later ones are reported."""
    client, _ = jules(variant, unlisted=100.0)
    ref = client.create_task(SPEC).ref
    kinds = [event.type for event in client.watch_task(ref, interval=30)]

    assert ("task.submitted", "task.succeeded") == (kinds[0], kinds[-1])
    assert {"task.plan", "task.message"} <= set(kinds)


def test_an_unknown_session_is_not_found(variant: str) -> None:
    """Every verb that reads or acts raises the error of the status."""
    client, _ = jules(variant)
    for verb in ("get_task", "poll_task", "approve_plan", "archive_task", "delete_task", "stream_task"):
        with pytest.raises(errors.NotFoundError):
            getattr(client, verb)("nowhere")


def test_unknown_values_are_kept(variant: str) -> None:
    """State, activity and artifact keep their native names, the output its bytes; the rest is read."""
    client, emulator = jules(variant, life=lives.unknown_words)
    ref = client.create_task(SPEC).ref
    emulator.advance(ref.id, 5)
    strange = client.get_task(ref)
    ended = client.poll_task(ref)
    events = {getattr(event, "kind", event.type): event for event in client.stream_task(ref)}

    assert (TaskState.UNKNOWN, "MEDITATING") == (strange.state, strange.raw_state)
    assert (TaskState.SUCCEEDED, True) == (ended.state, b"ferryTicket" in ended.raw)
    assert ({"width": 3}, [("hologram", {"size": 1})]) == (
        events["riverCrossed"].data,
        [(each.kind, each.data) for each in events["riverCrossed"].artifacts],
    )
    assert "Session started" == events["activity"].text


# -- watching ------------------------------------------------------------------------------------------------------------


def test_a_watch_reports_everything_once(variant: str) -> None:
    """Each activity once although each poll starts a little earlier; the state of the end last."""
    client, emulator = jules(variant)
    ref = client.create_task(SPEC).ref
    events = client.watch_task(ref)
    types = [event.type for event in events if not hasattr(event, "state") and event.type != "task.diff"]

    assert [event.type for event in client.stream_task(ref)] == types
    assert "COMPLETED" == events[-1].raw_state
    assert all("create_time>" in dict(request.query)["filter"] for request in emulator.seen("list_activities")[2:-2])


def test_a_watch_resumes_after_any_event(variant: str) -> None:
    """From the cursor of any event the rest follows, and nothing twice."""
    client, _ = jules(variant)
    ref = client.create_task(SPEC).ref
    events = [event for event in client.watch_task(ref) if not hasattr(event, "state")]
    kinds = [event.type for event in events]
    resumed = [[e.type for e in client.watch_task(ref, after=event.id) if not hasattr(e, "state")] for event in events]

    assert [kinds[number:] for number in range(1, len(kinds) + 1)] == resumed


def test_a_stream_holds_images_and_commands(variant: str) -> None:
    """An image's bytes, a command with the exit code 0 that proto3 leaves out, and the change."""
    client, _ = jules(variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    shown = {each.kind: each for event in client.stream_task(ref) for each in event.artifacts}

    assert (b"\x89PNG", "image/png") == (shown["media"].content[:4], shown["media"].media_type)
    assert ("make test", 0) == (shown["command"].command, shown["command"].exit_code)
    assert DIFF.encode() == shown["change"].content


def test_a_wait_does_not_read_activities_while_the_agent_works(variant: str) -> None:
    """Activities are requested for a watch and when the session has stopped."""
    client, emulator = jules(variant)
    client.poll_task(client.create_task(SPEC).ref, interval=5)

    assert 1 == len(emulator.seen("list_activities"))


def test_many_sessions_are_waited_for_through_the_list(variant: str) -> None:
    """A page shows a hundred: sixty sessions cost a page a round, and a poll for each that has stopped."""
    client, emulator = jules(variant)
    refs = [client.create_task(SPEC).ref for _ in range(60)]
    asking = client.create_task(with_approval()).ref
    for ref in (*refs, asking):
        emulator.advance(ref.id, 20)
    before = len(emulator.requests)
    ended = {task.ref: task.state for task in client.poll_tasks([*refs, asking])}

    assert {**dict.fromkeys(refs, TaskState.SUCCEEDED), asking: TaskState.INPUT_REQUIRED} == ended
    assert 1 + 2 * 61 == len(emulator.requests) - before


def of_session(events: list[Any], ref: Any) -> list[Any]:
    """Return what was reported of a session: kinds, texts and states in their order."""
    return [
        ("state" if hasattr(event, "state") else event.type, event.text, getattr(event, "state", None))
        for event in events
        if event.ref == ref
    ]


def test_a_watch_of_many_reports_the_same_as_of_one(variant: str) -> None:
    """Every activity is reported once and in order, and the end after it."""
    client, _ = jules(variant, step_seconds=26)
    refs = [client.create_task(SPEC).ref for _ in range(12)]
    events = client.watch_tasks(refs, interval=20)
    alone = {ref: [each for each in client.watch_task(ref) if not hasattr(each, "state")] for ref in refs}
    activities = {ref: [each for each in of_session(events, ref) if each[0] != "state"] for ref in refs}
    states = [state for kind, _, state in of_session(events, refs[0]) if kind == "state"]

    assert {ref: of_session(events, ref) for ref, events in alone.items()} == activities
    assert [TaskState.QUEUED, TaskState.RUNNING, TaskState.RUNNING, TaskState.SUCCEEDED] == states
    assert {"state"} == {of_session(events, ref)[-1][0] for ref in refs}


def test_whom_a_page_shows_is_not_requested_again(variant: str) -> None:
    """A poll of a running session requests the activities since the last poll; an ended one is read completely."""
    client, emulator = jules(variant, step_seconds=26)
    refs = [client.create_task(SPEC).ref for _ in range(16)]
    client.watch_tasks(refs, interval=26)
    filtered = [request for request in emulator.seen("list_activities") if "filter" in dict(request.query)]

    assert 16 == len(emulator.seen("get_task"))
    assert 16 < len(filtered) < len(emulator.seen("list_activities")) - 16


def test_a_stall_of_many_tasks_is_reported(variant: str) -> None:
    """A session without activity for a quarter of an hour is reported: its page has the time of its state."""
    client, _ = jules(variant, step_seconds=1000)
    refs = [client.create_task(SPEC).ref for _ in range(4)]
    watched = client.watch_tasks(refs, interval=60, timeout=None)

    assert {(ref, "stalled") for ref in refs} == {
        (event.ref, event.notice.kind) for event in watched if event.type == "task.notice"
    }


def test_the_answer_itself_can_be_kept(variant: str) -> None:
    """Saved and read again, it is the same task."""
    client, _ = jules(variant, life=lambda _: ())
    ref = client.create_task(SPEC).ref

    assert client.get_task(ref) == client.extract_response(client.get_task_response(ref))


# -- acting --------------------------------------------------------------------------------------------------------------


def test_archived_sessions_are_listed_where_requested(variant: str) -> None:
    """The default hides them; archiving pauses a running session, and can be undone."""
    client, _ = jules(variant)
    kept, away = (client.create_task(SPEC).ref for _ in range(2))
    client.archive_task(away)
    lists = {which: [task.ref for task in client.list_tasks(filter=which)] for which in ("current", "archived", "all")}
    paused = client.get_task(away)
    client.unarchive_task(away)

    assert {"current": [kept], "archived": [away], "all": [away, kept]} == lists
    assert (TaskState.PAUSED, True, False) == (paused.state, paused.is_archived, client.get_task(away).is_archived)


def test_tasks_are_filtered_by_source(variant: str) -> None:
    """The service cannot filter by source."""
    client, _ = jules(variant)
    ours, _ = client.create_task(SPEC).ref, client.create_task("Write a poem")

    assert [ours] == [task.ref for task in client.list_tasks(environment="sources/github/owner/repo")]


def test_a_deleted_session_is_gone(variant: str) -> None:
    """The answer is an empty body, and that is fine."""
    client, emulator = jules(variant)
    ref = client.create_task(SPEC).ref
    client.delete_task(ref)

    assert () == emulator.tasks


def test_a_plan_that_is_approved_already_is_refused_with_the_remedy(variant: str) -> None:
    """The service reports only a failed precondition."""
    client, _ = jules(variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    with pytest.raises(errors.InvalidRequestError) as caught:
        client.approve_plan(ref)

    assert f"no plan is waiting for approval; see: coatcheck show {ref}" == caught.value.remedy


def test_a_message_to_a_finished_session_is_refused_with_the_remedy(variant: str) -> None:
    """404 here does not mean that the session is unknown."""
    client, _ = jules(variant)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    with pytest.raises(errors.NotFoundError) as caught:
        client.send_message(ref, "more")

    assert "a session that has ended may take no more messages; submit another task" == caught.value.remedy


def test_a_message_may_restart_a_finished_session(variant: str) -> None:
    """Where the service accepts it, the session runs again, and its revival is reported."""
    client, _ = jules(variant, wakes=True)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    client.send_message(ref, "more")
    task = client.poll_task(ref)

    assert (TaskState.SUCCEEDED, ["revived"]) == (task.state, [notice.kind for notice in task.notices])


@pytest.mark.parametrize("options", [{"mode": "ask"}, {"model": "m"}])
def test_a_message_is_text_and_nothing_else(options: dict[str, str]) -> None:
    """Nothing is sent that would be ignored."""
    client, emulator = jules()
    with pytest.raises(errors.UnsupportedError, match="takes a message's text"):
        client.send_message("1", "more", **options)

    assert [] == emulator.requests


def test_cancelling_is_unsupported_and_archiving_offered() -> None:
    """The reason names archiving."""
    client, _ = jules()
    with pytest.raises(errors.UnsupportedError, match="archive_task pauses it and can be taken back"):
        client.cancel_task("1")


# -- who we are ----------------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_reported_by_its_status(variant: str) -> None:
    """The service's text claims that API keys are not supported, which is false."""
    client, emulator = jules(variant)
    emulator.token = "another"
    with pytest.raises(errors.AuthenticationError) as caught:
        client.list_environments()

    assert 401 == caught.value.status


def test_no_key_is_an_error_before_any_request(variant: str) -> None:
    """The error has the page where keys are created."""
    client, emulator = jules(variant)
    client.client._options = msgspec.structs.replace(client.client._options, token=None)
    with pytest.raises(errors.NotLoggedInError) as caught:
        client.list_environments()

    assert "make a key at https://jules.google.com/settings#api and set JULES_API_KEY" == caught.value.remedy
    assert [] == emulator.requests


def test_the_key_travels_in_its_own_header() -> None:
    """No bearer: the service refuses one."""
    client, emulator = jules()
    client.list_environments()
    headers = dict(emulator.requests[0].headers)

    assert (emulator.token, None) == (headers["x-goog-api-key"], headers.get("authorization"))


def test_a_filter_that_the_service_refuses_is_a_clear_error() -> None:
    """The error has the service's message."""
    client, emulator = jules()
    ref = client.create_task(SPEC).ref
    emulator.faults.append(Status(400, "Invalid filter", on="list_activities", times=None))
    with pytest.raises(errors.InvalidRequestError, match="Invalid filter"):
        client.watch_task(ref)


# -- usage -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "limit", "percent"), [(None, None, None), ("free", 15, 20.0), ("ultra", 300, 1.0)])
def test_usage_is_our_own_submissions_of_a_day(
    variant: str, plan: str | None, limit: float | None, percent: float | None
) -> None:
    """Usage is what this machine submitted in 24 hours, against the configured plan."""
    client, emulator = jules(variant, provider=JulesProvider(Service("http://127.0.0.1:9/v1alpha", plan=plan)))
    client.create_task(SPEC)
    client.clock.advance(24 * 3600 + 1)
    for _ in range(3):
        client.create_task(SPEC)
    emulator.faults.append(Status(400, on="create_task"))
    with pytest.raises(errors.InvalidRequestError):
        client.create_task(SPEC)
    usage = client.get_usage()
    (window,) = usage.rate_limit.windows

    assert (plan, limit, 3, percent) == (usage.plan, window.limit, window.used, window.used_percent)


def test_usage_makes_no_request() -> None:
    """The service has no such route."""
    client, emulator = jules()
    client.get_usage()

    assert [] == emulator.requests


# -- the contract ----------------------------------------------------------------------------------------------------------


def test_every_declared_verb_is_there() -> None:
    """A capability names a method of the provider."""
    assert [] == [verb for verb in CAPABILITIES.verbs if not hasattr(JulesProvider, verb)]


def test_a_saved_answer_is_read_with_its_activities() -> None:
    """A saved session with its saved activities has the facts of the activities."""
    task = PROVIDER.extract_response(recorded("session_failed"), recorded("activities_all_kinds"))

    assert "Jules was unable to complete the task.: I will." == str(task.error)


class Settings(dict[str, str]):
    """Settings of one provider."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name)


def test_the_factory_reads_its_settings() -> None:
    """Base URL, plan and whether sessions see the repository's variables."""
    provider = load("jules")(Settings(base_url="http://h/v1alpha/", plan="Pro", environment_variables="false"))

    assert Service("http://h/v1alpha", "pro", environment_variables=False) == provider.service  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "value"), [("plan", "gold"), ("environment_variables", "maybe")])
def test_a_setting_that_is_none_is_refused_with_those_there_are(name: str, value: str) -> None:
    """One line, and the remedy names the choices."""
    with pytest.raises(errors.ConfigurationError, match=f"jules.{name} cannot be '{value}'") as caught:
        load("jules")(Settings({name: value}))

    assert "use one of" in str(caught.value.remedy)


def test_transient_errors_of_activities_are_retried(variant: str) -> None:
    """Activities are requested again like all else."""
    client, _ = jules(variant, faults=[Reset(on="list_activities"), Status(503, on="list_activities")])

    assert TaskState.SUCCEEDED is client.poll_task(client.create_task(SPEC).ref).state


def test_answers_without_a_length_are_read(variant: str) -> None:
    """Chunked, as Google's front ends send."""
    client, _ = jules(variant, chunked=True)

    assert TaskState.SUCCEEDED is client.poll_task(client.create_task(SPEC).ref).state
