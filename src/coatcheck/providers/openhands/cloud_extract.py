"""Convert OpenHands Cloud's responses to coatcheck's values. Pure: no I/O.

Invariants:

- while its sandbox runs, the state of a conversation is that of the agent-server in it; afterwards it is the last one in the
  log, and a run that was cut off is paused (the sandbox can be resumed) or expired (it is gone);
- a word that is not known is UNKNOWN, which never ends a task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ...provider import (
    Failure,
    Message,
    Notice,
    Outcome,
    Page,
    PatchState,
    PullRequest,
    Response,
    Task,
    TaskRef,
    TaskState,
    errors,
    instant,
    items,
    read_json,
    repository_named,
    text,
    whole,
)
from . import cloud_wire, events
from .cloud_endpoints import NAME, page_of
from .extract import STATES

# docs/reference/protocols/openhands-cloud.md, "3 Start".
START_STATES: Mapping[str, TaskState] = {
    **dict.fromkeys(
        (
            "WORKING",
            "WAITING_FOR_SANDBOX",
            "PREPARING_REPOSITORY",
            "RUNNING_SETUP_SCRIPT",
            "SETTING_UP_GIT_HOOKS",
            "SETTING_UP_SKILLS",
            "STARTING_CONVERSATION",
            "READY",
        ),
        TaskState.QUEUED,
    ),
    "ERROR": TaskState.FAILED,
}
# The states of sandboxes in which no agent-server answers, and what they mean for a run that has not ended.
SANDBOX_STATES: Mapping[str, TaskState] = {
    "STARTING": TaskState.QUEUED,
    "PAUSED": TaskState.PAUSED,
    "STOPPED": TaskState.EXPIRED,
    "MISSING": TaskState.EXPIRED,
    "ERROR": TaskState.FAILED,
}

_HEX = re.compile(r"[0-9a-f]{32}")


def is_live(document: cloud_wire.CloudConversation) -> bool:
    """Whether the agent-server of a conversation answers."""
    return document.sandbox_status == "RUNNING" and bool(document.conversation_url)


def conversation(response: Response) -> cloud_wire.CloudConversation | None:
    """Return the conversation in the response to a request of one id, None where there is none."""
    listed = read_json(response.body, list[cloud_wire.CloudConversation | None], response=response)
    return listed[0] if listed else None


def task(
    document: cloud_wire.CloudConversation, happened: Sequence[events.Happening] = (), *, base: str, raw: bytes = b""
) -> Task:
    """Return a conversation as a task; *happened* is its newest events, where its sandbox does not run."""
    last = next(filter(None, (each.state for each in happened)), None)
    state = _state(document, last)
    outcome = _outcome(document, happened, state, base=base) if state.is_terminal else None
    return Task(
        ref=TaskRef(NAME, id_of(document)),
        state=state,
        raw_state=last or document.execution_status or document.sandbox_status,
        outcome=outcome,
        error=outcome.error if outcome else None,
        notices=tuple(_notices(document, state)),
        raw=raw,
        **common(document, base=base),
    )


def common(document: cloud_wire.CloudConversation, *, base: str) -> dict[str, Any]:
    """Return the fields of a task that the Cloud knows, whatever its sandbox does."""
    repository = text(document.selected_repository)
    return {
        "url": page_of(id_of(document), base),
        "title": text(document.title),
        "mode": "code",
        "environment": repository,
        "repository": repository_named(repository) if repository else None,
        "branch": text(document.selected_branch),
        "model": text(document.llm_model),
        "created_at": instant(document.created_at),
        "updated_at": instant(document.updated_at),
        "pull_requests": tuple(
            PullRequest(title=text(document.title), number=number)
            for each in items(document.pr_number)
            if (number := whole(each)) is not None
        ),
    }


def in_cloud(task: Task, document: cloud_wire.CloudConversation, *, base: str) -> Task:
    """Return *task* of the agent-server as one of the Cloud."""
    known = {name: value for name, value in common(document, base=base).items() if value}
    return msgspec.structs.replace(task, ref=TaskRef(NAME, task.ref.id), **known)


def starting(started: cloud_wire.StartTask, id: str, *, base: str, raw: bytes = b"") -> Task:
    """Return a conversation that is being started as a task."""
    state = START_STATES.get(started.status or "", TaskState.UNKNOWN)
    failure = Failure(code=started.status, message=text(started.detail)) if state is TaskState.FAILED else None
    asked = started.request or cloud_wire.StartRequest()
    repository = text(asked.selected_repository)
    return Task(
        ref=TaskRef(NAME, id),
        state=state,
        raw_state=started.status,
        url=page_of(id, base),
        title=text(asked.title),
        environment=repository,
        repository=repository_named(repository) if repository else None,
        branch=text(asked.selected_branch),
        created_at=instant(started.created_at),
        progress=text(started.detail),
        outcome=Outcome(error=failure) if failure else None,
        error=failure,
        raw=raw,
    )


def unlisted(listed: Iterable[cloud_wire.StartTask], *, base: str) -> tuple[Task, ...]:
    """Return the conversations that are not in the list, because their start has not ended or has failed."""
    pending = ((each, _asked(each)) for each in listed if each.status != "READY")
    return tuple(starting(each, hyphenated(id), base=base) for each, id in pending if id)


def started_with(listed: Iterable[cloud_wire.StartTask], id: str) -> cloud_wire.StartTask | None:
    """Return the start task of the conversation *id*, None where none is listed."""
    return next((each for each in listed if is_same(each.app_conversation_id or _asked(each), id)), None)


def check_id(started: cloud_wire.StartTask, id: str) -> None:
    """Raise `UnreadableResponseError` where the service did not take the id of the conversation."""
    if not is_same(started.app_conversation_id or _asked(started), id):
        raise errors.UnreadableResponseError(
            "the service did not take the id of the conversation", path="$.request.conversation_id"
        )


def _asked(started: cloud_wire.StartTask) -> str | None:
    return started.request.conversation_id if started.request else None


def is_same(one: str | None, other: str) -> bool:
    """Whether two texts are the same UUID, which the service writes with or without hyphens."""
    return one is not None and one.replace("-", "").lower() == other.replace("-", "").lower()


def page(answer: Response, *, base: str) -> Page:
    """Return a page of the list."""
    listed = read_json(answer.body, cloud_wire.CloudPage, response=answer)
    tasks = []
    for place, raw in enumerate(listed.items or ()):
        document = read_json(raw, cloud_wire.CloudConversation, response=answer, at=f"$.items[{place}]")
        shown = task(document, base=base, raw=bytes(raw))
        tasks.append(msgspec.structs.replace(shown, outcome=None, notices=()))
    return Page(items=tuple(tasks), cursor=listed.next_page_id or None, raw=answer.body)


# -- parts of a task ---------------------------------------------------------------------------------------------------


def id_of(document: cloud_wire.CloudConversation) -> str:
    """Return the id of a conversation, with hyphens. Raises `UnreadableResponseError` where there is none."""
    if not document.id:
        raise errors.UnreadableResponseError(
            "the service's response does not have the documented shape at $[0].id: no id", path="$[0].id"
        )
    return hyphenated(document.id)


def hyphenated(id: str) -> str:
    """Return a UUID with its hyphens, which the service leaves out; any other text as it is."""
    return f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}" if _HEX.fullmatch(id) else id


def _state(document: cloud_wire.CloudConversation, last: str | None) -> TaskState:
    state = STATES.get(last or document.execution_status or "", TaskState.UNKNOWN)
    if document.sandbox_status == "RUNNING" or state.is_terminal:
        return state
    return SANDBOX_STATES.get(document.sandbox_status or "", TaskState.UNKNOWN)


def _outcome(
    document: cloud_wire.CloudConversation, happened: Iterable[events.Happening], state: TaskState, *, base: str
) -> Outcome:
    reply = next(filter(None, map(events.reply_of, happened)), None)
    code = document.sandbox_status if state is not TaskState.SUCCEEDED else None
    return Outcome(
        messages=(Message(text=reply),) if reply else (),
        patch_state=PatchState.OFFLOADED,
        external_file_id=page_of(id_of(document), base),
        error=Failure(code=code) if state in (TaskState.FAILED, TaskState.EXPIRED) else None,
    )


def _notices(document: cloud_wire.CloudConversation, state: TaskState) -> Iterable[Notice]:
    if not state.is_terminal or document.sandbox_status == "RUNNING":
        return
    word = (document.sandbox_status or "not there").lower()
    resume = "; a message resumes it" if document.sandbox_status == "PAUSED" else ""
    yield Notice(kind="no_result", text=f"its change cannot be read: its sandbox is {word}{resume}")
