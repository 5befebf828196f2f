from __future__ import annotations

import base64

import msgspec
import pytest
from tests.providers.generic_http.descriptions import AZURE, BASE, BY_ID, GOOGLE, PLAIN, provider

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.faults import Redirect, ResetAfterAccept, Status
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators.generic_http import PATCH, TOKEN, Http202Emulator, problem

STYLES = {"azure": AZURE, "by id": BY_ID, "plain": PLAIN, "google": GOOGLE}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def ends(toml: str, *life: str, variant: str = "blocking", **options: object) -> tuple[Both, Http202Emulator]:
    """Return a client and the service behind it."""
    both = Both(variant, provider(toml), None, token=TOKEN)
    emulator = Http202Emulator(life or ("NotStarted", "Running", "Succeeded"), clock=both.clock, **options)  # type: ignore[arg-type]
    return Both(variant, provider(toml), emulator, token=TOKEN, clock=both.clock), emulator


def one(*responses: Response, toml: str = PLAIN) -> tuple[Both, list[Request]]:
    """Return a client of a service with these responses, and the list of its requests."""

    class Saying:
        def __init__(self) -> None:
            self.requests: list[Request] = []
            self.left = list(responses)

        def handle(self, request: Request) -> Response:
            self.requests.append(request)
            return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    saying = Saying()
    return Both("blocking", provider(toml), saying, token=TOKEN), saying.requests


def response_of(body: object = None, status: int = 200, **headers: str) -> Response:
    """Return a response."""
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, msgspec.json.encode(body)
    )


# -- a task's life -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_every_style_returns_its_result(variant: str, style: str) -> None:
    """Submit, poll the address of the response, and read the result."""
    both, _ = ends(STYLES[style], variant=variant)
    task = both.create_task("Say hello", repository="owner/repo", branch="main")
    done = both.poll_task(task)

    assert not task.state.is_terminal
    assert (TaskState.SUCCEEDED, "Done: Say hello") == (done.state, done.outcome.text)


@pytest.mark.parametrize("style", STYLES)
def test_a_printed_ref_is_enough(style: str) -> None:
    """An id, a relative address or a name with slashes: all of it is in the ref."""
    both, _ = ends(STYLES[style])
    ref = both.create_task("Say hello").ref

    assert TaskState.SUCCEEDED is both.poll_task(str(TaskRef.parse(str(ref)))).state


@pytest.mark.parametrize(
    ("style", "id"),
    [
        ("azure", "operations%2Fjob1%3Fapi-version=1"),
        ("by id", "job1"),
        ("plain", "plain%2Fjob1"),
        ("google", "projects%2Fdemo%2Foperations%2Fjob1"),
    ],
)
def test_refs_are_as_short_as_the_description_allows(style: str, id: str) -> None:
    """What cannot stand in a ref is percent-encoded; the base URL is not repeated."""
    both, _ = ends(STYLES[style])

    assert id == both.create_task("Say hello").ref.id


@pytest.mark.parametrize(
    ("style", "life", "error"),
    [
        ("azure", "Failed", "AgentGaveUp: The tests never passed."),
        ("plain", "Failed", "409: The tests never passed."),
        ("google", "Failed", "9: The tests never passed."),
        ("google", "Canceled", "1: The operation was cancelled."),
    ],
)
def test_failures_have_the_services_reason(style: str, life: str, error: str) -> None:
    """A state, an error object, or a refusal instead of the result: the task failed with that reason."""
    both, _ = ends(STYLES[style], "NotStarted", life)
    task = both.poll_task(both.create_task("Say hello"))

    assert ({"Failed": "failed", "Canceled": "cancelled"}[life], error) == (task.state.value, str(task.error))


def test_the_whole_result_is_read() -> None:
    """Message, patch and pull request, from the places of the description."""
    both, _ = ends(AZURE)
    outcome = both.poll_task(both.create_task("Say hello")).outcome

    assert (PATCH.encode(), "https://git.example/pull/job1", "Say hello") == (
        bytes(outcome.patch),
        outcome.pull_request.url,
        outcome.pull_request.title,
    )


