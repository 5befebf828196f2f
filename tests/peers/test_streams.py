"""Other programs read our streams and their descriptions."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cloud.event_support import server, summary
from tests.peers.peer_support import TIME_LIMIT, bare_environ

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv/peers"
REFERENCE = HERE.parents[1] / "docs/reference"
PYTHON = str(PEERS / "python/bin/python")
NODE = ["node", str(HERE / "stream_clients.mjs"), str(PEERS / "node/node_modules")]


def run(command: Sequence[str], folder: Path) -> str:
    """Run a program to its end, and return what it printed."""
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False, env=bare_environ(folder)
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_official_parser_accepts_the_description_of_events(tmp_path: Path) -> None:
    """No diagnostic of the severity of an error."""
    assert [] == json.loads(run([*NODE, "asyncapi", str(REFERENCE / "asyncapi.json")], tmp_path))


def test_the_official_parser_finds_a_broken_description(tmp_path: Path) -> None:
    """A reference that leads nowhere is an error: the test above can fail."""
    document = json.loads((REFERENCE / "asyncapi.json").read_text("utf-8"))
    document["operations"]["sendEvents"]["channel"]["$ref"] = "#/channels/none"
    (tmp_path / "broken.json").write_text(json.dumps(document))
    errors = json.loads(run([*NODE, "asyncapi", str(tmp_path / "broken.json")], tmp_path))

    assert [] != errors


def test_a_validator_accepts_the_description_of_the_routes(tmp_path: Path) -> None:
    """openapi-spec-validator knows OpenAPI 3.1."""
    printed = run([PYTHON, "-m", "openapi_spec_validator", str(REFERENCE / "openapi.json")], tmp_path)

    assert f"{REFERENCE / 'openapi.json'}: OK\n" == printed


@contextmanager
def cutting_proxy(port: int, limits: Sequence[int]) -> Iterator[int]:
    """Give the port of a proxy that closes its first connections after so many bytes of the response."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = list(limits)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=forward, args=(client, left.pop(0) if left else None), daemon=True).start()

    def forward(client: socket.socket, limit: int | None) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as upstream, suppress(OSError):
            head = client.recv(65_536)
            while b"\r\n\r\n" not in head:
                head += client.recv(65_536)
            upstream.sendall(head.replace(b"connection: keep-alive", b"connection: close"))  # one request each
            sent = 0
            while (limit is None or sent < limit) and (data := upstream.recv(4096)):
                data = data if limit is None else data[: limit - sent]
                client.sendall(data)
                sent += len(data)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def read(url: str, token: str, folder: Path) -> dict[str, Any]:
    """Return the events that an EventSource got, and how often it connected."""
    document: dict[str, Any] = json.loads(run([*NODE, "read", url, token], folder))
    return document


def test_an_event_source_gets_each_event_once_through_cuts(tmp_path: Path) -> None:
    """It reconnects with the last id after each cut, in the middle of an event too, and stops after 204."""
    with server(tmp_path, "seq 30; echo oops >&2") as cloud:
        task = cloud.submit()
        expected = [[event.id, *summary(event)] for event in cloud.all_events(f"/tasks/{task}/events")]
        with cutting_proxy(cloud.port, [900, 1500]) as port:
            got = read(f"http://127.0.0.1:{port}/tasks/{task}/events", cloud.record.token, tmp_path)

    assert (expected, 3) == (got["events"], got["connections"])


def checked(folder: Path, *arguments: str) -> str:
    """Return what Schemathesis prints about the routes that are described; a fault that it finds is an error."""
    # The answer to a valid id is 410 where its event is not kept, which this check does not expect.
    unexpected = ("--exclude-checks", "positive_data_acceptance")
    options = (
        *unexpected,
        "--generation-deterministic",
        "--max-examples",
        "30",
        "--no-color",
        "--request-timeout",
        "60",
    )
    return run([str(PEERS / "schemathesis/bin/schemathesis"), "run", *arguments, *options], folder)


def test_the_routes_answer_as_they_are_described(tmp_path: Path) -> None:
    """Schemathesis sends valid and invalid requests; status, headers and bodies of each answer are as described.

    The stream of all tasks has no end, so it is requested with another token alone.
    """
    document = json.loads((REFERENCE / "openapi.json").read_text("utf-8"))
    with server(tmp_path, "echo done") as cloud:
        task = cloud.submit()
        ended = list(cloud.events(f"/tasks/{task}/events"))
        for path in ("/tasks/{task}/events", "/tasks/{task}/diff"):
            (parameter,) = [each for each in document["paths"][path]["get"]["parameters"] if each["name"] == "task"]
            parameter["schema"]["enum"] = [task, "task_e_none"]
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        where = (str(tmp_path / "openapi.json"), "--url", f"http://127.0.0.1:{cloud.port}")
        header = f"Authorization: Bearer {cloud.record.token}"
        printed = [
            checked(tmp_path, *where, "--exclude-path", "/events", "--header", header),
            checked(tmp_path, *where, "--include-path", "/events", "--header", "Authorization: Bearer x"),
        ]

    assert ended
    assert ["✅ 4 passed", "✅ 1 passed"] == [re.findall("✅ . passed", each)[-1] for each in printed], printed
