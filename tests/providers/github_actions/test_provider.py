"""Requests to GitHub Actions, and how its responses are read.

Sections are those of docs/reference/protocols/services.md.
"""

from __future__ import annotations

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request
from coatcheck.cloud.faults import Fault, ResetAfterAccept, Status
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators.github import WORKFLOWS, GithubEmulator
from coatcheck.testing.emulators.github_rest import HOUR
from coatcheck.testing.emulators.github_runs import LIFE, PATCH, RETENTION, Act, Definition, failing
from coatcheck.testing.fake_clock import FakeClock

from .actions_support import SPEC, actions, provider

SERVER = ("2022-11-28",)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def body_of(request: Request) -> dict[str, dict[str, str]]:
    """Return the JSON body of a request."""
    return msgspec.json.decode(request.body)


def kinds(task: object) -> list[str]:
    """Return the kinds of the notices."""
    return [notice.kind for notice in task.notices]  # type: ignore[attr-defined]


# -- submitting --------------------------------------------------------------------------------------------------------


def test_a_task_is_a_dispatch(variant: str) -> None:
    """The branch is the repository's default, the prompt and the key are inputs, and the response names the run."""
    client, github = actions(variant)
    task = client.create_task(SPEC)
    (sent,) = github.seen("create_task")

    assert {"prompt": "Say hello", "task_id": client.journal.entries[0][1]} == body_of(sent)["inputs"]
    assert ("main", "/repos/owner/repo/actions/workflows/coatcheck.yml/dispatches") == (
        msgspec.json.decode(sent.body)["ref"],
        sent.path,
    )
    assert ("github_actions:owner~repo~30433642", "owner/repo/coatcheck.yml", "main") == (
        str(task.ref),
        task.environment,
        task.branch,
    )


def test_the_newest_version_is_requested_without_the_field_that_it_lost(variant: str) -> None:
    """`return_run_details` belongs to the version before.

    See docs/reference/protocols/services.md, "1.2 The id of a dispatched run".
    """
    client, github = actions(variant)
    client.create_task(SPEC)
    (sent,) = github.seen("create_task")

    assert ("2026-03-10", {"ref", "inputs"}) == (dict(sent.headers)["x-github-api-version"], set(body_of(sent)))


def test_what_is_requested_is_an_input_and_what_is_not_is_none(variant: str) -> None:
    """Options have inputs of their names, settings add others, and ours win."""
    client, github = actions(variant, settings={"inputs": "model=theirs, title=fixed"})
    client.create_task(TaskSpec(prompt="p", repository="owner/repo", model="ours", open_pull_request=True))
    (sent,) = github.seen("create_task")
    inputs = body_of(sent)["inputs"]

    assert {"prompt": "p", "model": "ours", "title": "fixed", "open_pull_request": "true"} == {
        name: value for name, value in inputs.items() if name != "task_id"
    }


def test_inputs_may_be_called_otherwise(variant: str) -> None:
    """A workflow that exists already is not changed for us."""
    inputs = frozenset({"task", "ticket"})
    definition = Definition(id=7, file="mine.yaml", inputs=inputs, title="x")
    settings = {"workflow": "mine.yaml", "prompt_input": "task", "key_input": "ticket"}
    client, github = actions(variant, settings=settings, workflows=[definition])
    client.create_task(SPEC)

    assert inputs == set(body_of(github.seen("create_task")[0])["inputs"])


@pytest.mark.parametrize("unlisted", [0.0, 2.0, 10.0])
def test_a_run_of_an_older_server_is_found_by_its_key(variant: str, unlisted: float) -> None:
    """After a 204 the run is found by the key in its name some seconds later, not by being the newest.

    See docs/reference/protocols/services.md, "1.2 The id of a dispatched run".
    """
    client, github = actions(variant, versions=SERVER, settings={"api_version": SERVER[0]}, unlisted=unlisted)
    refs = [client.create_task(SPEC).ref.id for _ in range(2)]
    (first, *_), queries = github.tasks, [dict(request.query) for request in github.seen("find_task")]
    keys = [entry[1] for entry in client.journal.entries if entry[0] == "begin"]

    assert ["owner~repo~30433642", "owner~repo~30433643"] == refs
    assert first.title == f"coatcheck [{keys[0]}]"
    assert {("workflow_dispatch", "main", ">=")} == {(q["event"], q["branch"], q["created"][:2]) for q in queries}


