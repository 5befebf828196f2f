"""Poll many tasks with one script: a status page shows 20 or 100 tasks for one request.

Invariants:
- Each round requests status pages first: at most one more than showed a task of this batch in this round or in the
  one before, and never more than there are tasks. Tasks that no page showed are then polled one by one.
- A page only shows that a task has ended; the task that is returned was polled by itself, except from a page that is
  final (`StatusPage.is_final`).
- A record that the service delivers once (a queue message) is acknowledged after its task was emitted.
- ``Retry-After`` of any answer lengthens the pause of the whole batch.
- A service without `get_task` is polled by status pages alone.
- A task that the service refuses leaves the batch; its error is raised after the others have ended. A refused login
  is raised at once.
- The duration of a task is recorded only if it ended after the first round: otherwise the end was not observed.
- Without a deadline, an outage longer than `OUTAGE_LIMIT` seconds is raised.
- A delivery of a webhook about a task has that task polled by itself, without the others (`wakeable_pauses`).
- Where the service has an event stream of many tasks, a watch reads it between rounds (`batch_stream`); a task whose
  state an event reports is polled by itself, without the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from .. import errors
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Emit, Script, Sleep, Together
from .._protocol.logs import DEBUG, log
from .._protocol.provider import StatusPage, TaskSnapshot
from .batch_stream import BatchStream, WatchedTask
from .deadline import Deadline
from .event_diff import SeenState, emit_changes, new_events
from .event_stream import IDLE_POLL
from .pipeline import emitted
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

# Polls of one effect; the driver bounds how many are in flight.
BATCH = 32
# The shortest pause between rounds of a watch with an estimated schedule (seconds; as `Schedule.shortest`).
SHORTEST = 1.0


class BatchContext(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one batch. With *is_watched* every change is emitted as an event, otherwise each ended task.

    *is_learnt* means that the interval follows from recorded durations, not from an argument. *connect* opens the event
    stream of tasks after a position, where a watch reads one.
    """

    poll: PollContext
    timeout: float | None
    interval: Interval
    is_watched: bool
    is_learnt: bool = False
    connect: Callable[[Sequence[TaskRef], str], Script[None]] | None = None


class PolledTask(msgspec.Struct, frozen=True):
    """What is kept of a task: what was emitted, and the round of its last poll by itself (0: never)."""

    seen: SeenState = SeenState()
    polled_in: int = 0


NEVER_POLLED = PolledTask()


class PollRound(msgspec.Struct, kw_only=True):
    """State of one round of *size* tasks: requests that it costs, the pause that the service requires, ends to record."""

    number: int
    size: int
    requests: int = 0
    retry_after: float = 0.0
    durations: list[tuple[str | None, float]] = []


