"""Look at a task until it has ended, and no longer than asked.

Law 1. Three clocks, never mixed: one request (the transport's), getting one look through (`RetryPolicy`),
       the whole wait (`Deadline`).
Law 2. A look that fails for a reason that passes is another look later, within the deadline; the first look must
       succeed, and a refusal (401, 403, 404, unreadable) ends the wait at once.
Law 3. Giving up raises `WaitTimeoutError` with the ref: we stopped, the task did not.
Law 4. A task that stands still until somebody acts (`TaskState.ends_wait`) ends the wait: it will not move alone.
Law 5. ``Retry-After`` lengthens a pause, whatever the answer it came with, and never shortens one.
Law 6. With several attempts a task has ended when all of them have (codex-wham.md 2.3 says only of one turn).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec

from .. import errors
from .._model.outcome import Attempt
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.duration_store import ObservedDurations
from .._protocol.effects import Clock, Script, Sleep
from .._protocol.provider import TaskSnapshot
from .deadline import Deadline
from .event_diff import SeenState, emit_changes
from .plan_approval import Approvals
from .reachability import Outage, Reachability

Interval: TypeAlias = Callable[[float], float]
Remember: TypeAlias = Callable[[ObservedDurations], Script[None]]
AskAttempts: TypeAlias = Callable[[Task], Script[tuple[Attempt, ...]]]
TRANSIENT_ERRORS = (errors.TransportError, errors.RateLimitError, errors.ProviderUnavailableError)

JITTER = 0.1
# Without a deadline, a service that has been away for so long is reported instead of waited for (seconds).
OUTAGE_LIMIT = 900.0


@lru_cache(maxsize=64)
def every(seconds: float) -> Interval:
    """Return the policy of looking every so many seconds."""
    if not seconds > 0:
        raise errors.ConfigurationError(f"an interval is a positive number of seconds, not {seconds!r}")
    return lambda _age: seconds


class PollContext(msgspec.Struct, frozen=True, kw_only=True):
    """What all waits of a client share: the clock, the dice, and whom they ask.

    *schedule* gives the policy of an environment where nobody asked for one; *remember* is told how long
    tasks took whose end was seen, and not only found.
    """

    clock: Clock
    random: Callable[[], float]
    look: Callable[[Wait], Script[TaskSnapshot]]
    ask_attempts: AskAttempts
    schedule: Callable[[str | None], Script[Interval]]
    remember: Remember
    reachability: Reachability


class Wait(msgspec.Struct, kw_only=True):
    """One wait: what was asked for, and all that is kept while it sleeps: ten thousand of them hold no answers.

    *approvals* may let a wait go on that a plan would end. *came* is a task that had ended when it was handed over;
    *looks* is 1 where it was handed over as just created, which saves the first look; *asked* is how long the service
    wants to be left alone.
    """

    desk: PollContext
    ref: TaskRef
    timeout: float | None
    interval: Interval | None = None
    environment: str | None = None
    first: bool = False
    is_watched: bool = False
    approvals: Approvals | None = None
    came: Task | None = None
    on_change: Callable[[Task], object] | None = None
    seen: SeenState = SeenState()
    looks: int = 0
    born: float = 0.0
    heard: float = 0.0
    asked: float = 0.0

    def pause(self, interval: Interval) -> float:
        """Return the next pause: jittered by a tenth, and once at a random phase so that fleets do not beat in time.

        Never less than the service asked for.
        """
        desk = self.desk
        wanted = interval(max(0.0, desk.clock.time() - self.born))
        phase = 0.8 + 0.4 * desk.random() if self.looks == 1 else 1.0
        return max(self.asked, wanted * phase * (1 + JITTER * (2 * desk.random() - 1)))

    @property
    def is_given_up(self) -> bool:
        """Whether a failure ends it: the first look must succeed, and without a deadline patience ends at some time."""
        is_silent = self.timeout is None and self.desk.clock.monotonic() - self.heard > OUTAGE_LIMIT
        return not self.looks or is_silent


def waiting(wait: Wait) -> Script[Task]:
    """Emit an event for whatever is new at each look, and return the task once it has ended or stands still.

    Raises `WaitTimeoutError` when the deadline comes first.
    """
    clock, deadline = wait.desk.clock, Deadline(wait.timeout, clock=wait.desk.clock)
    wait.born, wait.heard = clock.time(), clock.monotonic()
    interval = wait.interval or (yield from wait.desk.schedule(wait.environment))
    while True:
        if wait.looks:
            if deadline.is_past:
                raise timeout_error(wait.ref, wait.timeout, wait.desk.reachability.outage)
            yield Sleep(min(wait.pause(interval), deadline.remaining))
        try:
            ended = yield from _looked(wait)
        except TRANSIENT_ERRORS as error:
            if wait.is_given_up:
                raise
            wait.asked = getattr(error, "retry_after", None) or 0.0
        else:
            wait.heard = clock.monotonic()
            if ended is not None and (ended := (yield from _let_go(wait, ended))) is not None:
                return ended
        wait.looks += 1


def _let_go(wait: Wait, ended: Task) -> Script[Task | None]:
    """Return the task that ends the wait, None where it is approved and goes on."""
    resolve_snapshot = ended if wait.approvals is None else (yield from wait.approvals.considered(ended))
    if resolve_snapshot is not None and wait.looks:
        yield from wait.desk.remember(observed_duration(resolve_snapshot, wait.desk.clock.time() - wait.born))
    return resolve_snapshot


def _looked(wait: Wait) -> Script[Task | None]:
    """Look once, tell what is new, and return the task if it has ended."""
    looked = yield from wait.desk.look(wait)
    wait.asked = looked.task.retry_after or 0.0
    if not wait.looks:
        wait.born = born(looked.task) or wait.born
    shown, ended = yield from resolve_snapshot(looked, wait.desk.ask_attempts, first=wait.first)
    wait.seen, is_news = yield from emit_changes(wait.seen, shown)
    if wait.on_change is not None and is_news:
        wait.on_change(shown.task)
    return ended


def born(task: Task) -> float | None:
    """Return when the work that is waited for began, by the service's clock (seconds since the epoch)."""
    began = task.started_at or task.created_at
    return began.timestamp() if began else None