def test_the_newest_run_of_another_user_is_not_adopted(variant: str) -> None:
    """The response was lost, and another user dispatched the same in the same second."""
    client, github = actions(variant, faults=[ResetAfterAccept(on="create_task")])
    theirs = Both("blocking", provider(), github, token=github.token, clock=client.clock)
    find = github._workflow_runs

    def late(*asked: object) -> object:
        if len(github.tasks) == 1:
            theirs.create_task(SPEC)
        return find(*asked)  # type: ignore[arg-type]

    github._workflow_runs = late  # type: ignore[method-assign, assignment]
    task = client.create_task(SPEC)

    assert (["owner~repo~30433642"], 2) == ([task.ref.id], len(github.tasks))


def test_a_run_without_our_key_is_not_taken(variant: str) -> None:
    """A workflow that does not put the key into its name leaves the submission uncertain, and nothing is sent again."""
    nameless = msgspec.structs.replace(WORKFLOWS[0], title="agent")
    client, github = actions(variant, faults=[ResetAfterAccept(on="create_task")], workflows=[nameless])
    with pytest.raises(errors.SubmissionUncertainError):
        client.create_task(SPEC)

    assert (1, 1) == (len(github.tasks), len(github.seen("create_task")))


def test_writes_are_a_second_apart(variant: str) -> None:
    """GitHub requires it of clients with many writes.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    client, _ = actions(variant)
    for _ in range(3):
        client.create_task(SPEC)

    assert [1.0, 1.0] == client.clock.sleeps


# -- looking -----------------------------------------------------------------------------------------------------------


def test_a_finished_run_has_what_its_artifact_holds(variant: str) -> None:
    """Message, patch and base commit, fetched by redirect once the run has ended."""
    client, github = actions(variant)
    task = client.poll_task(client.create_task(SPEC).ref)
    made = task.outcome

    assert ("Done: Say hello", PATCH, "1" * 40) == (made.text, str(made.patch), made.base_commit)
    assert (TaskState.SUCCEEDED, "success", []) == (task.state, task.raw_state, kinds(task))
    assert 1 == len(github.seen("get_artifact"))


def test_the_store_of_downloads_gets_no_token(variant: str) -> None:
    """It refuses requests with a token.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """
    client, github = actions(variant)
    client.poll_task(client.create_task(SPEC).ref)
    (fetched,) = [request for request in github.requests if request.path.startswith("/blobs/")]

    assert {"accept", "user-agent"} == {name for name, _ in fetched.headers}
    assert github.token not in repr(fetched.headers)


def test_a_poll_of_a_run_that_has_not_changed_is_free(variant: str) -> None:
    """With its tag the response is 304, which the primary limit does not count.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    client, github = actions(variant, life=[Act("queued"), Act("in_progress", seconds=1e9)])
    ref = client.create_task(SPEC).ref
    for _ in range(5):
        client.get_task(ref)
    before = github.meter.counted
    states = {client.get_task(ref).state for _ in range(20)}

    assert ({TaskState.RUNNING}, 0, 24) == (states, github.meter.counted - before, github.meter.free)


def test_a_failed_run_names_the_step(variant: str) -> None:
    """The job and the step that failed."""
    client, _ = actions(variant, life=failing(), leaves=lambda _: None)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.FAILED, "failure: agent > Run the agent: failure") == (task.state, str(task.error))


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [("cancelled", TaskState.CANCELLED), ("timed_out", TaskState.EXPIRED), ("neutral", TaskState.SUCCEEDED)],
)
def test_conclusions_are_distinguished(variant: str, conclusion: str, state: TaskState) -> None:
    """A run has one end, and its conclusion decides which."""
    client, _ = actions(variant, life=failing(conclusion))

    assert state is client.poll_task(client.create_task(SPEC).ref).state


def test_a_run_that_waits_for_a_review_ends_the_wait(variant: str) -> None:
    """A person must act on its page."""
    client, _ = actions(variant, life=[Act("queued"), Act("waiting")])

    assert TaskState.INPUT_REQUIRED is client.poll_task(client.create_task(SPEC).ref).state


def test_a_run_without_result_has_a_notice(variant: str) -> None:
    """It succeeded without a result."""
    client, _ = actions(variant, leaves=lambda _: None)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (TaskState.SUCCEEDED, ["nothing_made"]) == (task.state, kinds(task))


def test_an_expired_result_has_a_notice(variant: str) -> None:
    """The state is kept, and the artifact is gone."""
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    client.clock.advance(RETENTION)
    task = client.get_task(ref)

    assert (TaskState.SUCCEEDED, ["no_result"], 1) == (task.state, kinds(task), len(github.seen("get_artifact")))
    assert "has expired: start the run again" in task.notices[0].text


