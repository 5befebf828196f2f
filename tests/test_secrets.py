"""No token, key or address of an account is ever shown: not by a repr, an error, a note, a log, a document or a command.

The scenario is hostile: a service that says back, in every shape, whatever it was sent.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import json
import logging
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.cli_support import Cli
from tests.credentials.household import Household

import coatcheck
from coatcheck import AsyncClient, Client, errors
from coatcheck._cli.json_output import dump, error_document
from coatcheck._protocol.effects import Request, Response
from coatcheck.providers.codex.credentials import read_auth_file
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.memory_journal import MemoryJournal

EMAIL = "p@example.com"
STATUSES = (200, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503)


def echoes(request: Request) -> Iterator[bytes]:
    """Yield answers that hold what was sent: headers, body, and an address."""
    sent = " ".join([*(value for _, value in request.headers), request.body.decode("utf-8", "replace"), EMAIL])
    yield json.dumps({"detail": sent}).encode()
    yield json.dumps({"error": {"message": sent, "code": sent}}).encode()
    yield json.dumps({"detail": [{"msg": sent, "input": sent}]}).encode()
    yield f"<!doctype html><title>{sent}</title><p>{sent}".encode()
    yield f"plain {sent}".encode()
    yield json.dumps({"task": sent, "id": 5, "items": sent, "access_token": 7, "user_code": [sent]}).encode()


class Echo:
    """A service that says back what it was sent, with every status in turn."""

    def __init__(self, *, status: int, shape: int) -> None:
        self.status, self.shape = status, shape

    def handle(self, request: Request) -> Response:
        body = list(echoes(request))[self.shape]
        kind = (
            "text/html" if body.startswith(b"<") else "text/plain" if body.startswith(b"plain") else "application/json"
        )
        secret = dict(request.headers).get("authorization", "Bearer none")
        location = f"https://elsewhere.example/?token={secret.partition(' ')[2]}"
        return Response(self.status, {"content-type": kind, "x-request-id": "req-1", "location": location}, body)


class Ears:
    """Whatever anybody could read."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def hear(self, *texts: object) -> None:
        self.heard += [f"{text!s}\n{text!r}" for text in texts]

    def hear_error(self, error: BaseException) -> None:
        """Listen to an error with its notes, its causes, its attributes and its document."""
        self.heard += traceback.format_exception(error)
        self.hear(error, vars(error), *getattr(error, "__notes__", ()))
        self.heard.append(dump(error_document(error)).decode())

    def hear_everything_of_ours(self) -> None:
        """Listen to every object of the package that lives."""
        for each in gc.get_objects():
            if type(each).__module__.startswith("coatcheck"):
                self.hear(each)

    def leaks(self, *secrets: str | None) -> list[str]:
        """Return the texts in which a secret is."""
        return [text[:500] for text in self.heard if any(secret and secret in text for secret in secrets)]


def attempt(ears: Ears, act: Callable[[], object]) -> None:
    """Do something and listen to what comes of it."""
    try:
        ears.hear(act())
    except errors.CoatcheckError as error:
        ears.hear_error(error)


@pytest.fixture
def ears(caplog: pytest.LogCaptureFixture) -> Iterator[Ears]:
    """Ears that hear logs as well, at every level."""
    ears = Ears()
    with caplog.at_level(logging.DEBUG):
        yield ears
        assert [] == [record.getMessage() for record in caplog.records if EMAIL in record.getMessage()]
    ears.heard += [record.getMessage() for record in caplog.records]


def verbs(client: Any) -> list[Callable[[], object]]:
    """Return calls of every kind: looking, listing, submitting, refreshing, logging in and out."""
    return [
        client.get_usage,
        lambda: client.get_task("task_1"),
        lambda: list(client.list_tasks(limit=3)),
        lambda: client.create_task("p", environment="e", branch="main"),
        client.tokens.get_token,
        client.tokens.get_status,
        client.tokens.refresh_token,
        lambda: client.tokens.log_in_by_device_code(lambda _: None),
        client.tokens.log_out,
    ]


def logins(house: Household) -> dict[str, Any]:
    """Return logins of every kind, each with the tokens that must stay hidden."""
    shared, own = house.put(house.issue(ends_in=100)), house.put(house.issue(ends_in=100), house.own)
    return {"shared": shared, "own": own, "environment": house.issue(), "argument": house.issue()}


@pytest.mark.parametrize("status", STATUSES)
def test_a_service_that_says_everything_back_makes_us_say_nothing(tmp_path: Path, ears: Ears, status: int) -> None:
    """Every verb with every kind of login and every shape of answer: no token and no address is heard."""
    house = Household(tmp_path)
    kinds = logins(house)
    for shape in range(6):
        for kind, tokens in kinds.items():
            service = Echo(status=status, shape=shape)
            environ = house.environ | {"COATCHECK_CODEX_CREDENTIALS": kind if kind != "argument" else "auto"}
            client = Client(
                "codex",
                token=tokens.access_token if kind == "argument" else None,
                environ=environ | {"CODEX_ACCESS_TOKEN": kinds["environment"].access_token},
                clock=house.clock,
                transport=EmulatorTransport(service),
                journal=MemoryJournal(),
                random=lambda: 0.5,
            )
            for verb in verbs(client):
                attempt(ears, verb)
            if shape == 0:
                ears.hear_everything_of_ours()
    secrets = [s for t in kinds.values() for s in (t.access_token, t.refresh_token, t.id_token)]

    assert [] == ears.leaks(EMAIL, *secrets)
    assert len(ears.heard) > 200


