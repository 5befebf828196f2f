"""Messages that are too long for a result: the end is kept, from a whole line on, after a line that shows the cut.

`ReportedMessages` recognizes such an end in the events of the whole message.
"""

from __future__ import annotations

from .._engine.reported_messages import CUT

# So much of a message is kept (characters); the logs of an attempt have more.
MAX_MESSAGE = 64 * 1024
MARK = f"{CUT}\n"


def end_of_message(text: str) -> str:
    """Return *text*, of a long one its end after `MARK`."""
    if len(text) <= MAX_MESSAGE:
        return text
    end = text[len(MARK) - MAX_MESSAGE :]
    whole_lines = end.partition("\n")[2]
    return MARK + (whole_lines if whole_lines.strip() else end)


def without_mark(text: str) -> str:
    """Return a message that `end_of_message` returned without its mark."""
    return text.removeprefix(MARK)
