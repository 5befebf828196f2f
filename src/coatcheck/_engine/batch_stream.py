"""The event stream of many tasks that are watched: reading it replaces the pauses between rounds of polls.

Invariants, beside those of `EventStream`:
- ids of events grow for each task; whether they grow over all tasks depends on the service;
- one connection serves all tasks; events of other tasks, and those that a task's watcher has had, are passed over;
- a task whose end a poll shows before the stream does is kept for one more round, so that what its agent wrote last is
  emitted once, and by the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from .._model.events import StateEvent, TaskEvent
from .._model.states import TaskState
from .._protocol.effects import Script
from .event_stream import EventStream, Wait

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .._protocol.provider import TaskSnapshot
    from .event_diff import SeenState
    from .poll_context import PollContext


TERMINAL = frozenset(state.value for state in TaskState if state.is_terminal)


class WatchedTask(msgspec.Struct):
    """One task of the batch, as an `EventStream` reads it."""

    context: PollContext
    ref: TaskRef
    seen: SeenState
    latest: Task | None = None
    on_change: Callable[[Task], object] | None = None


class BatchStream(EventStream):
    """The stream of a batch. *find* returns what was seen of a task, None for another one; *keep* stores that."""

    def __init__(
        self,
        connect: Callable[[str], Script[None]],
        *,
        find: Callable[[TaskRef], SeenState | None],
        keep: Callable[[TaskRef, SeenState], None],
        seen: Mapping[TaskRef, SeenState],
    ) -> None:
        """*seen* is what the watches that are continued have had."""
        super().__init__(connect, position=first_position([each.memory for each in seen.values()]))
        self._find, self._keep = find, keep
        self._ended = {ref for ref, each in seen.items() if each.state.partition("/")[0] in TERMINAL}
        self._due: dict[TaskRef, None] = {}
        # Tasks of which this stream, or the one that it continues, has reported something.
        self._began = {ref for ref, each in seen.items() if each.memory} - self._ended

    @property
    def is_usable(self) -> bool:
        """Whether the service has not denied the stream."""
        return not self._is_denied

    def take_due(self) -> tuple[TaskRef, ...]:
        """Return the tasks that are to be polled because of their events, once."""
        due = tuple(self._due)
        self._due.clear()
        return due

    @property
    def is_continued(self) -> bool:
        """Whether an earlier watch has read the stream, and a task had not ended then."""
        return self.has_position and bool(self._began)

    def expects_end(self, ref: TaskRef, snapshot: TaskSnapshot) -> bool:
        """Whether the stream has yet to report the end that *snapshot* shows; true once for each task."""
        is_expected = snapshot.task.state.is_terminal and ref in self._began and ref not in self._ended
        self._began.discard(ref)
        return is_expected and not self._is_denied

    def reported(self, ref: TaskRef, seen: SeenState, snapshot: TaskSnapshot) -> tuple[SeenState, TaskSnapshot]:
        """Return *snapshot* without what the stream reports of the task, and what has been seen of it."""
        one = WatchedTask(context=None, ref=ref, seen=seen)  # type: ignore[arg-type] # not read
        self._has_ended = ref in self._ended
        snapshot = self.without_repetition(one, snapshot)
        return one.seen, snapshot

    def _take(self, event: TaskEvent, wait: Wait) -> Script[bool]:
        """Emit an event of a task of the batch, unless a poll reports it; return whether a poll is due."""
        seen = self._find(event.ref)
        if seen is None or _is_known(event.id, seen.memory):
            self._position = event.id or self._position
            return False
        if isinstance(event, StateEvent):
            (self._ended.add if event.state.is_terminal else self._ended.discard)(event.ref)
        self._began.add(event.ref)
        one = WatchedTask(context=wait.context, ref=event.ref, seen=seen)
        is_due = yield from super()._take(event, one)
        self._keep(event.ref, one.seen)
        if is_due:
            self._due[event.ref] = None
        return is_due

    def _is_new(self, event: TaskEvent) -> bool:  # noqa: ARG002 - `_take` compares its id with those of its task
        """Return True: an id says nothing about the events of another task."""
        return True


def first_position(positions: list[str]) -> str:
    """Return the earliest of the positions at which watches of tasks continue; empty where one begins anew."""
    return min(positions, key=int) if all(each.isdecimal() for each in positions) else ""


def _is_known(id: str, memory: str) -> bool:
    return id.isdecimal() and memory.isdecimal() and int(id) <= int(memory)
