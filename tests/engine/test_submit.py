"""One call creates one task, whatever fails."""

from __future__ import annotations

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyPage, ToyProvider, ToyService, ToyTask, reply

from coatcheck import Task, TaskRef, TaskSpec, errors
from coatcheck._protocol.decode import decode
from coatcheck._protocol.effects import Exchange, Request, Response
from coatcheck._protocol.intents import Intent
from coatcheck._protocol.provider import Capabilities, Support, Verb
from coatcheck.testing.memory_journal import MemoryJournal

NOW = 1_790_000_000.0


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


class Losing(ToyService):
    """A service whose response to POST is lost, after (or before) the task was created; `others` are listed beside it."""

    def __init__(self, *, answer: Response | Exception, taken: bool = True, others: int = 0) -> None:
        super().__init__(now=NOW)
        self.answer, self.taken, self.others = answer, taken, others
        self.looks_before_listed = 0

    def create(self, body: dict[str, object]) -> Response:
        for _ in range(self.others + self.taken):
            super().create(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def page(self, cursor: str | None) -> Response:
        self.looks_before_listed -= 1
        return reply(ToyPage()) if self.looks_before_listed >= 0 else super().page(cursor)


LOST = errors.TransportError("the connection was reset")
SLOW = errors.TransportTimeoutError("no answer in 60 seconds")
TROUBLES = [LOST, SLOW, reply({}, 500), reply({}, 502), reply({}, 504), Response(201, {}, b"<html>")]


def test_an_intent_is_durable_before_the_post_and_settled_after(variant: str) -> None:
    """The journal has the submission before the service does, and its ref as soon as it is known."""
    service = ToyService()
    both = Both(variant, ToyProvider(), service)
    seen: list[int] = []
    create = service.create
    service.create = lambda body: (seen.append(len(both.journal.entries)), create(body))[1]  # type: ignore[method-assign]
    task = both.create_task("p")

    assert [1] == seen
    assert [("begin", None), ("settle", task.ref.id)] == [(what, id) for what, _, id in both.journal.entries]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_lost_answer_is_found_in_the_list(variant: str, trouble: Response | Exception) -> None:
    """The created task is adopted, and the POST was sent once."""
    service = Losing(answer=trouble)
    both = Both(variant, ToyProvider(), service)
    task = both.create_task("do it")

    assert ("t1", "do it", 1) == (task.ref.id, task.prompt, service.count("POST", "/tasks"))
    assert "settle" == both.journal.entries[-1][0]


def test_a_task_that_appears_late_is_waited_for(variant: str) -> None:
    """The list may lag: it is requested again for up to half a minute."""
    service = Losing(answer=LOST)
    service.looks_before_listed = 3
    both = Both(variant, ToyProvider(), service)

    assert "t1" == both.create_task("do it").ref.id


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_missing_task_is_uncertain_and_not_submitted_again(variant: str, trouble: Response | Exception) -> None:
    """When the list shows nothing for 30 seconds, the error names what is known."""
    service = Losing(answer=trouble, taken=False)
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.SubmissionUncertainError) as caught:
        both.create_task("do it")

    assert ("do it", (), 1) == (caught.value.spec.prompt, caught.value.candidates, service.count("POST", "/tasks"))
    assert 30 <= sum(both.clock.sleeps) < 40
    assert 1 == len(both.journal.open_intents("toy"))


def test_of_two_matching_tasks_neither_is_adopted(variant: str) -> None:
    """The error names both."""
    service = Losing(answer=LOST, others=1)
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.SubmissionUncertainError) as caught:
        both.create_task("do it")

    assert ["toy:t2", "toy:t1"] == [str(ref) for ref in caught.value.candidates]


@pytest.mark.parametrize(
    "other",
    [
        ToyTask(id="o", prompt="do it ", created=NOW),
        ToyTask(id="o", prompt="do it", created=NOW - 31),
        ToyTask(id="o", prompt="something else", created=NOW),
    ],
)
def test_a_task_that_does_not_fit_is_not_adopted(variant: str, other: ToyTask) -> None:
    """Only a task with the same prompt bytes, created since, is adopted."""
    service = Losing(answer=LOST, taken=False)
    service.tasks["o"], service.lives["o"] = other, iter(["queued"] * 100)
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.SubmissionUncertainError):
        both.create_task("do it")


