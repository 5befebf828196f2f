"""The tasks of a cloud, as frozen values.

A task is a list of rounds (what was asked, then every follow-up); a round is answered by one or more attempts.
An attempt's *result* is kept apart from it, so that a list of tasks never loads a diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from .._values.value import Value

Mode: TypeAlias = Literal["code", "ask"]
Filter: TypeAlias = Literal["current", "archived", "all"]

# The states of a turn (docs/reference/protocols/codex-wham.md, 2.3).
PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = "pending", "in_progress", "completed", "failed", "cancelled"
ENDED = frozenset({COMPLETED, FAILED, CANCELLED})


class CloudEnvironment(Value, frozen=True, kw_only=True):
    """Where agents work. `path` is the repository on this machine, None where there is none."""

    id: str
    label: str
    repository: str | None = None
    default_branch: str = "main"
    description: str = ""
    is_pinned: bool = False
    path: str | None = None
    created_at: float = 0.0


class CloudFailure(Value, frozen=True, kw_only=True):
    """Why an attempt failed."""

    code: str | None = None
    message: str | None = None


class CloudStats(Value, frozen=True, kw_only=True):
    """How much a diff changes."""

    files: int = 0
    added: int = 0
    removed: int = 0


class CloudFile(Value, frozen=True, kw_only=True):
    """A file as an attempt left it; `content` is None where there is a `missing_reason`."""

    path: str
    content: str | None = None
    missing_reason: str | None = None


class AgentSession(Value, frozen=True, kw_only=True):
    """A session of an agent that a follow-up can continue, in a clone with the same path: that of `workspace`."""

    id: str
    workspace: str


class CloudLog(Value, frozen=True, kw_only=True):
    """What a program wrote: `name` is "stdout" or "stderr", or "agent" for the record of a session."""

    name: str
    text: str
    created_at: float = 0.0


class CloudResult(Value, frozen=True, kw_only=True):
    """What an attempt made. `is_offloaded` shows the diff as the service does when it keeps it elsewhere.

    The first message was an event while the agent ran where `is_message_shown` is set.
    """

    messages: tuple[str, ...] = ()
    diff: str = ""
    title: str | None = None
    body: str | None = None
    files: tuple[CloudFile, ...] = ()
    commit_message: str | None = None
    base_commit: str | None = None
    worklog: tuple[str, ...] = ()
    logs: tuple[CloudLog, ...] = ()
    is_offloaded: bool = False
    is_message_shown: bool = False


class CloudAttempt(Value, frozen=True, kw_only=True):
    """One answer to a round; `id` is the assistant turn's. `result` is None until it is made or unless it is loaded.

    `progress`, the last step of an agent that runs, and `requests`, the JSON of what it waits for, are not stored.
    """

    id: str
    placement: int
    created_at: float
    state: str = PENDING
    started_at: float | None = None
    ended_at: float | None = None
    cancellation_requested_at: float | None = None
    error: CloudFailure | None = None
    stats: CloudStats | None = None
    pull_request_status: str = "not_created"
    model: str | None = None
    session: AgentSession | None = None
    usage: str | None = None
    progress: str | None = None
    requests: tuple[dict[str, object], ...] = ()
    result: CloudResult | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED


class CloudRound(Value, frozen=True, kw_only=True):
    """What was asked once, and the attempts at it; `id` is the user turn's."""

    id: str
    prompt: str
    created_at: float
    mode: Mode = "code"
    starting_diff: str | None = None
    model: str | None = None
    previous_turn_id: str | None = None
    attempts: tuple[CloudAttempt, ...] = ()

    @property
    def state(self) -> str:
        """The round's word: it runs until every attempt has ended, and one success is success."""
        return joint_state(attempt.state for attempt in self.attempts)

    @property
    def is_over(self) -> bool:
        """Whether every attempt has ended."""
        return all(attempt.is_over for attempt in self.attempts)


class CloudTask(Value, frozen=True, kw_only=True):
    """A task from its first round to its last."""

    id: str
    title: str
    environment_id: str
    environment_label: str
    branch: str
    created_at: float
    updated_at: float
    is_archived: bool = False
    is_unread: bool = False
    rounds: tuple[CloudRound, ...] = ()

    @property
    def last(self) -> CloudRound:
        """The round that is shown."""
        return self.rounds[-1]

    @property
    def key(self) -> tuple[float, str]:
        """Where the task stands in a list, newest first."""
        return (self.created_at, self.id)

    def find_turn(self, turn_id: str) -> tuple[CloudRound, CloudAttempt] | None:
        """Return the attempt whose assistant turn has this id, with its round."""
        turns = ((round_, attempt) for round_ in self.rounds for attempt in round_.attempts)
        return next(((round_, attempt) for round_, attempt in turns if attempt.id == turn_id), None)


