"""The event stream of a task that is waited for: reading it replaces the pauses between polls.

Invariants:
- the stream never decides the state of a task: an event of a state, and the end of the stream, however it came, cause a
  poll;
- where a poll shows the end of a task before the stream does, a watch emits the events up to it first;
- a stream that was cut is resumed after the last event that was emitted, so each event is emitted once; of one that begins
  again, or that does not come to the end of its task, no message is repeated;
- while the stream brings nothing, the task is polled every `IDLE_POLL` seconds;
- where the service has no stream, or denies it, the wait polls as it would without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from .. import errors
from .._model.events import StateEvent, TaskAttempt, TaskDiff, TaskEvent, TaskMessage, TaskUsage
from .._model.tasks import TaskState
from .._protocol.effects import Emit, Receive, Request, Script
from .._protocol.logs import DEBUG, log
from .._protocol.provider import TaskSnapshot
from .deadline import Deadline
from .event_diff import SeenState
from .poll_context import TRANSIENT_ERRORS
from .reported_messages import ReportedMessages

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .._protocol.effects import Events
    from .._protocol.provider import ProviderMethods
    from .poll_context import PollContext

# A stream that is open and brings no event is not relied upon for longer than this (seconds).
IDLE_POLL = 60.0
# How long the events before the end of a task are read for (seconds), after a poll has shown that it has ended.
END_LIMIT = 10.0
# After a connection that brought no event and ended sooner than this (seconds), the next poll is as late as without it.
SHORT = 1.0


def events_after(provider: ProviderMethods, ref: TaskRef, after: str | None) -> Events:
    """Return the stream of a task, after an event: the id that the service gave it, or the cursor of a watch.

    The service's id is a number, or the text of the provider's `PollMemory`, a JSON array. Raises `ConfigurationError`
    for what is neither, and where the stream cannot be continued.
    """
    if not after:
        return provider.stream_events(ref)
    if not provider.capabilities.has_resumable_stream:
        raise errors.ConfigurationError(
            f"the event stream of {ref.provider} begins at its first event and cannot be continued",
            remedy="watch the task without its stream: polls can be continued",
        )
    is_position = after.startswith("[") or (after.isascii() and after.isdecimal())
    return provider.stream_events(ref, after=after if is_position else SeenState.from_cursor(after).memory)


class Wait(Protocol):
    """What a stream needs of the wait that it belongs to (`poll_one.Wait`)."""

    context: PollContext
    ref: TaskRef
    seen: SeenState
    latest: Task | None
    on_change: Callable[[Task], object] | None


class EventStream:
    """The stream of one wait. *connect* takes the id of the last event and returns the script that emits later ones."""

    def __init__(self, connect: Callable[[str], Script[None]], *, position: str = "") -> None:
        self._connect, self._position = connect, position
        self._script: Script[None] | None = None
        self._effect: Any = None
        self._is_denied = self._has_ended = False
        # The messages that were emitted: all of them, and those of earlier connections.
        self._messages: dict[TaskRef, ReportedMessages] = {}
        self._earlier: dict[TaskRef, ReportedMessages] = {}

    @property
    def has_position(self) -> bool:
        """Whether events were read before, by this wait or by the one that it continues."""
        return self._position != ""

    def close(self) -> None:
        """Read no more."""
        if self._script is not None:
            self._script.close()
        self._script = self._effect = None

    def without_repetition(self, wait: Wait, snapshot: TaskSnapshot) -> TaskSnapshot:
        """Return *snapshot* as one whose messages and progress the stream reports, with the position of the stream.

        After the end of a task those that the stream has not reported are left in, unless it has come to the end as well.
        """
        is_over, outcome = snapshot.task.state.ends_wait, snapshot.task.outcome
        texts = [each.text for each in outcome.messages] if outcome else []
        if self._is_denied or (is_over and not self._has_ended):
            wait.seen = msgspec.structs.replace(wait.seen, messages=self._count_reported(wait, texts))
            return snapshot
        if is_over and outcome:
            wait.seen = msgspec.structs.replace(wait.seen, messages=len(texts))
        return msgspec.structs.replace(snapshot, events=(), memory=wait.seen.memory)

    def _count_reported(self, wait: Wait, texts: Sequence[str]) -> int:
        """Return how many of the messages *texts* were reported, from the first one on."""
        count = wait.seen.messages
        if wait.ref in self._messages:
            messages = self._messages[wait.ref].from_first()
            for text in texts[:count]:
                messages.unreported(text)
            while count < len(texts) and not messages.unreported(texts[count]):
                count += 1
        return count

    def read(self, wait: Wait, deadline: Deadline) -> Script[bool]:
        """Emit events until a poll is due; return False where the ordinary pause comes first."""
        clock = wait.context.clock
        began, has_read = clock.monotonic(), False
        try:
            if self._script is None and not self._is_denied:
                self._step()
            while self._script is not None and clock.monotonic() - began < IDLE_POLL and not deadline.is_past:
                if type(self._effect) is not Emit:
                    yield from self._perform(deadline)
                    continue
                event: TaskEvent = self._effect.value
                if self._is_new(event):
                    has_read, is_due = True, (yield from self._take(event, wait))
                    self._step()
                    if is_due:
                        return True
                else:
                    self._step()
        except errors.CoatcheckError as error:
            log("poll", DEBUG, "%s: the event stream was cut: %s", wait.ref, error)
            self._script = self._effect = None
            self._is_denied = not isinstance(error, TRANSIENT_ERRORS)
        return has_read or clock.monotonic() - began >= SHORT

    def finish(self, wait: Wait, *, seconds: float = END_LIMIT) -> Script[None]:
        """Emit the events of a task that a poll shows as ended, up to the one of its end, which its service has sent."""
        clock = wait.context.clock
        began = clock.monotonic()
        try:
            while self._script is not None and not self._has_ended and clock.monotonic() - began < seconds:
                if type(self._effect) is not Emit:
                    yield from self._perform(Deadline(seconds, clock=clock))
                    continue
                event: TaskEvent = self._effect.value
                if self._is_new(event):
                    yield from self._take(event, wait)
                self._step()
        except errors.CoatcheckError as error:
            log("poll", DEBUG, "%s: the event stream was cut: %s", wait.ref, error)
            self._script = self._effect = None

    def _step(self, answer: object = None, error: Exception | None = None) -> None:
        """Run the script to its next effect; at its end there is no script."""
        try:
            if self._script is None:
                self._earlier = {ref: messages.from_first() for ref, messages in self._messages.items()}
                self._script = self._connect(self._position)
                self._effect = next(self._script)
            else:
                self._effect = self._script.throw(error) if error else self._script.send(answer)
        except StopIteration:
            self._script = self._effect = None

    def _perform(self, deadline: Deadline) -> Script[None]:
        """Perform an effect of the script: a request, a read, a pause of a retry."""
        effect = self._effect
        if type(effect) is Request and effect.stream and deadline.is_finite:
            effect = msgspec.structs.replace(effect, timeout=max(SHORT, deadline.remaining))
        elif type(effect) is Receive:
            effect = deadline.limited(effect)
        try:
            answer = yield effect
        except Exception as error:  # noqa: BLE001 - the script handles every error
            self._step(error=error)
        else:
            self._step(answer)

    def _is_new(self, event: TaskEvent) -> bool:
        """Whether an event was not read before: ids of numbers grow; a stream without ids may begin again."""
        if isinstance(event, TaskMessage) and not event.id and event.ref in self._earlier:
            return self._earlier[event.ref].unreported(event.message.text) != ""
        ids = (event.id, self._position)
        return not all(id.isdecimal() for id in ids) or int(event.id) > int(self._position)

    def _take(self, event: TaskEvent, wait: Wait) -> Script[bool]:
        """Emit an event, unless a poll reports it; return whether a poll is due."""
        self._position = event.id or self._position
        # An event without an id leaves the position of its task: `_position` may be that of another one.
        wait.seen = msgspec.structs.replace(wait.seen, memory=event.id or wait.seen.memory)
        if isinstance(event, StateEvent):
            self._has_ended = event.state.is_terminal
            is_seen = wait.seen.state == f"{event.state.value}/{event.raw_state}"
            return not is_seen and event.state is not TaskState.QUEUED
        if isinstance(event, TaskAttempt):
            return True
        if isinstance(event, TaskDiff) and event.attempt in (None, 1):
            size = (event.stats.files, event.stats.added, event.stats.removed)
            if size == wait.seen.stats:
                return False
            wait.seen = msgspec.structs.replace(wait.seen, stats=size)
        if isinstance(event, TaskUsage) and "usage" not in wait.seen.notices:
            wait.seen = msgspec.structs.replace(wait.seen, notices=(*wait.seen.notices, "usage"))
        if isinstance(event, TaskMessage):
            self._messages.setdefault(event.ref, ReportedMessages()).add(event.message.text)
        yield Emit(msgspec.structs.replace(event, id=wait.seen.to_cursor()))
        if wait.on_change is not None and wait.latest is not None and event.text:
            wait.on_change(msgspec.structs.replace(wait.latest, progress=event.text))
        return False
