"""One client, many threads or tasks; and its end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, ToyTask, reply

from coatcheck import AsyncClient, Client, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.duration_file import DurationFile
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport
from coatcheck.testing.fake_clock import FakeClock
from coatcheck.testing.memory_journal import MemoryJournal

OPTIONS: Mapping[str, Any] = {"token": "good", "journal": MemoryJournal(), "environ": {"COATCHECK_LEARN": "off"}}


def in_threads(count: int, function: Callable[[], object]) -> list[object]:
    """Return what *function* returns, or raises, in so many threads that begin at once."""
    results: list[object] = []
    barrier = threading.Barrier(count)

    def work() -> None:
        barrier.wait()
        try:
            results.append(function())
        except errors.CoatcheckError as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Barrier:
    """A transport that responds once a number of requests have arrived, and counts those under way."""

    def __init__(self, service: ToyService, *, until: int) -> None:
        self.service, self.until = service, until
        self.is_closed = False
        self.under_way, self.most, self.came = 0, 0, threading.Condition()

    def send(self, request: Request) -> Response:
        with self.came:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.came.notify_all()
            self.came.wait_for(lambda: self.most >= self.until or self.is_closed)
            self.under_way -= 1
        if self.is_closed:
            raise errors.TransportError("the client was closed meanwhile")
        return self.service.handle(request)

    def close(self) -> None:
        with self.came:
            self.is_closed = True
            self.came.notify_all()


class Counting(Mapping[str, str]):
    """An environment that counts how often each variable is read."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self._values = {"COATCHECK_LEARN": "off"}

    def __getitem__(self, name: str) -> str:
        self.reads[name] += 1
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_threads_open_one_session() -> None:
    """The first calls of sixty-four threads read the settings as often as one thread does."""
    one, many = Counting(), Counting()
    Client(ToyProvider(), token="good", environ=one).list_models()
    client = Client(ToyProvider(), token="good", environ=many)
    in_threads(64, client.list_models)

    assert one.reads == many.reads


def test_threads_share_the_limit_of_requests() -> None:
    """The number of requests under way is limited for any number of threads."""
    transport = Barrier(ToyService(), until=3)
    with Client(ToyProvider(), transport=transport, max_in_flight=3, **OPTIONS) as client:
        results = in_threads(64, lambda: client.get_usage().plan)

    assert (["toy"] * 64, 3) == (results, transport.most)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("number", [0, -1])
def test_nothing_in_flight_is_no_client(variant: str, number: int) -> None:
    """A client that may send nothing would wait for ever, and is refused."""
    with pytest.raises(errors.ConfigurationError, match="max_in_flight is at least 1"):
        Both(variant, ToyProvider(), ToyService(), max_in_flight=number)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("was_used", [True, False])
def test_a_closed_client_raises(variant: str, was_used: bool) -> None:
    """After `close`, every call raises one clear error, and closing again does nothing."""
    both = Both(variant, ToyProvider(), ToyService())
    if was_used:
        both.get_usage()
    for _ in range(2):
        both.close() if variant == "blocking" else both.aclose()

    with pytest.raises(errors.ConfigurationError, match="this client is closed"):
        both.get_usage()


def test_closing_ends_the_requests_of_other_threads() -> None:
    """Requests under way and waiting ones raise."""
    transport = Barrier(ToyService(), until=99)
    client = Client(ToyProvider(), transport=transport, max_in_flight=2, **OPTIONS)

    def close_when_two_are_under_way() -> None:
        with transport.came:
            transport.came.wait_for(lambda: transport.most == 2)
        client.close()

    closer = threading.Thread(target=close_when_two_are_under_way)
    closer.start()
    results = in_threads(6, client.get_usage)
    closer.join()

    assert {"this client is closed"} == set(map(str, results))


