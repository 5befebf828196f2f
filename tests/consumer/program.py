"""A program that uses the public names, checked by mypy and pyright, both strict. Nothing here is run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, assert_type

from coatcheck import (
    AnyEvent,
    AppliedPatch,
    AsyncClient,
    Candidate,
    Check,
    Client,
    Decision,
    DiffStats,
    Failure,
    Gate,
    GateDecided,
    GateStore,
    History,
    HistoryEntry,
    HistoryFilter,
    HistoryPage,
    ItemDelivered,
    Message,
    Outcome,
    Patch,
    Policy,
    PullRequest,
    Ranking,
    Review,
    ScoreCard,
    StoredEvent,
    Task,
    TaskEvent,
    TaskFailed,
    TaskMessage,
    TaskRef,
    TaskSpec,
    TaskState,
    UnknownEvent,
    Verdict,
    VerifiedPatch,
    errors,
    event_from_dict,
    task_event_from_dict,
)


def submit_and_apply(checkout: str) -> AppliedPatch | None:
    """Submit a task, wait for it and apply its patch."""
    with Client("local") as client:
        task = client.create_task(TaskSpec(prompt="Add dark mode", repository="owner/repo", attempts=2))
        assert_type(task, Task)
        assert_type(task.ref, TaskRef)
        assert_type(task.id, str)
        assert_type(task.state, TaskState)
        assert_type(task.ended_at, datetime | None)
        assert_type(task.duration, float | None)
        try:
            task = client.poll_task(task.ref, timeout=1800)
        except errors.WaitTimeoutError as error:
            print(error.ref)
            return None
        return apply(task.outcome, checkout)


def review(tasks: Sequence[Task], mine: Patch, checkout: str) -> Candidate | None:
    """Check the attempts of tasks and a patch, and return the best."""
    lint = Check(name="lint", run="make lint", required=False)
    review = Review(*tasks, mine, repository=checkout, checks=["make test", lint], policy=Policy.strict())
    for card in review.verify(base="main"):
        assert_type(card, ScoreCard)
        print(card.result.value, [check.verdict is Verdict.PASSED for check in card.checks])
    ranking = review.rank()
    assert_type(ranking, Ranking)
    assert_type(ranking.choice, str | None)
    print(ranking.to_markdown(), *ranking.steps)
    return ranking.chosen.candidate if ranking.chosen else None


def record(folder: str) -> list[str]:
    """Record the tasks of a list, and search them without the network."""
    history = History(folder, level="metadata")
    assert_type(history, History)
    with Client("local", store=history) as client:
        client.get_page(limit=10)
    page = history.search("dark mode", HistoryFilter(states=(TaskState.SUCCEEDED,)))
    assert_type(page, HistoryPage)
    for entry in page.items:
        assert_type(entry, HistoryEntry)
        assert_type(entry.recorded_at, datetime)
        assert_type(entry.is_current, bool)
    for stored in history.events.read():
        assert_type(stored, StoredEvent)
    history.close()
    return [str(entry.task.ref) for entry in page.items]


def apply(outcome: Outcome | None, checkout: str) -> AppliedPatch | None:
    """Apply the patch of an outcome, unless the policy rejects it."""
    if outcome is None or outcome.patch is None:
        return None
    assert_type(outcome.patch, Patch)
    assert_type(outcome.pull_request, PullRequest | None)
    assert_type(outcome.text, str)
    verified = outcome.patch.verify(base=checkout, policy=Policy.strict())
    assert_type(verified, VerifiedPatch)
    try:
        return verified.apply(checkout)
    except errors.PatchConflictError as error:
        print(error.files)
        return None


def describe(event: TaskEvent) -> str:
    """Return one line for *event*: `type` narrows the union."""
    if event.type == "task.message":
        assert_type(event, TaskMessage)
        assert_type(event.message, Message)
        return event.message.text or ""
    if event.type == "task.failed":
        assert_type(event, TaskFailed)
        assert_type(event.error, Failure | None)
        return str(event.error)
    if event.type == "task.diff":
        assert_type(event.stats, DiffStats)
        return str(event.stats.added)
    if event.type == "unknown":
        assert_type(event, UnknownEvent)
        return event.kind
    return event.text or event.type


def describe_by_match(event: TaskEvent) -> str:
    """Return one line for *event*: classes narrow the union."""
    match event:
        case TaskMessage(message=message):
            return message.text or ""
        case TaskFailed(error=error):
            return str(error)
        case UnknownEvent(kind=kind):
            return kind
        case _:
            return event.id


def word_of(event: TaskMessage) -> Literal["task.message"]:
    """Return the type of a message, which is a literal."""
    return event.type


def subject_of(document: Mapping[str, object]) -> str:
    """Return what an event of the log is about; gates and fleets have events as well as tasks."""
    event: AnyEvent = event_from_dict(document)
    match event:
        case GateDecided(by=by, why=why):
            return f"{event.subject} by {by}: {why}"
        case ItemDelivered(url=url):
            return f"{event.fleet} {event.item} {url}"
        case _:
            return event.subject


def decide(gates: GateStore, gate: Gate) -> Decision:
    """Approve what was read."""
    return gates.decide(gate.id, "approve", by="ann", via="library", digest=gate.digest)


def round_trip(task: Task, event: TaskEvent) -> tuple[Task, TaskEvent]:
    """Return both after a round trip through JSON objects."""
    return Task.from_dict(task.to_dict()), task_event_from_dict(event.to_dict())


async def watch_many(refs: Sequence[TaskRef]) -> None:
    """Watch tasks, wait for them, and list others."""
    async with AsyncClient("local") as client:
        async for event in client.watch_tasks(refs):
            print(describe(event))
        async for task in client.poll_tasks(refs):
            assert_type(task, Task)
        async for listed in client.list_tasks(limit=10):
            print(listed.title)
        task = await client.create_task_and_wait("Add dark mode", repository="owner/repo")
        print(task.ref)


if __name__ == "__main__":
    asyncio.run(watch_many([]))