def test_the_body_is_json_for_any_prompt() -> None:
    """Values are inserted as JSON; fields that the task does not have are left out."""
    both, emulator = ends(AZURE)
    prompt = 'Say "hello"}, {"admin": true}\n{branch}'
    both.create_task(prompt, repository="owner/repo")

    assert {
        "prompt": prompt,
        "repository": "owner/repo",
        "labels": ["agent", "from owner"],
        "limits": {"minutes": 30},
    } == emulator.tasks[0].arguments


def test_a_result_of_the_submission_is_not_polled(variant: str) -> None:
    """A service that returns the result at once is not polled; the ref names where it could be."""
    both, emulator = ends(PLAIN, variant=variant, at_once=True)
    task = both.create_task("Say hello")
    done = both.poll_task(task)

    assert "Done: Say hello" == done.outcome.text
    assert 1 == len(emulator.requests)
    assert ("prefer", "respond-async") in emulator.requests[0].headers
    with pytest.raises(errors.UnsupportedError, match="has no address"):
        both.get_task(task.ref)


def test_an_accepted_task_without_an_address_is_uncertain() -> None:
    """202 without an address: the task exists, so the submission is not simply refused."""
    both, requests = one(Response(202))

    with pytest.raises(errors.SubmissionUncertainError, match="holds neither an address nor the result"):
        both.create_task("Say hello")

    assert 1 == len(requests)


def test_a_303_means_that_the_submission_was_accepted() -> None:
    """303 to a POST names the address to poll (RFC 9110 15.4.4)."""
    both, _ = one(Response(303, {"location": "/plain/7"}))

    assert "acme:plain%2F7" == str(both.create_task("Say hello").ref)


def test_a_redirected_submission_is_an_error() -> None:
    """307 to a POST is not followed, since another host could receive the task."""
    both, requests = one(Response(307, {"location": "https://elsewhere.example/plain"}))

    with pytest.raises(errors.ProviderError, match="HTTP 307"):
        both.create_task("Say hello")

    assert 1 == len(requests)


# -- waiting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["azure", "plain"])
def test_retry_after_is_obeyed_from_the_first_answer_on(style: str) -> None:
    """Retry-After of the submission counts as well as that of a poll."""
    both, _ = ends(STYLES[style], pause=50)
    both.poll_task(both.create_task("Say hello"), interval=4)

    assert [50.0, 50.0] == both.clock.sleeps


def test_a_new_task_may_be_unknown_for_a_while(variant: str) -> None:
    """A 404 just after the submission is a queued task; half a minute later it is an error."""
    both, _ = ends(AZURE, variant=variant, unlisted=20)
    task = both.poll_task(both.create_task("Say hello"), interval=8)
    late, _ = ends(AZURE, variant=variant, unlisted=100)

    assert TaskState.SUCCEEDED is task.state
    with pytest.raises(errors.NotFoundError, match="It may not be there yet"):
        late.poll_task(late.create_task("Say hello"), interval=8)
    assert 30 <= sum(late.clock.sleeps) < 50


def test_a_task_that_disappears_is_an_error() -> None:
    """Only a task that was never seen may be unknown."""
    both, emulator = ends(AZURE, "NotStarted", "Running")
    events = both.client.watch_task(both.create_task("Say hello").ref, interval=8)
    next(events)
    emulator.faults.append(Status(404, on="get_task", times=None))
    with pytest.raises(errors.NotFoundError):
        list(events)

    assert 2 == len(emulator.seen("get_task"))


def test_an_unchanged_answer_is_not_sent_again() -> None:
    """Polls carry the ETag of the last response, and 304 stands for that response."""
    both, requests = one(response_of({"status": "running"}, etag='"1"'), Response(304), response_of({"status": "done"}))
    task = both.poll_task("plain%2F1", interval=5)

    assert TaskState.SUCCEEDED is task.state
    assert [None, '"1"', '"1"'] == [dict(each.headers).get("if-none-match") for each in requests]


# -- what answers mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (response_of({"status": "Running"}), TaskState.RUNNING, "Running"),
        (response_of({"status": "simmering"}), TaskState.UNKNOWN, "simmering"),
        (response_of({"status": 3}), TaskState.UNKNOWN, "3"),
        (response_of({}, 202), TaskState.RUNNING, None),
        (Response(202), TaskState.RUNNING, None),
        (response_of({"anything": 1}), TaskState.SUCCEEDED, None),
        (response_of({"error": {"code": "E7", "message": "no"}}), TaskState.FAILED, "E7"),
        (response_of({"error": None}), TaskState.SUCCEEDED, None),
    ],
)
def test_without_described_states_the_status_decides(answer: Response, state: TaskState, word: str | None) -> None:
    """A state in its usual place, an error, then 202 for "not yet" and 200 for the result."""
    both, _ = one(answer)
    task = both.get_task("plain%2F1")

    assert (state, word) == (task.state, task.raw_state)


