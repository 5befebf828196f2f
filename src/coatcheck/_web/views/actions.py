"""Change a task: send a message, cancel it, apply its patch after a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ..._app.apply import ApplyOptions
from ..._app.outcomes import choose_patch
from .. import operations
from ..check_results import card_of
from ..formatting import plural
from ..page_request import PageRequest
from ..rendering import redirect, render, task_url
from ..routing import action, page
from ..sessions import Notice
from .task import require_entry

if TYPE_CHECKING:
    from ..._app.apply import ApplyReport


def send_message(request: PageRequest) -> Response:
    """Send a message."""
    text, is_question = request.form.text("text"), request.form.has("ask")
    task = operations.send_message(request.site, request.ref, text, is_question=is_question, via="web")
    return done(request, Notice(f"The message was sent; {task.ref} runs again."), task_url(task.ref))


def cancel(request: PageRequest) -> Response:
    """Request that the task stops."""
    operations.cancel(request.site, request.ref, via="web")
    text = f"Requested the cancellation of {request.ref}; it takes some seconds."
    return done(request, Notice(text), task_url(request.ref))


def show_preview(request: PageRequest) -> Response:
    """Show what applying the patch would do."""
    task, attempt = require_entry(request).task, request.query.number("attempt")
    preview = operations.preview(request.site, task, attempt)
    card = card_of(request.site, task.ref, choose_patch(task, task.attempts, attempt))
    return render(request, "apply.html", task=task, preview=preview, report=preview.report, card=card)


def apply(request: PageRequest) -> Response:
    """Apply the patch that was previewed."""
    form, task = request.form, require_entry(request).task
    how = form.get("how", "files")
    options = ApplyOptions.of(
        commit=how == "commit",
        index=how == "index",
        branch=(form.get("branch") or None) if how == "branch" else None,
        markers=how == "files" and form.has("markers"),
    )
    attempt, digest = form.number("attempt"), form.get("digest")
    report = operations.apply(request.site, task, attempt, options, digest=digest, via="web")
    return done(request, applied_notice(request.site.checkout or "", report), task_url(task.ref))


def applied_notice(root: str, report: ApplyReport) -> Notice:
    """Return what an application did: a sentence, and a line for each file and each next step."""
    applied, count = report.applied, plural(len(report.applied.applied), "file")
    if applied.branch:
        text = f"Committed {plural(len(applied.files), 'file')} to the new branch {applied.branch}."
    elif applied.commit:
        text = f"Applied {count} to {root}, and committed them as {applied.commit[:7]}."
    else:
        text = f"Applied {count} to {root}. Undo it under Checkout."
    if not report.is_complete:
        text += " The patch is not applied completely."
    lines = [file_line(file) for file in applied.files]
    return Notice(text, (*lines, *applied.next_steps), is_error=not report.is_complete)


def file_line(file: Any) -> str:
    """Return the line about one file."""
    reason = f": {file.detail}" if file.detail else ""
    return f"{file.status:10}  {file.path}{reason}"


def done(request: PageRequest, notice: Notice, path: str) -> Response:
    """Show *notice* on the page at *path*."""
    if request.session is not None:
        request.session.notify(notice)
    return redirect(path)


ROUTES = (
    action("/tasks/{ref}/message", send_message),
    action("/tasks/{ref}/cancel", cancel),
    page("/tasks/{ref}/apply", show_preview),
    action("/tasks/{ref}/apply", apply),
)
