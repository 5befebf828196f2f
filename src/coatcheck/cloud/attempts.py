"""What an attempt is asked for, how it ends, and who is called meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from .._values.value import Value
from .models import FAILED, CloudFailure, CloudResult, Mode


class Job(Value, frozen=True, kw_only=True):
    """One attempt to be run."""

    task_id: str
    attempt_id: str
    number: int
    total: int
    environment_id: str
    source: str
    branch: str
    prompt: str
    mode: Mode = "code"
    model: str | None = None
    starting_diff: str | None = None
    previous_diff: str | None = None


class Conclusion(Value, frozen=True, kw_only=True):
    """How an attempt ended."""

    state: str
    result: CloudResult | None = None
    error: CloudFailure | None = None


class Listener(Value, frozen=True, kw_only=True):
    """What a runner calls, from the attempt's thread.

    `on_start` returns False for an attempt that was cancelled meanwhile; `on_line` gets each line that is written;
    `on_end` keeps the conclusion, and may raise; `on_unsaved` gets the failure of an attempt whose end is not kept yet.
    """

    on_start: Callable[[Job], bool]
    on_line: Callable[[Job, str, str], None]
    on_end: Callable[[Job, Conclusion], None]
    on_unsaved: Callable[[Job, Conclusion], None] = lambda _job, _conclusion: None


def failed(code: str, message: str, *, result: CloudResult | None = None) -> Conclusion:
    """Return a failure with its reason."""
    return Conclusion(state=FAILED, error=CloudFailure(code=code, message=message), result=result)