def test_a_missing_described_state_is_unknown() -> None:
    """A described state that is missing ends nothing."""
    both, _ = one(response_of({"anything": 1}), toml=PLAIN + '[task]\nstate = "phase"')

    assert TaskState.UNKNOWN is both.get_task("plain%2F1").state


def test_states_of_the_description_have_precedence(variant: str) -> None:
    """A description may redefine a usual state, in any case."""
    both, _ = one(response_of({"status": "DONE"}), toml=PLAIN + '[states]\ndone = "paused"')

    assert TaskState.PAUSED is both.get_task("plain%2F1").state


def test_text_is_a_result(variant: str) -> None:
    """A result that is a diff and no JSON is the patch where the description declares it."""
    toml = PLAIN.replace('"patch"', '"body:"')
    both, _ = one(Response(200, {"content-type": "text/x-diff"}, PATCH.encode()), toml=toml)

    assert PATCH.encode() == bytes(both.get_task("plain%2F1").outcome.patch)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {"content-type": "text/html"}, b"<title>Log in</title>"),
        Response(200, {"content-type": "application/json"}, b"{"),
        Response(200, {}, b"hello"),
    ],
)
def test_what_is_no_answer_ends_nothing(answer: Response) -> None:
    """A portal's page, half a document: unreadable, and never a success."""
    both, _ = one(answer)

    with pytest.raises(errors.UnreadableResponseError):
        both.get_task("plain%2F1")


def test_problems_are_shown() -> None:
    """The message has the title and detail of RFC 9457."""
    both, _ = one(problem(403, "No credit", "Your balance is 30, but that costs 50."))

    with pytest.raises(errors.PermissionDeniedError, match=r"Your balance is 30, but that costs 50\."):
        both.get_task("plain%2F1")


def test_a_redirect_is_followed_to_the_result_without_the_login() -> None:
    """A request to another origin has no credentials, and its response is the result."""
    both, requests = one(
        Response(303, {"location": "https://storage.example/r?sig=a%2Bb"}),
        response_of({"message": "Here", "status": "final"}),
    )
    task = both.get_task("plain%2F1")

    assert (TaskState.SUCCEEDED, "Here") == (task.state, task.outcome.text)
    assert "authorization" in dict(requests[0].headers)
    assert {"accept", "user-agent"} == set(dict(requests[1].headers))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500])
def test_a_result_that_is_unavailable_now_is_an_error(status: int) -> None:
    """Only a refusal of the work itself means that the task failed."""
    both, _ = one(Response(303, {"location": "/results/1"}), problem(status, "No"))

    with pytest.raises(errors.ProviderError):
        both.get_task("plain%2F1")


def test_a_status_address_elsewhere_is_requested_without_the_login() -> None:
    """A status address at another origin is polled without the secret and its headers."""
    toml = PLAIN + '[headers]\nx-tenant = "7"'
    both, requests = one(
        Response(202, {"location": "https://poll.example/t/1"}), response_of({"status": "running"}), toml=toml
    )
    task = both.create_task("Say hello")
    both.get_task(task.ref)

    assert "acme:https:%2F%2Fpoll.example%2Ft%2F1" == str(task.ref)
    assert "https://poll.example/t/1" == requests[1].url
    assert {"x-tenant", "authorization"} <= set(dict(requests[0].headers))
    assert {"accept", "user-agent"} == set(dict(requests[1].headers))


# -- acting ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["azure", "by id", "google"])
def test_a_task_is_cancelled(style: str) -> None:
    """By its status address, or by a path; the state of the task shows whether it worked."""
    both, _ = ends(STYLES[style])
    ref = both.create_task("Say hello").ref
    both.cancel_task(ref)

    assert TaskState.CANCELLED is both.poll_task(ref).state


