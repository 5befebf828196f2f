from __future__ import annotations

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.jules import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.jules import JulesEmulator

from .jules_support import DATA, PROVIDER

ACTIVITIES = (DATA / "activities_all_kinds.json").read_bytes()


class TestJules(ProviderConformance):
    """Jules passes the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = JulesEmulator
    states = extract.STATES
    state_in, state_at = "session_queued", ("state",)
    repeating_cursor = staticmethod(
        lambda: RepeatingCursor(on="list_tasks", cursor="again", parameter="pageToken", key="nextPageToken")
    )
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        path.stem: Transcript(path.read_bytes(), ACTIVITIES if path.stem == "session_failed" else None)
        for path in sorted(DATA.glob("session_*.json"))
    }
