"""Spans and metrics of submissions and waits, where the application uses OpenTelemetry.

Invariants:

- nothing of OpenTelemetry is imported by this package: it is used where the application has imported it;
- no prompt, message, title or path is recorded, and no text of an error: they may contain what an agent has written;
- telemetry that fails is logged, and never fails a submission or a wait.

Names of spans, metrics and attributes are those of OpenTelemetry's conventions for generative AI, which are in
development (https://opentelemetry.io/docs/specs/semconv/gen-ai/); docs/guides/telemetry.md lists them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from .._model.tasks import Task
from .._protocol.effects import Call, Emit
from .._protocol.logs import WARNING, log
from .._version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Link, Span, Tracer

    from .._model.tasks import TaskRef, TaskSpec
    from .._protocol.effects import Script
    from .._protocol.intents import Journal

T = TypeVar("T")

SCOPE = "coatcheck"
DURATION = "gen_ai.client.operation.duration"
# Seconds. Tasks take minutes, so the boundaries that the conventions propose for calls of models (up to 82 s) are too low.
BOUNDARIES = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0)
# Version 00 of https://www.w3.org/TR/trace-context/, "traceparent Header Field Values".
TRACEPARENT = r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
# Links of a span that the SDK keeps by default (OTEL_SPAN_LINK_COUNT_LIMIT).
MOST_LINKS = 128

# The trace context of whoever requested a submission through another protocol, such as MCP's `_meta.traceparent`.
_RECEIVED: ContextVar[str | None] = ContextVar("coatcheck_traceparent", default=None)


@contextmanager
def received_traceparent(value: str | None) -> Iterator[None]:
    """Submit in the trace context *value* within the block; a value that is not one is ignored."""
    token = _RECEIVED.set(value if value and re.fullmatch(TRACEPARENT, value) else None)
    try:
        yield
    finally:
        _RECEIVED.reset(token)


class OpenTelemetry:
    """The spans and the metric of one client. *vendor* is the provider as `gen_ai.provider.name` has it."""

    def __init__(self, provider: str, *, vendor: str | None, url: str | None) -> None:
        self._provider = provider
        self._attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": vendor or provider,
        }
        self._agent = {"gen_ai.agent.name": provider, "coatcheck.provider": provider}
        self._url = url

    def traceparent(self) -> str | None:
        """Return the context of the current span, else the one that was received; None without both."""
        trace = _trace()
        if trace is not None:
            context = trace.get_current_span().get_span_context()
            if context.is_valid:
                return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        return _RECEIVED.get()

    def submission(self, script: Script[Task], spec: TaskSpec) -> Script[Task]:
        """Return *script* in the span ``invoke_agent PROVIDER``."""
        trace = _trace()
        return self._submission(script, spec, trace) if trace is not None and _is_recording(trace) else script

    def _submission(self, script: Script[Task], spec: TaskSpec, trace: Any) -> Script[Task]:
        attributes = {**self._attributes, **self._agent, **_server_attributes(self._url)}
        if spec.model:
            attributes["gen_ai.request.model"] = spec.model
        name, kind = f"invoke_agent {self._provider}", trace.SpanKind.CLIENT
        with _span(trace, name, kind=kind, attributes=attributes, context=_parent(trace)) as span:
            task = yield from script
            _guarded(lambda: span.set_attributes(_task_attributes(task)), None)
            return task

    def wait(
        self,
        script: Script[T],
        refs: Iterable[TaskRef],
        *,
        journal: Callable[[], Journal],
        polls: Callable[[], int] | None = None,
        is_iterated: bool = False,
    ) -> Script[T]:
        """Return *script* in the span ``coatcheck wait``, and record the duration of each task that it returns."""
        trace = _trace()
        if trace is None:
            return script
        return self._wait(script, tuple(refs), trace, journal=journal, polls=polls, is_current=not is_iterated)

    def _wait(
        self,
        script: Script[T],
        refs: tuple[TaskRef, ...],
        trace: Any,
        *,
        journal: Callable[[], Journal],
        polls: Callable[[], int] | None,
        is_current: bool,
    ) -> Script[T]:
        none: list[Link] = []
        links = yield Call(lambda: _guarded(lambda: _links(refs[:MOST_LINKS], journal, trace), none))
        attributes = {"coatcheck.provider": self._provider, **_refs_attributes(refs)}
        with _span(trace, "coatcheck wait", attributes=attributes, links=links, is_current=is_current) as span:
            try:
                result = yield from self._recording(script)
            finally:
                if polls is not None:
                    count = polls()
                    _guarded(lambda: span.set_attribute("coatcheck.wait.polls", count), None)
            if isinstance(result, Task):
                ended = _task_attributes(result)
                _guarded(lambda: span.set_attributes(ended), None)
                self._record(result)
            return result

    def _recording(self, script: Script[T]) -> Script[T]:
        """Run *script*, and record each task that it emits."""
        try:
            effect = next(script)
            while True:
                if isinstance(effect, Emit) and isinstance(effect.value, Task):
                    self._record(effect.value)
                try:
                    answer = yield effect
                except Exception as error:  # noqa: BLE001 - the script may handle any error
                    effect = script.throw(error)
                else:
                    effect = script.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            script.close()

    def _record(self, task: Task) -> None:
        """Record how long an ended task took, where the service reports it."""
        if not task.state.is_terminal or task.duration is None:
            return
        attributes = dict(self._attributes)
        if task.state.value != "succeeded":
            attributes["error.type"] = task.state.value
        duration = task.duration
        _guarded(lambda: _histogram().record(duration, attributes), None)


def _trace() -> Any:
    """Return the module `opentelemetry.trace` where the application has imported it."""
    return sys.modules.get("opentelemetry.trace")


def _guarded(function: Callable[[], T], default: T) -> T:
    """Return what *function* returns, or *default* where it fails: what the application has registered may fail."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - telemetry fails no script
        log("telemetry", WARNING, "telemetry failed: %s: %s", type(error).__name__, error)
        return default


