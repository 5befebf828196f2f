"""Durable executions: created by name, polled by ARN, with events from their history."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
import pytest

from coatcheck import TaskRef, TaskSpec, TaskState, errors
from coatcheck._protocol.intents import intent_of
from coatcheck.cloud.faults import Reset, ResetAfterAccept, Status, StatusAfterAccept
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.payload import MAX_PAYLOAD
from coatcheck.testing.emulators.aws_lambda import ACCOUNT, CALLBACK, REGION

from .lambda_support import ARN, DURABLES, SPEC, durables

VARIANTS = ("blocking", "asynchronous")


def opaque(function: str, name: str, id: str) -> str:
    """Return an ARN in the form of AWS's local runner."""
    return f"{id}/{id}"


def test_a_task_has_the_result_of_the_function() -> None:
    """Message, patch and pull request are those of the result's JSON; the ARN alone identifies the task."""
    client, _ = durables()
    task = client.poll_task(str(client.create_task(SPEC).ref))

    assert TaskState.SUCCEEDED is task.state
    assert ("Done: Say hello", "https://git.example/pull/1", 1) == (
        task.outcome.text,
        task.outcome.pull_request.url,
        task.outcome.stats.files,
    )
    assert ("Say hello", "owner/repo") == (task.prompt, task.repository)


def test_an_arn_is_one_printable_word() -> None:
    """Slashes and the dollar of $LATEST are encoded, so that a ref goes through paths, shells and `parse`."""
    ref = DURABLES.service.ref(ARN)

    assert ref == TaskRef.parse(str(ref))
    assert not {"/", "$"} & set(ref.id)
    assert DURABLES.extract_response(b'{"DurableExecutionArn":"%s"}' % ARN.encode()).ref == ref


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "lost",
    [ResetAfterAccept(on="create_task"), StatusAfterAccept(503, on="create_task"), Reset(on="create_task")],
    ids=lambda fault: type(fault).__name__,
)
def test_a_lost_answer_is_had_by_sending_the_same_again(variant: str, lost: object) -> None:
    """The same payload under the same name is one execution: a second submission returns it."""
    client, emulator = durables(variant, faults=[lost])
    task = client.create_task(SPEC)
    names = {dict(request.headers)["x-amz-durable-execution-name"] for request in emulator.seen("create_task")}

    assert (1, 2, 1) == (len(emulator.tasks), len(emulator.seen("create_task")), len(names))
    assert emulator.tasks[0].name == client.journal.entries[0][1]
    assert [] == client.journal.open_intents("aws_lambda")
    assert "Say hello" == client.get_task(task.ref).prompt


def test_where_sending_again_fails_too_the_name_finds_it() -> None:
    """After the last attempt the list is searched for the name, which one of the attempts has created."""
    client, emulator = durables(faults=[ResetAfterAccept(on="create_task", times=5)])
    task = client.create_task(SPEC)

    assert (1, 5) == (len(emulator.tasks), len(emulator.seen("create_task")))
    assert ("Say hello", "SUCCEEDED") == (task.prompt, client.poll_task(task.ref).raw_state)
    assert emulator.tasks[0].name in emulator.seen("list_tasks")[0].query[0]


def test_a_name_is_found_where_the_arn_does_not_hold_it() -> None:
    """The list has the name of each execution; AWS's local runner makes ARNs of random ids."""
    client, emulator = durables(arn=opaque, faults=[ResetAfterAccept(on="create_task", times=5)])
    task = client.create_task(SPEC)

    assert (1, "Say hello") == (len(emulator.tasks), task.prompt)
    assert emulator.tasks[0].arn == unquote(task.ref.id)


def test_a_crash_is_resumed_by_the_name() -> None:
    """An intent that a crash left open is searched by its id."""
    client, emulator = durables()
    prepared = TaskSpec(prompt="Say hello", environment="agent:live", key="nightly-7")
    client.journal.begin(intent_of(prepared, id="nightly-7", provider="aws_lambda", at=0.0, pid=2**22 + 1))
    emulator._start("agent", "nightly-7", b'{"prompt":"Say hello"}')
    emulator._start("agent", "nightly-70", b"{}")
    (resumed,) = client.resume_submissions()

    assert emulator.tasks[0].arn == resumed.task.ref.id.replace("%2F", "/")


def test_an_intent_without_an_execution_is_closed() -> None:
    """The list counts as complete once the submission is old."""
    client, _ = durables()
    client.journal.begin(intent_of(SPEC, id="nightly-7", provider="aws_lambda", at=-1000.0, pid=2**22 + 1))
    (resumed,) = client.resume_submissions()

    assert (None, []) == (resumed.task, client.journal.open_intents("aws_lambda"))


def test_the_same_work_under_the_same_key_is_the_same_task() -> None:
    """A submission with a key may be repeated."""
    client, emulator = durables()
    named = TaskSpec(prompt="Say hello", environment="agent:live", key="nightly-7")

    assert client.create_task(named).ref == client.create_task(named).ref
    assert 1 == len(emulator.tasks)


