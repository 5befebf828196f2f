"""The outcome of an attempt: messages, a patch, a pull request, files, an error."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

from .._patches.patch_stats import DiffStats as DiffStats  # noqa: PLC0414 - exported with outcomes
from .._values.json_fields import base64_text, bytes_text, to_object
from .._values.value import JsonFields, Value
from ..errors import PatchError
from .states import TaskState

if TYPE_CHECKING:
    from datetime import datetime

    from .._patches.compare import Overlap
    from .._patches.parse import Patch


class Citation(Value, frozen=True, kw_only=True):
    """A place that a message cites: a file and lines, a terminal chunk, or an image.

    `kind` is the service's own word; `target` is the path, chunk id or asset; lines are 1-based.
    `offset` is the position of the citation in the message's text (characters).
    """

    kind: str
    target: str
    start: int | None = None
    end: int | None = None
    offset: int = 0

    _json: ClassVar[JsonFields] = {
        "kind": "the service's word: a file, a piece of terminal output, an image",
        "target": "path or id of what is cited",
        "start": "first line, from 1",
        "end": "last line",
        "offset": "its position in the text, in characters",
    }


class Message(Value, frozen=True, kw_only=True):
    """One message, by `role` ("assistant" or "user")."""

    text: str
    role: str = "assistant"
    citations: tuple[Citation, ...] = ()

    _json: ClassVar[JsonFields] = {
        "role": '"assistant" or "user"',
        "text": "the text",
        "citations": "its citations: citation objects",
    }


class PullRequest(Value, frozen=True, kw_only=True):
    """A pull request: its text always, its number and URL once it exists on the host."""

    title: str | None = None
    body: str | None = None
    branch: str | None = None
    number: int | None = None
    url: str | None = None
    state: str | None = None
    base: str | None = None
    draft: bool | None = None
    is_merged: bool | None = None
    stats: DiffStats | None = None
    commit_message: str | None = None

    _json: ClassVar[JsonFields] = {
        "title": "its title",
        "body": "its text",
        "branch": "the branch it comes from",
        "base": "the branch it goes to",
        "number": "its number, once it exists on the host",
        "url": "its address, once it exists on the host",
        "state": "the host's word for its state",
        "draft": "whether it is a draft",
        "is_merged": "whether it was merged",
        "commit_message": "the message of its commit",
        "stats": "stats object",
    }


class FileLines(Value, frozen=True, kw_only=True):
    """A run of lines of a file, from the 1-based line `start`; `text` keeps its line ends."""

    start: int
    text: str

    _json: ClassVar[JsonFields] = {"start": "the number of its first line, from 1", "text": "the lines"}


class FileSnapshot(Value, frozen=True, kw_only=True):
    """A file as the agent left it, or the parts of it that the service sent.

    `content` joins the parts and shows each gap as one line saying which lines are missing;
    `is_whole` is True only when nothing is missing. `language` is GitHub Linguist's name.
    """

    path: str
    content: str | None = None
    is_whole: bool = False
    parts: tuple[FileLines, ...] = ()
    language: str | None = None
    missing_reason: str | None = None

    _json: ClassVar[JsonFields] = {
        "path": "its path in the repository",
        "language": "its language, as GitHub Linguist calls it",
        "is_whole": "whether `content` is the whole file",
        "content": "the text, with each gap shown as one line",
        "parts": "the parts that were sent: objects with `start` and `text`",
        "missing_reason": "why the service sent none",
    }


class Failure(Value, frozen=True, kw_only=True):
    """Why a task failed, in the service's words."""

    code: str | None = None
    message: str | None = None

    _json: ClassVar[JsonFields] = {
        "code": "the service's word for it",
        "message": "its message",
    }

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.message) if part)


class PlanStep(Value, frozen=True, kw_only=True):
    """One step of a plan."""

    title: str
    description: str | None = None

    _json: ClassVar[JsonFields] = {
        "title": "what will be done",
        "description": "more about it",
    }


class Plan(Value, frozen=True, kw_only=True):
    """What an agent intends to do. `is_approved` is True once a person or the service has approved it."""

    id: str
    steps: tuple[PlanStep, ...] = ()
    is_approved: bool = False

    _json: ClassVar[JsonFields] = {
        "id": "the service's id",
        "is_approved": "whether a person or the service has approved it",
        "steps": "step objects, in order",
    }


