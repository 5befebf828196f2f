"""The events of a session: what the last ones mean, and each as an event of ours. Pure.

Invariants:

- the reason of a stop is in the last ``session.status_idle``, never in the session;
- a message that is queued, or a ``session.status_running`` after the stop, means that the agent continues;
- a stop is a cancellation if an interrupt was processed since the agent last began to run;
- an event of a kind that is not known is reported under its native word with the service's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    Artifact,
    Exchange,
    Failure,
    GateOption,
    Message,
    PermissionRequest,
    PollMemory,
    Response,
    ServerSentEvent,
    TaskEvent,
    TaskMessage,
    TaskProgress,
    TaskRef,
    TaskTool,
    TaskUsage,
    UnknownEvent,
    decode_json,
    fields,
    flag,
    instant,
    items,
    read_json,
    text,
)
from .._sessions.session_provider import read_json_object
from . import wire
from .usage import usage_text

IDLE, RUNNING, TERMINATED = "session.status_idle", "session.status_running", "session.status_terminated"
MESSAGE, INTERRUPT, CONFIRMATION = "user.message", "user.interrupt", "user.tool_confirmation"
# What decides the state and the outcome of a session that has stopped.
ENDING_TYPES = (IDLE, RUNNING, "session.error", "agent.message", MESSAGE, INTERRUPT)
PERMISSION_TYPES = ("agent.tool_use", "agent.mcp_tool_use")
TOOL_TYPES = (*PERMISSION_TYPES, "agent.custom_tool_use")
# Shown by the state of the task, or by nothing: the beginning and the end of each request to the model.
SILENT = frozenset(
    {
        IDLE,
        RUNNING,
        "session.status_rescheduled",
        TERMINATED,
        "span.model_request_start",
        "span.model_request_end",
    }
)
OPTIONS = (
    GateOption(id="allow", label="Allow", effect="approve"),
    GateOption(id="deny", label="Deny", effect="reject"),
)


class Happening(msgspec.Struct, frozen=True):
    """An event with the service's data."""

    event: wire.Event
    data: Mapping[str, Any]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What the last events say about a session that has stopped."""

    stop: wire.Event | None = None
    is_continuing: bool = False
    is_interrupted: bool = False
    message: Message | None = None
    error: Failure | None = None

    @property
    def reason(self) -> str | None:
        """The service's word for why the session stopped."""
        return self.stop.stop_reason.type if self.stop and self.stop.stop_reason else None

    @property
    def pending(self) -> tuple[str, ...]:
        """The ids of the events that wait for a decision."""
        return tuple(self.stop.stop_reason.event_ids or ()) if self.stop and self.stop.stop_reason else ()

    @property
    def refusal(self) -> Failure | None:
        """Why the model refused, None where it did not."""
        details = fields(self.stop.stop_details) if self.stop else {}
        if self.reason != "refusal":
            return None
        return Failure(code="refusal", message=text(details.get("explanation")) or text(details.get("category")))


def read_page(answer: Response) -> tuple[list[Happening], str | None]:
    """Return a page of events and the cursor of the next one."""
    page = read_json(answer.body, wire.EventPage, response=answer)
    return [_happening(raw, answer, i) for i, raw in enumerate(page.data or ())], page.next_page or None


def _happening(raw: msgspec.Raw, answer: Response, index: int) -> Happening:
    event = read_json(raw, wire.Event, response=answer, at=f"$.data[{index}]")
    return Happening(event, decode_json(raw, dict[str, Any]))


# -- the end of a session ----------------------------------------------------------------------------------------------


def ending_of(happened: Iterable[Happening]) -> Ending:
    """Return what *happened* means; the events are the newest first."""
    ending, has_interrupt = Ending(), False
    for happening in reversed(list(happened)):
        event = happening.event
        if event.type == IDLE:
            ending = _with(ending, stop=event, is_continuing=False, is_interrupted=has_interrupt)
            has_interrupt = False
        elif event.type == RUNNING:
            ending, has_interrupt = _with(ending, is_continuing=True), False
        elif event.type == INTERRUPT:
            has_interrupt = has_interrupt or event.processed_at is not None
        elif event.type == "session.error":
            ending = _with(ending, error=failure_of(event.error))
        elif event.type == "agent.message" and (message := message_of(event)):
            ending = _with(ending, message=message)
    is_queued = any(each.event.type == MESSAGE and each.event.processed_at is None for each in happened)
    return _with(ending, is_continuing=ending.is_continuing or is_queued)


def _with(ending: Ending, **changes: Any) -> Ending:
    return msgspec.structs.replace(ending, **changes)


def message_of(event: wire.Event) -> Message | None:
    """Return the message of an agent, or the prompt of a person without the instructions that follow it."""
    parts = [part for each in items(event.content) if (part := text(fields(each).get("text")))]
    if event.type == MESSAGE:
        return Message(text=parts[0], role="user") if parts else None
    return Message(text="\n\n".join(parts)) if parts else None


def failure_of(error: object) -> Failure | None:
    """Return the failure that an error object describes."""
    document = fields(error)
    failure = Failure(code=text(document.get("type")), message=text(document.get("message")))
    return failure if failure.code or failure.message else None


def permissions_of(happened: Iterable[Happening], pending: Iterable[str]) -> tuple[PermissionRequest, ...]:
    """Return the permissions that the tool uses with the ids *pending* wait for."""
    known = {each.event.id: each.event for each in happened if each.event.type in PERMISSION_TYPES}
    return tuple(_permission(known[id]) for id in pending if id in known)


