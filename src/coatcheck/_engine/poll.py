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
from typing import TypeAlias

import msgspec

from .. import errors
from .._model.outcome import Attempt
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Clock, Emit, Script, Sleep
from .._protocol.provider import Look
from .approve import Approvals
from .deadline import Deadline
from .events import Seen, news

Interval: TypeAlias = Callable[[float], float]
LookAgain: TypeAlias = Callable[[str], Script[Look]]
AskAttempts: TypeAlias = Callable[[Task], Script[tuple[Attempt, ...]]]
PASSING = (errors.TransportError, errors.RateLimitError, errors.ProviderUnavailableError)

JITTER = 0.1
# Without a deadline, a service that has been away for so long is reported instead of waited for (seconds).
PATIENCE = 900.0


def every(seconds: float) -> Interval:
    """Return the policy of looking every so many seconds."""
    if not seconds > 0:
        raise errors.ConfigurationError(f"an interval is a positive number of seconds, not {seconds!r}")
    return lambda _age: seconds


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """How to wait: for how long, how often, and for which attempts."""

    clock: Clock
    random: Callable[[], float]
    timeout: float | None
    interval: Interval
    first: bool = False

    def pause(self, age: float, looks: int) -> float:
        """Return the next pause: jittered by a tenth, and once at a random phase so that fleets do not beat in time."""
        wanted = self.interval(age)
        phase = 0.5 + 0.5 * self.random() if looks == 1 else 1.0
        return wanted * phase * (1 + JITTER * (2 * self.random() - 1))


class _Progress(msgspec.Struct):
    """All that a wait keeps while it sleeps: ten thousand waits hold no answers."""

    seen: Seen
    born: float
    heard: float
    looks: int = 0
    asked: float = 0.0


def waiting(
    look: LookAgain,
    ask_attempts: AskAttempts,
    *,
    ref: TaskRef,
    wait: Wait,
    approvals: Approvals | None = None,
    known: Task | None = None,
    after: str | None = None,
    on_change: Callable[[Task], object] | None = None,
    on_end: Callable[[Task, float], Script[None]] | None = None,
) -> Script[Task]:
    """Emit an event for whatever is new at each look, and return the task once it has ended or stands still.

    *look* is given what the look before remembered. *approvals* may let a wait go on that a plan would end. *known* is the task as just created, which saves the first look. *on_end* is performed with the task and its age in
    seconds when its end was seen, and not only found. Raises `WaitTimeoutError` when the deadline comes first.
    """
    clock, deadline = wait.clock, Deadline(wait.timeout, clock=wait.clock)
    progress = _begun(known, after, clock)
    while True:
        if progress.looks:
            if deadline.is_past:
                raise gave_up(ref, wait.timeout)
            pause = max(progress.asked, wait.pause(max(0.0, clock.time() - progress.born), progress.looks))
            yield Sleep(min(pause, deadline.remaining))
        try:
            ended = yield from _looked(look, ask_attempts, progress, wait=wait, on_change=on_change)
        except PASSING as error:
            if not progress.looks or (wait.timeout is None and clock.monotonic() - progress.heard > PATIENCE):
                raise
            progress.asked = getattr(error, "retry_after", None) or 0.0
        else:
            progress.heard = clock.monotonic()
            if ended is not None and approvals is not None:
                ended = yield from approvals.considered(ended)
            if ended is not None:
                if on_end is not None and progress.looks:
                    yield from on_end(ended, clock.time() - progress.born)
                return ended
        progress.looks += 1


def _begun(known: Task | None, after: str | None, clock: Clock) -> _Progress:
    progress = _Progress(Seen.from_cursor(after), born=clock.time(), heard=clock.monotonic())
    if known is not None:
        progress.looks, progress.asked = 1, known.retry_after or 0.0
    return progress


def _looked(
    look: LookAgain,
    ask_attempts: AskAttempts,
    progress: _Progress,
    *,
    wait: Wait,
    on_change: Callable[[Task], object] | None,
) -> Script[Task | None]:
    """Look once, tell what is new, and return the task if it has ended."""
    looked = yield from look(progress.seen.memory)
    progress.asked = looked.task.retry_after or 0.0
    if not progress.looks:
        progress.born = _born(looked.task) or progress.born
    ended = yield from settled(looked.task, ask_attempts, first=wait.first)
    shown = ended or _still_running(looked.task)
    is_news = False
    for event, seen in news(progress.seen, msgspec.structs.replace(looked, task=shown)):
        progress.seen, is_news = seen, True
        yield Emit(event)
    progress.seen = msgspec.structs.replace(progress.seen, memory=looked.memory)
    if on_change is not None and is_news:
        on_change(shown)
    return ended


def _born(task: Task) -> float | None:
    """Return when the work that is waited for began, by the service's clock (seconds since the epoch)."""
    began = task.started_at or task.created_at
    return began.timestamp() if began else None


def settled(task: Task, ask_attempts: AskAttempts, *, first: bool) -> Script[Task | None]:
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


def gave_up(ref: TaskRef, timeout: float | None) -> errors.WaitTimeoutError:
    """Return the error of a wait whose deadline has come."""
    message = f"{ref} has not ended within {timeout:g} seconds; it goes on without us"
    return errors.WaitTimeoutError(message, ref=ref, remedy=f"wait again with: coatcheck wait {ref}")