def test_other_work_under_the_same_key_is_refused() -> None:
    """An occupied name is one clear line."""
    client, emulator = durables()
    client.create_task(TaskSpec(prompt="Say hello", environment="agent:live", key="nightly-7"))
    with pytest.raises(errors.ConflictError, match="nightly-7") as caught:
        client.create_task(TaskSpec(prompt="Say bye", environment="agent:live", key="nightly-7"))

    assert "give another" in (caught.value.remedy or "")
    assert 1 == len(emulator.tasks)


# -- what bad input gets -----------------------------------------------------------------------------------------------


def test_an_unqualified_durable_function_is_refused_before_any_request() -> None:
    """AWS would refuse it too; the error shows what to write."""
    client, emulator = durables()
    with pytest.raises(errors.ConfigurationError, match="agent names none") as caught:
        client.create_task("Say hello", environment="agent")

    assert ("agent:live" in (caught.value.remedy or ""), []) == (True, emulator.requests)


def test_a_missing_function_is_named_with_its_region() -> None:
    """AWS names the ARN, and the remedy the region."""
    client, emulator = durables()
    with pytest.raises(errors.NotFoundError, match="function:nobody") as caught:
        client.create_task("Say hello", environment="nobody:live")

    assert "region" in (caught.value.remedy or "")
    assert ([], []) == (list(emulator.tasks), client.journal.open_intents("aws_lambda"))


def test_a_function_that_is_not_durable_has_another_error() -> None:
    """It was started and cannot be polled: the error names the provider that can wait for it."""
    client, _ = durables()
    with pytest.raises(errors.SubmissionUncertainError, match="plain-agent:live is not a durable function") as caught:
        client.create_task("Say hello", environment="plain-agent:live")

    assert "aws_lambda_async" in (caught.value.remedy or "")


