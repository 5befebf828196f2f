"""An OpenHands provider with both clients, an emulator, and a clock that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coatcheck import TaskSpec
from coatcheck.providers.openhands.cloud_endpoints import CloudService
from coatcheck.providers.openhands.cloud_provider import OpenHandsCloudProvider
from coatcheck.providers.openhands.endpoints import Service
from coatcheck.providers.openhands.provider import OpenHandsProvider
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.openhands import OpenHandsEmulator
from coatcheck.testing.emulators.openhands_cloud import OpenHandsCloudEmulator
from coatcheck.testing.fake_clock import FakeClock

DATA = Path(__file__).parents[2] / "data/openhands"
URL = "http://127.0.0.1:9"
SPEC = TaskSpec(prompt="Say hello", environment="/srv/app")


def provider(**settings: Any) -> OpenHandsProvider:
    """Return the provider of a server."""
    return OpenHandsProvider(Service(**{"base_url": URL, **settings}))


def openhands(variant: str = "blocking", settings: Any = None, **options: Any) -> tuple[Any, OpenHandsEmulator]:
    """Return a client and the emulator behind it, which has *options*."""
    clock = FakeClock()
    emulator = OpenHandsEmulator(clock=clock, **options)
    return Both(variant, provider(**(settings or {})), emulator, token=emulator.token, clock=clock), emulator


def cloud_provider() -> OpenHandsCloudProvider:
    """Return the provider of the Cloud."""
    return OpenHandsCloudProvider(CloudService(URL))


def cloud(variant: str = "blocking", **options: Any) -> tuple[Any, OpenHandsCloudEmulator]:
    """Return a client of the Cloud and the emulator behind it, which has *options*."""
    clock = FakeClock()
    emulator = OpenHandsCloudEmulator(clock=clock, **options)
    return Both(variant, cloud_provider(), emulator, token=emulator.token, clock=clock), emulator
