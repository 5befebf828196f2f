"""Convert an agent's responses to coatcheck's values. Pure: no I/O.

Invariants:

- every response is read as a value or `UnreadableResponseError` with the JSON path of what is wrong;
- a state's native word is kept; a word that `STATES` lacks is UNKNOWN, which never ends a task;
- the newest message is last: the agent's question where it needs input, the text of its artifacts where it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ...provider import (
    Failure,
    Message,
    Notice,
    Outcome,
    Page,
    PatchState,
    Response,
    Task,
    TaskSpec,
    TaskState,
    count_diff,
    errors,
    instant,
)
from . import wire
from .bindings import read_document, read_result
from .parts import ArtifactContents, attachments, collect, text_of
from .service import Service

# Every state of A2A 1.0, section 4.1.3.
STATES: Mapping[str, TaskState] = {
    "TASK_STATE_UNSPECIFIED": TaskState.UNKNOWN,
    "TASK_STATE_SUBMITTED": TaskState.QUEUED,
    "TASK_STATE_WORKING": TaskState.RUNNING,
    "TASK_STATE_INPUT_REQUIRED": TaskState.INPUT_REQUIRED,
    "TASK_STATE_AUTH_REQUIRED": TaskState.INPUT_REQUIRED,
    "TASK_STATE_COMPLETED": TaskState.SUCCEEDED,
    "TASK_STATE_FAILED": TaskState.FAILED,
    "TASK_STATE_CANCELED": TaskState.CANCELLED,
    "TASK_STATE_REJECTED": TaskState.FAILED,
}
AUTH_REQUIRED, REJECTED = "TASK_STATE_AUTH_REQUIRED", "TASK_STATE_REJECTED"
USER, AGENT = "ROLE_USER", "ROLE_AGENT"
# Ids of answers that are no tasks begin with this: there is nothing to request.
MESSAGE_ONLY = "message-"
NO_STATUS = wire.TaskStatus()


def task(wire_task: wire.Task, service: Service, *, raw: bytes = b"", at: str = "$") -> Task:
    """Return the task in a response. Raises `UnreadableResponseError` for one without an id."""
    if not wire_task.id:
        raise errors.UnreadableResponseError(
            f"the agent's response is a task without an id at {at}.id", path=f"{at}.id"
        )
    status = wire_task.status or NO_STATUS
    messages = [*_earlier_messages(wire_task, status), *([status.message] if status.message else [])]
    contents = collect([*map(attachments, messages), *(wire_task.artifacts or ())])
    state = state_of(status)
    result = _outcome(wire_task, status, state, contents)
    return Task(
        ref=service.ref(wire_task.id),
        state=state,
        raw_state=status.state,
        prompt=prompt_of(wire_task.history or ()),
        updated_at=instant(status.timestamp),
        progress=text_of(status.message) or None if state is TaskState.RUNNING else None,
        stats=result.stats,
        outcome=result if state.ends_wait or not result.is_empty else None,
        error=result.error,
        notices=(*_notices(status), *contents.notices),
        pull_requests=(result.pull_request,) if result.pull_request and result.pull_request.url else (),
        raw=raw,
    )


def task_from(response: Response, service: Service) -> Task:
    """Return the task in the response of a call."""
    return task(read_result(response, wire.Task), service, raw=response.body)


def saved_task(body: bytes, service: Service) -> Task:
    """Return the task in a saved response of either binding."""
    return task(read_document(body, wire.Task), service, raw=body)


def sent(response: Response, spec: TaskSpec, service: Service) -> Task:
    """Return the task that answers a message: the agent's task, or one that has ended where it only sent a message."""
    answer = read_result(response, wire.Sent)
    if answer.task is not None:
        created = task(answer.task, service, raw=response.body, at="$.task")
    elif answer.message is not None:
        created = _message_only(answer.message, service, raw=response.body)
    else:
        raise errors.UnreadableResponseError("the agent's response is neither a task nor a message", path="$.task")
    return msgspec.structs.replace(
        created,
        prompt=spec.prompt,
        title=spec.title,
        environment=spec.environment,
        repository=spec.repository,
        branch=spec.branch,
    )


