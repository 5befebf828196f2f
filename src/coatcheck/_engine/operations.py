"""Every verb of the clients, as a script: what `Client` and `AsyncClient` share is here, and they add only their colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from .. import errors
from .._model.catalogue import Environment, Model
from .._model.duration_estimate import Durations
from .._model.outcome import Attempt
from .._model.tasks import Page, Task, TaskRef, TaskSpec, TaskState
from .._model.usage import RateWindow, Usage
from .._protocol.duration_store import DurationStore, ObservedDurations
from .._protocol.effects import Call, Clock, Emit, Exchange, Request, Script, Send
from .._protocol.intents import Journal
from .._protocol.login_contract import Credentials
from .._protocol.pagination import PageLimits, paginate
from .._protocol.provider import Provider, TaskFilter, TaskSnapshot
from .backoff import RetryPolicy
from .deadline import Deadline
from .event_diff import SeenState, new_events
from .pipeline import Bounds, emitted, run_exchange, sending
from .plan_approval import Approvals, Decide
from .poll_many import BatchContext, poll_many
from .poll_one import Interval, PollContext, Wait, every, finished_task, timeout_error, waiting
from .rate_limit import RateLimiter
from .reachability import OnOutage, Reachability
from .schedule import Schedule
from .submit import ResumedSubmission, resuming, submitting
from .watch_many import Follow, watch_many

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
        journal: Journal,
        memory: DurationStore,
        poll_cost: float,
        new_id: Callable[[], str],
        pid: int,
        is_alive: Callable[[int], bool],
        on_trouble: Callable[[str], None],
        on_outage: OnOutage | None = None,
    ) -> None:
        self.provider = provider
        self._clock, self._random = clock, random
        self._memory, self._poll_cost, self._schedules = memory, poll_cost, dict[str | None, Interval]()
        self._on_trouble, self._has_warned = on_trouble, False
        self._journal, self._new_id, self._pid, self._is_alive = journal, new_id, pid, is_alive
        self._remedy = provider.login.remedy
        self._reachability = Reachability(clock=clock, on_outage=on_outage)
        self._send: Send = sending(
            provider,
            credentials,
            clock=clock,
            random=random,
            policy=policy,
            pace=pace,
            reachability=self._reachability,
        )
        self._desk = PollContext(
            clock=clock,
            random=random,
            look=self._look,
            ask_attempts=self._ask_attempts,
            schedule=self._schedule,
            remember=self._remember,
            reachability=self._reachability,
        )

    def ask(self, exchange: Exchange[T], /) -> Script[T]:
        """Let *exchange* talk to its service."""
        return run_exchange(exchange, self._send, remedy=self._remedy, bounds=Bounds(clock=self._clock))

    def _require(self, verb: str) -> None:
        self.provider.capabilities.require(verb, self.provider.name)

    def _own(self, ref: TaskRef | str) -> TaskRef:
        """Return *ref* as one of ours; raises `ConfigurationError` for another provider's task."""
        if not isinstance(ref, TaskRef):
            ref = TaskRef.parse(ref, provider=self.provider.name, origins=origins_of(self.provider))
        parsed = ref
        if parsed.provider != self.provider.name:
            raise errors.ConfigurationError(
                f"{parsed} is a task of {parsed.provider}, not of {self.provider.name}",
                remedy=f"use Client({parsed.provider!r}) or --provider {parsed.provider}",
            )
        return parsed

    def create_task(self, spec: TaskSpec) -> Script[Task]:
        self._require("create_task")
        return submitting(
            spec,
            provider=self.provider,
            ask=self.ask,
            journal=self._journal,
            clock=self._clock,
            id=self._new_id(),
            pid=self._pid,
        )

    def resume_submissions(self) -> Script[None]:
        self._require("find_task" if "find_task" in self.provider.capabilities.verbs else "list_tasks")
        intents = yield Call(lambda: self._journal.open_intents(self.provider.name))
        for intent in intents:
            resumed: ResumedSubmission = yield from resuming(
                intent,
                provider=self.provider,
                ask=self.ask,
                journal=self._journal,
                clock=self._clock,
                is_alive=self._is_alive(intent.pid),
            )
            yield Emit(resumed)

    def get_task(self, ref: TaskRef | str) -> Script[Task]:
        self._require("get_task")
        return self.ask(self.provider.get_task(self._own(ref)))

    def get_task_status(self, ref: TaskRef | str) -> Script[TaskState]:
        task = yield from self.get_task(ref)
        return task.state

    def get_task_response(self, ref: TaskRef | str) -> Script[bytes]:
        self._require("get_task")
        return self.ask(self.provider.get_task_response(self._own(ref)))

    def list_attempts(self, ref: TaskRef | str | Task) -> Script[tuple[Attempt, ...]]:
        self._require("list_attempts")
        task = ref if isinstance(ref, Task) else (yield from self.get_task(ref))
        return (yield from self.ask(self.provider.list_attempts(task)))

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
        if approve is not None:
            self._require("approve_plan")
        if self._is_told_once:
            return self._swept(ref, timeout=timeout, interval=interval, on_change=on_change)
        self._require("get_task")
        known = ref if isinstance(ref, Task) else None
        came = known if known and known.state.is_terminal and known.outcome is not None else None
        own = self._own(ref.ref if isinstance(ref, Task) else ref)
        wait = Wait(
            desk=self._desk,
            ref=own,
            timeout=timeout,
            interval=every(interval) if isinstance(interval, int | float) else interval,
            environment=known.environment if known else None,
            first=first,
            is_watched=is_watched,
            approvals=self._approvals(own, approve),
            came=came,
            on_change=on_change,
            seen=SeenState.from_cursor(after),
            looks=int(known is not None and came is None),
            asked=(known and known.retry_after) or 0.0,
        )
        return waiting(wait)

    def _look(self, wait: Wait) -> Script[TaskSnapshot]:
        """Look as the provider can: remembering the look before, or anew."""
        if wait.came is not None:
            return TaskSnapshot(task=wait.came)
        return (yield from self._follow(wait.ref, wait.seen.memory, is_watched=wait.is_watched))

    def _follow(
        self, ref: TaskRef, memory: str, shown: Task | None = None, *, is_watched: bool = True
    ) -> Script[TaskSnapshot]:
        if "get_snapshot" not in self.provider.capabilities.verbs:
            return TaskSnapshot(task=(yield from self.ask(self.provider.get_task(ref))))
        now = self._clock.time()
        follow = self.provider.get_snapshot(ref, memory=memory, is_watched=is_watched, now=now, shown=shown)
        return (yield from self.ask(follow))

    def _ask_attempts(self, task: Task) -> Script[tuple[Attempt, ...]]:
        return self.ask(self.provider.list_attempts(task))

    def _approvals(self, ref: TaskRef, decide: Decide | None) -> Approvals | None:
        if decide is None:
            return None
        return Approvals(decide, lambda: self.ask(self.provider.approve_plan(ref)), clock=self._clock)

    def poll_tasks(
        self, refs: Iterable[TaskRef | str], *, timeout: float | None, interval: float | Interval | None
    ) -> Script[None]:
        if not self._is_told_once:
            self._require("get_task")
        crowd = yield from self._crowd(timeout, interval)
        memories: dict[TaskRef, str] = {}
        yield from poll_many(map(self._own, refs), crowd, look=lambda ref: self._settled(ref, memories))

    def watch_tasks(
        self,
        refs: Iterable[TaskRef | str],
        *,
        timeout: float | None,
        interval: float | Interval | None,
        after: Mapping[TaskRef, str] | Mapping[str, str] | None,
    ) -> Script[None]:
        if not self._is_told_once:
            self._require("get_task")
        crowd = yield from self._crowd(timeout, interval)
        follow = Follow(look=self._follow, ask_attempts=self._ask_attempts, is_learnt=interval is None)
        known = {self._own(ref): cursor for ref, cursor in (after or {}).items()}
        yield from watch_many(map(self._own, refs), crowd, follow, after=known)

    def _crowd(self, timeout: float | None, interval: float | Interval | None) -> Script[BatchContext]:
        policy = every(interval) if isinstance(interval, int | float) else interval or (yield from self._schedule(None))
        return BatchContext(
            provider=self.provider,
            ask=self.ask,
            clock=self._clock,
            random=self._random,
            timeout=timeout,
            interval=policy,
            remember=self._remember,
            reachability=self._reachability,
        )

    @property
    def _is_told_once(self) -> bool:
        """Whether the service tells the end of a task once, to whoever sweeps, and cannot be asked about it."""
        verbs = self.provider.capabilities.verbs
        return "get_status_page" in verbs and "get_task" not in verbs

    def _swept(
        self,
        ref: TaskRef | str | Task,
        *,
        timeout: float | None,
        interval: float | Interval | None,
        on_change: Callable[[Task], object] | None,
    ) -> Script[Task]:
        """Wait for a task by sweeping: its end is all that there is to see."""
        if isinstance(ref, Task) and ref.state.is_terminal:
            return ref
        wanted = ref.ref if isinstance(ref, Task) else ref
        (task,) = yield from emitted(self.poll_tasks([wanted], timeout=timeout, interval=interval))
        for event, _ in new_events(SeenState(), TaskSnapshot(task=task)):
            yield Emit(event)
        if on_change is not None:
            on_change(task)
        return task  # type: ignore[no-any-return]

    def _settled(self, ref: TaskRef, memories: dict[TaskRef, str]) -> Script[tuple[Task | None, float]]:
        """Return the task if it has ended, with its attempts, else None; and how long not to ask again.

        *memories* has what the provider wants to know at the next poll of a task, such as the address it has moved to.
        """
        look = yield from self._follow(ref, memories.pop(ref, ""), is_watched=False)
        task = look.task
        if look.memory and not task.state.is_terminal:
            memories[ref] = look.memory
        ended: Task | None = yield from finished_task(task, self._ask_attempts, first=False)
        return ended, task.retry_after or 0.0

    def _schedule(self, environment: str | None) -> Script[Interval]:
        """Return the schedule that earlier tasks of *environment* suggest, the default one where they are not known."""
        if environment not in self._schedules:
            typical = self.provider.capabilities.typical_seconds
            try:
                seen: Durations = yield Call(lambda: self._memory.recall(self.provider.name, environment))
                schedule = Schedule(belief=seen.belief(typical=typical), poll_cost=self._poll_cost)
            except Exception as error:  # noqa: BLE001 - bookkeeping never fails a task, whatever is in its file
                self._warn_once(error)
                schedule = Schedule(belief=Durations().belief(typical=typical), poll_cost=self._poll_cost)
            self._schedules[environment] = schedule
        return self._schedules[environment]

    def _remember(self, ends: ObservedDurations) -> Script[None]:
        """Record how long tasks took. A failure is reported once and never ends a wait."""
        if not ends:
            return
        try:
            yield Call(lambda: self._memory.record(self.provider.name, ends))
        except Exception as error:  # noqa: BLE001 - as above
            self._warn_once(error)

    def _warn_once(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._on_trouble(
                f"how long tasks take cannot be recorded ({type(error).__name__}: {error}); waits are not affected;"
                " set COATCHECK_STATE_HOME to a folder of yours, or COATCHECK_LEARN=off"
            )

    def stream_task(self, ref: TaskRef | str, *, timeout: float | None) -> Script[None]:
        self._require("stream_events")
        own = self._own(ref)
        bounds = Bounds(clock=self._clock, seconds=None)
        script = run_exchange(self.provider.stream_events(own), self._send, remedy=self._remedy, bounds=bounds)
        return _until(script, own, timeout, clock=self._clock)

    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Script[str | None]:
        self._require("list_tasks")

        def ask(cursor: str | None, wanted: int | None) -> Script[Page]:
            return self.ask(
                self.provider.list_tasks(filter=filter, environment=environment, limit=wanted, cursor=cursor)
            )

        return paginate(ask, limit=limit, cursor=cursor, bounds=PageLimits(clock=self._clock))

    def get_page(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Script[Page]:
        self._require("list_tasks")
        return self.ask(self.provider.list_tasks(filter=filter, environment=environment, limit=limit, cursor=cursor))

    def get_usage(self) -> Script[Usage]:
        self._require("get_usage")
        usage = yield from self.ask(self.provider.get_usage())
        if usage.rate_limit is None or not any(window.is_counted_here for window in usage.rate_limit.windows):
            return usage
        windows = list(usage.rate_limit.windows)
        for place, window in enumerate(windows):
            windows[place] = (yield from self._counted(window)) if window.is_counted_here else window
        limit = msgspec.structs.replace(usage.rate_limit, windows=tuple(windows))
        return msgspec.structs.replace(usage, rate_limit=limit)

    def _counted(self, window: RateWindow) -> Script[RateWindow]:
        """Return *window* with what the journal knows: a service that tells nothing leaves us to count our own."""
        since = self._clock.time() - (window.seconds or 0)
        used = yield Call(lambda: self._journal.count_since(self.provider.name, since))
        percent = 100 * used / window.limit if window.limit else None
        return msgspec.structs.replace(window, used=used, used_percent=percent)

    def list_environments(self, *, repository: str | None) -> Script[tuple[Environment, ...]]:
        self._require("list_environments")
        return self.ask(self.provider.list_environments(repository=repository))

    def list_models(self) -> tuple[Model, ...]:
        self._require("list_models")
        return self.provider.list_models()

    def cancel_task(self, ref: TaskRef | str) -> Script[None]:
        self._require("cancel_task")
        return self.ask(self.provider.cancel_task(self._own(ref)))

    def archive_task(self, ref: TaskRef | str) -> Script[None]:
        self._require("archive_task")
        return self.ask(self.provider.archive_task(self._own(ref)))

    def unarchive_task(self, ref: TaskRef | str) -> Script[None]:
        self._require("unarchive_task")
        return self.ask(self.provider.unarchive_task(self._own(ref)))

    def delete_task(self, ref: TaskRef | str) -> Script[None]:
        self._require("delete_task")
        return self.ask(self.provider.delete_task(self._own(ref)))

    def send_message(
        self, ref: TaskRef | str, text: str, *, mode: Literal["code", "ask"], model: str | None
    ) -> Script[Task]:
        self._require("send_message")
        if not text.strip():
            raise errors.ConfigurationError("the message is blank", remedy="say what the agent should do")
        return self.ask(self.provider.send_message(self._own(ref), text, mode=mode, model=model))

    def approve_plan(self, ref: TaskRef | str) -> Script[None]:
        self._require("approve_plan")
        return self.ask(self.provider.approve_plan(self._own(ref)))

    def create_pull_request(self, ref: TaskRef | str, *, attempt: int | None, draft: bool) -> Script[None]:
        self._require("create_pull_request")
        return self.ask(self.provider.create_pull_request(self._own(ref), attempt=attempt, draft=draft))

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        return self.provider.extract_response(response, siblings)


def _until(script: Script[None], ref: TaskRef, timeout: float | None, *, clock: Clock) -> Script[None]:
    """Run the script of a stream until *timeout*: a service may send for ever. Raises `WaitTimeoutError` then."""
    deadline = Deadline(timeout, clock=clock)
    answer: Any = None
    try:
        effect = next(script)
        while True:
            if deadline.is_past:
                raise timeout_error(ref, timeout, None)
            if type(effect) is Request and effect.stream and timeout is not None:
                effect = msgspec.structs.replace(effect, timeout=deadline.remaining)
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - whatever went wrong with it, the script may know what to do
                effect = script.throw(error)
            else:
                effect = script.send(answer)
    except StopIteration:
        return
    except errors.TransportTimeoutError:
        if deadline.is_past:  # what is left of the timeout is the limit of the request as well
            raise timeout_error(ref, timeout, None) from None
        raise
    finally:
        script.close()


def origins_of(provider: Provider) -> tuple[str, ...]:
    """Return the base URLs of a provider, and the sites on which people see its tasks."""
    return (*provider.origins.values(), *getattr(provider, "sites", ()))


def as_bytes(response: bytes | str | object) -> bytes:
    """Return a saved answer as the bytes it came as; mappings are encoded."""
    if isinstance(response, bytes):
        return response
    return response.encode("utf-8", "surrogatepass") if isinstance(response, str) else msgspec.json.encode(response)
