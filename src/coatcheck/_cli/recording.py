"""The end of a command: report which results come from the history, and record what the command has observed.

Invariant: a store that cannot be used is one line on stderr, and changes neither the result nor the exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .console import Styled

if TYPE_CHECKING:
    from datetime import datetime

    from .._app.task_history import TaskHistory
    from .._model.tasks import TaskRef
    from .console import Console


def origin_line(read: Mapping[TaskRef, datetime], now: float) -> Styled:
    """Return the line about the tasks that were *read* from the history, each with the time of its recording."""
    from .formatting import age

    when = f"recorded {age(min(read.values()), now)}" if len(read) == 1 else f"{len(read)} tasks"
    return Styled(f"from the history, {when}; --refresh reads from the service", "dim")


def save_history(history: TaskHistory, console: Console) -> None:
    """Record what a command has observed, and report an error of the store."""
    history.save()
    history.close()
    if history.error is not None:
        error = history.error
        remedy = getattr(error, "remedy", None) or "COATCHECK_HISTORY=off records nothing"
        message = " ".join(str(error).split()) or type(error).__name__
        console.note(f"warning: the history is not recorded: {message}; {remedy}")
