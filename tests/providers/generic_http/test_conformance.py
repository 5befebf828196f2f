from __future__ import annotations

import msgspec
from tests.providers.generic_http.descriptions import provider

from coatcheck import TaskSpec
from coatcheck._protocol.effects import Request
from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.generic_http.description import STATES
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.generic_http import Http202Emulator

AZURE_WORDS = ("notstarted", "validating", "canceling")


def answers() -> dict[str, Transcript]:
    """Return the service's response for a task in each of its states, with the result."""
    found = {}
    for life in (("NotStarted", "Running", "Succeeded"), ("NotStarted", "Failed"), ("NotStarted", "Canceled")):
        emulator = Http202Emulator(life)
        headers = (("authorization", emulator.authorization),)
        body = msgspec.json.encode({"prompt": "Say hello", "branch": "main"})
        emulator.handle(Request("POST", "/jobs", headers=headers, body=body, url="http://127.0.0.1:9/jobs"))
        for state in life[1:]:
            url = "http://127.0.0.1:9/operations/job1"
            answer = emulator.handle(Request("GET", "/operations/job1", headers=headers, url=url))
            result = emulator.handle(Request("GET", "/results/job1", headers=headers, url=url))
            found[state] = Transcript(answer.body, result.body if state == "Succeeded" else None)
    return found


class TestDescribed(ProviderConformance):
    """A service that is only described passes the conformance tests."""

    provider = staticmethod(provider)
    emulator = Http202Emulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language", repository="owner/repo", branch="main")
    states = {**STATES, **{word: provider().described.states[word] for word in AZURE_WORDS}}  # noqa: RUF012 - as above
    transcripts = answers()
    state_in, state_at = "Succeeded", ("status",)
    repeating_cursor = staticmethod(lambda: RepeatingCursor(on="list_tasks", cursor="0", parameter="after", key="next"))