class FullJournal(MemoryJournal):
    """A journal whose disk is full once a submission has been sent."""

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        raise errors.StoreError("the disk is full")


def test_a_task_that_cannot_be_recorded_is_returned(variant: str, caplog: pytest.LogCaptureFixture) -> None:
    """A failing journal does not lose the ref of a created task; its intent stays open."""
    journal = FullJournal()
    task = Both(variant, ToyProvider(), ToyService(), journal=journal).create_task("do it")

    assert (True, 1) == (f"{task.ref} was created" in caplog.text, len(journal.open_intents("toy")))


def test_a_task_that_another_intent_recorded_is_not_adopted(variant: str) -> None:
    """Two calls with one prompt never share a task."""
    service = Losing(answer=LOST, taken=False)
    journal = MemoryJournal()
    good = ToyService(now=NOW)
    Both(variant, ToyProvider(), good, journal=journal).create_task("do it")
    service.tasks, service.lives = good.tasks, good.lives

    with pytest.raises(errors.SubmissionUncertainError):
        Both(variant, ToyProvider(), service, journal=journal).create_task("do it")


def test_a_task_that_another_open_intent_may_have_made_is_not_adopted(variant: str) -> None:
    """Two responses were lost and one task is listed: neither call adopts it."""
    journal = MemoryJournal()
    nothing = Losing(answer=LOST, taken=False)
    with pytest.raises(errors.SubmissionUncertainError):
        Both(variant, ToyProvider(), nothing, journal=journal).create_task("do it")
    service = Losing(answer=LOST)

    with pytest.raises(errors.SubmissionUncertainError):
        Both(variant, ToyProvider(), service, journal=journal).create_task("do it")


@pytest.mark.parametrize("status", [301, 302, 303, 300, 304])
def test_a_redirect_that_may_answer_a_performed_post_is_uncertain(variant: str, status: int) -> None:
    """After 301, 302 and 303 clients send GET, so the POST may have been performed: its intent stays open."""
    moved = Response(status, {"location": "/tasks/1?token=t"}, url="http://toy.test/tasks")
    both = Both(variant, ToyProvider(), ToyService(None, moved, moved, *[reply({"items": []})] * 30))

    with pytest.raises(errors.SubmissionUncertainError):
        both.create_task("do it")

    assert {"begin"} == {entry[0] for entry in both.journal.entries}


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_to_something_unreadable_is_uncertain(variant: str, status: int) -> None:
    """An answer whose Location cannot be read leaves the outcome unknown."""
    moved = Response(status, {"location": "\N{REPLACEMENT CHARACTER}"}, url="http://toy.test/tasks")
    both = Both(variant, ToyProvider(), ToyService(None, moved, moved, *[reply({"items": []})] * 30))

    with pytest.raises(errors.SubmissionUncertainError, match="not an address"):
        both.create_task("do it")

    assert {"begin"} == {entry[0] for entry in both.journal.entries}


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_must_repeat_the_post_is_certain(variant: str, status: int) -> None:
    """A POST that is to be repeated elsewhere was not performed; the error names the address without its query."""
    moved = Response(status, {"location": "/tasks/1?token=t"}, url="http://toy.test/tasks")
    both = Both(variant, ToyProvider(), ToyService(None, moved, moved))

    with pytest.raises(
        errors.ProviderError, match=r"redirects the request to http://127.0.0.1:9/tasks/1 \(HTTP 30[78]\)"
    ):
        both.create_task("do it")

    assert "abandon" == both.journal.entries[-1][0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_certain(variant: str, status: int) -> None:
    """A refused submission created nothing: the intent is closed and the service's error is raised."""
    service = ToyService(None, reply({"detail": "no"}, status), reply({"detail": "no"}, status))
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.ProviderError, match="no"):
        both.create_task("do it")

    assert "abandon" == both.journal.entries[-1][0]


