"""What came back: messages, a patch, a pull request, files, an error. Attempts carry one each."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

from .value import Value

if TYPE_CHECKING:
    from datetime import datetime

    from .._patches.parse import Patch
    from .states import TaskState


class Citation(Value, frozen=True, kw_only=True):
    """A place a message points at: a file and lines, a terminal chunk, or an image.

    `kind` is the service's own word; `target` is the path, chunk id or asset; lines are 1-based.
    `offset` is where in the message's text the citation stands (characters).
    """

    kind: str
    target: str
    start: int | None = None
    end: int | None = None
    offset: int = 0


class Message(Value, frozen=True, kw_only=True):
    """One thing that was said, by `role` ("assistant" or "user")."""

    text: str
    role: str = "assistant"
    citations: tuple[Citation, ...] = ()


class DiffStats(Value, frozen=True, kw_only=True):
    """How big a change is, in files and lines."""

    files: int = 0
    added: int = 0
    removed: int = 0


class PullRequest(Value, frozen=True, kw_only=True):
    """A pull request: its text always, its number and URL once it exists on the host."""

    title: str | None = None
    body: str | None = None
    branch: str | None = None
    number: int | None = None
    url: str | None = None
    state: str | None = None
    base: str | None = None
    is_draft: bool | None = None
    is_merged: bool | None = None
    stats: DiffStats | None = None
    commit_message: str | None = None


class FileLines(Value, frozen=True, kw_only=True):
    """A run of lines of a file, from the 1-based line `start`; `text` keeps its line ends."""

    start: int
    text: str


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


class Failure(Value, frozen=True, kw_only=True):
    """Why a task failed, in the service's words."""

    code: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.message) if part)


class PlanStep(Value, frozen=True, kw_only=True):
    """One step of a plan."""

    title: str
    description: str | None = None


class Plan(Value, frozen=True, kw_only=True):
    """What an agent means to do. `is_approved` says whether somebody, or the service itself, has agreed."""

    id: str
    steps: tuple[PlanStep, ...] = ()
    is_approved: bool = False


class Notice(Value, frozen=True, kw_only=True):
    """Something about a task that its state does not tell, and that somebody should know.

    `kind` is "stalled" (no sign of the agent), "revived" (it went on after its end), "nothing_made" (it ended and
    made nothing) or "approval_ignored" (an approval changed nothing); `text` says it to people.
    """

    kind: str
    text: str


class Artifact(Value, frozen=True, kw_only=True):
    """Something that an agent showed on its way: a command with its output, an image, a file.

    `kind` is "command", "media" or the service's own word; `content` is a media's bytes. `data` is what the service
    said about a kind that is not known here.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"content", "data"})

    kind: str
    command: str | None = None
    output: str | None = None
    exit_code: int | None = None
    media_type: str | None = None
    content: bytes = b""
    data: object = None


class PatchState(enum.Enum):
    """Why there is, or is no, patch."""

    PRESENT = "present"
    NONE = "none"
    OFFLOADED = "offloaded"


class Outcome(Value, frozen=True, kw_only=True):
    """What one attempt made.

    `patch` is None when there is none; `patch_state` tells an attempt that changed nothing from one
    whose diff the service keeps elsewhere (`external_file_id` names it).
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

    @property
    def text(self) -> str:
        """Return every message of the assistant, in order, a blank line between two."""
        return "\n\n".join(message.text for message in self.messages)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was made: no message, no patch, no pull request, no file."""
        return not (self.messages or self.patch or self.pull_request or self.files or self.external_file_id)


class Attempt(Value, frozen=True, kw_only=True):
    """One of best-of-N. `number` (what ``--attempt`` takes) is `placement` + 1 and never moves."""

    id: str
    placement: int
    state: TaskState
    raw_state: str | None = None
    outcome: Outcome | None = None
    created_at: datetime | None = None
    model: str | None = None

    @property
    def number(self) -> int:
        """Return the number that people use for this attempt, from 1."""
        return self.placement + 1
