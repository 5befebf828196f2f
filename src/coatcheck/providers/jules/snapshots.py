"""The memory of a wait between two polls of a session, and the next snapshot. Pure.

Invariants:

- Activities of one moment must not get lost: the next poll requests activities from a few seconds earlier and drops known ones.
- A working agent without activity for a quarter of an hour is reported as stalled, and is still waited
  for: some continue.

See docs/reference/protocols/jules.md, "3.1 Decision table for a client" and "3.3 Incremental activities".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import msgspec

from ...provider import Notice, PollMemory, Task, TaskSnapshot, TaskState, format_time
from .activities import Happening, event_of

if TYPE_CHECKING:
    from collections.abc import Iterable

# How far back the next poll requests activities (seconds). Activities are written in order, a few milliseconds apart
# (docs/reference/protocols/jules.md, "1.1 Base, auth, versions" and "3.3 Incremental activities").
OVERLAP = 5.0
# 0.05 % false alarms, 89 % of the stopped sessions found; healthy gaps have 7.6 minutes at the 99th percentile
# (docs/reference/protocols/jules.md, "3.1 Decision table for a client").
STALL = 15 * 60.0


class Memory(PollMemory, frozen=True, array_like=True):
    """What has been received: the time of the last activity, the activities near it, the agent's last activity (seconds since the epoch)."""

    last: float = 0.0
    around: tuple[tuple[float, str], ...] = ()
    sign: float = 0.0

    @property
    def is_blank(self) -> bool:
        """Whether nothing has been received yet."""
        return not self.last

    @property
    def filter(self) -> str | None:
        """Return the filter for newer activities, None for all; the service's is exclusive.

        See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
        """
        if self.is_blank:
            return None
        return f'create_time>"{format_time(self.last - OVERLAP, timespec="microseconds")}"'

    def unseen(self, happened: Iterable[Happening]) -> list[Happening]:
        """Return those of *happened* that have not been received before."""
        known = {key for _, key in self.around}
        return [happening for happening in happened if happening.activity.key not in known]

    def after(self, happening: Happening) -> Self:
        """Return the memory with *happening* in it."""
        at = happening.at or self.last
        last = max(at, self.last)
        kept = tuple(entry for entry in self.around if entry[0] >= last - OVERLAP)
        sign = max(at, self.sign) if happening.is_agents else self.sign
        return type(self)(last, (*kept, (at, happening.activity.key)), sign)

    def is_doubtful(self, task: Task, *, now: float) -> bool:
        """Whether *task* should be working, and its agent's last sign and change of state are long ago."""
        if task.state is not TaskState.RUNNING or task.updated_at is None:
            return False
        return now - max(self.sign, task.updated_at.timestamp()) > STALL


def follow(task: Task, memory: Memory, fresh: list[Happening], *, is_watched: bool, now: float) -> TaskSnapshot:
    """Return the snapshot: *task*, with the events of *fresh* since *memory*."""
    events = []
    for happening in fresh:
        memory = memory.after(happening)
        events.append(event_of(happening, task.ref, cursor=memory.to_text()))
    if memory.is_doubtful(task, now=now):
        task = msgspec.structs.replace(task, notices=(*task.notices, _stalled(task, memory)))
    return TaskSnapshot(task=task, events=tuple(events) if is_watched else (), memory=memory.to_text())


def _stalled(task: Task, memory: Memory) -> Notice:
    changed = task.updated_at.timestamp() if task.updated_at else 0.0
    since = datetime.fromtimestamp(max(memory.sign, changed), UTC)
    return Notice(kind="stalled", text=f"no sign of the agent since {since:%Y-%m-%d %H:%M} UTC; a message may wake it")
