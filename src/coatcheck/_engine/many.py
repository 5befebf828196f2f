"""Wait for many tasks with one script: a list page tells of twenty or a hundred where a look tells of one.

Law 1. Each round takes the cheaper way: pages of the list, fewer than there are tasks and no further than they showed
       somebody the round before; then single looks at whom the pages did not show.
Law 2. A page only says that something ended: the task handed out was looked at by itself, unless the service says
       that the page was all there is (`Sweep.is_final`).
Law 3. A record that a service hands out once (a queue's message) is acknowledged after its task was handed out.
Law 4. ``Retry-After``, of whichever task or answer, lengthens the pause for everybody.
Law 5. A service that tells an end once, to whoever sweeps, is only swept: its tasks cannot be looked at.
Law 6. What is kept per task is its ref and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from .. import errors
from .._model.tasks import Task, TaskRef
from .._protocol.effects import Clock, Emit, Script, Sleep, Together
from .._protocol.provider import Provider, Sweep
from .ask import Ask
from .deadline import Deadline
from .poll import PASSING, Interval, gave_up

# Looks at once, so that a fleet's end does not arrive one by one: the driver bounds what is in flight.
BATCH = 32
JITTER = 0.1


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """How to wait for many: the same three clocks as for one. `look` gives who has ended, or for how long not to ask."""

    provider: Provider
    ask: Ask
    clock: Clock
    random: Callable[[], float]
    timeout: float | None
    interval: Interval
    look: Callable[[TaskRef], Script[tuple[Task | None, float]]]

    @property
    def can_sweep(self) -> bool:
        """Whether the service can tell of many tasks at once."""
        return "sweep_tasks" in self.provider.capabilities.verbs

    @property
    def can_look(self) -> bool:
        """Whether the service can tell of one task."""
        return "get_task" in self.provider.capabilities.verbs


def waiting_for_many(refs: Iterable[TaskRef], crowd: Crowd) -> Script[None]:
    """Emit each task once it has ended. Raises `WaitTimeoutError` for the first that has not by the deadline."""
    waiting = dict.fromkeys(refs)
    started, deadline = crowd.clock.monotonic(), Deadline(crowd.timeout, clock=crowd.clock)
    reach = len(waiting)
    while waiting:
        pause = crowd.interval(crowd.clock.monotonic() - started)
        try:
            reach, asked = yield from _round(waiting, crowd, reach)
        except PASSING as error:
            asked = _asked(error)
        if waiting and deadline.is_past:
            raise gave_up(next(iter(waiting)), crowd.timeout)
        if waiting:
            pause *= 1 + JITTER * (2 * crowd.random() - 1)
            yield Sleep(min(max(pause, asked), deadline.remaining))


def _asked(error: errors.CoatcheckError) -> float:
    return getattr(error, "retry_after", None) or 0.0


def _round(waiting: dict[TaskRef, None], crowd: Crowd, reach: int) -> Script[tuple[int, float]]:
    """Look at everybody once, let those go that have ended; return how far the pages reached, and how long not to ask."""
    unseen = dict(waiting)
    if crowd.can_sweep:
        reach = yield from _sweep(waiting, unseen, crowd, reach)
    asked = (yield from _looked_at(list(unseen), waiting, crowd)) if crowd.can_look else 0.0
    return reach, asked


def _sweep(waiting: dict[TaskRef, None], unseen: dict[TaskRef, None], crowd: Crowd, reach: int) -> Script[int]:
    """Read pages as far as the last round found somebody, and one more; return how far this one did."""
    cursor, found = None, 0
    for number in range(1, min(reach + 1, len(waiting)) + 1):
        sweep: Sweep = yield from crowd.ask(crowd.provider.sweep_tasks(tuple(unseen), cursor=cursor))
        ours = [task for task in sweep.tasks if task.ref in unseen]
        for task in ours:
            del unseen[task.ref]
        yield from _ended([task for task in ours if task.state.ends_wait], waiting, crowd, is_final=sweep.is_final)
        if sweep.receipts:
            yield from crowd.ask(crowd.provider.acknowledge(sweep))
        found = number if ours else found
        if not unseen or sweep.cursor in (None, cursor):
            break
        cursor = sweep.cursor
    return found


def _ended(tasks: list[Task], waiting: dict[TaskRef, None], crowd: Crowd, *, is_final: bool) -> Script[None]:
    """Emit tasks that a sweep says have ended: as they are when that is all there is, else after a look at each."""
    if not is_final:
        yield from _looked_at([task.ref for task in tasks], waiting, crowd)
        return
    for task in tasks:
        waiting.pop(task.ref, None)
        yield Emit(task)


def _looked_at(refs: Sequence[TaskRef], waiting: dict[TaskRef, None], crowd: Crowd) -> Script[float]:
    """Look at each of *refs* by itself, some at once, and emit those that have ended; return how long not to ask again."""
    asked = 0.0
    for start in range(0, len(refs), BATCH):
        batch = refs[start : start + BATCH]
        looks = yield Together(tuple(crowd.look(ref) for ref in batch))
        for ref, look in zip(batch, looks, strict=True):
            if isinstance(look, errors.CoatcheckError) and not isinstance(look, PASSING):
                raise look
            task, seconds = (None, _asked(look)) if isinstance(look, errors.CoatcheckError) else look
            if task is None:
                asked = max(asked, seconds)
                continue
            waiting.pop(ref, None)
            yield Emit(task)
    return asked
