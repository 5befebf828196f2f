"""Waiting for a crowd: the cheaper way, and everybody once."""

from __future__ import annotations

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyPage, ToyProvider, ToyService, ToyTask, reply

from coatcheck import TaskRef, errors
from coatcheck._model.tasks import Task
from coatcheck._protocol.decode import check, decode
from coatcheck._protocol.effects import Exchange, Request
from coatcheck._protocol.provider import StatusPage, Support, Verb


class Sweeping(ToyProvider):
    """The toy, read by pages. `is_final` makes its pages a queue's: what is there is all there is."""

    is_final = False
    capabilities = msgspec.structs.replace(
        ToyProvider.capabilities, verbs={**ToyProvider.capabilities.verbs, Verb.GET_STATUS_PAGE: Support.DOCUMENTED}
    )

    def get_status_page(self, refs: tuple[TaskRef, ...], *, cursor: str | None) -> Exchange[StatusPage]:
        response = yield Request("GET", "/tasks", query=(("cursor", cursor),) if cursor else ())
        page = decode(response, ToyPage)
        tasks = tuple(self._task(task) for task in page.tasks)
        receipts = tuple(task.id for task in page.tasks) if self.is_final else ()
        return StatusPage(tasks=tasks, cursor=page.next, is_final=self.is_final, receipts=receipts)

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        yield Request("POST", "/tasks/acknowledge", body=msgspec.json.encode(page.receipts))


class Queue(Sweeping):
    is_final = True


class Busy(ToyService):
    """A service with many tasks; at each listing a few more have ended. Pages hold `size`."""

    def __init__(self, count: int, *, size: int, a_round: int, others: int = 0) -> None:
        super().__init__()
        self.size, self.a_round = size, a_round
        for number in range(count + others):
            self.tasks[f"t{number}"] = ToyTask(id=f"t{number}", state="working")
        self.to_end = [f"t{number}" for number in range(count)]
        self.acknowledged: list[str] = []

    def page(self, cursor: str | None) -> object:
        if cursor is None:
            for id in self.to_end[: self.a_round]:
                self.tasks.get(id, ToyTask(id=id)).state = "done"
            del self.to_end[: self.a_round]
        start = int(cursor or 0)
        tasks = list(self.tasks.values())
        end = start + self.size
        return reply(ToyPage(tasks=tasks[start:end], next=str(end) if end < len(tasks) else None))

    def about(self, id: str, rest: str) -> object:
        return reply(self.tasks[id])

    def route(self, request: Request) -> object:
        if request.path.endswith("/acknowledge"):
            self.acknowledged += msgspec.json.decode(request.body)
            return reply({})
        return super().route(request)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


def ids(tasks: list[Task]) -> list[str]:
    return [task.ref.id for task in tasks]


def test_pages_tell_of_a_crowd(variant: str) -> None:
    """100 tasks on pages of 20, ten ending at a time: five requests a round and one look at each end."""
    service = Busy(100, size=20, a_round=10)
    both = Both(variant, Sweeping(), service)
    tasks = both.poll_tasks([f"t{n}" for n in range(100)], interval=10)

    assert sorted(ids(tasks)) == sorted(f"t{n}" for n in range(100))
    assert 100 == sum(service.count("GET", f"/tasks/t{n}") for n in range(100))
    assert service.count("GET", "/tasks") <= 5 * 10


def test_without_pages_everybody_is_looked_at(variant: str) -> None:
    """A service that cannot tell of many is asked for each."""
    service = ToyService(states=("working", "done"))
    for _ in range(3):
        service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, ToyProvider(), service)

    assert ["t1", "t2", "t3"] == ids(both.poll_tasks(["t1", "t2", "t3"], interval=10))
    assert 6 == len(service.requests)


def test_no_more_pages_are_read_than_show_somebody(variant: str) -> None:
    """Five tasks at the head of a list of a thousand cost one page, not fifty."""
    service = Busy(5, size=20, a_round=5, others=995)
    both = Both(variant, Sweeping(), service)
    both.poll_tasks([f"t{n}" for n in range(5)], interval=10)

    assert 1 == service.count("GET", "/tasks")


