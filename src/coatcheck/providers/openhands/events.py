"""The events of a conversation: each as an event of ours. Pure.

Invariants:

- the id of an event is the service's own, from which the log is read on: it is complete, ordered, and never rewritten;
- an event of an unknown kind is kept with its data;
- what repeats other events is left out: statistics, the system prompt, texts that arrive in parts.

See docs/reference/protocols/openhands.md, "7 Events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    STATE_EVENTS,
    Artifact,
    Message,
    PollMemory,
    Response,
    TaskEvent,
    TaskMessage,
    TaskProgress,
    TaskRef,
    TaskState,
    TaskTool,
    UnknownEvent,
    decode_json,
    fields,
    flag,
    items,
    read_json,
    text,
    whole,
)
from . import wire
from .confirmations import ACTION, AGENT_ERROR, REJECTION, title_of

STATE = "ConversationStateUpdateEvent"
INTERRUPTED, PAUSED, MESSAGE = "InterruptEvent", "PauseEvent", "MessageEvent"
CONVERSATION_ERROR = "ConversationErrorEvent"
# What repeats other events, or is about the model's context.
SILENT = frozenset({"SystemPromptEvent", "StreamingDeltaEvent", "LLMCompletionLogEvent", "TokenEvent"})
MAX_OUTPUT = 2_000
FINISH, PAUSED_STATE = "finish", "paused"

# What every event has: ref, id, at.
Common: TypeAlias = dict[str, Any]


class Position(PollMemory, frozen=True, array_like=True):
    """Where a reader of the log is: the id of the last event that was read."""

    event: str = ""


class Happening(msgspec.Struct, frozen=True):
    """An event with the service's data."""

    event: wire.Event
    raw: msgspec.Raw

    @property
    def state(self) -> str | None:
        """The state that the event reports, None for any other event."""
        if self.event.kind == STATE and self.event.key == "execution_status":
            return text(self.event.value)
        return None


def read_page(answer: Response) -> tuple[list[Happening], str | None]:
    """Return the events of a page, and where the next one begins."""
    page = read_json(answer.body, wire.EventPage, response=answer)
    happenings = [
        Happening(read_json(raw, wire.Event, response=answer, at=f"$.items[{place}]"), raw)
        for place, raw in enumerate(page.items or ())
    ]
    return happenings, page.next_page_id or None


def reply_of(happening: Happening) -> str | None:
    """Return the agent's reply that an event is, None for any other event."""
    event = happening.event
    if event.kind == ACTION and event.tool_name == FINISH:
        return text(fields(event.action).get("message"))
    if event.kind == MESSAGE and event.source == "agent":
        return content_text(fields(event.llm_message).get("content")).strip() or None
    return None


def is_interrupted(newest: Iterable[Happening]) -> bool:
    """Whether a conversation that is paused was interrupted; the events are the newest first."""
    for happening in newest:
        if happening.event.kind in (INTERRUPTED, PAUSED):
            return happening.event.kind == INTERRUPTED
        if happening.state == "running":
            return False
    return False


def is_read(newest: Iterable[Happening]) -> bool:
    """Whether an agent that is idle has nothing to do: it was not started, and no message or rejection is newer."""
    for happening in newest:
        event = happening.event
        if event.kind == REJECTION or (event.kind == MESSAGE and event.source == "user"):
            return False
        if happening.state is not None:
            return happening.state == "idle"
    return False


def is_started(newest: Iterable[Happening]) -> bool:
    """Whether the agent has been started since the conversation was read."""
    return next(filter(None, (each.state for each in newest)), None) == "running"


def event_of(happening: Happening, ref: TaskRef, states: Mapping[str, TaskState]) -> TaskEvent | None:
    """Return an event as one of ours, None for one that is left out."""
    event = happening.event
    if event.kind in SILENT:
        return None
    common: Common = {"ref": ref, "id": Position(event.id or "").to_text()}
    if event.kind == STATE:
        return _state(happening, states, common)
    convert = KINDS.get(event.kind or "")
    if convert is not None:
        return convert(event, common)
    return UnknownEvent(kind=event.kind or "event", data=decode_json(happening.raw, object), **common)


