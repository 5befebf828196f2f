"""What came back: messages, a patch, a pull request, files, an error. Attempts carry one each."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

from .._errors import PatchError
from .json_fields import Fields, many, maybe, patch_text, plain
from .states import TaskState
from .value import Value

if TYPE_CHECKING:
    from datetime import datetime

    from .._patches.compare import Overlap
    from .._patches.file_change import FileChange
    from .._patches.parse import Patch


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
    draft: bool | None = None
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
    made nothing), "no_result" (what it made cannot be had), "approval_ignored" (an approval changed nothing),
    "partial" (some of its requests did not succeed), "waits_on_page" (only its page takes an answer) or "usage" (what
    it used); `text` says it to people.
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


class Item(Value, frozen=True, kw_only=True):
    """What became of one request of a batch, by the `id` that it was submitted under (services call it custom id).

    `state` is one of the ends: a batch can succeed as a whole while some of its requests failed, expired or were
    cancelled. `raw_state` is the service's word, or the HTTP status that it tells.
    """

    id: str
    state: TaskState
    raw_state: str | None = None
    messages: tuple[Message, ...] = ()
    error: Failure | None = None
    model: str | None = None

    @property
    def text(self) -> str:
        """Return every message, in order, a blank line between two."""
        return "\n\n".join(message.text for message in self.messages)


class PatchState(enum.Enum):
    """Why there is, or is no, patch."""

    PRESENT = "present"
    NONE = "none"
    OFFLOADED = "offloaded"


class Outcome(Value, frozen=True, kw_only=True):
    """What one attempt made.

    `patch` is None when there is none; `patch_state` tells an attempt that changed nothing from one
    whose diff the service keeps elsewhere (`external_file_id` names it). `items` are the requests of a batch, by id in
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

    @property
    def text(self) -> str:
        """Return every message of the assistant, in order, a blank line between two."""
        return "\n\n".join(message.text for message in self.messages)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was made: no message, no patch, no pull request, no file."""
        return not (self.messages or self.patch or self.pull_request or self.files or self.external_file_id)

    @property
    def title(self) -> str:
        """Return a title: the pull request's, else the first line of what was said, else empty."""
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

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data with every field of an outcome object (``docs/reference/json.md``)."""
        return plain(OUTCOME, self)

    def to_chat_completion(self, *, model: str) -> dict[str, object]:
        """Return it as the answer of a chat: a Chat Completions response object, as plain data.

        `content` is what was said and the diff as a code block; `finish_reason` is "stop", or "length" when it failed.
        `usage` is null, since no service tells tokens; `created` is 0 (`Task.to_chat_completion` knows when).
        """
        from .chat import Choice, completion, content_of

        state = TaskState.FAILED if self.error else TaskState.SUCCEEDED
        choice = Choice(0, content_of(self.text, self.patch), state)
        return completion([choice], model=model, id=None, created=None)

    def to_markdown(self) -> str:
        """Return it as Markdown: what was said, the pull request's text, the summary of the changes, the diff."""
        from . import markdown

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

    def to_mail(self, *, author: str | None = None, date: datetime | None = None) -> bytes:
        """Return it as a mail that ``git am`` makes a commit of, by *author* (``NAME <ADDRESS>``).

        Title and text are the pull request's, else what was said. Raises `PatchError` where there is no diff,
        `ConfigurationError` for something that is no author.
        """
        from . import mail

        return mail.mail(self.patch, message=self.commit_message(), author=author or mail.NOBODY, date=date)

    def commit_message(self, *, trailers: tuple[str, ...] = ()) -> str:
        """Return a commit's message: the pull request's title and text, else what was said; then *trailers*."""
        from .mail import message

        pull, said = self.pull_request, self.text.strip()
        body = (pull.body or "") if pull and pull.title else said.partition("\n")[2]
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

    @property
    def number(self) -> int:
        """Return the number that people use for this attempt, from 1."""
        return self.placement + 1


# --- what programs are told --------------------------------------------------------------------------------------------

STATS: Fields[DiffStats] = {
    "files": ("files changed", lambda s: s.files),
    "added": ("lines added", lambda s: s.added),
    "removed": ("lines removed", lambda s: s.removed),
}

FAILURE: Fields[Failure] = {
    "code": ("the service's word for it", lambda f: f.code),
    "message": ("what it says", lambda f: f.message),
}

CITATION: Fields[Citation] = {
    "kind": ("the service's word: a file, a piece of terminal output, an image", lambda c: c.kind),
    "target": ("path or id of what is pointed at", lambda c: c.target),
    "start": ("first line, from 1", lambda c: c.start),
    "end": ("last line", lambda c: c.end),
    "offset": ("where in the text it stands, in characters", lambda c: c.offset),
}

MESSAGE: Fields[Message] = {
    "role": ('"assistant" or "user"', lambda m: m.role),
    "text": ("what was said", lambda m: m.text),
    "citations": ("places it points at: citation objects", lambda m: many(CITATION, m.citations)),
}

STEP: Fields[PlanStep] = {
    "title": ("what will be done", lambda s: s.title),
    "description": ("more about it", lambda s: s.description),
}

PLAN: Fields[Plan] = {
    "id": ("the service's id", lambda p: p.id),
    "is_approved": ("whether somebody, or the service itself, agreed", lambda p: p.is_approved),
    "steps": ("step objects, in order", lambda p: many(STEP, p.steps)),
}

