from __future__ import annotations

from coatcheck.providers.copilot import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_rest import RepeatingLink

from .agent_support import provider, recorded


class TestCopilot(ProviderConformance):
    """The coding agent's tasks pass the conformance tests, against the emulator."""

    provider = staticmethod(provider)
    emulator = GithubEmulator
    states = extract.STATES
    state_in, state_at = "agent_task", ("state",)
    repeating_cursor = staticmethod(RepeatingLink)
    transcripts = {"agent_task": Transcript(recorded("agent_task"))}  # noqa: RUF012 - attributes are what a conformance class is made of
