"""Convert the service's sessions to coatcheck's values. Pure: no I/O.

Invariants:

- every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong;
- an idle session has ended, waits or continues: its last events decide (`session_events.ending_of`);
- without events an idle or terminated session has no known end, and is `INPUT_REQUIRED`: whoever needs the end
  requests the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ...provider import (
    Environment,
    Failure,
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
    format_time,
    instant,
    items,
    read_json,
    repository_named,
    text,
)
from .._sessions.change_files import Change
from .._sessions.limits import newest_files
from . import wire
from .endpoints import NAME
from .session_events import Ending
from .usage import usage_notices

# What a session is while it runs, and at its end where that is no other (docs/reference/providers/claude-agents.md, "States").
STATES: Mapping[str, TaskState] = {
    "running": TaskState.RUNNING,
    "rescheduling": TaskState.RUNNING,
    "idle": TaskState.SUCCEEDED,
    "terminated": TaskState.FAILED,
}
# What an idle session is, by the reason of its stop.
STOP_REASONS: Mapping[str, TaskState] = {
    "end_turn": TaskState.SUCCEEDED,
    "requires_action": TaskState.INPUT_REQUIRED,
    "retries_exhausted": TaskState.FAILED,
    "budget_reached": TaskState.PAUSED,
    "refusal": TaskState.FAILED,
}
TERMINATED = "terminated"
STOPPED = frozenset({"idle", TERMINATED})
BUDGET_TEXT = "the budget of the session is reached; raise it at the service and send a message to continue"

# How far before its submission a session is searched (seconds).
SEARCH_SECONDS = 3600.0
# The keys of a session's metadata: the key of the submission, and the mode of the task.
KEY, MODE = "coatcheck", "coatcheck_mode"


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What was requested about a session beside itself; None for what was not."""

    ending: Ending | None = None
    change: Change | None = None
    permissions: tuple[PermissionRequest, ...] = ()


def session(answer: Response) -> wire.Session:
    """Return the session that *answer* holds."""
    return read_json(answer.body, wire.Session, response=answer)


def page(answer: Response) -> Page:
    """Return a page of the list, without the ends of its sessions."""
    check(answer)
    document = read_json(answer.body, wire.SessionPage, response=answer)
    sessions = enumerate(document.data or ())
    tasks = tuple(
        task(read_json(raw, wire.Session, response=answer, at=f"$.data[{index}]"), raw=bytes(raw))
        for index, raw in sessions
    )
    return Page(items=tasks, cursor=document.next_page or None, raw=answer.body)


def environment(document: wire.Environment) -> Environment:
    """Return an environment."""
    return Environment(id=document.id, label=text(document.name))


def state_of(document: wire.Session, ending: Ending | None) -> TaskState:
    """Return the state of a session whose last events mean *ending*, None where they were not requested."""
    if document.status not in STOPPED:
        return STATES.get(document.status or "", TaskState.UNKNOWN)
    if ending is None:
        return TaskState.INPUT_REQUIRED
    if document.status == "idle":
        return _idle_state(ending)
    if document.archived_at is None:
        return TaskState.FAILED
    state = _idle_state(ending)
    return state if state.is_terminal else TaskState.CANCELLED  # it was archived before its end


def _idle_state(ending: Ending) -> TaskState:
    if ending.is_continuing:
        return TaskState.RUNNING
    if ending.stop is None:
        return TaskState.QUEUED
    state = STOP_REASONS.get(ending.reason or "", TaskState.UNKNOWN)
    is_cancelled = ending.is_interrupted and state is TaskState.SUCCEEDED
    return TaskState.CANCELLED if is_cancelled else state


def task(document: wire.Session, details: Details | None = None, *, raw: bytes = b"") -> Task:
    """Return a session as a task."""
    details = details or Details()
    state = state_of(document, details.ending)
    metadata, repository = fields(document.metadata), _repository(document)
    checkout = fields(repository.get("checkout"))
    return Task(
        ref=TaskRef(NAME, document.id),
        state=state,
        raw_state=document.status,
        title=text(document.title),
        mode="ask" if metadata.get(MODE) == "ask" else "code",
        environment=text(document.environment_id),
        repository=repository_named(text(repository.get("url")) or ""),
        branch=text(checkout.get("name")),
        created_at=instant(document.created_at),
        updated_at=instant(document.updated_at),
        model=_model(document),
        progress=_progress(details, state),
        stats=details.change.stats if details.change else None,
        outcome=_outcome(document, details, state),
        error=_error(details.ending, state),
        permission_requests=details.permissions if state is TaskState.INPUT_REQUIRED else (),
        notices=_notices(document, details),
        is_archived=instant(document.archived_at) is not None,
        raw=raw,
    )


def has_repository(document: wire.Session) -> bool:
    """Whether the session works on a repository."""
    return bool(_repository(document))


def has_change(document: wire.Session) -> bool:
    """Whether the agent of the session was asked to return its change as files."""
    return has_repository(document) and fields(document.metadata).get(MODE) != "ask" and key_of(document) is not None


def key_of(document: wire.Session) -> str | None:
    """Return the key of the submission that made the session."""
    return text(fields(document.metadata).get(KEY))


def key_in(task: Task) -> str | None:
    """Return the key of the submission that made the session of a task, from its response."""
    return key_of(session(Response(200, body=task.raw)))


def _repository(document: wire.Session) -> Mapping[str, object]:
    resources = map(fields, items(document.resources))
    return next((each for each in resources if each.get("type") == "github_repository"), {})


def _model(document: wire.Session) -> str | None:
    model = fields(document.agent).get("model")
    return text(model) or text(fields(model).get("id"))


def _outcome(document: wire.Session, details: Details, state: TaskState) -> Outcome | None:
    ending, change = details.ending, details.change or Change()
    if ending is None or not (state.is_terminal or state is TaskState.PAUSED):
        return None
    messages: tuple[Message, ...] = (ending.message,) if ending.message else ()
    return Outcome(
        messages=messages,
        patch=change.patch,
        patch_state=change.state,
        base_commit=change.base_commit or _commit(document),
        stats=change.stats,
        error=_error(ending, state),
    )


def _commit(document: wire.Session) -> str | None:
    return text(fields(_repository(document).get("checkout")).get("sha"))


def _error(ending: Ending | None, state: TaskState) -> Failure | None:
    if ending is None or state is not TaskState.FAILED:
        return None
    return ending.refusal or ending.error or (Failure(code=ending.reason) if ending.reason else None)


def _progress(details: Details, state: TaskState) -> str | None:
    if state is TaskState.PAUSED:
        return BUDGET_TEXT
    if state is not TaskState.INPUT_REQUIRED or details.ending is None:
        return None
    if details.permissions:
        return f"waits for a permission: {details.permissions[0].title}"
    return "waits for the result of a tool of its agent, which only the agent's own application can give"


def _notices(document: wire.Session, details: Details) -> tuple[Notice, ...]:
    """Return the notices about the change and, once the session has stopped, about what it has used."""
    change = details.change.notices if details.change else ()
    return (*change, *usage_notices(document.usage)) if details.ending else change


def files_of(files: Iterable[wire.File]) -> Mapping[str, str]:
    """Return the id of the newest file of each name."""
    return newest_files((file.filename or "", _time(file), file.id) for file in files)


def _time(file: wire.File) -> float:
    created = instant(file.created_at)
    return created.timestamp() if created else 0.0


def search_start(at: float) -> str:
    """Return from when a session is searched that was submitted *at*: clocks may differ, and an hour is no request more."""
    return format_time(at - SEARCH_SECONDS)
