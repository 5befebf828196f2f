"""Convert the service's sessions to coatcheck's values. Pure: no I/O.

Invariants:

- every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong;
- an idle session has not started, has ended or continues: its newest turn without a subagent decides;
- without turns an idle session has no known end, and is `INPUT_REQUIRED`: whoever needs the end requests the turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from ...provider import (
    Failure,
    GateOption,
    Message,
    Notice,
    Outcome,
    Page,
    PermissionRequest,
    Response,
    Task,
    TaskRef,
    TaskState,
    check,
    fields,
    instant,
    read_json,
    text,
    whole,
)
from .._sessions.change_files import Change
from .._sessions.limits import newest_files
from . import wire
from .endpoints import NAME

T = TypeVar("T")

# What a session is while it runs, and at its end where no turn says otherwise (docs/reference/providers/openai-agents.md, "States").
STATES: Mapping[str, TaskState] = {
    "in_progress": TaskState.RUNNING,
    "requires_action": TaskState.INPUT_REQUIRED,
    "idle": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
}
TURN_STATES: Mapping[str, TaskState] = {
    "queued": TaskState.QUEUED,
    "in_progress": TaskState.RUNNING,
    "waiting": TaskState.INPUT_REQUIRED,
    "completed": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
}
IDLE = "idle"
APPROVAL = "mcp_approval_request"
OPTIONS = (
    GateOption(id="approve", label="Allow", effect="approve"),
    GateOption(id="deny", label="Deny", effect="reject"),
)

# The keys of a session's metadata: the key of the submission, and what the task was.
KEY, MODE, REPOSITORY, BRANCH, TITLE = (
    "coatcheck",
    "coatcheck_mode",
    "coatcheck_repository",
    "coatcheck_branch",
    "coatcheck_title",
)


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What was requested about a session beside itself. `turn` is its newest, None where there is none (yet)."""

    turn: wire.Turn | None = None
    message: Message | None = None
    change: Change | None = None


def session(answer: Response) -> wire.Session:
    """Return the session that *answer* holds."""
    return read_json(answer.body, wire.Session, response=answer)


def read_list(answer: Response, shape: type[T], id_of: Callable[[T], str]) -> tuple[list[T], str | None]:
    """Return a page of a list and the cursor of the next one."""
    page = read_json(answer.body, wire.Page, response=answer)
    raws = enumerate(page.data or ())
    found = [read_json(raw, shape, response=answer, at=f"$.data[{index}]") for index, raw in raws]
    return found, id_of(found[-1]) if page.has_more and found else None


def page(answer: Response) -> Page:
    """Return a page of the list, without the ends of its sessions."""
    check(answer)
    sessions, cursor = read_list(answer, wire.Session, lambda each: each.id)
    raws = read_json(answer.body, wire.Page, response=answer).data or ()
    tasks = tuple(task(each, raw=bytes(raw)) for each, raw in zip(sessions, raws, strict=True))
    return Page(items=tasks, cursor=cursor, raw=answer.body)


def newest_turn(answer: Response) -> wire.Turn | None:
    """Return the newest turn of the main agent in a page of turns, the newest first."""
    turns, _ = read_list(answer, wire.Turn, lambda each: each.id)
    return next((turn for turn in turns if turn.subagent_id is None), None)


def files_of(artifacts: Iterable[wire.Artifact]) -> Mapping[str, str]:
    """Return the id of the newest artifact of each name."""
    every = ((each.path or "", instant(each.created_at), each.id) for each in artifacts)
    return newest_files((path, at.timestamp() if at else 0.0, id) for path, at, id in every)


def state_of(document: wire.Session, details: Details | None) -> TaskState:
    """Return the state of a session; *details* None means that its turns were not requested."""
    if document.status != IDLE:
        return STATES.get(document.status or "", TaskState.UNKNOWN)
    if details is None:
        return TaskState.INPUT_REQUIRED
    if details.turn is None:
        return TaskState.QUEUED
    return TURN_STATES.get(details.turn.status or "", TaskState.UNKNOWN)