def test_whom_the_pages_do_not_show_is_looked_at(variant: str) -> None:
    """An archived task is on no page, and is waited for all the same."""
    service = Busy(2, size=20, a_round=2)
    hidden = service.tasks.pop("t1")
    service.route = lambda request, route=service.route: (  # type: ignore[method-assign, misc]
        reply(msgspec.structs.replace(hidden, state="done")) if request.path.endswith("/t1") else route(request)
    )
    both = Both(variant, Sweeping(), service)

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))


def test_a_queue_is_acknowledged_after_its_tasks_were_handed_out(variant: str) -> None:
    """What is there once is taken as it is, and given back only then; strangers on it are given back too."""
    service = Busy(2, size=20, a_round=2, others=1)
    both = Both(variant, Queue(), service)

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))
    assert ["t0", "t1", "t2"] == service.acknowledged
    assert 0 == sum(service.count("GET", f"/tasks/t{n}") for n in range(3))


def test_bad_weather_is_another_round(variant: str) -> None:
    """An outage of the list is waited out."""
    service = Busy(2, size=20, a_round=2)
    service.script = [reply({}, 503)] * 7
    both = Both(variant, Sweeping(), service)

    assert 2 == len(both.poll_tasks(["t0", "t1"], interval=10))


def test_a_refusal_of_one_is_raised_when_the_others_have_ended(variant: str) -> None:
    """A task that does not exist costs the others nothing, and is not passed over in silence."""
    service = Busy(2, size=20, a_round=1)
    with pytest.raises(errors.NotFoundError) as caught:
        Both(variant, Sweeping(), service).poll_tasks(["nope", "t0", "t1", "gone"], interval=10)

    assert str(caught.value).startswith("toy:nope: ")
    assert str(caught.value).endswith("; refused too: toy:gone")
    assert [1, 1, 1, 1] == [service.count("GET", f"/tasks/{id}") for id in ("nope", "gone", "t0", "t1")]


def test_a_refused_login_is_everybodys(variant: str) -> None:
    """Nobody is waited for with a token that is not taken."""
    both = Both(variant, ToyProvider(), ToyService(*[reply({}, 401)] * 3))
    with pytest.raises(errors.AuthenticationError):
        both.poll_tasks(["t0", "t1"], interval=10)

    assert [] == both.clock.sleeps


def test_an_outage_without_a_deadline_is_reported(variant: str) -> None:
    """After a quarter of an hour without any answer, and not as if the tasks went on."""
    both = Both(variant, Sweeping(), ToyService(*[reply({}, 503)] * 1000))
    with pytest.raises(errors.ProviderUnavailableError):
        both.poll_tasks(["t0", "t1"], interval=60, timeout=None)

    assert 900 < sum(both.clock.sleeps) < 1200


def test_an_outage_of_looks_without_a_deadline_is_reported(variant: str) -> None:
    """The same where there is no list."""
    both = Both(variant, ToyProvider(), ToyService(*[reply({}, 503)] * 1000))
    with pytest.raises(errors.ProviderUnavailableError):
        both.poll_tasks(["t0", "t1"], interval=60, timeout=None)

    assert 900 < sum(both.clock.sleeps) < 1200


def test_a_deadline_names_the_first_that_has_not_ended(variant: str) -> None:
    """What ended before was handed out; the rest goes on without us."""
    service = Busy(2, size=20, a_round=1)
    service.to_end = ["t0"]
    both = Both(variant, Sweeping(), service)

    with pytest.raises(errors.WaitTimeoutError) as caught:
        both.poll_tasks(["t0", "t1"], interval=10, timeout=60)

    assert "toy:t1" == str(caught.value.ref)


def test_nobody_is_waited_for_when_nobody_is_named(variant: str) -> None:
    """An empty crowd has ended."""
    service = ToyService()

    assert [] == Both(variant, ToyProvider(), service).poll_tasks([])
    assert [] == service.requests


class AskingForTime(ToyProvider):
    """One task of this service asks not to be asked for 50 seconds."""

    def _task(self, task: ToyTask, **named: object) -> Task:
        requested = 50.0 if task.id == "t1" else None
        return msgspec.structs.replace(super()._task(task, **named), retry_after=requested)  # type: ignore[arg-type]