def observed_duration(task: Task, seconds: float) -> ObservedDurations:
    """Return what is learnt from a task that ended at the age of so many *seconds*: nothing unless it succeeded."""
    return ((task.environment, seconds),) if task.state is TaskState.SUCCEEDED else ()


def resolve_snapshot(
    look: TaskSnapshot, ask_attempts: AskAttempts, *, first: bool
) -> Script[tuple[TaskSnapshot, Task | None]]:
    """Return the look as it is told of, and the task if it has ended."""
    ended = yield from finished_task(look.task, ask_attempts, first=first)
    return msgspec.structs.replace(look, task=ended or _still_running(look.task)), ended


def finished_task(task: Task, ask_attempts: AskAttempts, *, first: bool) -> Script[Task | None]:
    """Return the task as it ended, with every attempt's outcome, or None while something still runs."""
    if (task.attempt_total or 1) == 1:
        return task if task.state.ends_wait else None
    if not (task.state.is_terminal or first):
        return None
    attempts = yield from ask_attempts(task)
    enough = any if first else all
    if not attempts or not enough(attempt.state.is_terminal for attempt in attempts):
        return None
    state = task.state if task.state.is_terminal else next(a.state for a in attempts if a.state.is_terminal)
    return msgspec.structs.replace(task, attempts=attempts, state=state)


def _still_running(task: Task) -> Task:
    """Return *task* as running where its current attempt has ended but another has not."""
    return msgspec.structs.replace(task, state=TaskState.RUNNING) if task.state.is_terminal else task


def timeout_error(ref: TaskRef, timeout: float | None, outage: Outage | None) -> errors.WaitTimeoutError:
    """Return the error of a wait whose deadline has come, during an *outage* or not."""
    state = "it is still running" if outage is None else f"{outage}, so its state is not known"
    message = f"{ref} has not ended within {timeout:g} seconds; {state}"
    return errors.WaitTimeoutError(message, ref=ref, remedy=f"wait again with: coatcheck wait {ref}")