class Announcing(ToyService):
    """A service whose task never ends, and that signals when it is polled."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks["t1"] = ToyTask("t1", "working")
        self.was_asked = threading.Event()

    def handle(self, request: Request) -> Response:
        self.was_asked.set()
        return reply(ToyTask("t1", "working"))


def test_closing_ends_the_sleeps_of_other_threads() -> None:
    """A wait of another thread, whose next request is an hour away, ends with its client."""
    service = Announcing()
    client = Client(ToyProvider(), transport=Barrier(service, until=0), **OPTIONS)
    closer = threading.Thread(target=lambda: (service.was_asked.wait(), client.close()))
    closer.start()
    results = in_threads(3, lambda: client.poll_task("toy:t1", interval=3600, timeout=None))
    closer.join()

    assert {"this client is closed"} == set(map(str, results))


@pytest.mark.anyio
async def test_closing_ends_the_sleeps_of_other_tasks() -> None:
    """Each task gets the error, and none is cancelled."""
    client = AsyncClient(ToyProvider(), transport=AsyncEmulatorTransport(Announcing()), **OPTIONS)
    waits = [asyncio.create_task(client.poll_task("toy:t1", interval=3600, timeout=None)) for _ in range(3)]
    sleeps = client._driver._sleeps
    while len(sleeps) < len(waits):  # noqa: ASYNC110 - each turn of the loop is what is waited for
        await asyncio.sleep(0)
    await client.aclose()
    ends = await asyncio.gather(*waits, return_exceptions=True)

    assert {"this client is closed"} == set(map(str, ends))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repository", "owner/other"),
        ("environment", "cellar"),
        ("branch", "next"),
        ("attempts", 3),
        ("attempts", 1),
        ("mode", "code"),
        ("starting_diff", "diff"),
        ("model", "m"),
    ],
)
@pytest.mark.parametrize("verb", ["create_task", "create_task_and_wait"])
def test_keywords_replace_fields_of_a_spec(variant: str, verb: str, name: str, value: object) -> None:
    """A keyword has precedence over the field of the spec; its other fields are kept."""
    specs: list[TaskSpec] = []

    class Recording(ToyProvider):
        def prepare(self, spec: TaskSpec) -> Any:
            specs.append(spec)
            return super().prepare(TaskSpec(prompt=spec.prompt))

    provider = Recording()
    provider.capabilities = type(provider.capabilities)(
        verbs=provider.capabilities.verbs,
        options=frozenset({"starting_diff", "model", "title"}),
        modes=frozenset({"code", "ask"}),
        max_attempts=3,
    )
    given = TaskSpec(prompt="p", attempts=2, mode="ask", title="kept", environment="attic")
    getattr(Both(variant, provider, ToyService(states=("done",))), verb)(given, **{name: value})

    assert [(value, "kept")] == [(getattr(spec, name), spec.title) for spec in specs]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_spec_without_keywords_stays_as_it_is(variant: str) -> None:
    """Without keywords, attempts and mode are those of the spec."""
    service = ToyService()
    Both(variant, ToyProvider(), service).create_task(TaskSpec(prompt="p", attempts=3))

    assert b'"attempts":3' in service.requests[-1].body


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (errors.TransportError("refused", request_sent=False), "cannot reach 127.0.0.1:9 for"),
        (errors.TransportTimeoutError("no answer in time"), "no answer from 127.0.0.1:9 for"),
        (reply({}, 503), "127.0.0.1:9 answers 503 for"),
    ],
    ids=["refused", "silent", "503"],
)
@pytest.mark.parametrize("verb", ["poll_task", "poll_tasks", "watch_task", "watch_tasks"])
def test_a_deadline_during_an_outage_reports_it(variant: str, verb: str, trouble: Any, words: str) -> None:
    """The outage is reported by `on_outage` at each failure and by the error."""
    outages: list[object] = []
    service = ToyService(None, None, None, *[trouble] * 999)
    both = Both(variant, ToyProvider(), service, on_outage=lambda outage: outages.append(outage and str(outage)))
    ref = both.create_task("p").ref
    with pytest.raises(errors.WaitTimeoutError, match=words):
        getattr(both, verb)([ref] if verb.endswith("s") else ref, timeout=100, interval=5)

    assert {True} == {str(outage).startswith(words) for outage in outages}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_outage_ends(variant: str) -> None:
    """The next response is reported with None, and a later deadline does not mention the outage."""
    outages: list[object] = []
    service = ToyService(None, None, None, reply({}, 502), reply({}, 502), states=("working",))
    both = Both(variant, ToyProvider(), service, on_outage=lambda outage: outages.append(outage and outage.what))
    ref = both.create_task("p").ref
    with pytest.raises(errors.WaitTimeoutError, match="it is still running"):
        both.poll_task(ref, timeout=100, interval=5)

    assert ["127.0.0.1:9 answers 502"] * 2 + [None] == outages


WAITS = 1_000
# What the service does at the requests for one task, in turn: five lost answers are more than one poll retries.
TROUBLES = ("reset", 503, "working", "no answer", *["reset"] * 5, 429)
ENDS = ("done", "broken", "stopped", 404)
STATES: dict[object, object] = {
    "done": TaskState.SUCCEEDED,
    "broken": TaskState.FAILED,
    "stopped": TaskState.CANCELLED,
}


class Unreliable(ToyService):
    """A service most of whose requests fail; each task ends differently."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        id = request.url.rpartition("/")[2]
        with self._lock:
            self.seen[id] += 1
            turn = self.seen[id] - 1
        number = int(id[1:])
        events = (*TROUBLES[number % 3 :], ENDS[number % len(ENDS)])
        trouble = events[min(turn, len(events) - 1)]
        if trouble in ("reset", "no answer"):
            kind = errors.TransportError if trouble == "reset" else errors.TransportTimeoutError
            raise kind(str(trouble))
        return reply({}, trouble) if isinstance(trouble, int) else reply(ToyTask(id, str(trouble)))