def test_a_connection_that_never_stood_is_certain(variant: str) -> None:
    """Refused connections are tried again, and then raised as what they are."""
    service = ToyService(None, *[errors.TransportError("refused", request_sent=False)] * 9)
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.TransportError, match="refused"):
        both.create_task("do it")

    assert "abandon" == both.journal.entries[-1][0]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (TaskSpec(prompt=" \n"), "prompt is blank"),
        (TaskSpec(prompt="p", attempts=0), "0 attempts are out of range: toy takes 1 to 3"),
        (TaskSpec(prompt="p", attempts=4), "out of range"),
        (TaskSpec(prompt="p", mode="ask"), "toy has no ask mode"),
        (TaskSpec(prompt="p", model="m"), "toy does not support model"),
        (TaskSpec(prompt="p", environment="moon"), "no environment 'moon': attic, cellar"),
    ],
)
def test_a_wrong_spec_is_refused_before_any_post(variant: str, spec: TaskSpec, reason: str) -> None:
    """One clear sentence, nothing sent, nothing written down."""
    service = ToyService()
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.ConfigurationError, match=reason):
        both.create_task(spec)

    assert (0, []) == (service.count("POST", "/tasks"), both.journal.entries)


def crashed(variant: str, service: ToyService, *, age: float = 100) -> Both:
    """Return a client whose journal holds an intent of a process that was killed during a submission."""
    both = Both(variant, ToyProvider(), service)

    class DeadError(Exception):
        pass

    def die(request: Request) -> Response:
        if request.method == "POST":
            raise DeadError
        return ToyService().handle(request)

    dying = type("Dying", (), {"handle": staticmethod(die)})()
    with pytest.raises(DeadError):
        Both(variant, ToyProvider(), dying, journal=both.journal, clock=both.clock).create_task("do it")
    both.clock.advance(age)
    return both


def test_a_crash_leaves_an_intent_that_resume_finishes(variant: str) -> None:
    """The task that a killed process created is found and recorded."""
    service = ToyService(now=NOW)
    both = crashed(variant, service)
    service.create({"prompt": "do it", "attempts": 1})
    (resumed,) = both.resume_submissions()

    assert "t1" == resumed.task.ref.id
    assert [] == both.journal.open_intents("toy")


def test_an_old_intent_without_a_task_is_closed(variant: str) -> None:
    """Long after the crash, the list decides."""
    both = crashed(variant, ToyService())
    (resumed,) = both.resume_submissions()

    assert (None, ()) == (resumed.task, resumed.candidates)
    assert [] == both.journal.open_intents("toy")


def test_a_young_intent_without_a_task_stays_open(variant: str) -> None:
    """Within half a minute the task may still appear."""
    both = crashed(variant, ToyService(), age=5)
    list(both.resume_submissions())

    assert 1 == len(both.journal.open_intents("toy"))


class Listless(ToyProvider):
    """A service that shows no list."""

    capabilities = Capabilities(verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_TASK), Support.DOCUMENTED))


def test_without_a_list_a_lost_answer_is_uncertain_at_once(variant: str) -> None:
    """Where there is no list to search, nothing is waited for."""
    both = Both(variant, Listless(), Losing(answer=LOST))

    with pytest.raises(errors.SubmissionUncertainError, match="no list to look in"):
        both.create_task("p")

    assert [] == both.clock.sleeps


class Keyed(ToyProvider):
    """A service that stores a submission's key, and may not return the id of the created task."""

    capabilities = Capabilities(
        verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_TASK, Verb.FIND_TASK), Support.DOCUMENTED)
    )
    is_silent = False

    def create_task(self, spec: TaskSpec) -> Exchange[Task | None]:  # type: ignore[override] - what the contract allows
        body = {"prompt": f"{spec.prompt} [{spec.key}]", "attempts": 1}
        response = yield Request("POST", "/tasks", body=msgspec.json.encode(body))
        task = decode(response, ToyTask)
        return None if self.is_silent else self._task(task)

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        response = yield Request("GET", "/tasks")
        found = [self._task(task) for task in decode(response, ToyPage).tasks if f"[{intent.id}]" in task.prompt]
        return found[0] if found else None


