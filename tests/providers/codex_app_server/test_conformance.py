"""The conformance tests, for a Codex host."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
from tests.providers.codex_app_server.host_support import provider

from coatcheck import TaskSpec
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck.cloud.faults import Fault
from coatcheck.providers.codex_app_server import extract
from coatcheck.testing import ProviderConformance, Transcript
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator

THREAD = {
    "id": "01a22287-8069-7a11-8a76-637ef3d6cde3",
    "status": {"type": "idle"},
    "name": "Say hello (coatcheck k)",
    "preview": "Say hello\nto the world",
    "cwd": "/srv/checkout",
    "model": "gpt-test",
    "createdAt": 1795875635,
    "updatedAt": 1795875636,
    "gitInfo": {"sha": "425cedbf6d95f522673de1a1e6449d7f25f83895", "branch": None, "originUrl": None},
    "forkedFromId": None,
}
ITEMS = [
    {
        "type": "userMessage",
        "id": "1",
        "clientId": "k",
        "content": [{"type": "text", "text": "Say hello\nto the world"}],
    },
    {"type": "fileChange", "id": "2", "changes": [{"path": "/srv/checkout/a", "diff": "x"}], "status": "declined"},
    {"type": "agentMessage", "id": "3", "text": "Done", "phase": None},
]
TURN = {
    "id": "01a22287-80bc-7b13-bec8-570f918f29ac",
    "items": ITEMS,
    "status": "completed",
    "error": {"message": "why", "codexErrorInfo": {"httpConnectionFailed": {}}},
    "startedAt": 1795875635,
    "completedAt": 1795875636,
}
DOCUMENT = msgspec.json.encode({"thread": THREAD, "turns": {"data": [TURN], "nextCursor": None}})


class SameCursor(Fault, frozen=True):
    """Answer each page of a list with the same cursor."""

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Replace the cursor."""
        document = msgspec.json.decode(answer().body)
        document["result"]["nextCursor"] = "1"
        return Response(200, body=msgspec.json.encode(document))


class TestCodexAppServer(ProviderConformance):
    """A Codex host is a provider like every other."""

    provider = staticmethod(provider)
    emulator = CodexAppServerEmulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language", repository="owner/repo")
    states = extract.STATES
    transcripts: ClassVar = {"done": Transcript(DOCUMENT), "new": Transcript(msgspec.json.encode({"thread": THREAD}))}
    state_in, state_at = "done", ("turns", "data", 0, "status")
    repeating_cursor = staticmethod(lambda: SameCursor(on="list_tasks", times=None))
