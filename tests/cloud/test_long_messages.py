"""The end of a message that is too long for a result, and its events."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coatcheck import History, Message, Outcome, Task, TaskRef, TaskState
from coatcheck.cloud.acp.updates import _Paragraphs
from coatcheck.cloud.long_messages import MAX_MESSAGE, end_of_message
from coatcheck.cloud.task_events import OutputEvents, message_event

REF = TaskRef("local", "t1")
LONG = "".join(f"  line {number} of a long message\n{chr(10) if number % 7 == 0 else ''}" for number in range(4500))


def acp_messages(text: str) -> tuple[list[str], str]:
    """Return the messages that an ACP session shows of *text*, which arrives in pieces, and the one of its result."""
    shown: list[str] = []
    paragraphs = _Paragraphs(shown.append)
    for start in range(0, len(text), 1000):
        paragraphs.add(text[start : start + 1000])
    whole = paragraphs.whole.strip()
    paragraphs.end()
    return shown, whole


def printed_messages(text: str) -> tuple[list[str], str]:
    """Return the lines of *text* as a command prints them, and the message of the result."""
    events = OutputEvents(REF, 1)
    shown = [each.text for line in text.splitlines() for each in events.of("stdout", line, 0) if each.text]
    return shown, end_of_message(text.strip())


@pytest.mark.parametrize("messages", [acp_messages, printed_messages])
@pytest.mark.parametrize("size", [len(LONG) // 2, len(LONG) // 10])
def test_a_message_of_any_length_is_stored_once(tmp_path: Path, messages: object, size: int) -> None:
    """What the stream has shown of it is not stored again from the result, also where its beginning is left out there."""
    text = LONG[-size:]
    shown, whole = messages(text)  # type: ignore[operator]
    history = History(str(tmp_path))
    at = datetime(2026, 11, 2, tzinfo=UTC)
    history.events.append(message_event(REF, each, at=at, attempt=1) for each in shown)
    history.record(Task(ref=REF, state=TaskState.SUCCEEDED, outcome=Outcome(messages=(Message(text=whole),))))
    kinds = [each.event.type for each in history.events.read(limit=10_000)]
    history.close()

    assert (len(shown), 1, True) == (
        kinds.count("task.message"),
        kinds.count("task.succeeded"),
        len(whole) <= MAX_MESSAGE,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * MAX_MESSAGE, "x" * MAX_MESSAGE),
        ("x" * (MAX_MESSAGE + 1), "[…]\n" + "x" * (MAX_MESSAGE - 4)),
        ("x" * MAX_MESSAGE + "\nend", "[…]\nend"),
        ("x" * MAX_MESSAGE + "\n", "[…]\n" + "x" * (MAX_MESSAGE - 5) + "\n"),
    ],
    ids=["as long as it may be", "one line", "lines", "no whole line"],
)
def test_the_end_of_a_long_message_begins_with_a_whole_line(text: str, expected: str) -> None:
    """A line shows that the beginning is left out; of a single line the end is kept."""
    assert expected == end_of_message(text)
