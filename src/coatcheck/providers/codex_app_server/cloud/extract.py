"""From the structures of the service to our values; pure.

What a thread of a host and one of the service have in common is read by `..extract`.
"""

from __future__ import annotations

import msgspec

from ....provider import Environment, Notice, Outcome, PatchState, Task, TaskSpec, TaskState, text
from .. import extract as threads, wire
from .capabilities import NO_CHANGE
from .wire import EnvironmentConfig

# What is known of a thread whose turns are not listed yet: its history may be empty right after its first turn began.
UNLISTED = "no turn is listed yet"
WAITS = "it waits for an answer, which can be given only on Codex's pages"


def task(read: wire.TaskDocument, *, raw: bytes = b"") -> Task:
    """Return a thread with its last turn as a task."""
    thread, turn = read.thread, threads.turn_of(read)
    state, word = threads.state_of(thread, turn)
    if turn is None and not threads.is_active(thread):
        state, word = TaskState.QUEUED, UNLISTED
    has_ended = turn is not None and state.is_terminal
    unread = (Notice(kind="no_result", text=f"a change cannot be fetched: {NO_CHANGE}"),) if has_ended else ()
    return msgspec.structs.replace(
        threads.task(read, raw=raw),
        state=state,
        raw_state=word,
        environment=environment_of(thread),
        progress=WAITS if threads.waits_for(thread) else None,
        outcome=outcome(turn) if turn is not None and has_ended else None,
        notices=(*threads.notices(thread, turn, None), *unread),
    )


def outcome(turn: wire.Turn) -> Outcome:
    """Return the outcome of a turn: its messages. The service does not return its change."""
    return Outcome(
        messages=threads.messages(turn.items or ()), patch_state=PatchState.UNAVAILABLE, error=threads.failure(turn)
    )


def created(spec: TaskSpec, thread: wire.Thread, turn: wire.Turn, raw: bytes) -> Task:
    """Return a task that was just submitted."""
    return msgspec.structs.replace(
        task(wire.TaskDocument(thread, wire.TurnPage([turn])), raw=raw),
        title=spec.title or threads.title_in(spec.prompt),
        prompt=spec.prompt,
        environment=spec.environment,
        branch=spec.branch,
    )


def continued(thread: wire.Thread, turn: wire.Turn) -> Task:
    """Return a task whose *turn* was just started or added to."""
    return task(wire.TaskDocument(thread, wire.TurnPage([turn])))


def listed(thread: wire.Thread, turn: wire.Turn | None) -> Task:
    """Return a thread of a page; without its turn its state is known only where it runs."""
    read = wire.TaskDocument(thread, wire.TurnPage([turn] if turn else []))
    return msgspec.structs.replace(threads.task(read), environment=environment_of(thread))


def environment_of(thread: wire.Thread) -> str | None:
    """Return the id of the environment in which a thread works."""
    configs = (text(each.get("environmentConfigId")) for each in thread.environments or ())
    return next((config for config in configs if config), None)


def environment(config: EnvironmentConfig) -> Environment:
    """Return an environment. Its repositories are numbers of GitHub, so it is named by id or label."""
    repositories = config.repositories or []
    return Environment(
        id=config.id,
        label=config.name or None,
        repositories=tuple(each.repository_id for each in repositories if each.repository_id),
        default_branch=branch_of(config),
    )


def branch_of(config: EnvironmentConfig) -> str | None:
    """Return the branch from which the threads of an environment start."""
    return next((each.ref for each in config.repositories or () if each.ref), None)
