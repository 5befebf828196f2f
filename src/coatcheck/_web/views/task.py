"""One task: its state, messages, change, attempts, plan, timeline, log and files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from starlette.responses import PlainTextResponse, Response

from ... import errors
from ..._app.gates import TASK_KINDS
from ..._app.outcomes import choose_patch, file_of, outcome_of
from ..._model.outcome import DiffStats, changes_of
from ..._patches.hidden_characters import escape_lines
from ..._store.history import HistoryEntry
from ..page_errors import PageNotFoundError
from ..page_request import PageRequest
from ..poller import poll_task
from ..rendering import redirect, render, task_url
from ..routing import action, page
from ..sessions import Notice
from ..timeline import Entry, entries

if TYPE_CHECKING:
    from ..._model.gates import Gate
    from ..._model.outcome import Message, Outcome
    from ..._model.tasks import Task, TaskRef
    from ..site import Site

# Entries of the timeline on the task's page; the page of the timeline has all.
LAST_EVENTS = 100
TIMELINE_PAGE = 500


def show_task(request: PageRequest) -> Response:
    """Show everything that the store has of a task."""
    entry, number = require_entry(request), request.query.number("attempt")
    task = entry.task
    outcome = outcome_of(task, number)
    changes = _changes(outcome)
    stored = request.site.events.last(LAST_EVENTS, subject=task.ref)
    shown = entries(stored)
    return render(
        request,
        "task.html",
        entry=entry,
        task=task,
        number=number,
        outcome=outcome,
        messages=_messages(outcome, task.prompt or ""),
        changes=changes,
        size=_size(changes),
        patch_number=_patch_number(entry, number),
        timeline=[each for each in shown if not each.is_log],
        log=_log(shown, outcome),
        gates=_gates(request.site, task.ref),
        usage=_usage(shown, task),
        verbs=request.site.verbs(task.ref.provider),
        has_more_events=len(stored) == LAST_EVENTS,
    )


def require_entry(request: PageRequest) -> HistoryEntry:
    """Return the stored task that the path names; one that is not stored is requested from its service first."""
    ref, history = request.ref, request.site.history
    entry = history.get(ref)
    if entry is None or (entry.task.state.is_terminal and not entry.is_current):
        entry = _read_from_service(request, entry)
    if entry is None:
        raise PageNotFoundError(
            f"{ref} is not in the store, and {ref.provider} does not report single tasks",
            remedy="record tasks with: coatcheck config set history full",
        )
    return entry


def _read_from_service(request: PageRequest, entry: HistoryEntry | None) -> HistoryEntry | None:
    """Return a task as its service has it; the stored one, with a notice, where the service cannot be used."""
    try:
        task = poll_task(request.site, request.ref)
    except errors.CoatcheckError as error:
        if entry is None:
            raise
        if request.session is not None:
            remedy = f"; {error.remedy}" if error.remedy else ""
            text = f"This is what was recorded before: {error}{remedy}."
            request.session.notify(Notice(text, is_error=True))
        return entry
    stored = request.site.history.get(request.ref) or entry
    return stored if task is None else _entry_of(request, task, stored)


def _entry_of(request: PageRequest, task: Task, stored: HistoryEntry | None) -> HistoryEntry:
    """Return a task that was read now, whole where the setting ``history`` does not permit recording all of it."""
    if stored is None:
        now = datetime.fromtimestamp(request.site.now, UTC)
        return HistoryEntry(task=task, recorded_at=now, is_current=task.state.is_terminal)
    whole = replace(task, prompt=task.prompt or stored.task.prompt)
    return replace(stored, task=whole, is_current=task.state.is_terminal)


def _changes(outcome: Outcome | None) -> Sequence[dict[str, Any]] | None:
    """Return what a patch does to each file, None where it cannot be read."""
    return changes_of(outcome.patch) if outcome is not None else ()


def _messages(outcome: Outcome | None, prompt: str) -> Sequence[Message]:
    """Return the messages without the prompt, which is shown before them."""
    messages = outcome.messages if outcome else ()
    is_repeated = bool(messages) and messages[0].role == "user" and messages[0].text.strip() == prompt.strip()
    return messages[1:] if is_repeated else messages


def _size(changes: Sequence[dict[str, Any]] | None) -> DiffStats | None:
    """Return how much a patch changes, for services that do not report it; None for nothing."""
    if not changes:
        return None
    added, removed = (sum(each[name] or 0 for each in changes) for name in ("added", "removed"))
    return DiffStats(files=len(changes), added=added, removed=removed)


def _patch_number(entry: HistoryEntry, number: int | None) -> int | None:
    """Return the attempt whose patch would be applied, 0 for the only one, None where there is none."""
    try:
        return choose_patch(entry.task, entry.task.attempts, number).number or 0
    except errors.CoatcheckError:
        return None


def _log(shown: Sequence[Entry], outcome: Outcome | None) -> str:
    """Return the last lines that the agent and its machine printed."""
    printed = [each.text for each in shown if each.is_log]
    worklog = [each.text for each in outcome.worklog] if outcome is not None and not printed else []
    return "\n".join(text.rstrip("\n") for text in [*printed, *worklog])


def _usage(shown: Sequence[Entry], task: Task) -> str | None:
    """Return what the task has used, in the words of its service; None where it reports nothing."""
    reported = [notice.text for notice in task.notices if notice.kind == "usage"]
    return next(iter(reported), None) or next((each.text for each in reversed(shown) if each.kind == "usage"), None)


def _gates(site: Site, ref: TaskRef) -> Sequence[Gate]:
    return [gate for gate in site.gates.list(subject=str(ref)) if gate.kind in (*TASK_KINDS, "permission", "apply")]


def refresh(request: PageRequest) -> Response:
    """Request the task from its service, and show it again."""
    ref = request.ref
    task = poll_task(request.site, ref)
    if request.session is not None:
        text = f"{ref} was read from its service" if task else f"{ref.provider} does not report single tasks"
        request.session.notify(Notice(text, is_error=task is None))
    return redirect(task_url(ref))


# --- parts of a task --------------------------------------------------------------------------------------------------


def show_patch(request: PageRequest) -> Response:
    """Send the patch of an attempt as plain text."""
    task = require_entry(request).task
    chosen = choose_patch(task, task.attempts, request.query.number("attempt"))
    headers = {"content-type": "text/plain; charset=utf-8"}
    if request.query.has("download"):
        headers["content-disposition"] = f'attachment; filename="{_file_name(task.ref)}.patch"'
    return Response(bytes(chosen.outcome.patch or b""), headers=headers)


def _file_name(ref: TaskRef) -> str:
    """Return a name that every file system takes."""
    return "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "-" for each in str(ref))


def show_file(request: PageRequest) -> Response:
    """Send a file as the agent left it."""
    task = require_entry(request).task
    found = file_of(task, request.query.number("attempt"), request.query.get("path"))
    return PlainTextResponse(found.content or "")


def show_prompt(request: PageRequest) -> Response:
    """Send the prompt, hidden characters as escapes."""
    return PlainTextResponse(escape_lines(require_entry(request).task.prompt or ""))


def show_messages(request: PageRequest) -> Response:
    """Send every message whole, hidden characters as escapes."""
    outcome = outcome_of(require_entry(request).task, request.query.number("attempt"))
    texts = [f"{each.role}:\n\n{each.text}" for each in (outcome.messages if outcome else ())]
    return PlainTextResponse(escape_lines("\n\n---\n\n".join(texts)))


def show_timeline(request: PageRequest) -> Response:
    """Show every event of a task by pages, the oldest first."""
    entry = require_entry(request)
    after = request.query.number("after") or 0
    stored = request.site.events.read(after=after, subject=entry.task.ref, limit=TIMELINE_PAGE)
    following = stored[-1].id if len(stored) == TIMELINE_PAGE else None
    return render(request, "timeline.html", task=entry.task, timeline=entries(stored), following=following)


ROUTES = (
    page("/tasks/{ref}", show_task),
    page("/tasks/{ref}/patch", show_patch),
    page("/tasks/{ref}/file", show_file),
    page("/tasks/{ref}/prompt", show_prompt),
    page("/tasks/{ref}/messages", show_messages),
    page("/tasks/{ref}/timeline", show_timeline),
    action("/tasks/{ref}/refresh", refresh),
)
