"""Convert an agent-server's responses to coatcheck's values. Pure: no I/O.

Invariants:

- every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong;
- a state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task;
- a conversation that is paused was cancelled if the event of an interruption, or a tag of ours, says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ...provider import (
    Environment,
    Failure,
    Message,
    Model,
    Notice,
    Outcome,
    Page,
    PatchState,
    PermissionRequest,
    Response,
    Task,
    TaskRef,
    TaskState,
    count_diff,
    errors,
    fields,
    instant,
    number,
    read_json,
    repository_named,
    text,
    whole,
)
from . import wire
from .checkouts import Change
from .endpoints import NAME
from .requests import BRANCH_TAG, CANCELLED_TAG, ENVIRONMENT_TAG, REPOSITORY_TAG

if TYPE_CHECKING:
    from ...provider import TaskSpec

# Every state of docs/reference/protocols/openhands.md, "4 States".
STATES: Mapping[str, TaskState] = {
    "idle": TaskState.QUEUED,
    "running": TaskState.RUNNING,
    "paused": TaskState.PAUSED,
    "waiting_for_confirmation": TaskState.INPUT_REQUIRED,
    "finished": TaskState.SUCCEEDED,
    "error": TaskState.FAILED,
    "stuck": TaskState.FAILED,
    "deleting": TaskState.CANCELLED,
}
STUCK = "the agent repeats itself and was stopped by the server"


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What was requested of a conversation beside its document; None where it was not.

    `is_started`: the agent was started after the document was read.
    """

    message: str | None = None
    change: Change | None = None
    permission: PermissionRequest | None = None
    error: Failure | None = None
    is_interrupted: bool = False
    is_unstarted: bool = False
    is_started: bool = False


NO_DETAILS = Details()


def conversation(response: Response) -> wire.Conversation:
    """Return the conversation in a response."""
    return read_json(response.body, wire.Conversation, response=response)


def state_of(document: wire.Conversation, details: Details = NO_DETAILS) -> TaskState:
    """Return the state of a conversation."""
    if details.is_started:
        return TaskState.RUNNING
    state = STATES.get(document.execution_status or "", TaskState.UNKNOWN)
    if state is TaskState.PAUSED and (details.is_interrupted or _tag(document, CANCELLED_TAG)):
        return TaskState.CANCELLED
    if state is TaskState.QUEUED and (details.is_unstarted or document.last_user_message_id is None):
        return TaskState.INPUT_REQUIRED
    return state


def task(document: wire.Conversation, details: Details = NO_DETAILS, *, raw: bytes = b"") -> Task:
    """Return a conversation as a task."""
    state = state_of(document, details)
    environment, repository = _tag(document, ENVIRONMENT_TAG), _tag(document, REPOSITORY_TAG)
    result = outcome(document, details) if details.change is not None and state.ends_wait else None
    return Task(
        ref=TaskRef(NAME, id_of(document)),
        state=state,
        raw_state=document.execution_status,
        title=text(document.title),
        mode="code",
        environment=environment,
        repository=repository_named(repository) if repository else None,
        branch=_tag(document, BRANCH_TAG),
        created_at=instant(document.created_at),
        updated_at=instant(document.updated_at),
        model=text(fields(fields(document.agent).get("llm")).get("model")),
        stats=result.stats if result else None,
        outcome=result if result and (state.is_terminal or not result.is_empty) else None,
        error=_failure(document, details),
        permission_requests=(details.permission,) if details.permission else (),
        notices=tuple(_notices(document, details)) if state.ends_wait else (),
        raw=raw,
    )


def submitted(created: Task, spec: TaskSpec) -> Task:
    """Return a task that was just created, with what the service does not return: its message is read at once."""
    is_unread = created.state is TaskState.INPUT_REQUIRED and created.raw_state == "idle"
    return msgspec.structs.replace(
        created,
        state=TaskState.QUEUED if is_unread else created.state,
        prompt=spec.prompt,
        title=created.title or spec.title,
        environment=created.environment or spec.environment,
        repository=created.repository or spec.repository,
        branch=created.branch or spec.branch,
    )


