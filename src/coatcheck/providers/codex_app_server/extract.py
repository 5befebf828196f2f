"""From the structures of a host to our values; pure.

See docs/reference/protocols/codex-app-server.md, "4 State machine": the state of a task is that of its last turn, and
the state of its thread shows only whether something runs or waits now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...provider import (
    Attempt,
    Failure,
    Message,
    Model,
    Notice,
    Outcome,
    PatchState,
    PermissionRequest,
    RateLimit,
    RateWindow,
    Task,
    TaskRef,
    TaskSpec,
    TaskState,
    Usage,
    count_diff,
    fields,
    items,
    read_json,
    repository_named,
    text,
)
from . import wire
from .checkouts import Change
from .endpoints import NAME
from .places import key_of, place_of

IN_PROGRESS = "inProgress"
STATES: Mapping[str, TaskState] = {
    IN_PROGRESS: TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "interrupted": TaskState.CANCELLED,
    "failed": TaskState.FAILED,
}
WAITING = ("waitingOnApproval", "waitingOnUserInput")
ACTIVE = "active"
# Changes of files that were not made.
UNMADE: Mapping[str, str] = {"declined": "declined", "failed": "failed"}
_KEY_MARK = " (coatcheck "
MAX_TITLE = 60


def document(thread: bytes | msgspec.Raw, turns: bytes | msgspec.Raw) -> bytes:
    """Return the answers to ``thread/read`` and ``thread/turns/list`` as one document."""
    read = msgspec.json.decode(thread, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({"thread": read.get("thread", msgspec.Raw(b"null")), "turns": msgspec.Raw(turns)})


def read_document(raw: bytes) -> wire.TaskDocument:
    """Return a document as `document` wrote it."""
    return read_json(raw, wire.TaskDocument)


def turn_of(read: wire.TaskDocument) -> wire.Turn | None:
    """Return the last turn."""
    return read.turns.data[0] if read.turns and read.turns.data else None


def waits_for(thread: wire.Thread) -> str | None:
    """Return what a thread waits for, in the host's word; None where it waits for nothing."""
    if thread.status is None or thread.status.type != ACTIVE:
        return None
    return next((flag for flag in WAITING if flag in (thread.status.activeFlags or ())), None)


def is_active(thread: wire.Thread) -> bool:
    """Whether a turn runs in the thread."""
    return thread.status is not None and thread.status.type == ACTIVE


def state_of(thread: wire.Thread, turn: wire.Turn | None) -> tuple[TaskState, str | None]:
    """Return the state of a task with the host's word."""
    waiting = waits_for(thread)
    if turn is None:
        state = TaskState.INPUT_REQUIRED if waiting else TaskState.RUNNING if is_active(thread) else TaskState.UNKNOWN
        return state, waiting or (ACTIVE if state is TaskState.RUNNING else None)
    if waiting:
        return TaskState.INPUT_REQUIRED, waiting
    if is_active(thread) and STATES.get(turn.status, TaskState.UNKNOWN).is_terminal:
        return TaskState.RUNNING, ACTIVE  # a turn that was just started and is not listed yet
    if turn.status == "interrupted" and turn.completedAt is None:
        return TaskState.PAUSED, turn.status  # its server was killed, and a message continues it
    return STATES.get(turn.status, TaskState.UNKNOWN), turn.status


def task(
    read: wire.TaskDocument,
    *,
    raw: bytes = b"",
    change: Change | None = None,
    permission: PermissionRequest | None = None,
    question: str | None = None,
) -> Task:
    """Return a thread with its last turn as a task; it has an outcome where its *change* was read."""
    thread, turn = read.thread, turn_of(read)
    state, word = state_of(thread, turn)
    git = thread.gitInfo or wire.GitInfo()
    has_ended = turn is not None and state.is_terminal
    return Task(
        ref=TaskRef(NAME, thread.id),
        state=state,
        raw_state=word,
        title=title_of(thread),
        prompt=thread.preview or None,
        environment=None if is_checkout(thread) else thread.cwd,
        repository=repository_named(git.originUrl) if git.originUrl else None,
        branch=git.branch,
        created_at=moment(thread.createdAt),
        updated_at=moment((turn.completedAt if turn and has_ended else None) or thread.updatedAt),
        started_at=moment(turn.startedAt) if turn else None,
        model=thread.model,
        permission_requests=(permission,) if permission else (),
        progress=question,
        attempt_total=attempt_total(thread),
        stats=count_diff(change.patch) if change else None,
        outcome=outcome(turn, change) if turn and has_ended and change else None,
        error=failure(turn),
        notices=notices(thread, turn, change),
        raw=raw,
    )


