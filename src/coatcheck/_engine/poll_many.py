"""Wait for many tasks with one script: a list page tells of twenty or a hundred where a look tells of one.

Law 1. Each round takes the cheaper way: pages of the list, fewer than there are tasks and no further than they showed
       somebody the round before; then single looks at whom the pages did not show.
Law 2. A page only says that something ended: the task handed out was looked at by itself, unless the service says
       that the page was all there is (`StatusPage.is_final`).
Law 3. A record that a service hands out once (a queue's message) is acknowledged after its task was handed out.
Law 4. ``Retry-After``, of whichever task or answer, lengthens the pause for everybody.
Law 5. A service that tells an end once, to whoever sweeps, is only swept: its tasks cannot be looked at.
Law 6. What is kept per task is its ref and nothing else.
Law 7. A task that the service refuses to tell of leaves the crowd; its error is raised when the others have ended. A
       refused login is everybody's, and is raised at once.
Law 8. How long tasks took is learnt from those whose end was seen, and not only found in the first round.
Law 9. Without a deadline, a service that has been away for `OUTAGE_LIMIT` seconds is reported instead of waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from .. import errors
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.effects import Clock, Emit, Script, Sleep, Together
from .._protocol.provider import Provider, StatusPage
from .ask import Ask
from .deadline import Deadline
from .poll_one import JITTER, OUTAGE_LIMIT, TRANSIENT_ERRORS, Interval, Remember, born, observed_duration, timeout_error
from .reachability import Reachability

T = TypeVar("T")
TakePage: TypeAlias = Callable[[StatusPage, list[Task]], Script[None]]

# Looks at once, so that a fleet's end does not arrive one by one: the driver bounds what is in flight.
BATCH = 32


class BatchContext(msgspec.Struct, frozen=True, kw_only=True):
    """How to go about many: the same three clocks as for one."""

    provider: Provider
    ask: Ask
    clock: Clock
    random: Callable[[], float]
    timeout: float | None
    interval: Interval
    remember: Remember
    reachability: Reachability

    @property
    def has_status_pages(self) -> bool:
        """Whether the service can tell of many tasks at once."""
        return "get_status_page" in self.provider.capabilities.verbs

    @property
    def can_get_task(self) -> bool:
        """Whether the service can tell of one task."""
        return "get_task" in self.provider.capabilities.verbs


class PollRound(msgspec.Struct, kw_only=True):
    """Once around everybody, and what the next time has to know: how far pages reached, and how long not to ask.

    *heard* is when the service last answered, *trouble* why it did not since, *refused* of whom it tells nothing, and
    *ended* what this round teaches of how long tasks take.
    """

    crowd: BatchContext
    reach: int
    asked: float = 0.0
    heard: float = 0.0
    trouble: errors.CoatcheckError | None = None
    refused: dict[TaskRef, errors.CoatcheckError] = {}
    ended: list[tuple[str | None, float]] = []
    number: int = 0

    def go(self, pause: float) -> Script[float]:
        """Look at everybody, let those go that have ended, and return the *pause*, which may be made shorter."""
        raise NotImplementedError

    def swept(self, unseen: dict[TaskRef, None], take: TakePage) -> Script[int]:
        """Read pages as far as the last round found somebody, and one more, and return how many.

        *take* is given each page with those who were looked for; they are *unseen* no more.
        """
        cursor, found, number = None, 0, 0
        for number in range(1, min(self.reach + 1, len(unseen)) + 1):
            sweep: StatusPage = yield from self.crowd.ask(
                self.crowd.provider.get_status_page(tuple(unseen), cursor=cursor)
            )
            self.listen()
            ours = [task for task in sweep.tasks if task.ref in unseen and _tells(task)]
            for task in ours:
                del unseen[task.ref]
            yield from take(sweep, ours)
            if sweep.receipts:
                yield from self.crowd.ask(self.crowd.provider.acknowledge(sweep))
            found = number if ours else found
            if not unseen or sweep.cursor in (None, cursor):
                break
            cursor = sweep.cursor
        self.reach = found
        return number

    def looked_at(
        self, refs: Sequence[TaskRef], look: Callable[[TaskRef], Script[T]], take: Callable[[TaskRef, T], Script[None]]
    ) -> Script[None]:
        """Look at each of *refs* by itself, some at once, and *take* what was seen; bad weather hides, and passes."""
        for start in range(0, len(refs), BATCH):
            batch = refs[start : start + BATCH]
            looks: list[T | errors.CoatcheckError] = yield Together(tuple(map(look, batch)))
            for ref, found in zip(batch, looks, strict=True):
                if not isinstance(found, errors.CoatcheckError):
                    self.listen()
                    yield from take(ref, found)
                else:
                    self.bear(ref, found)

    def listen(self) -> None:
        """Note that the service answers."""
        self.heard, self.trouble = self.crowd.clock.monotonic(), None

    def note(self, task: Task) -> None:
        """Note how long a task took that has ended, if its end was seen and its beginning is known."""
        if self.number > 1 and (began := born(task)) is not None:
            self.ended += observed_duration(task, self.crowd.clock.time() - began)

    def bear(self, ref: TaskRef, error: errors.CoatcheckError) -> None:
        """Take an error of one look for what it is: bad weather, the task's own, or else raise it."""
        if isinstance(error, TRANSIENT_ERRORS):
            self.trouble, self.asked = error, max(self.asked, _asked(error))
        elif isinstance(error, errors.ProviderError) and not isinstance(error, errors.AuthenticationError):
            self.listen()
            self.refused[ref] = error
        else:
            raise error