def test_a_result_that_expires_during_the_download_has_a_notice(variant: str) -> None:
    """410 means the same (docs/reference/protocols/services.md, "1.1 Endpoints")."""
    client, _ = actions(variant, faults=[Status(410, on="get_artifact")])
    task = client.poll_task(client.create_task(SPEC).ref)

    assert ["no_result"] == kinds(task)


def test_a_run_that_is_started_again_is_reported(variant: str) -> None:
    """Same id, next attempt: it continues after its end, and the end is that of the last attempt.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    github.run().restart(failing(), client.clock.time())
    reopened, ended = client.get_task(ref), client.poll_task(ref)

    assert (TaskState.RUNNING, ["revived"]) == (reopened.state, kinds(reopened))
    assert (TaskState.FAILED, "attempt 2") == (ended.state, ended.notices[0].text.split("this is ")[1][:9])


def test_a_re_run_leaves_a_result_of_its_own(variant: str) -> None:
    """The newest artifact is the result."""
    texts = iter([b"first", b"second"])
    client, github = actions(variant, leaves=lambda _: {"message.md": next(texts)})
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    github.run().restart(LIFE, client.clock.time())

    assert "second" == client.poll_task(ref).outcome.text


def leaving(**document: object) -> object:
    """Return a function that makes the files of an artifact."""
    return lambda _: {"result.json": msgspec.json.encode(document)}


def test_the_pull_request_is_found_by_the_branch(variant: str) -> None:
    """Pull requests that a run names are not those that it created; without a patch the diff is fetched.

    See docs/reference/protocols/services.md, "1.5 Result, PR, diff".
    """
    client, github = actions(variant, leaves=leaving(branch="coatcheck/x"))
    github.add_pull(7, branch="coatcheck/x", diff=PATCH.encode())
    github.add_pull(6, branch="other")
    task = client.poll_task(client.create_task(SPEC).ref)
    pull = task.pull_requests[0]

    assert (7, "https://github.com/owner/repo/pull/7", "coatcheck/x") == (pull.number, pull.url, pull.branch)
    assert PATCH == str(task.outcome.patch)
    assert "owner:coatcheck/x" == dict(github.seen("list_pulls")[0].query)["head"]


def test_a_diff_that_is_too_large_is_none(variant: str) -> None:
    """It is refused with 406, and the pull request is shown."""
    document = {"pull_request": {"number": 7, "url": "u"}}
    client, _ = actions(variant, leaves=leaving(**document), faults=[Status(406, on="get_pull")])
    task = client.poll_task(client.create_task(SPEC).ref)

    assert (7, None) == (task.pull_requests[0].number, task.outcome.patch)


def test_a_workflow_may_name_its_failure(variant: str) -> None:
    """Its message has precedence over the name of a step."""
    client, github = actions(variant, life=failing(), leaves=leaving(error="no budget left"))
    task = client.poll_task(client.create_task(SPEC).ref)

    assert ("no budget left", 0) == (str(task.error), len(github.seen("list_jobs")))


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_runs_are_reported_by_pages(variant: str) -> None:
    """A round requests one page of each repository; only ended runs are requested by themselves."""
    client, github = actions(variant, life=[Act("queued"), Act("completed", "success", seconds=60)])
    specs = [TaskSpec(prompt="p", repository=each) for each in ("owner/repo", "owner/site") for _ in range(3)]
    refs = [client.create_task(spec).ref for spec in specs]
    for run in github.tasks:
        run.end("success", client.clock.time())
    ended = client.poll_tasks(refs)

    assert (set(refs), 2) == ({task.ref for task in ended}, len(github.seen("list_tasks")))


def test_a_list_is_followed_by_its_links(variant: str) -> None:
    """A hundred runs a page, newest first; the next page is the one that the service names."""
    client, github = actions(variant)
    for _ in range(3):
        client.create_task(SPEC)
    found = client.list_tasks(limit=2)
    more = client.list_tasks(environment="owner/repo/coatcheck.yml")

    assert (["30433644", "30433643"], 3) == ([task.ref.id.rpartition("~")[2] for task in found], len(more))
    assert {"workflow_dispatch"} == {dict(request.query)["event"] for request in github.seen("list_tasks")}


def test_every_page_is_read(variant: str) -> None:
    """With the parameters of the link, on our own origin."""
    client, _ = actions(variant)
    for _ in range(5):
        client.create_task(SPEC)
    cursor, ids = None, []
    for _ in range(3):
        page = client.get_page(limit=2, cursor=cursor)
        ids += [task.ref.id[-1] for task in page.items]
        cursor = page.cursor

    assert (["6", "5", "4", "3", "2"], None) == (ids, cursor)


def test_environments_are_workflows(variant: str) -> None:
    """Each by the name of its file."""
    client, _ = actions(variant)
    found = client.list_environments(repository="owner/repo")

    assert ["owner/repo/coatcheck.yml", "owner/repo/ci.yml"] == [each.id for each in found]
    assert {"main"} == {each.default_branch for each in found}


def test_usage_is_every_limit(variant: str) -> None:
    """The usage of each limit is returned."""
    client, _ = actions(variant, limit=100)
    client.create_task(SPEC)
    usage = client.get_usage()
    core = usage.window("core")

    assert (100, 2, 98, 3600) == (core.limit, core.used, core.remaining, core.seconds)
    assert ["graphql", "search"] == [limit.name for limit in usage.extra_limits]


def test_a_created_task_reports_what_is_left(variant: str) -> None:
    """Every response has the primary limit."""
    client, _ = actions(variant, limit=100)

    assert 98 == client.create_task(SPEC).rate_limit.remaining


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_wait_pauses_for_the_primary_limit(variant: str) -> None:
    """403 with nothing remaining: no request is sent until the hour is over.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    client, github = actions(variant, limit=3)
    task = client.poll_task(client.create_task(SPEC).ref, timeout=7200)

    assert (TaskState.SUCCEEDED, True) == (task.state, sum(client.clock.sleeps) >= HOUR)
    assert github.meter.polls < 15


