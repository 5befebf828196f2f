"""What the polls of one client share: the provider, the clock, how long tasks took, and whether the service answers.

Invariants:
- A task with several attempts has ended when all of them have; the state of the current turn is not enough
  (`docs/reference/protocols/codex-wham.md`, 2.3).
- Durations that cannot be read or recorded are reported once and never fail a task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from .. import errors
from .._model.duration_estimate import Durations
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Call, Clock, Script
from .._protocol.provider import Provider, ProviderMethods, TaskSnapshot, Verb
from .optional_methods import get_task_again
from .schedule import Schedule

if TYPE_CHECKING:
    from .._model.outcome import Attempt
    from .._protocol.duration_store import DurationStore, ObservedDurations
    from .._protocol.wake_source import WakeSource
    from .pipeline import ExchangeRunner
    from .reachability import Outage, Reachability
    from .recording import TaskRecording

Interval: TypeAlias = Callable[[float], float]
TRANSIENT_ERRORS = (errors.TransportError, errors.RateLimitError, errors.ProviderUnavailableError)

JITTER = 0.1
# Without a deadline, an outage longer than this is raised instead of waited out (seconds).
OUTAGE_LIMIT = 900.0


@lru_cache(maxsize=64)
def every(seconds: float) -> Interval:
    """Return the schedule of one poll every *seconds*."""
    if not seconds > 0:
        raise errors.ConfigurationError(f"an interval is a positive number of seconds, not {seconds!r}")
    return lambda _age: seconds


class DurationHistory:
    """How long the tasks of one provider took, and the schedules that follow from it."""

    def __init__(
        self, provider: Provider, store: DurationStore, *, poll_cost: float, on_warning: Callable[[str], None]
    ) -> None:
        self._provider, self._store, self._poll_cost = provider, store, poll_cost
        self._schedules: dict[str | None, Interval] = {}
        self._on_warning, self._has_warned = on_warning, False

    def schedule(self, environment: str | None) -> Script[Interval]:
        """Return the schedule for tasks of *environment*; the default one where no durations are known."""
        if environment not in self._schedules:
            typical = self._provider.capabilities.typical_seconds
            try:
                durations: Durations = yield Call(lambda: self._store.recall(self._provider.name, environment))
                schedule = Schedule(belief=durations.estimate(typical=typical), poll_cost=self._poll_cost)
            except Exception as error:  # noqa: BLE001 - a fault of the store never fails a task
                self._warn_once(error)
                schedule = Schedule(belief=Durations().estimate(typical=typical), poll_cost=self._poll_cost)
            self._schedules[environment] = schedule
        return self._schedules[environment]

    def record(self, durations: ObservedDurations) -> Script[None]:
        """Record how long tasks took."""
        if not durations:
            return
        try:
            yield Call(lambda: self._store.record(self._provider.name, durations))
        except Exception as error:  # noqa: BLE001 - as above
            self._warn_once(error)

    def _warn_once(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._on_warning(
                f"how long tasks take cannot be recorded ({type(error).__name__}: {error}); waits are not affected;"
                " set COATCHECK_STATE_HOME to a folder of yours, or COATCHECK_LEARN=off"
            )


class PollContext(msgspec.Struct, frozen=True, kw_only=True):
    """What all waits and watches of a client share. *wakes* are deliveries of webhooks that end pauses."""

    provider: ProviderMethods
    run: ExchangeRunner
    clock: Clock
    random: Callable[[], float]
    durations: DurationHistory
    reachability: Reachability
    recording: TaskRecording
    wakes: WakeSource | None = None

    @property
    def has_status_pages(self) -> bool:
        """Whether one request can return the states of many tasks."""
        return Verb.GET_STATUS_PAGE in self.provider.capabilities.verbs

    @property
    def can_get_task(self) -> bool:
        """Whether a task can be requested by its id."""
        return Verb.GET_TASK in self.provider.capabilities.verbs

    def get_snapshot(
        self, ref: TaskRef, memory: str, shown: Task | None = None, *, is_watched: bool, known: Task | None = None
    ) -> Script[TaskSnapshot]:
        """Poll a task; *memory* is from its last snapshot, *shown* what a status page has just shown of it.

        *known* is the task of the last snapshot, before `resolve_snapshot`.
        """
        if Verb.GET_SNAPSHOT not in self.provider.capabilities.verbs:
            exchange = get_task_again(self.provider, ref, known)
            return TaskSnapshot(task=(yield from self.run(exchange)), memory=memory)
        now = self.clock.time()
        snapshots = self.provider.get_snapshot(ref, memory=memory, is_watched=is_watched, now=now, shown=shown)
        return (yield from self.run(snapshots))

    def resolve_snapshot(self, snapshot: TaskSnapshot, *, first: bool) -> Script[tuple[TaskSnapshot, Task | None]]:
        """Return the snapshot with the state of all attempts, and the task if it has ended."""
        task = snapshot.task
        if (task.attempt_total or 1) == 1:
            return snapshot, task if task.state.ends_wait else None
        if task.state.is_interrupted:
            return snapshot, task
        ended = None
        if task.state.is_terminal or first:
            ended = with_attempts(task, (yield from self.run(self.provider.list_attempts(task))), first=first)
        return msgspec.structs.replace(snapshot, task=ended or _still_running(task)), ended


def ending_watch(ended: Task | None) -> Task | None:
    """Return the task that ends a watch; None for one that waits for a permission, which continues when it is decided."""
    return None if ended is not None and ended.permission_requests else ended


def with_attempts(task: Task, attempts: tuple[Attempt, ...], *, first: bool) -> Task | None:
    """Return *task* with its *attempts* where all of them have ended (any of them with *first*), else None."""
    enough = any if first else all
    if not attempts or not enough(attempt.state.is_terminal for attempt in attempts):
        return None
    state = task.state if task.state.is_terminal else next(a.state for a in attempts if a.state.is_terminal)
    return msgspec.structs.replace(task, attempts=attempts, state=state)


def _still_running(task: Task) -> Task:
    """Return *task* as running where its current attempt has ended but another has not."""
    return msgspec.structs.replace(task, state=TaskState.RUNNING) if task.state.is_terminal else task


def started_at(task: Task) -> float | None:
    """Return when the task started, or else was created, by the service's clock (seconds since the epoch)."""
    at = task.started_at or task.created_at
    return at.timestamp() if at else None


def observed_duration(task: Task, seconds: float) -> ObservedDurations:
    """Return the duration to record of a task that ended after *seconds*: none unless it succeeded."""
    return ((task.environment, seconds),) if task.state is TaskState.SUCCEEDED else ()


def retry_after_of(error: errors.CoatcheckError) -> float:
    """Return the pause that the service requires after an error, in seconds."""
    return getattr(error, "retry_after", None) or 0.0


def timeout_error(ref: TaskRef, timeout: float | None, outage: Outage | None) -> errors.WaitTimeoutError:
    """Return the error of a wait whose deadline has passed, during an *outage* or not."""
    state = "it is still running" if outage is None else f"{outage}, so its state is not known"
    message = f"{ref} has not ended within {timeout:g} {'second' if timeout == 1 else 'seconds'}; {state}"
    return errors.WaitTimeoutError(message, ref=ref, remedy=f"wait again with: coatcheck wait {ref}")