def test_a_crowd_waits_as_long_as_any_of_it_is_asked_to(variant: str) -> None:
    """Retry-After of one task lengthens everybody's pause, and jitter never shortens it."""
    service = ToyService()
    for _ in range(3):
        service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, AskingForTime(), service, random=lambda: 0.0)
    both.poll_tasks(["t1", "t2"], interval=4.0)

    assert [50.0, 50.0] == both.clock.sleeps


class Inbox(Queue):
    """A service that tells of an end once, in a queue, and of nothing else."""

    capabilities = msgspec.structs.replace(
        Queue.capabilities,
        verbs={name: how for name, how in Queue.capabilities.verbs.items() if name != "get_task"},
        reasons={"get_task": "ends are told in a queue"},
    )

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        check((yield Request("POST", "/tasks/acknowledge", body=msgspec.json.encode(page.receipts))))


def test_what_is_told_in_a_queue_alone_is_never_looked_at(variant: str) -> None:
    """A service without looks is swept until everybody's end was told, and each record is acknowledged."""
    service = Busy(count=3, size=10, a_round=1)
    both = Both(variant, Inbox(), service)

    assert ["t0", "t1", "t2"] == ids(both.poll_tasks(["toy:t0", "toy:t1", "toy:t2"], interval=1))
    assert {"/toy/tasks", "/toy/tasks/acknowledge"} == {request.path for request in service.requests}
    assert {"t0", "t1", "t2"} <= set(service.acknowledged)


def test_one_task_is_waited_for_in_the_queue(variant: str) -> None:
    """`poll_task` sweeps where nobody can look, and hands the record out; a watch tells its state."""
    service = Busy(count=1, size=10, a_round=1)
    both = Both(variant, Inbox(), service)
    seen: list[Task] = []
    task = both.poll_task("toy:t0", interval=1, on_change=seen.append)

    assert ("t0", [task], ["t0"]) == (task.ref.id, seen, service.acknowledged)
    assert task is both.poll_task(task)


def test_a_watch_of_the_queue_tells_the_end(variant: str) -> None:
    """All that there is to watch is the end."""
    both = Both(variant, Inbox(), Busy(count=1, size=10, a_round=1))

    assert ["task.succeeded"] == [event.type for event in both.watch_task("toy:t0", interval=1)]


def test_a_record_that_cannot_be_acknowledged_is_not_lost(variant: str) -> None:
    """The error is told, the record stays, and the next wait has it."""
    service = Busy(count=1, size=10, a_round=1)
    both = Both(variant, Inbox(), service)
    service.script = [None, reply({}, 403)]
    with pytest.raises(errors.PermissionDeniedError):
        both.poll_task("toy:t0", interval=1)

    assert "t0" == both.poll_task("toy:t0", interval=1).ref.id


def test_a_queue_that_stays_empty_ends_with_the_deadline(variant: str) -> None:
    """Nobody can be looked at, so the deadline is all that ends the wait."""
    both = Both(variant, Inbox(), Busy(count=1, size=10, a_round=0))

    with pytest.raises(errors.WaitTimeoutError):
        both.poll_task("toy:t0", timeout=30, interval=1)


def test_the_verb_that_looks_says_why_it_cannot(variant: str) -> None:
    """A service without looks refuses a look before any request."""
    service = Busy(count=1, size=10, a_round=1)
    with pytest.raises(errors.UnsupportedError, match="ends are told in a queue"):
        Both(variant, Inbox(), service).get_task("toy:t0")

    assert [] == service.requests


def test_bad_weather_passes_while_a_queue_is_swept(variant: str) -> None:
    """A lost answer is thrown to whoever retries, also where one task is waited for."""
    service = Busy(count=1, size=10, a_round=1)
    both = Both(variant, Inbox(), service)
    service.script = [errors.TransportError("the connection was reset"), reply({}, 503)]

    assert "t0" == both.poll_task("toy:t0", interval=1).ref.id


class Repeated(Busy):
    """A service whose pages list each task twice."""

    def page(self, cursor: str | None) -> object:
        super().page(cursor)
        return reply(ToyPage(tasks=[task for task in self.tasks.values() for _ in range(2)]))


def test_a_task_that_a_page_lists_twice_is_returned_once(variant: str) -> None:
    """A list that changes while it is read can show a task twice."""
    both = Both(variant, Sweeping(), Repeated(2, size=20, a_round=2))

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))
