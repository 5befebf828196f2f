"""Submissions and waits as OpenTelemetry's SDK receives them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.clients import VARIANTS, Both
from tests.providers.codex_app_server.cloud.cloud_support import SPEC, connected
from tests.toy import ToyProvider, ToyService

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Script
from coatcheck._protocol.intents import intent_of
from coatcheck._runtime.driver import perform
from coatcheck._runtime.telemetry import DURATION, OpenTelemetry, received_traceparent
from coatcheck._store.journal import NoJournal, SubmissionJournal
from coatcheck.cloud.faults import Status

EXPORTER, READER = InMemorySpanExporter(), InMemoryMetricReader()
RECEIVED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROMPT = "Add dark mode to the secret project"


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    """Register the SDK: once for each process, as applications do, and as an example of the documentation may have done."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    metrics.set_meter_provider(MeterProvider(metric_readers=[READER]))


@pytest.fixture(autouse=True)
def _no_spans() -> Iterator[None]:
    """Begin without spans, and with the API imported, whatever other tests have removed."""
    EXPORTER.clear()
    sys.modules.setdefault("opentelemetry.trace", trace)
    yield
    EXPORTER.clear()


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def spans() -> dict[str, Any]:
    """Return the finished spans by name."""
    return {span.name: span for span in EXPORTER.get_finished_spans()}


def test_a_submission_is_a_span_of_its_agent(variant: str) -> None:
    """It has the names of the conventions, the task, and nothing of the prompt."""
    task = Both(variant, ToyProvider(), ToyService()).create_task(PROMPT)
    span = spans()["invoke_agent toy"]

    assert PROMPT not in span.to_json()
    assert SpanKind.CLIENT is span.kind
    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "toy",
        "gen_ai.agent.name": "toy",
        "coatcheck.provider": "toy",
        "coatcheck.task.ref": str(task.ref),
        "coatcheck.task.state": task.state.value,
        "server.address": "127.0.0.1",
    } == dict(span.attributes)


def test_a_wait_is_linked_to_the_submission(variant: str) -> None:
    """The link is made from the journal, so it is the same in another process; the polls are counted."""
    both = Both(variant, ToyProvider(), ToyService())
    task = both.create_task(PROMPT)
    both.poll_task(task.ref)
    submission, wait = spans()["invoke_agent toy"], spans()["coatcheck wait"]

    assert [submission.context.span_id] == [link.context.span_id for link in wait.links]
    assert ("succeeded", str(task.ref)) == tuple(wait.attributes[f"coatcheck.task.{name}"] for name in ("state", "ref"))
    assert 1 <= wait.attributes["coatcheck.wait.polls"]


def test_waits_for_many_tasks_are_one_span(variant: str) -> None:
    """It is linked to each submission, and the code between two results does not run in it."""
    both = Both(variant, ToyProvider(), ToyService())
    refs = [both.create_task(PROMPT).ref for _ in range(3)]
    both.poll_tasks(refs)
    wait = spans()["coatcheck wait"]

    assert (3, 3) == (wait.attributes["coatcheck.wait.tasks"], len(wait.links))


def test_a_failed_submission_names_the_type_of_its_error(variant: str) -> None:
    """Its text, which may repeat what was sent, is not recorded."""
    with pytest.raises(errors.ConfigurationError):
        Both(variant, ToyProvider(), ToyService()).create_task(PROMPT, environment="nowhere at all")
    span = spans()["invoke_agent toy"]

    assert (StatusCode.ERROR, None) == (span.status.status_code, span.status.description)
    assert ("ConfigurationError", ()) == (span.attributes["error.type"], span.events)


def test_a_submission_continues_the_trace_that_was_received(variant: str) -> None:
    """A trace context of another protocol is the parent of the submission; a value that is not one is ignored."""
    with received_traceparent(RECEIVED):
        Both(variant, ToyProvider(), ToyService()).create_task(PROMPT)
    parent = spans()["invoke_agent toy"].parent
    EXPORTER.clear()
    with received_traceparent("nonsense"):
        Both(variant, ToyProvider(), ToyService()).create_task(PROMPT)

    assert ("00f067aa0ba902b7", None) == (f"{parent.span_id:016x}", spans()["invoke_agent toy"].parent)