def test_a_payload_over_the_limit_is_refused_before_any_request() -> None:
    """One megabyte, counted in bytes of the JSON."""
    client, emulator = durables()
    with pytest.raises(errors.ConfigurationError, match=f"takes {MAX_PAYLOAD:,}"):
        client.create_task("ä" * (MAX_PAYLOAD // 2), environment="agent:live")

    assert [] == emulator.requests


@pytest.mark.parametrize("name", ["", " ", "a b", "agent:li ve", "arn:aws:s3:::bucket", "agent:1:2"])
def test_what_is_no_name_of_a_function_is_refused(name: str) -> None:
    """A name is checked by AWS's own pattern, before any request."""
    client, emulator = durables(provider=type(DURABLES)(type(DURABLES.service)(name="aws_lambda", region=REGION)))
    with pytest.raises(errors.ConfigurationError, match="Lambda function"):
        client.create_task("Say hello", environment=name)

    assert [] == emulator.requests


@pytest.mark.parametrize(
    "name",
    [
        "agent:live",
        "agent:$LATEST",
        "agent:7",
        f"{ACCOUNT}:function:agent:live",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:agent:live",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:agent:$LATEST.PUBLISHED",
    ],
)
def test_every_form_of_a_function_is_taken(name: str) -> None:
    """A name, a partial ARN or a whole one; the version travels beside the name, so it is encoded once."""
    client, emulator = durables()
    client.create_task("Say hello", environment=name)

    assert (("Qualifier", name.rpartition(":")[2]),) == emulator.seen("create_task")[0].query


def test_a_name_of_an_execution_that_aws_would_not_take_is_refused() -> None:
    """One to 64 letters, digits, dashes and underscores."""
    client, emulator = durables()
    with pytest.raises(errors.ConfigurationError, match="nightly 7"):
        client.create_task(TaskSpec(prompt="p", environment="agent:live", key="nightly 7"))

    assert [] == emulator.requests


def test_throttling_is_waited_out() -> None:
    """429 with Retry-After is a pause and no error; there is one execution."""
    client, emulator = durables(faults=[Status(429, on="create_task", retry_after=7)])
    client.create_task(SPEC)

    assert (1, [pytest.approx(7 * 1.05)]) == (len(emulator.tasks), client.clock.sleeps)


# -- looking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("life", "state"),
    [
        (("RUNNING", "FAILED"), TaskState.FAILED),
        (("TIMED_OUT",), TaskState.EXPIRED),
        (("PAUSING", "PAUSED"), TaskState.PAUSED),
    ],
)
def test_every_end_ends_a_wait(life: tuple[str, ...], state: TaskState) -> None:
    """An error has the function's message; a pause ends a wait, because a person has to resume it."""
    client, _ = durables(life=life)
    task = client.poll_task(client.create_task(SPEC).ref)

    assert state is task.state
    assert ("The agent gave up." if state.is_terminal else None) == (task.error.message if task.error else None)


def test_a_stopped_execution_is_cancelled() -> None:
    """AWS's stop is a cancellation, with the name of the caller."""
    client, emulator = durables(life=("RUNNING",) * 50)
    ref = client.create_task(SPEC).ref
    client.cancel_task(ref)

    assert TaskState.CANCELLED is client.poll_task(ref).state
    assert b"ErrorMessage" in emulator.seen("cancel_task")[0].body


def test_an_ended_execution_can_be_deleted() -> None:
    """And is not there any more."""
    client, _ = durables()
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    client.delete_task(ref)

    with pytest.raises(errors.NotFoundError):
        client.get_task(ref)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_watch_reports_the_history_once(variant: str) -> None:
    """AWS's events in order, messages, and the end; a watch resumes after any of them."""
    client, _ = durables(variant)
    ref = client.create_task(SPEC).ref
    events = client.watch_task(ref)
    kinds = [getattr(event, "kind", event.type) for event in events]

    assert [
        "task.started",
        "ExecutionStarted",
        "StepStarted",
        "StepStarted",
        "ExecutionSucceeded",
        "task.message",
    ] == kinds[:6]
    assert "task.succeeded" == kinds[-1]
    at = kinds.index("ExecutionSucceeded") - 1
    assert "ExecutionSucceeded" == client.watch_task(ref, after=events[at].id)[0].kind
    assert kinds.count("task.message") == 1


def test_a_long_history_is_read_from_its_end() -> None:
    """Known events are not read again: pages are read backwards to the first of them."""
    client, emulator = durables(life=("RUNNING",) * 2500 + ("SUCCEEDED",))
    ref = client.create_task(SPEC).ref
    for _ in range(2500):
        emulator.tasks[0].advance(0.0)
    events = client.watch_task(ref)

    assert 2502 == sum(1 for event in events if getattr(event, "kind", "").startswith(("Step", "Execution")))
    assert 3 == len(emulator.seen("list_events"))


def test_the_stream_is_all_that_has_happened() -> None:
    """With the data of each event, oldest first."""
    client, emulator = durables()
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    kinds = [event.kind for event in client.stream_task(ref)]

    assert ["ExecutionStarted", "StepStarted", "StepStarted", "ExecutionSucceeded"] == kinds
    assert ("IncludeExecutionData", "true") in emulator.seen("list_events")[0].query


# -- callbacks ---------------------------------------------------------------------------------------------------------


def test_a_message_answers_the_callback_that_waits() -> None:
    """The message is the result of the one open callback, and the execution continues."""
    client, emulator = durables(life=("RUNNING", CALLBACK, "RUNNING", "SUCCEEDED"))
    ref = client.create_task(SPEC).ref
    for _ in range(2):
        client.get_task(ref)
    client.send_message(ref, "blue")

    assert "Done: Say hello (blue)" == client.poll_task(ref).outcome.text
    assert b"blue" == emulator.seen("send_message")[0].body


def test_a_message_without_an_open_callback_is_refused() -> None:
    """Nothing is sent."""
    client, emulator = durables()
    ref = client.create_task(SPEC).ref
    with pytest.raises(errors.ConfigurationError, match="no callback waits"):
        client.send_message(ref, "blue")

    assert [] == emulator.seen("send_message")


def test_the_archive_is_empty() -> None:
    """AWS has no archive, and nothing is requested."""
    client, emulator = durables()

    assert ([], []) == (client.list_tasks(filter="archived"), emulator.requests)


@pytest.mark.parametrize("variant", VARIANTS)
def test_many_tasks_are_polled_by_pages(variant: str) -> None:
    """A page of the list has the states of all; an ended task is requested once by itself."""
    client, emulator = durables(variant)
    refs = [client.create_task(SPEC).ref for _ in range(20)]
    for execution in emulator.tasks:
        execution.life[:] = ["SUCCEEDED"]
        execution.advance(0.0)
    ended = client.poll_tasks(refs)

    assert (set(refs), 20) == ({task.ref for task in ended}, len(emulator.seen("get_task")))
    assert all(task.outcome for task in ended)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("function", "is_listed"), [("agent:live", True), (None, False)], ids=["configured", "unknown"]
)
def test_many_whose_arns_name_no_function_are_waited_for(variant: str, function: str | None, is_listed: bool) -> None:
    """The list of the configured function is read; without one each task is polled by itself."""
    provider = DurableProvider(msgspec.structs.replace(DURABLES.service, function=function))
    client, emulator = durables(variant, provider=provider, arn=opaque, life=("SUCCEEDED",))
    refs = [client.create_task(SPEC).ref for _ in range(3)]
    for execution in emulator.tasks:
        execution.advance(0.0)
    ended = client.poll_tasks(refs)

    assert (set(refs), is_listed) == ({task.ref for task in ended}, bool(emulator.seen("list_tasks")))