def task(document: wire.Session, details: Details | None = None, *, raw: bytes = b"") -> Task:
    """Return a session as a task."""
    state, metadata = state_of(document, details), fields(document.metadata)
    change = details.change if details else None
    return Task(
        ref=TaskRef(NAME, document.id),
        state=state,
        raw_state=document.status,
        title=text(metadata.get(TITLE)),
        mode="ask" if metadata.get(MODE) == "ask" else "code",
        repository=text(metadata.get(REPOSITORY)),
        branch=text(metadata.get(BRANCH)),
        created_at=instant(document.created_at),
        updated_at=instant(document.last_active_at),
        model=text(fields(document.agent).get("model")),
        progress=_progress(document) if state is TaskState.INPUT_REQUIRED else None,
        stats=change.stats if change else None,
        outcome=_outcome(details, state, _error(document, details, state)) if details else None,
        error=_error(document, details, state),
        permission_requests=permissions_of(document),
        notices=_notices(document, details, state),
        raw=raw,
    )


def key_in(task: Task) -> str | None:
    """Return the key of the submission that made the session of a task, from its response."""
    return text(fields(session(Response(200, body=task.raw)).metadata).get(KEY))


def has_change(document: wire.Session) -> bool:
    """Whether the agent of the session was asked to return its change as files."""
    metadata = fields(document.metadata)
    return text(metadata.get(REPOSITORY)) is not None and metadata.get(MODE) != "ask"


def permissions_of(document: wire.Session) -> tuple[PermissionRequest, ...]:
    """Return the approvals of tools that a session waits for."""
    actions = (each for each in document.required_actions or () if each.type == APPROVAL and each.request_id)
    return tuple(map(_permission, actions))


def _permission(action: wire.RequiredAction) -> PermissionRequest:
    request = fields(action.request)
    name = text(request.get("name")) or text(request.get("server_label")) or "a tool"
    title = text(request.get("message")) or f"use {name}"
    arguments = request.get("arguments")
    detail = msgspec.json.encode(arguments).decode() if arguments is not None else None
    return PermissionRequest(
        id=action.request_id or "", title=title.partition("\n")[0], kind=name, detail=detail, options=OPTIONS
    )


def _progress(document: wire.Session) -> str | None:
    actions = [each.type for each in document.required_actions or () if each.type]
    if not actions:
        return None
    if APPROVAL in actions:
        return f"waits for a permission: {permissions_of(document)[0].title}" if permissions_of(document) else None
    return f"waits for {', '.join(actions)}, which only the agent's own application can give"


def _outcome(details: Details, state: TaskState, error: Failure | None) -> Outcome | None:
    if not state.is_terminal:
        return None
    change = details.change or Change()
    return Outcome(
        messages=(details.message,) if details.message else (),
        patch=change.patch,
        patch_state=change.state,
        base_commit=change.base_commit,
        stats=change.stats,
        error=error,
    )


def _error(document: wire.Session, details: Details | None, state: TaskState) -> Failure | None:
    if state is not TaskState.FAILED:
        return None
    error = fields(details.turn.error) if details and details.turn else {}
    failure = Failure(code=text(error.get("code")), message=text(error.get("message")) or text(document.error))
    return failure if failure.code or failure.message else None


def _notices(document: wire.Session, details: Details | None, state: TaskState) -> tuple[Notice, ...]:
    change = details.change.notices if details and details.change else ()
    usage = fields(document.usage)
    counts = {name: whole(usage.get(f"{name}_tokens")) for name in ("input", "output")}
    parts = [f"{count:,} {name} tokens" for name, count in counts.items() if count]
    cents = whole(fields(document.spend_control).get("consumed"))
    if cents is not None:
        parts.append(f"{cents / 100:,.2f} USD")
    if not (parts and state.is_terminal):
        return change
    cost = None if cents is None else cents / 100
    return (*change, Notice(kind="usage", text=", ".join(parts), cost=cost))