def test_a_service_that_works_makes_us_say_nothing_either(tmp_path: Path, ears: Ears) -> None:
    """A refresh, a 401 with its recovery, a broken file, a file of another account: in both colours."""
    house = Household(tmp_path)
    held = house.put(house.issue(ends_in=30))

    async def main() -> None:
        async with AsyncClient(
            "codex",
            environ=house.environ,
            clock=house.clock,
            transport=AsyncEmulatorTransport(house.cloud),
            journal=MemoryJournal(),
            random=lambda: 0.5,
        ) as client:
            ears.hear(client, client.tokens, await client.get_usage(), await client.tokens.get_status())
            house.cloud.book.end(house.read().access_token)
            ears.hear(await client.get_usage(), await client.tokens.get_token())
            ears.hear_everything_of_ours()

    asyncio.run(main())
    now = house.read()
    for broken in (house.shared.read_bytes()[:-40], b"[" + house.shared.read_bytes() + b"]"):
        house.shared.write_bytes(broken)
        attempt(ears, lambda: house.secret(house.login()))
        attempt(ears, lambda: read_auth_file(house.shared.read_bytes(), "the file"))

    assert [] == ears.leaks(EMAIL, held.access_token, held.refresh_token, now.access_token, now.refresh_token)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_no_command_says_anything(tmp_path: Path, status: int) -> None:
    """stdout, stderr and the exit: with text, with --json and with COATCHECK_DEBUG."""
    heard, secrets = io.StringIO(), []
    for shape in range(6):
        house = Household(tmp_path / str(shape))
        tokens = house.put(house.issue(ends_in=100))
        secrets += [tokens.access_token, tokens.refresh_token, tokens.id_token]
        for options in ((), ("--json",)):
            cli = Cli(tmp_path, Echo(status=status, shape=shape), CODEX_ACCESS_TOKEN="", COATCHECK_DEBUG="1")
            cli.environ |= house.environ
            for command in (
                ("usage",),
                ("list",),
                ("status", "task_1"),
                ("show", "task_1"),
                ("auth", "status"),
                ("auth", "print-token"),
                ("logout",),
                ("login", "codex", "--device-code"),
                ("environments",),
                ("config", "--show-origin"),
            ):
                heard.write(repr(cli(*command, *options)))

    assert [] == [secret for secret in (*secrets, EMAIL) if secret in heard.getvalue()]


def test_what_is_written_down_beside_the_login_holds_no_secret(tmp_path: Path) -> None:
    """Notes, journals, learnt durations: everything in our state folder, after a refresh and a submission."""
    house = Household(tmp_path)
    held = house.put(house.issue(ends_in=30))
    with Client(
        "codex", environ=house.environ, clock=house.clock, transport=EmulatorTransport(house.cloud), random=lambda: 0.5
    ) as client:
        client.create_task("p", environment="owner/repo", branch="main")
    now = house.read()
    state = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())

    assert state
    assert [] == [
        secret
        for secret in (held.access_token, held.refresh_token, now.access_token, now.refresh_token, EMAIL)
        if secret.encode() in state
    ]


def test_every_struct_with_a_secret_hides_it() -> None:
    """A field whose name says secret is in no repr: this holds for structs that nobody has written yet."""
    for module in pkgutil.walk_packages(coatcheck.__path__, "coatcheck."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)  # so that every struct exists
    emit_changes = []
    for struct in subclasses(msgspec.Struct):
        names = {
            "token",
            "access_token",
            "refresh_token",
            "id_token",
            "approval_key",
            "code",
            "verifier",
            "user_code",
            "environ",
        }
        fields = [field for field in getattr(struct, "__struct_fields__", ()) if field in names]
        if fields and struct.__module__.startswith("coatcheck") and "canary" in shown(struct, fields):
            emit_changes.append(f"{struct.__module__}.{struct.__qualname__}: {fields}")

    assert [] == emit_changes


# Words of a protocol, not secrets: `code` is an error's, `token` a path.
NOT_SECRET = {
    "Failure",
    "CloudFailure",
    "OAuth",
    "Endpoints",
    "TurnError",
    "_DeviceGrant",
    "BatchError",
}


def shown(struct: type[msgspec.Struct], fields: list[str]) -> str:
    """Return the repr of a struct with canaries in *fields*; "" where none can be made."""
    if struct.__name__ in NOT_SECRET:
        return ""
    required = dict.fromkeys(struct.__struct_fields__, "x") | dict.fromkeys(fields, "canary")
    try:
        return repr(struct(**required))
    except TypeError:
        return ""


def subclasses(cls: type) -> Iterator[type]:
    """Yield every class below *cls*."""
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)
