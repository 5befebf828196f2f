"""Look at a task until it has ended, and no longer than asked.

Law 1. Three clocks, never mixed: one request (the transport's), getting one look through (`RetryPolicy`),
       the whole wait (`Deadline`).
Law 2. A look that fails for a reason that passes is another look later, within the deadline; the first look must
       succeed, and a refusal (401, 403, 404, unreadable) ends the wait at once.
Law 3. Giving up raises `WaitTimeoutError` with the ref: we stopped, the task did not.
Law 4. With several attempts a task has ended when all of them have (codex-wham.md 2.3 says only of one turn).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from .. import errors
from .._model.outcome import Attempt
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Clock, Emit, Script, Sleep
from .backoff import RetryPolicy
from .deadline import Deadline
from .events import Seen, changes

Interval: TypeAlias = Callable[[float], float]
Look: TypeAlias = Callable[[], Script[Task]]
AskAttempts: TypeAlias = Callable[[Task], Script[tuple[Attempt, ...]]]
PASSING = (errors.TransportError, errors.RateLimitError, errors.ProviderUnavailableError)

# A tenth of the age costs at most a twentieth of the duration in mean delay, and a six-minute task about 35 looks.
SHORTEST, LONGEST, SHARE = 2.0, 30.0, 0.1
JITTER = 0.1
# Without a deadline, a service that has been away for so long is reported instead of waited for (seconds).
PATIENCE = 900.0


def growing(age: float) -> float:
    """Return the default pause after *age* seconds of waiting: a tenth of it, between 2 and 30 seconds."""
    return min(LONGEST, max(SHORTEST, SHARE * age))


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
    interval: Interval = growing
    first: bool = False
    retry: RetryPolicy = RetryPolicy()

    def pause(self, age: float, looks: int) -> float:
        """Return the next pause: jittered by a tenth, and at a random phase after the first look."""
        wanted = self.interval(age)
        phase = 0.5 + 0.5 * self.random() if looks == 1 else 1.0
        return wanted * phase * (1 + JITTER * (2 * self.random() - 1))


def waiting(
    look: Look,
    ask_attempts: AskAttempts,
    *,
    ref: TaskRef,
    wait: Wait,
    after: str | None = None,
    on_change: Callable[[Task], object] | None = None,
) -> Script[Task]:
    """Emit an event for whatever is new at each look, and return the task once it has ended.

    Raises `WaitTimeoutError` when the deadline comes first.
    """
    deadline = Deadline(wait.timeout, clock=wait.clock)
    started = heard = wait.clock.monotonic()
    seen, looks = Seen.from_cursor(after), 0
    while True:
        asked = 0.0
        try:
            # Nothing of a look but `seen` outlives it: ten thousand waits hold no answers while they sleep.
            ended, seen = yield from _looked(look, ask_attempts, seen, first=wait.first, on_change=on_change)
        except PASSING as error:
            if not looks or (wait.timeout is None and wait.clock.monotonic() - heard > PATIENCE):
                raise
            asked = getattr(error, "retry_after", None) or 0.0
        else:
            if ended is not None:
                return ended
            heard = wait.clock.monotonic()
        looks += 1
        if deadline.is_past:
            raise gave_up(ref, wait.timeout)
        pause = max(asked, wait.pause(wait.clock.monotonic() - started, looks))
        yield Sleep(min(pause, deadline.remaining))


def _looked(
    look: Look, ask_attempts: AskAttempts, seen: Seen, *, first: bool, on_change: Callable[[Task], object] | None
) -> Script[tuple[Task | None, Seen]]:
    """Look once, tell what is new, and return the task if it has ended with what has been seen."""
    task = yield from look()
    ended = yield from _ended(task, ask_attempts, first=first)
    shown = ended or _still_running(task)
    before = seen
    for event, after in changes(before, shown):
        seen = after
        yield Emit(event)
    if on_change is not None and seen != before:
        on_change(shown)
    return ended, seen


def _ended(task: Task, ask_attempts: AskAttempts, *, first: bool) -> Script[Task | None]:
    """Return the task as it ended, with every attempt's outcome, or None while something still runs."""
    if (task.attempt_total or 1) == 1:
        return task if task.state.is_terminal else None
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
