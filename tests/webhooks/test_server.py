"""Hostile deliveries at a real listener: the right status, and nothing kept that is not genuine."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._app.workspace import Workspace
from coatcheck._protocol import standard_webhooks as standard
from coatcheck._runtime.config import Config
from coatcheck._webhooks import receiver
from coatcheck._webhooks.server import repeating, serving_hooks
from coatcheck._webhooks.settings import WebhookSettings

SECRET = standard.new_secret()
BODY = b'{"type":"batch.completed","data":{"id":"batch_1"}}'
MIB = 1024 * 1024


class Hooks:
    """A running receiver, for OpenAI and GitHub."""

    def __init__(self, settings: WebhookSettings, port: int) -> None:
        self.settings, self.port = settings, port

    def send(self, path: str, headers: list[tuple[str, str]], body: bytes) -> int:
        """Send a request as these bytes; return the status of the answer, 0 where there is none."""
        lines = [f"POST {path} HTTP/1.1", "host: hooks.example", *(f"{name}: {value}" for name, value in headers)]
        with socket.create_connection(("127.0.0.1", self.port), timeout=240) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            line = connection.makefile("rb").readline().split()
        return int(line[1]) if line else 0

    @property
    def kept(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the deliveries that were kept: ids and names."""
        return [(each.id, each.names) for each in self.settings.received.arrivals_since(0)]


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    """Run a receiver; its secrets come from the environment."""
    environ = {
        "COATCHECK_STATE_HOME": str(tmp_path),
        "COATCHECK_HOOK_SECRET_OPENAI": SECRET,
        "COATCHECK_HOOK_SECRET_GITHUB": "g1 former",
    }
    workspace = Workspace(str(tmp_path), config=Config(environ=environ), environ=environ, provider="codex")
    settings = WebhookSettings(workspace)
    with serving_hooks(settings, port=0, allowed=()) as origin:
        yield Hooks(settings, int(origin.rpartition(":")[2]))
    settings.close()


def signed(
    body: bytes, *, id: str = "d1", at: float | None = None, secret: str = SECRET, **more: str
) -> list[tuple[str, str]]:
    """Return the headers of a delivery that is signed now."""
    key, seconds = standard.read_secret(secret), time.time() if at is None else at
    headers = dict(standard.signed_headers([key], id=id, seconds=seconds, body=body))
    headers |= {"content-type": "application/json", "content-length": str(len(body))}
    return list((headers | {name.replace("_", "-"): value for name, value in more.items()}).items())


def chunked(body: bytes, size: int) -> bytes:
    """Return a body in the chunked transfer coding."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])


def without_length(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers of a chunked body."""
    return [*(each for each in headers if each[0] != "content-length"), ("transfer-encoding", "chunked")]


def test_a_delivery_is_kept_once(hooks: Hooks) -> None:
    """A genuine one is answered 204, and so is its repetition, also with another body; the first one is kept."""
    other = BODY.replace(b"batch_1", b"batch_2")
    statuses = [hooks.send("/openai", signed(body), body) for body in (BODY, BODY, other)]

    assert ([204] * 3, [("d1", ("openai_batch:batch_1",))]) == (statuses, hooks.kept)


def test_a_chunked_delivery_is_kept(hooks: Hooks) -> None:
    """The signature is that of the body, however it is transferred."""
    status = hooks.send("/openai", without_length(signed(BODY)), chunked(BODY, 7))

    assert (204, 1) == (status, len(hooks.kept))


def test_secrets_of_the_environment(hooks: Hooks) -> None:
    """While a secret is being replaced, both are valid; a third is not."""
    body = json.dumps({"workflow_run": {"id": 17}, "repository": {"full_name": "o/r"}}).encode()
    statuses = []
    for id, secret in enumerate((b"g1", b"former", b"g2")):
        digest = hmac.digest(secret, body, hashlib.sha256).hex()
        headers = [("x-hub-signature-256", f"sha256={digest}"), ("x-github-delivery", f"d{id}")]
        headers += [("x-github-event", "workflow_run"), ("content-type", "application/json")]
        statuses.append(hooks.send("/github", [*headers, ("content-length", str(len(body)))], body))

    assert ([204, 204, 401], [("github_actions:o~r~17", "copilot:@o/r")] * 2) == (
        statuses,
        [names for _, names in hooks.kept],
    )


