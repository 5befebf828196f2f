"""Output of ``--json``: documents of values, errors and logins.

Invariants:

- every document has `schema`; within a schema fields are added, never changed or removed;
- every declared field is present; null means that the service sent no value.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .. import errors
from .._values.json_fields import Fields, encode, jsonable, many, patch_text, read, to_object
from .exit_codes import exit_code_of

__all__ = [
    "DOCUMENTS",
    "ERROR",
    "ERROR_DETAILS",
    "Fields",
    "dump",
    "dump_line",
    "error_document",
    "jsonable",
    "many",
    "patch_text",
    "read",
    "to_object",
]


def dump(document: Mapping[str, object]) -> bytes:
    """Return a document as indented JSON text with a line end."""
    return msgspec.json.format(encode(document), indent=2) + b"\n"


def dump_line(document: Mapping[str, object]) -> bytes:
    """Return a document as one line, for streams of them (NDJSON)."""
    return encode(document) + b"\n"


# Attributes of errors that are part of their documents.
ERROR_DETAILS: Mapping[str, str] = {
    "ref": "the task",
    "status": "the HTTP status",
    "detail": "the service's message",
    "request_id": "the service's id of the request",
    "retry_after": "seconds to wait",
    "reason": "why a login was not renewed",
    "path": "the invalid part of the response",
    "line": "the invalid line of the diff, from 1",
    "candidates": "tasks that match",
    "reasons": "rules that the patch breaks",
    "files": "files that do not fit",
}

ERROR: Fields[BaseException] = {
    "type": ("its class in `coatcheck.errors`", lambda e: type(e).__name__),
    "code": ("the exit code's name", lambda e: exit_code_of(e).name.lower()),
    "exit_code": ("the exit code", lambda e: int(exit_code_of(e))),
    "message": ("the error message", str),
    "remedy": ("how to solve it", lambda e: getattr(e, "remedy", None)),
    "details": ("all data of the error, as `CoatcheckError.to_dict` returns them", lambda e: _as_dict(e)["details"]),
}


def _as_dict(error: BaseException) -> dict[str, object]:
    return error.to_dict() if isinstance(error, errors.CoatcheckError) else {"details": {}}


def error_document(error: BaseException) -> dict[str, object]:
    """Return what ``--json`` prints for an error."""
    details = {name: _plain(getattr(error, name)) for name in ERROR_DETAILS if getattr(error, name, None) is not None}
    return {"error": {**read(ERROR, error), **details}}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    return [str(each) for each in value] if isinstance(value, tuple) else str(value)


# Each command's document, beside `schema`.
DOCUMENTS: Mapping[str, str] = {
    "demo": "`folder`, `attempt`, `task` (task result), `ranking`, `usage` (usage), `applied` (application), `git_status`; with --web as `web`",
    "run": "task result, and `gate`: gate object of what the task waits for, or null; with --apply also `applied`: application, or an error document, or null; with --on or --check as `review` with a NAME",
    "submit": "task; with --gate `gate`: gate object, while nothing is submitted; with --resume `submissions`: submission objects; with --batch a document per line (NDJSON): `line`, the "
    "number of the line, and `task` or `error`; with --on `review`: its name, and `submissions`: review submission objects with `task`",
    "wait": "task result, and `gate`: gate object of what the task waits for, or null; of several tasks `tasks`: these, or `ref` and `error`",
    "watch": "one event per line (NDJSON); with --diff also `type` (diff), `ref`, `attempt` and `diff`",
    "status": "task, and `recorded_at`: when it was recorded, null where it was read from its service; of several tasks `tasks`: "
    "these, or `ref` and `error`",
    "show": "task result, and `recorded_at` as `status`; of several tasks `tasks`: these, or `ref` and `error`",
    "history list": "`tasks`: task objects with `recorded_at`, `is_current`, `template` and `template_digest`, and `cursor`: the value of "
    "--cursor for the next tasks, or null",
    "history show": "a task result with `recorded_at`, `is_current`, `template` and `template_digest`; of several tasks `tasks`: these",
    "history export": "a line per task, as without --json; it has no FIELDS",
    "history import": "`imported`: how many tasks",
    "history forget": "`forgotten`: how many tasks",
    "history prune": "`pruned`: how many tasks",
    "list": "`tasks`: task objects, and `cursor`: the value of `list --cursor` for the next tasks, or null",
    "open": "`ref` and `url`; of several tasks `tasks`: these, or `ref` and `error`",
    "attempts": "`ref` (null for files), `attempts`: attempt result objects, `comparison`: a comparison, and `recorded_at` as `status`",
    "diff": "`ref` (null for a file, with `file`), `recorded_at` as `status`, `attempt` (null where there is one), `diff` (the text), `diff_base64` (only where the bytes are not "
    "UTF-8), `stats`, and `files`: change objects, null where the diff cannot be read, `repairs`: repair objects; with --between `ref`, `between`, "
    "`is_same_change`, `share` and `diff_of_diffs`",
    "apply": "`ref` (null for a file, with `file`), `recorded_at` as `status`, `attempt`, and the fields of an application; with --undo an undoing; with --gate `gate`: gate "
    "object, while nothing is applied",
    "review": "a ranking, and `applied`: with --apply an application or an error document, else null; with a NAME also `review`: its "
    "`name` and `submissions`, which are review submission objects; with --list `reviews`: stored review objects",
    "approve": "`ref` (null where it is about no task), `action`, and `gate`: gate object, null where none is stored; of a patch also "
    "the fields of `apply`",
    "reject": "as `approve`",
    "answer": "as `approve`",
    "gates": "`gates`: gate objects; with --log one stored event per line (NDJSON)",
    "cancel": "`ref` and `action`; of several tasks `tasks`: these, or `ref` and `error`",
    "message": "task, which is running again",
    "pr": "`ref` and `action`",
    "archive": "`ref` and `action`; of several tasks `tasks`: these, or `ref` and `error`",
    "unarchive": "`ref` and `action`; of several tasks `tasks`: these, or `ref` and `error`",
    "delete": "`ref` and `action`",
    "usage": "usage",
    "models": "`models`: model objects",
    "environments": "`environments`: environment objects",
    "providers list": "`providers`: provider objects",
    "providers show": "a provider object",
    "providers new": "`name`, `folder` and `files`: the files that were written",
    "login": "login status",
    "logout": "`provider`, and `is_revoked`: whether the service confirmed it",
    "auth status": "login status",
    "auth print-token": "an error document: a token is never part of one",
    "config list": "`settings`: setting objects",
    "config get": "`settings`: the setting object",
    "config set": "`settings`: the setting object, and `path`: the file that was changed",
    "config unset": "as `config set`",
    "config edit": "`settings`: an empty array, and `path`: the file that was edited",
    "completion": "`shell` and `script`",
    "serve": "one line once it is ready: `url`, `pid`, `approval_key`, `codex_home`, and `hooks`: `id` and `url` of each "
    "`--hook`, with its `secret` where it is new",
    "codex-host up": "`host`: host object, and `is_new`: whether it was started now",
    "codex-host status": "`host`: host object, null where none runs",
    "codex-host stop": "`host`: the host object that was stopped, null where none ran",
    "web": "one line once it is ready: `url`, `link` (which opens the page once), and `token_file`",
    "events": "one stored event per line (NDJSON)",
    "hooks list": "`hooks`: hook objects, and `senders`: the services whose deliveries are accepted",
    "hooks add": "`hook`: hook object, and `secret`",
    "hooks remove": "`hook`: its id, and `action`",
    "hooks on": "`hook`: hook object",
    "hooks off": "`hook`: hook object",
    "hooks rotate": "`hook`: hook object, and `secret`",
    "hooks test": "`delivery`: delivery object",
    "hooks log": "`deliveries`: delivery objects",
    "hooks replay": "`delivery`: its id, and `action`",
    "hooks secret": "`sender`, and `action`: `accept` or `remove`",
    "hooks serve": "one line once it is ready: `url` and `senders`",
    "mcp serve": "an error document: its output is the protocol",
    "mcp install": "`client`, `path`: its file, `text`: what a new file contains, and `is_changed`: whether the file was written",
    "fleet list": "`fleets`: fleet objects",
    "fleet plan": "a fleet plan",
    "fleet run": "`status`: fleet status, a line for each change (NDJSON), the last with `problems`: plan item objects",
    "fleet status": "`status`: fleet status, and `items`: fleet item objects, those with a KEY",
    "fleet watch": "`status`: fleet status, a line for each change (NDJSON)",
    "fleet show": "`items`: fleet item objects; with KEY an item report",
    "fleet report": "a fleet report; with --output `path` and `format`",
    "fleet deliver": "`status`: fleet status; with --dry-run a merge plan",
    "fleet events": "one stored event per line (NDJSON)",
    "fleet approve": "`items`: fleet item objects, those that were changed",
    "fleet reject": "as `fleet approve`",
    "fleet retry": "as `fleet approve`",
    "fleet pause": "`fleet`: its name, and `is_changed`",
    "fleet resume": "`fleet`: its name, and `is_changed`",
    "fleet cancel": "`fleet`: its name, and `running`: refs of tasks that still run",
    "fleet init": "`store`: where the tables are, `is_new`: whether they were created now, and `fleets`: the names of those that were stored",
    "fleet work": "`statuses`: fleet status objects",
    "help": "`command` (null for all commands) and `help`: the text",
    "version": "`version`, and `python`: the version of Python",
    "templates list": "`templates`: `name`, `path`, `is_from_repository`, `hides_own` (whether yours has the same name), and `template` (template object) or `error`",
    "templates show": "a template object",
    "templates render": "`prompt`, `title`, `template` (its name) and `digest`",
    "templates check": "`templates`: as `templates list`, with `findings`: probable mistakes",
    "workflow init": "`path`: where the workflow was written",
}