class Notice(Value, frozen=True, kw_only=True):
    """A fact about a task that its state does not show and that its user should know.

    `kind` is "stalled" (no sign of the agent), "revived" (it continued after its end), "nothing_made" (it ended
    without an outcome), "no_result" (its outcome cannot be read), "approval_ignored" (an approval changed nothing),
    "partial" (some of its requests did not succeed), "waits_on_page" (only its page takes an answer), "usage" (what
    it used) or "agent" (what its agent was not able to do); `text` is for people. `cost` is what the task has cost in US dollars, where the service reports that.
    """

    kind: str
    text: str
    cost: float | None = None

    _json: ClassVar[JsonFields] = {
        "kind": '"stalled", "revived", "nothing_made", "no_result", "approval_ignored", "partial", "waits_on_page", "usage" or "agent"',
        "text": "the same for people",
        "cost": "what the task has cost, in US dollars, where the service reports that",
    }


class Artifact(Value, frozen=True, kw_only=True):
    """Something that an agent showed while it worked: a command with its output, an image, a file.

    `kind` is "command", "media" or the service's own word; `content` is a media's bytes. `data` is the service's
    description of a kind that is not known here.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"content", "data"})

    kind: str
    command: str | None = None
    output: str | None = None
    exit_code: int | None = None
    media_type: str | None = None
    content: bytes = b""
    data: object = None

    _json: ClassVar[JsonFields] = {
        "kind": '"command", "media", "change" or the service\'s own word',
        "command": "what was run",
        "output": "what it printed",
        "exit_code": "how it ended",
        "media_type": "the type of its content",
        "size": ("how many bytes its content has", lambda a: len(a.content)),
        "content": ("its bytes as base64", lambda a: base64_text(a.content)),
        "data": "the service's description of a kind that is not known",
    }
    _details: ClassVar[frozenset[str]] = frozenset({"content"})


class Item(Value, frozen=True, kw_only=True):
    """The result of one request of a batch, by the `id` that it was submitted under (services call it custom id).

    `state` is one of the ends: a batch can succeed as a whole while some of its requests failed, expired or were
    cancelled. `raw_state` is the service's word, or the HTTP status that it reports.
    """

    id: str
    state: TaskState
    raw_state: str | None = None
    messages: tuple[Message, ...] = ()
    error: Failure | None = None
    model: str | None = None

    _json: ClassVar[JsonFields] = {
        "id": "what it was submitted under",
        "state": "a word of TaskState",
        "raw_state": "the service's own word, or the HTTP status that it reports",
        "messages": "message objects, in order",
        "error": "why it failed: failure object",
        "model": "the model that ran",
    }

    @property
    def text(self) -> str:
        """Return every message, in order, a blank line between two."""
        return "\n\n".join(message.text for message in self.messages)


class PatchState(enum.Enum):
    """Why there is, or is no, patch."""

    PRESENT = "present"
    NONE = "none"
    OFFLOADED = "offloaded"
    UNAVAILABLE = "unavailable"


class Outcome(Value, frozen=True, kw_only=True):
    """The outcome of one attempt.

    `patch` is None when there is none; `patch_state` distinguishes an attempt that changed nothing from one
    whose diff the service keeps elsewhere (`external_file_id` names it), or does not return at all ("unavailable"). `items` are the requests of a batch, by id in
    alphabetical order; `messages` are then those of all of them.
    """

    messages: tuple[Message, ...] = ()
    patch: Patch | None = None
    patch_state: PatchState = PatchState.NONE
    external_file_id: str | None = None
    base_commit: str | None = None
    stats: DiffStats | None = None
    pull_request: PullRequest | None = None
    files: tuple[FileSnapshot, ...] = ()
    error: Failure | None = None
    worklog: tuple[Message, ...] = ()
    items: tuple[Item, ...] = ()

    _json: ClassVar[JsonFields] = {
        "messages": "message objects, in order",
        "patch_state": '"present"; "none": nothing was changed; "offloaded": the service keeps it elsewhere; "unavailable": the service does not return it',
        "patch": "the diff as text; `coatcheck diff` writes its bytes",
        "patch_base64": (
            "the diff's bytes as base64, only where they are not UTF-8",
            lambda o: o.patch and bytes_text(bytes(o.patch)),
        ),
        "external_file_id": "where the service keeps an off-loaded diff",
        "base_commit": "the commit that the diff is against",
        "stats": "stats object",
        "pull_request": "pull request object",
        "changes": (
            "what the diff does to each file: change objects; null where the diff cannot be read",
            lambda o: changes_of(o.patch),
        ),
        "files": "files as the agent left them: file objects",
        "worklog": "what the environment logged: message objects",
        "items": "the requests of a batch: item objects, by id",
        "error": "error of this attempt: failure object",
    }

    @property
    def text(self) -> str:
        """Return every message of the assistant, in order, a blank line between two."""
        return "\n\n".join(message.text for message in self.messages)

    @property
    def is_empty(self) -> bool:
        """Whether it has no message, no patch, no pull request and no file, and none can exist that is not returned."""
        is_unread = self.patch_state is PatchState.UNAVAILABLE or self.external_file_id
        return not (self.messages or self.patch or self.pull_request or self.files or is_unread)

    @property
    def title(self) -> str:
        """Return a title: the pull request's, else the first line of the messages, else empty."""
        pull = self.pull_request.title if self.pull_request else None
        return " ".join((pull or self.text.strip().partition("\n")[0]).split())

    def is_same_change(self, other: Outcome) -> bool:
        """Whether both change the same lines of the same files, however their diffs are written."""
        from .._patches.compare import is_same_change

        return is_same_change(_patch_of(self), _patch_of(other))

    def overlap(self, other: Outcome) -> Overlap:
        """Return the files both touch, those only one does, and the share of changed lines in both, 0.0 to 1.0."""
        from .._patches.compare import overlap

        return overlap(_patch_of(self), _patch_of(other))

    def diff_of_diffs(self, other: Outcome, *, names: tuple[str, str] = ("1", "2")) -> str:
        """Return a diff that leads from this change to the *other*; empty for the same change."""
        from .._patches.compare import diff_of_diffs

        return diff_of_diffs(_patch_of(self), _patch_of(other), names=names)

    def to_chat_completion(self, *, model: str) -> dict[str, object]:
        """Return it as the answer of a chat: a Chat Completions response object, as plain data.

        `content` is the messages and the diff as a code block; `finish_reason` is "stop", or "length" when it failed.
        `usage` is null, since no service reports tokens; `created` is 0 (`Task.to_chat_completion` has the time).
        """
        from .._export.chat import Choice, completion, content_of

        choice = Choice(0, content_of(self.text, self.patch), is_success=self.error is None)
        return completion([choice], model=model, id=None, created=None)

    def to_markdown(self) -> str:
        """Return it as Markdown: the messages, the pull request's text, the summary of the changes, the diff."""
        from .._export import markdown

        pull, patch = self.pull_request or PullRequest(), self.patch
        diff = markdown.fenced(bytes(patch).decode("utf-8", "replace"), "diff") if patch else None
        return markdown.page(
            self.text,
            f"**Error:** {markdown.one_line(str(self.error))}" if self.error else "",
            markdown.section(
                "Pull request", pull.title and f"**{markdown.one_line(pull.title)}**", pull.body, pull.url
            ),
            markdown.section("Changes", markdown.summary(patch) if patch else None, diff),
        )

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it; an agent's text has no effect there."""
        from .._export.notebook import of_outcome

        return of_outcome(self)

    def to_mail(self, *, author: str | None = None, date: datetime | None = None) -> bytes:
        """Return it as a mail that ``git am`` makes a commit of, by *author* (``NAME <ADDRESS>``).

        Title and text are the pull request's, else the messages. Raises `PatchError` where there is no diff,
        `ConfigurationError` for an invalid author.
        """
        from .._export import mail

        return mail.mail(self.patch, message=self.commit_message(), author=author or mail.DEFAULT_SENDER, date=date)

    def commit_message(self, *, trailers: tuple[str, ...] = ()) -> str:
        """Return a commit's message: the pull request's title and text, else the messages; then *trailers*."""
        from .._export.mail import message

        pull, text = self.pull_request, self.text.strip()
        body = (pull.body or "") if pull and pull.title else text.partition("\n")[2]
        return message(self.title or "Changes of an agent", body, trailers=trailers)


