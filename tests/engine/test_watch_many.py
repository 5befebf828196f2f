"""Watching many tasks: pages for states, polls where they add something, each event once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyPage, ToyProvider, ToyService, ToyTask, reply

from coatcheck import Message, Outcome, Task, TaskEvent, TaskRef, errors
from coatcheck._engine.schedule import Schedule
from coatcheck._model.duration_estimate import Durations
from coatcheck._protocol.decode import decode
from coatcheck._protocol.effects import Exchange, Request, Response
from coatcheck._protocol.provider import StatusPage, Support, Verb
from coatcheck.testing import FakeClock


class Telling(ToyProvider):
    """The toy, each line of whose text is a message."""

    def _task(self, task: ToyTask, *, raw: bytes = b"", listed: bool = False) -> Task:
        messages = tuple(Message(text=line) for line in task.text.splitlines())
        outcome = Outcome(messages=messages) if messages and not listed else None
        return msgspec.structs.replace(super()._task(task, raw=raw, listed=listed), outcome=outcome)


class Listed(Telling):
    """The toy service with pages that show states and no messages; with `is_final` they are a queue's."""

    is_final = False
    capabilities = msgspec.structs.replace(
        ToyProvider.capabilities, verbs={**ToyProvider.capabilities.verbs, Verb.GET_STATUS_PAGE: Support.DOCUMENTED}
    )

    def get_status_page(self, refs: tuple[TaskRef, ...], *, cursor: str | None) -> Exchange[StatusPage]:
        response = yield Request("GET", "/tasks", query=(("cursor", cursor),) if cursor else ())
        page = decode(response, ToyPage)
        tasks = tuple(self._task(task, listed=not self.is_final) for task in page.tasks)
        receipts = tuple(task.id for task in page.tasks) if self.is_final else ()
        return StatusPage(tasks=tasks, cursor=page.next, is_final=self.is_final, receipts=receipts)

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        yield Request("POST", "/tasks/acknowledge", body=msgspec.json.encode(page.receipts))


class Queue(Listed):
    is_final = True
    capabilities = msgspec.structs.replace(
        Listed.capabilities, verbs={verb: how for verb, how in Listed.capabilities.verbs.items() if verb != "get_task"}
    )


