from __future__ import annotations

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.openhands import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.openhands import OpenHandsEmulator

from .openhands_support import DATA, provider


class TestOpenHands(ProviderConformance):
    """OpenHands passes the conformance tests, against the emulator."""

    provider = staticmethod(provider)
    emulator = OpenHandsEmulator
    states = extract.STATES
    state_in, state_at = "finished", ("execution_status",)
    repeating_cursor = staticmethod(
        lambda: RepeatingCursor(on="list_tasks", cursor="again", parameter="page_id", key="next_page_id")
    )
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        path.stem: Transcript(path.read_bytes()) for path in sorted(DATA.glob("*.json"))
    }