def _patch_of(outcome: Outcome) -> Patch:
    from .._patches.parse import Patch

    return outcome.patch or Patch(b"")


class Attempt(Value, frozen=True, kw_only=True):
    """One of best-of-N. `number` (what ``--attempt`` takes) is `placement` + 1 and never moves."""

    id: str
    placement: int
    state: TaskState
    raw_state: str | None = None
    outcome: Outcome | None = None
    created_at: datetime | None = None
    model: str | None = None

    _json: ClassVar[JsonFields] = {
        "number": "what `--attempt` takes; it never moves",
        "placement": "the service's own count, from 0",
        "id": "the service's id",
        "state": "a word of TaskState",
        "raw_state": "the service's own word",
        "model": "the model that ran",
        "created_at": "when it began",
        "stats": ("size of its change: stats object", lambda a: a.outcome and a.outcome.stats),
        "error": ("why it failed: failure object", lambda a: a.outcome and a.outcome.error),
        "outcome": "outcome object; null where the service sent none",
    }
    _details: ClassVar[frozenset[str]] = frozenset({"outcome"})

    @property
    def number(self) -> int:
        """Return the number that people use for this attempt, from 1."""
        return self.placement + 1


def changes_of(patch: Patch | None) -> list[dict[str, object]] | None:
    """Return the files of a patch as change objects, None where it cannot be read."""
    try:
        return [to_object(change) for change in patch.files] if patch else []
    except PatchError:
        return None
