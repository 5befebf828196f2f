from __future__ import annotations

from typing import Any

from tests.providers.a2a.agent_support import RepeatingRpcCursor, agent, provider, recorded

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.a2a.extract import STATES
from coatcheck.testing.conformance import ProviderConformance, Transcript

LIVES: dict[str, tuple[str, ...]] = {
    "done": ("SUBMITTED", "WORKING", "COMPLETED"),
    "failed": ("SUBMITTED", "FAILED"),
    "question": ("WORKING", "INPUT_REQUIRED"),
}
CURSOR: dict[str, Any] = {"parameter": "pageToken", "key": "nextPageToken", "cursor": "0"}


class TestHttpJson(ProviderConformance):
    """An agent with the binding HTTP+JSON passes the conformance tests."""

    provider = staticmethod(provider)
    emulator = staticmethod(agent("HTTP+JSON"))
    states = STATES
    transcripts = {name: Transcript(recorded("HTTP+JSON", life)) for name, life in LIVES.items()}  # noqa: RUF012 - read only
    state_in, state_at = "done", ("status", "state")
    repeating_cursor = staticmethod(lambda: RepeatingCursor(**CURSOR))


class TestJsonRpc(ProviderConformance):
    """An agent with the binding JSONRPC passes the conformance tests."""

    provider = staticmethod(provider)
    emulator = staticmethod(agent("JSONRPC"))
    states = STATES
    transcripts = {name: Transcript(recorded("JSONRPC", life)) for name, life in LIVES.items()}  # noqa: RUF012 - as above
    state_in, state_at = "done", ("result", "status", "state")
    repeating_cursor = staticmethod(lambda: RepeatingRpcCursor(**CURSOR))