def expected_ends() -> Counter[object]:
    """Return how many waits end in each state, and how many with the error of a task that there is not."""
    return Counter(STATES.get(ENDS[number % len(ENDS)], errors.NotFoundError) for number in range(WAITS))


def end_of(end: object) -> object:
    """Return the state of a task, or the class of an error."""
    return getattr(end, "state", type(end))


class SeparateClock(FakeClock):
    """A clock on which each thread or task has a time that only its sleeps advance."""

    def __init__(self) -> None:
        super().__init__()
        self._slept: ContextVar[float] = ContextVar("slept", default=0.0)

    def time(self) -> float:
        return super().time() + self._slept.get()

    def monotonic(self) -> float:
        return self.time()

    def sleep(self, seconds: float) -> None:
        self._slept.set(self._slept.get() + max(0.0, seconds))

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


@pytest.mark.slow
@pytest.mark.anyio
async def test_tasks_wait_through_outages(tmp_path: Path) -> None:
    """A thousand waits of one event loop return the service's results, and their durations are all recorded."""
    options = {**OPTIONS, "environ": {"COATCHECK_STATE_HOME": str(tmp_path)}}
    transport = AsyncEmulatorTransport(Unreliable())
    async with AsyncClient(ToyProvider(), transport=transport, clock=SeparateClock(), **options) as client:
        waits = [client.poll_task(f"toy:t{number}", interval=5, timeout=None) for number in range(WAITS)]
        ends = await asyncio.gather(*waits, return_exceptions=True)
    recorded = DurationFile(str(tmp_path)).recall("toy", None).count

    assert (expected_ends(), WAITS // len(ENDS)) == (Counter(map(end_of, ends)), recorded)


@pytest.mark.slow
def test_threads_wait_through_outages(tmp_path: Path) -> None:
    """A thousand waits of 64 threads that share a blocking client do the same, with a limit of requests under way."""
    options = {**OPTIONS, "environ": {"COATCHECK_STATE_HOME": str(tmp_path)}}
    transport, numbers = Barrier(Unreliable(), until=0), iter(range(WAITS))
    ends: list[object] = []

    def wait_for_all() -> None:
        for number in numbers:
            try:
                ends.append(client.poll_task(f"toy:t{number}", interval=5, timeout=None))
            except errors.CoatcheckError as error:
                ends.append(error)

    with Client(ToyProvider(), transport=transport, clock=SeparateClock(), max_in_flight=8, **options) as client:
        in_threads(64, wait_for_all)
    recorded = DurationFile(str(tmp_path)).recall("toy", None).count

    assert (expected_ends(), WAITS // len(ENDS), True) == (Counter(map(end_of, ends)), recorded, transport.most <= 8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_waits_through_outages(variant: str) -> None:
    """One call that waits for all of them returns each task that ends, and raises the error of those that are missing."""
    both = Both(variant, ToyProvider(), Unreliable(), environ={"COATCHECK_LEARN": "off"})
    with pytest.raises(errors.NotFoundError, match=r"^toy:t\d+: .*refused too: (toy:t\d+(, |$)){49}"):
        both.poll_tasks([f"toy:t{number}" for number in range(200)], interval=5, timeout=1e6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["recall", "record"])
def test_bookkeeping_that_fails_ends_no_wait(
    variant: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durations that cannot be read or written are a warning, and the wait returns its result."""

    def fail(*_: object) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(DurationFile, name, fail)
    service = ToyService(states=("working", "done"))
    both = Both(variant, ToyProvider(), service, environ={"COATCHECK_STATE_HOME": str(tmp_path)})
    task = both.poll_task(both.create_task("p").ref, interval=None, timeout=None)

    assert TaskState.SUCCEEDED is task.state
