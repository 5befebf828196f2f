from __future__ import annotations

import msgspec

from coatcheck import TaskSpec
from coatcheck.cloud.faults import Fault, RepeatingCursor
from coatcheck.providers.anthropic_batch import extract
from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.batches import AnthropicBatchEmulator

PROVIDER = AnthropicBatchProvider(Service("http://127.0.0.1:9", "claude-test"))

COUNTS = {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": COUNTS,
    "created_at": "2026-11-20T10:00:00Z",
    "expires_at": "2026-11-21T10:00:00Z",
    "ended_at": None,
    "results_url": None,
}
MESSAGE = {"model": "claude-test", "content": [{"type": "text", "text": "hi"}]}
ERROR = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}


def batch(**fields: object) -> bytes:
    """Return a batch as JSON."""
    return msgspec.json.encode({**BATCH, **fields})


def line(**result: object) -> bytes:
    """Return one line of results."""
    return msgspec.json.encode({"custom_id": "a", "result": result})


class Repeating(RepeatingCursor, frozen=True, kw_only=True):
    """A list that always announces a further page."""

    def edit(self, document: object) -> object:
        return {**document, "has_more": True} if isinstance(document, dict) else document


def repeating() -> Fault:
    """Return the fault."""
    return Repeating(on="list_tasks", cursor="never", parameter="after_id", key="last_id")


class TestAnthropicBatch(ProviderConformance):
    """Anthropic's batches pass the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = AnthropicBatchEmulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language")
    states = extract.STATES
    state_in, state_at = "running", ("processing_status",)
    repeating_cursor = staticmethod(repeating)
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "running": Transcript(batch()),
        "done": Transcript(batch(processing_status="ended"), line(type="succeeded", message=MESSAGE)),
        "failed": Transcript(batch(processing_status="ended"), line(type="errored", error=ERROR)),
    }