class Talking(ToyService):
    """Tasks that progress with the clock: each starts after a minute, sends a message every minute, and ends in time.

    `lasts` is how many minutes each works. Pages hold `size`; those in `hidden` are on none, those in `silent` are
    listed without a state.
    """

    def __init__(
        self, lasts: Iterable[int], *, size: int = 100, hidden: Iterable[str] = (), silent: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.born, self.size = self.clock.time(), size
        self.lasts = {f"t{number}": minutes for number, minutes in enumerate(lasts)}
        self.hidden, self.silent = set(hidden), set(silent)
        self.times: list[tuple[float, str]] = []

    @property
    def ids(self) -> list[str]:
        return list(self.lasts)

    def state_of(self, id: str) -> ToyTask:
        worked = int((self.clock.time() - self.born) // 60) - 1
        if worked < 0:
            return ToyTask(id=id, state="queued")
        ended = worked >= self.lasts[id]
        said = [f"{id} said {minute}" for minute in range(1, min(worked, self.lasts[id]) + 1)]
        return ToyTask(id=id, state="done" if ended else "working", text="\n".join(said))

    def route(self, request: Request) -> Response:
        path = request.path.removeprefix("/toy")
        self.times.append((self.clock.time() - self.born, path))
        if path == "/tasks":
            return self._page(int(dict(request.query).get("cursor") or 0))
        if path == "/tasks/acknowledge":
            return reply({})
        id = path.removeprefix("/tasks/")
        return reply(self.state_of(id)) if id in self.lasts else reply({}, 404)

    def _page(self, start: int) -> Response:
        shown = [self.state_of(id) for id in self.lasts if id not in self.hidden]
        for task in shown:
            task.state = "" if task.id in self.silent else task.state
        end = start + self.size
        return reply(ToyPage(tasks=shown[start:end], next=str(end) if end < len(shown) else None))

    def polls(self) -> Counter[str]:
        """Return the number of polls of each task."""
        return Counter(path.removeprefix("/tasks/") for _, path in self.times if path != "/tasks")


def watching(variant: str, service: Talking, provider: Any = None, **options: Any) -> Both:
    """Return a client of the service."""
    return Both(variant, provider or Listed(), service, clock=service.clock, **options)


def events_of(events: list[TaskEvent], id: str) -> list[str]:
    """Return the events of one task: its states by name, and texts."""
    mine = [event for event in events if event.ref.id == id]
    return [event.state.value if hasattr(event, "state") else str(event.text) for event in mine]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def test_every_event_of_every_task_is_reported(variant: str) -> None:
    """States in their order, the last of the messages before the end, the end last."""
    service = Talking([1, 2, 3])
    events = watching(variant, service).watch_tasks(service.ids, interval=30)

    assert [["queued", "running", "t0 said 1", "succeeded"]] == [events_of(events, "t0")]
    assert all("succeeded" == events_of(events, id)[-1] for id in service.ids)
    assert f"t2 said {service.lasts['t2']}" == events_of(events, "t2")[-2]


def test_pages_report_states_and_few_tasks_are_polled(variant: str) -> None:
    """A hundred tasks of 20 minutes: a page a round, a first and a last poll of each, and ten polls a round."""
    service = Talking([20] * 100)
    watching(variant, service).watch_tasks(service.ids, interval=60)
    polls = service.polls()

    assert 22 == service.count("GET", "/tasks")
    assert 100 + 10 * 19 + 100 == sum(polls.values())
    assert {3, 4} == set(polls.values())


def test_each_page_adds_polls(variant: str) -> None:
    """Four pages of 25 cost four requests and five polls for each page."""
    service = Talking([20] * 100, size=25)
    watching(variant, service).watch_tasks(service.ids, interval=60)

    assert 4 * 22 == service.count("GET", "/tasks")
    assert 100 + 4 * 5 * 19 + 100 == sum(service.polls().values())


def test_a_queued_task_is_not_polled(variant: str) -> None:
    """The page shows all there is to report."""
    service = Talking([1] * 10)
    with pytest.raises(errors.WaitTimeoutError):
        watching(variant, service).watch_tasks(service.ids, interval=10, timeout=55)

    assert Counter() == service.polls()


def test_a_task_that_pages_do_not_show_is_polled_each_round(variant: str) -> None:
    """A hidden task, and one that is listed without its state, are watched."""
    service = Talking([2] * 4, hidden=["t1"], silent=["t2"])
    events = watching(variant, service).watch_tasks(service.ids, interval=30)
    polls = service.polls()

    assert events_of(events, "t1")[:3] == [word.replace("t2", "t1") for word in events_of(events, "t2")[:3]]
    assert (7, 7) == (polls["t1"], polls["t2"])


def test_without_pages_each_task_is_polled(variant: str) -> None:
    """A service without status pages is polled for each task."""
    service = Talking([1, 1])
    events = watching(variant, service, Telling()).watch_tasks(service.ids, interval=60)

    assert ["queued", "running", "t1 said 1", "succeeded"] == events_of(events, "t1")
    assert 0 == service.count("GET", "/tasks")


def test_one_task_is_polled_without_pages(variant: str) -> None:
    """A watch of one task polls it."""
    service = Talking([1])
    watching(variant, service).watch_tasks(["t0"], interval=60)

    assert (0, {"t0": 3}) == (service.count("GET", "/tasks"), service.polls())


def test_an_estimated_interval_follows_the_cost_of_a_round(variant: str) -> None:
    """A page and ten polls for a hundred tasks are a ninth of a poll each: three times as often as for one task."""
    service = Talking([200] * 100)
    with pytest.raises(errors.WaitTimeoutError):
        watching(variant, service).watch_tasks(service.ids, timeout=600)
    pages = [at for at, path in service.times if path == "/tasks"]
    schedule = Schedule(belief=Durations().estimate(typical=ToyProvider.capabilities.typical_seconds))
    expected = [schedule(at) * math.sqrt((1 + 10 * (at >= 60)) / 100) for at in pages[1:-2]]
    gaps = [later - earlier for earlier, later in pairwise(pages[1:-1])]

    assert [max(1.0, pause) for pause in expected] == pytest.approx(gaps)


@pytest.mark.parametrize("interval", [30, lambda age: 30.0])
def test_a_chosen_interval_is_kept(variant: str, interval: Any) -> None:
    """Rounds start at the chosen interval."""
    service = Talking([2] * 100)
    watching(variant, service).watch_tasks(service.ids, interval=interval)

    assert {30.0} == set(service.clock.sleeps)


@pytest.mark.parametrize("text", ["{} said 1", "{} said 2"])
def test_a_watch_resumes_after_its_cursors(variant: str, text: str) -> None:
    """With a cursor for each task no event before it is repeated, and all after it are reported."""
    service = Talking([2, 3])
    both = watching(variant, service)
    whole = both.watch_tasks(service.ids, interval=30)
    known = {str(event.ref): event.id for event in whole if event.text == text.format(event.ref.id)}
    rest = both.watch_tasks(service.ids, interval=30, after=known)
    expected = {id: events_of(whole, id)[events_of(whole, id).index(text.format(id)) + 1 :] for id in service.ids}

    assert expected == {id: events_of(rest, id) for id in service.ids}


def test_a_cursor_of_a_watch_of_many_resumes_one(variant: str) -> None:
    """A watch of one task resumes from a cursor of a watch of many."""
    service = Talking([2, 3])
    both = watching(variant, service)
    events = both.watch_tasks(service.ids, interval=60)
    (last,) = [event.id for event in events if event.text == "t0 said 1"]

    assert ["t0 said 2", "succeeded"] == events_of(both.watch_task("t0", after=last), "t0")


def test_a_transient_error_is_retried_in_the_next_round(variant: str) -> None:
    """An outage of the list, and one of a poll, are waited out; no event is repeated."""
    service = Talking([2] * 3)
    both = watching(variant, service)
    service.script = [reply({}, 503)] * 7
    events = both.watch_tasks(service.ids, interval=60)

    assert [1] * 3 == [events_of(events, id).count("succeeded") for id in service.ids]
    assert len(events) == len({(event.ref, event.type, event.text) for event in events})


def test_retry_after_of_one_task_delays_the_round(variant: str) -> None:
    """One throttled poll delays the next round."""
    service = Talking([5] * 2)
    both = watching(variant, service)
    service.script = [*[None] * 2, *[reply({}, 429, retry_after="200")] * 20]
    with pytest.raises(errors.WaitTimeoutError):
        both.watch_tasks(service.ids, interval=60, timeout=1000)

    assert 200 == max(service.clock.sleeps)


def test_a_refusal_is_raised_when_the_others_have_ended(variant: str) -> None:
    """A task that does not exist is an error, not a silence, and costs the others nothing."""
    service = Talking([5])
    with pytest.raises(errors.NotFoundError) as caught:
        watching(variant, service).watch_tasks(["t0", "nope"], interval=60)

    assert str(caught.value).startswith("toy:nope: ")
    assert 1 == service.count("GET", "/tasks/nope")


def test_a_deadline_names_the_first_running_task(variant: str) -> None:
    """Ended tasks were reported; the others are still running."""
    service = Talking([1, 50])
    with pytest.raises(errors.WaitTimeoutError) as caught:
        watching(variant, service).watch_tasks(service.ids, interval=60, timeout=240)

    assert "toy:t1" == str(caught.value.ref)


def test_a_queue_reports_ends_without_polls(variant: str) -> None:
    """A record is reported as it is and acknowledged; no task is polled."""
    service = Talking([1, 1])
    events = watching(variant, service, Queue()).watch_tasks(service.ids, interval=60)

    assert ["queued", "running", "t0 said 1", "succeeded"] == events_of(events, "t0")
    assert {"acknowledge"} == set(service.polls())


def test_several_attempts_end_together(variant: str) -> None:
    """A task that a page calls done is polled until all its attempts are."""
    service = Talking([1, 1])
    service.state_of = lambda name: ToyTask(id=name, state="done", attempts=["a0", "a1"])  # type: ignore[method-assign]
    plain, requested = service.route, iter([["done", "working"]] * 2 + [["done", "done"]] * 2)
    service.route = lambda request: (  # type: ignore[method-assign]
        reply(next(requested)) if request.path.endswith("/attempts") else plain(request)
    )
    events = watching(variant, service).watch_tasks(service.ids, interval=60)

    assert ["running", "succeeded", "succeeded", "succeeded"] == [
        event.state.value for event in events if event.ref.id == "t0" and hasattr(event, "state")
    ]


def test_watching_no_task_returns_at_once(variant: str) -> None:
    """A watch of no task has ended."""
    service = Talking([])

    assert ([], []) == (watching(variant, service).watch_tasks([]), service.requests)


def test_a_task_of_another_provider_is_refused() -> None:
    """It fails before any request."""
    service = Talking([])
    with pytest.raises(errors.ConfigurationError, match="not of toy"):
        watching("blocking", service).watch_tasks(["codex:t0"])

    assert [] == service.requests
