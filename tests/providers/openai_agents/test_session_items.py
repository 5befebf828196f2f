"""The order of items that are stored, and that a stream sends meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from coatcheck import TaskRef
from coatcheck.provider import ServerSentEvent
from coatcheck.providers.openai_agents import wire
from coatcheck.providers.openai_agents.session_items import ItemLog, Saved


def item(id: str, status: str = "completed") -> dict[str, Any]:
    """Return a command of the agent."""
    return {"id": id, "type": "command_execution", "command": id, "status": status}


def reader_of(stored: Sequence[Mapping[str, Any]]) -> tuple[ItemLog, list[str | None]]:
    """Return a reader of a session with the items *stored*, and the texts of the events that its log has."""

    def fetch(last: str) -> Any:
        yield from ()
        return [Saved(msgspec.convert(each, wire.Item), each) for each in stored]

    log = ItemLog(TaskRef("openai_agents", "s"), "", fetch)
    reading = log.read_log()
    try:
        next(reading)
    except StopIteration as end:
        return log, [event.text for event in end.value]
    raise AssertionError


def sent(log: ItemLog, kind: str, document: Mapping[str, Any]) -> list[str | None]:
    """Return the texts of the events of an item that the stream sends."""
    data = {"type": f"agent.session.turn.item.{kind}", "item": document, "output_index": 0}
    return [event.text for event in log.take(ServerSentEvent(event="", data=json.dumps(data)))]  # type: ignore[union-attr]


def test_an_item_waits_for_one_before_it_that_is_in_progress() -> None:
    """What the log has after an item in progress is shown after it, once, and the position passes no item."""
    log, stored = reader_of([item("a"), item("b", "in_progress"), item("c")])
    again = sent(log, "done", item("c"))
    position = log.memory
    shown = sent(log, "done", item("b"))

    assert (["a"], [], '["a"]', ["b", "c"], '["c"]') == (stored, again, position, shown, log.memory)


def test_items_that_end_in_another_order_are_shown_in_theirs() -> None:
    """Of two commands that run at once the second may end first: a stream that is cut then continues at the first."""
    log, _ = reader_of([])
    added = [*sent(log, "added", item("a", "in_progress")), *sent(log, "added", item("b", "in_progress"))]
    second = sent(log, "done", item("b"))
    position = log.memory
    first = sent(log, "done", item("a"))

    assert ([], [], '[""]', ["a", "b"], '["b"]') == (added, second, position, first, log.memory)