class TaskOrder(Value, frozen=True, kw_only=True):
    """What a client asked for when it created a task or followed one up."""

    prompt: str
    environment_id: str = ""
    branch: str | None = None
    attempts: int = 1
    mode: Mode = "code"
    starting_diff: str | None = None
    model: str | None = None


class TaskQuery(Value, frozen=True, kw_only=True):
    """Which tasks a list shows: those whose `CloudTask.key` is below `before`, newest first, at most `limit`."""

    filter: Filter = "current"
    environment_id: str | None = None
    text: str | None = None
    before: tuple[float, str] | None = None
    limit: int = 20

    def matches(self, task: CloudTask) -> bool:
        """Whether the list shows *task*."""
        return (
            (self.filter == "all" or task.is_archived == (self.filter == "archived"))
            and self.environment_id in (None, task.environment_id)
            and (self.text is None or self.text.casefold() in task.title.casefold())
            and (self.before is None or task.key < self.before)
        )


class TaskPage(Value, frozen=True, kw_only=True):
    """One page of a list, and whether there is more."""

    tasks: tuple[CloudTask, ...] = ()
    has_more: bool = False


def joint_state(states: Iterable[str]) -> str:
    """Return the one word for several attempts."""
    words = set(states)
    if not words <= ENDED:
        return PENDING if words == {PENDING} else next(iter(words)) if len(words) == 1 else RUNNING
    return next((word for word in (COMPLETED, FAILED) if word in words), CANCELLED)


def turn_id(task_id: str, kind: Literal["user", "asst"], number: int) -> str:
    """Return a turn's id in the service's form (docs/reference/protocols/codex-wham.md, 2.3)."""
    return f"{task_id}~{kind}trn_e_{number:032x}"


def number_of_turns(task: CloudTask) -> int:
    """Return how many assistant turns the task has had."""
    return sum(len(round_.attempts) for round_ in task.rounds)


# A title longer than this is cut: the service's own are short sentences.
MAX_TITLE = 80


# Headings of sections, which are no titles: agents begin their messages with them.
SECTIONS = frozenset(
    [
        "answer",
        "changes",
        "changes made",
        "description",
        "done",
        "final answer",
        "overview",
        "result",
        "results",
        "summary",
        "summary of changes",
        "testing",
        "tests",
        "what changed",
        "what i changed",
        "what i did",
    ]
)
# What begins a line of Markdown: a heading, a list item, a quotation.
_MARKS = re.compile(r"^(?:#{1,6}|[-*+>]|\d{1,9}[.)])(?:\s+|$)")


def title_of(text: str) -> str:
    """Return the first line of *text* as a title."""
    return _cut(next((line.strip().lstrip("# ") for line in text.splitlines() if line.strip()), ""))


def title_of_message(text: str) -> str:
    """Return the first line of an agent's message as a title, without Markdown's marks.

    Headings of sections and code are left out; the title is empty where nothing else is there.
    """
    is_code = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
            continue
        words = _MARKS.sub("", line.strip()).replace("**", "").strip("# ")
        if not is_code and any(map(str.isalnum, words)) and words.rstrip(":").lower() not in SECTIONS:
            return _cut(words)
    return ""


def _cut(title: str) -> str:
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1].rstrip()}…"


def count_changes(diff: str) -> CloudStats | None:
    """Count what a git diff changes, None for no diff. Binary files count as files without lines."""
    if not diff:
        return None
    left = right = files = added = removed = 0
    for line in diff.split("\n"):
        if left > 0 or right > 0:  # inside a hunk: a line may look like anything
            added, removed = added + (line[:1] == "+"), removed + (line[:1] == "-")
            left, right = left - (line[:1] in "- "), right - (line[:1] in "+ ")
        elif line.startswith("@@ "):
            left, right = _hunk_lengths(line)
        elif line.startswith("diff --git "):
            files += 1
    return CloudStats(files=files, added=added, removed=removed)


def _hunk_lengths(line: str) -> tuple[int, int]:
    left, right = line.split(" ")[1:3]
    return tuple(int(side.partition(",")[2] or 1) for side in (left, right))  # type: ignore[return-value]
