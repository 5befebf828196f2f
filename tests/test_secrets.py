"""No token, key or address of an account is shown by a repr, an error, a note, a log, a document or a command.

The service is hostile: it returns everything it was sent, in every form.
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
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.cli_support import Cli
from tests.credentials.login_environment import LoginEnvironment

import coatcheck
from coatcheck import AsyncClient, Client, errors
from coatcheck._cli.json_output import dump, error_document
from coatcheck._protocol.effects import Request, Response
from coatcheck.providers._chatgpt.credentials import read_auth_file
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.memory_journal import MemoryJournal

EMAIL = "p@example.com"
STATUSES = (
    *(200, 401, 500),
    *(pytest.param(status, marks=pytest.mark.slow) for status in (302, 400, 403, 404, 409, 422, 429)),
)


def echoes(request: Request) -> Iterator[bytes]:
    """Yield responses that contain the request: headers, body, and an address."""
    sent = " ".join([*(value for _, value in request.headers), request.body.decode("utf-8", "replace"), EMAIL])
    yield json.dumps({"detail": sent}).encode()
    yield json.dumps({"error": {"message": sent, "code": sent}}).encode()
    yield json.dumps({"detail": [{"msg": sent, "input": sent}]}).encode()
    yield f"<!doctype html><title>{sent}</title><p>{sent}".encode()
    yield f"plain {sent}".encode()
    yield json.dumps({"task": sent, "id": 5, "items": sent, "access_token": 7, "user_code": [sent]}).encode()


class Echo:
    """A service that returns the request, with every status in turn."""

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


class Collected:
    """A collection of all text that a user or a log could show."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, *texts: object) -> None:
        self.texts += [f"{text!s}\n{text!r}" for text in texts]

    def collect_error(self, error: BaseException) -> None:
        """Collect the text of an error: notes, causes, attributes and document."""
        self.texts += traceback.format_exception(error)
        self.add(error, vars(error), *getattr(error, "__notes__", ()))
        self.texts.append(dump(error_document(error)).decode())

    def collect_live_objects(self) -> None:
        """Collect the reprs of all live objects of the package."""
        self.add(*(each for each in gc.get_objects() if is_ours(type(each))))

    def leaks(self, *secrets: str | None) -> list[str]:
        """Return the texts that contain a secret."""
        return [text[:500] for text in self.texts if any(secret and secret in text for secret in secrets)]


@cache
def is_ours(cls: type) -> bool:
    """Return whether a class is one of the package."""
    return str(cls.__module__).startswith("coatcheck")


def attempt(collected: Collected, act: Callable[[], object]) -> None:
    """Call *act*, and collect the text of its result or its error."""
    try:
        collected.add(act())
    except errors.CoatcheckError as error:
        collected.collect_error(error)


@pytest.fixture
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[Collected]:
    """Return a collection that also contains the log, at every level."""
    collected = Collected()
    with caplog.at_level(logging.DEBUG):
        yield collected
        assert [] == [record.getMessage() for record in caplog.records if EMAIL in record.getMessage()]
    collected.texts += [record.getMessage() for record in caplog.records]


def verbs(client: Any) -> list[Callable[[], object]]:
    """Return calls of every kind: get, list, submit, refresh, login and logout."""
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


def logins(login_env: LoginEnvironment) -> dict[str, Any]:
    """Return logins of every kind, each with the tokens that must stay hidden."""
    shared, own = (
        login_env.put(login_env.issue(ends_in=100)),
        login_env.put(login_env.issue(ends_in=100), login_env.own),
    )
    return {"shared": shared, "own": own, "environment": login_env.issue(), "argument": login_env.issue()}