@contextmanager
def _span(trace: Any, name: str, *, is_current: bool = True, **options: Any) -> Iterator[Span]:
    """Run the block in a span, whose status is the type of the error that leaves the block."""
    span = _guarded(lambda: _tracer_of(trace.get_tracer_provider()).start_span(name, **options), trace.INVALID_SPAN)
    try:
        if is_current:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        else:
            yield span
    except Exception as error:
        kind = type(error).__name__
        _guarded(lambda: _fail(span, kind, trace), None)
        raise
    finally:
        _guarded(span.end, None)


def _fail(span: Span, kind: str, trace: Any) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(trace.Status(trace.StatusCode.ERROR))


def _is_recording(trace: Any) -> bool:
    """Whether the application has a provider of spans: with OpenTelemetry's API alone no span is recorded."""
    return _guarded(lambda: not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider), False)  # noqa: FBT003 - a value


@lru_cache(maxsize=4)
def _tracer_of(provider: Any) -> Tracer:
    """Return the tracer of *provider*: making one takes longer than a span."""
    tracer: Tracer = provider.get_tracer(SCOPE, __version__)
    return tracer


def _parent(trace: Any) -> Any:
    """Return the context that was received, where no span is current."""
    received = _RECEIVED.get()
    if received is None or trace.get_current_span().get_span_context().is_valid:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(received, trace)))


def _span_context(traceparent: str | None, trace: Any) -> Any:
    """Return the context that *traceparent* names, None where it is not one."""
    match = re.fullmatch(TRACEPARENT, traceparent or "")
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))


def _links(refs: Iterable[TaskRef], journal: Callable[[], Journal], trace: Any) -> list[Link]:
    """Return links to the submissions of *refs*, of those that the journal knows."""
    read = getattr(journal(), "traceparent", None)  # a journal of the application may have none
    if read is None:
        return []
    contexts = {ref: _span_context(read(ref), trace) for ref in refs}
    return [trace.Link(context, _refs_attributes((ref,))) for ref, context in contexts.items() if context is not None]


def _refs_attributes(refs: tuple[TaskRef, ...]) -> Mapping[str, Any]:
    if len(refs) == 1:
        return {"coatcheck.task.ref": str(refs[0])}
    return {"coatcheck.wait.tasks": len(refs)}


@lru_cache(maxsize=64)
def _server_attributes(url: str | None) -> Mapping[str, Any]:
    from urllib.parse import urlsplit  # 2 ms with ipaddress, and few applications use telemetry

    host = urlsplit(url or "").hostname
    return {"server.address": host} if host else {}


def _task_attributes(task: Task) -> Mapping[str, Any]:
    return {"coatcheck.task.ref": str(task.ref), "coatcheck.task.state": task.state.value}


def _histogram() -> Histogram:
    from opentelemetry import metrics  # beside the tracing API, which the application has imported

    return _histogram_of(metrics.get_meter_provider())


@lru_cache(maxsize=4)
def _histogram_of(provider: Any) -> Histogram:
    """Return the histogram of *provider*: the SDK warns of an instrument that is made twice."""
    histogram: Histogram = provider.get_meter(SCOPE, __version__).create_histogram(
        DURATION,
        unit="s",
        description="The duration of tasks that have ended.",
        explicit_bucket_boundaries_advisory=BOUNDARIES,
    )
    return histogram
