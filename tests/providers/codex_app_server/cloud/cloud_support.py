"""Threads of Codex Cloud for tests: the provider on loopback, and the emulator behind a client."""

from __future__ import annotations

from typing import Any

from tests.clients import Both

from coatcheck import TaskSpec
from coatcheck.providers.codex_app_server.cloud.endpoints import CloudService
from coatcheck.providers.codex_app_server.cloud.provider import CodexCloudProvider
from coatcheck.testing import FakeClock
from coatcheck.testing.emulators.codex_cloud_threads import CONFIGS, CodexCloudThreadsEmulator

CONFIG: str = CONFIGS[0]["id"]
SPEC = TaskSpec(prompt="Say hello\nto the world", environment="Repository", branch="main")


def provider(**_: Any) -> CodexCloudProvider:
    """Return the provider on loopback."""
    return CodexCloudProvider(CloudService.at("ws://127.0.0.1:9"))


def connected(variant: str, *arguments: Any, **options: Any) -> tuple[Any, CodexCloudThreadsEmulator]:
    """Return a client of the given variant, and its emulator with *options*."""
    clock = FakeClock()
    emulator = CodexCloudThreadsEmulator(*arguments, clock=clock, **options)
    return Both(variant, provider(), emulator, token=emulator.token, clock=clock), emulator
