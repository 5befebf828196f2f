"""A task, from the asking to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import msgspec

from .._errors import CoatcheckError, ConfigurationError
from .outcome import Artifact, Attempt, DiffStats, Failure, Message, Notice, Outcome, Plan, PullRequest
from .states import TaskState as TaskState  # noqa: PLC0414 - read with tasks, though outcomes need it too
from .value import Value

if TYPE_CHECKING:
    from datetime import datetime

    from .usage import RateLimit


class TaskSpec(Value, frozen=True, kw_only=True):
    """What an agent is asked to do, and where.

    Give `environment` (an id or a label) or `repository` (``owner/repo``); providers that need neither say so.
    `branch` is where the agent starts; None takes the environment's default branch.
    `starting_patch` is a diff applied before the agent starts. With `requires_approval` the agent shows its plan and
    waits for `Client.approve_plan`. With `opens_pull_request` the service opens one itself when the work is done;
    `working_branch` is where it pushes. None leaves each of them to the service.
    """

    prompt: str
    repository: str | None = None
    environment: str | None = None
    branch: str | None = None
    attempts: int = 1
    mode: Literal["code", "ask"] = "code"
    starting_patch: str | None = None
    model: str | None = None
    title: str | None = None
    instructions: str | None = None
    requires_approval: bool | None = None
    opens_pull_request: bool | None = None
    working_branch: str | None = None


_BLANKS_AND_MARKS = frozenset(" /?#")


class TaskRef(msgspec.Struct, frozen=True):
    """The address of a task; ``str()`` prints it, `parse` reads it back, and it is enough to resume anywhere.

    Ids are opaque: any text without blanks, control characters, ``/``, ``?`` or ``#`` is one.
    """

    provider: str
    id: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.id}"

    @classmethod
    def parse(cls, text: str, *, provider: str | None = None) -> Self:
        """Read a ref as printed, a bare id (of *provider*), or a task's URL.

        Raises `ConfigurationError` for anything else.
        """
        text = text.strip()
        if "://" in text:
            name, id = provider, _last_segment(text)
        else:
            before, colon, after = text.partition(":")
            name, id = (before, after) if colon else (provider, text)
        if not name or not _is_id(id) or not _is_name(name):
            message = f"{text!r} is not a task reference"
            raise ConfigurationError(message, remedy="give PROVIDER:ID, a task id or a task URL")
        return cls(name, id)


def _last_segment(url: str) -> str:
    place = url.partition("#")[0].partition("?")[0].partition("://")[2]
    return place.partition("/")[2].rstrip("/").rpartition("/")[2]


def _is_id(text: str) -> bool:
    return bool(text) and text.isprintable() and not (_BLANKS_AND_MARKS & set(text)) and not any(map(str.isspace, text))


def _is_name(text: str) -> bool:
    return text.replace("_", "").replace("-", "").isalnum()


class Task(Value, frozen=True, kw_only=True):
    """A task as the provider last described it; never changes, ask again for a newer one.

    `raw` is the service's whole answer (bytes). `retry_after` is how long the service asked not to be asked again, in
    seconds; waits obey it. `attempts` is empty until the service said how many there are;
    their outcomes are filled by `Client.list_attempts` and at the end of `Client.poll_task`.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"raw"})

    ref: TaskRef
    state: TaskState
    raw_state: str | None = None
    url: str | None = None
    title: str | None = None
    prompt: str | None = None
    mode: Literal["code", "ask"] | None = None
    environment: str | None = None
    environment_label: str | None = None
    repository: str | None = None
    branch: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    model: str | None = None
    progress: str | None = None
    stats: DiffStats | None = None
    attempts: tuple[Attempt, ...] = ()
    attempt_total: int | None = None
    outcome: Outcome | None = None
    error: Failure | None = None
    plan: Plan | None = None
    notices: tuple[Notice, ...] = ()
    pull_requests: tuple[PullRequest, ...] = ()
    is_archived: bool | None = None
    is_unread: bool | None = None
    is_review: bool | None = None
    follow_ups: int | None = None
    rate_limit: RateLimit | None = None
    retry_after: float | None = None
    raw: bytes = b""

    def raise_for_state(self) -> Self:
        """Return the task itself, or raise `TaskFailedError` when it ended without success."""
        if self.state.is_terminal and self.state is not TaskState.SUCCEEDED:
            because = f": {self.error}" if self.error else ""
            message = f"{self.ref} {self.state.value}{because}"
            raise TaskFailedError(message, task=self)
        return self

    def attempt(self, number: int) -> Attempt:
        """Return the attempt that people call *number* (placement + 1).

        Raises `ConfigurationError` naming the numbers there are.
        """
        for attempt in self.attempts:
            if attempt.number == number:
                return attempt
        known = ", ".join(str(attempt.number) for attempt in self.attempts) or "none"
        message = f"{self.ref} has no attempt {number} (there are: {known})"
        raise ConfigurationError(message)


class TaskEvent(Value, frozen=True, kw_only=True):
    """Something that happened to a task, as `Client.watch_task` yields it.

    `kind` is "state", "message", "progress", "stats", "attempt", "plan", "approved", "notice" or the service's own
    word; `cursor` resumes a watch after this event.
    """

    kind: str
    ref: TaskRef
    cursor: str = ""
    state: TaskState | None = None
    raw_state: str | None = None
    text: str | None = None
    message: Message | None = None
    stats: DiffStats | None = None
    attempt: int | None = None
    plan: Plan | None = None
    notice: Notice | None = None
    artifacts: tuple[Artifact, ...] = ()
    data: object = None
    at: datetime | None = None


class Page(Value, frozen=True, kw_only=True):
    """One page of a list; `cursor` asks for the next, None says that this was the last."""

    items: tuple[Task, ...] = ()
    cursor: str | None = None
    raw: bytes = b""

    _hidden: ClassVar[frozenset[str]] = frozenset({"raw"})


class SubmissionUncertainError(CoatcheckError):
    """The task may or may not have been created; it was not sent again."""

    def __init__(
        self,
        message: str | None = None,
        *,
        spec: TaskSpec,
        candidates: Sequence[TaskRef] = (),
        remedy: str | None = None,
    ) -> None:
        self.spec = spec
        self.candidates = tuple(candidates)
        super().__init__(message, remedy=remedy)


class TaskError(CoatcheckError):
    """Something about one task."""

    def __init__(self, message: str | None = None, *, ref: TaskRef | None = None, remedy: str | None = None) -> None:
        self.ref = ref
        super().__init__(message, remedy=remedy)


class TaskFailedError(TaskError):
    """The task ended without success."""

    def __init__(self, message: str | None = None, *, task: Task, remedy: str | None = None) -> None:
        self.task = task
        super().__init__(message, ref=task.ref, remedy=remedy)


class WaitTimeoutError(TaskError):
    """We gave up waiting; the task goes on."""


class SubmissionRejectedError(TaskError):
    """The service did not take the task."""
