"""Events from the jobs of a run: each step as it begins, each job as it ends, and why a run failed. Pure.

Invariants:

- What has been reported of a job is a count; its steps are reported in the order in which they run.
- A run that is started again has new jobs: what was reported of the old ones is discarded, and of its messages too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ...provider import Failure, Message, PollMemory, Task, TaskEvent, TaskMessage, TaskProgress, TaskRef, instant, text
from . import wire

BEGUN = frozenset({"in_progress", "completed"})
# The conclusions of a job that did not succeed (docs/reference/protocols/services.md, "1.3 States").
BAD = frozenset({"failure", "timed_out", "cancelled", "startup_failure", "action_required"})
# A failure names so many places at most: a matrix may fail in hundreds.
PLACES = 3


class Memory(PollMemory, frozen=True, array_like=True):
    """What has been reported: how many steps of each job, how many messages."""

    reported: Mapping[str, int] = {}
    messages: int = 0


def new_events(ref: TaskRef, jobs: Iterable[wire.Job], memory: Memory) -> tuple[list[TaskEvent], Memory]:
    """Return the events that *memory* does not contain, each with the memory after it, and the memory after all.

    *jobs* are all that the run has now.
    """
    events: list[TaskEvent] = []
    known = sorted(jobs, key=lambda job: job.id)
    memory = msgspec.structs.replace(
        memory, reported={key: memory.reported.get(key, 0) for key in (str(job.id) for job in known)}
    )
    for job in known:
        key = str(job.id)
        for number, (new_messages, at) in enumerate(_moments(job), 1):
            if number <= memory.reported.get(key, 0):
                continue
            memory = msgspec.structs.replace(memory, reported={**memory.reported, key: number})
            if new_messages:
                event = TaskProgress(ref=ref, text=new_messages, at=instant(at), id=memory.to_text())
                events.append(event)
    return events, memory


def new_messages(task: Task, memory: Memory) -> tuple[list[TaskEvent], Memory]:
    """Return the messages of a *task* as events, without those in *memory*; a running task has none."""
    if not task.state.is_terminal:
        return [], msgspec.structs.replace(memory, messages=0)
    messages: tuple[Message, ...] = task.outcome.messages if task.outcome else ()
    events: list[TaskEvent] = []
    for message in messages[memory.messages :]:
        memory = msgspec.structs.replace(memory, messages=memory.messages + 1)
        event = TaskMessage(ref=task.ref, message=message, text=message.text, at=task.updated_at, id=memory.to_text())
        events.append(event)
    return events, memory


def failure(jobs: Iterable[wire.Job], conclusion: str | None) -> Failure:
    """Return why a run failed: the jobs that did, each with its step."""
    places = [place for job in jobs if (place := _bad_place(job))]
    shown = places[:PLACES] + ([f"and {len(places) - PLACES} more"] if len(places) > PLACES else [])
    return Failure(code=conclusion, message=", ".join(shown) or None)


def _moments(job: wire.Job) -> Iterator[tuple[str | None, object]]:
    """Yield what happens in a job, in order, as far as it has happened; None for a step that was left out."""
    name = text(job.name) or f"job {job.id}"
    for step in job.steps or ():
        if step.status not in BEGUN:
            break
        yield None if step.conclusion == "skipped" else f"{name} > {text(step.name) or 'a step'}", step.started_at
    if job.status == "completed":
        yield f"{name}: {text(job.conclusion) or 'completed'}", job.completed_at


def _bad_place(job: wire.Job) -> str | None:
    if job.conclusion not in BAD:
        return None
    name = text(job.name) or f"job {job.id}"
    step = next((text(step.name) for step in job.steps or () if step.conclusion in BAD), None)
    return f"{name} > {step}: {job.conclusion}" if step else f"{name}: {job.conclusion}"
