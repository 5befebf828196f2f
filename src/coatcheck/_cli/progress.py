"""The progress of a wait: a live line on a terminal, without one a line a minute on stderr.

Invariants:

- the line has the state, the elapsed time, what the agent reported last, and when the next poll is; while the service
  does not answer it begins with that;
- without a terminal a line is printed after each `HEARTBEAT` seconds, because CI services end jobs that print nothing
  (https://docs.github.com/actions: no limit; GitLab and Travis CI: ten minutes);
- ``--quiet`` prints neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._model.states import TaskState
from .console import Part, Styled
from .formatting import short_span, state_word

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .._engine.reachability import Outage
    from .._model.tasks import Task, TaskRef
    from .._protocol.effects import Clock
    from .._protocol.wake_source import WakeSource
    from .console import Console

# Seconds between two lines without a terminal, and between two updates of the line on one.
HEARTBEAT = 60.0
TICK = 1.0


class WaitProgress:
    """What is known about the tasks that are waited for, and the line that shows it."""

    def __init__(self, console: Console, clock: Clock, *refs: TaskRef) -> None:
        self._console, self._clock = console, clock
        self._states: dict[TaskRef, TaskState] = dict.fromkeys(refs, TaskState.UNKNOWN)
        self._task: Task | None = None
        self._last_event = ""
        self._started_at = self._printed_at = clock.monotonic()
        self._next_poll_at: float | None = None
        self.outage: Outage | None = None

    def update(self, task: Task) -> None:
        """Record what a poll returned."""
        self._task, self._states[task.ref] = task, task.state
        self._last_event = task.progress or self._last_event
        self.refresh()

    def record_event(self, ref: TaskRef, text: str, state: TaskState | None) -> None:
        """Record an event: its words, and the state where it has one."""
        if state is not None:
            self._states[ref] = state
        self._last_event = " ".join(text.split()) or self._last_event
        self._printed_at = self._clock.monotonic()  # the event itself is printed

    def expect_poll(self, at: float | None) -> None:
        """Set when the next poll is (seconds of the monotonic clock), None while one is under way."""
        self._next_poll_at = at
        self.refresh()

    def refresh(self) -> None:
        """Show the line on a terminal, or print it where there is none and it is due."""
        if self._console.is_interactive:
            self._console.progress(self.line)
        elif self._clock.monotonic() - self._printed_at >= HEARTBEAT:
            self._printed_at = self._clock.monotonic()
            if not self._console.is_quiet:
                self._console.note(("coatcheck: ", f"{self._name}: ", *self.line()))

    @property
    def tick(self) -> float:
        """The seconds until `refresh` should be called again."""
        if self._console.is_interactive:
            return TICK
        return max(0.001, self._printed_at + HEARTBEAT - self._clock.monotonic())

    @property
    def _name(self) -> str:
        return str(next(iter(self._states))) if len(self._states) == 1 else f"{len(self._states)} tasks"

    def line(self) -> tuple[Part, ...]:
        """Return the line in parts."""
        now = self._clock.monotonic()
        outage: tuple[Part, ...] = (Styled(f"{self.outage}, retrying", "yellow"), " • ") if self.outage else ()
        remaining = 0.0 if self._next_poll_at is None else self._next_poll_at - now
        details = [
            short_span(now - self._started_at),
            self._attempts,
            f"next poll in {short_span(remaining)}" if remaining >= 1 else "polling",
            self._last_event,
        ]
        return (*outage, self._state, "".join(f" • {each}" for each in details if each))

    @property
    def _state(self) -> Part:
        if len(self._states) > 1:
            ended = sum(state.ends_wait for state in self._states.values())
            return f"{ended} of {len(self._states)} tasks ended"
        if self._task is not None:
            return state_word(self._task.state, self._task.raw_state)
        state = next(iter(self._states.values()), TaskState.UNKNOWN)
        return "waiting" if state is TaskState.UNKNOWN else state_word(state, None)

    @property
    def _attempts(self) -> str:
        task = self._task
        if task is None or len(self._states) > 1 or (task.attempt_total or 1) == 1:
            return ""
        ended = sum(attempt.state.is_terminal for attempt in task.attempts)
        return f"{ended} of {task.attempt_total} attempts ended" if ended else ""


class ProgressClock:
    """A clock that keeps the progress of a wait up to date during its sleeps; `progress` is None without a wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.progress: WaitProgress | None = None
        self._pause_ends_at = 0.0

    @contextmanager
    def webhooks(self, workspace: Workspace) -> Iterator[WakeSource]:
        """Give the deliveries in the user's store, which end pauses of waits."""
        from .._runtime.config import store_location
        from .._store.wakes import StoreWakes

        location = store_location(workspace.config)
        wakes = StoreWakes(location, time=self.time, monotonic=self.monotonic, on_pause=self.expect_pause)
        try:
            yield wakes
        finally:
            wakes.close()

    def expect_pause(self, seconds: float) -> None:
        """Set the length of a pause that consists of several sleeps, between which webhooks are read."""
        self._pause_ends_at = self.monotonic() + seconds

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for *seconds*; refresh the progress meanwhile."""
        progress = self.progress
        if progress is None:
            return self._clock.sleep(seconds)
        end = self.monotonic() + seconds
        progress.expect_poll(max(end, self._pause_ends_at))
        while (remaining := end - self.monotonic()) > 0:
            self._clock.sleep(min(progress.tick, remaining))
            progress.refresh()
        if self._pause_ends_at <= self.monotonic():
            progress.expect_poll(None)
        return None

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Wait under asyncio, which no command does."""
        return self._clock.asleep(seconds)