def page(response: Response, service: Service) -> Page:
    """Return a page of the list. Its tasks have no outcome, since a list has no artifacts, and no `raw`; the page has."""
    wire_page = read_result(response, wire.TaskPage)
    listed = (task(each, service, at=f"$.tasks[{place}]") for place, each in enumerate(wire_page.tasks or ()))
    tasks = tuple(msgspec.structs.replace(each, outcome=None, stats=None) for each in listed)
    return Page(items=tasks, cursor=wire_page.next_page_token or None, raw=response.body)


def state_of(status: wire.TaskStatus) -> TaskState:
    """Return the state of a task."""
    return STATES.get(status.state or "", TaskState.UNKNOWN)


def prompt_of(history: Iterable[wire.Message]) -> str | None:
    """Return the text of the user's first message: the prompt, which is its first part."""
    first = next((message for message in history if message.role == USER), None)
    return next((part.text for part in (first.parts if first else None) or () if part.text), None)


def has_message(wire_task: wire.Task, id: str) -> bool:
    """Whether the user's message *id* is one of the task's."""
    return any(message.message_id == id for message in wire_task.history or ())


def _message_only(message: wire.Message, service: Service, *, raw: bytes) -> Task:
    """Return the ended task of an agent that answered at once, with a message."""
    if not message.message_id:
        raise errors.UnreadableResponseError("the agent's message has no id", path="$.message.messageId")
    contents = collect([wire.Artifact(name="answer", parts=message.parts)])
    wire_task = wire.Task(status=wire.TaskStatus(state="TASK_STATE_COMPLETED"))
    result = _outcome(wire_task, wire_task.status or NO_STATUS, TaskState.SUCCEEDED, contents)
    return Task(
        ref=service.ref(f"{MESSAGE_ONLY}{message.message_id}"),
        state=TaskState.SUCCEEDED,
        stats=result.stats,
        outcome=result,
        notices=tuple(contents.notices),
        raw=raw,
    )


def _outcome(wire_task: wire.Task, status: wire.TaskStatus, state: TaskState, contents: ArtifactContents) -> Outcome:
    patch = contents.patch()
    has_url = patch is None and contents.diff_url is not None
    return Outcome(
        messages=_messages(wire_task, status, contents, is_ended=state.is_terminal),
        patch=patch,
        patch_state=PatchState.PRESENT if patch else PatchState.OFFLOADED if has_url else PatchState.NONE,
        external_file_id=contents.diff_url if has_url else None,
        base_commit=contents.base_commit if patch else None,
        stats=count_diff(patch),
        pull_request=contents.pull_request,
        files=tuple(contents.files),
        error=_failure(status, state),
    )


def _messages(
    wire_task: wire.Task, status: wire.TaskStatus, contents: ArtifactContents, *, is_ended: bool
) -> tuple[Message, ...]:
    """Return the agent's messages; the one of the status may be in the history as well."""
    earlier = [Message(text=text) for each in _earlier_messages(wire_task, status) if (text := text_of(each))]
    last = [Message(text=text)] if (text := text_of(status.message)) else []
    return (*earlier, *last, *contents.texts) if is_ended else (*earlier, *contents.texts, *last)


def _earlier_messages(wire_task: wire.Task, status: wire.TaskStatus) -> list[wire.Message]:
    """Return the agent's messages before the one of the status."""
    history = wire_task.history or ()
    return [each for each in history if each.role == AGENT and not _is_same(each, status.message)]


def _is_same(message: wire.Message, other: wire.Message | None) -> bool:
    return other is not None and message.message_id is not None and message.message_id == other.message_id


def _failure(status: wire.TaskStatus, state: TaskState) -> Failure | None:
    if state is not TaskState.FAILED:
        return None
    return Failure(code="rejected" if status.state == REJECTED else None, message=text_of(status.message) or None)


def _notices(status: wire.TaskStatus) -> tuple[Notice, ...]:
    if status.state != AUTH_REQUIRED:
        return ()
    content = text_of(status.message)
    text = "the agent needs a login or a permission that is given to it outside of A2A"
    return (Notice(kind="waits_on_page", text=f"{text}: {content}" if content else text),)
