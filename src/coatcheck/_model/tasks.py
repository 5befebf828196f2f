"""Tasks: their specification, their reference, and their state as the service reports it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import msgspec

from .._values.value import JsonFields, Value
from ..errors import CoatcheckError, ConfigurationError, TaskError, TaskFailedError, UnsupportedError
from .outcome import Attempt, DiffStats, Failure, Notice, Outcome, PatchState, Plan, PullRequest
from .states import TaskState as TaskState  # noqa: PLC0414 - exported with tasks

if TYPE_CHECKING:
    from datetime import datetime

    from .._patches.parse import Patch
    from .comparison import Comparison
    from .gates import PermissionRequest
    from .task_page import TaskPage
    from .usage import RateLimit


class TaskSpec(Value, frozen=True, kw_only=True):
    """The specification of a task: its prompt and where it runs.

    Give `environment` (an id or a label) or `repository` (``owner/repo``); some providers need neither.
    `branch` is where the agent starts; None takes the environment's default branch.
    `starting_diff` is a diff applied before the agent starts. With `requires_approval` the agent shows its plan and
    waits for `Client.approve_plan`. With `open_pull_request` the service opens one itself when the work is done;
    `working_branch` is where it pushes. None leaves each of them to the service. `key` identifies the submission, for
    services that take idempotency keys: submissions with the same key are one task. Without one the client creates
    one. `requests` are for services that take batches: texts by ids of your choice, each sent after `prompt` and an
    empty line.
    """

    prompt: str
    repository: str | None = None
    environment: str | None = None
    branch: str | None = None
    attempts: int = 1
    mode: Literal["code", "ask"] = "code"
    starting_diff: str | None = None
    model: str | None = None
    title: str | None = None
    instructions: str | None = None
    requires_approval: bool | None = None
    open_pull_request: bool | None = None
    working_branch: str | None = None
    key: str | None = None
    requests: Mapping[str, str] | None = None

    _json: ClassVar[JsonFields] = {
        "prompt": "the instructions of the task",
        "repository": "owner/repo",
        "environment": "id or label of the environment",
        "branch": "the branch it starts from",
        "attempts": "how many attempts",
        "mode": '"code" or "ask"',
        "starting_diff": "a diff applied before the agent starts",
        "model": "the model to use",
        "title": "a title for people",
        "instructions": "further instructions beside the prompt",
        "requires_approval": "whether the agent waits for its plan to be approved",
        "open_pull_request": "whether the service opens a pull request itself",
        "working_branch": "the branch that the service pushes to",
        "key": "the idempotency key of this submission",
        "requests": "texts of a batch by their ids",
    }


_BLANKS_AND_MARKS = frozenset(" /?#")


class TaskRef(msgspec.Struct, frozen=True, gc=False):
    """The address of a task: ``str()`` formats it, `parse` reads it back, and any machine can use it.

    Ids are opaque: any text without blanks, control characters, ``/``, ``?`` or ``#`` is one.
    """

    provider: str
    id: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.id}"

    @classmethod
    def parse(cls, text: str, *, provider: str | None = None, origins: Iterable[str | TaskPage] | None = None) -> Self:
        """Read a ref as printed, a bare id (of *provider*), or the URL of a task's page.

        A URL is one of a built-in provider's site, of *origins*, which are further base URLs and pages of *provider*, or, where
        those are not given, of this machine. Raises `ConfigurationError` for anything else.
        """
        text = text.strip()
        name: str | None
        if "://" in text:
            name, id = _find_by_url(text, provider, origins)
        else:
            before, colon, after = text.partition(":")
            name, id = (before, after) if colon else (provider, text)
        if not name or not _is_id(id) or not _is_name(name):
            message = f"{text!r} is not a task reference"
            raise ConfigurationError(message, remedy="give PROVIDER:ID, a task id or a task URL")
        return cls(name, id)


def _find_by_url(url: str, provider: str | None, origins: Iterable[str | TaskPage] | None) -> tuple[str, str]:
    from .task_urls import find_task  # most refs are printed ones

    return find_task(url, provider=provider, origins=origins)


def _is_id(text: str) -> bool:
    # The only white space that is printable is the blank.
    return bool(text) and text.isprintable() and _BLANKS_AND_MARKS.isdisjoint(text)


def _is_name(text: str) -> bool:
    return text.replace("_", "").replace("-", "").isalnum()


class Task(Value, frozen=True, kw_only=True):
    """A task as its service last reported it. It never changes; `Client.get_task` returns a newer one.

    `raw` is the service's whole response (bytes). `retry_after` is the pause that the service requires before the next
    request, in seconds; waits obey it. `attempts` is empty until the service reports how many there are;
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
    permission_requests: tuple[PermissionRequest, ...] = ()
    notices: tuple[Notice, ...] = ()
    pull_requests: tuple[PullRequest, ...] = ()
    is_archived: bool | None = None
    is_unread: bool | None = None
    is_review: bool | None = None
    follow_ups: int | None = None
    rate_limit: RateLimit | None = None
    retry_after: float | None = None
    raw: bytes = b""

    _json: ClassVar[JsonFields] = {
        "ref": "PROVIDER:ID, which every command takes",
        "id": "the service's id",
        "provider": ("the provider's name", lambda t: t.ref.provider),
        "state": "a word of TaskState",
        "raw_state": "the service's own word",
        "title": "its title",
        "url": "its page",
        "error": "why it failed: failure object",
        "prompt": "its prompt",
        "mode": '"code" or "ask"',
        "environment": "id of its environment",
        "environment_label": "label of its environment",
        "repository": "its repository",
        "branch": "the branch it starts from",
        "model": "the model that ran",
        "created_at": "when it was created",
        "started_at": "when it began to run",
        "updated_at": "when it last changed",
        "progress": "what the agent is doing",
        "plan": "plan object",
        "permission_requests": "what its agent waits for a permission to do: permission request objects",
        "notices": "facts that its state does not show: notice objects",
        "stats": "size of its change: stats object",
        "attempt_total": "how many attempts there are",
        "attempts": "attempt objects; a task result has their outcomes",
        "pull_requests": "pull requests on the host",
        "follow_ups": "how many messages followed",
        "is_archived": "whether it is archived",
        "is_unread": "whether there is something unread",
        "is_review": "whether it has a pull request to review",
        "rate_limit": "what submitting left: rate limit object",
        "retry_after": "the pause that the service requires before the next request, in seconds",
        "ended_at": "when it ended, where the service reports it",
        "duration": "seconds from its start to its end",
        "outcome": "outcome object of the current attempt; null where none was sent",
    }
    _details: ClassVar[frozenset[str]] = frozenset({"outcome"})

    @property
    def id(self) -> str:
        """Return the service's id of the task."""
        return self.ref.id

    @property
    def ended_at(self) -> datetime | None:
        """Return when the task ended: the time of the last change that the service reports of an ended task."""
        return self.updated_at if self.state.is_terminal else None

    @property
    def duration(self) -> float | None:
        """Return how many seconds an ended task took, from its start or, where that is not known, its creation."""
        began = self.started_at or self.created_at
        return (self.ended_at - began).total_seconds() if self.ended_at and began else None

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return f"<Task {self.ref} {self.state.value}{title}>"

    def raise_for_state(self) -> Self:
        """Return the task itself, or raise `TaskFailedError` when it ended without success."""
        if self.state.is_unsuccessful:
            because = f": {self.error}" if self.error else ""
            message = f"{self.ref} {self.state.value}{because}"
            raise TaskFailedError(message, task=self)
        return self

    def require_patch(self, *, attempt: int | None = None) -> Patch:
        """Return the patch of *attempt*, else the task's own, else that of the first attempt that has one.

        Patches of attempts that failed come last: they are partial.
        Raises `TaskError` where there is none, `UnsupportedError` where the service returns none, and `ConfigurationError`
        for an attempt that does not exist. Whether the task succeeded is not considered: ``task.raise_for_state().require_patch()`` requires both.
        """
        if attempt is None:
            partial = [each.outcome for each in self.attempts if each.state.is_unsuccessful]
            outcomes = [self.outcome, *(each.outcome for each in self.attempts)]
            outcomes.sort(key=lambda outcome: outcome in partial)
        else:
            outcomes = [self.outcome if attempt == 1 and not self.attempts else self.attempt(attempt).outcome]
        patch = next((outcome.patch for outcome in outcomes if outcome and outcome.patch), None)
        if patch is None:
            raise self._no_patch(attempt)
        return patch

    def _no_patch(self, attempt: int | None) -> CoatcheckError:
        """Return the error that explains why there is no patch."""
        subject = str(self.ref) if attempt is None else f"attempt {attempt} of {self.ref}"
        if not self.state.is_terminal:
            message = f"{subject} has no patch yet: it is {self.state.value}"
            return TaskError(message, ref=self.ref, remedy=f"wait with: coatcheck wait {self.ref}")
        if self.outcome and self.outcome.external_file_id:
            place = self.outcome.external_file_id
            remedy = f"open {self.url}" if self.url else None
            return TaskError(f"the service stores the patch of {subject} in {place}", ref=self.ref, remedy=remedy)
        if self.outcome and self.outcome.patch_state is PatchState.UNAVAILABLE:
            return UnsupportedError(f"{subject} has no patch here: {missing_result(self)}")
        return TaskError(f"{subject} has no patch", ref=self.ref)

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it; an agent's text has no effect there."""
        from .._export.notebook import of_task

        return of_task(self)

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

    def to_chat_completion(self, *, model: str | None = None) -> dict[str, object]:
        """Return it as the answer of a chat: a Chat Completions response object, as plain data.

        Each attempt whose outcome is known is a choice. *model* is the one that ran unless it is given;
        `Outcome.to_chat_completion` describes the rest.
        """
        from .._export.chat import Choice, completion, content_of

        outcomes = [(each.placement, each.outcome, each.state) for each in self.attempts if each.outcome]
        outcomes = outcomes or [(0, self.outcome or Outcome(), self.state)]
        choices = [
            Choice(index, content_of(outcome.text, outcome.patch), is_success=state is TaskState.SUCCEEDED)
            for index, outcome, state in outcomes
        ]
        created = self.updated_at or self.created_at
        return completion(choices, model=model or self.model, id=self.ref.id, created=created)

    def to_markdown(self, *, attempt: int | None = None) -> str:
        """Return it as Markdown: title, facts and outcome; the outcome of *attempt* when there are several."""
        from .._export import markdown

        known = {
            "State": self.state.value.replace("_", " "),
            "Task": f"`{self.ref}`",
            "Page": self.url,
            "Repository": self.repository,
            "Branch": self.branch,
            "Error": str(self.error) if self.error else None,
        }
        outcome = self._outcome_of(attempt)
        title = f"# {markdown.one_line(self.title or str(self.ref))}"
        return markdown.page(title, markdown.facts(known), outcome.to_markdown() if outcome else "")

    def to_mail(self, *, attempt: int | None = None, author: str | None = None) -> bytes:
        """Return it as a mail that ``git am`` makes a commit of; a trailer names the task.

        Raises what `Outcome.to_mail` does, and `ConfigurationError` for an attempt that does not exist.
        """
        from .._export import mail

        outcome = self._outcome_of(attempt) or Outcome()
        message = outcome.commit_message(trailers=(self.trailer,))
        return mail.mail(outcome.patch, message=message, author=author or mail.DEFAULT_SENDER, date=self.updated_at)

    @property
    def trailer(self) -> str:
        """Return the line that names the task at the end of a commit's message."""
        return f"Coatcheck-Task: {self.ref}"

    def compare_attempts(self) -> Comparison:
        """Compare the changes of the attempts whose outcomes are known."""
        from .comparison import compare_attempts

        return compare_attempts(self.attempts)

    def _outcome_of(self, attempt: int | None) -> Outcome | None:
        return self.outcome if attempt is None else self.attempt(attempt).outcome


class Page(Value, frozen=True, kw_only=True):
    """One page of a list; `cursor` requests the next one; None for the last."""

    items: tuple[Task, ...] = ()
    cursor: str | None = None
    raw: bytes = b""

    _json: ClassVar[JsonFields] = {
        "items": "task objects, in the service's order",
        "cursor": "what requests the next page",
    }

    _hidden: ClassVar[frozenset[str]] = frozenset({"raw"})


def missing_result(task: Task) -> str:
    """Return why the service does not return the change of *task*, in the words of its notice."""
    return next(
        (notice.text for notice in task.notices if notice.kind == "no_result"), "the service does not return it"
    )
