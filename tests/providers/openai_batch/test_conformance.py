from __future__ import annotations

import msgspec

from coatcheck import TaskSpec
from coatcheck.cloud.faults import Fault, RepeatingCursor
from coatcheck.providers.openai_batch import extract
from coatcheck.providers.openai_batch.provider import OpenAIBatchProvider, Service
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.batches import OpenAIBatchEmulator

PROVIDER = OpenAIBatchProvider(Service("http://127.0.0.1:9/v1", "gpt-test"))

BATCH = {
    "id": "batch_1",
    "object": "batch",
    "status": "in_progress",
    "created_at": 1790000000,
    "expires_at": 1790086400,
    "request_counts": {"total": 2, "completed": 1, "failed": 0},
    "metadata": {"title": "Sums"},
}
LINE = {
    "custom_id": "a",
    "response": {
        "status_code": 200,
        "body": {"model": "gpt-test", "output": [{"content": [{"type": "output_text", "text": "hi"}]}]},
    },
    "error": None,
}


def batch(**fields: object) -> bytes:
    """Return a batch as JSON."""
    return msgspec.json.encode({**BATCH, **fields})


class Repeating(RepeatingCursor, frozen=True, kw_only=True):
    """A list that always announces a further page."""

    def edit(self, document: object) -> object:
        return {**document, "has_more": True} if isinstance(document, dict) else document


def repeating() -> Fault:
    """Return the fault."""
    return Repeating(on="list_tasks", cursor="never", parameter="after", key="last_id")


class TestOpenAIBatch(ProviderConformance):
    """OpenAI's batches pass the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = OpenAIBatchEmulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language")
    states = extract.STATES
    state_in, state_at = "running", ("status",)
    repeating_cursor = staticmethod(repeating)
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "running": Transcript(batch()),
        "done": Transcript(batch(status="completed", output_file_id="file-1"), msgspec.json.encode(LINE)),
        "refused": Transcript(batch(status="failed", errors={"data": [{"code": "x", "message": "y"}]})),
        "unmade": Transcript(
            batch(status="expired", error_file_id="file-2"),
            msgspec.json.encode({"custom_id": "a", "error": {"code": "batch_expired", "message": "too late"}}),
        ),
    }
