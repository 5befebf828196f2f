"""The items of a session: its last message, and each as an event of ours. Pure.

Invariants:

- the items are the log, in their order: the service's live events cannot be requested again, and show the same items;
- an item that is in progress ends a page of events, and is reported once it is complete; items after it that are
  complete before it wait for it, so that a position in the log has nothing unreported before it;
- an item of a kind that is not known is reported under its native word with the service's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    Artifact,
    Exchange,
    Message,
    PollMemory,
    Response,
    ServerSentEvent,
    TaskEvent,
    TaskMessage,
    TaskRef,
    TaskTool,
    UnknownEvent,
    decode_json,
    fields,
    items,
    read_json,
    text,
    whole,
)
from .._sessions.session_provider import read_json_object
from . import wire

COMMENTARY, IN_PROGRESS = "commentary", "in_progress"
# Events of the stream (SDK 3.52, ``types/beta/agent_session_event.py``): an item, and what the agent stops with. The others
# that begin so show what is not stored: parts of texts, and the state of the environment and of subagents.
LIVE = "agent.session."
ITEM_ADDED, ITEM_DONE = f"{LIVE}turn.item.added", f"{LIVE}turn.item.done"
STOPS = frozenset(
    f"{LIVE}{kind}"
    for kind in ("turn.completed", "turn.failed", "turn.cancelled", "idle", "requires_action", "failed", "deleted")
)


class Saved(msgspec.Struct, frozen=True):
    """An item with the service's data."""

    item: wire.Item
    data: Mapping[str, Any]


class Memory(PollMemory, frozen=True, array_like=True):
    """The id of the last item that was received."""

    last: str = ""


def read_page(answer: Response) -> tuple[list[Saved], str | None]:
    """Return a page of items and the cursor of the next one."""
    page = read_json(answer.body, wire.Page, response=answer)
    saved = [
        Saved(
            read_json(raw, wire.Item, response=answer, at=f"$.data[{index}]"),
            decode_json(raw, dict[str, Any]),
        )
        for index, raw in enumerate(page.data or ())
    ]
    return saved, saved[-1].item.id if page.has_more and saved else None


def message_of(item: wire.Item) -> Message | None:
    """Return the message of an agent, or the prompt of a person without the instructions that follow it."""
    parts = [part for each in items(item.content) if (part := text(fields(each).get("text")))]
    if item.type != "message" or not parts:
        return None
    return Message(text=parts[0], role="user") if item.role == "user" else Message(text="\n\n".join(parts))


def last_message(newest_first: Iterable[Saved]) -> Message | None:
    """Return the last message of the agent that is no commentary, else its last one."""
    every = [each.item for each in newest_first if each.item.role == "assistant" and message_of(each.item)]
    final = next((item for item in every if item.phase != COMMENTARY), None) or next(iter(every), None)
    return message_of(final) if final else None


class ItemLog:
    """The items of a session, as they are stored and as they are completed (`SessionReader`)."""

    def __init__(self, ref: TaskRef, memory: str, fetch: Callable[[str], Exchange[list[Saved]]]) -> None:
        self._ref, self._memory, self._fetch = ref, Memory.read(memory), fetch
        self._seen: set[str | None] = set()
        self._waiting: list[Saved] = []  # an item that is in progress, and what follows it
        self.has_stopped = False

    @property
    def memory(self) -> str:
        """The position after the last item."""
        return self._memory.to_text()

    def read_log(self) -> Exchange[list[TaskEvent]]:
        """Return the items that are stored after the position, oldest first; *fetch* returns those after an item."""
        saved = yield from self._fetch(self._memory.last)
        return self._add(saved)

    def take(self, sent: ServerSentEvent) -> list[TaskEvent]:
        """Return an item of the stream, none where the log has shown it; what is only live is not shown."""
        data = read_json_object(sent.data)
        kind = text(data.get("type")) or sent.event
        self.has_stopped = kind in STOPS and fields(data.get("turn")).get("subagent_id") is None
        if kind not in (ITEM_ADDED, ITEM_DONE):
            is_known = kind.startswith(LIVE) or kind == "error"
            return [] if is_known else [UnknownEvent(ref=self._ref, id=self.memory, kind=kind, data=data or sent.data)]
        item = fields(data.get("item"))
        try:
            saved = Saved(msgspec.convert(item, wire.Item), dict(item))
        except msgspec.ValidationError:
            return [UnknownEvent(ref=self._ref, id=self.memory, kind=kind, data=data)]
        if saved.item.id in self._seen:
            return []
        if kind == ITEM_DONE:
            return self._add([saved])
        return self._added(saved, is_output=data.get("output_index") is not None)

    def _added(self, saved: Saved, *, is_output: bool) -> list[TaskEvent]:
        """Return a message of a person, which is complete when it is added; its place in the log may be later.

        Of the agent's output (*is_output*), the end is announced as well.
        """
        if saved.item.role == "user":
            self._seen.add(saved.item.id)
            return events_of([saved], self._ref, self._memory)[0]
        if is_output and all(each.item.id != saved.item.id for each in self._waiting):
            self._waiting.append(Saved(msgspec.structs.replace(saved.item, status=IN_PROGRESS), saved.data))
        return []

    def _add(self, saved: Iterable[Saved]) -> list[TaskEvent]:
        """Return the events of *saved*, and of the items that have waited for one of them."""
        for each in saved:
            place = next((at for at, known in enumerate(self._waiting) if known.item.id == each.item.id), None)
            if place is None or each.item.id is None:
                self._waiting.append(each)
            else:
                self._waiting[place] = each
        complete = list(takewhile(lambda each: each.item.status != IN_PROGRESS, self._waiting))
        del self._waiting[: len(complete)]
        self._seen |= {each.item.id for each in complete}
        events, self._memory = events_of(complete, self._ref, self._memory)
        return events


# What every event has: ref, id.
Common: TypeAlias = dict[str, Any]


def events_of(saved: Iterable[Saved], ref: TaskRef, memory: Memory) -> tuple[list[TaskEvent], Memory]:
    """Return the items *saved*, which are complete and follow *memory*, as events of ours, and the memory after them."""
    events: list[TaskEvent] = []
    for each in saved:
        memory = Memory(each.item.id) if each.item.id else memory
        events.append(_event(each, {"ref": ref, "id": memory.to_text()}))
    return events, memory


def _event(saved: Saved, common: Common) -> TaskEvent:
    convert = KINDS.get(saved.item.type or "")
    converted = convert(saved.item, common) if convert else None
    return converted or UnknownEvent(kind=saved.item.type or "item", data=saved.data, **common)


def _message(item: wire.Item, common: Common) -> TaskEvent | None:
    message = message_of(item)
    return TaskMessage(message=message, text=message.text, **common) if message else None


def _command(item: wire.Item, common: Common) -> TaskEvent:
    artifact = Artifact(
        kind="command", command=text(item.command), output=text(item.output), exit_code=whole(item.exit_code)
    )
    return TaskTool(text=text(item.command), artifacts=(artifact,), **common)


KINDS: Mapping[str, Callable[[wire.Item, Common], TaskEvent | None]] = {
    "message": _message,
    "command_execution": _command,
}
