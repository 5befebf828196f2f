"""What an attempt is asked for, how it ends, and who is called meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._values.value import Value
from .models import FAILED, AgentSession, CloudFailure, CloudResult, Mode

if TYPE_CHECKING:
    from .._model.events import TaskEvent
    from .._model.gates import PermissionRequest


class Job(Value, frozen=True, kw_only=True):
    """One attempt to be run. `workspace` names its folder; `session` is the one of its agent that is continued."""

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
    workspace: str = ""
    session: AgentSession | None = None


class AgentEnding(Value, frozen=True, kw_only=True):
    """How an agent ended: its message, what it wrote (names and texts), and why it failed.

    With `is_message_shown` the message was an event while the agent ran. `is_timeout` and `is_cancelled` are whether the
    server ended it. `session` is what a follow-up can continue; `usage` is what the agent reports that it has used.
    """

    message: str = ""
    is_message_shown: bool = False
    outputs: tuple[tuple[str, str], ...] = ()
    failure: CloudFailure | None = None
    is_timeout: bool = False
    is_cancelled: bool = False
    session: AgentSession | None = None
    usage: str | None = None
    notes: tuple[str, ...] = ()


class Conclusion(Value, frozen=True, kw_only=True):
    """How an attempt ended."""

    state: str
    result: CloudResult | None = None
    error: CloudFailure | None = None
    session: AgentSession | None = None
    usage: str | None = None


class Listener(Value, frozen=True, kw_only=True):
    """What a runner calls, from the attempt's thread.

    `on_start` returns False for an attempt that was cancelled meanwhile; `on_line` gets each line that is written,
    `on_event` each event of an agent that reports them. `on_permission` adds a permission request for so many seconds,
    and returns its id, None where it is refused; `on_withdrawn` gets the id of one that waits no more. `on_end` keeps the conclusion, and may raise; `on_unsaved` gets the failure of an attempt whose end is not kept yet.
    """

    on_start: Callable[[Job], bool]
    on_line: Callable[[Job, str, str], None]
    on_end: Callable[[Job, Conclusion], None]
    on_event: Callable[[Job, TaskEvent], None] = lambda _job, _event: None
    on_permission: Callable[[Job, PermissionRequest, Callable[[str | None], None]], str | None] = (
        lambda _job, _request, _resolve: None
    )
    on_withdrawn: Callable[[str], None] = lambda _id: None
    on_unsaved: Callable[[Job, Conclusion], None] = lambda _job, _conclusion: None


def failed(code: str, message: str, *, result: CloudResult | None = None) -> Conclusion:
    """Return a failure with its reason."""
    return Conclusion(state=FAILED, error=CloudFailure(code=code, message=message), result=result)
