"""A provider of Actions with both clients, an emulated GitHub, and a clock that they share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coatcheck import TaskSpec
from coatcheck.providers.github_actions import github_actions
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.fake_clock import FakeClock

DATA = Path(__file__).parents[2] / "data/github"
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo")
BASE = "http://127.0.0.1:9"


class FixedSettings:
    """Settings with given values."""

    def __init__(self, **settings: str) -> None:
        self._settings = settings

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        del variable
        return self._settings.get(name)


def provider(**settings: str) -> Any:
    """Return the provider of one repository, with *settings*."""
    return github_actions(FixedSettings(**{"base_url": BASE, "repository": "owner/repo", **settings}))


def actions(
    variant: str = "blocking", *, settings: Mapping[str, str] | None = None, **options: Any
) -> tuple[Any, GithubEmulator]:
    """Return a client and the emulator behind it, which has *options*."""
    clock = FakeClock()
    emulator = GithubEmulator(clock=clock, **options)
    return Both(variant, provider(**(settings or {})), emulator, token=emulator.token, clock=clock), emulator


def recorded(name: str) -> bytes:
    """Return the bytes of a transcript."""
    return (DATA / f"{name}.json").read_bytes()
