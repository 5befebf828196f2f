"""Codex's own client and OpenAI's SDK drive the emulator of the app-server, and Codex's schema describes what it sends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.peers.peer_support import PEERS
from websockets.sync.server import ServerConnection, serve

from coatcheck import errors
from coatcheck._protocol.effects import Open, Request
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator

pytestmark = pytest.mark.peer

CODEX = str(PEERS / "codex-newest")
SDK = PEERS.parent / "codex-sdk/bin/python"
ROOT = Path(__file__).parents[2]
# The answers and notifications that the emulator sends, and the file of each in the generated schema.
SCHEMAS = {
    "thread/start": "ThreadStartResponse",
    "turn/start": "TurnStartResponse",
    "thread/items/list": "ThreadItemsListResponse",
    "turn/started": "TurnStartedNotification",
    "turn/completed": "TurnCompletedNotification",
    "item/completed": "ItemCompletedNotification",
    "thread/status/changed": "ThreadStatusChangedNotification",
}


class Served:
    """The emulator at a WebSocket; `messages` are what it sent, by method."""

    def __init__(self, emulator: CodexAppServerEmulator) -> None:
        self._emulator, self._methods = emulator, dict[object, str]()
        self.messages: list[tuple[str, Any]] = []
        self.url = ""

    def answer(self, connection: ServerConnection) -> None:
        """Pass messages between a client and the emulator."""
        channel = self._emulator.handle(Request("GET", "/", channel=Open())).stream

        has_left = threading.Event()

        def write() -> None:
            while not has_left.is_set():
                with contextlib.suppress(errors.TransportTimeoutError):
                    self._send(connection, channel.receive(0.05))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for message in connection:
                call = json.loads(message)
                self._methods[call.get("id")] = call.get("method", "")
                channel.send(json.dumps(call).encode())
        finally:
            has_left.set()
            writer.join()

    def _send(self, connection: ServerConnection, message: bytes) -> None:
        sent = json.loads(message)
        method = sent.get("method") or self._methods.get(sent["id"], "")
        self.messages.append((method, sent.get("params", sent.get("result"))))
        connection.send(message.decode())


@pytest.fixture
def served() -> Iterator[Served]:
    """An emulator that is served."""
    emulator = Served(CodexAppServerEmulator(clock=SystemClock(), step_seconds=0.02, token=""))
    with serve(emulator.answer, "127.0.0.1", 0, close_timeout=0.3) as server:
        emulator.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield emulator


def codex(folder: Path, *arguments: str) -> str:
    """Run Codex with an empty home, and return what it prints."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    environ = {**os.environ, "CODEX_HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    done = subprocess.run(
        [CODEX, *arguments], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_codex_runs_a_turn_on_the_emulator_as_its_schema_says(served: Served) -> None:
    """`codex exec --remote` prints the emulator's answer, and each message fits the schema that Codex generates."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        printed = codex(folder, "exec", "--remote", served.url, "--skip-git-repo-check", "Say hello")
        codex(folder, "app-server", "generate-json-schema", "--experimental", "--out", str(folder / "schema"))
        files = {path.stem: path for path in (folder / "schema").rglob("*.json")}
        schemas = {method: json.loads(files[stem].read_text()) for method, stem in SCHEMAS.items()}
    problems = [
        f"{method}: {error.json_path}: {error.message}"
        for method, document in served.messages
        if method in schemas
        for error in jsonschema.Draft7Validator(schemas[method]).iter_errors(document)
    ]

    assert ("All done.\n", [], set(SCHEMAS)) == (
        printed,
        problems,
        {name for name, _ in served.messages} & set(SCHEMAS),
    )


def test_the_sdk_reads_every_answer_of_the_emulator(tmp_path: Path) -> None:
    """OpenAI's SDK, whose shapes are strict, runs, fails, approves, steers and interrupts turns, and reads lists."""
    if not SDK.exists():
        pytest.fail("OpenAI's SDK is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    program = tmp_path / "codex"
    program.write_text(f"#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.peers.codex_emulator_program\n")
    program.chmod(0o700)
    client = ROOT / "tests/peers/codex_sdk_client.py"
    done = subprocess.run([SDK, client, program], capture_output=True, text=True, check=False)
    ordinary = ["completed", "All done.", ["userMessage", "commandExecution", "fileChange", "agentMessage"]]

    expected = {
        "turn": ordinary,
        "again": ordinary,
        "approval": [*ordinary[:2], ["userMessage", "fileChange", "commandExecution", "fileChange", "agentMessage"]],
        "failure": ["RuntimeError", "the limit is reached"],
        "interruption": "interrupted",
        "name": "A name",
        "listed": 3,
        "archived": [True],
        "resumed": True,
        "models": ["gpt-test", "old"],
    }

    assert expected == json.loads(done.stdout or "null"), done.stderr
