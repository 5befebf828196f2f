"""What ``--json`` prints: one table per kind of object, from which both the objects and their documentation are made.

Law 1. Every document has `schema`. Within a schema fields are added, never changed or taken away.
Law 2. Every field of a table is always there; null says that the service did not say.
Law 3. Times are RFC 3339, durations are seconds, words are in lower case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from .exit_codes import exit_code_of

if TYPE_CHECKING:
    from .._credentials.status import LoginStatus
    from .._model.catalogue import Environment, Model
    from .._model.outcome import (
        Artifact,
        Attempt,
        Citation,
        DiffStats,
        Failure,
        FileSnapshot,
        Message,
        Notice,
        Outcome,
        Plan,
        PlanStep,
        PullRequest,
    )
    from .._model.tasks import Task, TaskEvent
    from .._model.usage import Credits, RateLimit, RateWindow, SpendControl, Usage
    from .._patches.parse import Patch

SCHEMA = "coatcheck/1"

T = TypeVar("T")
# name -> (what it says, how it is read)
Fields: TypeAlias = Mapping[str, tuple[str, Callable[[T], object]]]


def dump(document: Mapping[str, object]) -> bytes:
    """Return a document as indented JSON text with a line end."""
    return msgspec.json.format(_encoded(document), indent=2) + b"\n"


def dump_line(document: Mapping[str, object]) -> bytes:
    """Return a document as one line, for streams of them (NDJSON)."""
    return _encoded(document) + b"\n"


def _encoded(document: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode({"schema": SCHEMA, **document})
    except UnicodeEncodeError:  # a lone surrogate: a file name or an argument that is not UTF-8
        return msgspec.json.encode(_shown({"schema": SCHEMA, **document}))


def _shown(value: object) -> object:
    """Return *value* with what UTF-8 cannot say written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_shown(name): _shown(each) for name, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value


def read(fields: Fields[T], value: T) -> dict[str, object]:
    """Return *value* as the object that *fields* describe."""
    return {name: get(value) for name, (_, get) in fields.items()}


def maybe(fields: Fields[T], value: T | None) -> dict[str, object] | None:
    """Return *value* as an object, None for None."""
    return None if value is None else read(fields, value)


def many(fields: Fields[T], values: Iterable[T]) -> list[dict[str, object]]:
    """Return *values* as objects."""
    return [read(fields, value) for value in values]


def patch_text(patch: Patch | None) -> str | None:
    """Return a patch as text; bytes that are not UTF-8 are shown as escapes (`coatcheck diff` gives them as they are)."""
    return None if patch is None else bytes(patch).decode("utf-8", "backslashreplace")


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
    "kind": ('"stalled", "revived", "nothing_made" or "approval_ignored"', lambda n: n.kind),
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
    "is_draft": ("whether it is a draft", lambda p: p.is_draft),
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
    "files": ("files as the agent left them: file objects", lambda o: many(FILE, o.files)),
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

WINDOW: Fields[RateWindow] = {
    "name": ("the service's name", lambda w: w.name),
    "used_percent": ("how much is used", lambda w: w.used_percent),
    "seconds": ("how long the window is", lambda w: w.seconds),
    "resets_after": ("seconds until it resets", lambda w: w.resets_after),
    "resets_at": ("when it resets", lambda w: w.resets_at),
    "limit": ("how much there is", lambda w: w.limit),
    "remaining": ("how much is left", lambda w: w.remaining),
    "used": ("how much is used", lambda w: w.used),
    "is_counted_here": (
        "whether `used` is what this machine submitted, since the service tells nothing",
        lambda w: w.is_counted_here,
    ),
}

RATE_LIMIT: Fields[RateLimit] = {
    "name": ("its name", lambda r: r.name),
    "feature": ("what it is metered under", lambda r: r.feature),
    "is_allowed": ("whether more may be asked now", lambda r: r.is_allowed),
    "is_reached": ("whether it is used up", lambda r: r.is_reached),
    "limit": ("how much there is", lambda r: r.limit),
    "remaining": ("how much is left", lambda r: r.remaining),
    "resets_after": ("seconds until it resets", lambda r: r.resets_after),
    "plan": ("the plan it belongs to", lambda r: r.plan),
    "windows": ("window objects", lambda r: many(WINDOW, r.windows)),
}