NOT_UTF_8 = b'{"type":"\xff\xfe"}'
LARGE = b'"' + b"x" * MIB + b'"'
NESTED = b"[" * 100_000


# Made when the test runs: a signature is valid for five minutes.
HOSTILE: dict[str, Callable[[], tuple[list[tuple[str, str]], bytes, int]]] = {
    "forged": lambda: (signed(BODY, secret=standard.new_secret()), BODY, 401),
    "changed": lambda: (signed(BODY), BODY.replace(b"1", b"2"), 401),
    "stale": lambda: (signed(BODY, at=time.time() - 3600), BODY, 401),
    "early": lambda: (signed(BODY, at=time.time() + 3600), BODY, 401),
    "timestamp": lambda: (signed(BODY, webhook_timestamp="1.7e9"), BODY, 400),
    "signature": lambda: (signed(BODY, webhook_signature="garbage"), BODY, 401),
    "many-signatures": lambda: (signed(BODY, webhook_signature=" ".join(["v1,AAAA"] * 500)), BODY, 401),
    "id": lambda: (signed(BODY, webhook_id="d.1"), BODY, 400),
    "two-signatures": lambda: ([*signed(BODY), ("webhook-signature", "v1,AAAA")], BODY, 400),
    "not-utf-8": lambda: (signed(NOT_UTF_8), NOT_UTF_8, 400),
    "nested": lambda: (signed(NESTED), NESTED, 400),
    "empty": lambda: (signed(b""), b"", 400),
    "oversized": lambda: (signed(LARGE), LARGE[:100], 413),
    "oversized-chunked": lambda: (without_length(signed(LARGE)), chunked(LARGE, MIB // 2), 413),
    "compressed": lambda: (signed(BODY, content_encoding="gzip"), BODY, 415),
    "compressed-twice": lambda: (signed(BODY, content_encoding="br, gzip"), BODY, 415),
    "text": lambda: (signed(BODY, content_type="text/plain"), BODY, 415),
    "form": lambda: (signed(BODY, content_type="application/x-www-form-urlencoded"), BODY, 415),
    "negative-length": lambda: (signed(BODY, content_length="-1"), BODY, 400),
    "length-and-chunked": lambda: ([*signed(BODY), ("transfer-encoding", "chunked")], chunked(BODY, 7), 400),
    "broken-chunk": lambda: (without_length(signed(BODY)), b"zz\r\n" + BODY, 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_delivery(name: str, hooks: Hooks) -> None:
    """It is refused with its status, and nothing is kept."""
    headers, body, status = HOSTILE[name]()

    assert (status, []) == (hooks.send("/openai", headers, body), hooks.kept)


def test_a_slow_delivery(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive in time is answered 408, and another delivery is accepted meanwhile."""
    monkeypatch.setattr(receiver, "BODY_SECONDS", 3.0)
    lines = ["POST /openai HTTP/1.1", "host: x", *(f"{name}: {value}" for name, value in signed(BODY))]
    with socket.create_connection(("127.0.0.1", hooks.port), timeout=240) as slow:
        slow.sendall("\r\n".join([*lines, "", ""]).encode() + BODY[:5])
        other = hooks.send("/openai", signed(BODY, id="d2"), BODY)
        line = slow.makefile("rb").readline()

    assert (204, b"408", ["d2"]) == (other, line.split()[1], [id for id, _ in hooks.kept])


def test_a_receiver_is_shown_while_it_runs(hooks: Hooks) -> None:
    """The store shows that deliveries are received."""
    assert hooks.settings.received.has_server()


def test_an_error_that_repeats_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Another error is logged, and the same one again after a success: a store that is away fills no log."""
    results = iter(["away", "away", "full", "", "full"])
    ended = threading.Event()

    def act() -> None:
        text = next(results, None)
        if text is None:
            ended.set()
        elif text:
            raise errors.StoreError(text, location="store")

    with repeating(act, name="test", seconds=0.0):
        ended.wait(240)

    assert ["away", "full", "full"] == [record.message for record in caplog.records]
