from __future__ import annotations

import pytest

from coatcheck import TaskState
from coatcheck.providers.github_actions import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript, changed
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_rest import RepeatingLink

from .actions_support import provider, recorded


class TestActions(ProviderConformance):
    """Runs of workflows pass the conformance tests, against the emulator."""

    provider = staticmethod(provider)
    emulator = GithubEmulator
    states = extract.STATUSES
    state_in, state_at = "run_queued", ("status",)
    repeating_cursor = staticmethod(RepeatingLink)
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "run_queued": Transcript(recorded("run_queued")),
        "run_failed": Transcript(recorded("run_failed"), recorded("jobs")),
    }


class TestServer(TestActions):
    """Runs of an enterprise server, which does not return the id of a dispatched run."""

    provider = staticmethod(lambda: provider(base_url="http://127.0.0.1:9/api/v3"))
    emulator = staticmethod(lambda **options: GithubEmulator(versions=("2022-11-28",), **options))
    transcripts = {"run_queued": TestActions.transcripts["run_queued"]}  # noqa: RUF012 - as above

    @pytest.mark.skip(reason="a server's tickets are found by name, and a run's name has no prompt")
    def test_a_created_task_has_its_prompt(self) -> None:
        """A run is found by its key."""


@pytest.mark.parametrize("word", [*extract.CONCLUSIONS, "coatcheck-new-word"])
def test_the_conclusion_decides_the_state(word: str) -> None:
    """The conclusion is the native state; an unknown one ends nothing."""

    def concluded(place: dict[str, object], key: str) -> None:
        place[key] = word

    task = provider().extract_response(changed(recorded("run_failed"), ("conclusion",), concluded), None)

    assert (extract.CONCLUSIONS.get(word, TaskState.UNKNOWN), word) == (task.state, task.raw_state)