def test_a_finished_operation_is_deleted() -> None:
    """In AIP-151, delete means that the result is no longer needed."""
    both, emulator = ends(GOOGLE)
    both.delete_task(both.create_task("Say hello").ref)

    assert () == emulator.tasks


def test_lists_are_followed_and_their_refs_work(variant: str) -> None:
    """Newest first, page by page, each with a ref that works."""
    both, _ = ends(GOOGLE, variant=variant)
    for number in range(5):
        both.create_task(f"Say {number}")
    tasks: list[Task] = both.list_tasks()

    assert [f"Say {number}" for number in (4, 3, 2, 1, 0)] == [task.prompt for task in tasks]
    assert tasks[0].ref == both.get_task(tasks[0].ref).ref


def test_many_tasks_are_waited_for_by_the_list() -> None:
    """Pages replace single polls, and each returned task has its outcome."""
    both, emulator = ends(BY_ID, "NotStarted", *["Running"] * 3, "Succeeded")
    refs = [both.create_task(f"Say {number}").ref for number in range(4)]
    for job in emulator.tasks[:2]:
        job.life, job.state = [], "Succeeded"
    done = [task.outcome.text for task in both.client.poll_tasks(refs[:2], interval=5)]

    assert emulator.seen("list_tasks")
    assert ["Done: Say 0", "Done: Say 1"] == sorted(done)


def test_a_lost_answer_is_found_in_the_list(variant: str) -> None:
    """Where the description has a list with prompts, a task is adopted and not sent again."""
    both, emulator = ends(BY_ID, variant=variant)
    emulator.faults.append(ResetAfterAccept(on="create_task"))
    task = both.create_task("Say hello", branch="main")

    assert ("job1", 1) == (task.ref.id, len(emulator.tasks))


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "token", "header", "value"),
    [
        ('auth = "bearer"', "t", "authorization", "Bearer t"),
        ('auth = "basic"', "me:t", "authorization", f"Basic {base64.b64encode(b'me:t').decode()}"),
        ('auth = "header"\nauth_header = "X-API-Key"', "t", "x-api-key", "t"),
        ('auth = "none"', "t", "authorization", None),
    ],
)
def test_the_secret_travels_as_described(auth: str, token: str, header: str, value: str | None) -> None:
    """Bearer, basic, a header of the service's own, or not at all."""
    described = provider(f"{auth}\ntoken_variable = 'ACME_KEY'\n{PLAIN}", base_url="https://acme.example")
    asked: list[Request] = []

    class Saying:
        def handle(self, request: Request) -> Response:
            asked.append(request)
            return response_of({"status": "running"})

    environ = {"ACME_KEY": token, "COATCHECK_LEARN": "off"}
    Both("blocking", described, Saying(), token=None, environ=environ).get_task("plain%2F1")

    assert value == dict(asked[0].headers).get(header)


def test_without_a_secret_nothing_is_requested() -> None:
    """The remedy names the variable that the description names."""
    both = Both("blocking", provider(AZURE), None, token=None)

    with pytest.raises(errors.NotLoggedInError) as caught:
        both.create_task("Say hello")

    assert "set ACME_KEY" == caught.value.remedy


def test_required_fields_are_checked_before_any_request() -> None:
    """A description may name the required fields of a task."""
    both, emulator = ends(AZURE.replace('path = "/jobs"', 'path = "/jobs"\nrequires = ["branch"]'))

    with pytest.raises(errors.ConfigurationError, match="acme needs a branch"):
        both.create_task("Say hello")

    assert [] == emulator.requests


def test_what_is_not_sent_is_not_taken() -> None:
    """An option that no template puts in would be lost, so it is refused."""
    both, emulator = ends(PLAIN)

    with pytest.raises(errors.UnsupportedError, match="acme does not support model"):
        both.create_task(TaskSpec(prompt="Say hello", model="big"))

    assert [] == emulator.requests


def test_a_downgrade_is_not_followed() -> None:
    """An http address from an https service is not requested."""
    described = provider(PLAIN, base_url="https://acme.example")

    with pytest.raises(errors.ConfigurationError, match=r"names poll\.example without encryption"):
        next(described.get_task(TaskRef("acme", "http:%2F%2Fpoll.example%2Ft")))


