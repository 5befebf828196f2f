"""Waiting for many tasks: by pages where they are cheaper, and each task returned once."""

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
    """The toy service with status pages; `is_final` makes its pages those of a queue."""

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
    """The kind of client."""
    return request.param


def ids(tasks: list[Task]) -> list[str]:
    """Return the ids."""
    return [task.ref.id for task in tasks]


def test_pages_replace_polls_of_many_tasks(variant: str) -> None:
    """100 tasks on pages of 20, ten ending at a time: five requests a round and one poll for each end."""
    service = Busy(100, size=20, a_round=10)
    both = Both(variant, Sweeping(), service)
    tasks = both.poll_tasks([f"t{n}" for n in range(100)], interval=10)

    assert sorted(ids(tasks)) == sorted(f"t{n}" for n in range(100))
    assert 100 == sum(service.count("GET", f"/tasks/t{n}") for n in range(100))
    assert service.count("GET", "/tasks") <= 5 * 10


def test_without_pages_each_task_is_polled(variant: str) -> None:
    """A service without status pages is polled for each task."""
    service = ToyService(states=("working", "done"))
    for _ in range(3):
        service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, ToyProvider(), service)

    assert ["t1", "t2", "t3"] == ids(both.poll_tasks(["t1", "t2", "t3"], interval=10))
    assert 6 == len(service.requests)


def test_only_pages_that_list_a_task_are_read(variant: str) -> None:
    """Five tasks at the head of a list of a thousand cost one page, not fifty."""
    service = Busy(5, size=20, a_round=5, others=995)
    both = Both(variant, Sweeping(), service)
    both.poll_tasks([f"t{n}" for n in range(5)], interval=10)

    assert 1 == service.count("GET", "/tasks")


def test_a_task_that_pages_do_not_list_is_polled(variant: str) -> None:
    """An archived task is on no page, and is waited for."""
    service = Busy(2, size=20, a_round=2)
    hidden = service.tasks.pop("t1")
    service.route = lambda request, route=service.route: (  # type: ignore[method-assign, misc]
        reply(msgspec.structs.replace(hidden, state="done")) if request.path.endswith("/t1") else route(request)
    )
    both = Both(variant, Sweeping(), service)

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))


def test_a_queue_is_acknowledged_after_its_tasks_were_returned(variant: str) -> None:
    """A record is acknowledged after its task was returned; records of other tasks are released."""
    service = Busy(2, size=20, a_round=2, others=1)
    both = Both(variant, Queue(), service)

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))
    assert ["t0", "t1", "t2"] == service.acknowledged
    assert 0 == sum(service.count("GET", f"/tasks/t{n}") for n in range(3))


def test_a_transient_error_is_retried_in_the_next_round(variant: str) -> None:
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


def test_a_refused_login_ends_the_wait(variant: str) -> None:
    """A token that is not accepted ends the wait for all tasks."""
    both = Both(variant, ToyProvider(), ToyService(*[reply({}, 401)] * 3))
    with pytest.raises(errors.AuthenticationError):
        both.poll_tasks(["t0", "t1"], interval=10)

    assert [] == both.clock.sleeps


def test_an_outage_without_a_deadline_is_reported(variant: str) -> None:
    """After a quarter of an hour without any response."""
    both = Both(variant, Sweeping(), ToyService(*[reply({}, 503)] * 1000))
    with pytest.raises(errors.ProviderUnavailableError):
        both.poll_tasks(["t0", "t1"], interval=60, timeout=None)

    assert 900 < sum(both.clock.sleeps) < 1200


def test_an_outage_of_polls_without_a_deadline_is_reported(variant: str) -> None:
    """The same where there is no list."""
    both = Both(variant, ToyProvider(), ToyService(*[reply({}, 503)] * 1000))
    with pytest.raises(errors.ProviderUnavailableError):
        both.poll_tasks(["t0", "t1"], interval=60, timeout=None)

    assert 900 < sum(both.clock.sleeps) < 1200


def test_a_deadline_names_the_first_that_has_not_ended(variant: str) -> None:
    """Ended tasks were returned before; the others are still running."""
    service = Busy(2, size=20, a_round=1)
    service.to_end = ["t0"]
    both = Both(variant, Sweeping(), service)

    with pytest.raises(errors.WaitTimeoutError) as caught:
        both.poll_tasks(["t0", "t1"], interval=10, timeout=60)

    assert "toy:t1" == str(caught.value.ref)


