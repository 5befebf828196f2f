"""The conformance tests, for threads of Codex Cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
from tests.providers.codex_app_server.cloud.cloud_support import SPEC, provider
from tests.providers.codex_app_server.test_conformance import THREAD, TURN

from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck.cloud.faults import Fault
from coatcheck.providers.codex_app_server import extract
from coatcheck.testing import ProviderConformance, Transcript
from coatcheck.testing.emulators.codex_cloud_threads import CodexCloudThreadsEmulator

IN_CLOUD = {**THREAD, "environments": [{"environmentConfigId": "acc~asenvcfg_1"}], "gitInfo": None}
DOCUMENT = msgspec.json.encode({"thread": IN_CLOUD, "turns": {"data": [TURN], "nextCursor": None}})


class SameCursor(Fault, frozen=True):
    """Answer each page of a list with the same cursor."""

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Replace the cursor."""
        response = answer()
        document = msgspec.json.decode(response.body)
        return Response(200, response.headers, msgspec.json.encode({**document, "nextCursor": "1"}))


class TestCodexCloudThreads(ProviderConformance):
    """Threads of Codex Cloud are a provider like every other."""

    provider = staticmethod(provider)
    emulator = CodexCloudThreadsEmulator
    spec = SPEC
    states = extract.STATES
    transcripts: ClassVar = {"done": Transcript(DOCUMENT), "new": Transcript(msgspec.json.encode({"thread": THREAD}))}
    state_in, state_at = "done", ("turns", "data", 0, "status")
    repeating_cursor = staticmethod(lambda: SameCursor(on="list_tasks", times=None))