class Silent(Keyed):
    is_silent = True


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_lost_answer_is_found_by_its_key(variant: str, trouble: Response | Exception) -> None:
    """The key identifies the task among others with the same prompt and time."""
    service = Losing(answer=trouble)
    both = Both(variant, Keyed(), service)
    service.tasks["other"], service.lives["other"] = ToyTask(id="other", prompt="do it", created=NOW), iter([])
    task = both.create_task("do it")

    assert ("t2", 1) == (task.ref.id, service.count("POST", "/tasks"))


def test_a_task_whose_id_is_not_returned_is_found_by_its_key(variant: str) -> None:
    """An accepted submission without an id appears in the list some seconds later."""
    service = Losing(answer=reply(ToyTask(id="?")))
    service.looks_before_listed = 2
    both = Both(variant, Silent(), service)
    task = both.create_task("do it")

    assert ("t1", 1, [3.0, 3.0]) == (task.ref.id, service.count("POST", "/tasks"), both.clock.sleeps)


def test_a_task_that_no_key_finds_is_uncertain(variant: str) -> None:
    """The search is bounded, and nothing is sent again."""
    service = Losing(answer=reply(ToyTask(id="?")), taken=False)
    both = Both(variant, Silent(), service)
    with pytest.raises(errors.SubmissionUncertainError, match="did not say which task"):
        both.create_task("do it")

    assert (1, True) == (service.count("POST", "/tasks"), 30 <= sum(both.clock.sleeps) < 40)


def test_a_crash_is_resumed_by_key(variant: str) -> None:
    """An intent's id is the key that its submission carried."""
    service = ToyService(now=NOW)
    toy = crashed(variant, service)
    both = Both(variant, Keyed(), service, journal=toy.journal, clock=toy.clock)
    (intent,) = toy.journal.open_intents("toy")
    service.create({"prompt": f"do it [{intent.id}]", "attempts": 1})
    (resumed,) = both.resume_submissions()

    assert "t1" == resumed.task.ref.id


class Naming(Keyed):
    capabilities = msgspec.structs.replace(Keyed.capabilities, options=frozenset({"key"}))


def test_a_key_of_ones_own_is_the_submissions(variant: str) -> None:
    """Who names a submission has it carried under that name, and written down under it."""
    service = ToyService()
    both = Both(variant, Naming(), service)
    both.create_task(TaskSpec(prompt="do it", key="nightly-7"))

    assert ("do it [nightly-7]", "nightly-7") == (service.tasks["t1"].prompt, both.journal.entries[0][1])


def test_a_key_is_refused_where_the_service_carries_none(variant: str) -> None:
    """A name that would be lost is no name."""
    with pytest.raises(errors.UnsupportedError, match="toy does not support key"):
        Both(variant, ToyProvider(), ToyService()).create_task(TaskSpec(prompt="do it", key="nightly-7"))


class Forgetful(ToyProvider):
    """A service that never shows the prompt of a task."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        return msgspec.structs.replace((yield from super().get_task(ref)), prompt=None)


def test_a_task_without_its_prompt_is_never_adopted(variant: str) -> None:
    """It could belong to another call: it is named, and the user decides."""
    both = Both(variant, Forgetful(), Losing(answer=LOST))
    with pytest.raises(errors.SubmissionUncertainError) as caught:
        both.create_task("do it")

    assert ["t1"] == [ref.id for ref in caught.value.candidates]
    assert 1 == len(both.journal.open_intents("toy"))


class Confused(ToyProvider):
    """Fails while it reads the response to an accepted submission."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        yield Request("POST", "/tasks", body=msgspec.json.encode({"prompt": spec.prompt, "attempts": 1}))
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigurationError("bad address"),
        errors.NotFoundError("gone", status=404),
        errors.AuthenticationError("who", status=401),
        errors.TransportError("not connected", request_sent=False),
        KeyError("id"),
        ValueError("Invalid IPv6 URL"),
    ],
)
@pytest.mark.parametrize("taken", [True, False])
def test_an_error_after_acceptance_leaves_the_outcome_unknown(variant: str, error: Exception, *, taken: bool) -> None:
    """Whatever is wrong with the response, the task is searched for, and never reported as not submitted."""
    service = Losing(answer=reply({}, 201), taken=taken)
    both = Both(variant, Confused(error), service)
    came: object
    try:
        came = both.create_task("do it").ref.id
    except errors.SubmissionUncertainError:
        came = len(both.journal.open_intents("toy"))

    assert (("t1" if taken else 1), 1) == (came, service.count("POST", "/tasks"))


