"""Two clients, one behaviour."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from tests.clients import COLOURS, Both
from tests.toy import ToyProvider, ToyService, reply

from coatcheck import AsyncClient, Client, TaskRef, TaskState, errors
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport
from coatcheck.testing.fake_clock import FakeClock
from coatcheck.testing.memory_journal import MemoryJournal

TWINS = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return request.param


def surface(client: type) -> dict[str, list[tuple[str, object, object]]]:
    return {
        TWINS.get(name, name): [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]
        for name, member in vars(client).items()
        if inspect.isfunction(member) and (not name.startswith("_") or name in TWINS or name in TWINS.values())
    }


def test_both_clients_offer_the_same() -> None:
    """Every public method exists on both, with the same parameters, kinds and defaults."""
    assert surface(Client) == surface(AsyncClient)


def test_both_clients_say_the_same_of_it() -> None:
    """The docstring of a verb does not depend on its colour."""
    for name, member in vars(Client).items():
        if inspect.isfunction(member) and not name.startswith("_") and name != "close":
            assert inspect.getdoc(member) == inspect.getdoc(getattr(AsyncClient, name)), name


def test_both_clients_ask_and_sleep_the_same() -> None:
    """The same calls in the same weather make the same requests and the same pauses."""
    seen = {}
    for colour in COLOURS:
        service = ToyService(None, None, reply({}, 503), None, reply({}, 429, retry_after="3"))
        both = Both(colour, ToyProvider(), service)
        task = both.create_task_and_wait("p")
        seen[colour] = (task, [(r.method, r.url) for r in service.requests], both.clock.sleeps)

    assert seen["blocking"] == seen["asynchronous"]


def test_making_a_client_reads_nothing(monkeypatch: pytest.MonkeyPatch, colour: str) -> None:
    """No I/O, no environment, no thread in a constructor: an unknown provider is only found out by the first call."""
    both = Both(colour, "no-such-provider", ToyService())

    with pytest.raises(errors.ConfigurationError, match="no provider 'no-such-provider'"):
        both.get_usage()


def test_a_verb_that_the_service_lacks_fails_before_any_request(colour: str) -> None:
    """The capabilities say so, with the reason."""
    service = ToyService()
    both = Both(colour, ToyProvider(), service)

    with pytest.raises(errors.UnsupportedError, match="toy has no delete_task: the toy keeps everything"):
        both.delete_task("t1")

    assert [] == service.requests


def test_a_task_of_another_provider_is_refused(colour: str) -> None:
    """A ref knows whose it is, and the remedy says which client to use."""
    both = Both(colour, ToyProvider(), ToyService())

    with pytest.raises(errors.ConfigurationError, match="jules:1 is a task of jules, not of toy"):
        both.get_task(TaskRef("jules", "1"))


def test_every_verb_does_its_one_thing(colour: str) -> None:
    """Look, status, raw answer, saved answer, usage, environments, models, cancel, message, stream, page."""
    service = ToyService(states=("working",))
    service.create({"prompt": "p", "attempts": 1})
    both = Both(colour, ToyProvider(), service)
    raw = both.get_task_response("t1")

    assert TaskState.RUNNING is both.get_task_status("toy:t1")
    assert both.get_task("t1") == both.extract_response(raw) == both.extract_response(raw.decode())
    assert "toy" == both.get_usage().plan
    assert ["attic", "cellar"] == [environment.id for environment in both.list_environments()]
    assert ["toy-1"] == [model.id for model in both.list_models()]
    assert "t1" == both.send_message("t1", "more").ref.id
    assert ["began", "went on"] == [event.kind for event in both.stream_task("t1")]
    assert ["t1"] == [task.ref.id for task in both.get_page().items]
    assert None is both.cancel_task("t1")
    assert TaskState.CANCELLED is both.get_task_status("t1")


def test_a_blank_message_is_refused(colour: str) -> None:
    """Nothing is sent."""
    with pytest.raises(errors.ConfigurationError, match="message is blank"):
        Both(colour, ToyProvider(), ToyService()).send_message("t1", " ")


def test_no_login_is_a_clear_error(colour: str) -> None:
    """Without a token the login's own remedy is shown."""
    both = Both(colour, ToyProvider(), ToyService(), token=None)

    with pytest.raises(errors.NotLoggedInError) as caught:
        both.get_usage()

    assert "run: toy login" == caught.value.remedy


def test_the_environments_token_is_found(colour: str) -> None:
    """The service's own variable logs in."""
    both = Both(colour, ToyProvider(), ToyService(), token=None, environ={"TOY_TOKEN": "good"})

    assert "toy" == both.get_usage().plan


class Slow:
    """A service that counts how many requests are under way."""

    def __init__(self) -> None:
        self.now, self.most = 0, 0

    async def send(self, request: object) -> object:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return reply({"id": "t1", "state": "done"})

    async def aclose(self) -> None:
        pass


def test_at_most_so_many_requests_are_in_flight() -> None:
    """Five hundred waits at once, and never more than 32 requests."""
    slow = Slow()

    async def main() -> None:
        async with AsyncClient(
            ToyProvider(), token="good", transport=slow, environ={}, journal=MemoryJournal(), random=lambda: 0.5
        ) as client:
            await asyncio.gather(*(client.poll_task("t1") for _ in range(500)))

    asyncio.run(main())

    assert 32 == slow.most


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """Cancelling an asyncio wait closes its script: the client goes on with the next call."""
    service = ToyService(states=("working",))
    service.create({"prompt": "p", "attempts": 1})

    async def main() -> str | None:
        client = AsyncClient(
            ToyProvider(), token="good", transport=AsyncEmulatorTransport(service), environ={}, clock=FakeClock()
        )
        wait = asyncio.create_task(client.poll_task("t1", timeout=None))
        await asyncio.sleep(0.01)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        return (await client.get_task("t1")).raw_state

    assert "working" == asyncio.run(main())