def _state(happening: Happening, states: Mapping[str, TaskState], common: Common) -> TaskEvent | None:
    """Return a change of the state; other fields of the conversation are in the task. Of a pause the next event says why."""
    word = happening.state
    state = states.get(word or "", TaskState.UNKNOWN)
    return None if word in (None, PAUSED_STATE) else _state_event(state, word or "", common)


def _state_event(state: TaskState, word: str, common: Common) -> TaskEvent | None:
    if state not in STATE_EVENTS:
        return None
    event: Any = STATE_EVENTS[state](state=state, raw_state=word, **common)
    result: TaskEvent = event
    return result


def content_text(content: object) -> str:
    """Return the texts of a content list."""
    return "".join(part for each in items(content) if (part := text(fields(each).get("text"))))


def _message(event: wire.Event, common: Common) -> TaskEvent | None:
    document = fields(event.llm_message)
    words = content_text(document.get("content"))
    if event.source == "environment":
        return TaskProgress(text=words, **common) if words else None
    role = "user" if event.source == "user" else "assistant"
    return (
        TaskMessage(message=Message(text=words, role=role), text=words, **common) if words.strip() else _no_text(common)
    )


def _no_text(common: Common) -> TaskEvent:
    return TaskProgress(text="a message without a text", **common)


def _action(event: wire.Event, common: Common) -> TaskEvent:
    action, tool = fields(event.action), text(event.tool_name) or "tool"
    if tool == FINISH and (words := text(action.get("message"))):
        return TaskMessage(message=Message(text=words), text=words, **common)
    if tool == "think" and (words := text(action.get("thought"))):
        return TaskProgress(text=words, **common)
    command = text(action.get("command")) if not text(action.get("path")) else None
    data = None if command else {name: value for name, value in action.items() if name != "kind"}
    shown = Artifact(kind="command" if command else tool, command=command, data=data)
    return TaskTool(text=command or title_of(event), artifacts=(shown,), **common)


def _observation(event: wire.Event, common: Common) -> TaskEvent | None:
    tool, observation = text(event.tool_name) or "tool", fields(event.observation)
    if tool in (FINISH, "think"):  # the action has its text
        return None
    output = content_text(observation.get("content"))[:MAX_OUTPUT]
    code = whole(observation.get("exit_code"))
    failed = "failed: " if flag(observation.get("is_error")) or code else ""
    first = output.strip().partition("\n")[0]
    shown = Artifact(kind="output", output=output, exit_code=code)
    return TaskTool(text=f"{failed}{first}" or f"{tool}: done", artifacts=(shown,), **common)


def _rejection(event: wire.Event, common: Common) -> TaskEvent:
    words = text(event.rejection_reason) or "no reason was given"
    return TaskProgress(text=f"{text(event.tool_name) or 'an action'} was rejected: {words}", **common)


def _agent_error(event: wire.Event, common: Common) -> TaskEvent:
    return TaskProgress(text=f"{text(event.tool_name) or 'a tool'}: {text(event.error) or 'it failed'}", **common)


def _conversation_error(event: wire.Event, common: Common) -> TaskEvent:
    words = (text(event.error_code), text(event.detail))
    return TaskProgress(text=": ".join(("error", *filter(None, words))), **common)


def _stopped(event: wire.Event, common: Common) -> TaskEvent | None:
    state = TaskState.CANCELLED if event.kind == INTERRUPTED else TaskState.PAUSED
    return _state_event(state, PAUSED_STATE, common)


KINDS: Mapping[str, Callable[[wire.Event, Common], TaskEvent | None]] = {
    MESSAGE: _message,
    ACTION: _action,
    "ObservationEvent": _observation,
    REJECTION: _rejection,
    AGENT_ERROR: _agent_error,
    CONVERSATION_ERROR: _conversation_error,
    INTERRUPTED: _stopped,
    PAUSED: _stopped,
}