class BatchPoller:
    """The polls of one batch, with its tasks, its deadline, the refused tasks and the reach of status pages."""

    def __init__(self, context: BatchContext, tasks: dict[TaskRef, PolledTask]) -> None:
        self._context, self._poll, self._tasks = context, context.poll, tasks
        self._deadline = Deadline(context.timeout, clock=context.poll.clock)
        self._started_at = self._last_response_at = context.poll.clock.monotonic()
        self._last_error: errors.CoatcheckError | None = None
        self._refused: dict[TaskRef, errors.CoatcheckError] = {}
        self._reach = len(tasks)  # the last page that showed a task of this batch in the round before
        self._round = PollRound(number=0, size=len(tasks))
        self._pauses: WakeablePauses | None = None
        self._stream = self._event_stream()

    def run(self) -> Script[None]:
        """Poll until every task has ended.

        Raises `WaitTimeoutError` for the first task that has not ended at the deadline, and otherwise at the end the
        error of the first task that was refused.
        """
        if self._poll.wakes is not None:
            self._pauses = WakeablePauses(self._poll.wakes, self._poll.clock, self._tasks)
        try:
            return (yield from self._run_rounds())
        finally:
            if self._pauses is not None:
                self._pauses.close()
            if self._stream is not None:
                self._stream.close()

    def _event_stream(self) -> BatchStream | None:
        """Return the stream that is read between rounds, None where there is none."""
        connect, refs = self._context.connect, tuple(self._tasks)
        if connect is None:
            return None
        seen = {ref: task.seen for ref, task in self._tasks.items()}
        return BatchStream(lambda after: connect(refs, after), find=self._seen_of, keep=self._keep_seen, seen=seen)

    def _seen_of(self, ref: TaskRef) -> SeenState | None:
        task = self._tasks.get(ref)
        return None if task is None else task.seen

    def _keep_seen(self, ref: TaskRef, seen: SeenState) -> None:
        self._tasks[ref] = PolledTask(seen, self._tasks[ref].polled_in)

    def _read_stream(self) -> Script[bool]:
        """Emit events until a round is due; return False where the ordinary pause comes first."""
        if self._stream is None:
            return False
        ref, task = next(iter(self._tasks.items()))
        wait = WatchedTask(context=self._poll, ref=ref, seen=task.seen)
        return (yield from self._stream.read(wait, self._deadline))

    def _follow_stream(self) -> Script[bool]:
        """Emit events, and poll the tasks that they name, until a round is due; return False where a pause comes first."""
        clock = self._poll.clock
        began = clock.monotonic()
        while self._tasks and (yield from self._read_stream()):
            refs = [ref for ref in self._stream.take_due() if ref in self._tasks] if self._stream else []
            if not refs or not self._poll.can_get_task or clock.monotonic() - began >= IDLE_POLL:
                return True
            self._round = PollRound(number=self._round.number + 1, size=len(self._tasks))
            yield from self._poll_each(dict.fromkeys(refs))
            yield from self._poll.durations.record(self._round.durations)
        return not self._tasks

    def poll_once(self, refs: Iterable[TaskRef]) -> Script[None]:
        """Poll *refs* in one round, and emit those that have ended; `refused` then has the errors of single tasks.

        For callers that choose the pauses between rounds themselves. Raises what the status pages raise.
        """
        self._tasks = {ref: self._tasks.get(ref, NEVER_POLLED) for ref in refs}
        self._reach = self._reach or len(self._tasks)
        self._round = PollRound(number=self._round.number + 1, size=len(self._tasks))
        self._refused.clear()
        yield from self._run_round()
        yield from self._poll.durations.record(self._round.durations)

    @property
    def interval(self) -> Interval:
        """The pause between two rounds, by the age of the tasks."""
        return self._context.interval

    @property
    def refused(self) -> Mapping[TaskRef, errors.CoatcheckError]:
        """The tasks that the service refused, with its errors."""
        return self._refused

    @property
    def retry_after(self) -> float:
        """The pause in seconds that the service required in the last round."""
        return self._round.retry_after

    @property
    def outage(self) -> errors.CoatcheckError | None:
        """The transient error of the last poll, None where a later one was answered."""
        return self._last_error

    def _run_rounds(self) -> Script[None]:
        if self._stream is not None and self._stream.is_continued:
            yield from self._read_stream()
        while self._tasks:
            self._round = PollRound(number=self._round.number + 1, size=len(self._tasks))
            pause = self._context.interval(self._poll.clock.monotonic() - self._started_at)
            try:
                yield from self._run_round()
            except TRANSIENT_ERRORS as error:
                self._last_error, self._round.retry_after = error, retry_after_of(error)
            else:
                pause = self._shortened(pause)
            yield from self._poll.durations.record(self._round.durations)
            self._raise_lasting_outage()
            if self._tasks and (yield from self._follow_stream()):
                continue
            if self._tasks and self._pauses is None:
                yield Sleep(self._pause(pause))
            elif self._tasks and self._pauses is not None:
                yield from self._pause_or_poll_named(self._pauses, self._pause(self._pauses.stretched(pause)))
        if self._refused:
            raise _refusal(self._refused)

    def _run_round(self) -> Script[None]:
        """Request status pages, then poll the tasks that they did not show."""
        if self._pauses is not None:
            self._pauses.begin_polls(self._tasks)
        unseen = dict.fromkeys(self._tasks)
        if self._uses_status_pages:
            yield from self._read_pages(unseen)
        self._round.requests += len(unseen)
        if self._poll.can_get_task:
            yield from self._poll_each(dict.fromkeys(unseen))

    @property
    def _uses_status_pages(self) -> bool:
        """Whether this round requests status pages: to watch a single task they cost more than they save."""
        is_worth_it = len(self._tasks) > 1 or not (self._context.is_watched and self._poll.can_get_task)
        return self._poll.has_status_pages and is_worth_it

    def _read_pages(self, unseen: dict[TaskRef, None]) -> Script[None]:
        """Request pages, and remove the tasks that they show from *unseen*."""
        cursor, number, reach, most = None, 0, 0, len(unseen)
        while number < min(max(self._reach, reach) + 1, most):
            number += 1
            exchange = self._poll.provider.get_status_page(tuple(unseen), cursor=cursor)
            page: StatusPage = yield from self._deadline.limiting(self._poll.run(exchange))
            self._record_response()
            self._round.requests += 1
            yield from self._poll.recording.record(page.tasks)  # before a queue forgets them
            tasks = {task.ref: task for task in page.tasks if task.ref in unseen and _has_state(task)}
            for ref in tasks:
                del unseen[ref]
            yield from self._take_page(page, list(tasks.values()))
            if page.receipts:
                yield from self._poll.run(self._poll.provider.acknowledge(page))
            reach = number if tasks else reach
            if not unseen or page.cursor in (None, cursor):
                break
            cursor = page.cursor
        self._reach = reach

    def _take_page(self, page: StatusPage, tasks: list[Task]) -> Script[None]:
        """Emit what *page* shows of *tasks*, then poll those that have ended and those whose turn it is."""
        polls: dict[TaskRef, Task | None] = {}
        for task in tasks:
            if task.state.ends_wait and page.is_final:
                yield from self._take(task.ref, TaskSnapshot(task=task), task)
            elif task.state.ends_wait:
                polls[task.ref] = None
            elif self._context.is_watched:
                memory = self._tasks[task.ref].seen.memory
                yield from self._emit_changes(task.ref, TaskSnapshot(task=task, events=(), memory=memory))
        if self._poll.can_get_task:
            polls |= {task.ref: task for task in self._turns(tasks)}
            yield from self._poll_each(polls)

    def _turns(self, tasks: list[Task]) -> list[Task]:
        """Return which running tasks of a page a watch polls: those never polled, and the longest not polled.

        A page does not show what an agent reports meanwhile (`docs/reference/protocols/jules.md`, 2.2). A page
        of n tasks costs 1/n of polling each, and what costs n times as much is worth 1/sqrt(n) of the frequency
        (`schedule.py`): sqrt(n) tasks are polled in each round. A stream reports it without polls.
        """
        if not self._context.is_watched or (self._stream is not None and self._stream.is_usable):
            return []
        running = [task for task in tasks if not task.state.ends_wait and task.state is not TaskState.QUEUED]
        longest_first = sorted(running, key=lambda task: self._tasks[task.ref].polled_in)
        never = sum(not self._tasks[task.ref].polled_in for task in running)
        share = round(math.sqrt(len(running)))
        self._round.requests += share
        return longest_first[: max(never, share)]

    def _poll_each(self, shown: Mapping[TaskRef, Task | None]) -> Script[None]:
        """Poll tasks one by one, some at once; *shown* has what a page has just shown of each."""
        refs = tuple(shown)
        for start in range(0, len(refs), BATCH):
            batch = refs[start : start + BATCH]
            results: list[tuple[TaskSnapshot, Task | None] | errors.CoatcheckError] = yield Together(
                tuple(self._poll_task(ref, shown[ref]) for ref in batch)
            )
            for ref, result in zip(batch, results, strict=True):
                if isinstance(result, errors.CoatcheckError):
                    self._record_error(ref, result)
                else:
                    self._record_response()
                    yield from self._take(ref, *result)

    def _poll_task(self, ref: TaskRef, shown: Task | None) -> Script[tuple[TaskSnapshot, Task | None]]:
        memory = self._tasks[ref].seen.memory
        polled = self._poll.get_snapshot(ref, memory, shown, is_watched=self._context.is_watched)
        snapshot = yield from self._deadline.limiting(polled)
        snapshot, ended = yield from self._poll.resolve_snapshot(snapshot, first=False)
        yield from self._poll.recording.record([snapshot.task])
        return snapshot, ending_watch(ended) if self._context.is_watched else ended

    def _take(self, ref: TaskRef, snapshot: TaskSnapshot, ended: Task | None) -> Script[None]:
        """Emit what a snapshot shows of a task, and remove the task if it has ended."""
        if self._pauses is not None:
            self._pauses.record_task(snapshot.task)
        if self._stream is not None and self._stream.expects_end(ref, snapshot):
            return
        if self._context.is_watched:
            yield from self._emit_changes(ref, snapshot)
        if ended is None:
            self._round.retry_after = max(self._round.retry_after, snapshot.task.retry_after or 0.0)
            self._record_poll(ref, snapshot.memory)
            return
        del self._tasks[ref]
        if self._pauses is not None and self._round.number > 1:
            yield from self._pauses.record_end(ref)
        self._record_duration(ended)
        if not self._context.is_watched:
            yield Emit(ended)

    def _emit_changes(self, ref: TaskRef, snapshot: TaskSnapshot) -> Script[None]:
        task = self._tasks[ref]
        seen = task.seen
        if self._stream is not None:
            seen, snapshot = self._stream.reported(ref, seen, snapshot)
        seen, _ = yield from emit_changes(seen, snapshot)
        self._tasks[ref] = PolledTask(seen, task.polled_in)

    def _record_poll(self, ref: TaskRef, memory: str) -> None:
        """Keep what the next poll needs; of a task that is not watched only the provider's memory, if there is any."""
        if self._context.is_watched:
            self._tasks[ref] = PolledTask(self._tasks[ref].seen, self._round.number)
        else:
            self._tasks[ref] = PolledTask(SeenState(memory=memory)) if memory else NEVER_POLLED

    def _record_response(self) -> None:
        self._last_response_at, self._last_error = self._poll.clock.monotonic(), None

    def _record_duration(self, task: Task) -> None:
        if self._round.number > 1 and (start := started_at(task)) is not None:
            self._round.durations += observed_duration(task, self._poll.clock.time() - start)

    def _record_error(self, ref: TaskRef, error: errors.CoatcheckError) -> None:
        """Classify the error of one poll: transient, of this task alone, or else raised."""
        if isinstance(error, TRANSIENT_ERRORS):
            self._last_error = error
            self._round.retry_after = max(self._round.retry_after, retry_after_of(error))
        elif isinstance(error, errors.ProviderError) and not isinstance(error, errors.AuthenticationError):
            self._record_response()
            self._refused[ref] = error
            self._tasks.pop(ref, None)
        else:
            raise error

    def _shortened(self, pause: float) -> float:
        """Return the pause of a watch whose round cost each task a share of a poll: shorter by the root of that share.

        Only an estimated schedule, which is made for polling one task, is shortened.
        """
        if not (self._context.is_watched and self._context.is_learnt):
            return pause
        share = min(1.0, self._round.requests / self._round.size)
        return max(min(pause, SHORTEST), pause * math.sqrt(share))

    def _raise_lasting_outage(self) -> None:
        is_unreachable = self._context.timeout is None and self._seconds_since_response > OUTAGE_LIMIT
        if self._last_error is not None and is_unreachable:
            raise self._last_error

    @property
    def _seconds_since_response(self) -> float:
        return self._poll.clock.monotonic() - self._last_response_at

    def _pause_or_poll_named(self, pauses: WakeablePauses, seconds: float) -> Script[None]:
        """Pause until the next round; poll the tasks that deliveries name meanwhile."""
        clock = self._poll.clock
        end, retry_after = clock.monotonic() + seconds, self._round.retry_after
        while self._tasks and (remaining := end - clock.monotonic()) > 0:
            refs = yield from pauses.pause(remaining, self._tasks, retry_after=retry_after)
            if not refs or not self._poll.can_get_task:
                return  # to a round, which requests status pages
            self._round = PollRound(number=self._round.number + 1, size=len(self._tasks))
            pauses.begin_polls(refs)
            yield from self._poll_each(dict.fromkeys(refs))
            yield from self._poll.durations.record(self._round.durations)
            retry_after = self._round.retry_after
            end = max(end, clock.monotonic() + min(retry_after, self._deadline.remaining))

    def _pause(self, pause: float) -> float:
        """Return the seconds until the next round, jittered; raises `WaitTimeoutError` at the deadline."""
        if self._deadline.is_past:
            outage = self._poll.reachability.outage
            raise timeout_error(next(iter(self._tasks)), self._context.timeout, outage)
        jittered = pause * (1 + JITTER * (2 * self._poll.random() - 1))
        seconds = min(max(jittered, self._round.retry_after), self._deadline.remaining)
        log("poll", DEBUG, "round %d: %d tasks left, the next in %.1f s", self._round.number, len(self._tasks), seconds)
        return seconds


