"""The messages that are sent to an agent (A2A 1.0, section 4.1.4). Pure: no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from ...provider import TaskRef, TaskSpec, errors, fields
from . import wire
from .bindings import Call
from .extract import NO_STATUS, USER, has_message, state_of
from .service import Push, Service

# Without it an agent may hold the response until the task has ended (A2A 1.0, section 3.2.2).
CONFIGURATION: Mapping[str, object] = {"returnImmediately": True}
DIFF_TYPE = "text/x-diff"
METADATA = ("repository", "environment", "branch")


def new_task(spec: TaskSpec, service: Service, *, push: Push | None = None) -> Call:
    """Return the call that creates the task of *spec*: its key is the id of the message, and of the context.

    *push* is where the agent sends notifications about it.
    """
    parts: list[dict[str, object]] = [{"text": spec.prompt, "mediaType": "text/plain"}]
    if spec.instructions:
        parts.append({"text": spec.instructions, "mediaType": "text/plain"})
    if spec.starting_diff:
        parts.append({"text": spec.starting_diff, "mediaType": DIFF_TYPE, "filename": "starting.diff"})
    message: dict[str, object] = {"messageId": spec.key or "", "role": USER, "parts": parts}
    if service.has_own_context:
        message["contextId"] = spec.key or ""
    if metadata := {name: value for name in METADATA if (value := getattr(spec, name))}:
        message["metadata"] = metadata
    return _send(message, push)


def follow_up(task: wire.Task, text: str, *, push: Push | None = None) -> Call:
    """Return the call that sends *text* to a task, or to its context where the task has ended."""
    message: dict[str, object] = {
        "messageId": _follow_up_id(task, text),
        "role": USER,
        "parts": [{"text": text, "mediaType": "text/plain"}],
    }
    if task.context_id:
        message["contextId"] = task.context_id
    if state_of(task.status or NO_STATUS).is_terminal:
        message["referenceTaskIds"] = [task.id]
    else:
        message["taskId"] = task.id
    return _send(message, push)


def id_of(call: Call) -> str:
    """Return the id of the message in *call*."""
    return str(fields(call.parameters["message"])["messageId"])


def not_sent_again(error: errors.CoatcheckError, ref: TaskRef) -> errors.CoatcheckError:
    """Return the error for a message whose response was lost, and which no task of the agent shows."""
    if not getattr(error, "request_sent", True):
        return error
    return errors.TaskError(
        f"the response to the message was lost, and it was not sent again: {error}",
        ref=ref,
        remedy=f"look whether the agent has it with: coatcheck list --provider {ref.provider}",
    )


def created_by(tasks: Sequence[wire.Task], id: str) -> wire.Task | None:
    """Return the task that the message *id* created in its context, or the only one: an agent may keep no messages."""
    by_message = next((task for task in tasks if has_message(task, id)), None)
    return tasks[0] if by_message is None and len(tasks) == 1 else by_message


def _follow_up_id(task: wire.Task, text: str) -> str:
    """Return an id that the same text for the same task has again only until the task changes."""
    basis = msgspec.json.encode([task, text])
    return hashlib.sha256(basis).hexdigest()[:32]


def _send(message: Mapping[str, object], push: Push | None) -> Call:
    configuration = CONFIGURATION if push is None else {**CONFIGURATION, "taskPushNotificationConfig": _config(push)}
    return Call(
        "SendMessage",
        "POST",
        "/message:send",
        {"message": message, "configuration": configuration},
        is_change=True,
    )


def _config(push: Push) -> Mapping[str, object]:
    """Return the configuration of push notifications (A2A 1.0, section 4.3.1): an agent sends either of both secrets."""
    secret = push.required_secret
    return {"url": push.url, "token": secret, "authentication": {"scheme": "Bearer", "credentials": secret}}