def test_waiting_for_no_task_returns_at_once(variant: str) -> None:
    """A wait for no task has ended."""
    service = ToyService()

    assert [] == Both(variant, ToyProvider(), service).poll_tasks([])
    assert [] == service.requests


class Throttling(ToyProvider):
    """One task of this service sends Retry-After: 50."""

    def _task(self, task: ToyTask, **named: object) -> Task:
        requested = 50.0 if task.id == "t1" else None
        return msgspec.structs.replace(super()._task(task, **named), retry_after=requested)  # type: ignore[arg-type]


def test_retry_after_of_one_task_delays_the_round(variant: str) -> None:
    """Retry-After of one task lengthens the pause of all, and jitter never shortens it."""
    service = ToyService()
    for _ in range(3):
        service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, Throttling(), service, random=lambda: 0.0)
    both.poll_tasks(["t1", "t2"], interval=4.0)

    assert [50.0, 50.0] == both.clock.sleeps


class Inbox(Queue):
    """A service that reports an end once, in a queue, and nothing else."""

    capabilities = msgspec.structs.replace(
        Queue.capabilities,
        verbs={name: how for name, how in Queue.capabilities.verbs.items() if name != "get_task"},
        reasons={"get_task": "ends are reported in a queue"},
    )

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        check((yield Request("POST", "/tasks/acknowledge", body=msgspec.json.encode(page.receipts))))


def test_tasks_of_a_queue_are_never_polled(variant: str) -> None:
    """A service without polls is read until every end was reported, and each record is acknowledged."""
    service = Busy(count=3, size=10, a_round=1)
    both = Both(variant, Inbox(), service)

    assert ["t0", "t1", "t2"] == ids(both.poll_tasks(["toy:t0", "toy:t1", "toy:t2"], interval=1))
    assert {"/toy/tasks", "/toy/tasks/acknowledge"} == {request.path for request in service.requests}
    assert {"t0", "t1", "t2"} <= set(service.acknowledged)


def test_one_task_is_waited_for_in_the_queue(variant: str) -> None:
    """`poll_task` reads the queue where a task cannot be polled, and returns the record; a watch reports its state."""
    service = Busy(count=1, size=10, a_round=1)
    both = Both(variant, Inbox(), service)
    seen: list[Task] = []
    task = both.poll_task("toy:t0", interval=1, on_change=seen.append)

    assert ("t0", [task], ["t0"]) == (task.ref.id, seen, service.acknowledged)
    assert task is both.poll_task(task)


def test_a_watch_of_the_queue_reports_the_end(variant: str) -> None:
    """The end is the only event."""
    both = Both(variant, Inbox(), Busy(count=1, size=10, a_round=1))

    assert ["task.succeeded"] == [event.type for event in both.watch_task("toy:t0", interval=1)]


def test_a_record_that_cannot_be_acknowledged_is_not_lost(variant: str) -> None:
    """The error is reported, the record stays, and the next wait gets it."""
    service = Busy(count=1, size=10, a_round=1)
    both = Both(variant, Inbox(), service)
    service.script = [None, reply({}, 403)]
    with pytest.raises(errors.PermissionDeniedError):
        both.poll_task("toy:t0", interval=1)

    assert "t0" == both.poll_task("toy:t0", interval=1).ref.id


def test_a_queue_that_stays_empty_ends_with_the_deadline(variant: str) -> None:
    """Tasks cannot be polled, so only the deadline ends the wait."""
    both = Both(variant, Inbox(), Busy(count=1, size=10, a_round=0))

    with pytest.raises(errors.WaitTimeoutError):
        both.poll_task("toy:t0", timeout=30, interval=1)


def test_polling_without_the_verb_is_an_error(variant: str) -> None:
    """A service without polls refuses one before any request."""
    service = Busy(count=1, size=10, a_round=1)
    with pytest.raises(errors.UnsupportedError, match="ends are reported in a queue"):
        Both(variant, Inbox(), service).get_task("toy:t0")

    assert [] == service.requests


def test_transient_errors_of_a_queue_are_retried(variant: str) -> None:
    """A lost response is thrown to the caller that retries, also where one task is waited for."""
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
    """A list that changes between two pages can list a task twice."""
    both = Both(variant, Sweeping(), Repeated(2, size=20, a_round=2))

    assert ["t0", "t1"] == sorted(ids(both.poll_tasks(["t0", "t1"], interval=10)))
