"""OpenAI's batches: an upload that starts nothing, one POST that does, and a result for each request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coatcheck import Client, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request
from coatcheck._protocol.intents import intent_of
from coatcheck.cloud.faults import Reset, ResetAfterAccept, Status, StatusAfterAccept, Timeout
from coatcheck.providers.openai_batch.provider import MAX_REQUESTS, OpenAIBatchProvider, Service
from coatcheck.testing import EmulatorTransport, MemoryJournal, OpenAIBatchEmulator
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators.batches import form_parts
from coatcheck.testing.fake_clock import FakeClock

from .test_conformance import PROVIDER, batch

THREE = TaskSpec(prompt="Sum up:", requests={"a": "1", "b": "2", "c": "3"}, title="Sums")


def batch_client(variant: str = "blocking", **options: Any) -> tuple[Any, OpenAIBatchEmulator]:
    """Return a client and the emulator behind it."""
    clock = FakeClock()
    emulator = OpenAIBatchEmulator(clock=clock, **options)
    return Both(variant, PROVIDER, emulator, token=emulator.token, clock=clock), emulator


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_prompt_is_a_batch_of_one(variant: str) -> None:
    """Its answer is the task's message."""
    client, emulator = batch_client(variant)
    task = client.poll_task(client.create_task("Say hello").ref)

    assert (TaskState.SUCCEEDED, "Done: Say hello", "gpt-test") == (
        task.state,
        task.outcome.text,
        task.outcome.items[0].model,
    )
    assert (1, 1) == (len(emulator.seen("upload_file")), len(emulator.seen("create_task")))


def test_every_request_has_an_outcome() -> None:
    """Outcomes are matched by id in any order; a failed request has its error, and a notice counts them."""
    client, _ = batch_client(fails={"b"})
    task = client.poll_task(client.create_task(THREE).ref)

    assert [("a", "succeeded"), ("b", "failed"), ("c", "succeeded")] == [
        (item.id, item.state.value) for item in task.outcome.items
    ]
    assert "Done: Sum up:\n\n3" == task.outcome.items[2].text
    assert ("server_error", "500") == (task.outcome.items[1].error.code, task.outcome.items[1].raw_state)
    assert (TaskState.SUCCEEDED, ["partial"], "Sums") == (
        task.state,
        [notice.kind for notice in task.notices],
        task.title,
    )


def test_a_batch_that_completed_without_one_success_has_failed() -> None:
    """`completed` means that all requests were processed, not that they succeeded."""
    client, _ = batch_client(fails={"task"})
    task = client.poll_task(client.create_task("Say hello").ref)

    assert (TaskState.FAILED, "completed", "server_error") == (task.state, task.raw_state, task.error.code)


@pytest.mark.parametrize(("end", "state"), [("expired", TaskState.EXPIRED), ("cancelled", TaskState.CANCELLED)])
def test_what_was_done_before_an_early_end_is_kept(end: str, state: TaskState) -> None:
    """Each request that was not made has an error."""
    client, _ = batch_client(life=("validating", "in_progress", end))
    task = client.poll_task(client.create_task(THREE).ref)

    assert state is task.state
    assert [TaskState.SUCCEEDED, state, TaskState.SUCCEEDED] == [item.state for item in task.outcome.items]


def test_a_refused_batch_has_the_reason() -> None:
    """The reason is the service's, and no results are requested."""
    client, emulator = batch_client(life=("validating", "failed"))
    task = client.poll_task(client.create_task("Say hello").ref)

    assert (TaskState.FAILED, "invalid_json_line") == (task.state, task.error.code)
    assert [] == emulator.seen("get_results")


def test_a_running_batch_shows_progress_and_expiry() -> None:
    """A running batch is one request, and its results are not requested."""
    client, emulator = batch_client()
    ref = client.create_task(THREE).ref
    task = client.get_task(ref)

    assert task.progress is not None
    assert task.progress.startswith("0 of 3 requests done, expires at ")
    assert [] == emulator.seen("get_results")


def test_results_that_have_expired_are_a_notice() -> None:
    """The batch is there longer than its files are."""
    client, emulator = batch_client()
    ref = client.poll_task(client.create_task("Say hello").ref).ref
    emulator.files.clear()
    task = client.get_task(ref)

    assert (TaskState.SUCCEEDED, ["no_result"]) == (task.state, [notice.kind for notice in task.notices])


def test_a_cancelled_batch_ends_as_cancelled() -> None:
    """A cancellation is requested, and the state follows later."""
    client, _ = batch_client()
    ref = client.create_task(THREE).ref
    client.cancel_task(ref)

    assert TaskState.CANCELLED is client.poll_task(ref).state


def test_the_answers_of_chat_completions_are_read_too() -> None:
    """Batches that other programs created are shown as well."""
    body = {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}
    line = msgspec.json.encode({"custom_id": "a", "response": {"status_code": 200, "body": body}})
    task = PROVIDER.extract_response(batch(status="completed"), line)

    assert "hi" == task.outcome.text if task.outcome else None