def test_a_secondary_limit_is_waited_out(variant: str) -> None:
    """It names no time, so that is a minute at least.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    limit = Status(403, "You have exceeded a secondary rate limit.", on="get_task")
    client, _ = actions(variant, faults=[limit])
    ref = client.create_task(SPEC).ref
    client.get_task(ref)

    assert [60.0] == [pytest.approx(pause, rel=0.1) for pause in client.clock.sleeps]


@pytest.mark.parametrize(("rate", "seconds"), [(None, 140 / 14), ("none", 0.0), ("2", 140 / 2)])
def test_the_secondary_limit_is_obeyed(variant: str, rate: str | None, seconds: float) -> None:
    """Fourteen requests a second after a burst of ten, unless a setting has another rate.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    environ = {"COATCHECK_LEARN": "off"} | ({"COATCHECK_GITHUB_ACTIONS_RATE": rate} if rate else {})
    clock = FakeClock()
    github = GithubEmulator(clock=clock)
    client = Both(variant, provider(), github, token=github.token, clock=clock, environ=environ)
    for _ in range(150):
        client.get_usage()

    assert seconds == pytest.approx(sum(clock.sleeps), abs=0.01)


def test_x_poll_interval_is_obeyed(variant: str) -> None:
    """`x-poll-interval` is obeyed where it comes.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    answer = github._run  # type: ignore[attr-defined]

    def slow(request: Request, repository: str, id: str) -> object:
        found = answer(request, repository, id)
        return msgspec.structs.replace(found, headers={**found.headers, "x-poll-interval": "90"})

    github._run = slow  # type: ignore[method-assign, assignment]

    assert 90.0 == client.get_task(ref).retry_after


# -- acting ------------------------------------------------------------------------------------------------------------


def test_a_run_is_cancelled(variant: str) -> None:
    """202, and the run ends as cancelled."""
    client, _ = actions(variant)
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)

    assert TaskState.CANCELLED is client.get_task(ref).state


def test_a_run_that_has_ended_cannot_be_cancelled(variant: str) -> None:
    """409 becomes one line."""
    client, _ = actions(variant)
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    with pytest.raises(errors.ConflictError) as caught:
        client.cancel_task(ref)

    assert "it has ended already, and cannot be cancelled" == caught.value.remedy


@pytest.mark.parametrize(("force", "state"), [("false", TaskState.RUNNING), ("true", TaskState.CANCELLED)])
def test_what_runs_always_is_cancelled_by_force(variant: str, force: str, state: TaskState) -> None:
    """Some steps outlive a cancel, and none a forced one."""
    client, _ = actions(variant, settings={"force_cancel": force})
    ref = client.create_task(TaskSpec(prompt="p", repository="owner/repo", instructions="always")).ref
    client.cancel_task(ref)

    assert state is client.get_task(ref).state


def test_a_run_that_has_ended_is_deleted(variant: str) -> None:
    """It is gone."""
    client, _ = actions(variant)
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    client.delete_task(ref)
    with pytest.raises(errors.NotFoundError):
        client.get_task(ref)


# -- bad input ---------------------------------------------------------------------------------------------------------

PERMISSION = (("x-accepted-github-permissions", "actions=write; contents=read"),)
SCOPES = (("x-accepted-oauth-scopes", "repo, workflow"), ("x-oauth-scopes", "gist"))


@pytest.mark.parametrize(
    ("settings", "faults", "remedy"),
    [
        ({"workflow": "ci.yml"}, [], "add `workflow_dispatch` to `on:`"),
        ({"inputs": "variant=blue"}, [], "declare them under on.workflow_dispatch.inputs"),
        ({"prompt_input": "title"}, [], "github_actions.inputs"),
        ({"workflow": "none.yml"}, [], "coatcheck workflow init"),
        ({}, [Status(403, on="create_task", headers=PERMISSION)], "permission actions=write or contents=read"),
        ({}, [Status(403, on="create_task", headers=SCOPES)], "the token needs the scope repo or workflow"),
        ({}, [Status(403, on="create_task")], "the token needs the permission actions=write"),
    ],
)
def test_a_refused_dispatch_has_a_remedy(
    variant: str, settings: dict[str, str], faults: list[Fault], remedy: str
) -> None:
    """One line with the service's reason, and the remedy; no intent is left open."""
    client, github = actions(variant, settings=settings, faults=faults)
    with pytest.raises(errors.ProviderError) as caught:
        client.create_task(SPEC)

    assert remedy in (caught.value.remedy or "")
    assert ((), "abandon") == (github.tasks, client.journal.entries[-1][0])


