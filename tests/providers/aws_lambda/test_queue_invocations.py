"""Plain invocations: one POST, and one report of the end, in a queue."""

from __future__ import annotations

import traceback

import msgspec
import pytest

from coatcheck import TaskSpec, TaskState, errors
from coatcheck.cloud.faults import Reset, ResetAfterAccept, Status
from coatcheck.providers.aws_lambda.functions import Service
from coatcheck.testing.emulators.aws_lambda import QUEUE_URL, REGION

from .lambda_support import BASE, PLAIN_SPEC, PLAINS, plains, record

VARIANTS = ("blocking", "asynchronous")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_task_ends_with_its_record(variant: str) -> None:
    """The record with the invocation's id is the task's end, and is deleted after it was returned."""
    client, emulator = plains(variant)
    task = client.poll_task(client.create_task(PLAIN_SPEC))

    assert (TaskState.SUCCEEDED, "Done: Say hello") == (task.state, task.outcome.text)
    assert ([], 1) == (emulator.queue.messages, len(emulator.seen("acknowledge")))


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_consumer_reads_the_queue_for_all_tasks(variant: str) -> None:
    """Ten records at once are read for all tasks that are waited for."""
    client, emulator = plains(variant, life=("SUCCEEDED",))
    refs = [client.create_task(PLAIN_SPEC).ref for _ in range(25)]
    ended = client.poll_tasks(refs)

    assert (set(refs), []) == ({task.ref for task in ended}, emulator.queue.messages)
    assert (3, 3) == (len(emulator.seen("get_status_page")), len(emulator.seen("acknowledge")))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_record_of_another_task_is_kept(variant: str) -> None:
    """It is not deleted, and becomes visible again."""
    client, emulator = plains(variant)
    for body in (record().decode(), "not a record", '{"requestContext": 7}'):
        emulator.queue.put(body)
    client.poll_task(client.create_task(PLAIN_SPEC))
    client.clock.sleep(60)

    assert 3 == len(emulator.queue.messages)
    assert all(message.shown_from <= client.clock.time() for message in emulator.queue.messages)


def test_records_of_other_tasks_never_fill_every_batch() -> None:
    """Records that were read are hidden for a while, so a full queue is read to its end."""
    client, emulator = plains(life=("SUCCEEDED",))
    for _ in range(35):
        emulator.queue.put(record().decode())
    refs = [client.create_task(PLAIN_SPEC).ref for _ in range(5)]

    assert set(refs) == {task.ref for task in client.poll_tasks(refs, timeout=600)}
    assert 35 == len(emulator.queue.messages)


def test_a_record_is_deleted_only_after_it_was_handed_out() -> None:
    """Whoever stops between two tasks gets the second one next time."""
    client, emulator = plains(life=("SUCCEEDED",))
    refs = [client.create_task(PLAIN_SPEC).ref for _ in range(2)]
    waiting = client.client.poll_tasks(refs)
    first = next(waiting)
    waiting.close()
    client.clock.sleep(60)

    assert 2 == len(emulator.queue.messages)
    assert {refs[0], refs[1]} - {first.ref} == {
        task.ref for task in client.poll_tasks([ref for ref in refs if ref != first.ref])
    }


def test_a_record_that_comes_twice_is_one_end() -> None:
    """Queues and functions are at-least-once: of two records in one batch the first counts, and both are deleted."""
    client, emulator = plains(life=("SUCCEEDED",))
    ref = client.create_task(PLAIN_SPEC).ref
    twice = msgspec.json.decode(record())
    twice["requestContext"]["requestId"] = ref.id
    emulator.queue.put(msgspec.json.encode(twice).decode())

    assert "Done" == client.poll_task(ref).outcome.text
    assert [] == emulator.queue.messages


def test_lost_responses_of_the_queue_are_retried() -> None:
    """A receive or a delete without a response is repeated: both are idempotent."""
    faults = [Status(503, on="get_status_page"), Reset(on="get_status_page"), ResetAfterAccept(on="acknowledge")]
    client, emulator = plains(faults=faults)
    task = client.poll_task(client.create_task(PLAIN_SPEC))

    assert (TaskState.SUCCEEDED, []) == (task.state, emulator.queue.messages)