NOTICE: Fields[Notice] = {
    "kind": (
        '"stalled", "revived", "nothing_made", "no_result", "approval_ignored", "partial", "waits_on_page" or "usage"',
        lambda n: n.kind,
    ),
    "text": ("the same for people", lambda n: n.text),
}

ARTIFACT: Fields[Artifact] = {
    "kind": ('"command", "media", "change" or the service\'s own word', lambda a: a.kind),
    "command": ("what was run", lambda a: a.command),
    "output": ("what it printed", lambda a: a.output),
    "exit_code": ("how it ended", lambda a: a.exit_code),
    "media_type": ("the type of its content", lambda a: a.media_type),
    "size": ("how many bytes its content has", lambda a: len(a.content)),
    "data": ("what the service said about a kind that is not known", lambda a: a.data),
}

PULL_REQUEST: Fields[PullRequest] = {
    "title": ("its title", lambda p: p.title),
    "body": ("its text", lambda p: p.body),
    "branch": ("the branch it comes from", lambda p: p.branch),
    "base": ("the branch it goes to", lambda p: p.base),
    "number": ("its number, once it exists on the host", lambda p: p.number),
    "url": ("its address, once it exists on the host", lambda p: p.url),
    "state": ("the host's word for its state", lambda p: p.state),
    "draft": ("whether it is a draft", lambda p: p.draft),
    "is_merged": ("whether it was merged", lambda p: p.is_merged),
    "commit_message": ("the message of its commit", lambda p: p.commit_message),
    "stats": ("stats object", lambda p: maybe(STATS, p.stats)),
}

FILE: Fields[FileSnapshot] = {
    "path": ("its path in the repository", lambda f: f.path),
    "language": ("its language, as GitHub Linguist calls it", lambda f: f.language),
    "is_whole": ("whether `content` is the whole file", lambda f: f.is_whole),
    "content": ("the text, with each gap shown as one line", lambda f: f.content),
    "missing_reason": ("why the service sent none", lambda f: f.missing_reason),
}

ITEM: Fields[Item] = {
    "id": ("what it was submitted under", lambda i: i.id),
    "state": ("a word of TaskState", lambda i: i.state.value),
    "raw_state": ("the service's own word, or the HTTP status that it tells", lambda i: i.raw_state),
    "messages": ("what was said: message objects, in order", lambda i: many(MESSAGE, i.messages)),
    "error": ("why it failed: failure object", lambda i: maybe(FAILURE, i.error)),
    "model": ("the model that ran", lambda i: i.model),
}

CHANGE: Fields[FileChange] = {
    "path": ("the file", lambda c: c.path),
    "old_path": ("what it was called before, where it moved", lambda c: c.moved_from),
    "status": (
        '"added", "deleted", "modified", "renamed", "copied", "mode changed" or "type changed"',
        lambda c: c.status.value,
    ),
    "is_binary": ("whether the diff treats it as binary", lambda c: c.is_binary),
    "added": ("lines added", lambda c: c.added),
    "removed": ("lines removed", lambda c: c.removed),
}


def changes_of(patch: Patch | None) -> list[dict[str, object]] | None:
    """Return the files of a patch as change objects, None where it cannot be read."""
    try:
        return many(CHANGE, patch.files) if patch else []
    except PatchError:
        return None


OUTCOME: Fields[Outcome] = {
    "messages": ("what the agent said: message objects, in order", lambda o: many(MESSAGE, o.messages)),
    "patch_state": (
        '"present"; "none": nothing was changed; "offloaded": the service keeps it elsewhere',
        lambda o: o.patch_state.value,
    ),
    "patch": ("the diff as text; `coatcheck diff` gives its bytes", lambda o: patch_text(o.patch)),
    "external_file_id": ("where the service keeps an off-loaded diff", lambda o: o.external_file_id),
    "base_commit": ("the commit that the diff is against", lambda o: o.base_commit),
    "stats": ("stats object", lambda o: maybe(STATS, o.stats)),
    "pull_request": ("pull request object", lambda o: maybe(PULL_REQUEST, o.pull_request)),
    "changes": (
        "what the diff does to each file: change objects; null where the diff cannot be read",
        lambda o: changes_of(o.patch),
    ),
    "files": ("files as the agent left them: file objects", lambda o: many(FILE, o.files)),
    "items": ("the requests of a batch: item objects, by id", lambda o: many(ITEM, o.items)),
    "error": ("error of this attempt: failure object", lambda o: maybe(FAILURE, o.error)),
}

ATTEMPT: Fields[Attempt] = {
    "number": ("what `--attempt` takes; it never moves", lambda a: a.number),
    "placement": ("the service's own count, from 0", lambda a: a.placement),
    "id": ("the service's id", lambda a: a.id),
    "state": ("a word of TaskState", lambda a: a.state.value),
    "raw_state": ("the service's own word", lambda a: a.raw_state),
    "model": ("the model that ran", lambda a: a.model),
    "created_at": ("when it began", lambda a: a.created_at),
    "stats": ("size of its change: stats object", lambda a: maybe(STATS, a.outcome.stats if a.outcome else None)),
    "error": ("why it failed: failure object", lambda a: maybe(FAILURE, a.outcome.error if a.outcome else None)),
}

ATTEMPT_RESULT: Fields[Attempt] = {
    **ATTEMPT,
    "outcome": ("outcome object; null where the service sent none", lambda a: maybe(OUTCOME, a.outcome)),
}
