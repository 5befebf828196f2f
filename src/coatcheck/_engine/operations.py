"""Every verb of the clients, as a script: `Client` and `AsyncClient` share this module, and differ in how they perform it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from .. import errors
from .._model.tasks import Page, Task, TaskRef, TaskSpec, TaskState
from .._protocol.effects import Call, Clock, Emit, Events, Exchange, Script, Sender
from .._protocol.pagination import PageLimits, paginate
from .._protocol.provider import Provider, TaskFilter, Verb, methods_of, sites_of
from .._protocol.telemetry import NoTelemetry, Telemetry
from .._values.locked_property import locked_cached_property
from .optional_methods import extract_task, get_response, has_stream_of
from .pipeline import MAX_REQUESTS, Bounds, run_exchange, sending
from .poll_context import DurationHistory, Interval, PollContext, every
from .reachability import OnOutage, Reachability
from .recording import TaskRecording

if TYPE_CHECKING:
    from .._model.catalogue import Environment, Model
    from .._model.outcome import Attempt
    from .._model.usage import Usage
    from .._protocol.duration_store import DurationStore
    from .._protocol.intents import Intent, Journal
    from .._protocol.login_contract import Credentials
    from .._protocol.task_recorder import TaskRecorder
    from .._protocol.wake_source import WakeSource
    from .backoff import RetryPolicy
    from .event_diff import SeenState
    from .event_stream import EventStream
    from .plan_approval import Approvals, Decide
    from .poll_many import BatchContext, BatchPoller
    from .rate_limit import RateLimiter
    from .submit import ResumedSubmission

T = TypeVar("T")


class Operations:
    """The verbs of one provider with one login."""

    def __init__(
        self,
        provider: Provider,
        credentials: Credentials,
        *,
        clock: Clock,
        random: Callable[[], float],
        policy: RetryPolicy,
        pace: RateLimiter,
        journal: Callable[[], Journal],
        memory: DurationStore,
        poll_cost: float,
        new_id: Callable[[], str],
        pid: int,
        is_submitting: Callable[[Intent], bool],
        on_trouble: Callable[[str], None],
        on_outage: OnOutage | None = None,
        recorder: TaskRecorder | None = None,
        wakes: WakeSource | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self.provider = methods_of(provider)
        self._clock = clock
        self._open_journal, self._new_id, self._pid, self._is_submitting = journal, new_id, pid, is_submitting
        self._environment_ids: dict[str, str] = {}  # by name: a list of many pages resolves its environment once
        self._on_warning = on_trouble
        self._remedy = provider.login.remedy
        self._recording = TaskRecording(recorder, on_warning=on_trouble)
        self._reachability = Reachability(clock=clock, on_outage=on_outage)
        self._send: Sender = sending(
            provider,
            credentials,
            clock=clock,
            random=random,
            policy=policy,
            pace=pace,
            reachability=self._reachability,
        )
        self._context = PollContext(
            provider=self.provider,
            run=self.run,
            clock=clock,
            random=random,
            durations=DurationHistory(provider, memory, poll_cost=poll_cost, on_warning=on_trouble),
            reachability=self._reachability,
            recording=self._recording,
            wakes=wakes,
        )

    @locked_cached_property
    def _journal(self) -> Journal:
        return self._open_journal()

    def run(self, exchange: Exchange[T], /) -> Script[T]:
        """Run *exchange* with retries, the login and redirects."""
        return run_exchange(exchange, self._send, remedy=self._remedy, bounds=Bounds(clock=self._clock))

    def _require(self, verb: Verb) -> None:
        self.provider.capabilities.require(verb, self.provider.name)

    def _parse_ref(self, ref: TaskRef | str) -> TaskRef:
        """Return *ref* as one of ours; raises `ConfigurationError` for another provider's task."""
        name = self.provider.name
        if not isinstance(ref, TaskRef):
            origins = sites_of(self.provider) if "://" in ref else ()
            ref = TaskRef.parse(ref, provider=name, origins=origins)
        if ref.provider != name:
            raise errors.ConfigurationError(
                f"{ref} is a task of {ref.provider}, not of {name}",
                remedy=f"use Client({ref.provider!r}) or --provider {ref.provider}",
            )
        return ref

    def create_task(self, spec: TaskSpec, *, id: str | None = None) -> Script[Task]:
        """Submit a task; *id* is the id of its intent, for a caller that looks for it in the journal later."""
        from .submit import submitting  # with it 1 ms, for submissions alone

        self._require(Verb.CREATE_TASK)
        script = submitting(
            spec,
            provider=self.provider,
            run=self.run,
            journal=self._journal,
            clock=self._clock,
            id=id or self._new_id(),
            pid=self._pid,
            on_warning=self._on_warning,
            traceparent=self._telemetry.traceparent,
        )
        return self._telemetry.submission(self._recording.submitted(script, spec), spec)

    def resume_submissions(self) -> Script[None]:
        self._require_search()
        intents = yield Call(lambda: self._journal.open_intents(self.provider.name))
        for intent in intents:
            yield Emit((yield from self.resume_submission(intent)))

    def resume_submission(self, intent: Intent, *, is_old: bool = False) -> Script[ResumedSubmission]:
        from .submit import resuming  # as above

        self._require_search()
        resumed: ResumedSubmission = yield from resuming(
            intent,
            provider=self.provider,
            run=self.run,
            journal=self._journal,
            clock=self._clock,
            is_submitting=self._is_submitting(intent),
            is_old=is_old,
        )
        if resumed.task is not None:
            yield from self._recording.record([resumed.task])
        return resumed

    def _require_search(self) -> None:
        self._require(Verb.FIND_TASK if Verb.FIND_TASK in self.provider.capabilities.verbs else Verb.LIST_TASKS)

    def get_task(self, ref: TaskRef | str) -> Script[Task]:
        self._require(Verb.GET_TASK)
        return self._recording.recorded(self.run(self.provider.get_task(self._parse_ref(ref))))

    def get_task_status(self, ref: TaskRef | str) -> Script[TaskState]:
        task = yield from self.get_task(ref)
        return task.state

    def get_task_response(self, ref: TaskRef | str) -> Script[bytes]:
        self._require(Verb.GET_TASK)
        return self.run(get_response(self.provider, self._parse_ref(ref)))

    def list_attempts(self, ref: TaskRef | str | Task) -> Script[tuple[Attempt, ...]]:
        self._require(Verb.LIST_ATTEMPTS)
        task = ref if isinstance(ref, Task) else (yield from self.get_task(ref))
        attempts: tuple[Attempt, ...] = yield from self.run(self.provider.list_attempts(task))
        if task.state.is_terminal:  # the caller's task may be older than what is recorded, and its outcome too
            yield from self._recording.record([msgspec.structs.replace(task, outcome=None, attempts=attempts)])
        return attempts

    def poll_task(
        self,
        ref: TaskRef | str | Task,
        *,
        timeout: float | None,
        interval: float | Interval | None,
        first: bool,
        after: str | None = None,
        is_watched: bool = False,
        approve: Decide | None = None,
        on_change: Callable[[Task], object] | None = None,
    ) -> Script[Task]:
        from .event_diff import SeenState  # waits alone need these modules, and their imports take 2 ms
        from .poll_one import Wait, poll_one

        if approve is not None:
            self._require(Verb.APPROVE_PLAN)
        if not self._context.can_get_task and self._context.has_status_pages:
            return self._poll_by_pages(ref, timeout=timeout, interval=interval, on_change=on_change)
        self._require(Verb.GET_TASK)
        known = ref if isinstance(ref, Task) else None
        ended = known if known and known.state.is_terminal and known.outcome is not None else None
        parsed_ref = self._parse_ref(ref.ref if isinstance(ref, Task) else ref)
        seen = SeenState.from_cursor(after)
        wait = Wait(
            context=self._context,
            ref=parsed_ref,
            timeout=timeout,
            interval=every(interval) if isinstance(interval, int | float) else interval,
            environment=known.environment if known else None,
            first=first,
            is_watched=is_watched,
            approvals=self._approvals(parsed_ref, approve),
            ended=ended,
            on_change=on_change,
            stream=None if ended or interval is not None else self._event_stream(parsed_ref, seen),
            seen=seen,
            polls=int(known is not None and ended is None),
            retry_after=(known and known.retry_after) or 0.0,
        )
        return self._measured(poll_one(wait), [parsed_ref], polls=lambda: wait.polls + 1, is_iterated=is_watched)

    def _measured(
        self,
        script: Script[T],
        refs: Sequence[TaskRef],
        *,
        is_iterated: bool = True,
        polls: Callable[[], int] | None = None,
    ) -> Script[T]:
        return self._telemetry.wait(script, refs, journal=lambda: self._journal, polls=polls, is_iterated=is_iterated)

    def _event_stream(self, ref: TaskRef, seen: SeenState) -> EventStream | None:
        """Return the stream that a wait reads between polls, None where the service has none that resumes."""
        if not self.provider.capabilities.has_resumable_stream:
            return None
        from .event_stream import EventStream

        def connect(position: str) -> Script[None]:
            return self._unbounded(self.provider.stream_events(ref, after=position))

        return EventStream(connect, position=seen.memory)

    def _approvals(self, ref: TaskRef, decide: Decide | None) -> Approvals | None:
        if decide is None:
            return None
        from .plan_approval import Approvals

        return Approvals(decide, lambda: self.approve_plan(ref), clock=self._clock)

    def poll_tasks(
        self, refs: Iterable[TaskRef | str], *, timeout: float | None, interval: float | Interval | None
    ) -> Script[None]:
        from .poll_many import poll_many

        context = yield from self._batch(timeout, interval, is_watched=False)
        parsed_refs = [self._parse_ref(ref) for ref in refs]
        yield from self._measured(poll_many(parsed_refs, context), parsed_refs)

    def open_poller(self) -> Script[BatchPoller]:
        """Return a poller for a caller that chooses the pauses between rounds (`BatchPoller.poll_once`)."""
        from .poll_many import BatchPoller

        return BatchPoller((yield from self._batch(None, None, is_watched=False)), {})

    def watch_tasks(
        self,
        refs: Iterable[TaskRef | str],
        *,
        timeout: float | None,
        interval: float | Interval | None,
        after: Mapping[TaskRef, str] | Mapping[str, str] | None,
    ) -> Script[None]:
        from .poll_many import watch_many

        context = yield from self._batch(timeout, interval, is_watched=True)
        cursors = {self._parse_ref(ref): cursor for ref, cursor in (after or {}).items()}
        parsed_refs = [self._parse_ref(ref) for ref in refs]
        yield from self._measured(watch_many(parsed_refs, context, after=cursors), parsed_refs)

    def _batch(
        self, timeout: float | None, interval: float | Interval | None, *, is_watched: bool
    ) -> Script[BatchContext]:
        from .poll_many import BatchContext

        if not self._context.has_status_pages:
            self._require(Verb.GET_TASK)
        policy = every(interval) if isinstance(interval, int | float) else interval
        policy = policy or (yield from self._context.durations.schedule(None))
        return BatchContext(
            poll=self._context,
            timeout=timeout,
            interval=policy,
            is_watched=is_watched,
            is_learnt=interval is None,
            connect=self._stream_of if is_watched and interval is None and has_stream_of(self.provider) else None,
        )

    def _stream_of(self, refs: Sequence[TaskRef], after: str) -> Script[None]:
        """Return the script that emits events of *refs* after a position of the service's stream."""
        return self._unbounded(self.provider.stream_events_of(refs, after=after), tasks=len(refs))

    def _unbounded(self, events: Events, *, tasks: int = 1) -> Script[None]:
        """Return the script of a stream, which may last as long as its tasks."""
        bounds = Bounds(clock=self._clock, seconds=None, requests=MAX_REQUESTS * tasks)
        return run_exchange(events, self._send, remedy=self._remedy, bounds=bounds)

    def _poll_by_pages(
        self,
        ref: TaskRef | str | Task,
        *,
        timeout: float | None,
        interval: float | Interval | None,
        on_change: Callable[[Task], object] | None,
    ) -> Script[Task]:
        """Wait for a task whose service has no `get_task`: status pages report its end, once, and nothing else."""
        from .poll_many import ended_task

        if isinstance(ref, Task) and ref.state.is_terminal:
            return ref
        parsed_ref = ref.ref if isinstance(ref, Task) else ref
        script = self.poll_tasks([parsed_ref], timeout=timeout, interval=interval)
        return (yield from ended_task(script, on_change=on_change))

    def stream_task(self, ref: TaskRef | str, *, timeout: float | None, after: str | None = None) -> Script[None]:
        self._require(Verb.STREAM_EVENTS)
        from .event_stream import events_after
        from .stream_deadline import run_until

        parsed_ref = self._parse_ref(ref)
        events = events_after(self.provider, parsed_ref, after)
        return run_until(self._unbounded(events), parsed_ref, timeout, clock=self._clock)

    def get_current_diff(self, ref: TaskRef | str, *, attempt: int | None) -> Script[str]:
        self._require(Verb.GET_CURRENT_DIFF)
        return self.run(self.provider.get_current_diff(self._parse_ref(ref), attempt=attempt))

    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Script[str | None]:
        self._require(Verb.LIST_TASKS)
        environment = yield from self._environment_id(environment)

        def run(cursor: str | None, size: int | None) -> Script[Page]:
            return self._page(filter=filter, environment=environment, limit=size, cursor=cursor)

        return (yield from paginate(run, limit=limit, cursor=cursor, bounds=PageLimits(clock=self._clock)))

    def get_page(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Script[Page]:
        self._require(Verb.LIST_TASKS)
        environment = yield from self._environment_id(environment)
        return (yield from self._page(filter=filter, environment=environment, limit=limit, cursor=cursor))

    def _page(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Script[Page]:
        exchange = self.provider.list_tasks(filter=filter, environment=environment, limit=limit, cursor=cursor)
        page: Page = yield from self.run(exchange)
        yield from self._recording.record(page.items)
        return page

    def _environment_id(self, name: str | None) -> Script[str | None]:
        """Return the id of the environment *name* where the provider resolves names, else *name*."""
        if name is None or Verb.RESOLVE_ENVIRONMENT not in self.provider.capabilities.verbs:
            return name
        if name not in self._environment_ids:
            environment = yield from self.run(self.provider.resolve_environment(name, repository=None))
            self._environment_ids[name] = environment.id
        return self._environment_ids[name]

    def get_usage(self) -> Script[Usage]:
        from .usage_count import with_counts  # few commands need it

        self._require(Verb.GET_USAGE)
        usage = yield from self.run(self.provider.get_usage())
        return (
            yield from with_counts(usage, self.provider.name, journal=lambda: self._journal, now=self._clock.time())
        )

    def list_environments(self, *, repository: str | None) -> Script[tuple[Environment, ...]]:
        self._require(Verb.LIST_ENVIRONMENTS)
        return self.run(self.provider.list_environments(repository=repository))

    def list_models(self) -> Script[tuple[Model, ...]]:
        self._require(Verb.LIST_MODELS)
        models = self.provider.list_models()
        return models if isinstance(models, tuple) else (yield from self.run(models))

    def _change(self, ref: TaskRef | str, act: Callable[[TaskRef], Exchange[T]]) -> Script[T]:
        """Perform a verb that may change the task *ref*."""
        parsed_ref = self._parse_ref(ref)
        return self._recording.changing(parsed_ref, self.run(act(parsed_ref)))

    def cancel_task(self, ref: TaskRef | str) -> Script[None]:
        self._require(Verb.CANCEL_TASK)
        return self._change(ref, self.provider.cancel_task)

    def archive_task(self, ref: TaskRef | str) -> Script[None]:
        self._require(Verb.ARCHIVE_TASK)
        return self._change(ref, self.provider.archive_task)

    def unarchive_task(self, ref: TaskRef | str) -> Script[None]:
        self._require(Verb.UNARCHIVE_TASK)
        return self._change(ref, self.provider.unarchive_task)

    def delete_task(self, ref: TaskRef | str) -> Script[None]:
        self._require(Verb.DELETE_TASK)
        return self._change(ref, self.provider.delete_task)

    def send_message(
        self, ref: TaskRef | str, text: str, *, mode: Literal["code", "ask"], model: str | None
    ) -> Script[Task]:
        self._require(Verb.SEND_MESSAGE)
        if not text.strip():
            raise errors.ConfigurationError("the message is blank", remedy="write what the agent should do")
        from .submit import check_texts  # as above

        check_texts({"message": text})
        return self._change(
            ref, lambda parsed_ref: self.provider.send_message(parsed_ref, text, mode=mode, model=model)
        )

    def approve_plan(self, ref: TaskRef | str) -> Script[None]:
        self._require(Verb.APPROVE_PLAN)
        return self._change(ref, self.provider.approve_plan)

    def decide_permission(self, ref: TaskRef | str, request: str, option: str) -> Script[None]:
        self._require(Verb.DECIDE_PERMISSION)
        return self._change(ref, lambda parsed_ref: self.provider.decide_permission(parsed_ref, request, option))

    def create_pull_request(self, ref: TaskRef | str, *, attempt: int | None, draft: bool) -> Script[None]:
        self._require(Verb.CREATE_PULL_REQUEST)
        return self._change(
            ref, lambda parsed_ref: self.provider.create_pull_request(parsed_ref, attempt=attempt, draft=draft)
        )

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        return extract_task(self.provider, response, siblings)


def as_bytes(response: bytes | str | object) -> bytes:
    """Return a saved response as bytes; mappings are encoded."""
    if isinstance(response, bytes):
        return response
    return response.encode("utf-8", "surrogatepass") if isinstance(response, str) else msgspec.json.encode(response)