def _permission(use: wire.Event) -> PermissionRequest:
    name, given = text(use.name) or "a tool", fields(use.input)
    command, path = text(given.get("command")), text(given.get("file_path"))
    title = f"run {command}" if command else f"{name} {path}" if path else name
    detail = msgspec.json.encode(given).decode() if given else None
    paths = (path,) if path else ()
    return PermissionRequest(
        id=use.id, title=title.partition("\n")[0], kind=name, detail=detail, options=OPTIONS, paths=paths
    )


# -- each event --------------------------------------------------------------------------------------------------------


class Memory(PollMemory, frozen=True, array_like=True):
    """The time of the last event that was received, as the service wrote it, and the ids of that time."""

    last: str = ""
    ids: tuple[str, ...] = ()

    def unseen(self, happened: Iterable[Happening]) -> list[Happening]:
        """Return those of *happened* that were processed and have not been received before."""
        return [each for each in happened if each.event.processed_at and each.event.id not in self.ids]

    def after(self, event: wire.Event) -> Memory:
        """Return the memory with *event* in it."""
        at = event.processed_at or self.last
        return Memory(at, (*self.ids, event.id) if at == self.last else (event.id,))


class EventLog:
    """The events of a session, as they are stored and as they happen (`SessionReader`)."""

    def __init__(self, ref: TaskRef, memory: str, fetch: Callable[[str], Exchange[list[Happening]]]) -> None:
        self._ref, self._memory, self._fetch = ref, Memory.read(memory), fetch
        self.has_stopped = False

    @property
    def memory(self) -> str:
        """The position after the last event."""
        return self._memory.to_text()

    def read_log(self) -> Exchange[list[TaskEvent]]:
        """Return the events that are stored after the position, oldest first; *fetch* returns those since a time."""
        happened = yield from self._fetch(self._memory.last)
        return self._add(self._memory.unseen(happened))

    def take(self, sent: ServerSentEvent) -> list[TaskEvent]:
        """Return an event of the stream, none where the log has shown it. A queued one comes again once it is processed."""
        data = read_json_object(sent.data)
        try:
            happening = Happening(msgspec.convert(data, wire.Event), data)
        except msgspec.ValidationError:  # no stored event: previews have no id
            return [UnknownEvent(ref=self._ref, id=self.memory, kind=sent.event, data=data or sent.data)]
        is_stored = (happening.event.processed_at or "") < self._memory.last
        return [] if is_stored else self._add(self._memory.unseen([happening]))

    def _add(self, fresh: list[Happening]) -> list[TaskEvent]:
        for happening in fresh:
            if happening.event.type in (IDLE, RUNNING, TERMINATED):
                self.has_stopped = happening.event.type != RUNNING
        events, self._memory = events_of(fresh, self._ref, self._memory)
        return events


# What every event has: ref, id, at.
Common: TypeAlias = dict[str, Any]


def events_of(fresh: Iterable[Happening], ref: TaskRef, memory: Memory) -> tuple[list[TaskEvent], Memory]:
    """Return *fresh* as events of ours, and the memory after them."""
    events: list[TaskEvent] = []
    for happening in fresh:
        memory = memory.after(happening.event)
        if happening.event.type not in SILENT:
            events.append(
                _event(happening, {"ref": ref, "id": memory.to_text(), "at": instant(happening.event.processed_at)})
            )
    return events, memory


def _event(happening: Happening, common: Common) -> TaskEvent:
    convert = KINDS.get(happening.event.type or "")
    converted = convert(happening.event, common) if convert else None
    return converted or UnknownEvent(kind=happening.event.type or "event", data=happening.data, **common)


def _message(event: wire.Event, common: Common) -> TaskEvent | None:
    message = message_of(event)
    return TaskMessage(message=message, text=message.text, **common) if message else None


def _tool_use(event: wire.Event, common: Common) -> TaskEvent:
    name, given = text(event.name), fields(event.input)
    command = text(given.get("command"))
    artifact = Artifact(kind="command", command=command) if command else Artifact(kind=name or "tool", data=given)
    return TaskTool(text=command or name, artifacts=(artifact,), **common)


def _tool_result(event: wire.Event, common: Common) -> TaskEvent:
    output = "\n".join(part for each in items(event.content) if (part := text(fields(each).get("text"))))
    failed = "failed: " if flag(event.is_error) else ""
    return TaskTool(
        text=f"{failed}{output.strip().partition(chr(10))[0]}" or None,
        artifacts=(Artifact(kind="output", output=output),),
        **common,
    )


def _error(event: wire.Event, common: Common) -> TaskEvent:
    return TaskProgress(text=f"error: {failure_of(event.error) or 'no reason was given'}", **common)


def _interrupt(event: wire.Event, common: Common) -> TaskEvent:
    del event
    return TaskProgress(text="interrupted", **common)


def _confirmation(event: wire.Event, common: Common) -> TaskEvent:
    return TaskProgress(text=f"permission decided: {event.result or 'no result was given'}", **common)


def _usage(event: wire.Event, common: Common) -> TaskEvent | None:
    words = usage_text(event.usage)
    return TaskUsage(text=words, **common) if words else None


KINDS: Mapping[str, Callable[[wire.Event, Common], TaskEvent | None]] = {
    "agent.message": _message,
    MESSAGE: _message,
    **dict.fromkeys(TOOL_TYPES, _tool_use),
    "agent.tool_result": _tool_result,
    "agent.mcp_tool_result": _tool_result,
    "session.error": _error,
    "session.usage": _usage,
    INTERRUPT: _interrupt,
    CONFIRMATION: _confirmation,
}