def _refusal(refused: Mapping[TaskRef, errors.CoatcheckError]) -> errors.CoatcheckError:
    """Return the error of the first *refused* task, with its ref and the refs of the others in the message."""
    (ref, error), *others = refused.items()
    more = f"; refused too: {', '.join(str(other) for other, _ in others)}" if others else ""
    error.args = (f"{ref}: {error}{more}",)
    return error


def _has_state(task: Task) -> bool:
    """Whether a page shows the state of *task*; one that it only lists is polled by itself."""
    return task.state is not TaskState.UNKNOWN or task.raw_state is not None


def poll_many(refs: Iterable[TaskRef], context: BatchContext) -> Script[None]:
    """Emit each task once it has ended. Raises `WaitTimeoutError` for the first that has not at the deadline."""
    return BatchPoller(context, dict.fromkeys(refs, NEVER_POLLED)).run()


def watch_many(
    refs: Iterable[TaskRef], context: BatchContext, *, after: Mapping[TaskRef, str] | None = None
) -> Script[None]:
    """Emit an event for each change of any task, until each has ended or needs input.

    *after* has the ids of the last events that the caller has received. Raises `WaitTimeoutError` for the first task
    that is still running at the deadline.
    """
    cursors = after or {}
    tasks = {ref: PolledTask(SeenState.from_cursor(cursors.get(ref))) for ref in refs}
    return BatchPoller(context, tasks).run()


def ended_task(script: Script[None], *, on_change: Callable[[Task], object] | None) -> Script[Task]:
    """Return the one task that *script* emits when it has ended, and emit its events in place of it."""
    task: Task
    (task,) = yield from emitted(script)
    for event, _ in new_events(SeenState(), TaskSnapshot(task=task)):
        yield Emit(event)
    if on_change is not None:
        on_change(task)
    return task
