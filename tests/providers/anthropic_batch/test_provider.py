"""Anthropic's batches: one POST, one state for every end, and a result for each request."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import Client, TaskSpec, TaskState, errors
from coatcheck.cloud.faults import ResetAfterAccept
from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service
from coatcheck.testing import AnthropicBatchEmulator, EmulatorTransport, MemoryJournal
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.fake_clock import FakeClock

from .test_conformance import COUNTS, PROVIDER, batch

THREE = TaskSpec(prompt="Sum up:", requests={"a": "1", "b": "2", "c": "3"})


def batch_client(variant: str = "blocking", **options: Any) -> tuple[Any, AnthropicBatchEmulator]:
    """Return a client and the emulator behind it."""
    clock = FakeClock()
    emulator = AnthropicBatchEmulator(clock=clock, **options)
    return Both(variant, PROVIDER, emulator, token=emulator.token, clock=clock), emulator


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_prompt_is_a_batch_of_one(variant: str) -> None:
    """The model's answer is the task's message; the results are requested from the configured origin."""
    client, emulator = batch_client(variant)
    task = client.poll_task(client.create_task("Say hello").ref)

    assert (TaskState.SUCCEEDED, "Done: Say hello", "claude-test") == (
        task.state,
        task.outcome.text,
        task.outcome.items[0].model,
    )
    assert 1 == len(emulator.seen("get_results"))


def test_every_request_has_an_outcome() -> None:
    """A failed request has its error, and a notice counts them."""
    client, _ = batch_client(fails={"b"})
    task = client.poll_task(client.create_task(THREE).ref)

    assert [("a", "succeeded"), ("b", "failed"), ("c", "succeeded")] == [
        (item.id, item.state.value) for item in task.outcome.items
    ]
    assert ("api_error", "Internal server error") == (
        task.outcome.items[1].error.code,
        task.outcome.items[1].error.message,
    )
    assert (TaskState.SUCCEEDED, ["partial"]) == (task.state, [notice.kind for notice in task.notices])


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"succeeded": 1, "errored": 9}, TaskState.SUCCEEDED),
        ({"errored": 1, "expired": 9}, TaskState.FAILED),
        ({"expired": 1, "canceled": 9}, TaskState.EXPIRED),
        ({"canceled": 9}, TaskState.CANCELLED),
        ({}, TaskState.SUCCEEDED),
    ],
)
def test_the_counts_decide_the_state(counts: dict[str, int], state: TaskState) -> None:
    """`ended` is every end; one success makes it a success."""
    body = batch(processing_status="ended", request_counts={**COUNTS, "processing": 0, **counts})

    assert (state, "ended") == ((task := PROVIDER.extract_response(body, None)).state, task.raw_state)


def test_what_was_done_before_an_early_end_is_kept() -> None:
    """Requests that were not made have an error."""
    client, _ = batch_client(life=("in_progress", "expired"))
    task = client.poll_task(client.create_task(THREE).ref)

    assert [TaskState.SUCCEEDED, TaskState.EXPIRED, TaskState.SUCCEEDED] == [item.state for item in task.outcome.items]


def test_a_cancelled_batch_keeps_what_was_done() -> None:
    """A cancellation is requested, and the state follows later."""
    client, _ = batch_client()
    ref = client.create_task(THREE).ref
    client.cancel_task(ref)
    task = client.poll_task(ref)

    assert [TaskState.SUCCEEDED, TaskState.CANCELLED, TaskState.SUCCEEDED] == [
        item.state for item in task.outcome.items
    ]


def test_a_running_batch_shows_its_expiry() -> None:
    """The service reports no counts before the end."""
    client, _ = batch_client()
    task = client.get_task(client.create_task(THREE).ref)

    assert task.progress is not None
    assert task.progress.startswith("0 of 3 requests done, expires at ")


def test_a_batch_can_be_deleted_once_it_has_ended() -> None:
    """Before that, the service refuses."""
    client, _ = batch_client()
    ref = client.create_task("Say hello").ref
    with pytest.raises(errors.InvalidRequestError, match="once they have ended"):
        client.delete_task(ref)
    client.poll_task(ref)
    client.delete_task(ref)

    with pytest.raises(errors.NotFoundError):
        client.get_task(ref)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lost_answer_is_uncertain(variant: str) -> None:
    """The service returns nothing of the input, so a lost submission is uncertain and its intent stays open."""
    client, emulator = batch_client(variant, faults=[ResetAfterAccept(on="create_task")])
    with pytest.raises(errors.SubmissionUncertainError) as caught:
        client.create_task("Say hello")

    assert (["msgbatch_0001"], 1) == ([ref.id for ref in caught.value.candidates], len(emulator.seen("create_task")))
    assert 1 == len(client.journal.open_intents("anthropic_batch"))
    (resumed,) = client.resume_submissions()
    assert (None, caught.value.candidates) == (resumed.task, resumed.candidates)


def test_batches_whose_results_were_put_away_are_archived() -> None:
    """The service's own archive: their results cannot be had any more."""
    body = batch(processing_status="ended", archived_at="2026-12-20T10:00:00Z")

    assert PROVIDER.extract_response(body, None).is_archived is True


def test_the_archive_and_the_rest_are_listed_apart() -> None:
    """Here nothing was put away."""
    client, _ = batch_client()
    client.create_task("Say hello")

    assert (1, 0, 1) == tuple(len(client.list_tasks(filter=which)) for which in ("current", "archived", "all"))


# -- what bad input gets -----------------------------------------------------------------------------------------------


def test_no_model_no_batch() -> None:
    """Named in one line, before any request."""
    emulator = AnthropicBatchEmulator()
    provider = AnthropicBatchProvider(Service("http://127.0.0.1:9"))
    client = Client(provider, token=emulator.token, transport=EmulatorTransport(emulator), journal=MemoryJournal())
    with pytest.raises(errors.ConfigurationError, match="no model is set"):
        client.create_task("Say hello")

    assert [] == emulator.requests


def test_too_many_bytes_are_refused_before_any_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the service's, lowered here."""
    monkeypatch.setattr("coatcheck.providers.anthropic_batch.provider.MAX_BYTES", 1000)
    client, emulator = batch_client()
    with pytest.raises(errors.ConfigurationError, match="takes 1,000"):
        client.create_task("x" * 1000)

    assert [] == emulator.requests


@pytest.mark.parametrize("tokens", ["0", "-1", "many", "1.5", "²"])
def test_a_number_of_tokens_that_is_none_is_refused(tokens: str) -> None:
    """One line with the setting's name."""
    environ = {"COATCHECK_ANTHROPIC_BATCH_MAX_TOKENS": tokens, "ANTHROPIC_API_KEY": "k"}

    with pytest.raises(errors.ConfigurationError, match="max_tokens"):
        Client("anthropic_batch", environ=environ, journal=MemoryJournal()).create_task("p")


def test_no_key_means_not_logged_in() -> None:
    """The error names the variable."""
    environ = {"COATCHECK_ANTHROPIC_BATCH_MODEL": "m"}
    with pytest.raises(errors.NotLoggedInError) as caught:
        Client("anthropic_batch", environ=environ, journal=MemoryJournal()).create_task("p")

    assert "ANTHROPIC_API_KEY" in (caught.value.remedy or "")
