from __future__ import annotations

from typing import ClassVar

import msgspec

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.openhands import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.openhands_cloud import OpenHandsCloudEmulator

from .openhands_support import cloud_provider

CONVERSATION = {
    "id": "0b0c6f0e3b555f6e8a445d7c7a1c2e90",
    "sandbox_id": "s1",
    "sandbox_status": "RUNNING",
    "execution_status": "finished",
    "conversation_url": "https://sandbox.test/api/conversations/0b0c6f0e3b555f6e8a445d7c7a1c2e90",
    "session_api_key": "k",
    "selected_repository": "owner/repo",
    "selected_branch": "main",
    "title": "Say hello",
    "llm_model": "m",
    "pr_number": [7],
    "created_at": "2026-11-28T02:40:23.801889Z",
    "updated_at": "2026-11-28T02:40:26.600090Z",
}


class TestOpenHandsCloud(ProviderConformance):
    """OpenHands Cloud passes the conformance tests, against the emulator."""

    provider = staticmethod(cloud_provider)
    emulator = OpenHandsCloudEmulator
    states = extract.STATES
    state_in, state_at = "finished", (0, "execution_status")
    repeating_cursor = staticmethod(
        lambda: RepeatingCursor(on="list_tasks", cursor="again", parameter="page_id", key="next_page_id")
    )
    transcripts: ClassVar = {
        "finished": Transcript(msgspec.json.encode([CONVERSATION])),
        "paused": Transcript(msgspec.json.encode([{**CONVERSATION, "sandbox_status": "PAUSED"}])),
    }
