"""Two clients, one behaviour."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, reply

import coatcheck
import coatcheck.provider
from coatcheck import AsyncClient, Client, TaskRef, TaskState, errors
from coatcheck._protocol import registry
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock
from coatcheck.testing.memory_journal import MemoryJournal

CLIENTS = (Client, AsyncClient)
TWINS = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def surface(client: type) -> dict[str, list[tuple[str, object, object]]]:
    """Return the public methods and their parameters."""
    return {
        TWINS.get(name, name): [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]
        for name, member in vars(client).items()
        if inspect.isfunction(member) and (not name.startswith("_") or name in TWINS or name in TWINS.values())
    }


def test_both_clients_offer_the_same() -> None:
    """Every public method exists on both, with the same parameters, kinds and defaults."""
    assert surface(Client) == surface(AsyncClient)


def test_both_clients_have_the_same_docstrings() -> None:
    """A public method is described by the same text on both clients; closing names threads or tasks."""
    texts = {Client: {name: inspect.getdoc(getattr(Client, name)) for name in vars(Client) if name[0] != "_"}}
    texts[AsyncClient] = {
        name: inspect.getdoc(getattr(AsyncClient, "aclose" if name == "close" else name)) for name in texts[Client]
    }
    texts[AsyncClient]["close"] = (texts[AsyncClient]["close"] or "").replace("tasks", "threads")

    assert texts[Client] == texts[AsyncClient]


def test_the_options_of_both_clients_are_declared_once() -> None:
    """Both classes inherit one constructor."""
    assert Client.__init__ is AsyncClient.__init__


def annotated_names(client: type) -> set[str]:
    """Return the names of the types in the signatures of the public methods and the constructor of *client*."""
    members = [
        member for name in dir(client) if name[0] != "_" or name == "__init__" for member in [getattr(client, name)]
    ]
    functions = [member for member in members if inspect.isfunction(member)]
    annotations = [str(text) for function in functions for text in function.__annotations__.values()]
    return {name for text in annotations for name in re.findall(r"\b[A-Z]\w+", re.sub(r"Literal\[[^]]*\]", "", text))}


@pytest.mark.parametrize("client", CLIENTS)
def test_types_in_public_signatures_can_be_imported(client: type) -> None:
    """Each type that a method takes or returns is a name of `coatcheck`, `coatcheck.provider` or the standard library."""
    standard = {"None", "Any", "Callable", "Mapping", "Iterable", "Iterator", "AsyncIterator", "Self"}
    public = {*coatcheck.__all__, *coatcheck.provider.__all__, *standard, "AnyTransport"}

    assert set() == annotated_names(client) - public


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unknown_provider_is_refused_by_the_constructor(client: type[Client | AsyncClient]) -> None:
    """The error lists the known providers."""
    with pytest.raises(errors.ConfigurationError, match="no provider 'no-such-provider'") as caught:
        client("no-such-provider", environ={})

    assert "codex" in (caught.value.remedy or "")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_described_service_is_known_to_the_constructor(client: type[Client | AsyncClient], tmp_path: Path) -> None:
    """A table of the user's settings describes a provider, which the constructor accepts."""
    (tmp_path / "config.toml").write_text('[services.acme]\nbase_url = "http://127.0.0.1:1"\n')
    made = client("acme", environ={"COATCHECK_CONFIG_HOME": str(tmp_path)})

    assert "acme" in repr(made)