TASK: Fields[Task] = {
    "ref": ("PROVIDER:ID, which every command takes", lambda t: str(t.ref)),
    "id": ("the service's id", lambda t: t.ref.id),
    "provider": ("the provider's name", lambda t: t.ref.provider),
    "state": ("a word of TaskState", lambda t: t.state.value),
    "raw_state": ("the service's own word", lambda t: t.raw_state),
    "title": ("its title", lambda t: t.title),
    "url": ("its page", lambda t: t.url),
    "error": ("why it failed: failure object", lambda t: maybe(FAILURE, t.error)),
    "prompt": ("what was asked", lambda t: t.prompt),
    "mode": ('"code" or "ask"', lambda t: t.mode),
    "environment": ("id of its environment", lambda t: t.environment),
    "environment_label": ("label of its environment", lambda t: t.environment_label),
    "repository": ("its repository", lambda t: t.repository),
    "branch": ("the branch it starts from", lambda t: t.branch),
    "model": ("the model that ran", lambda t: t.model),
    "created_at": ("when it was made", lambda t: t.created_at),
    "started_at": ("when it began to run", lambda t: t.started_at),
    "updated_at": ("when it last changed", lambda t: t.updated_at),
    "progress": ("what the agent is doing", lambda t: t.progress),
    "plan": ("plan object", lambda t: maybe(PLAN, t.plan)),
    "notices": ("what its state does not tell: notice objects", lambda t: many(NOTICE, t.notices)),
    "stats": ("size of its change: stats object", lambda t: maybe(STATS, t.stats)),
    "attempt_total": ("how many attempts there are", lambda t: t.attempt_total),
    "attempts": ("attempt objects, as far as the service told", lambda t: many(ATTEMPT, t.attempts)),
    "pull_requests": ("pull requests on the host", lambda t: many(PULL_REQUEST, t.pull_requests)),
    "follow_ups": ("how many messages followed", lambda t: t.follow_ups),
    "is_archived": ("whether it is archived", lambda t: t.is_archived),
    "is_unread": ("whether there is something unread", lambda t: t.is_unread),
    "is_review": ("whether it has a pull request to review", lambda t: t.is_review),
    "rate_limit": ("what submitting left: rate limit object", lambda t: maybe(RATE_LIMIT, t.rate_limit)),
}

TASK_RESULT: Fields[Task] = {
    **TASK,
    "attempts": ("attempt objects with their outcomes", lambda t: many(ATTEMPT_RESULT, t.attempts)),
    "outcome": ("outcome object of the current attempt; null where none was sent", lambda t: maybe(OUTCOME, t.outcome)),
}

EVENT: Fields[TaskEvent] = {
    "kind": (
        '"state", "message", "progress", "stats", "attempt", "plan", "approved", "notice" or the service\'s own word',
        lambda e: e.kind,
    ),
    "ref": ("the task", lambda e: str(e.ref)),
    "cursor": ("what `watch --after` takes to go on from here", lambda e: e.cursor),
    "state": ("a word of TaskState", lambda e: e.state.value if e.state else None),
    "raw_state": ("the service's own word", lambda e: e.raw_state),
    "attempt": ("number of the attempt", lambda e: e.attempt),
    "text": ("what was said or done", lambda e: e.text),
    "message": ("message object", lambda e: maybe(MESSAGE, e.message)),
    "stats": ("stats object", lambda e: maybe(STATS, e.stats)),
    "plan": ("plan object", lambda e: maybe(PLAN, e.plan)),
    "notice": ("notice object", lambda e: maybe(NOTICE, e.notice)),
    "artifacts": ("what was shown with it: artifact objects", lambda e: many(ARTIFACT, e.artifacts)),
    "at": ("when the service last changed the task", lambda e: e.at),
}

ENVIRONMENT: Fields[Environment] = {
    "id": ("what is sent to the service", lambda e: e.id),
    "label": ("its name for people", lambda e: e.label),
    "repositories": ("repositories it holds", lambda e: e.repositories),
    "default_branch": ("where tasks start unless told otherwise", lambda e: e.default_branch),
    "is_pinned": ("whether it is pinned", lambda e: e.is_pinned),
    "task_count": ("how many tasks it had", lambda e: e.task_count),
}

MODEL: Fields[Model] = {
    "id": ("what `--model` takes", lambda m: m.id),
    "context": ("context window in tokens", lambda m: m.context),
    "max_context": ("largest context window in tokens", lambda m: m.max_context),
    "max_output": ("largest answer in tokens", lambda m: m.max_output),
    "reasoning": ("levels of reasoning", lambda m: m.reasoning),
    "default_reasoning": ("level unless told otherwise", lambda m: m.default_reasoning),
    "price": ("what it costs", lambda m: m.price),
    "is_listed": ("whether the service shows it", lambda m: m.is_listed),
    "successor": ("what the service says to use instead", lambda m: m.successor),
    "notes": ("what else is known", lambda m: m.notes),
    "as_of": ("the date of this entry", lambda m: m.as_of),
    "source": ("where it was read", lambda m: m.source),
}

CREDITS: Fields[Credits] = {
    "has_credits": ("whether there are any", lambda c: c.has_credits),
    "is_unlimited": ("whether they never end", lambda c: c.is_unlimited),
    "balance": ("how many, as text", lambda c: c.balance),
}

SPEND_CONTROL: Fields[SpendControl] = {
    "is_reached": ("whether the ceiling is reached", lambda s: s.is_reached),
    "limit": ("the ceiling", lambda s: s.limit),
    "used": ("what is used", lambda s: s.used),
    "remaining": ("what is left", lambda s: s.remaining),
    "used_percent": ("what is used, in percent", lambda s: s.used_percent),
    "remaining_percent": ("what is left, in percent", lambda s: s.remaining_percent),
    "resets_after": ("seconds until it resets", lambda s: s.resets_after),
    "resets_at": ("when it resets", lambda s: s.resets_at),
}

