"""Watch many tasks with one script: what happens to each of them, for a fraction of what watching each costs.

Law 1. Pages tell of states, and of the end; what a task says meanwhile only a look at it tells: a list's times move
       with the states and not with what the agent does (jules.md 2.2).
Law 2. A page that shows n tasks is n times as cheap as looks at them, and what costs n times as much is asked for
       sqrt(n) times as seldom (`schedule`: the best interval grows with the root of the cost). So of n tasks that work
       on a page, a round looks at sqrt(n) by themselves: those that have waited longest, each every sqrt(n) rounds.
Law 3. Nobody waits for a first look, and one that has ended gets its last look at once; one that has not begun has
       nothing to tell.
Law 4. A learnt interval is what a wait for one task should take. A round here costs each task a share of a look, and
       comes sooner by the root of that share.
Law 5. What is kept per task is what has been told of it: the cursor of its last event is enough to go on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import msgspec

from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Script
from .._protocol.provider import StatusPage, TaskSnapshot
from .event_diff import SeenState, emit_changes
from .poll_many import BatchContext, PollRound, rounds
from .poll_one import AskAttempts, resolve_snapshot

# No round comes sooner after the last one than the schedule lets a look come (seconds; `Schedule.shortest`).
SHORTEST = 1.0


class WatchedTask(msgspec.Struct):
    """What has been told of a task, and in which round it was last looked at by itself; 0 is never."""

    seen: SeenState = SeenState()
    looked: int = 0


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """How a task is looked at by itself.

    *look* is given what the last look remembered, and what a page has just shown of the task. *is_learnt* says that
    nobody chose the interval.
    """

    look: Callable[[TaskRef, str, Task | None], Script[TaskSnapshot]]
    ask_attempts: AskAttempts
    is_learnt: bool


def watch_many(
    refs: Iterable[TaskRef], crowd: BatchContext, follow: Follow, *, after: Mapping[TaskRef, str] | None = None
) -> Script[None]:
    """Emit an event for whatever happens to any of the tasks, until each has ended or stands still.

    *after* has the cursors of the last events that are known. Raises `WaitTimeoutError` for the first task that goes
    on at the deadline.
    """
    known = after or {}
    watched = {ref: WatchedTask(SeenState.from_cursor(known.get(ref))) for ref in refs}
    return rounds(watched, crowd, WatchRound(crowd=crowd, reach=len(watched), follow=follow, watched=watched))


class WatchRound(PollRound, kw_only=True):
    """A round of a watch. *due* counts the looks that a round of this size always has."""

    follow: Follow
    watched: dict[TaskRef, WatchedTask]
    due: int = 0

    def go(self, pause: float) -> Script[float]:
        """Tell what is new."""
        self.due = 0
        unseen, size, pages = dict.fromkeys(self.watched), len(self.watched), 0
        if self.crowd.has_status_pages and (size > 1 or not self.crowd.can_get_task):
            pages = yield from self.swept(unseen, self._page)
        share = (pages + self.due + len(unseen)) / size
        if self.crowd.can_get_task:
            yield from self._looked_at(dict.fromkeys(unseen))
        if not self.follow.is_learnt:
            return pause
        return max(min(pause, SHORTEST), pause * math.sqrt(min(1.0, share)))

    def _page(self, sweep: StatusPage, tasks: list[Task]) -> Script[None]:
        """Tell what a page shows, then look at those that have ended and at those whose turn it is."""
        looks: dict[TaskRef, Task | None] = {}
        for task in tasks:
            if sweep.is_final and task.state.ends_wait:
                yield from self._take(task.ref, (TaskSnapshot(task=task), task))
            elif task.state.ends_wait:
                looks[task.ref] = None
            else:
                yield from self._tell(
                    task.ref, TaskSnapshot(task=task, events=(), memory=self.watched[task.ref].seen.memory)
                )
        if self.crowd.can_get_task:
            at_work = [task for task in tasks if not task.state.ends_wait and task.state is not TaskState.QUEUED]
            yield from self._looked_at({**looks, **{task.ref: task for task in self._turns(at_work)}})

    def _turns(self, at_work: list[Task]) -> list[Task]:
        """Return whose turn it is to be looked at: those that never were, and those that have waited longest."""
        longest_first = sorted(at_work, key=lambda task: self.watched[task.ref].looked)
        never = sum(not self.watched[task.ref].looked for task in at_work)
        share = round(math.sqrt(len(at_work)))
        self.due += share
        return longest_first[: max(never, share)]

    def _looked_at(self, shown: Mapping[TaskRef, Task | None]) -> Script[None]:
        return self.looked_at(tuple(shown), lambda ref: self._look(ref, shown[ref]), self._take)

    def _look(self, ref: TaskRef, shown: Task | None) -> Script[tuple[TaskSnapshot, Task | None]]:
        look = yield from self.follow.look(ref, self.watched[ref].seen.memory, shown)
        return (yield from resolve_snapshot(look, self.follow.ask_attempts, first=False))

    def _take(self, ref: TaskRef, found: tuple[TaskSnapshot, Task | None]) -> Script[None]:
        look, ended = found
        self.watched[ref].looked = self.number
        yield from self._tell(ref, look)
        if ended is not None:
            self.note(ended)
            del self.watched[ref]
        else:
            self.asked = max(self.asked, look.task.retry_after or 0.0)

    def _tell(self, ref: TaskRef, look: TaskSnapshot) -> Script[None]:
        told = self.watched[ref]
        told.seen, _ = yield from emit_changes(told.seen, look)