@pytest.mark.parametrize(
    ("life", "state", "code"),
    [("FAILED", TaskState.FAILED, "AgentError"), ("TIMED_OUT", TaskState.EXPIRED, "AgentError")],
)
def test_failures_have_their_reason(life: str, state: TaskState, code: str) -> None:
    """The function's error is reported once AWS stops retrying."""
    client, _ = plains(life=(life,))
    task = client.poll_task(client.create_task(PLAIN_SPEC))

    assert (state, code, "It gave up.") == (task.state, task.error.code, task.error.message)
    with pytest.raises(errors.TaskFailedError):
        task.raise_for_state()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lost_answer_is_uncertain_at_once(variant: str) -> None:
    """There is no key and no list: nothing is sent again."""
    client, emulator = plains(variant, faults=[ResetAfterAccept(on="create_task")])
    with pytest.raises(errors.SubmissionUncertainError):
        client.create_task(PLAIN_SPEC)

    assert (1, 1, []) == (len(emulator.tasks), len(emulator.seen("create_task")), client.clock.sleeps)


def test_a_wait_that_is_given_up_names_the_task() -> None:
    """The deadline ends the wait, and the record is still in the queue."""
    client, _ = plains(life=("RUNNING",) * 1000)
    ref = client.create_task(PLAIN_SPEC).ref
    with pytest.raises(errors.WaitTimeoutError) as caught:
        client.poll_task(ref, timeout=60)

    assert ref == caught.value.ref


# -- what bad input gets -----------------------------------------------------------------------------------------------


def test_without_a_queue_nothing_is_called() -> None:
    """The function is not invoked where its result could not be read."""
    provider = msgspec.structs.replace(PLAINS, service=Service(name="aws_lambda_async", region=REGION, base_url=BASE))
    client, emulator = plains(provider=provider)
    with pytest.raises(errors.ConfigurationError, match="has no queue that receives") as caught:
        client.create_task(PLAIN_SPEC)

    assert ("aws_lambda_async.queue" in (caught.value.remedy or ""), []) == (True, emulator.requests)


def test_a_missing_queue_is_one_line() -> None:
    """SQS's error code becomes a line with the remedy."""
    service = msgspec.structs.replace(PLAINS.service, queue=QUEUE_URL + "-not")
    client, _ = plains(provider=msgspec.structs.replace(PLAINS, service=service))
    with pytest.raises(errors.InvalidRequestError, match="does not exist") as caught:
        client.poll_task(client.create_task(PLAIN_SPEC))

    assert "URL of the queue" in (caught.value.remedy or "")


@pytest.mark.parametrize("prompt", ["x" * 1024 * 1024])
def test_a_payload_over_the_limit_is_refused_before_any_request(prompt: str) -> None:
    """One megabyte."""
    client, emulator = plains()
    with pytest.raises(errors.ConfigurationError, match="1,048,576"):
        client.create_task(TaskSpec(prompt=prompt, environment="plain-agent"))

    assert [] == emulator.requests


def test_a_function_that_does_not_exist_is_one_clear_error() -> None:
    """The error contains the ARN."""
    client, _ = plains()

    with pytest.raises(errors.NotFoundError, match="function:nobody"):
        client.create_task(TaskSpec(prompt="p", environment="nobody"))


def test_no_key_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No ``repr``, message, note, traceback or log holds an AWS key, whatever fails."""
    caplog.set_level(0)
    client, emulator = plains(faults=[Status(403, on="create_task")])
    with pytest.raises(errors.PermissionDeniedError) as caught:
        client.create_task(PLAIN_SPEC)
    shown = [*traceback.format_exception(caught.value), repr(client.client), *map(repr, emulator.requests), caplog.text]

    assert emulator.token.partition(":")[2] not in "\n".join(shown)
