"""The items of a session: its last message, and each as an event of ours. Pure.

Invariants:

- the items are the log, in their order: the service's live events cannot be requested again;
- an item that is in progress ends a page of events, and is reported once it is complete;
- an item of a kind that is not known is reported under its native word with the service's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    Artifact,
    Message,
    PollMemory,
    Response,
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
from . import wire

COMMENTARY = "commentary"


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


# What every event has: ref, id.
Common: TypeAlias = dict[str, Any]


def events_of(saved: Iterable[Saved], ref: TaskRef, memory: Memory) -> tuple[list[TaskEvent], Memory]:
    """Return the complete items of *saved*, which follow *memory*, as events of ours, and the memory after them."""
    events: list[TaskEvent] = []
    for each in saved:
        if each.item.status == "in_progress":
            break
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