USAGE: Fields[Usage] = {
    "plan": ("the plan", lambda u: u.plan),
    "rate_limit": ("the account's limit: rate limit object", lambda u: maybe(RATE_LIMIT, u.rate_limit)),
    "extra_limits": ("limits metered beside it: rate limit objects", lambda u: many(RATE_LIMIT, u.extra_limits)),
    "credits": ("credits object", lambda u: maybe(CREDITS, u.credits)),
    "spend_control": ("spend control object", lambda u: maybe(SPEND_CONTROL, u.spend_control)),
    "reached": ("the limit that stops the account now", lambda u: u.reached),
    "reset_credits": ("how often the limit may be reset", lambda u: u.reset_credits),
}

LOGIN_STATUS: Fields[LoginStatus] = {
    "provider": ("whose login it is", lambda s: s.provider),
    "is_logged_in": ("whether requests can be sent with it", lambda s: s.is_logged_in),
    "source": ('"argument", "environment", "own", "shared", "shared-readonly" or "keyring"', lambda s: s.source),
    "origin": ("who chose that: a setting's place, or the default order", lambda s: s.origin),
    "place": ("its file, variable or keyring entry", lambda s: s.place),
    "account": ("our name for it; null for logins that are not ours", lambda s: s.account),
    "account_id": ("the service's id of the account", lambda s: s.account_id),
    "plan": ("the plan", lambda s: s.plan),
    "expires_at": ("when its access token ends", lambda s: s.expires_at),
    "last_refresh": ("when it was last refreshed", lambda s: s.last_refresh),
    "can_refresh": ("whether we may refresh it", lambda s: s.can_refresh),
    "lock": ('"free", or "held: " and the lock file', lambda s: s.lock),
    "problems": ("what is wrong with it, in sentences", lambda s: s.problems),
}

# What an error carries beside its message, where it has it.
ERROR_DETAILS: Mapping[str, str] = {
    "ref": "the task",
    "status": "the HTTP status",
    "detail": "what the service said",
    "request_id": "the service's id of the request",
    "retry_after": "seconds to wait",
    "reason": "why a login was not renewed",
    "path": "where in the answer it is wrong",
    "line": "where in the diff it is wrong, from 1",
    "candidates": "tasks that it could be",
    "reasons": "rules that the patch breaks",
    "files": "files that do not fit",
}

ERROR: Fields[BaseException] = {
    "type": ("its class in `coatcheck.errors`", lambda e: type(e).__name__),
    "code": ("the exit code's name", lambda e: exit_code_of(e).name.lower()),
    "exit_code": ("the exit code", lambda e: int(exit_code_of(e))),
    "message": ("what went wrong", str),
    "remedy": ("what to do about it", lambda e: getattr(e, "remedy", None)),
}


def error_document(error: BaseException) -> dict[str, object]:
    """Return what ``--json`` prints for an error."""
    details = {name: _plain(getattr(error, name)) for name in ERROR_DETAILS if getattr(error, name, None) is not None}
    return {"error": {**read(ERROR, error), **details}}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    return [str(each) for each in value] if isinstance(value, tuple) else str(value)


# What each command prints with ``--json``, beside `schema`.
DOCUMENTS: Mapping[str, str] = {
    "demo": "`folder`, `attempt`, `task` (task result), `usage` (usage), `applied` (application), `git_status`",
    "run": "task result; with --apply also `applied`: application, or an error document, or null",
    "submit": "task; with --resume `submissions`: submission objects",
    "wait": "task result",
    "watch": "one event per line, as they happen (NDJSON)",
    "status": "task",
    "show": "task result",
    "list": "`tasks`: task objects, and `cursor`: what `list --cursor` takes for those that follow, or null",
    "attempts": "`ref`, and `attempts`: attempt result objects",
    "diff": "`ref`, `attempt` (null where there is one), `diff` (the text), `diff_base64` (only where the bytes are not "
    "UTF-8), `stats`",
    "apply": "`ref`, `attempt`, and the fields of an application",
    "approve": "`ref` and `action`",
    "cancel": "`ref` and `action`",
    "message": "task, which runs again",
    "pr": "`ref` and `action`",
    "archive": "`ref` and `action`",
    "unarchive": "`ref` and `action`",
    "delete": "`ref` and `action`",
    "usage": "usage",
    "models": "`models`: model objects",
    "environments": "`environments`: environment objects",
    "providers": "list: `providers`, provider objects; show: a provider object",
    "login": "login status",
    "logout": "`provider`, and `is_revoked`: whether the service confirmed it",
    "auth": "login status",
    "config": "`settings`: setting objects",
    "serve": "one line once it is ready: `url`, `pid`, `approval_key`, `codex_home`",
}
