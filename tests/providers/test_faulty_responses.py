"""Every provider against responses with legal and illegal peculiarities, through both clients and both transports."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, Self

import msgspec
import pytest
from tests.providers.service import PROMPT
from tests.providers.services import SERVICES, Change, Changed, serve
from tests.runtime.servers import TIME_LIMIT

from coatcheck import AsyncClient, Client
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport, TransportOptions
from coatcheck._runtime.transport_httpx2 import AsyncHttpx2Transport, Httpx2Transport
from coatcheck.provider import Verb
from coatcheck.testing import FakeClock, MemoryJournal

TRANSPORTS: dict[str, Callable[[TransportOptions], Any]] = {
    "reqwest": ReqwestTransport,
    "async-reqwest": AsyncReqwestTransport,
    "httpx2": Httpx2Transport,
    "async-httpx2": AsyncHttpx2Transport,
}
CLIENTS = pytest.mark.parametrize("kind", TRANSPORTS)
PROVIDERS = pytest.mark.parametrize("name", SERVICES)
HALF = b"\\ud83d"


def unchanged(request: Request, response: Response) -> Changed:
    """Return the response as it is."""
    del request
    return Changed(response)


def with_legal_peculiarities(request: Request, response: Response) -> Changed:
    """Put a byte-order mark before the text, and add headers of any bytes, an empty one and a repeated one.

    A parser may ignore the mark (RFC 8259, section 8.1), and a header may hold any byte above 0x7F (RFC 9110, section 5.5).
    """
    del request
    lines = (b"x-owner: caf\xe9", b'content-disposition: attachment; filename="\xc3\xa9"', b"x-empty:", b"x-owner: b")
    is_text = response.body and not response.body.startswith(b"PK")
    body = b"\xef\xbb\xbf" + response.body if is_text else response.body
    return Changed(msgspec.structs.replace(response, body=body), lines)


def with_half_surrogates(request: Request, response: Response) -> Changed:
    """Cut an emoji in every text that holds the prompt (RFC 8259, section 8.2)."""
    del request
    escaped = HALF.replace(b"\\", b"\\\\") if f'\\"{PROMPT}'.encode() in response.body else HALF
    body = response.body.replace(PROMPT.encode(), PROMPT.encode() + b" " + escaped)
    is_text = not response.body.startswith(b"PK")
    return Changed(msgspec.structs.replace(response, body=body) if is_text else response)


class Scenario:
    """A task of one provider, from its submission to its outcome, with one client over one transport."""

    def __init__(self, name: str, kind: str, change: Change = unchanged) -> None:
        self.service, self.kind = SERVICES[name], kind
        self.clock, self.journal = FakeClock(), MemoryJournal()
        self.emulator = self.service.emulator(clock=self.clock)
        self.server = serve(self.emulator, change)
        self._servers = [self.server]
        self.service.attach(self.emulator, self.server.url("").rstrip("/"))
        if self.service.further_origin is not None:
            self._servers.append(serve(self.emulator, change))
            self.service.further_origin(self.emulator, self._servers[1].url("").rstrip("/"))

    def __enter__(self) -> Self:
        for server in self._servers:
            server.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        for server in self._servers:
            server.__exit__(*reason)

    def call(self, verb: str, *arguments: Any, **named: Any) -> Any:
        """Return the result of a client's method; an iteration becomes a list."""
        if self.kind.startswith("async"):
            return asyncio.run(self._acall(verb, arguments, named))
        with Client(**self._options()) as client:
            result = getattr(client, verb)(*arguments, **named)
            return list(result) if inspect.isgenerator(result) else result

    async def _acall(self, verb: str, arguments: Any, named: Any) -> Any:
        async with AsyncClient(**self._options()) as client:
            result = getattr(client, verb)(*arguments, **named)
            return [each async for each in result] if inspect.isasyncgen(result) else await result

    def _options(self) -> dict[str, Any]:
        return {
            "provider": self.service.provider(self.server.url("").rstrip("/")),
            "token": self.service.token(self.emulator),
            "environ": {"COATCHECK_LEARN": "off"},
            "clock": self.clock,
            "journal": self.journal,
            "random": lambda: 0.5,
            "transport": TRANSPORTS[self.kind](TransportOptions(timeout=TIME_LIMIT)),
        }

    def has(self, verb: Verb) -> bool:
        """Whether the provider has *verb*."""
        return verb in self.service.provider("http://127.0.0.1:9").capabilities.verbs

    def play(self) -> dict[str, object]:
        """Submit, wait and list, and return what a person would see."""
        task = self.call("create_task", self.service.spec)
        seen: dict[str, object] = {"created": task.prompt}
        task = self.call("poll_task", task.ref)
        outcome = task.outcome
        seen |= {"state": task.state, "prompt": task.prompt, "text": outcome and outcome.text}
        seen["patch"] = bytes(outcome.patch) if outcome and outcome.patch else None
        if self.has(Verb.LIST_TASKS):
            seen["listed"] = [each.prompt for each in self.call("list_tasks")]
        if self.has(Verb.LIST_ENVIRONMENTS):
            seen["environments"] = [each.id for each in self.call("list_environments", repository="owner/repo")]
        if self.has(Verb.GET_USAGE):
            seen["plan"] = self.call("get_usage").plan
        return seen


@cache
def plain(name: str) -> dict[str, object]:
    """Return the requests and results of a service without peculiarities."""
    with Scenario(name, "reqwest") as scenario:
        return scenario.play()


@CLIENTS
@PROVIDERS
def test_legal_peculiarities_change_nothing(name: str, kind: str) -> None:
    """A byte-order mark and headers of any bytes change nothing that is read."""
    with Scenario(name, kind, with_legal_peculiarities) as scenario:
        seen = scenario.play()

    assert plain(name) == seen


@CLIENTS
@PROVIDERS
def test_half_of_a_surrogate_pair_is_a_replacement_character(name: str, kind: str) -> None:
    """An emoji that was cut in half is U+FFFD, and everything else is read as it stands."""
    with Scenario(name, kind, with_half_surrogates) as scenario:
        seen = scenario.play()

    assert plain(name) == {key: without_replacement(value) for key, value in seen.items()}
    assert ("\ufffd" in str(seen["prompt"])) == (plain(name)["prompt"] is not None)


def without_replacement(value: object) -> object:
    """Return *value* without the replacement characters of the emoji that was cut."""
    if isinstance(value, list):
        return [without_replacement(each) for each in value]
    return value.replace(" \ufffd", "") if isinstance(value, str) else value
