"""Poll one task until it ends, or until a deadline.

Invariants:
- Three time limits are independent: one request (the transport's), one poll with its retries (`RetryPolicy`), and the
  whole wait (`Deadline`).
- The first poll must succeed. Later ones that fail with a transient error are repeated within the deadline; any other
  error (401, 403, 404, an unreadable answer) ends the wait at once.
- A wait that times out raises `WaitTimeoutError` with the ref; the task is still running.
- A task that needs input (`TaskState.ends_wait`) ends the wait: it makes no progress without a person. A watch of a task
  that waits for a permission continues: the permission is decided elsewhere, or at its deadline.
- Where the service has an event stream, reading it replaces the pauses (`coatcheck._engine.event_stream`).
- ``Retry-After`` of any answer can lengthen a pause, never shorten it.
- A delivery of a webhook about the task can end a pause (`wakeable_pauses`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .._model.tasks import Task, TaskRef
from .._protocol.effects import Script, Sleep
from .._protocol.logs import DEBUG, log
from .._protocol.provider import TaskSnapshot
from .deadline import Deadline
from .event_diff import SeenState, emit_changes
from .event_stream import EventStream
from .plan_approval import Approvals
from .poll_context import (
    JITTER,
    OUTAGE_LIMIT,
    TRANSIENT_ERRORS,
    Interval,
    PollContext,
    ending_watch,
    observed_duration,
    retry_after_of,
    started_at,
    timeout_error,
)
from .wakeable_pauses import WakeablePauses


class Wait(msgspec.Struct, kw_only=True):
    """One wait: its options, and all the state that it keeps between polls.

    *approvals* may continue a wait that a plan would end. *ended* is a task that had ended when the caller passed it.
    *polls* starts at 1 for a task that was just created, which saves the first poll. *retry_after* is the pause that
    the service requires, in seconds. *latest* is the task as the last poll showed it, *polled* as that poll returned it,
    without the states of further attempts.
    """

    context: PollContext
    ref: TaskRef
    timeout: float | None
    interval: Interval | None = None
    environment: str | None = None
    first: bool = False
    is_watched: bool = False
    approvals: Approvals | None = None
    ended: Task | None = None
    on_change: Callable[[Task], object] | None = None
    stream: EventStream | None = None
    latest: Task | None = None
    polled: Task | None = None
    seen: SeenState = SeenState()
    polls: int = 0
    started_at: float = 0.0
    last_response_at: float = 0.0
    retry_after: float = 0.0
    pauses: WakeablePauses | None = None

    def pause(self, interval: Interval) -> float:
        """Return the next pause in seconds, jittered by a tenth and never less than `retry_after`.

        The first pause has a random phase as well, to avoid synchronized polling.
        """
        context = self.context
        scheduled = interval(max(0.0, context.clock.time() - self.started_at))
        phase = 0.8 + 0.4 * context.random() if self.polls == 1 else 1.0
        scheduled = scheduled if self.pauses is None else self.pauses.stretched(scheduled)
        return max(self.retry_after, scheduled * phase * (1 + JITTER * (2 * context.random() - 1)))

    @property
    def is_failed(self) -> bool:
        """Whether a transient error ends the wait: at the first poll, and without a deadline after `OUTAGE_LIMIT`."""
        is_unreachable = self.timeout is None and self.context.clock.monotonic() - self.last_response_at > OUTAGE_LIMIT
        return not self.polls or is_unreachable


def poll_one(wait: Wait) -> Script[Task]:
    """Emit an event for each change of a task, and return the task once it has ended or needs input.

    Raises `WaitTimeoutError` at the deadline.
    """
    if wait.context.wakes is not None:
        wait.pauses = WakeablePauses(wait.context.wakes, wait.context.clock, [wait.ref])
    try:
        return (yield from _poll_until_end(wait))
    finally:
        if wait.stream is not None:
            wait.stream.close()
        if wait.pauses is not None:
            wait.pauses.close()


def _poll_until_end(wait: Wait) -> Script[Task]:
    clock, deadline = wait.context.clock, Deadline(wait.timeout, clock=wait.context.clock)
    wait.started_at, wait.last_response_at = clock.time(), clock.monotonic()
    interval = wait.interval or (yield from wait.context.durations.schedule(wait.environment))
    if wait.stream is not None and wait.stream.has_position:
        yield from wait.stream.read(wait, deadline)
    while True:
        if wait.polls:
            if deadline.is_past:
                raise timeout_error(wait.ref, wait.timeout, wait.context.reachability.outage)
            yield from _pause(wait, interval, deadline)
        try:
            ended = yield from deadline.limiting(_poll(wait))
        except TRANSIENT_ERRORS as error:
            if deadline.is_past:  # what is left of it is the limit of a request
                raise timeout_error(wait.ref, wait.timeout, wait.context.reachability.outage) from error
            if wait.is_failed:
                raise
            wait.retry_after = retry_after_of(error)
        else:
            wait.last_response_at = clock.monotonic()
            if ended is not None and (ended := (yield from _finish(wait, ended))) is not None:
                return ended
        wait.polls += 1


def _pause(wait: Wait, interval: Interval, deadline: Deadline) -> Script[None]:
    """Wait until the next poll: read the event stream where there is one."""
    if wait.stream is not None and (yield from wait.stream.read(wait, deadline)):
        return
    pause = min(wait.pause(interval), max(0.0, deadline.remaining))
    log("poll", DEBUG, "%s: poll %d in %.1f s", wait.ref, wait.polls + 1, pause)
    if wait.pauses is None:
        yield Sleep(pause)
    else:
        yield from wait.pauses.pause(pause, [wait.ref], retry_after=wait.retry_after)


def _finish(wait: Wait, ended: Task) -> Script[Task | None]:
    """Return the task that ends the wait and record its duration; None where its plan was approved."""
    if wait.pauses is not None and wait.polls:
        yield from wait.pauses.record_end(wait.ref)
    task = ended if wait.approvals is None else (yield from wait.approvals.considered(ended))
    if task is not None and wait.polls:
        age = wait.context.clock.time() - wait.started_at
        yield from wait.context.durations.record(observed_duration(task, age))
    return task


def _poll(wait: Wait) -> Script[Task | None]:
    """Poll once, emit what changed, and return the task if it has ended."""
    context = wait.context
    if wait.pauses is not None:
        wait.pauses.begin_polls([wait.ref])
    if wait.ended is not None:
        snapshot = TaskSnapshot(task=wait.ended)
    else:
        snapshot = yield from context.get_snapshot(
            wait.ref, wait.seen.memory, is_watched=wait.is_watched, known=wait.polled
        )
        wait.polled = snapshot.task
    log("poll", DEBUG, "%s: %s", wait.ref, snapshot.task.state.value)
    wait.retry_after = snapshot.task.retry_after or 0.0
    if wait.pauses is not None:
        wait.pauses.record_task(snapshot.task)
    if not wait.polls:
        wait.started_at = started_at(snapshot.task) or wait.started_at
    snapshot, ended = yield from context.resolve_snapshot(snapshot, first=wait.first)
    if wait.ended is None:  # what the caller passed may be older than what is recorded
        yield from context.recording.record([snapshot.task])
    if wait.stream is not None:
        if wait.is_watched and ended is not None and ended.state.is_terminal:
            yield from wait.stream.finish(wait)
        snapshot = wait.stream.without_repetition(wait, snapshot)
    wait.latest = snapshot.task
    wait.seen, is_changed = yield from emit_changes(wait.seen, snapshot)
    if wait.on_change is not None and is_changed:
        wait.on_change(snapshot.task)
    return ending_watch(ended) if wait.is_watched else ended
