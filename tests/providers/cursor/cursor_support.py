"""A Cursor provider with both clients, an emulator, and a clock that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coatcheck import TaskSpec
from coatcheck.providers.cursor.endpoints import Service
from coatcheck.providers.cursor.provider import CursorProvider
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.cursor import CursorEmulator
from coatcheck.testing.fake_clock import FakeClock

DATA = Path(__file__).parents[2] / "data/cursor"
URL = "http://127.0.0.1:9"
PROVIDER = CursorProvider(Service(URL, URL))
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo")


def cursor(variant: str = "blocking", **options: Any) -> tuple[Any, CursorEmulator]:
    """Return a client and the emulator behind it, which has *options*."""
    clock = FakeClock()
    emulator = CursorEmulator(clock=clock, **options)
    return Both(variant, PROVIDER, emulator, token=emulator.token, clock=clock), emulator