def test_an_unknown_branch_is_named(variant: str) -> None:
    """No ref of that name."""
    client, _ = actions(variant)
    with pytest.raises(errors.InvalidRequestError, match="No ref found for: gone") as caught:
        client.create_task(TaskSpec(prompt="p", repository="owner/repo", branch="gone"))

    assert "name a branch or tag that is on GitHub" == caught.value.remedy


@pytest.mark.parametrize(
    ("spec", "settings", "reason"),
    [
        ({"branch": "a" * 40}, {}, "is a commit, and workflows start from a branch or tag"),
        ({}, {"inputs": ",".join(f"i{n}=x" for n in range(24))}, "26 inputs are more than the 25"),
        ({"prompt": "x" * 65_536}, {}, "65536 characters are more than the 65535"),
        ({"repository": "nonsense"}, {}, "'nonsense' names no repository on GitHub"),
        ({"attempts": 2}, {}, "2 attempts are out of range"),
        ({"requires_approval": True}, {}, "does not support requires_approval"),
    ],
)
def test_what_cannot_be_dispatched_is_refused_before_any_request(
    variant: str, spec: dict[str, object], settings: dict[str, str], reason: str
) -> None:
    """Nothing is requested, and no intent is written."""
    client, github = actions(variant, settings=settings)
    with pytest.raises(errors.ConfigurationError, match=reason):
        client.create_task(TaskSpec(**{"prompt": "p", "repository": "owner/repo", **spec}))  # type: ignore[arg-type]

    assert ([], []) == (github.requests, client.journal.entries)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"base_url": "ftp://x"}, "base URL of github_actions is not usable"),
        ({"workflow": "no workflow"}, "'no workflow' is no workflow"),
        ({"repository": "x"}, "'x' names no repository on GitHub"),
        ({"inputs": "variant"}, "'variant' is no input"),
        ({"force_cancel": "perhaps"}, "force_cancel cannot be 'perhaps'"),
    ],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, str], reason: str) -> None:
    """The error lists the valid values."""
    with pytest.raises(errors.ConfigurationError, match=reason):
        provider(**settings)


@pytest.mark.parametrize("id", ["x", "owner~repo", "owner~repo~x", "a~b~c~1", "~1"])
def test_an_invalid_id_shows_the_form(variant: str, id: str) -> None:
    """Nothing is requested."""
    client, github = actions(variant)
    with pytest.raises(errors.ConfigurationError, match="names no run"):
        client.get_task(f"github_actions:{id}")

    assert [] == github.requests


def test_a_bare_number_is_a_run_of_the_repository_that_is_set(variant: str) -> None:
    """So that the address of a run's page is enough."""
    client, _ = actions(variant)
    ref = client.create_task(SPEC).ref

    assert ref == client.get_task("https://github.com/owner/repo/actions/runs/30433642").ref


def test_a_list_without_a_repository_is_an_error(variant: str) -> None:
    """Without a setting the repository must be given."""
    client, _ = actions(variant, settings={"repository": ""})
    with pytest.raises(errors.ConfigurationError, match="no repository configured"):
        list(client.list_tasks())
