"""The structures of WHAM's responses: only the fields that are read; unknown fields and values are accepted.

Typed fields decide (ids, states, texts, diffs): null or missing is fine, a wrong type is an error with its JSON path.
Fields of type ``object`` are only shown and are read by `lenient`.
The garbage collector leaves them alone: what is decoded from JSON cannot hold itself.
"""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, gc=False):
    """A piece of a message: text, or a citation, which has no text.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """

    content_type: str | None = None
    text: str | None = None
    path: object = None
    terminal_chunk_id: object = None
    asset_pointer: object = None
    line_range_start: object = None
    line_range_end: object = None


Content = list[Part | str | None] | str | None


class Diff(msgspec.Struct, frozen=True, gc=False):
    """A change; `diff` is null when it is kept elsewhere.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """

    diff: str | None = None
    external_storage_diff: object = None
    base_commit_sha: object = None
    files_modified: object = None
    lines_added: object = None
    lines_removed: object = None
    commit_message: object = None


class Item(Diff, frozen=True):
    """An input or output item of any `type`; an `output_diff` carries the fields of a diff itself.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """

    type: str | None = None
    role: str | None = None
    content: Content = None
    output_diff: Diff | None = None
    pr_title: object = None
    pr_message: object = None
    files: object = None


class TurnError(msgspec.Struct, frozen=True, gc=False):
    """Why a turn failed (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    code: str | None = None
    message: str | None = None


class Author(msgspec.Struct, frozen=True, gc=False):
    """Who wrote a worklog message (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    role: str | None = None


class WorklogContent(msgspec.Struct, frozen=True, gc=False):
    """The content of a worklog message (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    parts: Content = None


class WorklogMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of the worklog (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    author: Author | None = None
    content: WorklogContent | None = None


class Worklog(msgspec.Struct, frozen=True, gc=False):
    """What was noted while the turn ran (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    messages: list[WorklogMessage] | None = None


class Repository(msgspec.Struct, frozen=True, gc=False):
    """A repository of an environment (docs/reference/protocols/codex-wham.md, "2.5 Environments")."""

    repository_full_name: object = None
    default_branch: object = None


class Place(msgspec.Struct, frozen=True, gc=False):
    """The environment inside a turn; the rest of it can hold secrets and is not read.

    See docs/reference/protocols/codex-wham.md, "2.5 Environments".
    """

    repo_map: dict[str, Repository] | None = None


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A user's or an assistant's turn (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}")."""

    id: str | None = None
    attempt_placement: int | None = None
    turn_status: str | None = None
    sibling_turn_ids: list[str] | None = None
    input_items: list[Item] | None = None
    output_items: list[Item] | None = None
    worklog: Worklog | None = None
    error: TurnError | str | None = None
    latest_event: object = None
    created_at: object = None
    environment_id: object = None
    environment: Place | None = None
    branch: object = None
    branch_name: object = None
    base_commit_sha: object = None
    pull_request_data: object = None
    model_version: object = None
    user_model_slug: object = None


class TurnDisplay(msgspec.Struct, frozen=True, gc=False):
    """What the service shows of a task's latest turn (docs/reference/protocols/codex-wham.md, "3 Status model")."""

    turn_status: object = None
    intent: object = None
    diff_stats: object = None
    sibling_turn_ids: object = None


# Any JSON: what is no object counts as missing.
NoObject = list[object] | str | float | bool | None


class StatusDisplay(msgspec.Struct, frozen=True, gc=False):
    """What the service shows of a task; untyped inside, as the official client reads it.

    See docs/reference/protocols/codex-wham.md, "3 Status model".
    """

    latest_turn_status_display: TurnDisplay | NoObject = None
    state: object = None
    environment_label: object = None
    branch_name: object = None
    initial_intent: object = None


Display = StatusDisplay | None | msgspec.UnsetType


class Record(msgspec.Struct, frozen=True, gc=False):
    """The task itself, in the list and in the details (docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}"), which name the pull requests differently.

    See docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list".
    """

    id: str | None = None
    title: object = None
    created_at: object = None
    updated_at: object = None
    archived: object = None
    has_unread_turn: object = None
    is_review: object = None
    environment_id: object = None
    denormalized_metadata: object = None
    task_status_display: Display = msgspec.UNSET
    external_pull_requests: object = None
    pull_requests: object = None


class Identified(msgspec.Struct, frozen=True, gc=False):
    """An object with an id, where nothing else is read."""

    id: object = None


class Details(msgspec.Struct, frozen=True, gc=False):
    """The response for a task. The diff turn usually repeats the assistant's: it is read when needed.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """

    task: Record | None = None
    task_status_display: Display = msgspec.UNSET
    current_user_turn: Turn | None = None
    current_assistant_turn: Turn | None = None
    current_diff_task_turn: Identified | NoObject = None


class Created(msgspec.Struct, frozen=True, gc=False):
    """The answer to creating or continuing a task; the assistant's turn is called `turn` here.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """

    task: Record | None = None
    user_turn: Turn | None = None
    turn: Turn | None = None
    rate_limit: object = None


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page of the list (docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list")."""

    items: list[Record] | None = None
    cursor: str | None = None


class Siblings(msgspec.Struct, frozen=True, gc=False):
    """The other attempts.

    See docs/reference/protocols/codex-wham.md, "2.4 GET /wham/tasks/{task_id}/turns/{turn_id}/sibling_turns".
    """

    sibling_turns: list[Turn] | None = None


class DiffTurn(msgspec.Struct, frozen=True, gc=False):
    """The details of a task, where only the diff turn is read."""

    current_diff_task_turn: Turn | None = None


class CurrentTurn(msgspec.Struct, frozen=True, gc=False):
    """The details of a task, where only the current turn's id is read."""

    current_assistant_turn: Identified | None = None


class Environment(msgspec.Struct, frozen=True, gc=False):
    """An entry of the environments. Nothing else of it is read: the rest can hold secrets.

    See docs/reference/protocols/codex-wham.md, "2.5 Environments".
    """

    id: str
    label: str | None = None
    is_pinned: bool | None = None
    task_count: float | None = None
    repo_map: dict[str, Repository] | None = None


class StreamItem(msgspec.Struct, frozen=True, gc=False):
    """One `data:` of the event stream.

    See docs/reference/protocols/codex-wham.md, "2.8 Server routes no open client calls".
    """

    id: object = None
    item_type: object = None
    event: object = None
    line: object = None
    key: object = None