def page(answer: Response) -> Page:
    """Return a page of the list."""
    listed = read_json(answer.body, wire.ConversationPage, response=answer)
    tasks = [
        task(read_json(raw, wire.Conversation, response=answer, at=f"$.items[{place}]"), raw=bytes(raw))
        for place, raw in enumerate(listed.items or ())
    ]
    return Page(items=tuple(tasks), cursor=listed.next_page_id or None, raw=answer.body)


def outcome(document: wire.Conversation, details: Details) -> Outcome:
    """Return what a conversation has made."""
    change = details.change or Change()
    state = PatchState.PRESENT if change.patch else PatchState.OFFLOADED if change.size else PatchState.NONE
    directory = document.workspace.working_dir if document.workspace else None
    return Outcome(
        messages=(Message(text=details.message),) if details.message else (),
        patch=change.patch,
        patch_state=state,
        external_file_id=f"{directory or 'the server'} ({change.size} bytes)"
        if state is PatchState.OFFLOADED
        else None,
        base_commit=change.base if change.base != "HEAD" else None,
        stats=count_diff(change.patch),
        error=_failure(document, details),
    )


def models(answer: Response) -> tuple[Model, ...]:
    """Return the models that are stored on the server; one without a name is left out."""
    listed = read_json(answer.body, wire.ModelProfiles, response=answer).profiles or ()
    return tuple(
        Model(id=each.name, notes=text(each.model), source="GET /api/profiles") for each in listed if each.name
    )


def environments(answer: Response) -> tuple[Environment, ...]:
    """Return the folders that are saved on the server; one without a path is left out."""
    listed = read_json(answer.body, wire.SavedWorkspaces, response=answer).workspaces or ()
    return tuple(Environment(id=each.path, label=text(each.name)) for each in listed if each.path)


def profile_id(answer: Response, wanted: str | None) -> str:
    """Return the id of the agent profile *wanted*, else of the active one. Raises `ConfigurationError`."""
    listed = read_json(answer.body, wire.AgentProfiles, response=answer)
    known = [each for each in listed.profiles or () if each.id]
    if wanted is None and listed.active_agent_profile_id:
        return listed.active_agent_profile_id
    found = next((each.id for each in known if wanted in (each.id, each.name)), None)
    if found is None:
        names = ", ".join(each.name or each.id or "" for each in known) or "none"
        problem = f"no agent profile {wanted!r}" if wanted else "no active agent profile"
        raise errors.ConfigurationError(f"the server has {problem}", remedy=f"set {NAME}.agent_profile; known: {names}")
    return found


# -- parts of a task ---------------------------------------------------------------------------------------------------


def id_of(document: wire.Conversation) -> str:
    """Return the id of a conversation. Raises `UnreadableResponseError` where there is none."""
    if not document.id:
        raise errors.UnreadableResponseError(
            "the service's response does not have the documented shape at $.id: no id", path="$.id"
        )
    return document.id


def _tag(document: wire.Conversation, name: str) -> str | None:
    return text((document.tags or {}).get(name))


def _failure(document: wire.Conversation, details: Details) -> Failure | None:
    if STATES.get(document.execution_status or "") is not TaskState.FAILED:
        return None
    if document.execution_status == "stuck":
        return Failure(code="stuck", message=STUCK)
    return details.error or Failure(code=document.execution_status)


def _notices(document: wire.Conversation, details: Details) -> Iterable[Notice]:
    if details.change is not None and details.change.problem:
        yield Notice(kind="no_result", text=f"the change cannot be read from the server: {details.change.problem}")
    used = [fields(each) for each in fields(fields(document.stats).get("usage_to_metrics")).values()]
    tokens = sum(_tokens(fields(each.get("accumulated_token_usage"))) for each in used)
    cost = sum(number(each.get("accumulated_cost")) or 0.0 for each in used)
    if tokens or cost:
        words = [f"{tokens:,} tokens" if tokens else "", f"{cost:.2f} USD" if cost else ""]
        yield Notice(kind="usage", text=f"it used {', '.join(filter(None, words))}", cost=cost or None)


def _tokens(usage: Mapping[str, object]) -> int:
    return (whole(usage.get("prompt_tokens")) or 0) + (whole(usage.get("completion_tokens")) or 0)
