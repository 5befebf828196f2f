from __future__ import annotations

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers._chatgpt.credentials import LOGIN
from coatcheck.providers.codex import extract
from coatcheck.providers.codex.endpoints import Service
from coatcheck.providers.codex.provider import CodexProvider
from coatcheck.testing.conformance import ProviderConformance, Transcript

from .exchange_support import DATA

DISPLAY = ("task", "task_status_display", "latest_turn_status_display", "turn_status")
SIBLINGS = (DATA / "sibling_turns_of_three_attempts.json").read_bytes()


class TestCodex(ProviderConformance):
    """Codex Cloud passes the conformance tests, against the scripted cloud."""

    provider = staticmethod(lambda: CodexProvider(Service.at("http://127.0.0.1:9/backend-api", name="codex"), LOGIN))
    emulator = ScriptedCloud
    token = staticmethod(lambda cloud: cloud.tokens.access_token)
    states = extract.STATES
    state_in, state_at = "details_failed", DISPLAY
    repeating_cursor = RepeatingCursor
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        path.stem: Transcript(path.read_bytes(), SIBLINGS if "three_attempts" in path.stem else None)
        for path in sorted(DATA.glob("details_*.json"))
    }
