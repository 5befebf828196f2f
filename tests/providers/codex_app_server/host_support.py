"""A Codex host for tests: the provider at an address, and the emulator behind a client."""

from __future__ import annotations

from typing import Any

from tests.clients import Both

from coatcheck import TaskSpec
from coatcheck.providers.codex_app_server.endpoints import Service
from coatcheck.providers.codex_app_server.provider import CodexAppServerProvider
from coatcheck.testing import FakeClock
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator

URL = "ws://127.0.0.1:9"
SPEC = TaskSpec(prompt="Say hello\nto the world", environment="/srv/repo", branch="main")


def provider(**settings: Any) -> CodexAppServerProvider:
    """Return the provider of a host."""
    return CodexAppServerProvider(Service(**{"base_url": URL, **settings}))


def connected(
    variant: str, *arguments: Any, settings: Any = None, **options: Any
) -> tuple[Any, CodexAppServerEmulator]:
    """Return a client of the given variant, and its emulator with *options*."""
    clock = FakeClock()
    emulator = CodexAppServerEmulator(*arguments, clock=clock, **options)
    client = Both(variant, provider(**(settings or {})), emulator, token=emulator.token, clock=clock)
    return client, emulator
