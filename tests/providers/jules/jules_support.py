"""A Jules provider with both clients, an emulator, and a clock that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coatcheck import TaskSpec
from coatcheck.providers.jules.endpoints import Service
from coatcheck.providers.jules.provider import JulesProvider
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.jules import JulesEmulator
from coatcheck.testing.fake_clock import FakeClock

DATA = Path(__file__).parents[2] / "data/jules"
PROVIDER = JulesProvider(Service("http://127.0.0.1:9/v1alpha"))
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo")


def jules(
    variant: str = "blocking", *, provider: JulesProvider = PROVIDER, **options: Any
) -> tuple[Any, JulesEmulator]:
    """Return a client and the emulator behind it, which has *options*."""
    clock = FakeClock()
    emulator = JulesEmulator(clock=clock, **options)
    return Both(variant, provider, emulator, token=emulator.token, clock=clock), emulator


def recorded(name: str) -> bytes:
    """Return the bytes of a transcript."""
    return (DATA / f"{name}.json").read_bytes()