def created(spec: TaskSpec, thread: wire.Thread, turn: wire.Turn, raw: bytes) -> Task:
    """Return a task that was just submitted."""
    read = wire.TaskDocument(thread, wire.TurnPage([turn]))
    return msgspec.structs.replace(
        task(read, raw=raw),
        title=spec.title or title_in(spec.prompt),
        prompt=spec.prompt,
        environment=spec.environment,
        repository=spec.repository,
        branch=spec.branch,
    )


def with_threads(known: Task, threads: Iterable[wire.Thread]) -> Task:
    """Return *known* with the state of all its *threads*: it needs input, or runs, while any of them does."""
    threads = tuple(threads)
    flag = next(filter(None, map(waits_for, threads)), None)
    if flag is not None:
        return msgspec.structs.replace(known, state=TaskState.INPUT_REQUIRED, raw_state=flag)
    if known.state is TaskState.RUNNING or not any(map(is_active, threads)):
        return known
    return msgspec.structs.replace(known, state=TaskState.RUNNING, raw_state=IN_PROGRESS)


def waiting_task(known: Task, number: int, *, permission: PermissionRequest | None, question: str | None) -> Task:
    """Return *known* with what its attempt *number* waits for."""
    if permission is not None and number > 1:
        permission = msgspec.structs.replace(permission, title=f"attempt {number}: {permission.title}")
    return msgspec.structs.replace(
        known,
        permission_requests=(permission,) if permission else (),
        progress=f"attempt {number}: {question}" if question and number > 1 else question,
    )


def attempt_total(thread: wire.Thread) -> int | None:
    """Return how many attempts the task of a thread has; None for one, and for a thread that is one of several itself."""
    place = place_of(thread)
    return place.total if place.total > 1 and place.number == 1 else None


def attempt(number: int, read: wire.TaskDocument, change: Change | None) -> Attempt:
    """Return a thread with its last turn as an attempt; it has an outcome where its *change* was read."""
    turn = turn_of(read)
    state, word = state_of(read.thread, turn)
    if state is TaskState.PAUSED and number > 1:  # a message continues the first; another one by its own ref
        state = TaskState.CANCELLED
    return Attempt(
        id=read.thread.id,
        placement=number - 1,
        state=state,
        raw_state=word,
        outcome=outcome(turn, change) if turn and change else None,
        created_at=moment(read.thread.createdAt),
        model=read.thread.model,
    )


def missing_attempt(number: int) -> Attempt:
    """Return an attempt that has no thread with a turn."""
    why = Failure(code="missing", message=f"attempt {number} has no thread: it was not started, or was deleted")
    return Attempt(id="", placement=number - 1, state=TaskState.FAILED, raw_state="missing", outcome=Outcome(error=why))


def page(listed: wire.ThreadPage, turns: Mapping[str, wire.Turn | None]) -> tuple[Task, ...]:
    """Return the threads of a page as tasks, with the last turns that are known; later attempts are part of their task."""
    pages = {id: wire.TurnPage([turn] if turn else []) for id, turn in turns.items()}
    later: dict[str, list[wire.Thread]] = {}
    for thread in listed.data:
        if (place := place_of(thread)).number > 1:
            later.setdefault(place.task, []).append(thread)
    return tuple(
        with_threads(
            task(wire.TaskDocument(thread, pages.get(thread.id))), [thread, *later.get(place_of(thread).task, ())]
        )
        for thread in listed.data
        if place_of(thread).number == 1
    )


def thread_name(spec: TaskSpec, number: int = 1) -> str:
    """Return the name of an attempt's thread: its title, and the key by which its submission is found."""
    return f"{spec.title or title_in(spec.prompt)}{key_mark(key_of(spec.key or '', number))}"


def key_mark(key: str) -> str:
    """Return the end of the name of a thread that was made for a submission."""
    return f"{_KEY_MARK}{key})"


def title_in(prompt: str) -> str:
    """Return the first line of a prompt, shortened."""
    line = " ".join((prompt.strip().splitlines() or [""])[0].split())
    return line if len(line) <= MAX_TITLE else f"{line[:MAX_TITLE]}…"


def is_checkout(thread: wire.Thread) -> bool:
    """Whether a thread works in a checkout that was made for its submission."""
    return (thread.name or "").endswith(key_mark(place_of(thread).key))