class Untouchable(dict[str, str]):
    """An environment that must not be read."""

    def __getitem__(self, name: str) -> str:
        raise AssertionError(name)

    get = __getitem__  # type: ignore[assignment]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_the_constructor_reads_nothing_for_a_built_in_provider(client: type[Client | AsyncClient], name: str) -> None:
    """No variable of the environment is read for a built-in name."""
    assert name in repr(client(name, environ=Untouchable()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_durations_are_seconds_or_timedelta(variant: str) -> None:
    """A timeout and an interval mean the same as a number and as a timedelta, in pauses and in the error."""
    seen = []
    for timeout, interval in ((60, 20), (60.0, 20.0), (timedelta(minutes=1), timedelta(seconds=20))):
        service = ToyService(states=("working",))
        service.create({"prompt": "p", "attempts": 1})
        both = Both(variant, ToyProvider(), service)
        for call in (
            lambda both=both, timeout=timeout, interval=interval: both.poll_task(
                "t1", timeout=timeout, interval=interval
            ),
            lambda both=both, timeout=timeout, interval=interval: list(
                both.poll_tasks(["t1"], timeout=timeout, interval=interval)
            ),
            lambda both=both, timeout=timeout, interval=interval: list(
                both.watch_task("t1", timeout=timeout, interval=interval)
            ),
            lambda both=both, timeout=timeout, interval=interval: list(
                both.watch_tasks(["t1"], timeout=timeout, interval=interval)
            ),
        ):
            with pytest.raises(errors.WaitTimeoutError):
                call()
        seen.append(both.clock.sleeps)

    assert seen[0] == seen[1] == seen[2] != []


def test_both_clients_request_and_sleep_the_same() -> None:
    """The same calls with the same failures make the same requests and the same pauses."""
    seen = {}
    for variant in VARIANTS:
        service = ToyService(None, None, reply({}, 503), None, reply({}, 429, retry_after="3"))
        both = Both(variant, ToyProvider(), service)
        task = both.create_task_and_wait("p")
        seen[variant] = (task, [(r.method, r.url) for r in service.requests], both.clock.sleeps)

    assert seen["blocking"] == seen["asynchronous"]


def test_a_verb_that_the_service_lacks_fails_before_any_request(variant: str) -> None:
    """The error has the reason of the capabilities."""
    service = ToyService()
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.UnsupportedError, match="toy has no delete_task: the toy keeps everything"):
        both.delete_task("t1")

    assert [] == service.requests


def test_a_task_of_another_provider_is_refused(variant: str) -> None:
    """The remedy names the client to use."""
    both = Both(variant, ToyProvider(), ToyService())

    with pytest.raises(errors.ConfigurationError, match="jules:1 is a task of jules, not of toy"):
        both.get_task(TaskRef("jules", "1"))


def test_every_verb_makes_its_request(variant: str) -> None:
    """Poll, status, raw response, saved response, usage, environments, models, cancel, message, stream, page."""
    service = ToyService(states=("working",))
    service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, ToyProvider(), service)
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


def test_a_blank_message_is_refused(variant: str) -> None:
    """Nothing is sent."""
    with pytest.raises(errors.ConfigurationError, match="message is blank"):
        Both(variant, ToyProvider(), ToyService()).send_message("t1", " ")


def test_no_login_is_a_clear_error(variant: str) -> None:
    """Without a token the login's own remedy is shown."""
    both = Both(variant, ToyProvider(), ToyService(), token=None)

    with pytest.raises(errors.NotLoggedInError) as caught:
        both.get_usage()

    assert "run: toy login" == caught.value.remedy


def test_the_environments_token_is_found(variant: str) -> None:
    """The service's own variable logs in."""
    both = Both(variant, ToyProvider(), ToyService(), token=None, environ={"TOY_TOKEN": "good"})

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
    """Cancelling an asyncio wait closes its script, and the client makes the next call."""
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


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the open files of this process")
@pytest.mark.parametrize("variant", ["blocking", "async"])
def test_a_closed_client_holds_no_database(tmp_path: Path, variant: str) -> None:
    """The database that a submission opened is closed with its client."""
    environ = {"COATCHECK_STATE_HOME": str(tmp_path), "COATCHECK_LEARN": "off"}

    async def submit() -> None:
        transport = AsyncEmulatorTransport(ToyService())
        async with AsyncClient(ToyProvider(), token="good", transport=transport, environ=environ) as client:
            await client.create_task("x")

    if variant == "async":
        asyncio.run(submit())
    else:
        transport = EmulatorTransport(ToyService())
        with Client(ToyProvider(), token="good", transport=transport, environ=environ) as client:
            client.create_task("x")
    links = [Path(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()]
    held = [target for link in links if link.exists() and (target := os.readlink(link)).startswith(str(tmp_path))]

    assert ([], True) == (held, (tmp_path / "coatcheck.sqlite3").exists())
