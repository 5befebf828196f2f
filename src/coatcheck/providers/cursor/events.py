"""The events of a run: from its stream of server-sent events to ours. Pure, apart from `stream`, which is an exchange.

Invariants:

- the id of an event is the run with the service's own id, so that a stream is resumed in the run that it belongs to;
- the texts of the agent come in parts, and are joined until something else happens: one message, not one of each word;
- ``interaction_update`` repeats what other events show, under the same id, and is left out, as are heartbeats;
- an event of an unknown kind is kept with its data.

See docs/reference/protocols/cursor.md, "5 Events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    STATE_EVENTS,
    UNREADABLE,
    Artifact,
    Failure,
    Message,
    PollMemory,
    ServerSentEvent,
    TaskEvent,
    TaskMessage,
    TaskProgress,
    TaskRef,
    TaskState,
    TaskTool,
    UnknownEvent,
    decode_json,
    fields,
    text,
)
from .extract import STATES

Data: TypeAlias = Mapping[str, object]

# What repeats other events, keeps the connection open, or ends the stream.
WITHOUT_MEANING = frozenset({"interaction_update", "heartbeat", "done"})
# The events whose texts are parts of one text.
PARTS = frozenset({"assistant", "thinking"})
MAX_OUTPUT = 2_000


class Position(PollMemory, frozen=True, array_like=True):
    """Where a reader of a stream is: its run, and the id of the last event that was read of it."""

    run: str = ""
    event: str = ""


class RunReader:
    """Turn the events of one run into ours; *position* is where the stream begins."""

    def __init__(self, ref: TaskRef, position: Position) -> None:
        self._ref, self._position = ref, position
        self._kind, self._parts = "", [""]

    def take(self, event: ServerSentEvent) -> Iterator[TaskEvent]:
        """Yield what *event* completes."""
        if event.event in WITHOUT_MEANING:
            return
        decoded = _decoded(event)
        data = fields(decoded)
        if event.event in PARTS and event.event == self._kind:
            self._parts.append(text(data.get("text")) or "")
            self._advance(event)
            return
        yield from self.finish()
        self._advance(event)
        if event.event in PARTS:
            self._kind, self._parts = event.event, [text(data.get("text")) or ""]
        else:
            read = READERS.get(event.event)
            common = self._common()
            yield read(event.event, data, common) if read else _unknown(event.event, decoded, common)

    def finish(self) -> Iterator[TaskEvent]:
        """Yield the text that has not been yielded yet."""
        joined = "".join(self._parts)
        if joined.strip():
            if self._kind == "thinking":
                yield TaskProgress(text=joined, **self._common())
            else:
                yield TaskMessage(message=Message(text=joined), text=joined, **self._common())
        self._kind, self._parts = "", []

    def _advance(self, event: ServerSentEvent) -> None:
        if event.id:
            self._position = Position(self._position.run, event.id)

    def _common(self) -> dict[str, Any]:
        return {"ref": self._ref, "id": self._position.to_text()}


def _decoded(event: ServerSentEvent) -> object:
    """Return the data of an event, as a text where it is not JSON."""
    try:
        return decode_json(event.data, object)
    except UNREADABLE:
        return event.data


def _state(kind: str, data: Data, common: dict[str, Any]) -> TaskEvent:
    word = text(data.get("status")) or ""
    state = STATES.get(word, TaskState.UNKNOWN)
    if state not in STATE_EVENTS:
        return _unknown(kind, dict(data), common)
    event: Any = STATE_EVENTS[state](state=state, raw_state=word, **common)
    if state is TaskState.FAILED:
        event = msgspec.structs.replace(event, error=_failure(data, word))
    result: TaskEvent = event
    return result


def _failure(data: Data, word: str) -> Failure:
    error = fields(data.get("error"))
    return Failure(code=text(error.get("code")) or word, message=text(error.get("message")) or text(data.get("text")))


def _tool(kind: str, data: Data, common: dict[str, Any]) -> TaskEvent:
    """Return a call of a tool: at its start with its arguments, at its end with its result."""
    data = fields(data.get("data")) or data
    name, status = text(data.get("name")) or kind, text(data.get("status"))
    command = text(fields(data.get("args")).get("command"))
    shown = Artifact(
        kind="command" if command else name,
        command=command,
        output=_output(data.get("result")),
        data=None if command else {key: data[key] for key in ("args", "result") if key in data} or None,
    )
    words = f"{name}: {command}" if command else name
    return TaskTool(text=f"{words} ({status})" if status else words, artifacts=(shown,), **common)


def _output(result: object) -> str | None:
    output = text(result) or next(
        filter(None, (text(fields(result).get(name)) for name in ("output", "stdout", "text"))), None
    )
    return output and output[:MAX_OUTPUT]


def _error(kind: str, data: Data, common: dict[str, Any]) -> TaskEvent:
    words = filter(None, (text(data.get("code")), text(data.get("message"))))
    return TaskProgress(text=": ".join((kind, *words)), **common)


def _unknown(kind: str, data: object, common: dict[str, Any]) -> TaskEvent:
    return UnknownEvent(kind=kind, data=data, text=text(fields(data).get("text")), **common)


READERS: Mapping[str, Callable[[str, Data, dict[str, Any]], TaskEvent]] = {
    "status": _state,
    "result": _state,
    "tool_call": _tool,
    "error": _error,
}