def title_of(thread: wire.Thread) -> str | None:
    """Return the title of a thread, without the key of its submission."""
    name = (thread.name or "").rpartition(_KEY_MARK)[0] or thread.name or title_in(thread.preview or "")
    return name or None


def has_key(turns: wire.TurnPage, key: str) -> bool:
    """Whether one of the turns was started for the submission *key*."""
    every = (item for turn in turns.data for item in turn.items or ())
    return any(item.get("type") == "userMessage" and item.get("clientId") == key for item in every)


def outcome(turn: wire.Turn, change: Change) -> Outcome:
    """Return the outcome of a turn."""
    state = PatchState.PRESENT if change.patch else PatchState.OFFLOADED if change.size else PatchState.NONE
    return Outcome(
        messages=messages(turn.items or ()),
        patch=change.patch,
        patch_state=state,
        external_file_id=f"the host ({change.size} bytes)" if state is PatchState.OFFLOADED else None,
        base_commit=change.base,
        stats=count_diff(change.patch),
        error=failure(turn),
    )


def messages(every: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Return the agent's final messages, or else the last of any."""
    every = [item for item in every if item.get("type") == "agentMessage" and text(item.get("text"))]
    final = [item for item in every if item.get("phase") in (None, "final_answer")] or every[-1:]
    return tuple(Message(text=item["text"]) for item in final)


def failure(turn: wire.Turn | None) -> Failure | None:
    """Return why a turn failed."""
    if turn is None or turn.error is None:
        return None
    info = turn.error.codexErrorInfo
    code = text(info) or next(iter(fields(info)), None)
    return Failure(code=code, message=turn.error.message)


def notices(thread: wire.Thread, turn: wire.Turn | None, change: Change | None) -> tuple[Notice, ...]:
    """Return what the state of a task does not show: edits that were not made, a change that cannot be read."""
    shown = []
    unmade = unmade_paths(turn.items or (), thread.cwd or "") if turn else {}
    if unmade:
        paths = ", ".join(f"{path} ({why})" for path, why in unmade.items())
        shown.append(Notice(kind="partial", text=f"edits were not made: {paths}"))
    if change is not None and change.problem:
        shown.append(Notice(kind="no_result", text=f"the change cannot be read from the host: {change.problem}"))
    return tuple(shown)


def unmade_paths(every: Iterable[Mapping[str, Any]], folder: str) -> dict[str, str]:
    """Return the files whose last edit was declined or failed, though the turn may be completed."""
    unmade: dict[str, str] = {}
    for item in every:
        if item.get("type") != "fileChange":
            continue
        why = UNMADE.get(text(item.get("status")) or "")
        for path in paths_of(item, folder):
            unmade.pop(path, None)
            if why:
                unmade[path] = why
    return unmade


def paths_of(item: Mapping[str, Any], folder: str) -> Sequence[str]:
    """Return the files of a ``fileChange``, as seen from the task's folder."""
    named = (text(fields(each).get("path")) for each in items(item.get("changes")))
    return [path.removeprefix(f"{folder}/") for path in named if path]


def moment(seconds: float | None) -> datetime | None:
    """Return seconds since the epoch as a time, None for what is none."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def usage(limits: wire.RateLimits) -> Usage:
    """Return the limits of the account that the host is logged in with."""
    named = {"primary": limits.primary, "secondary": limits.secondary}
    windows = tuple(window(name, each) for name, each in named.items() if each is not None)
    limit = RateLimit(plan=limits.planType, is_reached=limits.rateLimitReachedType is not None, windows=windows)
    return Usage(plan=limits.planType, rate_limit=limit)


def window(name: str, given: wire.Window) -> RateWindow:
    """Return a window of a limit."""
    minutes = given.windowDurationMins
    return RateWindow(
        name=name,
        used_percent=given.usedPercent,
        seconds=None if minutes is None else int(minutes * 60),
        resets_at=moment(given.resetsAt),
    )


def model(listed: wire.ListedModel) -> Model:
    """Return a model that the host lists."""
    efforts = (text(effort.get("reasoningEffort")) for effort in listed.supportedReasoningEfforts or ())
    return Model(
        id=listed.id,
        reasoning=tuple(effort for effort in efforts if effort),
        default_reasoning=listed.defaultReasoningEffort,
        is_listed=not listed.hidden,
        successor=listed.upgrade,
        notes=listed.description,
        source="the host",
    )