def test_the_base_url_may_have_a_path() -> None:
    """Addresses below it are short, addresses beside it begin with a slash."""
    both = [
        Both("blocking", provider(PLAIN, base_url=f"{BASE}/api"), Saying(location), token=TOKEN)
        for location in ("/api/t/1", "/other/1", "t/1", f"{BASE}/api/t/1?x=%2F")
    ]

    assert ["t%2F1", "%2Fother%2F1", "t%2F1", "t%2F1%3Fx=%252F"] == [each.create_task("p").ref.id for each in both]


class Saying:
    def __init__(self, location: str) -> None:
        self.location = location

    def handle(self, request: Request) -> Response:
        return Response(202, {"location": self.location})


def test_redirects_of_a_moved_status_are_followed() -> None:
    """A status address that has moved returns the state as before."""
    both, emulator = ends(AZURE)
    ref = both.create_task("Say hello").ref
    emulator.faults.append(Redirect(location="/operations/job1", on="get_task", status=307))

    assert TaskState.RUNNING is both.get_task(ref).state


@pytest.mark.parametrize("prompt", ["two\nlines", "naïve"])
def test_a_prompt_cannot_add_a_header(prompt: str) -> None:
    """No prompt can end its header and begin another."""
    both, emulator = ends(PLAIN.replace("[result]", 'headers = { x-title = "{prompt}" }\n[result]'))

    with pytest.raises(errors.ConfigurationError, match="x-title holds printable ASCII only"):
        both.create_task(prompt)

    assert [] == emulator.requests


def test_half_a_character_is_refused() -> None:
    """What is no Unicode text cannot be sent."""
    both, emulator = ends(PLAIN)

    with pytest.raises(errors.ConfigurationError, match="not valid Unicode"):
        both.create_task("\ud800")

    assert [] == emulator.requests


def test_the_submission_may_name_the_id_elsewhere() -> None:
    """In its answer `submit.id` goes before `task.id`, which is for status answers and lists."""
    toml = BY_ID.replace('path = "/jobs"', 'path = "/jobs"\nid = "operation.key"')
    both, _ = one(response_of({"id": "request-1", "operation": {"key": "job9"}}, 202), toml=toml)

    assert "acme:job9" == str(both.create_task("Say hello").ref)


# -- addresses that change -----------------------------------------------------------------------------------------------


class Moving:
    """A service that gives each poll a new address, and answers 404 at *forgotten* ones."""

    def __init__(self, header: str, *, status: int, forgotten: tuple[str, ...] = (), moves: int = 3) -> None:
        self.header, self.status, self.forgotten, self.moves = header, status, forgotten, moves
        self.paths: list[str] = []

    def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return response_of({}, 202, **{self.header: "/jobs/0"})
        path = "/" + request.url.partition("://")[2].partition("/")[2]
        self.paths.append(path)
        number = int(path.rpartition("/")[2])
        if path in self.forgotten:
            return response_of({}, 404)
        if number == self.moves:
            return response_of({"status": "Succeeded"})
        return response_of({"status": "Running"}, self.status, **{self.header: f"/jobs/{number + 1}"})


@pytest.mark.parametrize("header", ["location", "operation_location", "azure_asyncoperation"])
@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("verb", ["poll_task", "poll_tasks"])
def test_a_task_that_moves_is_followed(variant: str, header: str, status: int, verb: str) -> None:
    """Each poll uses the address of the last response, and the ref stays the same."""
    service = Moving(header, status=status)
    both = Both(variant, provider(PLAIN), service, token=TOKEN)
    ref = both.create_task("hi").ref
    ended = both.poll_task(ref) if verb == "poll_task" else both.poll_tasks([ref])[0]

    assert (ref, TaskState.SUCCEEDED, ["/jobs/0", "/jobs/1", "/jobs/2", "/jobs/3"]) == (
        ended.ref,
        ended.state,
        service.paths,
    )


def test_an_address_that_is_forgotten_leads_back_to_the_refs_own(variant: str) -> None:
    """Where the new address is unknown, the task is requested at its first address."""
    service = Moving("location", status=202, forgotten=("/jobs/1",))
    service.moves = 1
    both = Both(variant, provider(PLAIN), service, token=TOKEN)
    ref = both.create_task("hi").ref
    with pytest.raises(errors.WaitTimeoutError):
        both.poll_task(ref, timeout=12, interval=5)

    assert ["/jobs/0", "/jobs/1", "/jobs/0"] == service.paths[:3]