@pytest.mark.parametrize("status", STATUSES)
def test_a_service_that_returns_every_request(tmp_path: Path, collected: Collected, status: int) -> None:
    """No verb, with any kind of login and any shape of response, shows a token or an address."""
    login_env = LoginEnvironment(tmp_path)
    kinds = logins(login_env)
    for shape in range(6):
        clients = []
        for kind, tokens in kinds.items():
            service = Echo(status=status, shape=shape)
            environ = login_env.environ | {"COATCHECK_CODEX_CREDENTIALS": kind if kind != "argument" else "auto"}
            client = Client(
                "codex",
                token=tokens.access_token if kind == "argument" else None,
                environ=environ | {"CODEX_ACCESS_TOKEN": kinds["environment"].access_token},
                clock=login_env.clock,
                transport=EmulatorTransport(service),
                journal=MemoryJournal(),
                random=lambda: 0.5,
            )
            for verb in verbs(client):
                attempt(collected, verb)
            clients.append(client)
        if shape == 0:
            collected.collect_live_objects()
    secrets = [s for t in kinds.values() for s in (t.access_token, t.refresh_token, t.id_token)]

    assert [] == collected.leaks(EMAIL, *secrets)
    assert len(collected.texts) > 200


def test_a_service_that_works(tmp_path: Path, collected: Collected) -> None:
    """A refresh, a recovery after 401, a broken file and a file of another account show nothing, in both clients."""
    login_env = LoginEnvironment(tmp_path)
    held = login_env.put(login_env.issue(ends_in=30))

    async def main() -> None:
        async with AsyncClient(
            "codex",
            environ=login_env.environ,
            clock=login_env.clock,
            transport=AsyncEmulatorTransport(login_env.cloud),
            journal=MemoryJournal(),
            random=lambda: 0.5,
        ) as client:
            collected.add(client, client.tokens, await client.get_usage(), await client.tokens.get_status())
            login_env.cloud.book.end(login_env.read().access_token)
            collected.add(await client.get_usage(), await client.tokens.get_token())
            collected.collect_live_objects()

    asyncio.run(main())
    now = login_env.read()
    for broken in (login_env.shared.read_bytes()[:-40], b"[" + login_env.shared.read_bytes() + b"]"):
        login_env.shared.write_bytes(broken)
        attempt(collected, lambda: login_env.secret(login_env.login()))
        attempt(collected, lambda: read_auth_file(login_env.shared.read_bytes(), "the file"))

    assert [] == collected.leaks(EMAIL, held.access_token, held.refresh_token, now.access_token, now.refresh_token)


@pytest.mark.parametrize("status", STATUSES)
def test_no_command_shows_a_secret(tmp_path: Path, status: int) -> None:
    """No command shows a secret on stdout or stderr, with text, with --json and with COATCHECK_DEBUG."""
    texts, secrets = io.StringIO(), []
    for shape in range(6):
        login_env = LoginEnvironment(tmp_path / str(shape))
        tokens = login_env.put(login_env.issue(ends_in=100))
        secrets += [tokens.access_token, tokens.refresh_token, tokens.id_token]
        for options in ((), ("--json",)):
            cli = Cli(tmp_path, Echo(status=status, shape=shape), CODEX_ACCESS_TOKEN="", COATCHECK_DEBUG="1")
            cli.environ |= login_env.environ
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
                texts.write(repr(cli(*command, *options)))

    assert [] == [secret for secret in (*secrets, EMAIL) if secret in texts.getvalue()]


def test_no_state_file_contains_a_secret(tmp_path: Path) -> None:
    """No file in the state folder contains a secret after a refresh and a submission."""
    login_env = LoginEnvironment(tmp_path)
    held = login_env.put(login_env.issue(ends_in=30))
    with Client(
        "codex",
        environ=login_env.environ,
        clock=login_env.clock,
        transport=EmulatorTransport(login_env.cloud),
        random=lambda: 0.5,
    ) as client:
        client.create_task("p", environment="owner/repo", branch="main")
    now = login_env.read()
    state = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())

    assert state
    assert [] == [
        secret
        for secret in (held.access_token, held.refresh_token, now.access_token, now.refresh_token, EMAIL)
        if secret.encode() in state
    ]


def test_every_struct_with_a_secret_hides_it() -> None:
    """No repr of any struct shows a field with the name of a secret."""
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
    "RpcError",
    "_Error",
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