def test_a_refusal_in_a_successful_response_is_certain(variant: str) -> None:
    """A refusal that JSON-RPC reports with the status 200 created nothing: the intent is closed."""
    refusal = errors.InvalidRequestError("no", status=400)
    refusal.is_refusal = True
    both = Both(variant, Confused(refusal), Losing(answer=reply({}, 200), taken=False))
    with pytest.raises(errors.InvalidRequestError, match="no"):
        both.create_task("do it")

    assert "abandon" == both.journal.entries[-1][0]


class Discovering(ToyProvider):
    """Requests the address of the service before it submits."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        decode((yield Request("GET", "/environments")), list[int])
        return (yield from super().create_task(spec))


def test_an_error_before_the_post_is_certain(variant: str) -> None:
    """A response to a GET request before the POST that cannot be read leaves nothing unknown."""
    service = ToyService()
    both = Both(variant, Discovering(), service)
    with pytest.raises(errors.UnreadableResponseError):
        both.create_task("do it")

    assert ("abandon", 0) == (both.journal.entries[-1][0], service.count("POST", "/tasks"))


class SilentProvider(ToyProvider):
    """A provider whose service reports neither environment nor branch of a task (or one of them)."""

    missing: tuple[str, ...] = ("environment", "branch")

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        task = yield from super().get_task(ref)
        return msgspec.structs.replace(task, **dict.fromkeys(self.missing))


@pytest.mark.parametrize("missing", [("environment",), ("branch",), ("environment", "branch")], ids=",".join)
def test_what_the_service_does_not_report_is_not_compared(variant: str, missing: tuple[str, ...]) -> None:
    """A task without environment or branch is found by its prompt, its time and what other intents recorded."""
    provider = SilentProvider()
    provider.missing = missing
    both = Both(variant, provider, Losing(answer=LOST))

    assert "t1" == both.create_task("do it").ref.id


def test_two_that_fit_where_little_is_reported_are_uncertain(variant: str) -> None:
    """Where two tasks match, neither is adopted."""
    both = Both(variant, SilentProvider(), Losing(answer=LOST, others=1))
    with pytest.raises(errors.SubmissionUncertainError) as caught:
        both.create_task("do it")

    assert ["t1", "t2"] == sorted(ref.id for ref in caught.value.candidates)


def test_a_task_that_could_be_of_another_environments_intent_is_uncertain(variant: str) -> None:
    """Two lost submissions of one prompt to two environments: a task without an environment could be either's."""
    both = Both(variant, SilentProvider(), Losing(answer=LOST, taken=False))
    with pytest.raises(errors.SubmissionUncertainError):
        both.create_task("do it", environment="attic")
    other = Both(variant, SilentProvider(), Losing(answer=LOST), journal=both.journal)
    with pytest.raises(errors.SubmissionUncertainError) as caught:
        other.create_task("do it", environment="cellar")

    assert ["t1"] == [ref.id for ref in caught.value.candidates]


def test_a_process_that_was_stopped_at_its_intent_sends_nothing(variant: str) -> None:
    """Where much time passes while the intent is written, another process may have taken it over: it is closed unsent."""
    service = ToyService()
    both = Both(variant, ToyProvider(), service)
    begin = both.journal.begin
    both.journal.begin = lambda intent: (begin(intent), both.clock.advance(151.0))[0]  # type: ignore[method-assign]
    with pytest.raises(errors.TransportTimeoutError):
        both.create_task("p")

    assert (0, "abandon") == (service.count("POST", "/tasks"), both.journal.entries[-1][0])