# -- submitting once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "lost",
    [
        ResetAfterAccept(on="create_task"),
        StatusAfterAccept(502, on="create_task"),
        Timeout(on="create_task", is_accepted=True),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_lost_answer_is_found_by_the_key(variant: str, lost: Any) -> None:
    """The batch is found by its metadata among others, and nothing is sent again."""
    client, emulator = batch_client(variant, faults=[lost])
    other, _ = Both("blocking", PROVIDER, emulator, token=emulator.token, clock=client.clock), None
    emulator.faults.clear()
    other.create_task("Say hello")
    emulator.faults.append(lost)
    task = client.create_task("Say hello")

    assert ("batch_0002", 2, 2) == (task.ref.id, len(emulator.tasks), len(emulator.seen("create_task")))


def test_a_key_is_searched_on_all_pages() -> None:
    """The list is long, and newest first."""
    client, emulator = batch_client()
    prepared = TaskSpec(prompt="p", key="mine", model="m")
    client.create_task(TaskSpec(prompt="p", key="mine"))
    for _ in range(150):
        client.create_task("other")
    client.journal.begin(intent_of(prepared, id="mine", provider="openai_batch", at=0.0, pid=2**22 + 1))
    (resumed,) = client.resume_submissions()

    assert ("batch_0001", 2) == (resumed.task.ref.id, len(emulator.seen("list_tasks")))


@pytest.mark.parametrize("fault", [Reset, ResetAfterAccept])
def test_an_upload_is_repeated_since_it_starts_nothing(fault: Any) -> None:
    """One batch is created from the last upload."""
    client, emulator = batch_client(faults=[fault(on="upload_file"), Status(503, on="upload_file")])
    client.create_task("Say hello")

    assert (3, 1) == (len(emulator.seen("upload_file")), len(emulator.tasks))


@pytest.mark.parametrize("fault", [Reset(on="upload_file", times=None), Status(500, on="upload_file", times=None)])
def test_an_upload_that_fails_is_certain(fault: Any) -> None:
    """Without a file there is no batch: an ordinary error, and no open intent."""
    client, emulator = batch_client(faults=[fault])
    with pytest.raises(errors.TransportError, match="could not be uploaded"):
        client.create_task("Say hello")

    assert ([], []) == (list(emulator.tasks), client.journal.open_intents("openai_batch"))


def test_a_prompt_may_contain_a_boundary() -> None:
    """A prompt that contains a multipart boundary is sent unchanged."""
    nasty = '--\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nother\r\n--'
    client, emulator = batch_client()
    task = client.poll_task(client.create_task(nasty).ref)
    (upload,) = emulator.seen("upload_file")

    assert f"Done: {nasty}" == task.outcome.text
    assert {"purpose", "file"} == set(form_parts(upload))


# -- what bad input gets -----------------------------------------------------------------------------------------------


def test_no_model_no_batch() -> None:
    """Named in one line, before any request."""
    emulator = OpenAIBatchEmulator()
    provider = OpenAIBatchProvider(Service("http://127.0.0.1:9/v1"))
    client = Client(provider, token=emulator.token, transport=EmulatorTransport(emulator), journal=MemoryJournal())
    with pytest.raises(errors.ConfigurationError, match="no model is set"):
        client.create_task("Say hello")

    assert [] == emulator.requests


def test_too_many_requests_are_refused_before_any_is_sent() -> None:
    """The service's own limit."""
    client, emulator = batch_client()
    requests = {str(number): "x" for number in range(MAX_REQUESTS + 1)}
    with pytest.raises(errors.ConfigurationError, match="50,000"):
        client.create_task(TaskSpec(prompt="p", requests=requests))

    assert [] == emulator.requests


def test_too_many_bytes_are_refused_before_any_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the service's, lowered here."""
    monkeypatch.setattr("coatcheck.providers.openai_batch.provider.MAX_BYTES", 1000)
    client, emulator = batch_client()
    with pytest.raises(errors.ConfigurationError, match="takes 1,000"):
        client.create_task("x" * 1000)

    assert [] == emulator.requests


def test_no_key_means_not_logged_in() -> None:
    """The error names the variable."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        Client("openai_batch", environ={"COATCHECK_OPENAI_BATCH_MODEL": "m"}, journal=MemoryJournal()).create_task("p")

    assert "OPENAI_API_KEY" in (caught.value.remedy or "")


def test_the_key_is_a_bearer() -> None:
    """No other header of the request changes."""
    client, emulator = batch_client()
    client.list_tasks()
    (request,) = emulator.seen("list_tasks")

    assert f"Bearer {emulator.token}" == dict(request.headers)["authorization"]
    assert isinstance(request, Request)


def test_there_is_no_archive() -> None:
    """A file that does not exist is not requested."""
    client, emulator = batch_client()

    assert ([], []) == (client.list_tasks(filter="archived"), emulator.requests)