def rounds(waiting: MutableMapping[TaskRef, T], crowd: BatchContext, round: PollRound) -> Script[None]:
    """Go round until nobody is left in *waiting*; bad weather is another round later.

    Raises `WaitTimeoutError` for the first of those that are left at the deadline, and after the last end what the
    service said of the first that it refused.
    """
    started, deadline = crowd.clock.monotonic(), Deadline(crowd.timeout, clock=crowd.clock)
    round.heard = started
    while waiting:
        pause, round.asked = crowd.interval(crowd.clock.monotonic() - started), 0.0
        round.number, round.ended = round.number + 1, []
        try:
            pause = yield from round.go(pause)
        except TRANSIENT_ERRORS as error:
            round.trouble, round.asked = error, _asked(error)
        yield from crowd.remember(round.ended)
        _let_go(waiting, round)
        if waiting and deadline.is_past:
            raise timeout_error(next(iter(waiting)), crowd.timeout, crowd.reachability.outage)
        if waiting:
            pause *= 1 + JITTER * (2 * crowd.random() - 1)
            yield Sleep(min(max(pause, round.asked), deadline.remaining))
    if round.refused:
        raise _naming(round.refused)


def _let_go(waiting: MutableMapping[TaskRef, T], round: PollRound) -> None:
    """Drop who was refused, and raise what has hidden the service for too long."""
    for ref in round.refused:
        waiting.pop(ref, None)
    is_silent = round.crowd.timeout is None and round.crowd.clock.monotonic() - round.heard > OUTAGE_LIMIT
    if round.trouble and is_silent:
        raise round.trouble


def _naming(refused: Mapping[TaskRef, errors.CoatcheckError]) -> errors.CoatcheckError:
    """Return the error of the first task that was *refused*, saying whose it is, and who else's there are."""
    (ref, error), *others = refused.items()
    more = f"; refused too: {', '.join(str(other) for other, _ in others)}" if others else ""
    error.args = (f"{ref}: {error}{more}",)
    return error


def _tells(task: Task) -> bool:
    """Whether a page says how *task* is; one of which it only says that it is there wants a look of its own."""
    return task.state is not TaskState.UNKNOWN or task.raw_state is not None


def _asked(error: errors.CoatcheckError) -> float:
    """Return for how long an error asks us to wait, in seconds."""
    return getattr(error, "retry_after", None) or 0.0


def poll_many(
    refs: Iterable[TaskRef], crowd: BatchContext, *, look: Callable[[TaskRef], Script[tuple[Task | None, float]]]
) -> Script[None]:
    """Emit each task once it has ended. Raises `WaitTimeoutError` for the first that has not by the deadline.

    *look* gives who has ended, or for how long not to ask.
    """
    waiting = dict.fromkeys(refs)
    return rounds(waiting, crowd, WaitRound(crowd=crowd, reach=len(waiting), waiting=waiting, look=look))


class WaitRound(PollRound, kw_only=True):
    """A round of a wait for ends."""

    waiting: dict[TaskRef, None]
    look: Callable[[TaskRef], Script[tuple[Task | None, float]]]

    def go(self, pause: float) -> Script[float]:
        """Emit whoever has ended."""
        unseen = dict(self.waiting)
        if self.crowd.has_status_pages:
            yield from self.swept(unseen, self._page)
        if self.crowd.can_get_task:
            yield from self.looked_at(tuple(unseen), self.look, self._take)
        return pause

    def _page(self, sweep: StatusPage, tasks: list[Task]) -> Script[None]:
        """Emit tasks that a page says have ended: as they are when that is all there is, else after a look at each."""
        ended = {task.ref: task for task in tasks if task.state.ends_wait}
        if not sweep.is_final:
            yield from self.looked_at(tuple(ended), self.look, self._take)
            return
        for ref, task in ended.items():
            yield from self._take(ref, (task, 0.0))

    def _take(self, ref: TaskRef, found: tuple[Task | None, float]) -> Script[None]:
        task, asked = found
        if task is None:
            self.asked = max(self.asked, asked)
            return
        self.waiting.pop(ref, None)
        self.note(task)
        yield Emit(task)
