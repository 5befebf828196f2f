from __future__ import annotations

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.cursor import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.cursor import CursorEmulator

from .cursor_support import DATA, PROVIDER


class TestCursor(ProviderConformance):
    """Cursor passes the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = CursorEmulator
    states = extract.STATES
    state_in, state_at = "created", ("run", "status")
    repeating_cursor = staticmethod(
        lambda: RepeatingCursor(on="list_tasks", cursor="again", parameter="cursor", key="nextCursor")
    )
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        path.stem: Transcript(path.read_bytes()) for path in sorted(DATA.glob("*.json"))
    }
