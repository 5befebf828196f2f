"""The port between a fleet and what distributes its jobs.

Invariants:

- a job is a hint: losing every job loses nothing, because the tables say what is due (`due_jobs.py`), and running one
  twice changes nothing, because each change of state is a compare-and-set;
- jobs of one kind have slots of their own, so that submissions, which wait, do not keep checks from running.

`loop.py` is the engine of one machine, `pgqueuer_engine.py` that of many.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from .. import errors

# "submit": a candidate. "sweep": the running tasks of an account, by its name. "review": check, rank and decide an item.
# "deliver": an item.
Kind: TypeAlias = Literal["submit", "sweep", "review", "deliver"]


class Job(NamedTuple):
    """Something to do: its kind, and the number of a row (or ``PROVIDER/ACCOUNT``)."""

    kind: Kind
    id: int | str


# Whether the job changed something: the next one of its kind may be possible now.
Handler: TypeAlias = Callable[[Job], Coroutine[Any, Any, bool]]


class Due(Protocol):
    """Returns what is due."""

    def __call__(self, *, is_tick: bool) -> tuple[Iterable[Job], bool]:
        """Return jobs, and whether anything is left to do; *is_tick* once a second, else after a job has ended."""
        ...


# Gets the error that a handler raised; what the job concerns is tried again when it is due.
OnError: TypeAlias = Callable[[Job, errors.CoatcheckError], None]


class Engine(Protocol):
    """Distributes jobs to handlers."""

    async def ask(self, jobs: Iterable[Job]) -> None:
        """Have *jobs* done, each once however often it is asked for meanwhile."""
        ...

    async def work(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        """Do jobs until there is nothing left to do; *slots* are how many of a kind run at once."""
        ...
