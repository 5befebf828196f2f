"""A provider of GitHub's coding agent with both clients, an emulated GitHub, and a clock that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.providers.github_actions.actions_support import FixedSettings

from coatcheck import TaskSpec
from coatcheck.providers.copilot import copilot
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_agents import AgentLife
from coatcheck.testing.fake_clock import FakeClock

DATA = Path(__file__).parents[2] / "data/github"
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo")


def provider(**settings: str) -> Any:
    """Return the provider with *settings*."""
    return copilot(FixedSettings(**{"base_url": "http://127.0.0.1:9", **settings}))


def agent(
    variant: str = "blocking", *, settings: dict[str, str] | None = None, **life: Any
) -> tuple[Any, GithubEmulator]:
    """Return a client and the emulator behind it, whose tasks live a *life*."""
    clock = FakeClock()
    emulator = GithubEmulator(clock=clock)
    emulator.agents.life = AgentLife(**life)
    return Both(variant, provider(**(settings or {})), emulator, token=emulator.token, clock=clock), emulator


def recorded(name: str) -> bytes:
    """Return the bytes of a transcript."""
    return (DATA / f"{name}.json").read_bytes()