class Broken:
    """Anything of which every member fails."""

    def __getattr__(self, name: str) -> Any:
        raise OSError(f"{name} failed")


@pytest.mark.parametrize("broken", ["provider", "processor", "journal"])
def test_telemetry_that_fails_changes_no_result(
    variant: str, broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A submission and a wait return what they return without it, and the log names the failure."""
    both = Both(variant, ToyProvider(), ToyService())
    match broken:
        case "provider":
            monkeypatch.setattr("opentelemetry.sdk.trace.Tracer.start_span", lambda *_, **__: Broken().start)
        case "processor":
            monkeypatch.setattr(SimpleSpanProcessor, "on_end", lambda *_: Broken().on_end)
        case _:
            monkeypatch.setattr("coatcheck.testing.memory_journal.MemoryJournal.traceparent", lambda *_: Broken().row)
    task = both.poll_task(both.create_task(PROMPT).ref)

    assert (TaskState.SUCCEEDED, True) == (task.state, "telemetry failed: OSError" in caplog.text)


def test_the_trace_context_is_kept_without_opentelemetry(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that does not use it still hands on what it received."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    both = Both(variant, ToyProvider(), ToyService())
    with received_traceparent(RECEIVED):
        task = both.create_task(PROMPT)

    assert ({}, RECEIVED) == (spans(), both.journal.traceparent(task.ref))


def test_the_journal_keeps_the_trace_context(tmp_path: Path) -> None:
    """It is in the store, for waits of other processes and for webhooks."""
    journal = SubmissionJournal.at(str(tmp_path))
    intent = intent_of(TaskSpec(prompt="p"), id="i", provider="toy", at=1.0, pid=1, traceparent=RECEIVED)
    journal.begin(intent)
    journal.settle(intent, TaskRef("toy", "t1"))
    known = journal.traceparent(TaskRef("toy", "t1")), journal.traceparent(TaskRef("toy", "t2"))
    journal.close()

    assert (RECEIVED, None) == known


def wait_for_failed_task() -> Task:
    """Return a task of "acme" that has failed after 90 seconds, from a wait that is measured."""
    began = datetime(2026, 11, 28, tzinfo=UTC)
    task = Task(
        ref=TaskRef("toy", "t1"), state=TaskState.FAILED, started_at=began, updated_at=began + timedelta(seconds=90)
    )

    def script() -> Script[Task]:
        yield from ()
        return task

    measured = OpenTelemetry("toy", vendor="acme", url=None).wait(script(), [task.ref], journal=NoJournal)
    return perform(measured, Both("blocking", ToyProvider(), ToyService()).client._driver)


def test_a_metric_that_fails_changes_no_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait returns its task, and the log names the failure."""
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: Broken().provider)
    task = wait_for_failed_task()

    assert (TaskState.FAILED, True) == (task.state, "telemetry failed: OSError" in caplog.text)


def test_the_duration_of_an_ended_task_is_measured() -> None:
    """The histogram has the duration that the service reports in seconds, with the state of a task that failed."""
    wait_for_failed_task()
    data = READER.get_metrics_data()
    points = [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == DURATION and metric.unit == "s"
        for point in metric.data.data_points
        if point.attributes["gen_ai.provider.name"] == "acme"
    ]

    assert [(90.0, 1, "failed")] == [(point.sum, point.count, point.attributes["error.type"]) for point in points]


def test_importing_coatcheck_imports_nothing_of_opentelemetry() -> None:
    """A program that does not use it pays nothing for it."""
    code = "import sys, coatcheck; coatcheck.Client('codex'); print([n for n in sys.modules if 'telemetry' in n and 'open' in n])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == result.stdout.strip()


def test_no_span_has_the_token_of_a_subprotocol(variant: str) -> None:
    """Spans of a submission and a wait over a WebSocket, refused ones included, contain no token and no account."""
    client, emulator = connected(variant, token="opaque-Token.0123456789")
    client.poll_task(client.create_task(SPEC).ref)
    emulator.faults.append(Status(403, on="create_task", text="openai-bearer.opaque-Token.0123456789"))
    with pytest.raises(errors.PermissionDeniedError):
        client.create_task(SPEC)
    shown = "".join(span.to_json() for span in EXPORTER.get_finished_spans())

    assert (True, False) == ("invoke_agent codex_app_server" in shown, "opaque-Token" in shown)
